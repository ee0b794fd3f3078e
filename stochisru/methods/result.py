"""What every solution method returns: value, bounds, termination, plan.

All problems maximise net present value in dollars, so the lower bound is what an implementable plan is worth
and the upper bound what no plan can exceed.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from importlib import metadata
from typing import TYPE_CHECKING, Any

from stochisru.errors import BoundsError

if TYPE_CHECKING:
    import pandas as pd

    from stochisru.deployment.tree_program import TreePlan
    from stochisru.methods.ph_monitor import Iteration
    from stochisru.strategies.protocol import Strategy

#: Two evaluations of one number may differ by this share of the sums that it is the difference of.
ROUNDING = 1e-11
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
    limit: str | None = None
    detail: str = ""


@dataclass(frozen=True)
class Bounds:
    """Bracket of an optimal value, $.

    Attributes
    ----------
    lower, upper
        ``lower ≤ optimum ≤ upper``; the lower bound is the worth of something in hand.
    certified
        Whether both sides are proven: an implementable plan evaluated, and a valid dual bound (up to
        rounding).
    flows
        Size of the sums of money that the value is a difference of, $: rounding is relative to them. An upper bound
        that is below the lower one by no more than rounding is raised to it.

    Raises
    ------
    BoundsError
        If the bounds cross by more than rounding.
    """

    lower: float
    upper: float
    certified: bool
    flows: float = 0.0

    def __post_init__(self) -> None:
        require_order("lower bound", self.lower, "upper bound", self.upper, self.flows)
        object.__setattr__(self, "upper", max(self.lower, self.upper))

    @classmethod
    def exact(cls, value: float, flows: float = 0.0) -> Bounds:
        """Bounds of a value in closed form."""
        return cls(value, value, certified=True, flows=flows)

    @property
    def gap(self) -> float:
        """(upper − lower) / max(abs(lower), abs(upper)), 0 where both are 0."""
        scale = max(abs(self.lower), abs(self.upper))
        return (self.upper - self.lower) / scale if scale > 0 else 0.0

    def meets(self, rel_gap: float) -> bool:
        """Whether the gap is at most ``rel_gap``, or no more than rounding."""
        return self.gap <= rel_gap or self.upper - self.lower <= ROUNDING * self.flows

    def minus(self, other: Bounds) -> Bounds:
        """Bracket of a difference."""
        return Bounds(
            self.lower - other.upper,
            self.upper - other.lower,
            self.certified and other.certified,
            max(self.flows, other.flows),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return {"lower": self.lower, "upper": self.upper, "gap": self.gap, "certified": self.certified}


def require_order(low_name: str, low: float, high_name: str, high: float, flows: float) -> None:
    """Raise `BoundsError` unless ``low ≤ high`` up to rounding."""
    slack = ROUNDING * max(1.0, abs(low), abs(high), flows)
    if not low <= high + slack:  # also refuses NaN
        raise BoundsError(f"bounds cross: {low_name} {low!r} exceeds {high_name} {high!r}")


@dataclass(frozen=True, eq=False)
class Result:
    """Outcome of one method on one case.

    Attributes
    ----------
    method
        Name of the method.
    objective
        Net present value of the plan, $ (maximised).
    bounds
        Bracket of the optimum of the problem that the method solves.
    plan
        Deployments and operations on the tree.
    timings
        Seconds per step.
    solver
        Name and version, or ``closed form``.
    iterations
        Log of an iterative method.
    """

    method: str
    objective: float
    bounds: Bounds
    termination: Termination
    plan: TreePlan
    timings: Mapping[str, float]
    solver: str
    iterations: tuple[Iteration, ...] = ()
    versions: Mapping[str, str] = field(default_factory=lambda: versions())

    @cached_property
    def deployments(self) -> pd.DataFrame:
        """Tidy table: node, stage, year, quantity, value, unit, probability."""
        return self.plan.to_frame()

    @property
    def log(self) -> pd.DataFrame:
        """The iteration log: number, seconds, lower, upper, gap, residuals (kg), rho_scale."""
        import pandas as pd

        return pd.DataFrame([{**vars(line), "gap": line.gap} for line in self.iterations])

    @property
    def first_stage(self) -> dict[str, float]:
        """Deployments decided at the root, kg: ``dM0`` to ``dM{L}``."""
        tree = self.plan.tree
        years = range(min(self.plan.case.horizon.lead_time, tree.horizon) + 1)
        return {f"dM{t}": float(self.plan.deployment[tree.offsets[t]]) for t in years}

    def policy(self, mapping: str = "scaled", name: str | None = None) -> Strategy:
        """Turn the plan into a strategy for simulation.

        Parameters
        ----------
        mapping
            How to act between nodes: see `stochisru.strategies.tree_policy`.
        name
            Name of the strategy; the method's if not given.

        Raises
        ------
        InputError
            If the mapping is unknown.
        """
        from stochisru.strategies.tree_policy import TreePolicy

        return TreePolicy(plan=self.plan, mapping=mapping, name=name or self.method)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the keys of ``docs/cli.md``."""
        return {
            "case": self.plan.case.name,
            "method": self.method,
            "sense": "maximise",
            "unit": "$",
            "objective": self.objective,
            "bounds": self.bounds.to_dict(),
            "termination": {
                "reason": self.termination.reason.value,
                "limit": self.termination.limit,
                "detail": self.termination.detail,
            },
            "first_stage": self.first_stage,
            "seconds": sum(self.timings.values()),
            "timings": dict(self.timings),
            "solver": self.solver,
            **({"iterations": self.log.to_dict("records")} if self.iterations else {}),
            "nodes": self.plan.tree.n_nodes,
            "leaves": self.plan.tree.n_leaves,
            "versions": dict(self.versions),
        }

    def __repr__(self) -> str:
        return (
            f"Result({self.method}: {self.objective:,.0f} $, maximise, bounds [{self.bounds.lower:,.0f}, "
            f"{self.bounds.upper:,.0f}], gap {self.bounds.gap:.2g}, {self.termination.reason})"
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
