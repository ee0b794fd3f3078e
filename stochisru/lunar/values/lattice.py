"""Values of information and flexibility on a Markov lattice: exact on the lattice, but for wait-and-see.

A lattice has more years than a tree, and more of the process' extremes; its values are still its own, and stand beside
its distance to the process. Perfect information is simulated on paths of the lattice, with the plan of the lattice,
whose value is known, as control variate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.lattice import MarkovLattice
from scenario_trees.protocols import Sampler
from stochisru.files import plainly
from stochisru.lunar.case import DeploymentCase, require_case
from stochisru.lunar.exact.in_advance import foresight_is_concave, open_loop, perfect_information
from stochisru.lunar.exact.wait_and_see import foresight_sample
from stochisru.lunar.information import flows
from stochisru.lunar.operations import MeritOrder, discount_factors
from stochisru.lunar.simulation import npv_on_paths
from stochisru.lunar.simulation.outcome import demand_kurtosis
from stochisru.lunar.solving import made_for
from stochisru.lunar.values.table import MEANING, Differences, values_frame
from stochisru.methods.registry import method_for
from stochisru.methods.result import ROUNDING, Bounds, Kind, Of, Result, versions
from stochisru.protocols import Plan
from stochisru.shown import Shown
from stochisru.simulation.estimators import mean_estimate, shifted, why_no_mean
from stochisru.simulation.sampling import Sampling

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class LatticeValues(Differences, Shown):
    """Values of a case on a lattice, each with its bracket, in $ (maximised): the lattice's, not the process'.

    Attributes
    ----------
    recourse
        The optimum on the lattice.
    paths, foresight_paths
        Paths of the lattice behind ``ws``: drawn, and on which perfect information was solved.
    """

    case: DeploymentCase
    lattice: MarkovLattice
    ws: Bounds
    rp: Bounds
    static: Bounds
    fixed: Bounds
    nothing: Bounds
    ev: Bounds
    eev: Bounds
    recourse: Result[Plan]
    paths: int
    foresight_paths: int
    seed: int
    sampler: str
    confidence: float

    def point(self, name: str) -> float:
        """Middle of the bracket of one value."""
        bounds = self.bracket(name)
        return 0.5 * (bounds.lower + bounds.upper)

    def to_frame(self) -> pd.DataFrame:
        """One row per value: value, lower, upper ($), kind, of, unit, sense, meaning."""
        return values_frame([(name, self.point(name), self.bracket(name), text) for name, text in MEANING.items()])

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON: the keys of ``docs/cli.md``, brackets beside them."""
        return {
            "case": self.case.name,
            "horizon": self.case.horizon.T,
            **self.entries(Of.LATTICE),
            "method": self.recourse.method,
            "states": sum(self.lattice.sizes),
            "paths": self.paths,
            "foresight_paths": self.foresight_paths,
            "seed": self.seed,
            "sampler": self.sampler,
            "confidence": self.confidence,
            "versions": versions(),
        }

    def __repr__(self) -> str:
        values = ", ".join(f"{name} {self.point(name):,.0f}" for name in MEANING)
        return f"LatticeValues({self.case.name}, {self.lattice!r}, $ of the lattice, maximised: {values})"


def _plan_value(case: DeploymentCase, lattice: MarkovLattice, deployment: Array) -> float:
    """Expected NPV on the lattice, $, of ΔM_0..ΔM_T held in all states, operations free."""
    merit, kept = MeritOrder.of(case), 1 - case.technology.degradation
    plant, cash = case.technology.M0, np.empty(deployment.size)
    for t, (value, probability) in enumerate(zip(lattice.values, lattice.probabilities, strict=True)):
        plant = (kept if t else 1.0) * plant + deployment[t]
        profit = merit.profit(np.full(value.size, case.technology.eta * plant), value)
        cash[t] = probability @ profit - case.costs.c_op * plant
    return float(discount_factors(case) @ (cash - case.investment(deployment)))


def lattice_values(
    case: DeploymentCase,
    *,
    states: int | None = None,
    paths: int = 16_384,
    seed: int = 0,
    sampler: Sampler | str = "sobol",
    confidence: float = 0.95,
    progress: Callable[[str], None] | None = None,
) -> LatticeValues:
    """Compute all values of a case on its lattice.

    Parameters
    ----------
    states
        States per stage; what suits the method ``lattice-dp`` if not given.
    paths, seed, sampler, confidence
        Paths of the lattice for wait-and-see, see `stochisru.simulate`.
    progress
        Called with the name of each step.

    Raises
    ------
    InputError
        If an argument is out of range, or the case has no exact levels.
    BoundsError
        If brackets cross.

    Examples
    --------
    >>> from stochisru import load_case
    >>> from stochisru.lunar.values.lattice import lattice_values
    >>> values = lattice_values(load_case("lunar-reference").replace(T=20), states=20, paths=2048)
    >>> values.eev.lower < values.static.lower < values.rp.lower < values.ws.lower
    True
    """
    require_case(case)
    source = Sampling(paths, seed, sampler, confidence=confidence).at_least(2).source
    method = method_for("lattice-dp", case)
    say = progress or (lambda _: None)
    lattice = made_for(case, method, states)
    assert isinstance(lattice, MarkovLattice)
    say("rp")
    recourse = method.solve(case, lattice, method.options())
    say("static, fixed, ev, eev")
    size = flows(case, lattice)
    law = list(lattice.values), list(lattice.probabilities)
    mean = [np.array([m]) for m in lattice.stage_mean()]
    best = {
        "static": open_loop(case, *law),
        "fixed": open_loop(case, *law, allowed=np.arange(case.horizon.T + 1) == 0),
        "ev": open_loop(case, mean, [np.ones(1)] * len(mean)),
    }

    def known(lower: float, upper: float) -> Bounds:
        return Bounds(lower, upper, Kind.CERTIFIED, Of.LATTICE, size)

    simulated = Kind.STATISTICAL if max(lattice.sizes) > 1 else Kind.CERTIFIED  # one path is no sample
    held = {name: _plan_value(case, lattice, plan.deployment) for name, plan in best.items()}
    nothing = _plan_value(case, lattice, np.zeros(case.horizon.T + 1))
    say("ws")
    walk = lattice.sample(paths, seed=seed, sampler=source)
    demand = np.stack([values[state] for values, state in zip(lattice.values, walk, strict=True)])
    chosen, units = foresight_sample(source.units(paths))
    seen = None
    if lattice.others is not None:
        seen = np.stack([other[state] for other, state in zip(lattice.others, walk[:, chosen], strict=True)])
    control = npv_on_paths(case, recourse.policy(), demand[:, chosen], seen)
    foresight = perfect_information(case, np.ascontiguousarray(demand[:, chosen]))[0]
    estimate = shifted(mean_estimate(foresight - control, units, confidence), recourse.objective)
    ws = Bounds(estimate.lower, estimate.upper, simulated, Of.LATTICE, size, confidence)
    if foresight_is_concave(case):  # the mean path bounds WS (Jensen), and RP knows less
        floor, ceiling = recourse.bounds.lower, best["ev"].value + ROUNDING * size
        lower, upper = max(ws.lower, floor), min(ws.upper, ceiling)
        heavy = why_no_mean(chosen.size, demand_kurtosis(case))
        ws = (
            known(floor, ceiling)
            if heavy or not lower <= upper
            else Bounds(lower, upper, simulated, Of.LATTICE, size, confidence)
        )
    return LatticeValues(
        case=case,
        lattice=lattice,
        ws=ws,
        rp=recourse.bounds,
        static=known(held["static"], best["static"].value),
        fixed=known(held["fixed"], best["fixed"].value),
        nothing=known(nothing, nothing),
        ev=known(best["ev"].value, best["ev"].value),
        eev=known(held["ev"], held["ev"]),
        recourse=recourse,
        paths=paths,
        foresight_paths=chosen.size,
        seed=seed,
        sampler=source.name,
        confidence=confidence,
    )
