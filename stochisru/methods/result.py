"""What every solution method returns: value, bounds, termination, plan.

Where the problem is maximised, as net present value is, the lower bound is what a plan that can be carried out is worth
and the upper bound what no plan can exceed; where it is minimised it is the other way round.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from importlib import metadata
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import numpy as np

from stochisru.errors import BoundsError, require_kind
from stochisru.files import plainly
from stochisru.limits import Limit
from stochisru.protocols import LogLine, Plan, PlanOf, Policy
from stochisru.shown import Shown

if TYPE_CHECKING:
    import pandas as pd


#: Two evaluations of one number may differ by this share of the sums that it is the difference of.
ROUNDING = 1e-11
#: A solver's bound of a mixed-integer program may be wrong by this share of the sums of money: its tolerances.
MIXED_ROUNDING = 1e-9
#: The same where whole numbers switch large quantities on: solvers take 1e-6 for 0.
SWITCH_ROUNDING = 1e-6
#: Share of the flows of money that a value counts as at least where gaps are relative to it: an optimum of 0 is solved
#: when its bounds meet in proportion to what it is a difference of.
NEAR_ZERO = 1e-3
#: Relative gap up to which a program solved to the end counts as optimal.
REL_GAP = 1e-6


class Reason(StrEnum):
    """Why a method stopped."""

    OPTIMAL = "optimal"
    LIMIT = "limit"


@dataclass(frozen=True)
class Termination:
    """Why a method stopped, apart from how good the result is.

    Attributes
    ----------
    reason
        ``optimal`` only if both bounds are known and meet the requested gap.
    limit
        The limit that was hit, or None.
    detail
        One sentence.
    """

    reason: Reason
    limit: Limit | None = None
    detail: str = ""

    def to_dict(self) -> dict[str, str | None]:
        """Plain values."""
        return {
            "reason": self.reason.value,
            "limit": None if self.limit is None else self.limit.value,
            "detail": self.detail,
        }


class Of(StrEnum):
    """The problem that a value or a bracket is about."""

    TREE = "tree"
    LATTICE = "lattice"
    PROCESS = "process"
    #: Given paths, one as likely as the other.
    PATHS = "paths"
    #: A deterministic program: a network, a campaign.
    PROGRAM = "program"


class Kind(StrEnum):
    """What stands behind a bracket, from the strongest to the weakest.

    ``certified``: proven by arithmetic of our own, up to rounding: a plan evaluated, and a dual bound by weak duality
    or an exact recursion over finitely many nodes. ``exact``: a closed form or a recursion on the process, up to the
    error of integration, which is estimated. ``bounded``: the value lies between two that are exact or certified, such
    as a plan's own and a relaxation's; the width is what is not known, no error of integration. ``solver``: the bound
    of a solver's branch and cut, which holds within its tolerances. ``statistical``: covers the value in a share of
    samples, the confidence that was asked for; tables and JSON then say that share, as ``95 %``. What has no
    uncertainty in it is never statistical.
    """

    CERTIFIED = "certified"
    EXACT = "exact"
    BOUNDED = "bounded"
    SOLVER = "solver"
    STATISTICAL = "statistical"

    def label(self, confidence: float) -> str:
        """Its word in tables and JSON; of a statistical bracket its confidence, as ``95 %``."""
        return f"{100 * confidence:.6g} %" if self is Kind.STATISTICAL else self.value


@dataclass(frozen=True)
class Bounds:
    """Bracket of the optimal value of one problem, $.

    Attributes
    ----------
    lower, upper
        ``lower ≤ optimum ≤ upper``; one of them is the worth of something in hand.
    kind
        What stands behind the bracket.
    of
        The problem that it brackets. A tree or a lattice stands for the process and is not the process.
    flows
        Size of the sums of money that the value is a difference of, $: rounding is relative to them. An upper bound
        that is below the lower one by no more than rounding is raised to it.
    confidence
        Share of samples in which a statistical bracket holds the value.

    Raises
    ------
    BoundsError
        If the bounds cross by more than rounding.
    """

    lower: float
    upper: float
    kind: Kind
    of: Of
    flows: float = 0.0
    confidence: float = 0.95

    def __post_init__(self) -> None:
        require_order("lower bound", self.lower, "upper bound", self.upper, self.flows)
        object.__setattr__(self, "upper", max(self.lower, self.upper))

    @classmethod
    def point(cls, value: float, kind: Kind, of: Of, flows: float = 0.0) -> Bounds:
        """Bracket without width."""
        return cls(value, value, kind, of, flows)

    @classmethod
    def of_plan(
        cls, value: float, limit: float, sign: float, kind: Kind, of: Of, flows: float, *, slack: float = 0.0
    ) -> Bounds:
        """Bracket between a plan in hand and what no plan can better.

        Parameters
        ----------
        sign
            1 where the problem is maximised, −1 where it is minimised.
        slack
            Share of ``flows`` by which a plan may seem better than it can be, because it keeps its rows to a solver's
            tolerances only.
        """
        low, high = (value, limit) if sign > 0 else (limit, value)
        if low > high and low - high <= slack * max(1.0, flows):
            low, high = high, low
        return cls(low, high, kind, of, flows)

    @property
    def certified(self) -> bool:
        """Whether both sides are proven."""
        return self.kind is Kind.CERTIFIED

    @property
    def gap(self) -> float:
        """See `relative_gap`."""
        return relative_gap(self.lower, self.upper, self.flows)

    def meets(self, rel_gap: float) -> bool:
        """Whether the gap is at most ``rel_gap``, or no more than rounding."""
        return self.gap <= rel_gap or self.upper - self.lower <= ROUNDING * self.flows

    def negative(self) -> Bounds:
        """Bracket of minus the value: what is worth becomes what it costs."""
        return replace(self, lower=-self.upper, upper=-self.lower)

    def minus(self, other: Bounds) -> Bounds:
        """Bracket of a difference of two values of one problem, as weak as the weaker of the two.

        Raises
        ------
        BoundsError
            If they are about different problems: a difference of a tree's and the process' value is neither's.
        """
        if self.of is not other.of:
            raise BoundsError(f"of: a value of the {self.of} cannot be compared with one of the {other.of}")
        weaker = max(self.kind, other.kind, key=list(Kind).index)
        return Bounds(
            self.lower - other.upper,
            self.upper - other.lower,
            weaker,
            self.of,
            max(self.flows, other.flows),
            min(b.confidence for b in (self, other) if b.kind is weaker),
        )

    @property
    def label(self) -> str:
        """What stands behind the bracket, in a word: see `Kind.label`."""
        return self.kind.label(self.confidence)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return {
            "lower": self.lower,
            "upper": self.upper,
            "gap": self.gap,
            "certified": self.certified,
            "kind": self.label,
            "of": self.of.value,
        }


def require_order(low_name: str, low: float, high_name: str, high: float, flows: float) -> None:
    """Raise `BoundsError` unless ``low ≤ high`` up to rounding."""
    slack = ROUNDING * max(1.0, abs(low), abs(high), flows)
    if not low <= high + slack:  # also refuses NaN
        raise BoundsError(f"bounds cross: {low_name} {low!r} exceeds {high_name} {high!r}")


def relative_gap(lower: float, upper: float, flows: float = 0.0) -> float:
    """(upper − lower) / max(abs(lower), abs(upper), 0.001 flows): 0 where all are 0, infinite while one is unknown.

    Every gap that is printed or that ends a run is this one.

    Parameters
    ----------
    flows
        Size of the sums of money that the value is a difference of; without it a value near 0 never has a small gap.
    """
    if not (np.isfinite(lower) and np.isfinite(upper)):
        return float("inf")
    scale = max(abs(lower), abs(upper), NEAR_ZERO * flows)
    return (upper - lower) / scale if scale > 0 else 0.0


P_co = TypeVar("P_co", bound=Plan, covariant=True)
R = TypeVar("R", bound=Policy)


@dataclass(frozen=True, eq=False)
class Result(Shown, Generic[P_co]):
    """Outcome of one method on one case.

    Attributes
    ----------
    method
        Name of the method.
    objective
        Value of the plan: of the lunar problem net present value, $ (maximised).
    bounds
        Bracket of the optimum of the problem that the method solves.
    plan
        The plan that was found: a `TreePlan` of the methods on trees, a policy of the others.
    timings
        Seconds per step.
    solver
        Name and version, or ``closed form``.
    iterations
        Log of an iterative method.
    sense
        Of the problem.
    """

    method: str
    objective: float
    bounds: Bounds
    termination: Termination
    plan: P_co
    timings: Mapping[str, float]
    solver: str
    iterations: tuple[LogLine, ...] = ()
    sense: Literal["maximise", "minimise"] = "maximise"
    versions: Mapping[str, str] = field(default_factory=lambda: versions())

    @cached_property
    def deployments(self) -> pd.DataFrame:
        """Tidy table of the plan, on a tree: node, stage, year, quantity, value, unit, probability."""
        return self.plan.to_frame()

    @property
    def log(self) -> pd.DataFrame:
        """The iteration log, a line per iteration: number, seconds, lower, upper ($), gap and what the method adds."""
        import pandas as pd

        return pd.DataFrame([vars(line) for line in self.iterations])

    @property
    def first_stage(self) -> dict[str, float]:
        """What is decided at the root: of the lunar problem deployments, kg, ``dM0`` to ``dM{L}``."""
        return self.plan.first_stage

    def policy(self: Result[PlanOf[R]], mapping: str | None = None, name: str | None = None) -> R:
        """Turn the plan into a policy for simulation.

        Parameters
        ----------
        mapping
            How a plan on a tree acts between nodes, see `stochisru.lunar.strategies.tree_policy` (scaled if not given).
            Other plans know what to do everywhere and take no mapping.
        name
            Name of the strategy; the method's if not given.

        Raises
        ------
        InputError
            If the mapping is unknown, or the plan takes none.
        """
        for what, word in (("name", name), ("mapping", mapping)):
            if word is not None:
                require_kind(what, word, str, "a word")
        return self.plan.policy(name or self.method, mapping)

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the keys of ``docs/cli.md``."""
        return {
            "case": self.plan.case.name,
            "method": self.method,
            "sense": self.sense,
            "unit": "$",
            "objective": self.objective,
            "bounds": self.bounds,
            "termination": self.termination,
            "first_stage": self.first_stage,
            "seconds": sum(self.timings.values()),
            "timings": dict(self.timings),
            "solver": self.solver,
            **({"iterations": self.log} if self.iterations else {}),
            **self.plan.size,
            **self.plan.details,
            "versions": dict(self.versions),
        }

    def __repr__(self) -> str:
        return (
            f"Result({self.method}: {self.objective:,.0f} $, {self.sense}, bounds of the {self.bounds.of} "
            f"[{self.bounds.lower:,.0f}, {self.bounds.upper:,.0f}], gap {self.bounds.gap:.2g}, "
            f"{self.termination.reason})"
        )


_REPORTED = ("stochisru", "numpy", "scipy", "highspy", "pyomo", "mpi-sppy", "pandas", "xarray")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for name in _REPORTED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
