"""Metrics of simulated strategies with confidence intervals.

Every metric is a function of means over independent units (paths, antithetic pairs, scrambled Sobol sets;
see `scenario_trees.sampling`). Its standard error comes from the influence function, summed within units
(delta method; Asmussen and Glynn 2007, ch. III); intervals use Student's t with units − 1 degrees of
freedom. Those of standard deviation, ratios to it and CVaR are skewed, and are corrected for the skewness of the
influence (Hall 1992). Intervals of shares are Wilson's. Intervals of quantiles are order statistics at the levels
q ± t·se(F(q)).

Long horizons have heavy tails, and an interval from a sample without its extremes is too short whatever the method. An
interval is therefore refused (NaN, with the reason) where it was measured not to hold: those of the standard deviation
and of ratios to it with fewer than `EFFECTIVE` effective points, those of CVaR and the Sortino ratio also with fewer
than `TAIL` points in the tail, and, with far fewer effective points, those of CVaR, of ratios to demand and of means.
Effective
points are paths over the kurtosis of what drives the tails, a number of the case and not of the sample: a sample that
happens to have no extremes must not call itself good. See ``benchmarks/coverage.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array, Index
from stochisru.errors import require_confidence
from stochisru.estimate import CONSTANT, Estimate
from stochisru.simulation.estimators import (
    SINGLE,
    clipped,
    groups_of,
    mean_estimate,
    quantile_estimate,
    sample_of,
    share_estimate,
    skewed,
    too_heavy,
)

if TYPE_CHECKING:
    import pandas as pd


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
    "irr_p50": "1/yr",
    "no_irr": "-",
    "undiscounted_payback_year": "yr",
    "never_pays_back_undiscounted": "-",
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
    "is_short",
    "capacity",
    "final_capacity",
    "expansions",
    "first_year_capital",
    "paid_back",
    "payback_year",
)


#: Effective points below which the standard deviation and ratios to it get no interval.
EFFECTIVE = 200
#: Points in the tail below which CVaR, and losing paths below which the Sortino ratio, get no interval.
TAIL = 200
#: Effective points below which CVaR gets no interval, by the worst of the measured strategies.
EFFECTIVE_CVAR = 10
#: The same for ratios whose weights are demand.
EFFECTIVE_RATIO = 2
#: Kurtosis below which tails are light, and the points that are then enough for a spread and ratios to it: of uniform,
#: normal, Laplace and mildly lognormal samples of 50 such intervals held in 91 to 98 of 100, of 20 in 84 to 97.
LIGHT, LIGHT_POINTS = 6.0, 50
#: Paths on which what is rare must have been seen for an interval of its mean.
_RARE = 30


@dataclass(frozen=True, eq=False)
class Moments:
    """First and second moments of unit sums: ``(Σ z, Σ z zᵀ, units)``.

    ``z`` holds the sums of the `OUTCOMES` over the paths of a unit and, last, their number.
    """

    first: Array
    second: Array
    units: int

    @classmethod
    def of(cls, outcomes: list[Array], units: Index) -> Moments:
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


def _ratio(moments: Moments, top: int, bottom: int, confidence: float) -> Estimate:
    """Ratio of two means; ``bottom = −1`` is the number of paths, so a plain mean."""
    value = moments.first[top] / moments.first[bottom] if moments.first[bottom] > 0 else float("nan")
    s = moments.second
    m = moments.units
    if not np.isfinite(value) or m < 2:
        return Estimate.of_error(float(value), float("nan"), m, confidence)
    squares = max(0.0, s[top, top] - 2 * value * s[top, bottom] + value**2 * s[bottom, bottom])
    if squares < 1e-13 * s[top, top]:  # rounding of a quantity that does not vary
        squares = 0.0
    se = np.sqrt(squares * m / (m - 1)) / moments.first[bottom]
    return Estimate.of_error(float(value), float(se), m, confidence)


def lognormal_kurtosis(variance: float) -> float:
    """Kurtosis of a lognormal number whose logarithm has this variance; infinite where it is no number."""
    w = np.exp(min(variance, 170.0))
    return float(w**4 + 2 * w**3 + 3 * w**2 - 3)


def npv_metrics(
    npv: ArrayLike, units: ArrayLike | None = None, confidence: float = 0.95, kurtosis: float | None = None
) -> dict[str, Estimate]:
    """Metrics of a sample of NPV: those of `UNITS` up to ``sortino``.

    Parameters
    ----------
    npv
        Net present value per path, $.
    units
        Sizes of the independent groups of paths; every path for itself if not given.
    confidence
        Level of the intervals, in (0, 1).
    kurtosis
        Kurtosis of what drives the tails, as of demand in the last year (`lognormal_kurtosis`); the sample's own if not
        given, which is too small where the sample lacks the extremes.

    Raises
    ------
    InputError
        If an argument is no row of finite numbers, or out of range.
    """
    require_confidence(confidence)
    npv = sample_of("npv", npv)
    units = groups_of(units, npv.size)
    m = units.size
    ordered = np.sort(npv)
    mean = mean_estimate(npv, units, confidence, kurtosis)
    centred = npv - mean.value
    variance = float((centred**2).mean())
    sd = variance**0.5
    nan = float("nan")
    varies = sd > 1e-12 * max(abs(mean.value), abs(ordered[0]), abs(ordered[-1]))
    own = float((centred**4).mean()) / variance**2 if varies else 1.0
    if kurtosis is None:
        kurtosis = own
    effective = npv.size / kurtosis
    if max(own, kurtosis) >= LIGHT:
        few = too_heavy(effective, EFFECTIVE)
    else:
        few = f"too few paths: {npv.size}, {LIGHT_POINTS} needed" if npv.size < LIGHT_POINTS else ""

    def by_spread(value: float, influence: Array) -> Estimate:
        return Estimate(value, nan, nan, nan, few) if few else skewed(value, influence, units, confidence)

    out = {
        "npv_mean": mean,
        "npv_sd": Estimate(0.0, 0.0, 0.0, 0.0, CONSTANT) if npv.size > 1 else Estimate(nan, nan, nan, nan, SINGLE),
        "sharpe": Estimate(nan, nan, nan, nan, CONSTANT if npv.size > 1 else SINGLE),
        "sortino": Estimate(nan, nan, nan, nan, "no path has a loss"),
    }
    if varies:
        # In logarithms, where the interval of a scale is less skewed.
        log = by_spread(0.0, (centred**2 - variance) / (2 * variance))
        out["npv_sd"] = replace(
            log,
            value=sd,
            standard_error=sd * log.standard_error,
            lower=float(sd * np.exp(log.lower)),
            upper=float(sd * np.exp(log.upper)),
        )
        sharpe = mean.value / sd
        out["sharpe"] = by_spread(sharpe, centred / sd - sharpe * (centred**2 - variance) / (2 * variance))
    for name, level in (("npv_p5", 0.05), ("npv_p50", 0.5), ("npv_p95", 0.95)):
        out[name] = quantile_estimate(npv, level, units, confidence)

    low = out["npv_p5"]
    out["var95"] = Estimate(-low.value, low.standard_error, -low.upper, -low.lower, low.reason)
    # CVaR as the minimum over v of v + E(loss − v)^+/(1 − α), attained at the VaR (Rockafellar and Uryasev).
    excess = np.maximum(low.value - npv, 0.0) / 0.05
    tail = float(excess.mean())
    if varies and 0.05 * npv.size < TAIL:
        thin = f"too few points in the tail: {0.05 * npv.size:,.0f}, {TAIL} needed for an interval"
        out["cvar95"] = Estimate(-low.value + tail, nan, nan, nan, thin)
    elif varies and (heavy := too_heavy(effective, EFFECTIVE_CVAR)):
        out["cvar95"] = Estimate(-low.value + tail, nan, nan, nan, heavy)
    else:
        out["cvar95"] = skewed(-low.value + tail, excess - tail, units, confidence)
    out["max_loss"] = Estimate(-float(ordered[0]), nan, nan, nan, "the largest loss of a sample has no interval")
    out["p_positive"] = share_estimate(mean_estimate((npv > 0).astype(float), units, confidence), m, confidence)
    downside = np.minimum(npv, 0.0) ** 2
    semi = float(downside.mean())
    if semi > 0:
        sortino = mean.value / semi**0.5
        losses = int(np.count_nonzero(downside))
        if not few and varies and losses < TAIL:
            few = f"too few paths with a loss: {losses}, {TAIL} needed for an interval"
        out["sortino"] = by_spread(sortino, centred / semi**0.5 - sortino * (downside - semi) / (2 * semi))
    return {name: out[name] for name in UNITS if name in out}


def strategy_metrics(
    npv: Array,
    moments: Moments,
    units: Index,
    confidence: float = 0.95,
    kurtosis: float | None = None,
    never_short: bool = False,
) -> dict[str, Estimate]:
    """All metrics of one strategy but those of `stochisru.simulation.returns`.

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
    kurtosis
        As in `npv_metrics`.
    never_short
        Whether no path can be short, as where Earth serves whatever plants do not. Otherwise a sample with few short
        paths, or none, says little of how often and how much demand is short, and there is no interval.
    """
    out = npv_metrics(npv, units, confidence, kurtosis)
    at = {name: i for i, name in enumerate(OUTCOMES)}
    out["payback_year"] = _ratio(moments, at["payback_year"], at["paid_back"], confidence)
    paid = _ratio(moments, at["paid_back"], -1, confidence)
    never = Estimate(1 - paid.value, paid.standard_error, 1 - paid.upper, 1 - paid.lower)
    out["never_pays_back"] = share_estimate(never, moments.units, confidence)
    out["self_sufficiency"] = clipped(_ratio(moments, at["delivered"], at["demand"], confidence))
    short = _ratio(moments, at["shortage"], at["demand"], confidence)
    out["demand_satisfaction"] = clipped(
        Estimate(1 - short.value, short.standard_error, 1 - short.upper, 1 - short.lower)
    )
    heavy = "" if kurtosis is None else too_heavy(npv.size / kurtosis, EFFECTIVE_RATIO)
    for name in ("self_sufficiency", "demand_satisfaction") if heavy else ():
        if out[name].standard_error > 0:
            out[name] = Estimate(out[name].value, float("nan"), float("nan"), float("nan"), heavy)
    out["utilization"] = clipped(_ratio(moments, at["delivered"], at["capacity"], confidence))
    for name in ("shortage", "final_capacity", "expansions", "first_year_capital"):
        out[name] = _ratio(moments, at[name], -1, confidence)
    seen = int(moments.first[at["is_short"]])
    if not never_short and seen < min(_RARE, npv.size):
        rare = f"too few paths with a shortage: {seen}, {_RARE} needed for an interval"
        for name in ("demand_satisfaction", "shortage"):
            out[name] = Estimate(out[name].value, float("nan"), float("nan"), float("nan"), rare)
    return out


def told_metrics(metrics: dict[str, Estimate]) -> dict[str, Any]:
    """Metrics of one strategy for JSON: values by name, ``ci`` and ``no_interval``, why there is none."""
    return {
        **{name: estimate.value for name, estimate in metrics.items()},
        "ci": {name: [estimate.lower, estimate.upper] for name, estimate in metrics.items()},
        "no_interval": {name: estimate.reason for name, estimate in metrics.items() if estimate.reason},
    }


def metrics_frame(metrics: dict[str, dict[str, Estimate]]) -> pd.DataFrame:
    """Tidy table: strategy, metric, value, lower, upper, standard_error, unit, reason (why there is no interval)."""
    import pandas as pd

    rows = [
        {"strategy": strategy, "metric": name, **vars(estimate), "unit": UNITS[name]}
        for strategy, table in metrics.items()
        for name, estimate in table.items()
    ]
    columns = ["strategy", "metric", "value", "lower", "upper", "standard_error", "unit", "reason"]
    return pd.DataFrame(rows)[columns]
