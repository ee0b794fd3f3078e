"""Who knows what when: an argument of every program, not a model of its own.

One `Model` under five informations gives the values of a problem: RP (`Recourse`), the static plan (`Static`), the
fixed design (`Fixed`), wait-and-see (`WaitAndSee`), and EEV_t (`Held`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError, require_integer
from stochisru.problem.coefficients import Number
from stochisru.problem.parts import Decision


@dataclass(frozen=True)
class Information:
    """The stage at which everything is decided; the base class is `Recourse` under another name."""

    def decided_at(self, year: int, lead: int, horizon: int) -> int:
        """Stage at which a decision with ``lead`` is taken that takes effect in ``year``."""
        return max(year - lead, 0)

    def operated_at(self, year: int, horizon: int) -> int:
        """Stage at which the operations of ``year`` are chosen."""
        return year

    def is_open(self, year: int) -> bool:
        """Whether decisions may take effect in ``year`` at all."""
        return True

    def require_of(self, decisions: Sequence[Decision], problem: str) -> None:
        """Raise `InputError` if it names what is none of a problem's decisions."""

    def given(self, decision: Decision, year: int, tree: ScenarioTree) -> Number | None:
        """Amount of a decision in ``year`` that is no longer free, one or one per node of the year's stage, or None."""
        return None


@dataclass(frozen=True)
class Recourse(Information):
    """RP: what takes effect in year t with lead L is decided in year max(t − L, 0)."""


@dataclass(frozen=True)
class Static(Information):
    """All decisions are taken at the root (open loop, two stages)."""

    def decided_at(self, year: int, lead: int, horizon: int) -> int:
        """The root."""
        return 0


@dataclass(frozen=True)
class Fixed(Static):
    """One decision at the root for year 0, none later."""

    def is_open(self, year: int) -> bool:
        """Year 0 only."""
        return year == 0


@dataclass(frozen=True)
class WaitAndSee(Information):
    """WS: everything is decided when all is known, scenario by scenario."""

    def decided_at(self, year: int, lead: int, horizon: int) -> int:
        """The last stage."""
        return horizon

    def operated_at(self, year: int, horizon: int) -> int:
        """The last stage."""
        return horizon


@dataclass(frozen=True)
class Held(Information):
    """EEV_t: what is decided in stages 0..``through`` is as in a plan made beforehand; later decisions are free.

    Attributes
    ----------
    plan
        Amounts in the year of effect by the name of the decision: one per year, shape ``(T + 1,)``, or one per node of
        the tree, shape ``(nodes,)``, alike at all nodes at which the decision is one.
    through
        Last stage whose decisions are held; all if not given.

    Raises
    ------
    InputError
        If the plan is no table, an amount is not a finite number, or ``through`` is no whole number >= 0.
    """

    plan: Mapping[str, ArrayLike] = field(default_factory=dict)
    through: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.plan, Mapping):
            raise InputError(f"plan: must be a table of amounts by decision, got {type(self.plan).__name__}")
        if self.through is not None:
            require_integer("through", self.through, 0)
        for name, amounts in self.plan.items():
            try:
                values = np.asarray(amounts, dtype=float)
                fine = values.ndim == 1 and bool(np.isfinite(values).all())
            except (TypeError, ValueError):
                fine = False
            if not fine:
                raise InputError(f"plan: {name!r} must be finite numbers, one per year or node, got {amounts!r}")

    def require_of(self, decisions: Sequence[Decision], problem: str) -> None:
        """Raise `InputError` if the plan names what is none of a problem's decisions."""
        names = [decision.name for decision in decisions]
        for name in self.plan:
            if name not in names:
                known = f"its decisions are {', '.join(names)}" if names else "it has none"
                raise InputError(f"plan: {name!r} is no decision of {problem}; {known}")

    def years(self, name: str, lead: int) -> int | None:
        """Number of years, from year 0 on, whose amounts of a decision are held; None if all are."""
        if name not in self.plan:
            return 0
        return None if self.through is None else self.through + lead + 1

    def given(self, decision: Decision, year: int, tree: ScenarioTree) -> Number | None:
        """The plan's amount if it is decided by then."""
        if decision.name not in self.plan or (self.through is not None and max(year - decision.lead, 0) > self.through):
            return None
        amounts = np.asarray(self.plan[decision.name], dtype=float)
        if amounts.size == tree.horizon + 1:
            return float(amounts[year])
        if amounts.size == tree.n_nodes:
            return amounts[tree.at(year)]
        raise InputError(
            f"plan: {decision.name!r} must have one amount per year, {tree.horizon + 1}, or per node, {tree.n_nodes}, "
            f"got {amounts.size}"
        )


def held(plan: Mapping[str, ArrayLike], through: int | None = None) -> Held:
    """Hold a plan; see `Held`."""
    return Held(plan, through)
