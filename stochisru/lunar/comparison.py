"""Policies beside each other out of sample: against the exact optimum and against perfect information.

All are simulated on the same fresh paths. The gap of a policy to the optimum is the mean of

    NPV of the exact policy − NPV of the policy

over the paths, whose expectation is RP − E[NPV of the policy] and whose variance is that of a difference.
Wait-and-see, the bound that no policy can pass, is estimated in the same way: WS = RP + mean(NPV with perfect
information − NPV of the exact policy). Where no exact policy exists there is no RP, and WS is the plain mean; where the
cost of a deployment is not concave in its size, perfect information is not solved and there is no WS either. In place
of RP there is then the most that any policy can earn: perfect information at a price that no policy pays on average
(`stochisru.lunar.exact.layer_relaxation`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scenario_trees.protocols import Sampler
from stochisru.estimate import Estimate
from stochisru.files import plainly
from stochisru.lunar.case import DeploymentCase, require_case
from stochisru.lunar.exact.in_advance import why_not_in_advance
from stochisru.lunar.exact.wait_and_see import foresight_sample, wait_and_see_on_paths
from stochisru.lunar.simulation import Simulation
from stochisru.lunar.simulation.chosen import resolve
from stochisru.lunar.simulation.monte_carlo import simulated
from stochisru.lunar.simulation.outcome import demand_kurtosis
from stochisru.lunar.solving import optimum_on_process
from stochisru.lunar.strategies.protocol import Strategy
from stochisru.lunar.values.penalised import at_a_price
from stochisru.methods.result import Bounds
from stochisru.shown import Shown
from stochisru.simulation.estimators import mean_estimate, share_reached, shifted
from stochisru.simulation.sampling import Sampling

if TYPE_CHECKING:
    import pandas as pd


#: Name of the exact policy beside the strategies; unlike theirs.
_REFERENCE = "exact policy (reference)"


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Shown):
    """Strategies on common paths, with the bounds that hold for every strategy.

    Attributes
    ----------
    simulation
        The strategies that were asked for.
    optimum
        RP of the process, $, or None where no exact policy exists.
    wait_and_see
        WS, $, with its confidence interval, or None where perfect information is not solved.
    foresight_paths
        Number of paths that WS is estimated from.
    evpi
        WS − RP, $, or None where there is no RP.
    gaps
        Per strategy: exact optimum less mean NPV, $, paired; empty where there is no RP.
    ceiling
        Where there is no RP: estimate of a mean that no strategy's exceeds, $; None where there is no such estimate.
    """

    simulation: Simulation
    optimum: Bounds | None
    wait_and_see: Estimate | None
    foresight_paths: int
    evpi: Estimate | None
    gaps: dict[str, Estimate]
    ceiling: Estimate | None = None

    def to_frame(self) -> pd.DataFrame:
        """One row per strategy, best first.

        Returns
        -------
        pandas.DataFrame
            ``npv_mean`` with ``lower`` and ``upper``, ``gap`` to the optimum with ``gap_lower`` and ``gap_upper`` ($),
            ``share`` of the optimum that the strategy reaches with its interval ``share_lower``, ``share_upper`` (1 −
            gap/RP, at most 1, since RP is the optimum; NaN where RP is not positive).
        """
        import pandas as pd

        rows = []
        nan = float("nan")
        rp = self.optimum.lower if self.optimum else nan
        for name, metrics in self.simulation.metrics.items():
            mean, gap = metrics["npv_mean"], self.gaps.get(name, Estimate(nan, nan, nan, nan))
            share = share_reached(rp, gap) if rp > 0 else Estimate(nan, nan, nan, nan)
            rows.append(
                {
                    "strategy": name,
                    "npv_mean": mean.value,
                    "lower": mean.lower,
                    "upper": mean.upper,
                    "gap": gap.value,
                    "gap_lower": gap.lower,
                    "gap_upper": gap.upper,
                    "share": share.value,
                    "share_lower": share.lower,
                    "share_upper": share.upper,
                }
            )
        frame = pd.DataFrame(rows)
        best = "gap" if self.gaps else "npv_mean"
        return frame.sort_values(best, ascending=best == "gap", kind="stable").reset_index(drop=True)

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON: the keys of `Simulation.to_dict`, and the bounds."""
        data = self.simulation.to_dict()
        for name, gap in self.gaps.items():
            data["strategies"][name]["gap"] = gap.value
            data["strategies"][name]["ci"]["gap"] = [gap.lower, gap.upper]
        ws = self.wait_and_see
        data["wait_and_see"] = (
            {"value": ws.value, "lower": ws.lower, "upper": ws.upper, "paths": self.foresight_paths} if ws else None
        )
        top = self.ceiling
        data["ceiling"] = {k: getattr(top, k) for k in ("value", "lower", "upper")} if top else None
        data["optimum"] = self.optimum.to_dict() if self.optimum else None
        data["evpi"] = {k: getattr(self.evpi, k) for k in ("value", "lower", "upper")} if self.evpi else None
        return data

    def __repr__(self) -> str:
        optimum = f"RP {self.optimum.lower:,.0f}, " if self.optimum else ""
        ceiling = f"RP <= {self.ceiling.upper:,.0f}, " if self.ceiling else ""
        ws = f"WS {self.wait_and_see.value:,.0f}; " if self.wait_and_see else ""
        return f"Comparison({optimum}{ceiling}{ws}{self.simulation!r})"


def compare(
    case: DeploymentCase,
    strategies: Sequence[Strategy | str],
    *,
    paths: int = 1000,
    seed: int = 0,
    sampler: Sampler | str = "pseudo-random",
    workers: int = 1,
    confidence: float = 0.95,
    progress: Callable[[int], None] | None = None,
) -> Comparison:
    """Judge strategies on common fresh paths, against the exact optimum and perfect information.

    Parameters
    ----------
    strategies
        Strategies, or names of `stochisru.lunar.policies.POLICIES`.
    paths, seed, sampler, workers, confidence, progress
        As in `stochisru.simulate`; the paths are the same.

    Raises
    ------
    InputError
        As `stochisru.simulate`.

    Examples
    --------
    >>> from stochisru import load_case
    >>> from stochisru.lunar.comparison import compare
    >>> outcome = compare(load_case("lunar-reference").replace(T=30), ["threshold", "static", "moderate"], paths=2000)
    >>> list(outcome.to_frame()["strategy"])
    ['threshold', 'moderate', 'static']
    """
    return compared(case, strategies, Sampling(paths, seed, sampler, workers, confidence), progress)


def compared(
    case: DeploymentCase,
    strategies: Sequence[Strategy | str],
    sample: Sampling,
    progress: Callable[[int], None] | None = None,
) -> Comparison:
    """`compare` with the sample as one object."""
    require_case(case)
    chosen = resolve(case, strategies)
    exact = optimum_on_process(case)
    known = [exact.policy(name=_REFERENCE)] if exact else []
    whole = simulated(case, [*chosen, *known], sample, progress=progress)
    kurtosis = demand_kurtosis(case)
    ceiling = None if exact else at_a_price(case, sample, kurtosis)
    if why_not_in_advance(case) is not None:
        return Comparison(whole, None, None, 0, None, {}, ceiling)
    chosen_paths, units = foresight_sample(whole.units)
    seen = chosen_paths.size
    foresight = wait_and_see_on_paths(case, chosen_paths, sample)
    if exact is None:
        ws = mean_estimate(foresight, units, sample.confidence, kurtosis)
        return Comparison(whole, None, ws, seen, None, {}, ceiling)
    best = whole.npv[-1]
    evpi = mean_estimate(foresight - best[chosen_paths], units, sample.confidence, kurtosis)
    gaps = {
        strategy.name: mean_estimate(best - npv, whole.units, sample.confidence, kurtosis)
        for strategy, npv in zip(chosen, whole.npv, strict=False)
    }
    return Comparison(
        simulation=whole.first(len(chosen)),
        optimum=exact.bounds,
        wait_and_see=shifted(evpi, exact.objective),
        foresight_paths=seen,
        evpi=evpi,
        gaps=gaps,
    )
