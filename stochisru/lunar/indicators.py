"""Distributions of the indicators of a simulation other than NPV, and when deployments happen.

Index of deployments are over all paths. Distributions are those of the first `KEPT_PATHS` paths, so that memory does
not grow with their number; of n independent paths a level is off by more than 1.36/√n with a probability of 5 %
(Kolmogorov's band).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scenario_trees.arrays import Array, Index
from stochisru.lunar.case import DeploymentCase

if TYPE_CHECKING:
    import pandas as pd


#: Paths of which the indicators are kept.
KEPT_PATHS = 20_000
#: Paths of which cash by year is kept.
KEPT_CASH = 5_000
#: Indicators of a path and their units.
INDICATORS = {
    "self_sufficiency": "-",
    "utilization": "-",
    "demand_satisfaction": "-",
    "shortage": "kg",
    "final_capacity": "kg/yr",
    "total_deployment": "kg",
}
#: Levels of the quantiles of a distribution.
LEVELS = np.arange(101) / 100


def indicators_of_paths(
    case: DeploymentCase, demand: Array, delivered: Array, shortage: Array, plant_years: Array, final_plant: Array
) -> Array:
    """The `INDICATORS` of paths.

    Parameters
    ----------
    demand, delivered, shortage
        Sums over the years, kg, shape ``(n,)``.
    plant_years, final_plant
        Sum of plant over the years, and plant in year T, kg, shape ``(n,)``.

    Returns
    -------
    numpy.ndarray
        Shape ``(len(INDICATORS), n)``; utilisation is NaN where there never is capacity.
    """
    technology = case.technology
    out = np.empty((len(INDICATORS), demand.size))
    out[0] = delivered / demand
    capacity = plant_years * technology.eta
    out[1] = np.divide(delivered, capacity, out=np.full(demand.size, np.nan), where=capacity > 0)
    out[2] = 1 - shortage / demand
    out[3] = shortage
    out[4] = final_plant * technology.eta
    # ΔM_t = M_t − (1 − δ)·M_{t−1}, summed over the years.
    out[5] = final_plant - technology.M0 + technology.degradation * (plant_years - final_plant)
    return out


def distributions(names: Sequence[str], indicators: Array) -> pd.DataFrame:
    """Quantiles of every indicator: strategy, indicator, level, value, unit, paths.

    Parameters
    ----------
    indicators
        Shape ``(strategies, len(INDICATORS), n)``.
    """
    import pandas as pd

    parts = []
    for name, table in zip(names, indicators, strict=True):
        for (indicator, unit), row in zip(INDICATORS.items(), table, strict=True):
            known = row[~np.isnan(row)]
            value = np.quantile(known, LEVELS, method="inverted_cdf") if known.size else np.full(LEVELS.size, np.nan)
            columns = {"strategy": name, "indicator": indicator, "level": LEVELS, "value": value}
            parts.append(pd.DataFrame({**columns, "unit": unit, "paths": known.size}))
    return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True, eq=False)
class DeploymentCounts:
    """When the paths deploy, counted.

    Attributes
    ----------
    deploying
        Paths on which plant arrives in a year, shape ``(strategies, T + 1)``.
    waiting
        Paths on which none has arrived from year 1 to that year, same shape.
    numbers
        Paths by their number of years with an arrival, shape ``(strategies, T + 2)``.
    """

    deploying: Index
    waiting: Index
    numbers: Index

    @classmethod
    def empty(cls, strategies: int, years: int) -> DeploymentCounts:
        """Nothing counted yet; ``years`` is T + 1."""
        return cls(*(np.zeros((strategies, n), dtype=np.int64) for n in (years, years, years + 1)))

    def __add__(self, other: DeploymentCounts) -> DeploymentCounts:
        return DeploymentCounts(
            self.deploying + other.deploying, self.waiting + other.waiting, self.numbers + other.numbers
        )

    def first(self, count: int) -> DeploymentCounts:
        """The first ``count`` strategies alone."""
        return DeploymentCounts(self.deploying[:count], self.waiting[:count], self.numbers[:count])

    def times(self, case: DeploymentCase, names: Sequence[str], plant: Array) -> pd.DataFrame:
        """Deployments by year: strategy, year, deploying, mass, mass_if_deploying, first.

        ``plant`` is the mean plant per year, kg, shape ``(strategies, T + 1)``.
        """
        import pandas as pd

        n, years = plant.shape
        kept = np.column_stack([np.full(n, case.technology.M0), (1 - case.technology.degradation) * plant[:, :-1]])
        share = self.deploying / self.numbers.sum(axis=1, keepdims=True)
        mass = np.where(share > 0, plant - kept, 0.0)
        first = -np.diff(self.waiting, axis=1, prepend=self.waiting[:, :1]) / self.numbers.sum(axis=1, keepdims=True)
        return pd.DataFrame(
            {
                "strategy": np.repeat(list(names), years),
                "year": np.tile(np.arange(years), n),
                "deploying": share.ravel(),
                "mass": mass.ravel(),
                "mass_if_deploying": np.divide(mass, share, out=np.zeros_like(mass), where=share > 0).ravel(),
                "first": first.ravel(),
            }
        )

    def by_number(self, names: Sequence[str]) -> pd.DataFrame:
        """Shares of the paths by number of years with a deployment: strategy, deployments, share."""
        import pandas as pd

        n, sizes = self.numbers.shape
        share = self.numbers / self.numbers.sum(axis=1, keepdims=True)
        return pd.DataFrame(
            {
                "strategy": np.repeat(list(names), sizes),
                "deployments": np.tile(np.arange(sizes), n),
                "share": share.ravel(),
            }
        )
