"""Signatures that rooms share; nothing is computed here."""

from __future__ import annotations

from typing import Protocol


class Horizon(Protocol):
    """Years of a problem."""

    @property
    def T(self) -> int:  # noqa: N802  (symbol of the source)
        """Last year."""
        ...


class Case(Protocol):
    """A problem that is read from a file: what folders and manifests need of it."""

    @property
    def name(self) -> str:
        """Short name, part of file names."""
        ...

    @property
    def title(self) -> str:
        """Name for people."""
        ...

    @property
    def is_shipped(self) -> bool:
        """Whether it is a case of the package, unchanged."""
        ...

    @property
    def horizon(self) -> Horizon:
        """Its years."""
        ...

    def digest(self) -> str:
        """Hash of all of its numbers."""
        ...

    def to_toml(self) -> str:
        """Text of a case file from which it can be loaded."""
        ...


class LogLine(Protocol):
    """A line of an iteration log: a dataclass of numbers."""

    @property
    def gap(self) -> float:
        """Relative gap of the bounds so far."""
        ...
