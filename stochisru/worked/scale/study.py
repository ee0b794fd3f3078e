"""Economies of scale against uncertainty: what flexibility is worth where a larger plant is cheaper per kilogram.

Economies of scale pull to one big plant, uncertainty to small steps, learning to steps again, and discounting to late
ones. This is the trade that Cardin, Ranjbar-Bourani and de Neufville (2015) study for liquefied natural gas, here for
oxygen plants: over the scale exponent b of development cost, the learning rate λ, the discount rate and volatility,

    cost of a deployment = launch + c_dev·m_ref·(ΔM/m_ref)^b · max(M/m_ref, 1)^log2(1 − λ),

with M the plant built before (with degradation what stands of it, in kilograms of year 0), so every doubling of it
makes the next deployment cheaper by λ. All values are on a recombining lattice
(`stochisru.lunar.exact.lattice_levels`). Without learning they are exact there. With learning the cost is not concave
in the level that a step starts from, so an optimum may lie between levels, and the values are those of the best
policies on them: four more levels between each two raised RP by at most 5e-6 of itself in trials (T up to 10, λ up to
0.4, b of 0.6 and 1).

Methods that cannot see M in the cost take a *stage-wise* approximation: in year t the cost falls by what is expected of
that year, E[max(M_{t−1}/m_ref, 1)^log2(1 − λ)], found as a fixed point. The study reports what that approximation
misstates (the value it claims less what its policy is worth when cost follows the plant that was really built) and what
it loses (the best policy less its own).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from scenario_trees.errors import is_number
from scenario_trees.lattice import MarkovLattice
from stochisru.errors import InputError, require_integer
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.lattice_levels import LatticeLevels, LevelChoices
from stochisru.lunar.exact.levels import require_exact_levels
from stochisru.lunar.learning.rate import Learning
from stochisru.lunar.solving import optimum_on_process
from stochisru.lunar.studies.values import case_identity
from stochisru.lunar.trees import case_lattice
from stochisru.studies.store import Execution, Point, Row, Study, run_study

if TYPE_CHECKING:
    import pandas as pd


#: Grid of the study.
EXPONENTS = (0.6, 0.8, 1.0)
LEARNING_RATES = (0.0, 0.1, 0.2)
DISCOUNT_RATES = (0.04, 0.08, 0.12)
VOLATILITIES = (0.1, 0.2, 0.4)
#: States per stage of the lattice.
STATES = 12
#: What is computed at every point, with units.
UNITS = {
    "rp": "$",
    "static": "$",
    "fixed": "$",
    "flexibility": "$",
    "vms": "$",
    "first_plant": "kg",
    "fixed_plant": "kg",
    "deployments": "-",
    "stage_wise": "$",
    "stage_wise_claim": "$",
    "stage_wise_error": "$",
    "stage_wise_loss": "$",
    "lattice_error": "$",
}
#: The four axes, in the order of the rows.
AXES = ("exponent", "learning", "r", "sigma")
#: Most rounds, and change of a cost factor at which the stage-wise fixed point is reached.
_ROUNDS, _STILL = 16, 1e-3


@dataclass(frozen=True)
class StageWise:
    """The stage-wise approximation of learning.

    Attributes
    ----------
    claim
        Value of its problem at the fixed point, $.
    value
        What its policy is worth when cost follows the plant that was built, $.
    rounds
        Rounds of the fixed point; the last of `_ROUNDS` if it was not reached.
    """

    claim: float
    value: float
    rounds: int


def stage_wise(case: DeploymentCase, lattice: MarkovLattice, learning: Learning) -> StageWise:
    """Solve with the cost factor that is expected of each year, until it is the one that the policy brings about."""
    real = LatticeLevels(case, lattice, learning.cost(case))
    factor = np.ones(case.horizon.T + 1)
    claim, policy, rounds = 0.0, LevelChoices(np.empty(0, dtype=np.int64), ()), 0
    for rounds in range(1, _ROUNDS + 1):
        claim, policy = LatticeLevels(case, lattice, learning.cost(case, factor)).optimum()
        expected = real.course(policy, learning.factor(real.levels)).step
        if np.abs(expected - factor).max() < _STILL:
            break
        # Two policies may call for each other; half steps come to rest between them.
        factor = expected if rounds < _ROUNDS // 2 else (expected + factor) / 2
    return StageWise(claim, real.course(policy).value, rounds)


@dataclass(frozen=True, eq=False)
class ScaleStudy:
    """Values over scale exponent, learning rate, discount rate and volatility.

    Attributes
    ----------
    rows
        One per point: the `AXES`, every quantity of `UNITS`, ``rounds`` of the stage-wise fixed point.
    """

    case: DeploymentCase
    reference: float
    states: int
    rows: tuple[Row, ...]

    def axis(self, name: str) -> list[float]:
        """Values of an axis, ascending."""
        return sorted({float(row[name]) for row in self.rows})

    def at(self, **place: float) -> Row:
        """The row at a point of the grid."""
        for row in self.rows:
            if all(row[axis] == value for axis, value in place.items()):
                return row
        raise InputError(f"point: {place} is not on the grid")

    def to_rows(self) -> list[Row]:
        """Plain rows for JSON."""
        head = {"study": "scale", "case": self.case.name, "horizon": self.case.horizon.T, "sense": "maximise"}
        return [{**head, "reference": self.reference, **row} for row in self.rows]

    def to_frame(self) -> pd.DataFrame:
        """The rows as a table."""
        import pandas as pd

        return pd.DataFrame(list(self.rows))

    def findings(self) -> list[str]:
        """What the numbers say, in sentences."""
        return _findings(self)

    def __repr__(self) -> str:
        return f"ScaleStudy({self.case.name}, T = {self.case.horizon.T}, {len(self.rows)} points; $, maximise)"


def scale_study(
    case: DeploymentCase,
    *,
    exponents: Sequence[float] = EXPONENTS,
    learning_rates: Sequence[float] = LEARNING_RATES,
    discount_rates: Sequence[float] = DISCOUNT_RATES,
    volatilities: Sequence[float] = VOLATILITIES,
    reference: float | None = None,
    states: int = STATES,
    execution: Execution | None = None,
) -> ScaleStudy:
    """Value of flexibility over scale exponent × learning rate × discount rate × volatility.

    Parameters
    ----------
    case
        The problem; its own c_dev and η hold at the reference size.
    exponents
        Scale exponents b of development cost, 0 < b ≤ 1.
    learning_rates
        Shares λ by which cost falls with every doubling of plant, 0 ≤ λ < 1.
    discount_rates, volatilities
        r and σ.
    reference
        m_ref, kg: size at which the case's c_dev holds, and plant from which on there is learning. The case's own, or
        what serves the demand of year 0, if not given.
    states
        States per stage of the lattice; time grows with their cube.
    execution
        Workers, checkpoint and so on; the rows do not depend on it.

    Raises
    ------
    InputError
        If a number is out of range, the case has a curve of its own, or no exact levels at a point.

    Examples
    --------
    >>> from stochisru import load_case
    >>> case = load_case("lunar-reference").replace(T=6)
    >>> study = scale_study(case, exponents=[0.6, 1], learning_rates=[0], discount_rates=[0.08], volatilities=[0.2])
    >>> big, small = study.at(exponent=0.6), study.at(exponent=1.0)
    >>> big["first_plant"] > small["first_plant"], big["deployments"] < small["deployments"]
    (True, True)
    """
    if case.scale.c_dev_curve is not None or case.scale.c_dev_exponent != 1:
        raise InputError(
            "scale.c_dev_exponent, scale.c_dev_curve: the study varies the exponent itself; give it a case without them"
        )
    require_integer("states", states, 1, 100)
    grids = {"exponents": exponents, "learning_rates": learning_rates}
    grids |= {"discount_rates": discount_rates, "volatilities": volatilities}
    limits = {"exponents": (0, 1, "0 < b <= 1"), "learning_rates": (-1e-300, 1, "0 <= λ < 1")}
    for name, values in grids.items():
        if not isinstance(values, (list, tuple, np.ndarray)):
            raise InputError(f"{name}: must be a list of numbers, got {values!r}")
        numbers = [v for v in values if is_number(v)]
        if not numbers or len(numbers) < len(values) or len(set(map(float, numbers))) < len(numbers):
            raise InputError(f"{name}: must be numbers that differ, got {list(values)}")
        low, high, text = limits.get(name, (-np.inf, np.inf, "finite values"))
        for value in values:
            if not low < value <= high or np.isinf(value) or (name == "learning_rates" and value >= 1):
                raise InputError(f"{name}: must be numbers with {text}, got {value!r}")
    size = reference_of(case) if reference is None else reference
    base = case.replace(reference=size)
    points: list[Point] = [
        dict(zip(AXES, map(float, place), strict=True))
        for place in product(exponents, learning_rates, discount_rates, volatilities)
    ]
    for point in points:  # refuse before any work
        require_exact_levels(_problem(base, point))
    identity = {"study": "scale", **case_identity(base), "reference": float(size), "states": states}
    rows = run_study(Study(identity, points, partial(_row, base, states)), execution)
    return ScaleStudy(base, float(size), states, tuple(rows))


def reference_of(case: DeploymentCase) -> float:
    """m_ref of a case, kg: its own, or what serves the demand of year 0."""
    return case.scale.reference or case.demand.D0 / case.technology.eta


def _problem(base: DeploymentCase, point: Point) -> DeploymentCase:
    return base.replace(r=point["r"], sigma=point["sigma"], c_dev_exponent=point["exponent"])


@lru_cache(maxsize=64)
def _lattice_error(case: DeploymentCase, states: int) -> float | None:
    """Optimum on the lattice less the exact one where costs are linear, $; None where there is no exact one."""
    linear = case.replace(c_dev_exponent=1.0)
    exact = optimum_on_process(linear)
    if exact is None:
        return None
    return LatticeLevels(linear, case_lattice(linear, states)).optimum()[0] - exact.objective


def _row(base: DeploymentCase, states: int, point: Point) -> list[Row]:
    case = _problem(base, point)
    assert case.scale.reference is not None
    lattice = case_lattice(case, states)
    learning = Learning(point["learning"], case.scale.reference)
    problem = LatticeLevels(case, lattice, learning.cost(case))
    rp, policy = problem.optimum()
    static, _ = problem.static()
    fixed, plan = problem.static(last=0)
    approximation = stage_wise(case, lattice, learning) if point["learning"] > 0 else StageWise(rp, rp, 0)
    row: Row = {
        **point,
        "rp": rp,
        "static": static,
        "fixed": fixed,
        "flexibility": rp - fixed,
        "vms": rp - static,
        "first_plant": float(problem.levels[policy.root[0]] - problem.levels[0]),
        "fixed_plant": float(plan[0]),
        "deployments": problem.course(policy).deployments,
        "stage_wise": approximation.value,
        "stage_wise_claim": approximation.claim,
        "stage_wise_error": approximation.claim - approximation.value,
        "stage_wise_loss": rp - approximation.value,
        "lattice_error": _lattice_error(case, states),
        "rounds": approximation.rounds,
    }
    return [row]


def _middle(values: list[float]) -> float:
    return values[len(values) // 2]


def _findings(study: ScaleStudy) -> list[str]:
    axes = {name: study.axis(name) for name in AXES}
    centre = {name: _middle(values) for name, values in axes.items()} | {"learning": axes["learning"][0]}

    def ends(axis: str, **fixed: float) -> tuple[Row, Row]:
        low, high = axes[axis][0], axes[axis][-1]
        return study.at(**{**centre, **fixed, axis: low}), study.at(**{**centre, **fixed, axis: high})

    largest = max(abs(row["flexibility"]) for row in study.rows)
    size, unit = next(
        (s, u) for s, u in ((1e9, "billion"), (1e6, "million"), (1e3, "thousand")) if largest >= s or s == 1e3
    )

    def dollars(value: float) -> str:
        return f"{value / size:,.3f} {unit} $"

    def share(row: Row) -> str:
        return f"{row['flexibility'] / abs(row['rp']):.0%}"

    sentences = []
    if len(axes["exponent"]) > 1:
        big, small = ends("exponent")
        sentences.append(
            f"From a scale exponent of {small['exponent']:g} to {big['exponent']:g} (r = {centre['r']:g}, "
            f"σ = {centre['sigma']:g}, λ = {centre['learning']:g}) the first plant of the flexible design goes from "
            f"{small['first_plant']:,.0f} to {big['first_plant']:,.0f} kg, and its expected number of deployments "
            f"from {small['deployments']:.1f} to {big['deployments']:.1f}."
        )
        change = "falls" if big["flexibility"] < small["flexibility"] else "rises"
        sentences.append(
            f"The value of flexibility {change} from {dollars(small['flexibility'])} to "
            f"{dollars(big['flexibility'])}, {share(small)} and {share(big)} of the optimum."
        )
    for axis, words in (("sigma", "volatility"), ("r", "discount rate"), ("learning", "learning rate")):
        if len(axes[axis]) > 1:
            low, high = ends(axis)
            sentences.append(
                f"From a {words} of {low[axis]:g} to {high[axis]:g} (scale exponent {centre['exponent']:g}) "
                f"flexibility goes from {dollars(low['flexibility'])} to {dollars(high['flexibility'])}, "
                f"from {share(low)} to {share(high)} of the optimum."
            )
    learned = [row for row in study.rows if row["learning"] > 0]
    if learned:
        worst = max(learned, key=lambda row: abs(row["stage_wise_error"]) / abs(row["rp"]))
        lost = max(learned, key=lambda row: row["stage_wise_loss"] / abs(row["rp"]))
        sentences.append(
            f"The stage-wise approximation of learning misstates value by at most "
            f"{abs(worst['stage_wise_error']) / abs(worst['rp']):.2%} and loses at most "
            f"{max(lost['stage_wise_loss'], 0.0) / abs(lost['rp']):.2%} of the optimum."
        )
    errors = [abs(row["lattice_error"] / row["rp"]) for row in study.rows if row["lattice_error"] is not None]
    if errors:
        sentences.append(
            f"Where costs are linear, a lattice of {study.states} states a stage is off the exact optimum by at "
            f"most {max(errors):.1%}."
        )
    return sentences
