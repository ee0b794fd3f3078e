"""Calibration of the family by maximum likelihood, and how well each member describes a series.

The likelihood of a series is that of its logarithms one after the other, each given what was seen before: the law of
the step is the member's own, whatever its length, so gaps and uneven dates need nothing else. Regimes are not in the
data; they are filtered, over gaps period by period (Hamilton 1989). Standard errors are those of the inverse of the
observed information, by central differences; where that is no covariance matrix they are NaN, and the likelihood has
a flat direction. ``AIC = 2k − 2 ln L`` and ``BIC = k ln n − 2 ln L`` of k estimates and n steps (Burnham and Anderson
2002). Residuals are ``Φ^{-1}(F(x_i | past))``, standard normal and independent if the member is right (Rosenblatt
1952).

An unknown drift is no process to estimate but what an estimate leaves open: `drift_prior` is the posterior of a
calibrated geometric Brownian motion, N(μ, se²).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array
from scenario_trees.calibration import ProcessFit, Residuals, fit, seen
from scenario_trees.errors import CalibrationWarning, TreeError
from scenario_trees.processes import (
    GeometricBrownianMotion,
    HistoricalIncrements,
    Jump,
    JumpDiffusion,
    MeanReverting,
    RegimeSwitching,
    SaturatingGrowth,
    UnknownDrift,
)

if TYPE_CHECKING:
    import pandas as pd

#: Least probability, rate and volatility in the search; logarithms and odds of 0 are none.
_TINY = 1e-8
#: Steps per estimate below which a member is not estimated.
_STEPS_EACH = 2


@dataclass(frozen=True)
class LikelihoodFit(Residuals):
    """A member estimated from a series.

    Attributes
    ----------
    process
        The process; it starts at the last value of the series, in regimes in the likeliest one.
    estimates, standard_errors
        By the name of the parameter.
    log_likelihood
        ln L of the logarithms of the series.
    steps
        Number n of steps.
    standardised
        Residuals, shape ``(n,)``.
    """

    process: Any
    estimates: dict[str, float]
    standard_errors: dict[str, float]
    log_likelihood: float
    steps: int
    standardised: Array = field(compare=False, repr=False)

    @property
    def aic(self) -> float:
        """Akaike's criterion; the least is best."""
        return 2 * len(self.estimates) - 2 * self.log_likelihood

    @property
    def bic(self) -> float:
        """Schwarz's criterion; the least is best."""
        return float(np.log(self.steps)) * len(self.estimates) - 2 * self.log_likelihood

    def to_frame(self) -> pd.DataFrame:
        """One row per parameter: ``value``, ``standard_error``."""
        import pandas as pd

        rows = {name: (value, self.standard_errors[name]) for name, value in self.estimates.items()}
        columns = ["value", "standard_error"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("parameter")


@dataclass(frozen=True)
class _Form:
    """How a member is made of numbers that may take any value."""

    names: tuple[str, ...]
    start: Callable[[ProcessFit], list[Array]]
    values: Callable[[Array], Array]
    make: Callable[[float, Array], Any]


def _odds(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -35, 35))))


def _exp(x: Any) -> Any:
    return np.exp(np.clip(x, -30, 30))


def _forms(first: float, last: float, largest: float) -> dict[str, _Form]:
    """The members that are estimated; values of the series set the scale."""

    def around(found: ProcessFit) -> tuple[float, float]:
        return found.process.drift, np.log(max(found.process.volatility, 1e-4))

    def jumps(found: ProcessFit) -> list[Array]:
        mu, s = around(found)
        return [np.array([mu, s - 0.7, np.log(rate), size, -2.0]) for rate in (0.1, 0.5) for size in (-0.3, 0.3)]

    def reverting(found: ProcessFit) -> list[Array]:
        _, s = around(found)
        levels = (np.log(last), 0.5 * (np.log(first) + np.log(last)))
        return [np.array([level, kappa, s]) for level in levels for kappa in (-2.0, 0.0)]

    def regimes(found: ProcessFit) -> list[Array]:
        mu, s = around(found)
        apart = np.exp(s)
        return [np.array([mu + apart, mu - apart, s - 0.3, s + 0.1, stay, stay]) for stay in (1.0, 2.0)]

    def saturating(found: ProcessFit) -> list[Array]:
        mu, s = around(found)
        return [np.array([np.log(m * largest), np.log(max(mu, 0.05)), s]) for m in (1.2, 3.0)]

    return {
        "gbm": _Form(
            ("drift", "volatility"),
            lambda found: [np.array(around(found))],
            lambda x: np.array([x[0], _exp(x[1])]),
            lambda initial, v: GeometricBrownianMotion(initial, v[0], v[1]),
        ),
        "jumps": _Form(
            ("drift", "volatility", "rate", "size", "spread"),
            jumps,
            lambda x: np.array(
                [x[0], _exp(x[1]), _exp(np.clip(x[2], -12, 3)), np.expm1(np.clip(x[3], -9, 5)), _exp(x[4])]
            ),
            lambda initial, v: JumpDiffusion(initial, v[0], v[1], (Jump(v[2], max(v[3], -1 + _TINY), v[4]),)),
        ),
        "mean-reverting": _Form(
            ("level", "reversion", "volatility"),
            reverting,
            lambda x: np.array([_exp(x[0]), _exp(np.clip(x[1], -12, 6)), _exp(x[2])]),
            lambda initial, v: MeanReverting(initial, v[0], v[1], v[2]),
        ),
        "regimes": _Form(
            ("drift_0", "drift_1", "volatility_0", "volatility_1", "stay_0", "stay_1"),
            regimes,
            lambda x: np.array([x[0], x[1], _exp(x[2]), _exp(x[3]), *_odds(x[4:])]),
            lambda initial, v: RegimeSwitching(
                initial, (v[0], v[1]), (v[2], v[3]), ((v[4], 1 - v[4]), (1 - v[5], v[5]))
            ),
        ),
        "saturating": _Form(
            ("capacity", "imitation", "volatility"),
            saturating,
            lambda x: np.array([_exp(x[0]), _exp(np.clip(x[1], -12, 4)), _exp(x[2])]),
            lambda initial, v: SaturatingGrowth(initial, v[0], v[1], v[2]),
        ),
    }


#: Members that `estimate` knows.
ESTIMATED = ("gbm", "jumps", "mean-reverting", "regimes", "saturating")


def estimate(kind: str, series: ArrayLike | pd.Series, dt: float | ArrayLike | None = None) -> LikelihoodFit:
    """LikelihoodFit a member from a series.

    Parameters
    ----------
    kind
        ``gbm``, ``jumps`` (one kind, lognormal), ``mean-reverting`` (no trend), ``regimes`` (two) or ``saturating``
        (logistic).
    series, dt
        As in `GeometricBrownianMotion.fit`: at least two values > 0 per parameter and one more; gaps and uneven dates
        are taken by their length. Regimes change once a unit of time, so steps must be whole units.

    Raises
    ------
    TreeError
        If the series cannot be used, or is too short for the member.

    Examples
    --------
    >>> from scenario_trees import MeanReverting, estimate
    >>> prices = MeanReverting(1000.0, 500.0, 0.5, 0.2).sample(1, 200, seed=3)[:, 0]
    >>> found = estimate("mean-reverting", prices)
    >>> bool(abs(found.estimates["reversion"] - 0.5) < 3 * found.standard_errors["reversion"])
    True
    """
    from scipy.optimize import minimize

    if kind not in ESTIMATED:
        raise TreeError(f"kind: must be one of {', '.join(ESTIMATED)}, got {kind!r}")
    values, times = seen(series, dt)
    steps = values.size - 1
    form = _forms(float(values[0]), float(values[-1]), float(values.max()))[kind]
    if steps < _STEPS_EACH * len(form.names):
        least = _STEPS_EACH * len(form.names)
        raise TreeError(f"series: {kind} has {len(form.names)} parameters and needs {least} steps, got {steps}")
    if kind == "regimes":
        _require_whole(times)
    with warnings.catch_warnings():
        if kind != "gbm":  # what lies outside the others may be what the member is about
            warnings.simplefilter("ignore", CalibrationWarning)
        around = fit(values, np.diff(times))

    def lost(x: Array) -> float:
        found = _likelihood(form.make(float(values[0]), form.values(x)), values, times)[0]
        return -found if np.isfinite(found) else 1e10

    best, least_lost = form.start(around)[0], np.inf
    for start in form.start(around):
        found = minimize(lost, start, method="Nelder-Mead", options={"maxiter": 4000, "xatol": 1e-8, "fatol": 1e-10})
        if found.fun < least_lost:
            best, least_lost = found.x, float(found.fun)
    errors = _standard_errors(lost, form.values, best)
    process = form.make(float(values[0]), form.values(best))
    log_likelihood, residuals, regime = _likelihood(process, values, times)
    made = form.make(float(values[-1]), form.values(best))
    if isinstance(made, RegimeSwitching):
        made = RegimeSwitching(made.initial, made.drifts, made.volatilities, made.switching, regime)
    return LikelihoodFit(
        process=made,
        estimates=dict(zip(form.names, map(float, form.values(best)), strict=True)),
        standard_errors=dict(zip(form.names, map(float, errors), strict=True)),
        log_likelihood=log_likelihood,
        steps=steps,
        standardised=residuals,
    )


def compare_processes(
    series: ArrayLike | pd.Series, dt: float | ArrayLike | None = None, kinds: Sequence[str] = ESTIMATED
) -> pd.DataFrame:
    """Members side by side on a series.

    Returns
    -------
    pandas.DataFrame
        Index ``kind``, the best by BIC first; columns ``parameters``, ``log_likelihood``, ``aic``, ``bic``,
        ``normality`` and ``autocorrelation`` (p-values of the residuals; small ones speak against), and ``reason``
        why a member was not estimated.
    """
    import pandas as pd

    rows: dict[str, dict[str, Any]] = {}
    for kind in kinds:
        try:
            with warnings.catch_warnings():  # what lies outside the others for one member may suit another
                warnings.simplefilter("ignore", CalibrationWarning)
                found = estimate(kind, series, dt)
        except TreeError as error:
            if kind == "gbm":
                raise
            rows[kind] = {"reason": str(error)}
            continue
        rows[kind] = {
            "parameters": len(found.estimates),
            "log_likelihood": found.log_likelihood,
            "aic": found.aic,
            "bic": found.bic,
            "normality": found.normality.p_value,
            "autocorrelation": found.autocorrelation.p_value,
            "reason": "",
        }
    columns = ["parameters", "log_likelihood", "aic", "bic", "normality", "autocorrelation", "reason"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("kind").sort_values("bic")


def drift_prior(found: ProcessFit) -> UnknownDrift:
    """What a calibrated geometric Brownian motion leaves open of its drift, as a process: μ ~ N(μ, se²)."""
    process = found.process
    return UnknownDrift(process.initial, process.drift, found.drift_se, process.volatility)


def history(series: ArrayLike | pd.Series, block: float = 1.0) -> HistoricalIncrements:
    """History repeated, of a series without gaps whose steps are of one length."""
    values, times = seen(series, None)
    steps = np.diff(times)
    if not np.allclose(steps, steps[0], rtol=1e-6):
        i = int(np.argmax(~np.isclose(steps, steps[0], rtol=1e-6)))
        raise TreeError(f"series: history needs steps of one length, {steps[0]:g}, got {steps[i]:g} at position {i}")
    return HistoricalIncrements.of(values, block, float(steps[0]))


def _require_whole(times: Array) -> None:
    steps = np.diff(times)
    bad = np.flatnonzero(np.abs(steps - np.rint(steps)) > 0.02)
    if bad.size:
        raise TreeError(
            f"series: regimes change once a unit of time, so steps must be whole units, got {steps[bad[0]]:g} at "
            f"position {int(bad[0])}"
        )


def _likelihood(process: Any, values: Array, times: Array) -> tuple[float, Array, int]:
    """Logarithm of the likelihood, residuals, and the likeliest regime at the end."""
    from scipy.special import ndtri

    y, steps = np.log(values), np.diff(times)
    if isinstance(process, RegimeSwitching):
        return _filtered(process, y, np.rint(steps).astype(np.int64))
    density, under = np.empty(steps.size), np.empty(steps.size)
    for h in np.unique(steps):
        here = np.flatnonzero(steps == h)
        law = process.law(values[:-1][here, None], 0.0, float(h)).merged
        density[here] = law.log_density(y[1:][here])
        under[here] = law.below(y[1:][here, None])[:, 0]
    return float(density.sum()), np.asarray(ndtri(np.clip(under, 1e-12, 1 - 1e-12))), 0


def _filtered(process: RegimeSwitching, y: Array, periods: Array) -> tuple[float, Array, int]:
    """The same with regimes that nobody saw: their law in the beginning is the stationary one."""
    from scipy.special import ndtr, ndtri

    matrix = np.array(process.switching)
    regimes = matrix.shape[0]
    system = np.vstack([matrix.T - np.eye(regimes), np.ones(regimes)])
    law = np.maximum(np.linalg.lstsq(system, np.append(np.zeros(regimes), 1.0), rcond=None)[0], 0.0)
    law = law / law.sum()
    growth = np.diff(y)
    n = growth.size
    step, under, shift = np.empty((n, regimes, regimes)), np.empty((n, regimes)), np.empty(n)
    for k in np.unique(periods):
        here = periods == k
        chance, middle, sd = process.over_periods(int(k))  # of first regime, way, next regime; of ways
        spread = np.maximum(sd, _TINY)
        z = (growth[here, None] - middle) / spread
        log = -0.5 * z**2 - np.log(spread) - 0.5 * np.log(2 * np.pi)
        shift[here] = log.max(axis=1)  # densities of far steps are next to 0
        step[here] = np.einsum("iw,rwn->irn", np.exp(log - shift[here, None]), chance)
        under[here] = ndtr(z) @ chance.sum(axis=2).T
    total, residuals = float(shift.sum()), np.empty(n)
    for i in range(growth.size):
        residuals[i] = law @ under[i]
        law = law @ step[i]
        size = float(law.sum())
        if not size > 0:
            return -np.inf, residuals, 0
        total += float(np.log(size))
        law = law / size
    return total, np.asarray(ndtri(np.clip(residuals, 1e-12, 1 - 1e-12))), int(law.argmax())


def _standard_errors(lost: Callable[[Array], float], values: Callable[[Array], Array], best: Array) -> Array:
    """Standard errors of the values by the observed information, NaN where it is none."""
    k = best.size
    step = 1e-4 * np.maximum(np.abs(best), 1.0)
    information = np.empty((k, k))
    for i in range(k):
        for j in range(i, k):
            a, b = step[i] * np.eye(k)[i], step[j] * np.eye(k)[j]
            found = lost(best + a + b) - lost(best + a - b) - lost(best - a + b) + lost(best - a - b)
            information[i, j] = information[j, i] = found / (4 * step[i] * step[j])
    moved = np.diag(step)
    slope = np.stack([(values(best + s) - values(best - s)) / (2 * h) for s, h in zip(moved, step, strict=True)], 1)
    if not np.isfinite(information).all() or np.linalg.eigvalsh(information).min() <= 0:
        return np.full(k, np.nan)
    return np.asarray(np.sqrt(np.diag(slope @ np.linalg.inv(information) @ slope.T)))
