"""How checks fail."""

from typing import Any


def require(holds: bool, message: str) -> None:
    """Raise explicitly: ``assert`` is silent under ``python -O``."""
    if not holds:
        raise AssertionError(message)


def require_parts(given: Any, *names: str, described: tuple[Any, ...] = ()) -> None:
    """Require the parts of a policy or strategy: its ``name``, methods, and a sentence by which it describes itself."""
    word = getattr(given, "name", None)
    who = word if isinstance(word, str) and word else type(given).__name__
    for name in names:
        require(hasattr(given, name), f"{who}: has no {name!r}; a policy has {', '.join(names)}")
        if name == "name":
            require(isinstance(word, str) and bool(word), f"{who}: name must be a text, got {word!r}")
        else:
            require(callable(getattr(given, name)), f"{who}: {name!r} must be a method")
    sentence = given.describe(*described)
    require(isinstance(sentence, str) and bool(sentence.strip()), f"{who}: describe must give text, got {sentence!r}")
