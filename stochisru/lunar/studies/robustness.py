"""The price of robustness: what a plan that fears more gives up where the numbers of the case hold.

Two kinds of fear, each with a size that grows along a curve:

- a **ball** around the transition probabilities of the lattice, nested over the years (`robust_ball`): next year's
  probabilities may be any of the ball, chosen anew in every year and state;
- a **box** of growth and volatility (`robust_box`): the process is a geometric Brownian motion with some μ and σ of the
  box, the same in all years, not known and not learned.

Guaranteed is what a plan is worth at worst, nominal what it is worth under the case's own numbers, and the price of
robustness is RP of the case less the nominal value of the plan that is best at worst.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from stochisru.errors import InputError, require_integer
from stochisru.lunar.case import DeploymentCase, why_no_gbm
from stochisru.lunar.exact.lattice_dp import lattice_dp
from stochisru.lunar.exact.level_dp import level_dp
from stochisru.lunar.exact.nested_dp import nested_dp
from stochisru.lunar.exact.nested_levels import why_no_nested_levels
from stochisru.lunar.exact.policy_value import policy_value
from stochisru.lunar.exact.threshold import threshold
from stochisru.lunar.simulation.monte_carlo import simulated
from stochisru.lunar.solving import believed_on_lattice, has_exact_policy
from stochisru.lunar.strategies import Strategy
from stochisru.lunar.studies.values import case_identity
from stochisru.lunar.trees import LEVEL_STATES, case_lattice
from stochisru.methods.risk.options import BALLS
from stochisru.methods.sddp.method import sddp
from stochisru.simulation.sampling import Sampling
from stochisru.studies.store import Execution, Point, Row, Study, run_study

if TYPE_CHECKING:
    import pandas as pd

    from scenario_trees import GeometricBrownianMotion, MarkovLattice
    from stochisru.methods.result import Result

#: Gap and most iterations of SDDP, and the paths by which its plans are judged, whose mean is not known exactly.
_GAP, _ITERATIONS, _PATHS = 1e-3, 10, 4096
#: Radii of a ball that are tried.
RADII = (0.0, 0.02, 0.1, 0.5)
#: Sizes of the box that are tried, as shares of the whole.
SIZES = (0.0, 0.25, 0.5, 0.75, 1.0)

Span = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Robustness:
    """The curve of a ball or a box.

    Attributes
    ----------
    kind
        ``chi-square``, ``wasserstein`` or ``box``.
    rows
        One per size, ascending: ``size`` (radius of the ball, or share of the box), ``guaranteed`` and ``ceiling`` ($:
        what the plan is worth at worst, and what no plan can exceed at worst; None where nothing bounds it),
        ``nominal`` with ``nominal_lower`` and ``nominal_upper``, ``price`` with ``price_lower`` and ``price_upper``,
        and the orders ``dM0``, ``dM1``, … (kg). Of a box also its ends (``mu_low`` …), the worst μ and σ for the plan
        (``worst_mu``, ``worst_sigma``), those that it is best for (``plan_mu``, ``plan_sigma``), and what the plan of
        the case itself is worth at worst (``unprepared``).
    rp
        RP of the case, of what the values are of, $.
    of
        What values are of: ``lattice`` or ``process``.
    basis
        What stands behind them, in a few words.
    """

    case: DeploymentCase
    kind: str
    rows: tuple[Row, ...]
    rp: float
    of: str
    basis: str

    def to_rows(self) -> list[Row]:
        """Plain rows for JSON."""
        head = {"study": "robustness", "case": self.case.name, "horizon": self.case.horizon.T, "sense": "maximise"}
        return [{**head, "kind": self.kind, "of": self.of, "basis": self.basis, "rp": self.rp, **r} for r in self.rows]

    def to_frame(self) -> pd.DataFrame:
        """The rows as a table."""
        import pandas as pd

        return pd.DataFrame(list(self.rows))

    def __repr__(self) -> str:
        last = self.rows[-1]
        return (
            f"Robustness({self.case.name}, {self.kind}, T = {self.case.horizon.T}; at {last['size']:g} guaranteed "
            f"{last['guaranteed']:,.0f} $ for a price of {last['price']:,.0f} $)"
        )


def _ascending(name: str, sizes: Sequence[float], most: float = math.inf) -> list[float]:
    good = all(math.isfinite(x) and 0 <= x <= most for x in sizes)
    if not sizes or not good or list(sizes) != sorted(set(sizes)):
        within = "finite numbers >= 0" if most == math.inf else f"numbers in [0, {most:g}]"
        raise InputError(f"{name}: must be ascending {within}, got {', '.join(f'{x:g}' for x in sizes) or 'none'}")
    return [float(x) for x in sizes]


def _orders(root: Sequence[float]) -> dict[str, float]:
    return {f"dM{t}": float(x) for t, x in enumerate(root)}


# ------------------------------------------------------------------------ balls


def robust_ball(
    case: DeploymentCase,
    ball: str,
    radii: Sequence[float],
    *,
    states: int = LEVEL_STATES,
    execution: Execution | None = None,
) -> Robustness:
    """The curve of a nested ball over its radius.

    Parameters
    ----------
    ball
        ``chi-square`` (Σ (q − p)²/p ≤ radius) or ``wasserstein`` (radius in standard deviations of next year's
        demand); see `stochisru.methods.risk`.
    radii
        Ascending, ≥ 0.
    states
        States per stage of the lattice.
    execution
        Workers, checkpoint and so on; the rows do not depend on it.

    Returns
    -------
    Robustness
        Of the lattice. With L ≤ 1 the dynamic programme over levels (`stochisru.lunar.exact.nested_dp`) is used, else
        SDDP. ``guaranteed`` and ``ceiling`` are the certified bracket of the nested optimum. ``nominal`` is the
        expectation of the plan on the lattice: with L ≤ 1 exactly that of the plan with the guaranteed value, else of
        the plan of the cuts, simulated on common paths.

    Raises
    ------
    InputError
        If an argument is out of range, or costs are not linear and plants do not come in modules.

    Examples
    --------
    >>> from stochisru import load_case
    >>> found = robust_ball(load_case("contested-market").replace(T=4), "chi-square", [0.0, 0.2], states=6)
    >>> calm, careful = found.rows
    >>> careful["guaranteed"] < calm["guaranteed"], round(calm["price"], 6), careful["price"] >= 0
    (True, 0.0, True)
    """
    if ball not in BALLS:
        raise InputError(f"ball: must be {' or '.join(BALLS)}, got {ball!r}")
    sizes = _ascending("radii", radii)
    if not case.is_linear:
        reason = why_no_nested_levels(case)
        if reason is not None:
            raise InputError(reason)
    lattice = case_lattice(case, states)
    identity = {"study": "robustness", "ball": ball, "states": states, **case_identity(case)}
    study = Study(identity, [{"size": x} for x in sizes], partial(_ball_row, case, ball, states))
    rows = run_study(study, execution)
    rp = float(_neutral(case, lattice).objective)
    for row in rows:
        row["price"] = rp - row["nominal"]
        row["price_lower"], row["price_upper"] = rp - row["nominal_upper"], rp - row["nominal_lower"]
    return Robustness(
        case, ball, tuple(rows), rp, "lattice", f"up to {max(lattice.sizes)} states a year, certified bracket"
    )


def _neutral(case: DeploymentCase, lattice: MarkovLattice) -> Result[Any]:
    return lattice_dp(case, lattice) if case.is_linear else level_dp(case, lattice)


def _ball_row(case: DeploymentCase, ball: str, states: int, point: Point) -> list[Row]:
    measure, lattice = BALLS[ball](point["size"]), case_lattice(case, states)
    found: Any
    if measure.neutral:
        found = _neutral(case, lattice)
        nominal = (found.objective,) * 3
    elif why_no_nested_levels(case) is None:
        found = nested_dp(case, lattice, risk=measure)
        nominal = (found.plan.problem.course(found.plan.rule).value,) * 3
    else:
        found = sddp(case, lattice, risk=measure, rel_gap=_GAP, iterations=_ITERATIONS, simulations=2)
        mean = found.plan.simulate(_PATHS, seed=0)
        nominal = (mean.value, mean.lower, mean.upper)
    row = {"size": point["size"], "guaranteed": found.bounds.lower, "ceiling": found.bounds.upper}
    row |= dict(zip(("nominal", "nominal_lower", "nominal_upper"), nominal, strict=True))
    return [{**row, **_orders(found.plan.root)}]


# -------------------------------------------------------------------------- box


def robust_box(
    case: DeploymentCase,
    *,
    mu: Span | None = None,
    sigma: Span | None = None,
    sizes: Sequence[float] = SIZES,
    points: int = 2,
    paths: int = 10_000,
    seed: int = 0,
    confidence: float = 0.95,
    execution: Execution | None = None,
) -> Robustness:
    """The curve of a box of growth and volatility over its size.

    With J(π, θ) the expected NPV of plan π where demand grows by θ = (μ, σ), the plan for the worst case is

        π* = argmax over π of min over θ in the box of J(π, θ),      price of robustness = RP(nominal) − J(π*, nominal).

    π is one of the plans that are best for some θ of the study's points, and θ one of the points of the box: its
    corners, or a grid, with the case's own numbers. No plan whatever is worth more at worst than the least RP(θ) of the
    box (``ceiling``, where there is an exact policy): where ``guaranteed`` meets it π* is best of all.

    Parameters
    ----------
    mu, sigma
        Ends of the box, the case's own number within; the number itself if not given.
    sizes
        Shares of the box, ascending in [0, 1]: at s its ends are nominal + s·(end − nominal).
    points
        Points per side: 2 are the corners.
    paths, seed, confidence
        Of the simulation where there is no exact policy: the plans are those of lattices, judged on common antithetic
        paths.
    execution
        Workers, checkpoint and so on; the rows do not depend on it.

    Returns
    -------
    Robustness
        Of the process. With an exact policy all values are exact but for the error of integration; else they are
        simulated, with intervals, and nothing bounds them from above.

    Raises
    ------
    InputError
        If demand is no geometric Brownian motion, the box does not hold its numbers, or an argument is out of range.

    Examples
    --------
    >>> from stochisru import load_case
    >>> found = robust_box(load_case("contested-market"), mu=(0.1, 0.2), sizes=[1.0])
    >>> last = found.rows[-1]
    >>> last["worst_mu"], last["plan_mu"], last["guaranteed"] > last["unprepared"], last["price"] > 0
    (0.1, 0.1, True, True)
    """
    _ = _growth(case)
    require_integer("points", points, 2)
    shares = _ascending("sizes", sizes, 1.0)
    ends = {"mu": mu, "sigma": sigma}
    if mu is None and sigma is None:
        raise InputError("mu, sigma: at least one needs a range, as in 0.1,0.3")
    own = {"mu": case.demand.mu, "sigma": case.demand.sigma}
    spans = {name: _span(name, span, own[name]) for name, span in ends.items()}
    nominal = (own["mu"], own["sigma"])
    boxes = [_box(spans, own, share, points) for share in shares]
    everywhere = list(dict.fromkeys([nominal, *(theta for box in boxes for theta in box)]))
    for theta in _box(spans, own, 1.0, 2):
        _moved(case, theta)
    sample = Sampling(paths, seed, "antithetic", confidence=confidence)
    exact = has_exact_policy(case)
    identity = {"study": "robustness", "thetas": everywhere, "paths": paths, "seed": seed, "confidence": confidence}
    found = run_study(
        Study(
            {**identity, **case_identity(case)},
            [{"mu": m, "sigma": s} for m, s in everywhere],
            partial(_judged, case, everywhere, exact, sample),
        ),
        execution,
    )
    plans = {(row["mu"], row["sigma"]): row for row in found}
    rp = plans[nominal]["values"][0][0]
    rows = []
    for share, box in zip(shares, boxes, strict=True):
        here = list(dict.fromkeys([nominal, *box]))
        rows.append(_box_row(share, spans, own, here, everywhere, plans, exact))
    basis = "exact policies" if exact else f"policies of lattices, {paths:,} common paths, {confidence:.0%}"
    return Robustness(case, "box", tuple(rows), rp, "process", basis)


def _growth(case: DeploymentCase) -> GeometricBrownianMotion:
    from scenario_trees import GeometricBrownianMotion as Growth

    if not isinstance(case.process, Growth):
        raise InputError(why_no_gbm(case, "a box of mu and sigma"))
    return case.process


def _span(name: str, span: Span | None, own: float) -> Span:
    low, high = (own, own) if span is None else (float(span[0]), float(span[1]))
    if not (math.isfinite(low) and math.isfinite(high) and low <= own <= high):
        raise InputError(f"{name}: the box must hold the case's own {own:g}, got {low:g} to {high:g}")
    return low, high


def _moved(case: DeploymentCase, theta: Span) -> DeploymentCase:
    return case.replace(mu=theta[0], sigma=theta[1])


def _ends(span: Span, own: float, share: float) -> Span:
    return (1 - share) * own + share * span[0], (1 - share) * own + share * span[1]


def _box(spans: dict[str, Span], own: dict[str, float], share: float, points: int) -> list[Span]:
    sides = []
    for name, span in spans.items():
        low, high = _ends(span, own[name], share)
        sides.append(list(dict.fromkeys(np.linspace(low, high, points).tolist())))
    return [(m, s) for m in sides[0] for s in sides[1]]


def _policy(case: DeploymentCase, name: str, exact: bool) -> Strategy:
    """Best plan of a case, to be judged on any process."""
    if exact:
        return threshold(case).policy(name=name).as_belief()
    policy: Strategy = believed_on_lattice(case).policy(name=name)
    return policy


def _judged(case: DeploymentCase, thetas: Sequence[Span], exact: bool, sample: Sampling, point: Point) -> list[Row]:
    """Orders of the plan that is best at a point, and its value at all points: value, lower and upper end."""
    theta = (point["mu"], point["sigma"])
    policy = _policy(_moved(case, theta), "plan", exact)
    row: Row = {"mu": theta[0], "sigma": theta[1], "root": policy.start(_moved(case, thetas[0])).tolist()}
    values = []
    for truth in thetas:
        if exact:
            value, error = policy_value(_moved(case, truth), policy)  # type: ignore[arg-type]
            values.append([value, value - error, value + error])
        else:
            mean = simulated(_moved(case, truth), [policy], sample).metrics[policy.name]["npv_mean"]
            values.append([mean.value, mean.lower, mean.upper])
    if exact:
        value, error = policy_value(case, policy)  # type: ignore[arg-type]
        best = threshold(case)
        lost = [best.objective - value, best.bounds.lower - value - error, best.bounds.upper - value + error]
    elif theta == tuple(thetas[0]):
        lost = [0.0, 0.0, 0.0]
    else:
        outcome = simulated(case, [_policy(case, "nominal", exact), policy], sample)
        difference = outcome.difference("nominal", policy.name)
        lost = [difference.value, difference.lower, difference.upper]
    return [{**row, "values": values, "lost": lost}]


def _box_row(
    share: float,
    spans: dict[str, Span],
    own: dict[str, float],
    here: Sequence[Span],
    everywhere: Sequence[Span],
    plans: dict[Span, Row],
    exact: bool,
) -> Row:
    """The plan that is best at the worst of the points ``here``; ties go to the one that is best for the case."""
    at = [everywhere.index(theta) for theta in here]
    table = np.array([[plans[theta]["values"][k][0] for k in at] for theta in everywhere])
    chosen = int(table.min(axis=1).argmax())
    worst = int(table[chosen].argmin())
    plan = plans[everywhere[chosen]]
    least = min(plans[theta]["values"][everywhere.index(theta)][0] for theta in here) if exact else None
    row: Row = {"size": share, "guaranteed": float(table[chosen, worst]), "ceiling": least}
    row |= dict(zip(("nominal", "nominal_lower", "nominal_upper"), plan["values"][0], strict=True))
    row |= dict(zip(("price", "price_lower", "price_upper"), plan["lost"], strict=True))
    row |= _orders(plan["root"])
    for name, span in spans.items():
        row[f"{name}_low"], row[f"{name}_high"] = _ends(span, own[name], share)
    row |= {"worst_mu": here[worst][0], "worst_sigma": here[worst][1]}
    row |= {"plan_mu": everywhere[chosen][0], "plan_sigma": everywhere[chosen][1]}
    return {**row, "unprepared": float(table[0].min())}
