"""SDDP's cuts as a policy on any path: the year's program at the factor that is seen, and the nearest state's cuts.

What is decided and operated keeps the rows of the year at the factor itself, not at that of a state of the lattice. Of
the future it knows what the nearest state's cuts say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.lattice import MarkovLattice
from stochisru.errors import InputError
from stochisru.problem.information import Recourse
from stochisru.problem.lattice_plan import ModelCutPlan
from stochisru.problem.lattice_sheet import LatticeSheet
from stochisru.problem.on_lattice import Key, ModelStages
from stochisru.problem.policies.protocol import Seen, require_suits
from stochisru.programs.stage import Stage
from stochisru.programs.stage_model import StageModel


@dataclass(frozen=True, eq=False)
class ByCuts:
    """The plan of `stochisru.sddp` for a model.

    Attributes
    ----------
    plan
        Its cuts.
    """

    plan: ModelCutPlan
    name: str = "sddp"

    def __post_init__(self) -> None:
        lattice = self.plan.programs.lattice
        if lattice.others is not None:
            raise InputError(
                f"policy: cuts are followed on one factor alone, the states of the lattice differ by "
                f"{', '.join(lattice.names[1:])} too"
            )

    def decide(self, seen: Seen) -> dict[str, Array]:
        """Decisions and operations of the year: the best for its cash and the cuts."""
        require_suits(self.name, self.plan.programs.model, seen.model)
        t = seen.year
        (factor,) = seen.factors.values()
        programs = self.plan.programs
        lattice, state = self._lattice(t, factor)
        stage = _StagesSeen(programs.model, lattice, programs).at(t, state)
        entering = np.array([self._amount(seen, *key) / programs.unit(key) for key in programs.entering[t]])
        entering = entering.reshape(len(programs.entering[t]), seen.paths)
        columns = np.empty((stage.columns, seen.paths))
        alike = t == 0 and bool((factor[0] == factor[0, 0]).all())
        for p in range(1 if alike else seen.paths):
            model = StageModel(stage, p)
            if t < programs.horizon:
                model.add(*self.plan.scaled_cuts(t, int(state[p])))
            columns[:, p], _ = model.solve(entering[:, p], epoch=0)
        if alike:
            columns[:] = columns[:, :1]
        amount = {key: columns[j] * programs.unit(key) for j, key in enumerate(programs.own[t])}
        found = {name: np.stack([amount[name, year] for year in years]) for name, years in seen.due.items()}
        found |= {part.name: amount[part.name, t] for part in seen.model.operations if (part.name, t) in amount}
        return found

    def _lattice(self, t: int, factor: Array) -> tuple[MarkovLattice, Index]:
        """The lattice with what is seen in place of the states of a stage, and the state that stands for each path."""
        state = self._nearest(t, factor[t])
        return _seen(self.plan.programs.lattice, t, factor[t], state), state

    def _amount(self, seen: Seen, name: str, year: int) -> Array:
        """What is known of a part of the programs."""
        return seen.amount(name, year)

    def _nearest(self, t: int, value: Array) -> Index:
        """State of a stage whose factor is nearest to each value."""
        states = self.plan.programs.lattice.values[t]
        return np.asarray(np.searchsorted((states[1:] + states[:-1]) / 2, value))

    def describe(self) -> str:
        """The rule as one sentence."""
        size = self.plan.size
        return (
            f"Every year do what is best for its cash and the {size['cuts']:,} cuts of a lattice of up to "
            f"{size['states_per_stage']} states a year."
        )


@dataclass(frozen=True, eq=False)
class ByGrowth(ByCuts):
    """Cuts of programs whose factor is a state and grows by independent factors; see `stochisru.methods.jensen`.

    No state of a lattice stands for the factor that is seen: the cuts know it.

    Attributes
    ----------
    level
        Name of the state that is the factor.
    """

    level: str = "demand_level"

    def _lattice(self, t: int, factor: Array) -> tuple[MarkovLattice, Index]:
        lattice = self.plan.programs.lattice
        before = np.vstack([factor[:1], factor[:-1]])
        growth = np.where(before > 0, factor / np.where(before > 0, before, 1.0), 1.0)
        state = self._nearest(t, growth[t])
        found = _seen(lattice, t, growth[t], state)
        values = list(found.values)
        for s in range(t):  # bounds of the factor hold for what was seen
            ends = min(values[s][0], growth[s].min()), max(values[s][-1], growth[s].max())
            values[s] = np.concatenate([[ends[0]], values[s][1:-1], [ends[1]]]) if values[s].size > 1 else values[s]
        return replace(found, values=tuple(values)), state

    def _amount(self, seen: Seen, name: str, year: int) -> Array:
        if name != self.level:
            return super()._amount(seen, name, year)
        (factor,) = seen.factors.values()
        return np.asarray(factor[year])

    def describe(self) -> str:
        """The rule as one sentence."""
        return (
            f"Every year do what is best for its cash and the {self.plan.size['cuts']:,} cuts that know "
            "what is in place, what is ordered, and the factor."
        )


@dataclass(frozen=True, eq=False)
class _LatticeSeen:
    """A lattice on which the states of one stage are the factors that are seen."""

    values: tuple[Array, ...]
    transitions: tuple[Array, ...]
    probabilities: tuple[Array, ...]
    #: One factor is seen.
    others = None

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(value.size for value in self.values)

    @property
    def horizon(self) -> int:
        return len(self.values) - 1


def _seen(lattice: MarkovLattice, stage: int, value: Array, state: Index) -> MarkovLattice:
    """A lattice with given values in place of the states of a stage, and the futures of the states nearest to them."""
    values, transitions = list(lattice.values), list(lattice.transitions)
    probabilities = list(lattice.probabilities)
    values[stage], probabilities[stage] = value, np.full(value.size, 1 / value.size)
    if stage < lattice.horizon:
        transitions[stage] = transitions[stage][state]
    return cast("MarkovLattice", _LatticeSeen(tuple(values), tuple(transitions), tuple(probabilities)))


@dataclass(frozen=True, eq=False)
class _SheetSeen(LatticeSheet):
    """The numbers on it."""

    def __post_init__(self) -> None:
        """Nothing to check: the lattice itself was."""


@dataclass(frozen=True, eq=False)
class _StagesSeen(ModelStages):
    """The programs on it, in the units of those on the lattice."""

    programs: ModelStages

    @cached_property
    def sheet(self) -> LatticeSheet:
        """The model's numbers on it."""
        return _SheetSeen(self.model, cast("Any", self.lattice), Recourse())

    def unit(self, key: Key) -> float:
        """As on the lattice."""
        return self.programs.unit(key)

    @property
    def moneys(self) -> list[float]:
        """As on the lattice."""
        return self.programs.moneys

    def at(self, t: int, state: Index) -> Stage:
        """The program of a year, a state for every path; θ is at most what it is in the nearest state."""
        return replace(self._assemble(t), ceiling=self.programs.stages[t].ceiling[state])
