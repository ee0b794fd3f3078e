"""How checks fail."""


def require(holds: bool, message: str) -> None:
    """Raise explicitly: ``assert`` is silent under ``python -O``."""
    if not holds:
        raise AssertionError(message)
