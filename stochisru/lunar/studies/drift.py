"""What it is worth to learn the drift of demand: on the way, from a market study, or from the start.

Four numbers of one process, in the order that more knowledge is worth more:

- *ignoring*: the best policy that takes the drift to be one number for good, the number being chosen with open eyes
  (`stochisru.lunar.exact.believed_rate`);
- *learning*: RP of the process, whose beliefs follow demand (`stochisru.lunar.exact.drift_layers`);
- *studied*: the same where n years' worth of observation come before the first decision, in the mean over what they
  may show. What it adds to learning is the expected value of sample information, EVSI (Raiffa and Schlaifer 1961);
- *known*: the mean over drifts of RP where the drift is known. What it adds is the EVPI of the drift.

Each is exact up to an estimated error of integration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.errors import TreeError
from scenario_trees.processes import DiscreteDrift, GeometricBrownianMotion, UnknownDrift
from stochisru.errors import InputError
from stochisru.files import plainly
from stochisru.lunar.case import DeploymentCase, require_case
from stochisru.lunar.exact.believed_rate import BelievedRate
from stochisru.lunar.exact.drift_layers import MAX_CELLS, DriftLayers, known_drift
from stochisru.lunar.exact.threshold_recursion import COARSE, FINE
from stochisru.lunar.exact.unit_value import UnitValue, why_no_unit_value
from stochisru.methods.result import require_order, versions
from stochisru.studies.store import Row

#: Years of study that are valued if not given.
STUDIES = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
#: Shortest and longest study: below, what it tells falls between two points of the grid.
_SHORTEST, _LONGEST = 0.1, 200.0
#: Points of the grid per standard deviation of a year, and half of them for the error.
_POINTS = 20
#: Standard deviations to which a normal prior is followed.
_PRIOR = 7.0
#: Probability of the rates that carry half of the mean, at least: that of a normal prior which multiplies it by 100.
_CARRIED = 1.2e-3
#: Rates that are tried before the best is sought between them.
_SCAN = 9
#: Drifts on which policies of one rate are valued at most, and those that tell the error.
_MANY, _FEW = 16, 12


@dataclass(frozen=True)
class Known:
    """One value of the process, $, with its estimated error of integration."""

    value: float
    error: float

    def less(self, other: Known) -> Known:
        """A difference that cannot be negative but for errors."""
        difference, error = self.value - other.value, self.error + other.error
        return Known(max(difference, 0.0) if difference > -error else difference, error)

    def to_dict(self) -> dict[str, float]:
        """Value and ends."""
        return {"value": self.value, "lower": self.value - self.error, "upper": self.value + self.error}


@dataclass(frozen=True, eq=False, repr=False)
class DriftValues:
    """What knowledge of the drift is worth; $ (maximised) of the process.

    Attributes
    ----------
    case
        The problem, whose demand has an unknown drift.
    learning, ignoring, known
        Expected NPV, see the module.
    best_rate
        The believed rate behind ``ignoring``, per year.
    prior_rate, matched_rate
        Mean of the prior, and the rate at which demand of year T has the mean of the process.
    at_prior, at_matched
        What planning with these is worth.
    believed
        Rates that were tried and what planning with each is worth, $, shape ``(n, 2)``, ascending.
    studies
        Value after a study by its length in years.
    first
        ΔM_0..ΔM_min(L, T), kg, by who decides: ``learning``, ``ignoring``, and of each drift known for up to four.
    """

    case: DeploymentCase
    learning: Known
    ignoring: Known
    known: Known
    best_rate: float
    prior_rate: float
    matched_rate: float
    at_prior: float
    at_matched: float
    believed: Array
    studies: dict[float, Known]
    first: dict[str, Array]

    @property
    def worth(self) -> Known:
        """Value of learning on the way: learning − ignoring."""
        return self.learning.less(self.ignoring)

    @property
    def evpi(self) -> Known:
        """EVPI of the drift: known − learning."""
        return self.known.less(self.learning)

    @property
    def evsi(self) -> dict[float, Known]:
        """EVSI by years of study: studied − learning."""
        return {years: value.less(self.learning) for years, value in self.studies.items()}

    def to_rows(self) -> list[Row]:
        """One row per value: quantity, years of study, value, lower, upper ($), meaning."""
        told: list[tuple[str, float | None, Known, str]] = [
            ("ignoring", None, self.ignoring, f"best policy for one believed rate, {self.best_rate:.4f} a year"),
            ("learning", None, self.learning, "recourse problem, beliefs follow demand"),
            ("known", None, self.known, "drift known from the start"),
            ("value_of_learning", None, self.worth, "learning less ignoring"),
            ("evpi", None, self.evpi, "known less learning: perfect information on the drift"),
        ]
        told += [("studied", n, v, "recourse problem after a study") for n, v in self.studies.items()]
        told += [("evsi", n, v, "studied less learning: the study is worth so much") for n, v in self.evsi.items()]
        return [{"quantity": q, "years": n, **v.to_dict(), "unit": "$", "meaning": m} for q, n, v, m in told]

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return {
            "case": self.case.name,
            "horizon": self.case.horizon.T,
            "process": str(self.case.process),
            "unit": "$",
            "sense": "maximise",
            "of": "process",
            "kind": "exact",
            **{name: getattr(self, name).value for name in ("ignoring", "learning", "known", "evpi")},
            "value_of_learning": self.worth.value,
            "rates": {"best": self.best_rate, "prior_mean": self.prior_rate, "mean_matched": self.matched_rate},
            "believed": {"prior_mean": self.at_prior, "mean_matched": self.at_matched},
            "studies": [{"years": n, "value": self.studies[n].value, "evsi": self.evsi[n].value} for n in self.studies],
            "first_stage": {
                who: {f"dM{t}": mass for t, mass in enumerate(plan.tolist())} for who, plan in self.first.items()
            },
            "errors": {name: getattr(self, name).error for name in ("ignoring", "learning", "known")},
            "versions": versions(),
        }

    def __repr__(self) -> str:
        values = ", ".join(f"{name} {getattr(self, name).value:,.0f}" for name in ("ignoring", "learning", "known"))
        return f"DriftValues({self.case.name}, T = {self.case.horizon.T}, $ of the process, maximised: {values})"


def learning(case: DeploymentCase, *, studies: Sequence[float] = STUDIES) -> DriftValues:
    """Value what can be learnt of the drift of demand.

    Parameters
    ----------
    case
        Demand of kind ``unknown-drift`` or ``discrete-drift``, linear costs, no limit on supply from Earth.
    studies
        Lengths of market studies in years' worth of growth, 0.1 to 200: n years tell the drift with a standard error of
        σ/√n.

    Raises
    ------
    InputError
        If the case has another process, costs that are not linear, or a length is out of range.
    BoundsError
        If values are out of their order by more than their errors.

    Examples
    --------
    >>> from stochisru import load_case
    >>> from stochisru.lunar.studies import learning
    >>> prior = {"kind": "discrete-drift", "drifts": [0.0, 0.3], "weights": [0.5, 0.5]}
    >>> found = learning(load_case("contested-market").replace(T=5, process=prior), studies=[1.0])
    >>> found.ignoring.value < found.learning.value < found.studies[1.0].value < found.known.value
    True
    """
    require_case(case)
    lengths = _lengths(studies)
    volatility, drifts, weights = _prior(case, max(lengths, default=0.0))
    many, few = (BelievedRate(case, volatility, *_fewer(drifts, weights, n)) for n in (_MANY, _FEW))
    layers = DriftLayers(case, volatility, drifts, weights, points=_POINTS)
    value = _solved(layers)
    prior_rate, matched_rate = float(weights @ drifts), _matched(case, drifts, weights)
    best_rate, curve = _best_rate(few, (prior_rate, matched_rate))
    found = DriftValues(
        case=case,
        learning=value,
        ignoring=_twice(many.value(best_rate, FINE), few.value(best_rate, COARSE)),
        known=_twice(many.mean_optimum(FINE), few.mean_optimum(COARSE)),
        best_rate=best_rate,
        prior_rate=prior_rate,
        matched_rate=matched_rate,
        at_prior=few.value(prior_rate),
        at_matched=few.value(matched_rate),
        believed=curve,
        studies={n: _solved(replace(layers, studied=n)) for n in lengths},
        first=_first(many, layers, best_rate),
    )
    _check_order(found)
    return found


def _lengths(studies: Sequence[float]) -> list[float]:
    try:
        found = sorted({float(n) for n in studies})
    except (TypeError, ValueError) as error:
        raise InputError(f"studies: must be lengths in years, got {studies!r}") from error
    for n in found:
        if not _SHORTEST <= n <= _LONGEST:
            raise InputError(f"studies: must be {_SHORTEST:g} to {_LONGEST:g} years, got {n:g}")
    return found


def _prior(case: DeploymentCase, studied: float) -> tuple[float, Array, Array]:
    """Volatility, rates and their weights; a normal prior at points as dense as what is ever known of the rate."""
    process, volatility = case.process, case.demand.sigma
    if isinstance(process, DiscreteDrift):
        likely = np.array(process.weights) > 0
        drifts, weights = np.array(process.drifts)[likely], np.array(process.weights)[likely]
    elif isinstance(process, UnknownDrift):
        try:
            process.mean(case.horizon.T)
        except TreeError as error:
            raise InputError(f"demand.process.{error}") from error
        if volatility > 0:
            sharpest = (process.prior_sd**-2 + (case.horizon.T + studied) / volatility**2) ** -0.5
            reach = (_PRIOR + process.prior_sd * case.horizon.T) * process.prior_sd
            node = np.linspace(-reach, reach, 2 * int(np.ceil(reach / sharpest)) + 1)
            share = np.exp(-0.5 * (node / process.prior_sd) ** 2)
            drifts, weights = process.prior_mean + node, share / share.sum()
    elif case.demand.process is not None and isinstance(process, GeometricBrownianMotion):
        drifts, weights = np.array([process.drift]), np.ones(1)  # a prior without spread
    else:
        raise InputError(
            f"demand.process: must have an unknown drift (kind unknown-drift or discrete-drift), got {process}"
        )
    _require_carried(drifts, weights, case.horizon.T)
    if volatility <= 0:
        raise InputError("demand.sigma: must be > 0, or the first year tells the drift; got 0")
    case.require_linear("the value of learning")
    reason = why_no_unit_value(known_drift(case, float(drifts[0]), volatility))
    if reason is not None:
        raise InputError(reason)
    return volatility, drifts, weights


def _require_carried(drifts: Array, weights: Array, T: int) -> None:
    """Refuse a prior whose mean of year T is that of rates next to nobody believes in."""
    order = np.argsort(-drifts)
    with np.errstate(divide="ignore"):
        log = np.log(weights[order]) + drifts[order] * T
    share = np.cumsum(np.exp(log - log.max()))
    carrying = float(np.cumsum(weights[order])[np.searchsorted(share, 0.5 * share[-1])])
    if carrying < _CARRIED:
        raise InputError(
            f"demand.process: half of the mean of year {T} is that of rates of probability {carrying:.2g}, at least "
            f"{_CARRIED:g} is needed; take a shorter horizon or a prior without them"
        )


def _solved(layers: DriftLayers) -> Known:
    """Value of the best policy; its error is the distance to half as many points."""
    if layers.cells > MAX_CELLS:
        raise InputError(
            f"T, studies: {layers.case.horizon.T} years and a study of {layers.studied:g} at sigma = "
            f"{layers.volatility:g} need {layers.cells:,} grid points, at most {MAX_CELLS:,} are allowed"
        )
    value, coarse = layers.value, replace(layers, points=layers.points // 2).value
    size = sum(w * u.without_plants() for w, u in zip(layers.weights, layers.units, strict=True))
    return Known(float(value), float(abs(value - coarse) + 1e-6 * (abs(value) + abs(value + size))))


def _twice(fine: float, coarse: float) -> Known:
    """A value by two rules of integration."""
    return Known(fine, abs(fine - coarse) + 1e-12 * abs(fine))


def _fewer(drifts: Array, weights: Array, most: int) -> tuple[Array, Array]:
    """At most so many drifts with weights that keep twice as many moments of the prior (Gauss' rule, by Lanczos)."""
    if drifts.size <= most:
        return drifts, weights
    basis, diagonal, beside = [np.sqrt(weights)], [], []
    for _ in range(most):
        step = drifts * basis[-1]
        diagonal.append(float(step @ basis[-1]))
        for other in (*basis, *basis):  # twice, or rounding makes them less than orthogonal
            step = step - (step @ other) * other
        beside.append(float(np.linalg.norm(step)))
        basis.append(step / beside[-1])
    node, vector = np.linalg.eigh(np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1))
    return node, vector[0] ** 2


def _matched(case: DeploymentCase, drifts: Array, weights: Array) -> float:
    T = case.horizon.T
    top = float(drifts.max())
    return top + float(np.log(weights @ np.exp((drifts - top) * T))) / T if T else float(weights @ drifts)


def _best_rate(believed: BelievedRate, tried: tuple[float, ...]) -> tuple[float, Array]:
    """The rate with which planning is worth most, and the curve on which it was found."""
    from scipy.optimize import minimize_scalar

    likely = believed.drifts[believed.weights > 1e-4]
    low, high = float(likely.min()), float(likely.max())
    curve: dict[float, float] = {}

    def at(rate: float) -> float:
        if rate not in curve:
            curve[rate] = believed.value(rate)
        return curve[rate]

    width = high - low
    if width > 0:
        for rate in (*np.linspace(low, high, _SCAN).tolist(), *tried):
            at(rate)
        for _ in range(8):  # the best rate may lie beyond all that may be true
            best = max(curve, key=at)
            if best == max(curve):
                at(best + 0.25 * width)
            elif best == min(curve):
                at(best - 0.25 * width)
            else:
                break
        rates = sorted(curve)
        place = rates.index(best)
        ends = rates[max(place - 1, 0)], rates[min(place + 1, len(rates) - 1)]
        minimize_scalar(lambda x: -at(float(x)), bounds=ends, method="bounded", options={"xatol": 2e-4 * width})
    else:
        at(low)
    return max(curve, key=at), np.array(sorted(curve.items()))


def _first(believed: BelievedRate, layers: DriftLayers, rate: float) -> dict[str, Array]:
    found = {"learning": layers.deployments, "ignoring": believed.plan(rate).root}
    if believed.drifts.size <= 4:
        found |= {f"known {float(mu):g}": believed.plan(float(mu)).root for mu in believed.drifts}
    return found


def _check_order(found: DriftValues) -> None:
    chain = [("ignoring", found.ignoring), ("learning", found.learning)]
    chain += [(f"study of {n:g} years", value) for n, value in found.studies.items()]
    chain.append(("known", found.known))
    flows = UnitValue.of(known_drift(found.case, found.matched_rate, found.case.demand.sigma)).without_plants()
    for (less, low), (more, high) in pairwise(chain):
        require_order(less, low.value - low.error, more, high.value + high.error, flows)
