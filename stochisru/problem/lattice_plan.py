"""A plan of a model that is read off the cuts of a lattice: decisions at the root, and what every state is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import numpy as np

from scenario_trees.arrays import Array, Index
from stochisru.errors import InputError
from stochisru.estimate import Estimate
from stochisru.problem.model import Model
from stochisru.problem.on_lattice import ModelStages
from stochisru.programs.stage_model import StageModel
from stochisru.shown import PlanShown

if TYPE_CHECKING:
    import pandas as pd

    from scenario_trees.lattice import MarkovLattice
    from stochisru.problem.policies.by_cuts import ByCuts


#: What may be missing in a row, in its unit.
_MISSING = 1e-6


@dataclass(frozen=True, eq=False, repr=False)
class ModelCutPlan(PlanShown):
    """What SDDP finds of a model.

    Attributes
    ----------
    root
        Decisions at the root, in the order of `ModelStages.first_stage`.
    intercept
        Per stage 0..T−1: intercepts of the cuts of every state, discounted money, shape ``(states, cuts)``. Rows are
        filled up with infinity.
    slope
        Their slopes per unit of the state that the stage leaves (`ModelStages.entering` of the next), shape
        ``(states, cuts, d)``.
    simulated
        Mean value of the plan on fresh paths of the lattice, in the model's sense, with its confidence interval.
    """

    programs: ModelStages
    root: tuple[float, ...]
    intercept: tuple[Array, ...]
    slope: tuple[Array, ...]
    simulated: Estimate | None = None

    @property
    def case(self) -> Model:
        """The problem."""
        return self.programs.model

    @property
    def lattice(self) -> MarkovLattice:
        """The lattice."""
        return self.programs.lattice

    @property
    def first_stage(self) -> dict[str, float]:
        """Decisions at the root, by name and year of effect."""
        names = (f"{name}{year}" for name, year in self.programs.first_stage)
        return dict(zip(names, self.root, strict=True))

    @property
    def size(self) -> dict[str, int]:
        """States of the lattice, and cuts."""
        lattice = self.programs.lattice
        cuts = int(sum(np.isfinite(a).sum() for a in self.intercept))
        return {"states": sum(lattice.sizes), "states_per_stage": max(lattice.sizes), "cuts": cuts}

    @property
    def details(self) -> dict[str, Any]:
        """Process that the lattice was made from, None for one's own numbers, and the mean on fresh paths of it."""
        origin = self.programs.lattice.origin
        found: dict[str, Any] = {"origin": origin and origin.to_dict()}
        if self.simulated is not None:
            found["simulated"] = {name: getattr(self.simulated, name) for name in ("value", "lower", "upper")}
        return found

    def to_frame(self) -> pd.DataFrame:
        """One row per state of stages 0..T−1: stage, state, what is known there, probability, and number of cuts."""
        import pandas as pd

        lattice = self.programs.lattice
        rows = [
            (t, i, *known, lattice.probabilities[t][i], int(np.isfinite(self.intercept[t][i]).sum()))
            for t in range(lattice.horizon)
            for i, known in enumerate(lattice.known(t).tolist())
        ]
        return pd.DataFrame(rows, columns=["stage", "state", "value", *lattice.names[1:], "probability", "cuts"])

    def policy(self, name: str, mapping: str | None = None) -> ByCuts:
        """The plan on any paths: `stochisru.problem.policies.ByCuts`."""
        from stochisru.problem.policies.by_cuts import ByCuts

        if mapping is not None:
            raise InputError(f"mapping: a plan of cuts of {self.case.name} knows what to do everywhere and takes none")
        return ByCuts(self, name)

    def exact_value(self) -> NoReturn:
        """A plan of cuts has no value that is known without solving its programs."""
        raise InputError(f"{self.case.name}: a plan of cuts has no exact value")

    def simulate(self, paths: int = 1000, *, seed: int = 0, confidence: float = 0.95) -> Estimate:
        """Mean worth on fresh paths of the lattice (more is better), with its confidence interval."""
        worth = self.on_paths(self.programs.lattice.sample(paths, seed=seed))
        if not np.isfinite(worth).all():
            nan, broken = float("nan"), int(np.sum(~np.isfinite(worth)))
            return Estimate(-np.inf, nan, nan, nan, f"a row is broken on {broken} of {paths} paths")
        error = float(worth.std(ddof=1)) / np.sqrt(paths) if paths > 1 else np.nan
        return Estimate.of_error(float(worth.mean()), error, paths, confidence)

    def on_paths(self, states: Index) -> Array:
        """Discounted worth of the plan on paths of the lattice; see `worth_on_paths`."""
        return worth_on_paths(self, states)

    def scaled_cuts(self, t: int, i: int) -> tuple[Array, Array]:
        """Cuts of a state in the units of its program."""
        return scaled_cuts(self, t, i)


class PlanOfCuts(Protocol):
    """What a plan that is read off cuts has of them."""

    @property
    def programs(self) -> ModelStages:
        """The stage programs."""

    @property
    def intercept(self) -> tuple[Array, ...]:
        """Intercepts of the cuts; see `ModelCutPlan`."""

    @property
    def slope(self) -> tuple[Array, ...]:
        """Slopes of the cuts."""


def worth_on_paths(plan: PlanOfCuts, states: Index) -> Array:
    """Discounted worth (more is better) of a plan of cuts on paths of its lattice, shape ``(n,)``.

    Every stage program is solved on every path, so what it does is feasible to the solver's tolerances; −∞ where it
    cannot keep a row.

    Parameters
    ----------
    states
        State of every stage, shape ``(T + 1, n)``.
    """
    models: dict[tuple[int, int], StageModel] = {}
    total = np.zeros(states.shape[1])
    for p, path in enumerate(states.T):
        state = np.empty(0)
        for t, (stage, i) in enumerate(zip(plan.programs.stages, path.tolist(), strict=True)):
            if (t, i) not in models:
                models[t, i] = StageModel(stage, i)
                if t < plan.programs.horizon:
                    models[t, i].add(*scaled_cuts(plan, t, i))
            columns, _ = models[t, i].solve(state, epoch=0)
            missing = max(columns[stage.slack].max(initial=0.0), stage.broken(columns, i))
            total[p] += -np.inf if missing > _MISSING else stage.money * stage.cash(columns, i)
            state = stage.left(columns)
    return total


def scaled_cuts(plan: PlanOfCuts, t: int, i: int) -> tuple[Array, Array]:
    """Cuts of a state in the units of its program."""
    money, known = plan.programs.stages[t].money, np.isfinite(plan.intercept[t][i])
    slope = plan.slope[t][i][known] * plan.programs.state_unit(t + 1)
    return plan.intercept[t][i][known] / money, slope / money
