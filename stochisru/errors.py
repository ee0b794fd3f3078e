"""Errors that are meant for people: one line that names the field and the allowed range."""

from scenario_trees.errors import TreeError


class StochisruError(Exception):
    """Base of the errors that this package raises on purpose."""


class InputError(StochisruError, ValueError):
    """Input that cannot be used; the command line exits with code 2."""


class SolverError(StochisruError, RuntimeError):
    """A program that could not be solved; the message names program, solver and status."""


class InfeasibleError(SolverError):
    """A program that has no solution."""


class UnboundedError(SolverError):
    """A program whose objective has no limit."""


class TimeLimitError(SolverError):
    """A mixed-integer program without a solution or a bound when its time was over."""


class FigureError(StochisruError, RuntimeError):
    """A figure or page that could not be made; what it shows was computed and is kept.

    Attributes
    ----------
    kept
        The outcome, a `Run` or study, or None where the caller has it.
    """

    def __init__(self, message: str, kept: object = None) -> None:
        super().__init__(message)
        self.kept = kept


class BoundsError(StochisruError, ArithmeticError):
    """Bounds that cross or values out of their order: a defect, never reported as a gap."""


__all__ = [
    "BoundsError",
    "FigureError",
    "InfeasibleError",
    "InputError",
    "SolverError",
    "StochisruError",
    "TimeLimitError",
    "TreeError",
    "UnboundedError",
]
