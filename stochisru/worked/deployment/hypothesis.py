"""The hypothesis that the aggressive rule is riskier and the conservative one more concentrated, and where it holds.

That is the outline's hypothesis (7.4). Three measures judge it on common paths: the standard deviation of NPV, its
lower tail (P5) and the mean of the worst 5 % (CVaR). It holds by a measure where the aggressive rule is riskier in at
least 97.5 % of resamples of the paths, fails where it is in at most 2.5 %, and is open between.

The reason is what demand does to a rule. The slope of NPV against discounted demand is what one more discounted
kilogram of demand changes: where plants serve it, what plants earn; where they do not, the cost of supply from Earth or
of shortage. The scan asks where the hypothesis holds, over the price, the cost of demand that plants do not serve, and
σ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.sampling import SAMPLERS
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.operations import discount_factors
from stochisru.lunar.simulation import Simulation, simulate
from stochisru.lunar.studies.values import case_identity
from stochisru.studies.store import Execution, Point, Row, Study, run_study

#: The two rules that the hypothesis is about: the one said to be riskier first.
RULES = ("aggressive", "conservative")
#: Measures of risk; all are larger where there is more risk.
MEASURES = ("sd", "p5_loss", "cvar_loss")
#: Multiples of P_m, of c_E and c_bu together, and of σ in the scan.
PRICE_FACTORS = (0.1, 0.25, 0.5, 1.0)
UNSERVED_FACTORS = (0.0, 0.25, 0.5, 1.0)
SIGMA_FACTORS = (0.5, 1.0, 2.0)
#: Paths per point of the scan, resamples per verdict, and the share of them that is enough for one.
SCAN_PATHS = 2000
_RESAMPLES, _ENOUGH = 200, 0.975


def risk(npv: Array) -> Array:
    """The `MEASURES` of a sample of NPV, $, along its last axis."""
    n = npv.shape[-1]
    last = int(np.ceil(0.05 * n)) - 1
    lowest = np.partition(npv, last, axis=-1)[..., : last + 1]
    low = lowest[..., last]
    tail = np.maximum(low[..., None] - lowest, 0.0).sum(axis=-1) / (0.05 * n)
    return np.stack([npv.std(axis=-1), -low, tail - low], axis=-1)


def riskier(first: Array, second: Array, units: Index, seed: int) -> Array:
    """Share of resamples in which the first of two samples on common paths is riskier, per measure.

    Parameters
    ----------
    first, second
        NPV per path, $, shape ``(n,)``.
    units
        Sizes of the independent groups of paths, which are drawn with replacement.
    """
    rng = np.random.default_rng(seed)
    groups = np.split(np.arange(first.size), np.cumsum(units)[:-1]) if units.size < first.size else None
    both = np.stack([first, second])
    larger = np.zeros(len(MEASURES))
    for _ in range(_RESAMPLES):
        drawn = rng.integers(units.size, size=units.size)
        paths = drawn if groups is None else np.concatenate([groups[g] for g in drawn])
        one, other = risk(both[:, paths])
        larger += (one > other) + 0.5 * (one == other)  # twins are neither
    return larger / _RESAMPLES


@dataclass(frozen=True)
class Exposure:
    """What demand does to the NPV of a rule.

    Attributes
    ----------
    slope
        $ per discounted kilogram more of demand (least squares over the paths).
    explained
        Share of the variance of NPV that the line explains; 0 where NPV does not vary.
    worst_demand
        Mean discounted demand of the worst 5 % of the paths, as a multiple of the mean of all.
    """

    slope: float
    explained: float
    worst_demand: float

    @classmethod
    def of(cls, npv: Array, demand: Array) -> Exposure:
        """From NPV ($) and discounted demand (kg) per path, both of which vary."""
        x, y = demand - demand.mean(), npv - npv.mean()
        slope = float((x * y).mean() / (x * x).mean())
        variance = float((y * y).mean())
        explained = slope**2 * float((x * x).mean()) / variance if variance > 0 else 0.0
        worst = np.argsort(npv, kind="stable")[: max(1, int(np.ceil(0.05 * npv.size)))]
        return cls(slope, explained, float(demand[worst].mean() / demand.mean()))


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """The hypothesis at a case and around it.

    Attributes
    ----------
    holds
        Share of resamples in which aggressive is riskier, per measure.
    exposure
        Per rule.
    unserved
        What a kilogram costs that plants do not serve, $.
    rows
        The scan: factors and values of the symbols, the measures of both rules ($), the shares of resamples, the slopes
        and the verdict.
    """

    holds: Mapping[str, float]
    exposure: Mapping[str, Exposure]
    unserved: float
    rows: tuple[Row, ...]

    @property
    def verdict(self) -> str:
        """One of "holds", "fails", "holds in part", "open"."""
        return verdict(list(self.holds.values()))

    def by(self, state: str) -> list[str]:
        """Measures by which the hypothesis "holds", "fails" or is "open"."""
        return [name for name, share in self.holds.items() if state_of(share) == state]

    def to_rows(self) -> list[Row]:
        """The hypothesis at the case itself, one row per measure and per rule's exposure to demand."""
        judged = [{"quantity": f"{name}_riskier", "value": share} for name, share in self.holds.items()]
        exposed = [
            {"quantity": f"{part}_{rule}", "value": value}
            for rule, exposure in self.exposure.items()
            for part, value in vars(exposure).items()
        ]
        return [*judged, *exposed, {"quantity": "unserved", "value": self.unserved}]


def state_of(share: float) -> str:
    """What a share of resamples says of one measure: "holds", "fails" or "open"."""
    return "holds" if share >= _ENOUGH else "fails" if share <= 1 - _ENOUGH else "open"


def verdict(shares: Sequence[float]) -> str:
    """What the measures say together: all of them, none, some, or not sure."""
    states = {state_of(x) for x in shares}
    if len(states) == 1:
        return states.pop()
    return "holds in part" if "holds" in states else "open"


def hypothesis(
    case: DeploymentCase, simulation: Simulation, *, seed: int = 0, execution: Execution | None = None
) -> Hypothesis | None:
    """Judge the hypothesis on a simulation of the case, and scan where it holds.

    Parameters
    ----------
    simulation
        Of the case, with both `RULES`; its sampler is one of `scenario_trees.sampling.SAMPLERS`.
    seed
        Of the scan and the resamples.

    Returns
    -------
    Hypothesis or None
        None where nothing is uncertain (σ = 0).

    Raises
    ------
    InputError
        If a rule is missing, or the paths were given.
    """
    missing = [name for name in RULES if name not in simulation.names]
    if missing:
        raise InputError(f"simulation: needs the strategies {' and '.join(RULES)}, has no {missing[0]}")
    if simulation.seed is None:
        raise InputError("simulation: must be of paths that are drawn of the process, got given ones")
    if case.demand.sigma == 0:
        return None
    one, other = (simulation.npv[simulation.names.index(name)] for name in RULES)
    sampler = SAMPLERS[simulation.sampler]
    demand = case.process.sample(simulation.paths, case.horizon.T, seed=simulation.seed, sampler=sampler)
    total = discount_factors(case) @ demand
    points = [
        {"price": p, "unserved": u, "sigma": s} for s, p, u in product(SIGMA_FACTORS, PRICE_FACTORS, UNSERVED_FACTORS)
    ]
    identity = {"study": "hypothesis", **case_identity(case), "paths": SCAN_PATHS, "seed": seed}
    rows = run_study(Study(identity, points, partial(_point, case, seed)), execution)
    return Hypothesis(
        holds=dict(zip(MEASURES, map(float, riskier(one, other, simulation.units, seed)), strict=True)),
        exposure={name: Exposure.of(npv, total) for name, npv in zip(RULES, (one, other), strict=True)},
        unserved=unserved_cost(case),
        rows=tuple(rows),
    )


def unserved_cost(case: DeploymentCase) -> float:
    """What a kilogram costs that plants do not serve, $: supply from Earth unless shortage is cheaper or Earth shut."""
    shut = case.costs.earth_limit == 0
    return float(case.costs.c_bu if shut else min(case.costs.c_E, case.costs.c_bu))


def _point(case: DeploymentCase, seed: int, point: Point) -> list[Row]:
    values: dict[str, Any] = {
        "P_m": case.economics.P_m * point["price"],
        "c_E": case.costs.c_E * point["unserved"],
        "c_bu": case.costs.c_bu * point["unserved"],
        "sigma": case.demand.sigma * point["sigma"],
    }
    here = case.replace(**values)
    outcome = simulate(here, list(RULES), paths=SCAN_PATHS, seed=seed)
    total = discount_factors(here) @ here.process.sample(SCAN_PATHS, here.horizon.T, seed=seed)
    shares = riskier(outcome.npv[0], outcome.npv[1], outcome.units, seed)
    row: Row = {**{f"{name}_factor": x for name, x in point.items()}, **values}
    row["unserved_cost"] = unserved_cost(here)
    for name, npv in zip(RULES, outcome.npv, strict=True):
        row |= {f"{m}_{name}": float(x) for m, x in zip(MEASURES, risk(npv), strict=True)}
        row[f"slope_{name}"] = Exposure.of(npv, total).slope
    row |= {f"{m}_riskier": float(x) for m, x in zip(MEASURES, shares, strict=True)}
    return [{**row, "verdict": verdict(list(shares))}]
