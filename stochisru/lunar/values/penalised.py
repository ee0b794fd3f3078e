"""Both ends of RP on the process from one sample: a policy from below, perfect information at a price from above.

Both are measured with the same penalty (`stochisru.lunar.exact.layer_relaxation`): the policy's NPV less what its own
plant would pay has the mean of its NPV and hardly varies. Each end is that of a confidence interval of the level asked
for, so that both hold together as often as that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from scenario_trees.arrays import Array, Index
from stochisru.estimate import Estimate
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.in_advance import why_not_in_advance
from stochisru.lunar.exact.layer_relaxation import LayerRelaxation, why_no_layer_relaxation
from stochisru.lunar.exact.wait_and_see import foresight_sample, wait_and_see_on_paths
from stochisru.lunar.simulation.block import simulate_block
from stochisru.lunar.simulation.drawing import drawn_paths
from stochisru.lunar.simulation.following import follow
from stochisru.lunar.strategies.protocol import Strategy
from stochisru.simulation.metrics import mean_estimate
from stochisru.simulation.sampling import Sampling

#: Paths that are enough, and those on which a bound is chosen.
PATHS, _FEW = 4096, 256


def other_seed(seed: int) -> int:
    """Seed of pilot paths."""
    return int(np.random.SeedSequence(seed, spawn_key=(1,)).generate_state(1)[0])


@dataclass(frozen=True)
class Ends:
    """Estimates of two means between which RP lies, $: of a policy's NPV, and of what those earn who know and pay."""

    policy: Estimate
    known: Estimate


def nearer(worth: Estimate, ends: Ends | None) -> Estimate:
    """Of two estimates of a policy's mean the one with the smaller error."""
    return worth if ends is None or not ends.policy.standard_error < worth.standard_error else ends.policy


def best_above(case: DeploymentCase, foresight: Estimate, ends: Ends | None, sample: Sampling) -> Estimate:
    """Of perfect information for nothing and at a price the one that bounds RP better.

    At a price it is that of linear costs. Where costs are not linear and perfect information is solved with them, the
    better one is chosen on a few paths of their own: the lower of two ends of intervals would be too low too often.
    """
    if ends is None:
        return foresight
    if case.is_linear or why_not_in_advance(case) is not None:
        return ends.known
    few = replace(sample, paths=_FEW, seed=other_seed(sample.seed))
    free = wait_and_see_on_paths(case, np.arange(_FEW), few)
    demand, seen = drawn_paths(case, _FEW, few.seed, few.source)
    paying = LayerRelaxation(case.linear_bound).known(demand, seen, seed=few.seed)
    return foresight if free.mean() < paying.mean() else ends.known


def _drawn(case: DeploymentCase, sample: Sampling) -> tuple[LayerRelaxation, Array, Array | None, Index] | None:
    """The penalty, the first paths of a sample, what is seen beside demand, and the sizes of their groups."""
    linear = case.linear_bound
    if case.is_certain or why_no_layer_relaxation(linear) is not None:
        return None
    chosen, units = foresight_sample(sample.source.units(sample.paths), PATHS)
    demand, seen = drawn_paths(case, sample.paths, sample.seed, sample.source)
    beside = None if seen is None else seen[:, chosen]
    return LayerRelaxation(linear), np.ascontiguousarray(demand[:, chosen]), beside, units


def at_a_price(case: DeploymentCase, sample: Sampling, kurtosis: float | None = None) -> Estimate | None:
    """Mean of what those earn who know the path and pay for it, $: none of a case without a penalty.

    Costs that are not linear count as those of `DeploymentCase.linear_bound`.

    Parameters
    ----------
    kurtosis
        As in `stochisru.simulation.metrics.mean_estimate`.
    """
    drawn = _drawn(case, sample)
    if drawn is None:
        return None
    relaxation, demand, seen, units = drawn
    return mean_estimate(relaxation.known(demand, seen, seed=sample.seed), units, sample.confidence, kurtosis)


def penalised_ends(case: DeploymentCase, policy: Strategy, sample: Sampling) -> Ends | None:
    """Both ends on the first paths of a sample; None where nothing is uncertain, or there is no penalty for the case.

    Costs that are not linear count in full for the policy.
    """
    drawn = _drawn(case, sample)
    if drawn is None:
        return None
    relaxation, demand, seen, units = drawn
    known = mean_estimate(relaxation.known(demand, seen, seed=sample.seed), units, sample.confidence)
    npv = simulate_block(case, [policy], demand, units, 0, seen).npv[0]
    plant = np.stack([plant for _, plant in follow(case, policy, demand, seen)])
    own = mean_estimate(npv - relaxation.control(demand, seen, plant), units, sample.confidence)
    return Ends(own, known)
