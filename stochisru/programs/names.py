"""Names of columns and rows as files of programs take them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stochisru.programs.sparse import Block

#: Signs that some format takes for its own.
_SIGNS = re.compile(r"[^A-Za-z0-9_.]+")
#: The same, but for those of what a name has after its part, ``M(y3,n5)``.
_SIGNS_OF_NAMES = re.compile(r"[^A-Za-z0-9_.(),]+")


def plain_word(text: str) -> str:
    """A word that all formats can read: letters, digits, points and underscores, no digit first."""
    return _begun(_SIGNS.sub("_", text).strip("_"))


def plain_name(text: str) -> str:
    """The same, with brackets and commas as names of columns have them."""
    return _begun(_SIGNS_OF_NAMES.sub("_", text))


def _begun(word: str) -> str:
    return word if word and (word[0].isalpha() or word[0] == "_") else f"x{word}"


def once_each(names: Iterable[str]) -> list[str]:
    """Names, with a number where one comes again."""
    taken: set[str] = set()
    found = []
    for name in names:
        number, new = 1, name
        while new in taken:
            number += 1
            new = f"{name}_{number}"
        taken.add(new)
        found.append(new)
    return found


def block_names(blocks: Mapping[str, Block]) -> list[str]:
    """Names of all columns or rows of a program: block and number."""
    return [f"{block.name}_{i}" for block in blocks.values() for i in range(block.size)]
