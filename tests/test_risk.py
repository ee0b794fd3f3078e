"""Risk measures: programs, closed forms and limits as oracles; nested ones against a search backward over the tree."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

from scenario_trees import MarkovLattice
from stochisru import InputError, load_case
from stochisru.lunar.exact.lattice_dp import lattice_dp
from stochisru.lunar.exact.nested_dp import nested_dp
from stochisru.lunar.trees import case_lattice
from stochisru.methods.risk import (
    ChiSquareBall,
    Entropic,
    Expectation,
    MeanCVaR,
    Nested,
    WassersteinBall,
    WorstCase,
    adjusted,
)
from stochisru.methods.sddp.method import sddp
from stochisru.problem import Decision, Factor, Model, Operation, Row, State

BALLS = (ChiSquareBall, WassersteinBall, Entropic)


@st.composite
def outcomes(draw, most=6, zeros=True):
    """Values with ties, probabilities of which some may be 0, and ascending states."""
    m = draw(st.integers(1, most))
    value = np.array(draw(st.lists(st.integers(-20, 20), min_size=m, max_size=m)), dtype=float)
    parts = np.array(draw(st.lists(st.integers(0 if zeros else 1, 9), min_size=m, max_size=m)), dtype=float)
    parts[draw(st.integers(0, m - 1))] += 1.0
    states = np.cumsum(np.array(draw(st.lists(st.integers(1, 9), min_size=m, max_size=m)), dtype=float))
    return value, parts / parts.sum(), states


def distance(p, states):
    """Distances in standard deviations, as the ball says that it measures them."""
    spread = np.sqrt(p @ (states - p @ states) ** 2)
    return np.abs(states[:, None] - states) / (spread if spread > 0 else 1.0)


def transport(value, p, states, radius):
    """Least expectation at a distance of at most ``radius``: the linear program of moved mass."""
    some = np.flatnonzero(p > 0)
    d, n = distance(p, states)[np.ix_(some, some)], some.size
    leaving = np.kron(np.eye(n), np.ones(n))
    found = linprog(
        np.tile(value[some], n), A_ub=d.reshape(1, -1), b_ub=[radius], A_eq=leaving, b_eq=p[some], method="highs"
    )
    return found.fun


# ------------------------------------------------------------------------ one set of outcomes


@given(outcomes(), st.floats(0, 3))
@settings(max_examples=150, deadline=None)
def test_wasserstein_equals_the_transport_program(drawn, radius):
    value, p, states = drawn
    found = adjusted(WassersteinBall(radius), value, p, states)
    assert found.value == pytest.approx(transport(value, p, states, radius), abs=1e-8)
    assert (found.probability[p == 0] == 0).all()
    assert found.probability.sum() == pytest.approx(1, abs=1e-12)


def test_wasserstein_of_several_factors_equals_the_transport_program():
    stream = np.random.default_rng(5)
    for _ in range(20):
        value, p, x = stream.normal(size=5), stream.dirichlet(np.ones(5)), stream.normal(size=(5, 2))
        spread = np.sqrt(p @ (x - p @ x) ** 2)
        d = (np.abs(x[:, None] - x[None]) / spread).sum(axis=2)
        leaving = np.kron(np.eye(5), np.ones(5))
        best = linprog(np.tile(value, 5), A_ub=d.reshape(1, -1), b_ub=[0.4], A_eq=leaving, b_eq=p, method="highs").fun
        assert adjusted(WassersteinBall(0.4), value, p, x).value == pytest.approx(best, abs=1e-9)
    two = np.array([[0.2, 0.3, 0.5], [0.6, 0.4, 0.0]])  # rows of other outcomes, and of other spreads, at once
    value, states = np.array([3.0, 1.0, 0.0]), np.array([[1.0], [2.0], [4.0]])
    both = WassersteinBall(0.5).weights(two, value, states)
    for row, weights in zip(two, both, strict=True):
        assert weights @ value == pytest.approx(transport(value, row, states[:, 0], 0.5), abs=1e-9)


@given(outcomes(), st.floats(1e-6, 6) | st.just(0.0))
@settings(max_examples=150, deadline=None)
def test_chi_square_meets_its_conditions(drawn, radius):
    value, p, _ = drawn
    found = adjusted(ChiSquareBall(radius), value, p)
    q = found.probability
    some = p > 0
    assert (q >= 0).all()
    assert (q[~some] == 0).all()
    assert q.sum() == pytest.approx(1, abs=1e-12)
    assert ((q - p)[some] ** 2 / p[some]).sum() <= radius * (1 + 1e-12) + 1e-15

    assert found.value == pytest.approx(by_bisection(value, p, radius), abs=1e-7)


def by_bisection(value, p, radius):
    """The optimality condition E[((a − v)⁺)²] = (1 + ρ)·E[(a − v)⁺]², solved for a by halving."""
    v = value[p > 0] - value[p > 0].min()
    w = p[p > 0]
    if w[v == 0].sum() * (1 + radius) >= 1 or radius == 0 or v.max() == 0:
        return value[p > 0].min() if radius > 0 else p @ value
    low, high = -30.0, 30.0
    for _ in range(200):
        middle = (low + high) / 2
        above = np.maximum(np.exp(middle) - v, 0.0)
        low, high = (middle, high) if w @ above**2 > (1 + radius) * (w @ above) ** 2 else (low, middle)
    above = w * np.maximum(np.exp(high) - v, 0.0)
    return value[p > 0].min() + above @ v / above.sum()


def test_chi_square_equals_a_solver_and_its_closed_form():
    stream = np.random.default_rng(1)
    for m, radius in itertools.product((2, 3, 5), (0.05, 0.4, 1.5)):
        value, p = stream.normal(size=m), stream.dirichlet(np.ones(m))
        limit = {"type": "ineq", "fun": lambda q, p=p, r=radius: r - ((q - p) ** 2 / p).sum()}
        one = {"type": "eq", "fun": lambda q: q.sum() - 1}
        best = minimize(
            lambda q, v=value: q @ v,
            p,
            bounds=[(0, 1)] * m,
            constraints=[limit, one],
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 1000},
        ).fun
        assert adjusted(ChiSquareBall(radius), value, p).value == pytest.approx(best, abs=1e-6)
    value, p = np.array([1.0, 2.0, 4.0]), np.array([0.3, 0.3, 0.4])
    mean = p @ value
    small = adjusted(ChiSquareBall(0.01), value, p)  # no weight is 0 yet
    assert small.value == pytest.approx(mean - np.sqrt(0.01 * (p @ (value - mean) ** 2)), abs=1e-12)
    assert adjusted(ChiSquareBall(1 / 0.3 - 1), value, p).value == pytest.approx(1.0, abs=1e-9)
    assert adjusted(ChiSquareBall(1 / 0.3 - 1.3), value, p).value > 1.0


def test_entropic_has_its_closed_form_and_gradient():
    value, p, aversion = np.array([0.0, 2.0]), np.array([0.25, 0.75]), 0.7
    found = adjusted(Entropic(aversion), value, p)
    assert found.value == pytest.approx(-np.log(0.25 + 0.75 * np.exp(-2 * aversion)) / aversion, abs=1e-14)
    for j in range(2):
        step = 1e-6 * np.eye(2)[j]
        ends = [adjusted(Entropic(aversion), value + s * step, p).value for s in (1, -1)]
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(found.probability[j], abs=1e-8)
    assert adjusted(Entropic(1e-9), 1e3 * value, p).value == pytest.approx(1500.0, abs=1e-3)
    assert adjusted(Entropic(1e-13), 1e7 * value, p).value == pytest.approx(1.5e7, rel=1e-6)
    assert adjusted(Entropic(1e4), value, p).value == pytest.approx(np.log(4) / 1e4, abs=1e-12)


@given(outcomes(), st.floats(0.05, 1))
@settings(max_examples=60, deadline=None)
def test_mean_cvar_equals_its_program(drawn, tail):
    """CVaR as the best shortfall z − E[(z − v)⁺]/α over z: a linear program in z and the shortfalls."""
    value, p, _ = drawn
    m = value.size
    rows = np.column_stack([np.ones(m), -np.eye(m)])
    best = linprog(
        np.concatenate([[-1.0], p / tail]),
        A_ub=rows,
        b_ub=value,
        bounds=[(None, None)] + [(0, None)] * m,
        method="highs",
    )
    wanted = 0.4 * (p @ value) - 0.6 * best.fun
    assert adjusted(MeanCVaR(0.6, tail), value, p).value == pytest.approx(wanted, abs=1e-8)


@given(outcomes(), st.floats(0, 4), st.floats(0, 4), st.sampled_from(BALLS))
@settings(max_examples=200, deadline=None)
def test_balls_are_monotone_between_expectation_and_worst_case(drawn, one, other, ball):
    value, p, states = drawn
    small, large = sorted((one, other))
    found = [adjusted(ball(size), value, p, states).value for size in (0.0, small, large)]
    assert found[0] == pytest.approx(p @ value, abs=1e-9)
    worst = adjusted(WorstCase(), value, p).value
    assert worst == value[p > 0].min()
    assert found[0] + 1e-9 >= found[1] >= found[2] - 1e-9
    assert found[2] >= worst - 1e-9
    # 1/p_min of χ² is at most 64 here; no distance is beyond a few deviations; exp(−10⁶) is 0.
    sure = {ChiSquareBall: 1e3, WassersteinBall: 1e3, Entropic: 1e6}[ball]
    assert adjusted(ball(sure), value, p, states).value == pytest.approx(worst, abs=1e-4)


@given(outcomes(), st.floats(0.01, 2), st.sampled_from((*BALLS, WorstCase, MeanCVaR)), st.integers(0, 9))
@settings(max_examples=150, deadline=None)
def test_weights_are_cuts(drawn, size, kind, seed):
    """ρ(u) ≤ ρ(v) + q·(u − v) for all u: what keeps cuts of SDDP valid; and costs are the mirror image."""
    value, p, states = drawn
    measure = {WorstCase: WorstCase, MeanCVaR: lambda: MeanCVaR(0.7, min(size / 2, 1.0))}.get(
        kind, lambda: kind(size)
    )()
    here = adjusted(measure, value, p, states)
    other = value + np.random.default_rng(seed).normal(size=value.size) * 5
    there = adjusted(measure, other, p, states)
    assert there.value <= here.value + here.probability @ (other - value) + 1e-9
    higher = adjusted(measure, value + 1.5, p, states).value
    assert higher == pytest.approx(here.value + 1.5, abs=1e-9)
    costs = adjusted(measure, -value, p, states, sense="minimise")
    assert costs.value == pytest.approx(-here.value, abs=1e-12)


def test_bad_numbers_are_named():
    for bad, message in (
        (lambda: ChiSquareBall(-0.1), "radius: must be a finite number >= 0, got -0.1"),
        (lambda: WassersteinBall(float("nan")), "radius: must be a finite number >= 0, got nan"),
        (lambda: Entropic(float("inf")), "aversion: must be a finite number >= 0, got inf"),
        (lambda: adjusted(WassersteinBall(1.0), [1, 2], [0.5, 0.5]), "states: a Wasserstein ball needs the states"),
        (lambda: adjusted(WorstCase(), [1, 2], [0.5, 0.6]), "probability: must be >= 0 and sum to 1, got a sum of 1.1"),
        (lambda: adjusted(WorstCase(), [1, 2], [1.0]), "value: must be finite numbers, one per probability"),
        (lambda: adjusted(WorstCase(), [1.0], [1.0], sense="max"), "sense: must be maximise or minimise, got 'max'"),
    ):
        with pytest.raises(InputError, match=message.replace("(", r"\(")):
            bad()


# ---------------------------------------------------------------------------- nested, in SDDP

PRICE, COST, RATE = 5.0, 2.0, 0.05
MEASURES = (
    ChiSquareBall(0.2),
    ChiSquareBall(0.9),
    WassersteinBall(0.3),
    Entropic(0.01),
    WorstCase(),
    MeanCVaR(0.5, 0.4),
)
LATTICE = MarkovLattice(
    (np.array([100.0]), np.array([60.0, 100.0, 150.0]), np.array([30.0, 90.0, 140.0, 240.0])),
    (np.array([[0.3, 0.4, 0.3]]), np.array([[0.5, 0.4, 0.1, 0.0], [0.1, 0.5, 0.3, 0.1], [0.0, 0.2, 0.4, 0.4]])),
)


def newsvendor(sense="maximise", initial=0.0, lattice=LATTICE):
    """Stock that lasts is ordered a year ahead and sold once a year; as costs the same with the other sign."""
    T = lattice.horizon
    return Model(
        "newsvendor",
        T,
        [
            Decision("order", lead=1, cost=COST, upper=400.0, years=range(1, T + 1)),
            State("stock", initial=initial, gains={"order": 1.0}),
            Operation("sold", value=PRICE, upper=Factor("demand")),
            Row("enough", {"sold": 1.0, "stock": -1.0}, upper=0.0),
        ],
        sense=sense,
        discount_rate=RATE,
    )


def best_by_search(measure, lattice=LATTICE, initial=0.0):
    """Optimum of the newsvendor and its first order: golden sections nested backward, the measure as `adjusted`."""
    from scipy.optimize import minimize_scalar

    d, T = 1 / (1 + RATE), lattice.horizon

    def ahead(t, state, stock):
        """Risk-adjusted worth of the years after t with the best order on top of a stock, and that order."""
        p, values = lattice.transitions[t][state], lattice.values[t + 1]

        def after(order):
            held = stock + order
            worth = [
                d ** (t + 1) * PRICE * min(held, x) + (ahead(t + 1, j, held)[0] if t + 1 < T else 0.0)
                for j, x in enumerate(values)
            ]
            return adjusted(measure, worth, p, values).value - d ** (t + 1) * COST * order

        found = minimize_scalar(lambda x: -after(x), bounds=(0.0, 400.0), method="bounded", options={"xatol": 1e-4})
        order = max((0.0, float(found.x)), key=after)
        return after(order), order

    now, order = ahead(0, 0, initial)
    return now + PRICE * min(initial, lattice.values[0][0]), order


@pytest.mark.parametrize("measure", MEASURES, ids=lambda m: m.label)
def test_sddp_equals_the_search_over_the_tree(measure):
    exact, order = best_by_search(measure)
    found = sddp(newsvendor(), LATTICE, risk=measure, rel_gap=1e-5, iterations=40, simulations=20)
    assert found.bounds.certified
    assert found.bounds.lower - 1e-6 * exact <= exact <= found.bounds.upper + 1e-9 * exact
    assert found.bounds.upper == pytest.approx(exact, rel=1e-4)
    assert found.bounds.gap <= 1e-3
    assert measure.label in found.termination.detail
    costs = sddp(newsvendor("minimise"), LATTICE, risk=measure, rel_gap=1e-5, iterations=40, simulations=20)
    assert (-costs.bounds.upper, -costs.bounds.lower) == pytest.approx(
        (found.bounds.lower, found.bounds.upper), rel=1e-5
    )
    assert found.plan.first_stage["order1"] == pytest.approx(order, abs=0.05 * max(order, 1.0)) or (
        best_by_search(measure)[0] - found.bounds.lower <= 1e-3 * exact
    )


def test_the_ends_of_balls_in_sddp():
    def run(measure):
        return sddp(newsvendor(), LATTICE, risk=measure, rel_gap=1e-6, iterations=30, simulations=20).bounds

    neutral, worst = run(Expectation()), run(WorstCase())
    for ball, sure in ((ChiSquareBall, 1e3), (WassersteinBall, 1e3), (Entropic, 1e6)):
        found = [run(ball(size)) for size in (0.0, 0.05, 0.5, sure)]
        assert (found[0].lower, found[0].upper) == pytest.approx((neutral.lower, neutral.upper), rel=1e-9)
        assert (found[-1].lower, found[-1].upper) == pytest.approx((worst.lower, worst.upper), rel=1e-5)
        for more, less in itertools.pairwise(found):
            assert less.lower <= more.upper * (1 + 1e-9)


@pytest.mark.parametrize("measure", MEASURES, ids=lambda m: m.label)
def test_a_plan_that_is_best_today_is_best_tomorrow(measure):
    """Solved again from every state of year 1 with the stock that was ordered, the promised value is met."""
    exact, order = best_by_search(measure)
    d = 1 / (1 + RATE)
    later = []
    for i, demand in enumerate(LATTICE.values[1]):
        rest = MarkovLattice((np.array([demand]), LATTICE.values[2]), (LATTICE.transitions[1][i : i + 1],))
        model = newsvendor(initial=order, lattice=rest)
        scaled = Entropic(measure.aversion * d) if isinstance(measure, Entropic) else measure  # money of its year 0
        found = sddp(model, rest, risk=scaled, rel_gap=1e-7, iterations=40, simulations=20)
        later.append(d * (found.bounds.lower + found.bounds.upper) / 2)
    again = Nested(measure, LATTICE).worth(0, np.array(later))[0] - d * COST * order
    assert again == pytest.approx(exact, rel=2e-5)


# ------------------------------------------------------------------ nested, on levels of modules


def modules_by_hand(case, lattice, measure):
    """Optimum over numbers of modules, written out as a recursion over years, states and plant (L = 0 or 1)."""
    e, c, h, T = case.economics, case.costs, case.technology, case.horizon.T
    lot, d, lead = case.launch.lot, 1 / (1 + e.r), case.horizon.lead_time
    most = int(np.ceil(max(v.max() for v in lattice.values) / h.eta / lot)) + 1

    def cash(t, demand, n):
        plant = h.M0 + n * lot
        made = min(h.eta * plant, demand)
        idle = h.eta * plant - made
        return d**t * (
            (e.P_m - c.c_by * h.beta) * made - c.c_op * plant - c.c_S * idle - min(c.c_E, c.c_bu) * (demand - made)
        )

    def pay(t, n):
        return d**t * case.investment(n * lot) if n else 0.0

    def ahead(t, i, n):
        worth = [worth_of(t + 1, j, n) for j in range(lattice.sizes[t + 1])]
        return adjusted(measure, worth, lattice.transitions[t][i], lattice.values[t + 1]).value

    def worth_of(t, i, n):
        """Of years t.. from n modules: those in place (L = 1), or those before the order of today (L = 0)."""
        if lead:
            now = cash(t, lattice.values[t][i], n)
            return now + (max(ahead(t, i, m) - pay(t + 1, m - n) for m in range(n, most + 1)) if t < T else 0.0)
        return max(
            cash(t, lattice.values[t][i], m) - pay(t, m - n) + (ahead(t, i, m) if t < T else 0.0)
            for m in range(n, most + 1)
        )

    return max(worth_of(0, 0, m) - pay(0, m) for m in range(most + 1)) if lead else worth_of(0, 0, 0)


@pytest.mark.parametrize("lead", [0, 1])
@pytest.mark.parametrize("measure", [*MEASURES[:3], Entropic(1e-7), *MEASURES[4:]], ids=lambda m: m.label)
def test_levels_under_a_measure_equal_the_recursion(measure, lead):
    case = load_case("contested-market").replace(T=2, lead_time=lead, lot=60.0, fixed_cost=2e5, sigma=0.5, c_S=20.0)
    lattice = case_lattice(case, 3)
    found = nested_dp(case, lattice, risk=measure)
    assert found.bounds.certified
    assert found.objective == pytest.approx(modules_by_hand(case, lattice, measure), rel=1e-12)
    assert found.bounds.gap <= 1e-12


def test_many_small_modules_are_worth_what_sddp_brackets():
    case = load_case("contested-market").replace(T=3)
    lattice = case_lattice(case, 5)
    for measure in (ChiSquareBall(0.3), WassersteinBall(0.3), Entropic(1e-6), WorstCase()):
        modules = nested_dp(case.replace(lot=1.0), lattice, risk=measure).objective
        free = nested_dp(case, lattice, risk=measure).bounds
        assert free.lower - 2e-4 * free.flows <= modules <= free.upper


@pytest.mark.parametrize(
    "change",
    [{}, {"lead_time": 0, "degradation": 0.1}, {"earth_limit": 300.0, "M0": 50.0}, {"initial_deployment": "fixed"}],
    ids=str,
)
def test_levels_of_any_mass_and_sddp_bracket_one_optimum(change):
    case = load_case("contested-market").replace(T=3, **change)
    lattice = case_lattice(case, 5)
    for measure in (ChiSquareBall(0.3), WassersteinBall(0.3), Entropic(1e-6), WorstCase()):
        found = nested_dp(case, lattice, risk=measure)
        cuts = sddp(case, lattice, risk=measure, rel_gap=1e-4, iterations=8, simulations=20).bounds
        room = 1e-9 * cuts.flows
        assert found.bounds.certified
        assert found.bounds.upper - found.bounds.lower <= 1e-4 * cuts.flows
        assert max(found.bounds.lower, cuts.lower) <= min(found.bounds.upper, cuts.upper) + room
        nominal = found.plan.problem.course(found.plan.rule).value
        assert found.objective - room <= nominal <= lattice_dp(case, lattice).objective + room


def test_what_takes_no_measure_says_so(run_cli):
    call = ("solve", "lunar-reference", "--horizon", "2", "--method")
    for more, message in (
        (
            ("lattice-dp", "--fixed-cost", "1e6", "--risk-measure", "worst-case"),
            "launch.lot: a nested risk measure takes costs that are linear, or plants in modules",
        ),
        (
            ("lattice-dp", "--lot", "50", "--risk-measure", "chi-square"),
            "risk_radius: must be given with the risk_measure chi-square",
        ),
        (
            ("sddp", "--risk-radius", "0.1"),
            "risk_radius: belongs to the risk_measure chi-square or wasserstein, got none",
        ),
        (
            ("sddp", "--risk-measure", "entropic", "--risk-weight", "0.1"),
            "risk_weight: belongs to the risk_measure mean-cvar, got entropic",
        ),
        (("sddp", "--risk-measure", "cvar"), "risk_measure: must be mean-cvar or entropic or worst-case or chi-square"),
        (("sddp", "--risk-measure", "chi-square", "--risk-radius", "-1"), "risk_radius: must be a finite number >= 0"),
        (
            ("sddp", "--risk-measure", "worst-case", "--risk-tail", "0.1"),
            "risk_tail: belongs to the risk_measure mean-cvar, got worst-case",
        ),
    ):
        done = run_cli(*call, *more, check=2)
        assert message in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    done = run_cli(*call, "lattice-dp", "--lot", "50", "--risk-measure", "wasserstein", "--risk-radius", "0.2", check=0)
    assert "risk-adjusted NPV of the lattice" in done.stdout
    assert "Wasserstein ball, radius 0.2" in done.stdout
    with pytest.raises(InputError, match="lead_time: must be at most 1 for a nested risk measure on levels, got 2"):
        nested_dp(load_case("lunar-reference").replace(T=4, lead_time=2, lot=50.0), states=3, risk=WorstCase())
