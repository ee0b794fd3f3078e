"""Limits at which a method stops before its gap is met."""

from __future__ import annotations

from enum import StrEnum


class Limit(StrEnum):
    """What ended a run that did not meet its gap, or that cannot prove it."""

    #: Seconds, of a solver or of a run.
    TIME = "time"
    ITERATIONS = "iterations"
    #: The gap of an iterative method is met, but not by proven bounds.
    GAP = "gap"
    #: The gap hardly shrinks any more: the bounds of mixed-integer programs may never meet.
    STALLED = "stalled"
    STALLED_BOUND = "stalled bound"
    #: The gap is met with confidence by simulation: nothing is proven.
    CONFIDENCE = "gap with confidence"
    #: A program was solved to the end, and rounding leaves a larger gap than was asked for.
    NUMERICAL = "numerical"
    #: A relaxation was solved, and its plan was judged on the problem itself.
    RELAXATION = "relaxation"
    #: A stopping rule of the user's own.
    RULE = "rule"
