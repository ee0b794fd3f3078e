"""Risk measures: linear and convex programs, closed forms and limits as oracles; nested ones against backward programs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

from scenario_trees import GeometricBrownianMotion, MarkovLattice
from stochisru import InputError, load_case
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
    measure = {WorstCase: WorstCase, MeanCVaR: lambda: MeanCVaR(0.7, min(size / 2, 1.0))}.get(kind, lambda: kind(size))()
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
