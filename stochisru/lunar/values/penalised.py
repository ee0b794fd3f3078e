"""Both ends of RP on the process from one sample: a policy from below, perfect information at a price from above.

Both are measured with the same penalty (`stochisru.lunar.exact.layer_relaxation`): the policy's NPV less what its own
plant would pay has the mean of its NPV and hardly varies. Each end is that of a confidence interval of the level asked
for, so that both hold together as often as that. Where there are several bounds from above, one is chosen on a few
paths of their own: the least of several ends of intervals would be too low too often.

Where regimes are hidden, the bound is that of those who see them: whoever knows more earns no less.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.processes import HiddenRegimes
from stochisru.estimate import Estimate
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.in_advance import why_not_in_advance
from stochisru.lunar.exact.layer_relaxation import LayerRelaxation, why_no_layer_relaxation
from stochisru.lunar.exact.wait_and_see import foresight_sample, wait_and_see_on_paths
from stochisru.lunar.simulation.block import simulate_block
from stochisru.lunar.simulation.drawing import drawn_paths
from stochisru.lunar.simulation.following import follow
from stochisru.lunar.strategies.protocol import Strategy
from stochisru.simulation.estimators import mean_estimate
from stochisru.simulation.sampling import Sampling

#: Paths that are enough; where costs are not linear, which takes longer; and those on which a bound is chosen.
PATHS, _LUMPY, _FEW = 4096, 1024, 256


def other_seed(seed: int) -> int:
    """Seed of pilot paths."""
    return int(np.random.SeedSequence(seed, spawn_key=(1,)).generate_state(1)[0])


@dataclass(frozen=True)
class Ends:
    """Estimates of two means between which RP lies, $: of a policy's NPV, and of what those earn who know and pay."""

    policy: Estimate
    known: Estimate


@dataclass(frozen=True, eq=False)
class _Drawn:
    """Paths of a sample, what is seen beside demand, the sizes of their independent groups, and the sample's seed."""

    demand: Array
    seen: Array | None
    units: Index
    seed: int

    @classmethod
    def of(cls, case: DeploymentCase, sample: Sampling, most: int) -> _Drawn:
        """The first paths of a sample."""
        chosen, units = foresight_sample(sample.source.units(sample.paths), most)
        demand, seen = drawn_paths(case, sample.paths, sample.seed, sample.source)
        beside = None if seen is None else seen[:, chosen]
        return cls(np.ascontiguousarray(demand[:, chosen]), beside, units, sample.seed)

    def linear(self, relaxation: LayerRelaxation) -> Array:
        """What whoever knows and pays earns under linear costs."""
        return relaxation.known(self.demand, self.seen, seed=self.seed)

    def lumpy(self, relaxation: LayerRelaxation, case: DeploymentCase) -> Array:
        """The same under the costs of a case."""
        return relaxation.known_with(case, self.demand, self.seen)


def revealed(case: DeploymentCase) -> tuple[tuple[float, DeploymentCase], ...]:
    """Cases in which regimes that nobody sees are seen, each with the probability that it begins so; else itself."""
    process = case.process
    if not isinstance(process, HiddenRegimes):
        return ((1.0, case),)
    told = {"kind": "regimes", **{name: getattr(process, name) for name in ("drifts", "volatilities", "switching")}}
    begins = enumerate(process.prior)
    return tuple((chance, case.replace(process={**told, "regime": i})) for i, chance in begins if chance > 0)


def why_no_price(case: DeploymentCase) -> str | None:
    """Why there is no bound at a price, in one sentence, or None where there is one."""
    if case.is_certain:
        return "demand: is certain, knowing it is worth nothing"
    return why_no_layer_relaxation(revealed(case)[0][1].linear_bound)


def at_a_price(case: DeploymentCase, sample: Sampling, kurtosis: float | None = None) -> Estimate | None:
    """Mean of what those earn who know the path and pay for it, $: None of a case without such a bound.

    Costs that are not linear count in full where the best plan of a path is known for them and that bounds better; else
    as those of `DeploymentCase.linear_bound`.

    Parameters
    ----------
    kurtosis
        As in `stochisru.simulation.metrics.mean_estimate`.
    """
    if why_no_price(case) is not None:
        return None
    cases = revealed(case)
    if len(cases) == 1:
        return _at_a_price(cases[0][1], sample, kurtosis)
    parts = []
    for number, (chance, known) in enumerate(cases):
        own = np.random.SeedSequence(sample.seed, spawn_key=(2, number)).generate_state(1)[0]
        parts.append((chance, _at_a_price(known, replace(sample, seed=int(own)), kurtosis)))
    chances = np.array([chance for chance, _ in parts])
    value, error, lower, upper = (
        chances * np.array([getattr(e, name) for _, e in parts])
        for name in ("value", "standard_error", "lower", "upper")
    )
    below, above = np.hypot.reduce(value - lower), np.hypot.reduce(upper - value)  # the samples are independent
    total, reason = float(value.sum()), next((e.reason for _, e in parts if e.reason), "")
    return Estimate(total, float(np.hypot.reduce(error)), total - float(below), total + float(above), reason)


def _at_a_price(case: DeploymentCase, sample: Sampling, kurtosis: float | None) -> Estimate:
    """`at_a_price` of a case in which all is seen that the layers need."""
    relaxation = LayerRelaxation(case.linear_bound)
    lumpy = not case.is_linear and why_not_in_advance(case) is None
    if lumpy:
        pilot = _Drawn.of(case, replace(sample, paths=_FEW, seed=other_seed(sample.seed)), _FEW)
        lumpy = bool(pilot.lumpy(relaxation, case).mean() < pilot.linear(relaxation).mean())
    drawn = _Drawn.of(case, sample, _LUMPY if lumpy else PATHS)
    known = drawn.lumpy(relaxation, case) if lumpy else drawn.linear(relaxation)
    return mean_estimate(known, drawn.units, sample.confidence, kurtosis)


def penalised_ends(case: DeploymentCase, policy: Strategy, sample: Sampling) -> Ends | None:
    """Both ends on the first paths of a sample; None where `why_no_price` says why.

    Costs that are not linear count in full for the policy.
    """
    known = at_a_price(case, sample)
    if known is None:
        return None
    drawn = _Drawn.of(case, sample, PATHS)
    npv = simulate_block(case, [policy], drawn.demand, drawn.units, 0, 0, drawn.seen).npv[0]
    if why_no_layer_relaxation(case.linear_bound) is not None:  # only whoever sees more has a price to pay
        return Ends(mean_estimate(npv, drawn.units, sample.confidence), known)
    relaxation = LayerRelaxation(case.linear_bound)
    plant = np.stack([plant for _, plant in follow(case, policy, drawn.demand, drawn.seen)])
    own = npv - relaxation.control(drawn.demand, drawn.seen, plant)
    return Ends(mean_estimate(own, drawn.units, sample.confidence), known)


def nearer(worth: Estimate, ends: Ends | None) -> Estimate:
    """Of two estimates of a policy's mean the one with the smaller error."""
    return worth if ends is None or not ends.policy.standard_error < worth.standard_error else ends.policy


def best_above(case: DeploymentCase, foresight: Estimate, ends: Ends | None, sample: Sampling) -> Estimate:
    """Of perfect information for nothing and at a price the one that bounds RP better, on a few paths of their own."""
    if ends is None:
        return foresight
    if case.is_linear or why_not_in_advance(case) is not None:
        return ends.known
    few = replace(sample, paths=_FEW, seed=other_seed(sample.seed))
    paying = at_a_price(case, few)
    free = wait_and_see_on_paths(case, np.arange(_FEW), few).mean()
    return ends.known if paying is not None and paying.value <= free else foresight
