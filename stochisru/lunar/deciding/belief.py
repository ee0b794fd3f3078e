"""What a history says: demand of year 0, and the belief about growth by the process of a case.

The case's own process is taken as true but for what it leaves open, and that is filtered: the regime, seen or not, by
Hamilton's filter from the stationary law on; an unknown drift by Bayes' rule from the prior of the case, which is that
before the first value. Parameters are the case's, or with ``calibrate`` those that its kind of process has on the
history (`stochisru.lunar.calibration.calibrate`); belief and prior are those of the calibration then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.calibration import seen
from scenario_trees.errors import TreeError
from scenario_trees.estimation import regime_beliefs
from scenario_trees.processes import DiscreteDrift, RegimeSwitching, UnknownDrift
from stochisru.errors import InputError
from stochisru.lunar.calibration.fitted import KINDS, Calibration, calibrate
from stochisru.lunar.calibration.series import ObservedSeries, read_series
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.demand import Demand
from stochisru.lunar.tables.case import GeneralCase, is_general

if TYPE_CHECKING:
    import pandas as pd

#: Values of a history at least: the last one is demand, and a belief asks for growth.
_FEWEST = 2


@dataclass(frozen=True)
class Belief:
    """What is believed of demand from year 0 on.

    Attributes
    ----------
    kind
        Kind of the process, as cases name it.
    process
        The process in one line.
    facts
        What the history says of what the process leaves open: ``probabilities`` of regimes or of ``drifts``, ``drift``
        and ``drift_sd``; nothing where it leaves nothing open.
    calibrated
        Whether parameters are those of the history.
    """

    kind: str
    process: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    calibrated: bool = False

    def describe(self) -> str:
        """The belief in one sentence."""
        whose = "parameters of the history" if self.calibrated else "parameters of the case"
        told = f"{self.kind} with {whose}"
        facts = self.facts
        if "drift" in facts:
            return f"{told}; growth {facts['drift']:.1%} a year, known to ± {facts['drift_sd']:.1%}"
        if "drifts" in facts and len(facts["drifts"]) <= 4:
            pairs = zip(facts["drifts"], facts["probabilities"], strict=True)
            return f"{told}; " + ", ".join(f"growth {m:.1%} with probability {p:.0%}" for m, p in pairs)
        if "drifts" in facts:
            return f"{told}; growth {facts['drift_mean']:.1%} a year on average over {len(facts['drifts'])} rates"
        if "probabilities" in facts:
            shown = ", ".join(f"{i} {p:.0%}" for i, p in enumerate(facts["probabilities"]))
            taken = f", taken as {facts['regime']}" if "regime" in facts else ""
            return f"{told}; regime {shown}{taken}"
        return f"{told}: {self.process}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"kind": self.kind, "process": self.process, "calibrated": self.calibrated, **self.facts}


@dataclass(frozen=True, eq=False)
class Informed:
    """A case with the parameters that hold, and the history that says the rest."""

    case: DeploymentCase | GeneralCase
    history: ObservedSeries
    calibration: Calibration | None = None

    @classmethod
    def of(cls, case: DeploymentCase | GeneralCase, history: ObservedSeries, calibrated: bool) -> Informed:
        """A case before a history, with its own parameters or those of the history.

        Raises
        ------
        InputError
            If parameters of its kind of process cannot be had from a history, or from this one.
        """
        if not calibrated:
            return cls(case, history)
        kind = _kind(case.demand)
        if kind not in KINDS:
            raise InputError(
                f"calibrate: takes a process whose parameters a history gives, {', '.join(KINDS)}; {case.name} has "
                f"{kind}, leave --calibrate out"
            )
        found = calibrate(history, kind)
        table = found.demand
        process = table.pop("process", None)
        if process is not None and kind == "unknown-drift":
            own = case.demand.process
            process |= {end: value for end in ("low", "high") if (value := getattr(own, end)) is not None}
        changed = {**table, **({} if process is None else {"process": process})}
        return cls(case.replace(**changed), history, found)

    @property
    def demand(self) -> float:
        """The last demand, kg/yr."""
        return float(self.history.values[-1])

    def at(self, demand: float) -> tuple[DeploymentCase | GeneralCase, Belief]:
        """The case in year 0, and the belief, if the last demand of the history is ``demand``, kg/yr."""
        data = self.history.data.copy()
        data.iloc[int(np.flatnonzero(data.notna())[-1])] = demand
        try:
            changed, facts = self._updated(data)
        except TreeError as error:
            raise InputError(f"{self.history.file}: {self.history.column}: {error}") from error
        case = self.case.replace(D0=demand, **changed)
        return case, Belief(_kind(case.demand), _told(case), facts, self.calibration is not None)

    @cached_property
    def _table(self) -> dict[str, Any]:
        """The process of demand as a table of the case."""
        own = self.case.demand.process
        return {} if own is None else own.model_dump(exclude_none=True)

    def _updated(self, data: pd.Series) -> tuple[dict[str, Any], dict[str, Any]]:
        """What of the demand's tables a history changes, and the facts of the belief."""
        demand, kind = self.case.demand, _kind(self.case.demand)
        values, times = seen(data, None, _FEWEST - 1)
        span = float(times[-1] - times[0])
        if kind in ("regimes", "hidden-regimes"):
            table = self._table
            process = RegimeSwitching(1.0, table["drifts"], table["volatilities"], table["switching"])
            chance = regime_beliefs(process, data).tolist()
            if kind == "hidden-regimes":
                return {"process": {**table, "prior": chance}}, {"probabilities": chance}
            likeliest = int(np.argmax(chance))
            return {"process": {**table, "regime": likeliest}}, {"probabilities": chance, "regime": likeliest}
        if kind == "unknown-drift":
            (mean, volatility), sd = demand.numbers, float(self._table["prior_sd"])
            if self.calibration is None:  # else they are of the whole history already
                prior = UnknownDrift(float(values[0]), mean, sd, volatility)
                found = prior.posterior(span, values[-1])
                mean, sd = float(found[0]), float(found[1])
            told = {"drift": mean, "drift_sd": sd}
            low, high = self._table.get("low"), self._table.get("high")
            if low is not None and high is not None:  # cut off at both ends
                cut = DiscreteDrift.truncated_normal(1.0, mean, sd, float(low), float(high), volatility)
                drifts, weights = np.array(cut.drifts), np.array(cut.weights)
                centre = float(drifts @ weights)
                told = {"drift": centre, "drift_sd": float(np.sqrt(weights @ (drifts - centre) ** 2))}
            return {"mu": mean, "process": {**self._table, "prior_sd": sd}}, told
        if kind == "discrete-drift":
            drifts, weights = self._table["drifts"], self._table["weights"]
            before = DiscreteDrift(float(values[0]), drifts, weights, demand.numbers[1])
            law = before.posterior(span, values[-1]).tolist()
            facts = {"drifts": list(drifts), "probabilities": law, "drift_mean": float(np.dot(drifts, law))}
            return {"process": {**self._table, "weights": law}}, facts
        return {}, {}


def _told(case: DeploymentCase | GeneralCase) -> str:
    """The process of demand in one line."""
    demand = case.demand
    if is_general(case) and case.demand.moves:
        return str(case.demand.over(case.horizon.T, case.horizon.step))
    return str(demand.made())


def _kind(demand: Demand) -> str:
    return "gbm" if demand.process is None else str(demand.process.kind)


#: A history: a CSV file, a series that was read, or values by year.
History = str | Path | ObservedSeries | Mapping[float, float] | Sequence[float] | Any


def read_history(
    history: History, column: str | None = None, date_column: str | None = None, calibrated: bool = False
) -> ObservedSeries:
    """A history of demand, kg/yr, as `stochisru.lunar.calibration.read_series` reads it; two values will do.

    Parameters
    ----------
    history
        A CSV file; or a pandas Series or a table of demand by year; or yearly values, one after the other.
    calibrated
        Whether parameters are to be had from it, which asks for four values.

    Raises
    ------
    InputError
        One line that names file, line, column and what is expected.
    """
    import pandas as pd

    if isinstance(history, ObservedSeries):
        return history
    if isinstance(history, (str, Path)):
        return read_series(history, column, date_column, **({} if calibrated else {"fewest": _FEWEST}))
    try:
        data: Any = pd.Series(history, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"history: must be a file, or demand by year in kg/yr, got {type(history).__name__}"
        ) from error
    known = data.dropna()
    if known.size < _FEWEST:
        raise InputError(f"history: needs at least {_FEWEST} values, got {known.size}")
    bad = known[~((known > 0) & np.isfinite(known))]
    if bad.size:
        raise InputError(f"history: must be finite numbers > 0, got {bad.iloc[0]:g} in {bad.index[0]}")
    series = ObservedSeries("history", str(data.name or "demand"), None, data)
    try:
        seen(series.data, None, _FEWEST - 1)
    except TreeError as error:
        raise InputError(f"history: {error}") from error
    return series
