"""The processes that a series may be of, estimated and held against each other, and the case table of one of them.

A geometric Brownian motion is kept unless another member's BIC is lower by more than 6, which is strong evidence (Kass
and Raftery 1995): on short series of a geometric Brownian motion the least BIC is too often that of another member,
as the likelihood ratio of no reversion is no χ² (Dickey and Fuller 1979).
"""

from __future__ import annotations

import tomllib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.calibration import Goodness
from scenario_trees.errors import CalibrationWarning, TreeError
from scenario_trees.estimation import ESTIMATED, LikelihoodFit, estimate, history, regime_beliefs
from scenario_trees.processes import (
    GeometricBrownianMotion,
    HiddenRegimes,
    HistoricalIncrements,
    JumpDiffusion,
    MeanReverting,
    OneFactor,
    RegimeSwitching,
    SaturatingGrowth,
    UnknownDrift,
)
from stochisru.errors import InputError, require_confidence, require_number
from stochisru.files import plainly
from stochisru.lunar.calibration.series import ObservedSeries
from stochisru.lunar.case import DeploymentCase, case_from_dict
from stochisru.lunar.toml import toml_value
from stochisru.methods.result import versions

if TYPE_CHECKING:
    import pandas as pd

#: Kinds that can be asked for: those that are estimated, what an estimate leaves open, history repeated.
KINDS = (*ESTIMATED, "hidden-regimes", "unknown-drift", "historical")
#: The estimate behind a kind that is not estimated itself, where it is not gbm.
_BEHIND = {"hidden-regimes": "regimes"}
#: Difference in BIC beyond which the evidence against a geometric Brownian motion is strong.
STRONG = 6.0
#: Unit of each parameter; empty where it is that of the series.
UNITS = {
    "drift": "1/yr",
    "volatility": "1/√yr",
    "rate": "1/yr",
    "size": "-",
    "spread": "-",
    "level": "",
    "reversion": "1/yr",
    "stay": "-",
    "capacity": "",
    "imitation": "1/yr",
}


@dataclass(frozen=True, eq=False)
class Calibration:
    """Processes estimated from a series, one of them chosen.

    Attributes
    ----------
    fits
        By kind; there is always one of ``gbm``.
    reasons
        Why other kinds were not estimated.
    kind, why
        The kind of `process`, and why it is that one, in a sentence.
    D0
        Demand in year 0, at which `process` starts; levels and capacities of the series are scaled along.
    warnings
        What is unusual in the series, a line each.
    """

    series: ObservedSeries
    fits: Mapping[str, LikelihoodFit]
    reasons: Mapping[str, str]
    kind: str
    why: str
    D0: float
    confidence: float
    warnings: tuple[str, ...]

    @property
    def fit(self) -> LikelihoodFit:
        """The estimate behind the chosen kind; of what is not estimated, the one that it takes numbers from."""
        return self.fits.get(_BEHIND.get(self.kind, self.kind), self.fits["gbm"])

    @cached_property
    def process(self) -> OneFactor:
        """The chosen process from D0 on."""
        if self.kind == "historical":
            found: Any = _history(self.series)
        elif self.kind == "unknown-drift":
            base = self.fit.process
            found = UnknownDrift(base.initial, base.drift, self.fit.standard_errors["drift"], base.volatility)
        elif self.kind == "hidden-regimes":
            found = self._hidden(self.fit.process)
        else:
            found = self.fit.process
        start: OneFactor = scaled(found, self.D0)
        return start

    def _hidden(self, seen: RegimeSwitching) -> HiddenRegimes:
        """The regimes as nobody sees them, with the belief after the series."""
        belief = tuple(regime_beliefs(seen, self.series.data).tolist())
        return HiddenRegimes(seen.initial, seen.drifts, seen.volatilities, seen.switching, belief)

    def draws(self, count: int, seed: int | np.random.SeedSequence) -> list[OneFactor]:
        """Processes of the chosen kind from D0 on, their parameters drawn from the law of the estimates.

        Raises
        ------
        InputError
            If nothing was estimated of the kind alone, or no errors are known.
        """
        behind = _BEHIND.get(self.kind, self.kind)
        if behind not in self.fits:
            known = ", ".join([*self.fits, *(kind for kind, of in _BEHIND.items() if of in self.fits)])
            raise InputError(f"kind: bands need one of {known}, which has errors; got {self.kind!r}")
        try:
            found = self.fits[behind].draws(count, seed)
        except TreeError as error:
            raise InputError(f"{self.series.file}: {self.series.column}: {error}") from error
        if self.kind == "hidden-regimes":
            found = [self._hidden(process) for process in found]
        return [scaled(process, self.D0) for process in found]

    @property
    def demand(self) -> dict[str, Any]:
        """The table ``[demand]`` of a case, as plain values."""
        return demand_table(self.process)

    @property
    def span(self) -> float:
        """Years from the first known value to the last."""
        return float(self.series.years[-1] - self.series.years[0])

    @property
    def source(self) -> str:
        """Where the numbers of `demand` come from, as `[sources]` of a case says it."""
        labels, steps = self.series.labels, self.fit.steps
        return (
            f"derived: maximum likelihood of {self.kind} on {self.series.column} of {self.series.file}, "
            f"{labels[0]} to {labels[-1]}, {steps} increments"
        )

    def to_toml(self) -> str:
        """The tables ``[demand]`` and ``[demand.process]`` of a case file."""
        table = self.demand
        process = table.pop("process", None)
        lines = [f"# {self.source.removeprefix('derived: ')}", "[demand]"]
        lines += [f"{name} = {toml_value(value)}" for name, value in table.items()]
        if process is not None:
            lines += ["", "[demand.process]", *(f"{name} = {toml_value(value)}" for name, value in process.items())]
        return "\n".join(lines) + "\n"

    def case(self, base: DeploymentCase) -> DeploymentCase:
        """A case with this demand; sources say where it comes from.

        Raises
        ------
        InputError
            If a case cannot have the process.
        """
        changed = with_demand(base, self.demand)
        data = tomllib.loads(changed.to_toml())
        data["sources"] |= dict.fromkeys(self.demand, self.source)
        stem = self.series.file.rpartition(".")[0] or self.series.file
        data["name"] = f"{base.name}-{stem}"[:100]
        return case_from_dict(data)

    def parameters(self) -> pd.DataFrame:
        """One row per parameter of every estimate.

        Returns
        -------
        pandas.DataFrame
            Columns ``kind``, ``parameter``, ``value``, ``standard_error``, ``lower``, ``upper``, ``unit``.
        """
        import pandas as pd

        rows = []
        for kind, fit in self.fits.items():
            for name, value in fit.estimates.items():
                lower, upper = fit.interval(name, self.confidence)
                error, unit = fit.standard_errors[name], UNITS[name.partition("_")[0]]
                row = {"kind": kind, "parameter": name, "value": value, "standard_error": error}
                rows.append({**row, "lower": lower, "upper": upper, "unit": unit or self.series.column})
        return pd.DataFrame(rows)

    def to_frame(self) -> pd.DataFrame:
        """One row per kind, the least BIC first.

        Returns
        -------
        pandas.DataFrame
            Columns ``kind``, ``parameters`` (their number), ``log_likelihood``, ``aic``, ``bic``, p-values of the tests
            ``normality``, ``autocorrelation`` and ``jumps``, and ``note``.
        """
        import pandas as pd

        rows = [
            {
                "kind": kind,
                "parameters": len(fit.estimates),
                "log_likelihood": fit.log_likelihood,
                "aic": fit.aic,
                "bic": fit.bic,
                "normality": fit.normality.p_value,
                "autocorrelation": fit.autocorrelation.p_value,
                "jumps": fit.jumps.p_value,
                "note": "" if fit.identified else FLAT,
            }
            for kind, fit in sorted(self.fits.items(), key=lambda item: item[1].bic)
        ]
        return pd.DataFrame(rows)

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the keys of ``docs/cli.md``."""
        by_kind = {row["kind"]: row for row in self.to_frame().to_dict("records")}
        table = self.parameters()
        kinds = [
            {
                **by_kind[kind],
                "parameters": table[table["kind"] == kind].drop(columns="kind").set_index("parameter").to_dict("index"),
                "identified": fit.identified,
                **{name: _told(getattr(fit, name)) for name in ("normality", "autocorrelation", "jumps")},
            }
            for kind, fit in self.fits.items()
        ]
        return {
            "file": self.series.file,
            "column": self.series.column,
            "first": self.series.labels[0],
            "last": self.series.labels[-1],
            "observations": len(self.series.labels),
            "steps": self.fit.steps,
            "span": self.span,
            "kind": self.kind,
            "why": self.why,
            "confidence": self.confidence,
            "demand": self.demand,
            "kinds": kinds,
            "not_estimated": dict(self.reasons),
            "warnings": list(self.warnings),
            "versions": versions(),
        }


#: Note of an estimate without errors.
FLAT = "a flat direction: no errors are known"


def calibrate(
    series: ObservedSeries, kind: str = "all", *, D0: float | None = None, confidence: float = 0.95
) -> Calibration:
    """Estimate the processes that a series may be of.

    Parameters
    ----------
    kind
        One of `KINDS`; or ``all``: every member is estimated, and a geometric Brownian motion is kept unless another
        member's BIC is lower by more than 6.
    D0
        Demand in year 0, kg/yr; the last value of the series if not given.
    confidence
        Level of the intervals of parameters.

    Raises
    ------
    InputError
        If the series or an argument cannot be used; the message names it.
    """
    require_confidence(confidence)
    if D0 is not None:
        require_number("D0", D0, low=0.0, strict=True)
    if kind != "all" and kind not in KINDS:
        raise InputError(f"kind: must be all or one of {', '.join(KINDS)}, got {kind!r}")
    behind = _BEHIND.get(kind, kind)
    wanted = ESTIMATED if kind == "all" else ("gbm", *((behind,) if behind in ESTIMATED[1:] else ()))
    fits: dict[str, LikelihoodFit] = {}
    reasons: dict[str, str] = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CalibrationWarning)
        for name in wanted:
            try:
                fits[name] = estimate(name, series.data)
            except TreeError as error:
                reasons[name] = str(error).removeprefix("series: ")
    for name in ("gbm", behind):
        if name in reasons:
            raise InputError(f"{series.file}: {series.column}: {reasons[name]}")
    if kind == "historical":
        _history(series)
    chosen, why = _chosen(fits) if kind == "all" else (kind, "asked for")
    unusual = [str(w.message).removeprefix("series: ") for w in caught if issubclass(w.category, CalibrationWarning)]
    return Calibration(
        series,
        fits,
        reasons,
        chosen,
        why,
        float(series.values[-1]) if D0 is None else float(D0),
        confidence,
        tuple(f"{series.file}: {series.column}: {line}" for line in dict.fromkeys(unusual)),
    )


def _chosen(fits: Mapping[str, LikelihoodFit]) -> tuple[str, str]:
    """The kind that is kept, and why."""
    own = fits["gbm"]
    rivals = {kind: own.bic - fit.bic for kind, fit in fits.items() if kind != "gbm" and fit.identified}
    best = max(rivals, key=lambda kind: rivals[kind], default=None)
    if best is not None and rivals[best] > STRONG:
        return best, f"its BIC is lower than that of gbm by {rivals[best]:.1f}, more than {STRONG:g}"
    if best is not None and rivals[best] > 0:
        return "gbm", f"the BIC of {best} is lower by {rivals[best]:.1f}, which is not more than {STRONG:g}"
    return "gbm", "its BIC is the least of those whose errors are known"


def _history(series: ObservedSeries) -> HistoricalIncrements:
    try:
        found = history(series.data)
    except TreeError as error:
        raise InputError(f"{series.file}: {series.column}: {str(error).removeprefix('series: ')}") from error
    if abs(found.period - 1) > 1e-6:
        raise InputError(
            f"{series.file}: {series.column}: historical needs steps of a year, as a case has, got {found.period:g}"
        )
    return found


def _told(test: Goodness) -> dict[str, Any]:
    return test._asdict()


def scaled(process: Any, initial: float) -> Any:
    """The process in another unit, in which it starts at ``initial``: levels and capacities are scaled along."""
    factor = initial / process.initial
    if isinstance(process, MeanReverting):
        return replace(process, initial=initial, level=process.level * factor)
    if isinstance(process, SaturatingGrowth):
        return replace(process, initial=initial, capacity=process.capacity * factor)
    return replace(process, initial=initial)


def demand_table(process: OneFactor) -> dict[str, Any]:
    """The table ``[demand]`` of a case for a process of `KINDS`, as plain values."""
    if isinstance(process, GeometricBrownianMotion):
        return {"D0": process.initial, "mu": process.drift, "sigma": process.volatility}
    start: dict[str, Any] = {"D0": process.initial}
    if isinstance(process, JumpDiffusion):
        jumps = [{"rate": j.rate, "size": j.size, "spread": j.spread} for j in process.jumps]
        own: dict[str, Any] = {"kind": "jumps", "jumps": jumps}
        start |= {"mu": process.drift, "sigma": process.volatility}
    elif isinstance(process, MeanReverting):
        own = {"kind": "mean-reverting", "level": process.level, "reversion": process.reversion}
        start |= {"mu": process.trend, "sigma": process.volatility}
    elif isinstance(process, RegimeSwitching):
        switching = [list(row) for row in process.switching]
        own = {"kind": "regimes", "drifts": list(process.drifts), "volatilities": list(process.volatilities)}
        own |= {"switching": switching, "regime": process.regime}
    elif isinstance(process, HiddenRegimes):
        switching = [list(row) for row in process.switching]
        own = {"kind": "hidden-regimes", "drifts": list(process.drifts), "volatilities": list(process.volatilities)}
        own |= {"switching": switching, "prior": list(process.prior)}
    elif isinstance(process, SaturatingGrowth):
        own = {"kind": "saturating", "capacity": process.capacity, "imitation": process.imitation}
        start |= {"sigma": process.volatility}
    elif isinstance(process, UnknownDrift):
        own = {"kind": "unknown-drift", "prior_sd": process.prior_sd}
        start |= {"mu": process.prior_mean, "sigma": process.volatility}
    elif isinstance(process, HistoricalIncrements):
        own = {"kind": "historical", "factors": list(process.factors), "block": process.block}
    else:
        raise InputError(f"process: must be one of {', '.join(KINDS)}, got {type(process).__name__}")
    return {**start, "process": own}


def with_demand(case: DeploymentCase, table: Mapping[str, Any]) -> DeploymentCase:
    """The case with another demand, as `demand_table` says it."""
    return case.replace(**{"process": None, **table})
