"""What it is worth to survey a deposit before anything is committed.

The yield Y multiplies η and is unknown: ln Y is normal with a standard deviation (``spread``) and E[Y] = 1. It is seen

- never, by who deploys nothing in year 0;
- L years (a year at least) after a deployment in year 0 of at least the size of a pilot plant;
- in part by a survey at the root, which measures ln Y with a normal error. Its *accuracy* ρ is the share of the
  variance of ln Y that it tells: the error has the variance spread²·(1 − ρ)/ρ. Accuracy 1 tells the yield.

Without a survey the better of the first two is taken, with one the better of the two for each outcome. The survey is
worth the mean of that less the value without it, before what it costs; with accuracy 1 that is the EVPI of the yield.

All is exact on the demand process (`stochisru.lunar.exact.unknown_yield`) for a prior on points of ln Y that are as
close as a survey can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.errors import is_list, is_number
from stochisru.errors import InputError, require_number
from stochisru.files import plainly
from stochisru.lunar.case import DeploymentCase, require_case
from stochisru.lunar.exact.layers import allowed_years
from stochisru.lunar.exact.threshold_recursion import COARSE, fits
from stochisru.lunar.exact.unit_value import UnitValue
from stochisru.lunar.exact.unknown_yield import UnknownYield
from stochisru.methods.result import ROUNDING, require_order, versions
from stochisru.studies.store import Row

#: Accuracies that are valued if not given.
ACCURACIES = (0.25, 0.5, 0.75, 0.9, 1.0)
#: Standard deviations of ln Y to which the prior is followed, and points per standard deviation.
_REACH, _POINTS = 4.5, 3.5
#: Largest accuracy below 1: sharper surveys tell less than two neighbouring points.
_SHARPEST = 0.95
_WIDEST = 1.5


@dataclass(frozen=True)
class Choice:
    """What to do with one state of knowledge: the value with and without a pilot, $, and ΔM_0.. of the better, kg."""

    without_pilot: float
    with_pilot: float
    deployments: Array

    @property
    def value(self) -> float:
        """The better of the two."""
        return max(self.without_pilot, self.with_pilot)

    @property
    def pilots(self) -> bool:
        """Whether a pilot is deployed."""
        return self.with_pilot > self.without_pilot


@dataclass(frozen=True, eq=False, repr=False)
class Prospecting:
    """What a survey of the deposit is worth; $ (maximised) of the process.

    Attributes
    ----------
    case
        The problem; its η is the mean.
    spread
        Standard deviation of ln Y.
    pilot
        Smallest deployment in year 0 that shows the yield, kg.
    cost
        Of a survey, $.
    unsurveyed
        What to do without a survey.
    known
        Mean over yields of RP where the yield is known, $.
    nothing
        Value of never deploying, $.
    surveyed
        Value with a survey before its cost, $, by accuracy.
    cut_off
        Yield below which nothing is ever deployed where it is known.
    cut_off_now
        Yield below which nothing is committed at the root where it is known.
    """

    case: DeploymentCase
    spread: float
    pilot: float
    cost: float
    unsurveyed: Choice
    known: float
    nothing: float
    surveyed: dict[float, float]
    cut_off: float
    cut_off_now: float

    @property
    def evpi(self) -> float:
        """EVPI of the yield, $."""
        return max(0.0, self.known - self.unsurveyed.value)

    @property
    def worth(self) -> dict[float, float]:
        """What a survey is worth before its cost, $, by accuracy."""
        return {accuracy: max(0.0, value - self.unsurveyed.value) for accuracy, value in self.surveyed.items()}

    def to_rows(self) -> list[Row]:
        """One row per accuracy: accuracy, value, worth, net of cost ($), whether it pays."""
        return [
            {
                "accuracy": accuracy,
                "value": self.surveyed[accuracy],
                "worth": worth,
                "cost": self.cost,
                "net": worth - self.cost,
                "pays": worth > self.cost,
            }
            for accuracy, worth in self.worth.items()
        ]

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        choice = self.unsurveyed
        return {
            "case": self.case.name,
            "horizon": self.case.horizon.T,
            "unit": "$",
            "sense": "maximise",
            "of": "process",
            "spread": self.spread,
            "pilot": self.pilot,
            "unsurveyed": {
                "value": choice.value,
                "with_pilot": choice.with_pilot if np.isfinite(choice.with_pilot) else None,
                "without_pilot": choice.without_pilot,
                "first_stage": {f"dM{t}": mass for t, mass in enumerate(choice.deployments.tolist())},
            },
            "known": self.known,
            "nothing": self.nothing,
            "evpi": self.evpi,
            "surveys": self.to_rows(),
            "cut_off": self.cut_off,
            "cut_off_now": self.cut_off_now,
            "versions": versions(),
        }

    def __repr__(self) -> str:
        return (
            f"Prospecting({self.case.name}, T = {self.case.horizon.T}, spread {self.spread:g}, $ of the process: "
            f"unsurveyed {self.unsurveyed.value:,.0f}, known {self.known:,.0f})"
        )


def survey(
    case: DeploymentCase,
    spread: float,
    *,
    accuracies: Sequence[float] = ACCURACIES,
    cost: float = 0.0,
    pilot: float | None = None,
) -> Prospecting:
    """Value surveys of a deposit whose yield is unknown.

    Parameters
    ----------
    case
        Linear costs, no limit on supply from Earth, demand a geometric Brownian motion.
    spread
        Standard deviation of ln Y, above 0 and up to 1.5.
    accuracies
        Of the surveys, 0 to 0.95 or 1.
    cost
        Of a survey, $ ≥ 0.
    pilot
        Smallest deployment in year 0 that shows the yield, kg > 0; what serves 1 % of demand then if not given.

    Raises
    ------
    InputError
        If an argument is out of range, or the case has no exact policy.

    Examples
    --------
    >>> from stochisru import load_case
    >>> from stochisru.lunar.studies import survey
    >>> found = survey(load_case("contested-market").replace(T=5), 0.4, accuracies=[0.5])
    >>> 0 < found.worth[0.5] < found.evpi
    True
    """
    require_case(case)
    told = _checked(spread, accuracies, cost, pilot)
    unit = UnitValue.of(case)
    if unit.process.volatility <= 0 or not fits(unit, min(case.horizon.lead_time, unit.years)):
        raise InputError(f"demand.sigma: {unit.process.volatility:g} is too small for the tables of an exact policy")
    size = 0.01 * case.demand.D0 / unit.eta if pilot is None else float(pilot)
    node = np.linspace(-_REACH, _REACH, 2 * int(np.ceil(_REACH * _POINTS)) + 1)
    weights = np.exp(-0.5 * node**2)
    weights /= weights.sum()
    yields = np.exp(spread * node)
    yields /= float(weights @ yields)
    problem = UnknownYield(case, yields)
    by_yield = problem.value_known()
    known, unsurveyed = float(weights @ by_yield), _choice(problem, weights, size)
    surveyed = {
        accuracy: known if accuracy == 1 else _surveyed(problem, weights, node, accuracy, size) for accuracy in told
    }
    found = Prospecting(
        case=case,
        spread=spread,
        pilot=size,
        cost=cost,
        unsurveyed=unsurveyed,
        known=known,
        nothing=_nothing(case),
        surveyed=surveyed,
        cut_off=_cut_off(case),
        cut_off_now=_cut_off_now(case),
    )
    flows = abs(found.known) + unit.without_plants()
    chain = [unsurveyed.value, *found.surveyed.values(), known]
    for low, high in pairwise(chain):
        require_order("less accurate", low - 10 * ROUNDING * flows, "more accurate", high, flows)
    return found


def _checked(spread: float, accuracies: Sequence[float], cost: float, pilot: float | None) -> list[float]:
    if not (is_number(spread) and 0 < spread <= _WIDEST):
        raise InputError(f"spread: must be > 0 and at most {_WIDEST:g}, got {spread!r}")
    require_number("cost", cost, low=0.0)
    if pilot is not None:
        require_number("pilot", pilot, low=0.0, strict=True)
    if not is_list(accuracies) or not all(map(is_number, accuracies)):
        raise InputError(f"accuracies: must be a list of numbers, got {accuracies!r}")
    found = sorted({float(accuracy) for accuracy in accuracies})
    for accuracy in found:
        if not (0 <= accuracy <= _SHARPEST or accuracy == 1):
            raise InputError(f"accuracies: must be 0 to {_SHARPEST:g}, or 1, got {accuracy:g}")
    return found


def _choice(problem: UnknownYield, weights: Array, pilot: float) -> Choice:
    """The better of a pilot in year 0 and none."""
    case = problem.case
    without, plan = problem.never_seen(weights, nothing_now=True)
    if not allowed_years(case)[0]:
        return Choice(without, -np.inf, plan)
    with_pilot, other = problem.with_pilot(weights, pilot, max(case.horizon.lead_time, 1))
    return Choice(without, with_pilot, other if with_pilot > without else plan)


def _surveyed(problem: UnknownYield, weights: Array, node: Array, accuracy: float, pilot: float) -> float:
    """Mean over outcomes of a survey; ``node`` is ln Y in standard deviations, less its mean."""
    if accuracy == 0:
        return _choice(problem, weights, pilot).value
    error = np.sqrt((1 - accuracy) / accuracy)
    step, reach = min(error, 0.5 * np.sqrt(1 + error**2)), _REACH * (1 + error)
    outcome = np.linspace(-reach, reach, 2 * int(np.ceil(reach / step)) + 1)
    likelihood = np.exp(-0.5 * ((outcome[:, None] - node) / error) ** 2)
    joint = likelihood / likelihood.sum(axis=0) * weights  # each yield keeps its probability
    chance = joint.sum(axis=1)
    likely = chance > 1e-9
    chance, joint = chance[likely], joint[likely]
    total = sum(p * _choice(problem, row / p, pilot).value for p, row in zip(chance, joint, strict=True))
    return float(total / chance.sum())


def _nothing(case: DeploymentCase) -> float:
    """Value of M0 alone, $."""
    unit, year = UnitValue.of(case), np.arange(case.horizon.T + 1)
    return float(unit.earned(year, case.technology.M0).sum() - unit.without_plants())


def _cut_off(case: DeploymentCase) -> float:
    """Yield at which the first kilogram, which all demand is there for, earns its price in the best year it may come.

    Its profit η·Y·(a − c_S) − c_op of every year is linear in Y; infinite where a delivered kilogram is worth nothing.
    """
    unit, merit_idle = UnitValue.of(case), case.costs.c_S
    margin = unit.eta * (unit.worth - merit_idle)
    if margin <= 0:
        return float("inf")
    found = np.inf
    for first in np.flatnonzero(allowed_years(case)):
        scale = unit.scale(np.arange(first, unit.years + 1))
        found = min(found, (unit.price * float(scale[0] / scale.sum()) + case.costs.c_op) / margin)
    return float(found)


def _cut_off_now(case: DeploymentCase) -> float:
    """Yield at which the exact policy of a known yield begins to commit something at the root, by bisection."""

    def commits(y: float) -> bool:
        changed = UnknownYield(case, np.array([y]), COARSE)
        return bool(changed.never_seen(np.ones(1))[1].any())

    low = _cut_off(case)
    if not np.isfinite(low):
        return low
    high = low
    while not commits(high):
        low, high = high, 1.5 * high
        if high > 1e6:
            return float("inf")
    if high == low:
        return low
    while high - low > 1e-6 * high:
        middle = 0.5 * (low + high)
        low, high = (low, middle) if commits(middle) else (middle, high)
    return high
