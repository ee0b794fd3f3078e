"""What a series leaves open of a process, carried into values: bands of RP, first orders and flexibility.

Parameters are drawn from the normal law of their estimates (`LikelihoodFit.draws`), and the case is valued with each
draw as if it were known, so a band says how far a value may be from that of the estimate; it is no value of learning.
With a geometric Brownian motion and an exact policy values are exact on the process; else they are those of a
lattice, of the same size for every draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.errors import TreeError
from scenario_trees.lattice import MarkovLattice
from stochisru.errors import InputError, StochisruError, require_integer
from stochisru.files import plainly
from stochisru.lunar.calibration.fitted import Calibration, demand_table, with_demand
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.in_advance import open_loop, why_not_in_advance
from stochisru.lunar.solving import has_exact_policy, optimum_on_lattice
from stochisru.lunar.studies.values import case_identity
from stochisru.lunar.values.process import exact_values
from stochisru.methods.registry import method_named
from stochisru.methods.result import Of
from stochisru.studies.store import Execution, Point, Row, Study, run_study

if TYPE_CHECKING:
    import pandas as pd

#: Values with bands, $ (maximised), and what each means.
VALUES = {
    "rp": "recourse problem: the multistage optimum",
    "static": "best plan decided at the root",
    "fixed": "best single deployment in year 0",
    "flexibility": "value of flexibility, RP − fixed",
    "vms": "value of the multistage solution, RP − static: reacting",
}
#: Confidence of the intervals of a band's ends.
_ENDS = 0.95


@dataclass(frozen=True)
class Band:
    """A quantity over the draws.

    Attributes
    ----------
    estimate
        At the estimated parameters.
    mean
        Over the draws.
    lower, upper
        Between them lies the quantity at one more draw with at least the confidence of the bands.
    lower_range, upper_range
        95 % intervals of the quantiles that the ends stand for, which more draws would narrow; an end that these draws
        do not have is NaN.
    """

    quantity: str
    unit: str
    estimate: float
    mean: float
    lower: float
    upper: float
    lower_range: tuple[float, float]
    upper_range: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Bands:
    """Values of a case over the parameters that a series leaves possible.

    Attributes
    ----------
    case
        The case with the estimated process.
    of
        Whose values they are, the process' or a lattice's.
    estimate, rows
        Values at the estimate, and at each draw that has any.
    refused
        Why draws have none, a line each.
    """

    case: DeploymentCase
    of: str
    estimate: Row
    rows: tuple[Row, ...]
    refused: tuple[str, ...]
    draws: int
    confidence: float
    seed: int

    @property
    def quantities(self) -> dict[str, str]:
        """Unit of every quantity, by name: values, then the orders that are committed now."""
        orders = [name for name in self.estimate if name.startswith("dM")]
        return dict.fromkeys(VALUES, "$") | dict.fromkeys(orders, "kg")

    def sample(self, name: str) -> Array:
        """A quantity at every draw."""
        return np.array([row[name] for row in self.rows], dtype=float)

    def band(self, name: str) -> Band:
        """Band of a quantity of `quantities`."""
        found = np.sort(self.sample(name))
        place = _place(found.size, self.confidence)
        ranges = [_range(found, q) for q in (0.5 * (1 - self.confidence), 0.5 * (1 + self.confidence))]
        lower, upper = float(found[place - 1]), float(found[-place])
        at = float(self.estimate[name])
        return Band(name, self.quantities[name], at, float(found.mean()), lower, upper, ranges[0], ranges[1])

    def to_frame(self) -> pd.DataFrame:
        """One row per quantity: ``quantity``, ``unit``, ``estimate``, ``mean``, ``lower``, ``upper``."""
        import pandas as pd

        columns = ["quantity", "unit", "estimate", "mean", "lower", "upper"]
        return pd.DataFrame([vars(self.band(name)) for name in self.quantities])[columns]

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the keys of ``docs/cli.md``."""
        return {
            "case": self.case.name,
            "horizon": self.case.horizon.T,
            "sense": "maximise",
            "of": self.of,
            "draws": self.draws,
            "refused": list(self.refused),
            "confidence": self.confidence,
            "seed": self.seed,
            **{name: {k: v for k, v in vars(self.band(name)).items() if k != "quantity"} for name in self.quantities},
        }


def fewest_draws(confidence: float) -> int:
    """Fewest draws whose least and greatest hold the next with a confidence."""
    return int(np.ceil(2 / (1 - confidence) - 1e-9)) - 1


def _place(draws: int, confidence: float) -> int:
    """Place k from either end: of n + 1 draws one lies between with probability (n + 1 − 2k)/(n + 1)."""
    return max(1, int(np.floor((draws + 1) * (1 - confidence) / 2 + 1e-9)))


def _range(ordered: Array, level: float) -> tuple[float, float]:
    """Interval of the quantile of a level by order statistics (David and Nagaraja 2003, section 7.1)."""
    from scipy.stats import binom

    n, nan = ordered.size, float("nan")
    low = int(binom.ppf((1 - _ENDS) / 2, n, level))
    high = int(binom.ppf((1 + _ENDS) / 2, n, level)) + 1
    return (float(ordered[low - 1]) if low >= 1 else nan), (float(ordered[high - 1]) if high <= n else nan)


def why_no_bands(case: DeploymentCase) -> str | None:
    """Why a case has no bands, in one sentence, or None."""
    if has_exact_policy(case):
        return None
    return method_named("lattice-dp").refuses(case) or why_not_in_advance(case)


def bands(
    calibration: Calibration,
    base: DeploymentCase,
    *,
    draws: int = 200,
    seed: int = 0,
    execution: Execution | None = None,
) -> Bands:
    """Carry what a series leaves open into the values of a case.

    Parameters
    ----------
    base
        The case, whose demand is replaced by that of the calibration.
    draws
        Draws of the parameters, at least 39 for bands of 95 %.
    seed
        Seed of the draws.
    execution
        Workers, see `stochisru.studies.Execution`; results do not depend on them.

    Raises
    ------
    InputError
        If an argument is out of range, the estimate has no errors, or the case or too many of the draws no values.
    """
    require_integer("draws", draws, fewest_draws(calibration.confidence))
    require_integer("seed", seed, 0)
    found = calibration.draws(draws, np.random.SeedSequence(seed).spawn(1)[0])
    case = calibration.case(base)
    why = why_no_bands(case)
    if why is not None:
        raise InputError(f"case: has no bands of values: {why}")
    points = [{"draw": i, "demand": demand_table(process)} for i, process in enumerate(found, start=1)]
    identity = {"study": "bands", **case_identity(case), "series": calibration.series.digest(), "seed": seed}
    at = _values(case, {"draw": 0, "demand": calibration.demand})[0]
    if at["note"] is not None:
        raise InputError(f"case: has no values at the estimate: {at['note']}")
    rows = run_study(Study(identity, points, partial(_values, case)), execution)
    refused = tuple(f"draw {row['draw']}: {row['note']}" for row in rows if row["note"] is not None)
    kept = tuple(row for row in rows if row["note"] is None)
    if len(kept) < fewest_draws(calibration.confidence):
        raise InputError(f"draws: {len(refused)} of {draws} have no values, as {refused[0]}")
    of = Of.PROCESS if has_exact_policy(case) else Of.LATTICE
    return Bands(case, of.value, at, kept, refused, draws, calibration.confidence, seed)


def _values(case: DeploymentCase, point: Point) -> list[Row]:
    """Values of a case with the demand of a point; None of all, with a note, where it has none."""
    try:
        here = with_demand(case, point["demand"])
        row = _exact(here) if has_exact_policy(here) else _on_lattice(here)
    except (StochisruError, TreeError, ArithmeticError) as error:
        return [{"draw": point["draw"], "note": str(error)}]
    return [{"draw": point["draw"], **row, "note": None}]


def _exact(case: DeploymentCase) -> Row:
    exact = exact_values(case)
    return {name: exact.point(name) for name in VALUES} | exact.recourse.first_stage


def _on_lattice(case: DeploymentCase) -> Row:
    optimum = optimum_on_lattice(case)
    lattice: Any = getattr(optimum.plan, "lattice", None)
    assert isinstance(lattice, MarkovLattice)
    law = list(lattice.values), list(lattice.probabilities)
    rp, static = optimum.objective, open_loop(case, *law).value
    fixed = open_loop(case, *law, allowed=np.arange(case.horizon.T + 1) == 0).value
    row = {"rp": rp, "static": static, "fixed": fixed, "flexibility": rp - fixed, "vms": rp - static}
    return row | optimum.first_stage
