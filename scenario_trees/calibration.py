"""Calibration of a geometric Brownian motion from a series, with gaps and uneven steps taken by their length.

Over a step of length h the logarithm grows by ``x ~ N(m h, σ² h)`` with ``m = μ − σ²/2``, steps being independent. With
n steps of total length H the likelihood is greatest at ``m = Σx / H`` and ``σ² = Σ (x − m h)²/h / n``, whatever the
lengths. The inverse Fisher information gives ``se(σ) = σ/√(2n)`` and, as m and σ² are uncorrelated,
``se(μ)² = σ²/H + σ⁴/(2n)`` (Campbell, Lo and MacKinlay 1997, section 9.3.2, for steps of one length).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array, Mask
from scenario_trees.errors import CalibrationWarning, TreeError, numbers, require_number
from scenario_trees.processes.gbm import GeometricBrownianMotion

if TYPE_CHECKING:
    import pandas as pd


#: Steps below which neither σ nor anything about its error can be said.
_FEWEST = 3
#: An increment is outlying beyond this many robust standard deviations, and more where a median of few says little:
#: of normal series of 4 to 120 steps, about 1 in 100 or fewer then hold one.
_OUTLYING, _FEW = 6.0, 8.0
#: Where up to three quarters of the increments are outlying there is no robust deviation: they are then told by a gap,
#: from an increment to the next larger one by this factor, across which the value is multiplied by at least that.
_GAP, _JUMP = 5.0, 5.0
#: An increment of the logarithm that is next to none: the smaller side of a gap counts as no less.
_SMALL = 0.01
#: Standard deviations of a step that are rounding.
_ROUNDING = 1e-9
#: Steps up to which the p-value of Shapiro and Wilk's test is known.
_SHAPIRO = 5_000
#: Steps up to which the law of the jump test is simulated, samples of that, and their seed.
_SIMULATED, _SAMPLES, _SEED = 500, 9_999, 0


class Goodness(NamedTuple):
    """A test of the increments: its name, statistic and p-value (NaN where σ is 0); a small p-value speaks against."""

    test: str
    statistic: float
    p_value: float


class Residuals:
    """Tests of increments that are standard normal and independent if a process is right: ``standardised``, (n,)."""

    standardised: Array

    @cached_property
    def normality(self) -> Goodness:
        """Are the increments normal? Shapiro and Wilk's test, beyond 5,000 steps that of Jarque and Bera."""
        from scipy import stats

        name = "Shapiro-Wilk" if self.standardised.size <= _SHAPIRO else "Jarque-Bera"
        if not self.standardised.any():
            return Goodness(name, float("nan"), float("nan"))
        found = (stats.shapiro if self.standardised.size <= _SHAPIRO else stats.jarque_bera)(self.standardised)
        return Goodness(name, float(found.statistic), float(found.pvalue))

    @cached_property
    def autocorrelation(self) -> Goodness:
        """Are they independent? Ljung and Box's test over min(10, n/5) lags, at least one."""
        from scipy.stats import chi2

        n, z = self.standardised.size, self.standardised - self.standardised.mean()
        lags = np.arange(1, max(1, min(10, n // 5)) + 1)
        name, power = f"Ljung-Box, {lags.size} lag{'s' * (lags.size > 1)}", float(z @ z)
        if power == 0:
            return Goodness(name, float("nan"), float("nan"))
        rho = np.array([z[k:] @ z[:-k] for k in lags]) / power
        statistic = float(n * (n + 2) * (rho**2 / (n - lags)).sum())
        return Goodness(name, statistic, float(chi2.sf(statistic, lags.size)))

    @cached_property
    def jumps(self) -> Goodness:
        """Are some of them jumps? Barndorff-Nielsen and Shephard's ratio test of bipower variation, one-sided.

        ``J = (1 − BV/RV)/√(((π/2)² + π − 5)/n · max(1, TQ/BV²))`` with realised variance ``RV = Σz²``, bipower
        variation ``BV = (π/2) n/(n−1) Σ|z_i||z_{i−1}|``, in which a single large increment hardly counts, and tripower
        quarticity TQ (Huang and Tauchen 2005). Its limit is standard normal; up to 500 steps the p-value is that among
        9,999 simulated normal samples of the same length (Dufour 2006), which is exact for a few steps too.
        """
        from scipy.special import ndtr

        n, name = self.standardised.size, "Barndorff-Nielsen-Shephard"
        if not self.standardised.any():
            return Goodness(name, float("nan"), float("nan"))
        statistic = float(_jump_ratio(self.standardised[None, :])[0])
        if n > _SIMULATED:
            return Goodness(name, statistic, float(ndtr(-statistic)))
        samples = np.random.default_rng(np.random.SeedSequence(_SEED)).standard_normal((_SAMPLES, n))
        beyond = int((_jump_ratio(samples) >= statistic).sum())
        return Goodness(name, statistic, (1 + beyond) / (1 + _SAMPLES))


def _jump_ratio(samples: Array) -> Array:
    """Ratio statistic of samples of increments, shape ``(samples, n)``: see `Residuals.jumps`."""
    from scipy.special import gamma

    size = np.abs(samples - samples.mean(axis=1, keepdims=True))
    n = size.shape[1]
    realised = (size**2).sum(axis=1)
    bipower = 0.5 * np.pi * n / (n - 1) * (size[:, 1:] * size[:, :-1]).sum(axis=1)
    third = size ** (4 / 3)
    scale = (2 ** (2 / 3) * gamma(7 / 6) / gamma(1 / 2)) ** -3 * n * n / (n - 2)
    quarticity = scale * (third[:, 2:] * third[:, 1:-1] * third[:, :-2]).sum(axis=1)
    spread = (0.25 * np.pi**2 + np.pi - 5) / n * np.maximum(1.0, quarticity / np.maximum(bipower**2, 1e-300))
    return np.asarray((1 - bipower / realised) / np.sqrt(spread))


@dataclass(frozen=True)
class ProcessFit(Residuals):
    """Calibrated process with the asymptotic standard errors of its estimates.

    Attributes
    ----------
    process
        The process; it starts at the last value of the series.
    drift_se, volatility_se
        Standard errors of μ and σ.
    returns
        Number of steps n.
    span
        Total length H of the steps, in the unit of time.
    standardised
        Increments ``(x − m h) / (σ √h)`` in order of time: standard normal and independent if the series is a
        geometric Brownian motion. Shape ``(returns,)``; zeros where σ is 0.
    """

    process: GeometricBrownianMotion
    drift_se: float
    volatility_se: float
    returns: int
    span: float
    standardised: Array = field(compare=False, repr=False)

    def at(self, drift_se: float = 0.0, volatility_se: float = 0.0) -> GeometricBrownianMotion:
        """The process so many standard errors from the estimate.

        Parameters
        ----------
        drift_se, volatility_se
            Standard errors that are added to μ and σ; negative ones are taken off.
        """
        require_number("drift_se", drift_se)
        require_number("volatility_se", volatility_se)
        volatility = self.process.volatility + volatility_se * self.volatility_se
        if volatility < 0:
            raise TreeError(
                f"volatility_se: must leave a volatility >= 0, got {volatility_se:g}, which leaves {volatility:g}"
            )
        return GeometricBrownianMotion(self.process.initial, self.process.drift + drift_se * self.drift_se, volatility)

    def to_frame(self) -> pd.DataFrame:
        """One row per estimate and test.

        Returns
        -------
        pandas.DataFrame
            Index ``drift``, ``volatility``, ``normality``, ``autocorrelation``, ``jumps``; columns ``value`` (of
            tests: the statistic), ``standard_error``, ``p_value`` and ``meaning``.
        """
        import pandas as pd

        nan, (normal, apart, jumps) = float("nan"), (self.normality, self.autocorrelation, self.jumps)
        rows = {
            "drift": (self.process.drift, self.drift_se, nan, "μ per unit of time"),
            "volatility": (self.process.volatility, self.volatility_se, nan, "σ per square root of the unit of time"),
            "normality": (normal.statistic, nan, normal.p_value, f"{normal.test} test of the increments"),
            "autocorrelation": (apart.statistic, nan, apart.p_value, f"{apart.test}, test of the increments"),
            "jumps": (jumps.statistic, nan, jumps.p_value, f"{jumps.test} test of the increments"),
        }
        columns = ["value", "standard_error", "p_value", "meaning"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("quantity")


def fit(series: ArrayLike | pd.Series, dt: float | ArrayLike | None = None) -> ProcessFit:
    """Calibrate a geometric Brownian motion by maximum likelihood.

    Parameters
    ----------
    series
        At least four values > 0; the process starts at the last one. A pandas Series whose index holds dates, periods
        or years says itself when each value was seen, and the unit of time is the year. Missing values (NaN), and years
        that are not in such an index, are gaps, taken by their length.
    dt
        Time between two neighbours in the series: one number (1 if not given), or an array with one length per step.
        Not to be given where the index says it.

    Raises
    ------
    TreeError
        If a value, an index or a step cannot be used; the message names it.

    Warns
    -----
    CalibrationWarning
        If an increment is far outside the others, as where the unit changes within a series.

    Examples
    --------
    >>> import pandas as pd
    >>> from scenario_trees import GeometricBrownianMotion
    >>> seen = pd.Series([100.0, 121.0, 125.0, 160.0, 175.0], index=[2015, 2016, 2017, 2019, 2020])
    >>> found = GeometricBrownianMotion.fit(seen)
    >>> found.span, found.returns, round(found.process.drift, 3)
    (5.0, 4, 0.114)
    """
    values, times, labels = _seen(series, dt)
    x, h = np.diff(np.log(values)), np.diff(times)
    n, span = x.size, float(times[-1] - times[0])
    _warn_of_outliers(x, h, labels)
    m = float(x.sum()) / span
    residuals = (x - m * h) / np.sqrt(h)
    variance = float(residuals @ residuals) / n
    sigma = float(np.sqrt(variance))
    certain = sigma * np.sqrt(span) <= _ROUNDING * max(1.0, abs(m) * span)
    return ProcessFit(
        process=GeometricBrownianMotion(initial=float(values[-1]), drift=m + variance / 2, volatility=sigma),
        drift_se=float(np.sqrt(variance / span + variance**2 / (2 * n))),
        volatility_se=float(np.sqrt(variance / (2 * n))),
        returns=n,
        span=span,
        standardised=np.zeros(n) if certain else residuals / sigma,
    )


def seen(series: Any, dt: float | ArrayLike | None, steps: int = _FEWEST) -> tuple[Array, Array]:
    """Values of a series that are there, and when each was seen, checked as in `fit`; of so many steps at least."""
    values, times, _ = _seen(series, dt, steps)
    return values, times


def _seen(series: Any, dt: float | ArrayLike | None, steps: int = _FEWEST) -> tuple[Array, Array, list[str]]:
    """Values that are there, when each was seen, and how to name each in a message."""
    index: Any = getattr(series, "index", None)
    indexed = index is not None and not callable(index)  # lists have a method of that name
    values = numbers("series", series.to_numpy(dtype=float, na_value=np.nan) if indexed else series)
    if values.ndim != 1:
        raise TreeError(f"series: needs one dimension, got shape {values.shape}")
    if not indexed or _counts(index):
        times = _steps(values.size, 1.0 if dt is None else dt)
        labels = [f"position {i}" for i in range(values.size)]
    else:
        if dt is not None:
            raise TreeError("dt: must not be given for a series whose index says when each value was seen")
        times = _years(index)
        labels = [str(label).removesuffix(" 00:00:00") for label in index]
    late = np.flatnonzero(~(np.diff(times) > 0))
    if late.size:
        at = labels[int(late[0]) + 1]
        raise TreeError(f"series: its index must ascend without repetition, violated at {at}; sort_index() helps")
    there = ~np.isnan(values)
    bad = np.flatnonzero(there & ~(np.isfinite(values) & (values > 0)))
    if bad.size:
        i = int(bad[0])
        raise TreeError(f"series: every value must be > 0 and finite, got {float(values[i])!r} at {labels[i]}")
    if there.sum() < steps + 1:
        raise TreeError(
            f"series: needs at least {steps + 1} values ({steps} step{'s' if steps > 1 else ''}), "
            f"got {int(there.sum())}"
        )
    return values[there], times[there], [label for label, known in zip(labels, there, strict=True) if known]


def _counts(index: Any) -> bool:
    """Whether an index of pandas only counts the values, as one that nobody gave does."""
    import pandas as pd

    return isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1


def _steps(count: int, dt: float | ArrayLike) -> Array:
    """Times of ``count`` values from the lengths of their steps."""
    lengths = numbers("dt", dt)
    if lengths.ndim == 0:
        return np.arange(count, dtype=np.float64) * require_number("dt", float(lengths), low=0.0, strict=True)
    if lengths.shape != (max(count - 1, 0),):
        raise TreeError(
            f"dt: needs one number, or one per step, {count - 1} for {count} values, got shape {lengths.shape}"
        )
    bad = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
    if bad.size:
        raise TreeError(f"dt: every step must be > 0 and finite, got {lengths[bad[0]]:g} at position {int(bad[0])}")
    return np.concatenate([[0.0], np.cumsum(lengths)])


def _years(index: Any) -> Array:
    """Times of an index in years."""
    import pandas as pd

    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    if not isinstance(index, pd.DatetimeIndex):
        kind = getattr(index, "dtype", None)
        years = np.asarray(index, dtype=np.float64) if kind is not None and kind.kind in "iuf" else None
        if years is None or not np.isfinite(years).all():
            raise TreeError(
                "series: its index must hold dates, periods or years; pandas.to_datetime makes dates of texts"
            )
        return years
    if index.hasnans:
        raise TreeError(
            f"series: its index must have no missing date, got one at position {int(np.argmax(index.isna()))}"
        )
    month = np.asarray(12 * (index.year - index.year[0]) + index.month - 1, dtype=np.float64)
    monthly = np.unique(month).size == month.size and (index.is_month_start.all() or index.is_month_end.all())
    if monthly:  # months are of one length, whatever their days
        return month / 12
    if index.tz is not None:  # days of 23 and 25 hours
        index = index.tz_convert("UTC")
    day = (index - index.normalize()) / pd.Timedelta(days=1) + index.day_of_year - 1
    whole = index.year - index.year[0]  # not years of our era, which would take the digits of short steps
    times: Array = np.asarray(whole + day / np.where(index.is_leap_year, 366, 365), dtype=np.float64)
    return times


def _beyond_gap(size: Array) -> Mask:
    """Which sizes lie beyond the widest gap that leaves a quarter of them, and no fewer than three, before it.

    A unit that is wrong in a quarter of the values makes half of the increments large, and their deviation with them.
    """
    ordered = np.maximum(np.sort(size), _SMALL)
    least = max(_FEWEST, -(-size.size // 4))
    ratio = ordered[least:] / ordered[least - 1 : -1]
    if not ratio.size or ratio.max() < _GAP:
        return np.zeros(size.size, dtype=bool)
    return np.asarray(size >= ordered[least + int(ratio.argmax())])


def _warn_of_outliers(x: Array, h: Array, labels: list[str]) -> None:
    """Warn where increments are far from their median, measured by their median absolute deviation.

    Where most increments are alike (rounded figures, prices that are seldom revised) that is 0 and no measure of the
    others; the mean absolute deviation then stands for it. 1.4826 and 1.2533 times them are σ in a normal sample.
    """
    apart = (x - float(np.median(x / h)) * h) / np.sqrt(h)
    scale = 1.4826 * float(np.median(np.abs(apart)))
    if scale <= _ROUNDING:
        scale = max(1.2533 * float(np.mean(np.abs(apart))), _ROUNDING)
    far = np.abs(apart) / scale
    out = np.flatnonzero(far > _OUTLYING * (1 + _FEW / x.size))
    if not out.size:
        out = np.flatnonzero(_beyond_gap(np.abs(apart)) & (np.abs(x) > np.log(_JUMP)))
    if out.size:
        worst = int(out[np.argmax(far[out])])
        where = ", ".join(labels[i + 1] for i in out[:5]) + (", …" if out.size > 5 else "")
        warnings.warn(
            f"series: {out.size} of {x.size} increments lie far outside the others, those to {where}; the largest "
            f"multiplies the value by {np.exp(x[worst]):.3g} (to {labels[worst + 1]}): is its unit always the same?",
            CalibrationWarning,
            stacklevel=4,
        )
