"""Calibration of the family by maximum likelihood, and how well each member describes a series.

The likelihood of a series is that of its logarithms one after the other, each given what was seen before: the law of
the step is the member's own, whatever its length, so gaps and uneven dates need nothing else. Regimes are not in the
data; they are filtered, over gaps period by period (Hamilton 1989). Standard errors are those of the inverse of the
observed information, by central differences; where that is no covariance matrix they are NaN, and the likelihood has
a flat direction. ``AIC = 2k − 2 ln L`` and ``BIC = k ln n − 2 ln L`` of k estimates and n steps (Burnham and Anderson
2002). Residuals are ``Φ^{-1}(F(x_i | past))``, standard normal and independent if the member is right (Rosenblatt
1952).

The likelihood of mixtures has no maximum: a regime, or the time between jumps, of no volatility explains one
step infinitely well. So volatilities are kept within a factor of ten of each other (Hathaway 1985), those between jumps
of that without jumps.

An unknown drift is no process to estimate but what an estimate leaves open: `drift_prior` is the posterior of a
calibrated geometric Brownian motion, N(μ, se²).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
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
#: Steps per estimate below which a member is not estimated; a geometric Brownian motion needs three in all.
_STEPS_EACH, _FEWEST = 2, 3
#: Largest ratio of volatilities of a mixture.
_APART = 10.0
#: Standard error in the search, of a logarithm or of log odds, from which on a direction counts as flat.
_FLAT = 5.0


@dataclass(frozen=True)
class _Search:
    """Where the search ended, in numbers that may take any value, and their covariance, NaN where there is none."""

    best: Array
    covariance: Array
    overall: float


#: Of parameters by their range: to a number that may take any value, back, and the slope there.
_LINKS: dict[str, tuple[Callable[[float], float], Callable[[float], float], Callable[[float], float]]] = {
    "any": (float, float, lambda v: 1.0),
    "positive": (lambda v: float(np.log(v)), lambda g: float(np.exp(min(g, 700.0))), lambda v: 1 / v),
    "share": (
        lambda v: float(np.log(v / (1 - v))),
        lambda g: float(1 / (1 + np.exp(-min(max(g, -700.0), 700.0)))),
        lambda v: 1 / (v * (1 - v)),
    ),
    "change": (lambda v: float(np.log1p(v)), lambda g: float(np.expm1(min(g, 700.0))), lambda v: 1 / (1 + v)),
}


def _link(name: str) -> str:
    """Range of a parameter."""
    if name.startswith("drift"):
        return "any"
    if name.startswith("stay"):
        return "share"
    return "change" if name == "size" else "positive"


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
    kind
        Name of the member, one of `ESTIMATED`.
    steps
        Number n of steps.
    standardised
        Residuals, shape ``(n,)``.
    search
        Estimates and their covariance as they were searched, for `draws`.
    """

    process: Any
    kind: str
    estimates: dict[str, float]
    standard_errors: dict[str, float]
    log_likelihood: float
    steps: int
    standardised: Array = field(compare=False, repr=False)
    search: _Search = field(compare=False, repr=False)

    @property
    def aic(self) -> float:
        """Akaike's criterion; the least is best."""
        return 2 * len(self.estimates) - 2 * self.log_likelihood

    @property
    def bic(self) -> float:
        """Schwarz's criterion; the least is best."""
        return float(np.log(self.steps)) * len(self.estimates) - 2 * self.log_likelihood

    @property
    def identified(self) -> bool:
        """Whether the likelihood has a peak; else it has a flat direction, and no error is known."""
        return bool(np.isfinite(self.search.covariance).all())

    def interval(self, name: str, confidence: float = 0.95) -> tuple[float, float]:
        """Confidence interval of a parameter, within its range; NaN where no error is known.

        It is normal for the parameter g that may take any value (a logarithm, log odds), with
        ``se(g(v)) = |g'(v)| se(v)``.
        """
        from scipy.special import ndtri

        value, error = self.estimates[name], self.standard_errors[name]
        if not np.isfinite(error) or error == 0:
            end = value if error == 0 else float("nan")
            return end, end
        to, back, slope = _LINKS[_link(name)]
        half = float(ndtri(0.5 + confidence / 2)) * error * slope(value)
        return float(back(to(value) - half)), float(back(to(value) + half))

    def draws(self, count: int, seed: int | np.random.SeedSequence) -> list[Any]:
        """Processes whose parameters are drawn from the normal law of the estimates, all from the last value on.

        Logarithms and log odds are drawn, so that every parameter keeps its range. The law is that of many steps; of
        few it is too narrow.

        Raises
        ------
        TreeError
            If the likelihood has a flat direction.
        """
        if not self.identified:
            raise TreeError(f"estimates: the likelihood of {self.kind} has a flat direction, so no errors are known")
        rng = np.random.default_rng(seed)
        found = rng.multivariate_normal(self.search.best, self.search.covariance, size=count, method="cholesky")
        form = _forms(self.search.overall)[self.kind]
        made = [form.make(self.process.initial, form.values(x)) for x in found]
        if isinstance(self.process, RegimeSwitching):
            made = [replace(process, regime=self.process.regime) for process in made]
        return made

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
    values: Callable[[Array], Array]
    make: Callable[[float, Array], Any]


def _odds(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -35, 35))))


def _exp(x: Any) -> Any:
    return np.exp(np.clip(x, -30, 30))


def _between(x: Any) -> Any:
    """Share of the volatility without jumps that is left between them, from a tenth to twice it."""
    low, high = -np.log(_APART), np.log(2.0)
    return np.exp(low + (high - low) * _odds(x))


def _apart(s: float, x: float) -> tuple[Any, Any]:
    """Volatilities of two regimes from the logarithm of their mean and how far they are apart."""
    half = 0.5 * np.log(_APART) * np.tanh(x)
    return _exp(s + half), _exp(s - half)


def _forms(overall: float) -> dict[str, _Form]:
    """The members that are estimated; ``overall`` is the volatility of a geometric Brownian motion."""
    return {
        "gbm": _Form(
            ("drift", "volatility"),
            lambda x: np.array([x[0], _exp(x[1])]),
            lambda initial, v: GeometricBrownianMotion(initial, float(v[0]), float(v[1])),
        ),
        "jumps": _Form(
            ("drift", "volatility", "rate", "size", "spread"),
            lambda x: np.array(
                [
                    x[0],
                    overall * _between(x[1]),
                    _exp(np.clip(x[2], -12, 3)),
                    max(np.expm1(np.clip(x[3], -9, 5)), -1 + _TINY),
                    _exp(x[4]),
                ]
            ),
            lambda initial, v: JumpDiffusion(
                initial, float(v[0]), float(v[1]), (Jump(float(v[2]), float(v[3]), float(v[4])),)
            ),
        ),
        "mean-reverting": _Form(
            ("level", "reversion", "volatility"),
            lambda x: np.array([_exp(x[0]), _exp(np.clip(x[1], -12, 6)), _exp(x[2])]),
            lambda initial, v: MeanReverting(initial, float(v[0]), float(v[1]), float(v[2])),
        ),
        "regimes": _Form(
            ("drift_0", "drift_1", "volatility_0", "volatility_1", "stay_0", "stay_1"),
            lambda x: np.array([x[0], x[1], *_apart(x[2], x[3]), *_odds(x[4:])]),
            _made_regimes,
        ),
        "saturating": _Form(
            ("capacity", "imitation", "volatility"),
            lambda x: np.array([_exp(x[0]), _exp(np.clip(x[1], -12, 4)), _exp(x[2])]),
            lambda initial, v: SaturatingGrowth(initial, float(v[0]), float(v[1]), float(v[2])),
        ),
    }


def _made_regimes(initial: float, v: Array) -> RegimeSwitching:
    mu, sigma, stay = v[:2].tolist(), v[2:4].tolist(), v[4:].tolist()
    return RegimeSwitching(initial, tuple(mu), tuple(sigma), ((stay[0], 1 - stay[0]), (1 - stay[1], stay[1])))


def _starts(kind: str, values: Array, around: ProcessFit) -> list[Array]:
    """Where the search of a member begins, around the geometric Brownian motion of a series."""
    mu, s = around.process.drift, float(np.log(max(around.process.volatility, 1e-4)))
    if kind == "jumps":
        return [np.array([mu, 0.15, np.log(rate), size, -2.0]) for rate in (0.1, 0.5) for size in (-0.3, 0.3)]
    if kind == "mean-reverting":
        levels = np.log(values[-1]), 0.5 * (np.log(values[0]) + np.log(values[-1]))
        return [np.array([level, kappa, s]) for level in levels for kappa in (-2.0, 0.0)]
    if kind == "regimes":
        apart = np.exp(s)
        return [np.array([mu + apart, mu - apart, s - 0.1, -0.18, stay, stay]) for stay in (1.0, 2.0)]
    if kind == "saturating":
        return [np.array([np.log(m * values.max()), np.log(max(mu, 0.05)), s]) for m in (1.2, 3.0)]
    return [np.array([mu, s])]


#: Members that `estimate` knows.
ESTIMATED = ("gbm", "jumps", "mean-reverting", "regimes", "saturating")


def estimate(kind: str, series: ArrayLike | pd.Series, dt: float | ArrayLike | None = None) -> LikelihoodFit:
    """Estimate a member from a series.

    Parameters
    ----------
    kind
        ``gbm``, ``jumps`` (one kind, lognormal), ``mean-reverting`` (no trend), ``regimes`` (two) or ``saturating``
        (logistic).
    series, dt
        As in `GeometricBrownianMotion.fit`: at least two steps per parameter, or three in all of ``gbm``; gaps and
        uneven dates are taken by their length. Regimes change once a unit of time, so steps must be whole units.

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
    with warnings.catch_warnings():
        if kind != "gbm":  # what lies outside the others may be what the member is about
            warnings.simplefilter("ignore", CalibrationWarning)
        around = fit(values, np.diff(times))
    if not around.standardised.any():
        raise TreeError("series: must not grow by the same factor at every step, which leaves no volatility")
    overall = around.process.volatility
    form = _forms(overall)[kind]
    least = _FEWEST if kind == "gbm" else _STEPS_EACH * len(form.names)
    if steps < least:
        raise TreeError(f"series: {kind} has {len(form.names)} parameters and needs {least} steps, got {steps}")
    if kind == "regimes":
        _require_whole(times)

    def lost(x: Array) -> float:
        found = _likelihood(form.make(float(values[0]), form.values(x)), values, times)[0]
        return -found if np.isfinite(found) else 1e10

    best, least_lost = np.zeros(len(form.names)), np.inf
    for start in _starts(kind, values, around):
        found = minimize(lost, start, method="Nelder-Mead", options={"maxiter": 4000, "xatol": 1e-8, "fatol": 1e-10})
        if found.fun < least_lost:
            best, least_lost = found.x, float(found.fun)
    covariance = _covariance(lost, form.values, best)
    log_likelihood, residuals = _likelihood(form.make(float(values[0]), form.values(best)), values, times)
    made = form.make(float(values[-1]), form.values(best))
    if isinstance(made, RegimeSwitching):
        made = replace(made, regime=int(_filtered(made, values, times)[2].argmax()))
    return LikelihoodFit(
        process=made,
        kind=kind,
        estimates=dict(zip(form.names, map(float, form.values(best)), strict=True)),
        standard_errors=dict(zip(form.names, _errors(form.values, best, covariance), strict=True)),
        log_likelihood=log_likelihood,
        steps=steps,
        standardised=residuals,
        search=_Search(best, covariance, overall),
    )


def regime_beliefs(
    process: RegimeSwitching, series: ArrayLike | pd.Series, dt: float | ArrayLike | None = None
) -> Array:
    """Probability of every regime in the period after a series, if nobody saw them, shape ``(regimes,)``.

    The law before the series is the stationary one. Arguments are as in `estimate`; one step will do.

    Examples
    --------
    >>> from scenario_trees import RegimeSwitching
    >>> from scenario_trees.estimation import regime_beliefs
    >>> demand = RegimeSwitching(1000.0, (0.2, -0.1), (0.1, 0.1), ((0.9, 0.1), (0.3, 0.7)))
    >>> regime_beliefs(demand, [1000.0, 1100.0, 900.0, 820.0]).round(2)
    array([0.3, 0.7])
    """
    values, times = seen(series, dt, steps=1)
    _require_whole(times)
    return _filtered(process, values, times)[2]


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
    bad = np.flatnonzero((np.abs(steps - np.rint(steps)) > 0.02) | (np.rint(steps) < 1))
    if bad.size:
        raise TreeError(
            f"series: regimes change once a unit of time, so steps must be whole units, got {steps[bad[0]]:g} at "
            f"position {int(bad[0])}"
        )


def _likelihood(process: Any, values: Array, times: Array) -> tuple[float, Array]:
    """Logarithm of the likelihood, and residuals."""
    from scipy.special import ndtri

    y, steps = np.log(values), np.diff(times)
    if isinstance(process, RegimeSwitching):
        return _filtered(process, values, times)[:2]
    density, under = np.empty(steps.size), np.empty(steps.size)
    _, first, alike = np.unique(np.round(steps, 9), return_index=True, return_inverse=True)  # dates are rounded
    for i, h in enumerate(steps[first]):
        here = np.flatnonzero(alike == i)
        law = process.law(values[:-1][here, None], 0.0, float(h)).merged
        density[here] = law.log_density(y[1:][here])
        under[here] = law.below(y[1:][here, None])[:, 0]
    return float(density.sum()), np.asarray(ndtri(np.clip(under, 1e-12, 1 - 1e-12)))


def _filtered(process: RegimeSwitching, values: Array, times: Array) -> tuple[float, Array, Array]:
    """The same with regimes that nobody saw, in the beginning of the stationary law; and that in the end."""
    from scipy.special import ndtr, ndtri

    matrix = np.array(process.switching)
    regimes = matrix.shape[0]
    system = np.vstack([matrix.T - np.eye(regimes), np.ones(regimes)])
    law = np.maximum(np.linalg.lstsq(system, np.append(np.zeros(regimes), 1.0), rcond=None)[0], 0.0)
    law = law / law.sum()
    growth, periods = np.diff(np.log(values)), np.rint(np.diff(times)).astype(np.int64)
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
            return -np.inf, residuals, law
        total += float(np.log(size))
        law = law / size
    return total, np.asarray(ndtri(np.clip(residuals, 1e-12, 1 - 1e-12))), np.asarray(law)


def _covariance(lost: Callable[[Array], float], values: Callable[[Array], Array], best: Array) -> Array:
    """Covariance of what was searched, by the observed information; NaN where a direction is flat or at an end."""
    k = best.size
    step, here = 1e-4 * np.maximum(np.abs(best), 1.0), values(best)
    information = np.empty((k, k))
    for i in range(k):
        for j in range(i, k):
            a, b = step[i] * np.eye(k)[i], step[j] * np.eye(k)[j]
            found = lost(best + a + b) - lost(best + a - b) - lost(best - a + b) + lost(best - a - b)
            information[i, j] = information[j, i] = found / (4 * step[i] * step[j])
    nothing = np.full((k, k), np.nan)
    at_end = any(np.allclose(values(best + s), here) or np.allclose(values(best - s), here) for s in np.diag(10 * step))
    if at_end or not np.isfinite(information).all() or np.linalg.eigvalsh(information).min() <= _FLAT**-2:
        return nothing
    return np.asarray(np.linalg.inv(information))


def _errors(values: Callable[[Array], Array], best: Array, covariance: Array) -> list[float]:
    """Standard errors of the values."""
    step = np.diag(1e-4 * np.maximum(np.abs(best), 1.0))
    slope = np.stack([(values(best + s) - values(best - s)) / (2 * s.max()) for s in step], axis=1)
    return [float(x) for x in np.sqrt(np.diag(slope @ covariance @ slope.T))]
