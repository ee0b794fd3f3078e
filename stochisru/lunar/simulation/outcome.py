"""What a simulation says of strategies: metrics, differences, operations over time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.processes import GeometricBrownianMotion
from stochisru.errors import InputError
from stochisru.estimate import Estimate
from stochisru.files import plainly
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.indicators import DeploymentCounts, distributions
from stochisru.lunar.operations import MeritOrder
from stochisru.lunar.strategies.protocol import Strategy
from stochisru.methods.result import versions
from stochisru.shown import Shown
from stochisru.simulation.estimators import mean_estimate
from stochisru.simulation.metrics import (
    UNITS,
    Moments,
    lognormal_kurtosis,
    metrics_frame,
    strategy_metrics,
    told_metrics,
)
from stochisru.simulation.returns import return_metrics, whole_groups

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from stochisru.lunar.tables.case import GeneralCase


@dataclass(frozen=True, eq=False)
class Simulation(Shown):
    """Strategies judged on the same fresh paths.

    Attributes
    ----------
    npv
        Net present value, $, shape ``(strategies, paths)``.
    moments
        Moments of the other outcomes, per strategy.
    demand
        Mean demand per year, kg/yr, shape ``(T + 1,)``.
    delivered, shortage, plant
        Mean deliveries and shortage (kg/yr) and plant (kg) per year, shape ``(strategies, T + 1)``.
    counts
        When the paths deploy.
    indicators
        `stochisru.lunar.indicators.INDICATORS` of the first paths, shape ``(strategies, indicators, paths kept)``.
    cash
        Undiscounted cash of the first paths by year, $, shape ``(strategies, T + 1, paths kept)``; discounted, it sums
        to NPV.
    units
        Sizes of the independent groups of paths.
    seed, sampler
        How the paths were drawn; no seed where they were given.
    kurtosis
        Of demand in the last year under the process that the paths are drawn from; None of given paths, of which
        nothing is known but what they are.
    """

    case: DeploymentCase
    strategies: tuple[Strategy, ...]
    npv: Array
    moments: tuple[Moments, ...]
    demand: Array
    delivered: Array
    shortage: Array
    plant: Array
    counts: DeploymentCounts
    indicators: Array
    cash: Array
    units: Index
    seed: int | None
    sampler: str
    confidence: float
    kurtosis: float | None

    @property
    def names(self) -> list[str]:
        """Names of the strategies."""
        return [s.name for s in self.strategies]

    @property
    def paths(self) -> int:
        """Number of paths."""
        return int(self.npv.shape[1])

    def first(self, count: int) -> Simulation:
        """The first ``count`` strategies alone."""
        return replace(
            self,
            strategies=self.strategies[:count],
            npv=self.npv[:count],
            moments=self.moments[:count],
            delivered=self.delivered[:count],
            shortage=self.shortage[:count],
            plant=self.plant[:count],
            counts=self.counts.first(count),
            indicators=self.indicators[:count],
            cash=self.cash[:count],
        )

    @cached_property
    def metrics(self) -> dict[str, dict[str, Estimate]]:
        """All metrics per strategy, in the order of `UNITS`; those of returns are of the first paths."""
        merit = MeritOrder.of(self.case)
        never_short = merit.earth_used and not merit.limited
        known, own = whole_groups(self.units, self.cash.shape[2])
        out = {}
        for i, s in enumerate(self.strategies):
            found = strategy_metrics(
                self.npv[i], self.moments[i], self.units, self.confidence, self.kurtosis, never_short
            ) | return_metrics(self.cash[i, :, :known], own, self.confidence)
            out[s.name] = {name: found[name] for name in UNITS}
        return out

    def to_frame(self) -> pd.DataFrame:
        """Tidy table: strategy, metric, value, lower, upper, standard_error, unit."""
        return metrics_frame(self.metrics)

    def yearly(self) -> pd.DataFrame:
        """Operations over time.

        Returns
        -------
        pandas.DataFrame
            ``strategy``, ``year``; means over all paths of ``demand``, ``delivered``, ``shortage`` and ``capacity``,
            kg/yr; ratios of these means: ``utilization`` Q/Qcap, ``self_sufficiency`` Q/D and ``demand_satisfaction``
            (Q + Q_earth)/D.
        """
        import pandas as pd

        n, years = self.delivered.shape
        capacity = self.case.technology.eta * self.plant
        frame = pd.DataFrame(
            {
                "strategy": np.repeat(self.names, years),
                "year": np.tile(np.arange(years), n),
                "demand": np.tile(self.demand, n),
                "delivered": self.delivered.ravel(),
                "shortage": self.shortage.ravel(),
                "capacity": capacity.ravel(),
            }
        )
        frame["utilization"] = frame["delivered"] / frame["capacity"].where(frame["capacity"] > 0)
        frame["self_sufficiency"] = frame["delivered"] / frame["demand"]
        frame["demand_satisfaction"] = 1 - frame["shortage"] / frame["demand"]
        return frame

    def distributions(self) -> pd.DataFrame:
        """Quantiles of the indicators of a path other than NPV.

        Returns
        -------
        pandas.DataFrame
            ``strategy``, ``indicator`` (one of `stochisru.lunar.indicators.INDICATORS`), ``level`` (0, 0.01, …, 1),
            ``value``, ``unit``, and ``paths``: how many of the first paths they are from; paths on which there never is
            capacity have no utilisation.
        """
        return distributions(self.names, self.indicators)

    def deployment_times(self) -> pd.DataFrame:
        """When plant arrives.

        Returns
        -------
        pandas.DataFrame
            ``strategy``, ``year``, ``deploying`` (share of all paths on which plant arrives that year), ``mass`` (mean
            ΔM_t over all paths, kg), ``mass_if_deploying`` (over those, kg), and ``first``: share of all paths whose
            first arrival after year 0 is in that year; what is missing to 1 never deploys after year 0.
        """
        return self.counts.times(self.case, self.names, self.plant)

    def deployment_numbers(self) -> pd.DataFrame:
        """Share of all paths by number of years in which plant arrives: strategy, deployments, share."""
        return self.counts.by_number(self.names)

    def plot(self) -> Figure:
        """Distribution of NPV of every strategy, as target curves."""
        from stochisru.report.figures import target_curves

        return target_curves(dict(zip(self.names, self.npv, strict=True))).figure()

    def difference(self, first: str, second: str) -> Estimate:
        """Mean of the paired difference NPV(first) − NPV(second), $, with its confidence interval."""
        for name in (first, second):
            if not isinstance(name, str) or name not in self.names:
                raise InputError(f"strategies: must be among {', '.join(self.names)}, got {name!r}")
        a, b = (self.npv[self.names.index(name)] for name in (first, second))
        return mean_estimate(a - b, self.units, self.confidence, self.kurtosis)

    def differences(self) -> pd.DataFrame:
        """Paired differences of every pair of strategies: first, second, value, lower, upper, unit."""
        import pandas as pd

        names = self.names
        rows = [
            {"first": a, "second": b, **vars(self.difference(a, b)), "unit": "$"}
            for i, a in enumerate(names)
            for b in names[i + 1 :]
        ]
        return pd.DataFrame(rows, columns=["first", "second", "value", "lower", "upper", "standard_error", "unit"])

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON; NaN becomes None."""
        return {
            "case": self.case.name,
            "horizon": self.case.horizon.T,
            "paths": self.paths,
            "seed": self.seed,
            "sampler": self.sampler,
            "confidence": self.confidence,
            "sense": "maximise",
            "units": dict(UNITS),
            "strategies": {
                s.name: told_metrics(self.metrics[s.name]) | {"rule": s.describe(self.case)} for s in self.strategies
            },
            "differences": self.differences().to_dict("records"),
            "versions": versions(),
        }

    def __repr__(self) -> str:
        means = ", ".join(f"{n} {m['npv_mean'].value:,.0f}" for n, m in self.metrics.items())
        return f"Simulation({self.paths:,} paths, T = {self.case.horizon.T}; mean NPV in $, maximise: {means})"


def demand_kurtosis(case: DeploymentCase | GeneralCase) -> float:
    """Kurtosis of demand in the last year, which drives the tails of NPV."""
    process, T = case.process, case.horizon.T
    if isinstance(process, GeometricBrownianMotion):
        return lognormal_kurtosis(process.volatility**2 * T)
    first, second, third, fourth = (float(process.moment(T, power)) for power in (1.0, 2.0, 3.0, 4.0))
    variance = second - first**2
    if variance <= 1e-12 * second:
        return 3.0
    return (fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4) / variance**2
