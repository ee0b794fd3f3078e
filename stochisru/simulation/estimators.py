"""Estimates of means, shares and quantiles over independent groups of paths, each with its interval.

Standard errors come from the influence of every path, summed within groups (delta method); see
`stochisru.simulation.metrics` for what is made of them and where an interval is refused.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array, Index
from stochisru.errors import InputError, require_confidence
from stochisru.estimate import CONSTANT, Estimate

#: Effective points below which a mean gets no interval.
EFFECTIVE_MEAN = 0.1
#: Reason for want of one where a sample is one number.
SINGLE = "one path has no interval"
#: Numbers whose fourth powers can be added.
_LARGEST = 1e70
#: Paths that nobody is advised to take.
_MANY_PATHS = 1e7
#: Units from which skewness can be estimated.
_MANY = 30


def wilson(
    share: float, standard_error: float, points: float, confidence: float = 0.95, degrees: float = np.inf
) -> tuple[float, float]:
    """Wilson's interval of a share; it has a width at 0 and 1.

    Parameters
    ----------
    share, standard_error
        The share and its error, which for groups of dependent points is not that of independent ones.
    points
        Independent points; with dependent ones they are counted by the design effect ``p(1 − p)/se²`` where that is
        known, and by the number of groups at 0 and 1, where it is not.
    degrees
        Degrees of freedom of ``standard_error``: the quantile is Student's t, normal where they are infinite.
    """
    from scipy.special import stdtrit

    spread = share * (1 - share)
    n = spread / standard_error**2 if spread > 0 and standard_error > 0 else points
    z = float(stdtrit(degrees, 0.5 + confidence / 2)) ** 2
    centre = (share + z / (2 * n)) / (1 + z / n)
    half = np.sqrt(z * (spread / n + z / (4 * n**2))) / (1 + z / n)
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def share_estimate(estimate: Estimate, units: int, confidence: float) -> Estimate:
    """A share of paths with Wilson's interval."""
    if not np.isfinite(estimate.value) or units < 2:
        return estimate
    low, high = wilson(estimate.value, estimate.standard_error, units, confidence, units - 1)
    return replace(estimate, lower=low, upper=high, reason="")  # it has a width where all paths are alike, too


def clipped(estimate: Estimate) -> Estimate:
    """A ratio that lies in [0, 1] with its interval cut at the possible values."""
    low, high = np.clip([estimate.lower, estimate.upper], 0.0, 1.0)
    return replace(estimate, lower=float(low), upper=float(high))


def _unit_sums(influence: Array, units: Index) -> Array:
    if units.size == influence.size:
        return influence
    return np.asarray(np.add.reduceat(influence, np.concatenate([[0], np.cumsum(units)[:-1]])))


def skewed(value: float, influence: Array, units: Index, confidence: float) -> Estimate:
    """Estimate with an interval corrected for the skewness of its influence.

    Hall's transformation of the studentised statistic, ``t + γt²/(3√n) + γ²t³/(27n) + γ/(6√n)``, is inverted at the
    quantiles of Student's t (Hall, P., *The Bootstrap and Edgeworth Expansion*, Springer 1992, section 3.9).
    """
    from scipy.special import stdtrit

    z = _unit_sums(influence, units)
    m, plain = z.size, Estimate.of_error(value, unit_error(influence, units), units.size, confidence)
    square = z * z
    squares = float(square.mean())
    if m < _MANY or not squares > 0:
        return plain
    a = float((square * z).mean()) / squares**1.5 / np.sqrt(m)
    if abs(a) < 1e-9:
        return plain
    t = float(stdtrit(m - 1, 0.5 + confidence / 2))
    low, high = (3 / a * (np.cbrt(1 + a * (q - a / 6)) - 1) for q in (t, -t))
    return replace(plain, lower=value - plain.standard_error * low, upper=value - plain.standard_error * high)


def unit_error(influence: Array, units: Index) -> float:
    """Standard error of a mean whose influence per path is given (mean zero)."""
    m = units.size
    if m < 2:
        return float("nan")
    return float(np.sqrt(np.add.reduce(_unit_sums(influence, units) ** 2) * m / (m - 1)) / units.sum())


def mean_estimate(
    sample: ArrayLike, units: ArrayLike | None = None, confidence: float = 0.95, kurtosis: float | None = None
) -> Estimate:
    """Mean of a sample; of a difference path by path, for a paired comparison on common paths.

    Parameters
    ----------
    sample
        One number per path.
    units
        Sizes of the independent groups of paths; every path for itself if not given.
    confidence
        Level of the interval, in (0, 1).
    kurtosis
        As in `npv_metrics`; without it no interval is refused for heavy tails.

    Examples
    --------
    >>> import numpy as np
    >>> from stochisru.simulation.estimators import mean_estimate
    >>> demand = np.random.default_rng(1).normal(100, 20, 1000)
    >>> small, large = np.minimum(demand, 90), np.minimum(demand, 110) - 5
    >>> better = mean_estimate(large - small)
    >>> f"{better.value:.2f} ({better.lower:.2f} to {better.upper:.2f})"
    '4.62 (4.09 to 5.15)'
    """
    require_confidence(confidence)
    sample = sample_of("sample", sample)
    units = groups_of(units, sample.size)
    mean = float(sample.mean())
    found = Estimate.of_error(mean, unit_error(sample - mean, units), units.size, confidence)
    heavy = "" if kurtosis is None else why_no_mean(sample.size, kurtosis)
    if heavy and found.standard_error > 0:
        return Estimate(mean, float("nan"), float("nan"), float("nan"), heavy)
    return found


def mean_of_known(sample: Array, units: Index, confidence: float) -> Estimate:
    """Mean over the paths that have a number: a ratio of two means; NaN marks those that have none."""
    known = ~np.isnan(sample)
    count = int(known.sum())
    value = float(sample[known].sum() / count) if count else float("nan")
    error = unit_error(np.where(known, sample - value, 0.0), units) * sample.size / count if count else float("nan")
    return Estimate.of_error(value, error, units.size, confidence)


def shifted(estimate: Estimate, by: float) -> Estimate:
    """An estimate plus a known number."""
    return replace(estimate, value=estimate.value + by, lower=estimate.lower + by, upper=estimate.upper + by)


def share_reached(optimum: float, gap: Estimate) -> Estimate:
    """Share of an optimum > 0 that is left after a gap: no more than all of it, whatever a sample says."""
    # NaN, where there is no interval, stays NaN.
    value, lower, upper = (float(np.minimum(1.0, 1 - lost / optimum)) for lost in (gap.value, gap.upper, gap.lower))
    return Estimate(value, gap.standard_error / optimum, lower, upper, gap.reason)


def quantile_estimate(sample: Array, level: float, units: Index, confidence: float) -> Estimate:
    """Quantile of the paths that have a number, with order statistics at ``level ± t·se`` as interval.

    Parameters
    ----------
    sample
        One number per path, NaN where it has none.
    level
        In (0, 1).
    units, confidence
        As in `mean_estimate`.
    """
    from scipy.special import stdtrit

    known = ~np.isnan(sample)
    ordered = np.sort(sample[known])
    n = ordered.size
    if not n:
        return Estimate(float("nan"), float("nan"), float("nan"), float("nan"), "no path has one")
    value = float(ordered[int(np.ceil(level * n)) - 1])
    if n == 1:
        return Estimate(value, float("nan"), float("nan"), float("nan"), SINGLE)
    if ordered[0] == ordered[-1]:
        return Estimate(value, 0.0, value, value, CONSTANT)
    # A share of a random number of paths is a ratio of two means, and has its influence.
    se = unit_error(known * ((sample <= value) - level), units) * sample.size / n
    if not np.isfinite(se):
        return Estimate(value, float("nan"), float("nan"), float("nan"), "one group of paths has no interval")
    half = float(stdtrit(units.size - 1, 0.5 + confidence / 2)) * se
    low = int(np.floor((level - half) * n)) - 1
    high = int(np.ceil((level + half) * n))
    lower, upper = (float(ordered[k]) if 0 <= k < n else float("nan") for k in (low, high))
    beyond = "" if np.isfinite([lower, upper]).all() else f"too few paths beyond the level {level:g} for both ends"
    return Estimate(value, float("nan"), lower, upper, beyond)


def sample_of(name: str, given: ArrayLike) -> Array:
    """A row of finite numbers; `InputError` names it otherwise."""
    if np.iscomplexobj(given):
        raise InputError(f"{name}: must be a row of real numbers, got complex ones")
    try:
        sample = np.asarray(given, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: must be a row of numbers, got {type(given).__name__}") from error
    if sample.ndim != 1 or not sample.size:
        raise InputError(f"{name}: must be a row of at least one number, got shape {sample.shape}")
    if not np.isfinite(sample).all():
        bad = int(np.flatnonzero(~np.isfinite(sample))[0])
        raise InputError(f"{name}: every number must be finite, got {sample[bad]} at position {bad}")
    if (large := float(np.abs(sample).max())) > _LARGEST:
        raise InputError(f"{name}: every number must be within ±{_LARGEST:g}, got one of size {large:g}")
    return sample


def groups_of(units: ArrayLike | None, size: int) -> Index:
    """Sizes of the independent groups of ``size`` paths; every path for itself if not given."""
    if units is None:
        return np.ones(size, dtype=np.int64)
    groups = np.asarray(units)
    if groups.ndim != 1 or groups.dtype.kind not in "iu" or (groups < 1).any() or groups.sum() != size:
        raise InputError(f"units: must be whole sizes >= 1 of groups that add up to {size} paths")
    return groups.astype(np.int64)


def too_heavy(effective: float, needed: float) -> str:
    """Reason to refuse an interval for want of effective points, or nothing."""
    return f"tails too heavy: {effective:,.3g} effective points, {needed:g} needed" if effective < needed else ""


def why_no_mean(paths: int, kurtosis: float) -> str:
    """Reason to refuse the interval of a mean over paths of a case, or nothing: see `npv_metrics` for the kurtosis."""
    heavy, enough = too_heavy(paths / kurtosis, EFFECTIVE_MEAN), EFFECTIVE_MEAN * kurtosis
    return f"{heavy}; {np.ceil(enough):,.0f} paths would do" if heavy and enough < _MANY_PATHS else heavy
