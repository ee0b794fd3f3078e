"""SDDP's cuts as a policy on any path: the year's program at the factors that are seen, and the nearest state's cuts.

What is decided and operated keeps the rows of the year at the factors themselves, not at those of a state of the
lattice. Of the future it knows what the nearest state's cuts say; distances of several factors are summed, each in
standard deviations of the stage, and a state of the same regime is nearer than any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.lattice import MarkovLattice
from stochisru.problem.information import Recourse
from stochisru.problem.lattice_plan import ModelCutPlan
from stochisru.problem.lattice_sheet import LatticeSheet
from stochisru.problem.on_lattice import Key, ModelStages
from stochisru.problem.policies.nearest import at, scales
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

    def decide(self, seen: Seen) -> dict[str, Array]:
        """Decisions and operations of the year: the best for its cash and the cuts."""
        require_suits(self.name, self.plan.programs.model, seen.model)
        t = seen.year
        programs = self.plan.programs
        lattice, state = self._lattice(seen)
        stage = _StagesSeen(programs.model, lattice, programs).at(t, state)
        entering = np.array([self._amount(seen, *key) / programs.unit(key) for key in programs.entering[t]])
        entering = entering.reshape(len(programs.entering[t]), seen.paths)
        columns = np.empty((stage.columns, seen.paths))
        alike = t == 0  # as paths are then
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

    def _lattice(self, seen: Seen) -> tuple[MarkovLattice, Index]:
        """The lattice with what is seen in place of the states of a stage, and the state that stands for each path."""
        lattice, stage, state = self.plan.programs.lattice, seen.year, self._nearest(seen)
        known = lattice.known(stage)[state]
        for name, column in seen.model.seen_among("lattice", lattice.names).items():
            if name in seen.factors or name in seen.beside:
                known[:, column] = at(seen, name, stage)
        return with_states_of(lattice, stage, known, state), state

    def _amount(self, seen: Seen, name: str, year: int) -> Array:
        """What is known of a part of the programs."""
        return seen.amount(name, year)

    def _nearest(self, seen: Seen) -> Index:
        """State of the year that is nearest to what is seen on each path."""
        lattice, t = self.plan.programs.lattice, seen.year
        values, deviation = ({name: table[t] for name, table in tables.items()} for tables in self._tables)
        told = scales(f"policy {self.name}", "lattice", seen, lattice.names, values, deviation)
        if len(told) == 1:
            ((name, (known, _)),) = told.items()
            order = np.argsort(values[known], kind="stable")
            states = values[known][order]
            return np.asarray(order[np.searchsorted((states[1:] + states[:-1]) / 2, at(seen, name, t))])
        distance = np.zeros((seen.paths, lattice.sizes[t]))
        for name, (known, weight) in told.items():
            distance += weight * np.abs(values[known] - at(seen, name, t)[:, None])
        return np.asarray(distance.argmin(axis=1))

    @cached_property
    def _tables(self) -> tuple[dict[str, list[Array]], dict[str, list[Array]]]:
        """Values of the states of each stage by name, and their standard deviations."""
        lattice = self.plan.programs.lattice
        known = [lattice.known(t) for t in range(lattice.horizon + 1)]
        values = {name: [states[:, i] for states in known] for i, name in enumerate(lattice.names)}
        return values, {name: list(map(_deviation, table, lattice.probabilities)) for name, table in values.items()}

    def describe(self) -> str:
        """The rule as one sentence."""
        size = self.plan.size
        return (
            f"Every year do what is best for its cash and the {size['cuts']:,} cuts of a lattice of up to "
            f"{size['states_per_stage']} states a year."
        )


def _deviation(values: Array, probability: Array) -> Array:
    """Standard deviation of a stage, the same for all its states."""
    return np.full(values.size, np.sqrt(probability @ (values - probability @ values) ** 2))


@dataclass(frozen=True, eq=False)
class _LatticeSeen:
    """A lattice on which the states of one stage are what is seen."""

    values: tuple[Array, ...]
    transitions: tuple[Array, ...]
    others: tuple[Array, ...] | None
    probabilities: tuple[Array, ...]
    names: tuple[str, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(value.size for value in self.values)

    @property
    def horizon(self) -> int:
        return len(self.values) - 1


def with_states_of(
    lattice: MarkovLattice, stage: int, known: Array, state: Index, values: Sequence[Array] | None = None
) -> MarkovLattice:
    """A lattice with what is seen in place of the states of a stage.

    Parameters
    ----------
    known
        What is seen, shape ``(paths, names)``.
    state
        States whose futures follow, shape ``(paths,)``.
    values
        First values of the states of all stages where they are others than the lattice's; the stage's are replaced.
    """
    values, transitions, probabilities = map(
        list, (values or lattice.values, lattice.transitions, lattice.probabilities)
    )
    others = None if lattice.others is None else list(lattice.others)
    values[stage], probabilities[stage] = known[:, 0], np.full(state.size, 1 / state.size)
    if others is not None:
        others[stage] = known[:, 1:]
    if stage < lattice.horizon:
        transitions[stage] = transitions[stage][state]
    beside = None if others is None else tuple(others)
    made = _LatticeSeen(tuple(values), tuple(transitions), beside, tuple(probabilities), lattice.names)
    return cast("MarkovLattice", made)


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
