"""Metrics of simulated strategies with confidence intervals.

Every metric is a function of means over independent units (paths, antithetic pairs, scrambled Sobol sets;
see `scenario_trees.sampling`). Its standard error comes from the influence function, summed within units
(delta method; Asmussen and Glynn 2007, ch. III); intervals use Student's t with units − 1 degrees of
freedom. Intervals of quantiles are order statistics at the levels q ± t·se(F(q)).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stochisru.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

#: Unit of each metric; NPV is maximised, a loss is −NPV.
UNITS = {
    "npv_mean": "$",
    "npv_sd": "$",
    "npv_p5": "$",
    "npv_p50": "$",
    "npv_p95": "$",
    "var95": "$",
    "cvar95": "$",
    "max_loss": "$",
    "p_positive": "-",
    "sharpe": "-",
    "sortino": "-",
    "payback_year": "yr",
    "never_pays_back": "-",
    "self_sufficiency": "-",
    "demand_satisfaction": "-",
    "shortage": "kg",
    "utilization": "-",
    "final_capacity": "kg/yr",
    "expansions": "-",
    "first_year_capital": "$",
}

#: Outcomes of a path, apart from its NPV, whose moments are accumulated while simulating.
OUTCOMES = (
    "delivered",
    "demand",
    "shortage",
    "capacity",
    "final_capacity",
    "expansions",
    "first_year_capital",
    "paid_back",
    "payback_year",
)


@dataclass(frozen=True)
class Estimate:
    """A metric with its confidence interval.

    ``lower`` and ``upper`` are NaN where the sample gives no interval (a maximum, a single unit).
    """

    value: float
    standard_error: float
    lower: float
    upper: float


@dataclass(frozen=True, eq=False)
class Moments:
    """First and second moments of unit sums: ``(Σ z, Σ z zᵀ, units)``.

    ``z`` holds the sums of the `OUTCOMES` over the paths of a unit and, last, their number.
    """

    first: Array
    second: Array
    units: int

    @classmethod
    def of(cls, outcomes: list[Array], units: NDArray[np.int64]) -> Moments:
        """Moments of one block of paths."""
        if units.size == outcomes[0].size:
            z = [*outcomes, np.ones(units.size)]
        else:
            starts = np.concatenate([[0], np.cumsum(units)[:-1]])
            z = [*(np.add.reduceat(x, starts) for x in outcomes), units.astype(float)]
        k = len(z)
        second = np.empty((k, k))
        for i in range(k):
            for j in range(i, k):
                # einsum, not BLAS: the sum must not depend on the number of threads.
                second[i, j] = second[j, i] = np.einsum("i,i->", z[i], z[j])
        return cls(np.array([np.add.reduce(x) for x in z]), second, units.size)

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.first + other.first, self.second + other.second, self.units + other.units)


def _interval(value: float, se: float, units: int, confidence: float) -> Estimate:
    from scipy.special import stdtrit

    if units < 2 or not np.isfinite(se):
        return Estimate(value, float("nan"), float("nan"), float("nan"))
    half = float(stdtrit(units - 1, 0.5 + confidence / 2)) * se
    return Estimate(value, se, value - half, value + half)


def _ratio(moments: Moments, top: int, bottom: int, confidence: float) -> Estimate:
    """Ratio of two means; ``bottom = −1`` is the number of paths, so a plain mean."""
    value = moments.first[top] / moments.first[bottom] if moments.first[bottom] > 0 else float("nan")
    s = moments.second
    m = moments.units
    if not np.isfinite(value) or m < 2:
        return _interval(float(value), float("nan"), m, confidence)
    squares = max(0.0, s[top, top] - 2 * value * s[top, bottom] + value**2 * s[bottom, bottom])
    if squares < 1e-13 * s[top, top]:  # rounding of a quantity that does not vary
        squares = 0.0
    se = np.sqrt(squares * m / (m - 1)) / moments.first[bottom]
    return _interval(float(value), float(se), m, confidence)


def _share(estimate: Estimate) -> Estimate:
    """A share with its interval cut at the possible values 0 and 1."""
    low, high = np.clip([estimate.lower, estimate.upper], 0.0, 1.0)
    return replace(estimate, lower=float(low), upper=float(high))


def unit_error(influence: Array, units: NDArray[np.int64]) -> float:
    """Standard error of a mean whose influence per path is given (mean zero)."""
    m = units.size
    if m < 2:
        return float("nan")
    if m != influence.size:
        influence = np.add.reduceat(influence, np.concatenate([[0], np.cumsum(units)[:-1]]))
    return float(np.sqrt(np.add.reduce(influence**2) * m / (m - 1)) / units.sum())


def mean_estimate(sample: Array, units: NDArray[np.int64] | None = None, confidence: float = 0.95) -> Estimate:
    """Mean of a sample; of a difference path by path, for a paired comparison on common paths.

    Parameters
    ----------
    sample
        One number per path.
    units
        Sizes of the independent groups of paths; every path for itself if not given.
    confidence
        Level of the interval, in (0, 1).

    Examples
    --------
    >>> import numpy as np
    >>> from stochisru.metrics import mean_estimate
    >>> demand = np.random.default_rng(1).normal(100, 20, 1000)
    >>> small, large = np.minimum(demand, 90), np.minimum(demand, 110) - 5
    >>> better = mean_estimate(large - small)
    >>> f"{better.value:.2f} ({better.lower:.2f} to {better.upper:.2f})"
    '4.62 (4.09 to 5.15)'
    """
    units = np.ones(sample.size, dtype=np.int64) if units is None else units
    mean = float(sample.mean())
    return _interval(mean, unit_error(sample - mean, units), units.size, confidence)


def shifted(estimate: Estimate, by: float) -> Estimate:
    """An estimate plus a known number."""
    return replace(estimate, value=estimate.value + by, lower=estimate.lower + by, upper=estimate.upper + by)


def _quantile(sample: Array, ordered: Array, level: float, units: NDArray[np.int64], confidence: float) -> Estimate:
    from scipy.special import stdtrit

    n = ordered.size
    value = float(ordered[min(n - 1, int(np.ceil(level * n)) - 1 if level > 0 else 0)])
    se = unit_error(np.asarray(sample <= value, dtype=float) - level, units)
    if not np.isfinite(se):
        return Estimate(value, float("nan"), float("nan"), float("nan"))
    half = float(stdtrit(units.size - 1, 0.5 + confidence / 2)) * se
    low = int(np.floor((level - half) * n)) - 1
    high = int(np.ceil((level + half) * n))
    bounds = [float(ordered[k]) if 0 <= k < n else float("nan") for k in (low, high)]
    return Estimate(value, float("nan"), *bounds)


def npv_metrics(npv: Array, units: NDArray[np.int64] | None = None, confidence: float = 0.95) -> dict[str, Estimate]:
    """Metrics of a sample of NPV: those of `UNITS` up to ``sortino``.

    Parameters
    ----------
    npv
        Net present value per path, $.
    units
        Sizes of the independent groups of paths; every path for itself if not given.
    confidence
        Level of the intervals, in (0, 1).
    """
    if not 0 < confidence < 1:
        raise InputError(f"confidence: must lie in (0, 1), got {confidence!r}")
    if not (npv.ndim == 1 and npv.size):
        raise InputError(f"npv: must be a row of at least one number, got shape {npv.shape}")
    units = np.ones(npv.size, dtype=np.int64) if units is None else units
    m = units.size
    ordered = np.sort(npv)
    mean = mean_estimate(npv, units, confidence)
    centred = npv - mean.value
    variance = float((centred**2).mean())
    sd = variance**0.5
    nan = float("nan")

    def smooth(value: float, influence: Array) -> Estimate:
        return _interval(value, unit_error(influence, units), m, confidence)

    out = {"npv_mean": mean}
    if sd > 1e-12 * max(abs(mean.value), abs(ordered[0]), abs(ordered[-1])):
        out["npv_sd"] = smooth(sd, (centred**2 - variance) / (2 * sd))
        sharpe = mean.value / sd
        sharpe_influence = centred / sd - sharpe * (centred**2 - variance) / (2 * variance)
        out["sharpe"] = smooth(sharpe, sharpe_influence)
    else:
        out["npv_sd"] = Estimate(0.0, 0.0, 0.0, 0.0)
        out["sharpe"] = Estimate(nan, nan, nan, nan)
    for name, level in (("npv_p5", 0.05), ("npv_p50", 0.5), ("npv_p95", 0.95)):
        out[name] = _quantile(npv, ordered, level, units, confidence)

    low = out["npv_p5"]
    out["var95"] = Estimate(-low.value, nan, -low.upper, -low.lower)
    # CVaR as the minimum over v of v + E(loss − v)^+/(1 − α), attained at the VaR (Rockafellar and Uryasev).
    excess = np.maximum(low.value - npv, 0.0) / 0.05
    tail = float(excess.mean())
    out["cvar95"] = smooth(-low.value + tail, excess - tail)
    out["max_loss"] = Estimate(-float(ordered[0]), nan, nan, nan)
    positive = (npv > 0).astype(float)
    out["p_positive"] = _share(mean_estimate(positive, units, confidence))
    downside = np.minimum(npv, 0.0) ** 2
    semi = float(downside.mean())
    if semi > 0:
        sortino = mean.value / semi**0.5
        out["sortino"] = smooth(sortino, centred / semi**0.5 - sortino * (downside - semi) / (2 * semi))
    else:
        out["sortino"] = Estimate(nan, nan, nan, nan)
    return {name: out[name] for name in UNITS if name in out}


def strategy_metrics(
    npv: Array, moments: Moments, units: NDArray[np.int64], confidence: float = 0.95
) -> dict[str, Estimate]:
    """All metrics of one strategy.

    Parameters
    ----------
    npv
        Net present value per path, $.
    moments
        Moments of the other outcomes.
    units
        Sizes of the independent groups of paths.
    confidence
        Level of the intervals, in (0, 1).
    """
    out = npv_metrics(npv, units, confidence)
    at = {name: i for i, name in enumerate(OUTCOMES)}
    out["payback_year"] = _ratio(moments, at["payback_year"], at["paid_back"], confidence)
    paid = _ratio(moments, at["paid_back"], -1, confidence)
    out["never_pays_back"] = _share(Estimate(1 - paid.value, paid.standard_error, 1 - paid.upper, 1 - paid.lower))
    out["self_sufficiency"] = _ratio(moments, at["delivered"], at["demand"], confidence)
    short = _ratio(moments, at["shortage"], at["demand"], confidence)
    out["demand_satisfaction"] = _share(
        Estimate(1 - short.value, short.standard_error, 1 - short.upper, 1 - short.lower)
    )
    out["utilization"] = _ratio(moments, at["delivered"], at["capacity"], confidence)
    for name in ("shortage", "final_capacity", "expansions", "first_year_capital"):
        out[name] = _ratio(moments, at[name], -1, confidence)
    return {name: out[name] for name in UNITS}


def metrics_frame(metrics: dict[str, dict[str, Estimate]]) -> pd.DataFrame:
    """Tidy table: strategy, metric, value, lower, upper, standard_error, unit."""
    import pandas as pd

    rows = [
        {"strategy": strategy, "metric": name, **vars(estimate), "unit": UNITS[name]}
        for strategy, table in metrics.items()
        for name, estimate in table.items()
    ]
    columns = ["strategy", "metric", "value", "lower", "upper", "standard_error", "unit"]
    return pd.DataFrame(rows)[columns]
