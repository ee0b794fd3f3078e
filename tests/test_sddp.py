"""SDDP: the extensive form, the dynamic programme and a Pyomo model of the unfolded tree as oracles."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenario_trees import GeometricBrownianMotion, MarkovLattice
from stochisru import InputError, SolverError, extensive_form, load_case, simulate
from stochisru.lunar.exact.envelope import envelope_argmax
from stochisru.lunar.exact.lattice_dp import lattice_dp
from stochisru.lunar.exact.threshold import threshold
from stochisru.lunar.stage_program import StagePrograms
from stochisru.lunar.stage_report import problem_report
from stochisru.lunar.storage import Storage
from stochisru.lunar.trees import case_lattice
from stochisru.methods.risk import Expectation, MeanCVaR
from stochisru.methods.sddp import engine as sddp_engine
from stochisru.methods.sddp import vertices
from stochisru.methods.sddp.engine import Engine
from stochisru.methods.sddp.method import sddp
from stochisru.methods.sddp.monitor import SddpState, sddp_checkpoint
from stochisru.methods.sddp.trials import Trials
from stochisru.methods.stopping import (
    BoundStalled,
    GapReached,
    GapWithConfidence,
    IterationLimit,
    Status,
    TimeLimit,
    any_of,
)
from stochisru.problem import Decision, Factor, Model, Operation, Row, State
from stochisru.programs import stage_model
from stochisru.programs.stage import Duals
from stochisru.testing import check_strategy
from tests.cases import deployment_cases


def _with(case, storage):
    return case if storage is None else case.stored(storage)


def oracle(case, lattice, storage=None, weight=0.0, tail=1.0):
    """Optimum of nested mean-CVaR with a store on the unfolded tree: a Pyomo model in value-to-go form."""
    import pyomo.environ as pyo

    tree = lattice.to_tree()
    storage = storage or Storage(capacity=0.0)
    c, tech, T, L = case.costs, case.technology, case.horizon.T, case.horizon.lead_time
    nodes = range(tree.n_nodes)
    parent, stage = tree.parent, tree.stage
    children = [[] for _ in nodes]
    for n in nodes[1:]:
        children[parent[n]].append(n)
    above = tree.ancestor(L)
    disc = 1 / (1 + case.economics.r)
    m = pyo.ConcreteModel()
    top = 3 * tree.value.max() / tech.eta + tech.M0
    m.u = pyo.Var(nodes, bounds=(0, top))
    m.M = pyo.Var(nodes, bounds=(0, (T + 2) * top))
    m.Q, m.E, m.S = (pyo.Var(nodes, bounds=(0, None)) for _ in range(3))
    m.stored = pyo.Var(nodes, bounds=(0, storage.capacity))
    m.V, m.level = pyo.Var(nodes), pyo.Var(nodes)
    m.short = pyo.Var(nodes, bounds=(0, None))
    m.rules = pyo.ConstraintList()
    leader = {}
    for n in nodes:
        t, p = int(stage[n]), int(parent[n])
        first = leader.setdefault((t, int(above[n])), n)
        if first != n:
            m.rules.add(m.u[n] == m.u[first])
        before = tech.M0 if t == 0 else (1 - tech.degradation) * m.M[p]
        kept = storage.initial if t == 0 else (1 - storage.boil_off) * m.stored[p]
        m.rules.add(m.M[n] == before + m.u[n])
        m.rules.add(m.Q[n] + m.E[n] + m.S[n] == float(tree.value[n]))
        excess = tech.eta * m.M[n] + kept - m.Q[n] - m.stored[n]
        m.rules.add(excess >= 0)
        if c.earth_limit is not None:
            m.rules.add(m.E[n] <= c.earth_limit)
        cash = (
            (case.economics.P_m - c.c_by * tech.beta) * m.Q[n]
            - case.investment_cost * m.u[n]
            - c.c_op * m.M[n]
            - c.c_bu * m.S[n]
            - c.c_E * m.E[n]
            - c.c_S * excess
            - storage.holding_cost * m.stored[n]
        )
        later = 0.0
        if children[n]:
            p_of = {k: float(tree.probability[k] / tree.probability[n]) for k in children[n]}
            later = (1 - weight) * sum(p_of[k] * m.V[k] for k in children[n])
            later += weight * (m.level[n] - sum(p_of[k] * m.short[k] for k in children[n]) / tail)
            for k in children[n]:
                m.rules.add(m.short[k] >= m.level[n] - m.V[k])
        m.rules.add(m.V[n] * 1e-6 == (cash + disc * later) * 1e-6)
    if case.horizon.initial_deployment == "fixed":
        m.u[0].fix(0.0)
    m.value = pyo.Objective(expr=m.V[0] * 1e-6, sense=pyo.maximize)
    pyo.SolverFactory("highs").solve(m)
    return pyo.value(m.V[0])


def contents(result):
    """Everything of a result that has to be equal, as bytes."""
    log = result.log.drop(columns="seconds")
    plan = result.plan
    return [log.to_numpy().tobytes(), plan.root.tobytes(), repr(plan.simulated)] + [
        a.tobytes() for a in (*plan.intercept, *plan.slope)
    ]


# ------------------------------------------------------------------------------- optimum


@settings(max_examples=30)
@given(deployment_cases(max_T=3), st.integers(1, 3))
def test_equals_the_extensive_form(case, states):
    lattice = MarkovLattice.from_process(case.process, case.horizon.T, states)
    exact = extensive_form(case, lattice.to_tree())
    result = sddp(case, lattice, rel_gap=1e-7, iterations=15, passes=1, simulations=2)
    size = exact.bounds.flows
    assert result.bounds.lower <= exact.bounds.upper + 1e-10 * size
    assert result.bounds.upper >= exact.bounds.lower - 1e-10 * size
    assert result.bounds.upper - exact.objective <= 1e-6 * size
    assert exact.objective - result.bounds.lower <= 1e-4 * size
    assert result.bounds.certified


@pytest.mark.parametrize("lead, tolerance", [(0, 1e-9), (1, 1e-9), (2, 1e-5)])
def test_equals_the_extensive_form_closely(reference, lead, tolerance):
    case = reference.replace(T=5, lead_time=lead, degradation=0.1, earth_limit=800.0, M0=20.0)
    lattice = MarkovLattice.from_process(case.process, 5, 3)
    exact = extensive_form(case, lattice.to_tree()).objective
    result = sddp(case, lattice, rel_gap=1e-9, iterations=8, passes=2, simulations=2)
    assert result.bounds.upper == pytest.approx(exact, rel=tolerance)
    assert result.bounds.upper >= exact * (1 - 1e-12)


def test_equals_the_dynamic_programme(reference):
    case = reference.replace(T=12)
    lattice = MarkovLattice.from_process(case.process, 12, 15)
    exact = lattice_dp(case, lattice)
    result = sddp(case, lattice, rel_gap=1e-4)
    assert result.termination.reason == "optimal"
    assert result.bounds.certified
    assert result.bounds.lower <= exact.objective * (1 + 1e-12)
    assert result.bounds.upper >= exact.objective * (1 - 1e-12)
    assert result.bounds.gap <= 1e-4
    assert result.plan.simulated.lower < exact.objective < result.plan.simulated.upper
    # The process itself is close: the lattice of 15 states is the difference.
    assert result.objective == pytest.approx(threshold(case).objective, rel=2e-2)


def test_without_volatility_there_is_one_state_a_stage(reference):
    case = reference.replace(T=6, sigma=0.0)
    result = sddp(case, states=9, rel_gap=1e-8)
    assert result.plan.size["states_per_stage"] == 1
    assert result.objective == pytest.approx(lattice_dp(case, states=9).objective, rel=1e-8)
    assert result.plan.simulated.standard_error == pytest.approx(0.0, abs=1.0)


def test_fixed_start_and_long_lead_times(reference):
    for lead in (0, 1, 4, 9):
        case = reference.replace(T=4, lead_time=lead, initial_deployment="fixed")
        lattice = MarkovLattice.from_process(case.process, 4, 2)
        result = sddp(case, lattice, rel_gap=1e-4, iterations=20)
        assert result.bounds.meets(1e-4)
        assert result.first_stage["dM0"] == 0
        assert len(result.first_stage) == min(lead, 4) + 1
        assert result.bounds.upper == pytest.approx(extensive_form(case, lattice.to_tree()).objective, rel=1e-4)


# -------------------------------------------------------------------------------- risk


@pytest.mark.parametrize("lead", [0, 1, 2])
@pytest.mark.parametrize("weight, tail", [(0.5, 0.4), (1.0, 0.1)])
def test_nested_risk_equals_the_oracle(reference, lead, weight, tail):
    case = reference.replace(T=3, lead_time=lead, degradation=0.1, c_S=50.0)
    lattice = MarkovLattice.from_process(case.process, 3, 3)
    result = sddp(case, lattice, risk=MeanCVaR(weight, tail), rel_gap=1e-5, iterations=16, passes=2)
    exact = oracle(case, lattice, weight=weight, tail=tail)
    assert result.bounds.upper == pytest.approx(exact, rel=1e-5)
    assert result.bounds.lower <= exact + 1e-6 * abs(exact)
    assert result.bounds.meets(1e-3)
    assert result.bounds.certified


def test_risk_is_monotone_and_has_its_limits(reference):
    case = reference.replace(T=4)
    lattice = MarkovLattice.from_process(case.process, 4, 4)
    run = lambda risk: sddp(case, lattice, risk=risk, rel_gap=1e-6, iterations=6, passes=1, simulations=2)  # noqa: E731
    neutral = run(Expectation())
    for same in (MeanCVaR(0.0, 0.2), MeanCVaR(0.7, 1.0)):
        assert contents(run(same)) == contents(neutral)
    values = [run(MeanCVaR(weight, 0.2)).bounds.upper for weight in (0.25, 0.5, 0.75, 1.0)]
    assert neutral.bounds.upper > values[0]
    assert (np.diff(values) < 0).all()


def test_weights_of_the_worst_share():
    p = np.array([[0.25, 0.25, 0.25, 0.25], [0.7, 0.1, 0.1, 0.1]])
    value = np.array([3.0, 1.0, 2.0, 4.0])
    assert MeanCVaR(1.0, 0.5).weights(p, value)[0] == pytest.approx([0, 0.5, 0.5, 0])
    assert MeanCVaR(1.0, 0.5).weights(p, value)[1] == pytest.approx([0.6, 0.2, 0.2, 0])
    assert MeanCVaR(0.5, 0.5).weights(p, value)[1] == pytest.approx([0.65, 0.15, 0.15, 0.05])
    assert MeanCVaR(1.0, 1e-9).weights(p, value)[0] == pytest.approx([0, 1, 0, 0])
    assert MeanCVaR(0.0, 0.5).neutral
    for bad, message in (
        (lambda: MeanCVaR(1.2, 0.5), r"weight: must lie in \[0, 1\], got 1.2"),
        (lambda: MeanCVaR(0.5, 0.0), r"tail: must lie in \(0, 1\], got 0.0"),
    ):
        with pytest.raises(InputError, match=message):
            bad()


# ------------------------------------------------------------------------------- store


@pytest.mark.parametrize(
    "lead, storage, weight",
    [
        (1, Storage(boil_off=0.1, holding_cost=20.0, initial=300.0), 0.0),
        (0, Storage(boil_off=0.05, capacity=400.0), 0.0),
        (2, Storage(boil_off=0.02, capacity=2000.0, holding_cost=5.0, initial=100.0), 0.5),
    ],
)
def test_storage_equals_the_oracle(reference, lead, storage, weight):
    case = reference.replace(T=3, lead_time=lead, degradation=0.05, c_S=30.0, sigma=0.4, mu=0.05)
    lattice = MarkovLattice.from_process(case.process, 3, 3)
    risk = MeanCVaR(weight, 0.3)
    result = sddp(_with(case, storage), lattice, risk=risk, rel_gap=1e-4, iterations=16, passes=2)
    exact = oracle(case, lattice, storage, weight, 0.3)
    assert result.bounds.upper == pytest.approx(exact, rel=1e-4)
    assert result.bounds.lower <= exact + 1e-6 * abs(exact)
    assert result.bounds.meets(1e-2)
    if risk.neutral:
        assert result.plan.simulated.lower - 1e-3 * exact < exact < result.plan.simulated.upper + 1e-3 * exact


@pytest.mark.parametrize(
    "changes, storage",
    [
        ({"degradation": 0.1, "sigma": 0.05, "mu": 0.0}, Storage()),
        (
            {"degradation": 0.1, "sigma": 0.05, "mu": 0.0, "earth_limit": 400.0, "r": 0.0, "P_m": 0.0}
            | {"initial_deployment": "fixed", "c_E": 150_000.0, "c_bu": 10_000.0},
            Storage(boil_off=0.1, holding_cost=20.0),
        ),
        ({"degradation": 0.5}, Storage()),
        ({"degradation": 0.3, "sigma": 0.1, "mu": -0.1}, Storage(boil_off=0.05, capacity=500.0)),
    ],
)
def test_building_once_and_storing_is_not_cut_off(reference, changes, storage):
    case = reference.replace(T=3, **changes)
    lattice = MarkovLattice.from_process(case.process, 3, 2)
    result = sddp(_with(case, storage), lattice, rel_gap=1e-6, iterations=10, simulations=20)
    exact = oracle(case, lattice, storage)
    assert result.bounds.upper >= exact - 1e-8 * result.bounds.flows
    assert result.bounds.lower <= exact + 1e-8 * result.bounds.flows
    assert result.bounds.upper == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("lead", [2, 3])
def test_objective_is_what_the_returned_plan_is_worth(reference, lead):
    case = reference.replace(T=6, lead_time=lead)
    result = sddp(case, states=5, iterations=2)
    assert result.objective <= result.bounds.upper
    on_lattice = result.plan.simulate(20_000, seed=3)
    assert on_lattice.lower - 0.002 * result.objective < result.objective < on_lattice.upper + 0.002 * result.objective
    from stochisru.lunar.strategies.lattice_policy import LatticePolicy

    assert isinstance(result.policy(), LatticePolicy)


def test_a_store_that_keeps_nothing_is_none(reference):
    case = reference.replace(T=4, sigma=0.4, mu=0.0)
    lattice = MarkovLattice.from_process(case.process, 4, 3)
    run = lambda s: sddp(_with(case, s), lattice, rel_gap=1e-6, iterations=8, passes=2, simulations=2)  # noqa: E731
    none = run(None).bounds.upper
    assert run(Storage(capacity=0.0)).bounds.upper == pytest.approx(none, rel=1e-6)
    assert run(Storage(boil_off=1 - 1e-9)).bounds.upper == pytest.approx(none, rel=1e-6)
    assert run(Storage(boil_off=0.01)).bounds.upper > none * (1 + 1e-6)


@pytest.mark.parametrize(
    "given, message",
    [
        ({"boil_off": 1.0}, r"boil_off: must lie in \[0, 1\), got 1.0"),
        ({"capacity": -1.0}, "capacity: must be a finite number >= 0 or None, got -1.0"),
        ({"holding_cost": float("nan")}, "holding_cost: must be a finite number >= 0, got nan"),
        ({"initial": -2.0}, "initial: must be a finite number >= 0, got -2.0"),
    ],
)
def test_stores_that_cannot_be_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        Storage(**given)


def test_strategies_know_no_store(reference):
    result = sddp(reference.replace(T=3).stored(Storage()), states=3, iterations=1, simulations=20)
    with pytest.raises(InputError, match="storage: strategies know no store"):
        result.policy()
    assert result.deployments["level"].isna().all()
    again = result.plan.simulate(20, seed=3)
    assert again == result.plan.simulate(20, seed=3)


# ------------------------------------------------------------- engine, workers, selection


def test_same_bytes_for_any_number_of_workers(reference):
    case = reference.replace(T=5, lead_time=2)
    runs = [sddp(case, states=4, rel_gap=0, iterations=3, workers=w, passes=2, seed=4) for w in (1, 2)]
    assert len(runs[0].iterations) == 3
    assert contents(runs[0]) == contents(runs[1])
    other = sddp(case, states=4, rel_gap=0, iterations=2, passes=1, seed=5)
    assert contents(other) != contents(runs[0])


def test_a_pass_does_not_depend_on_what_was_solved_before(reference):
    programs = StagePrograms.of(
        reference.replace(T=5, lead_time=2), MarkovLattice.from_process(reference.process, 5, 4)
    )
    trials = Trials(programs, 0)
    fresh, used = (Engine(programs, Expectation()) for _ in range(2))
    first = trials.rows(fresh, 0, 0, 2)
    for engine in (fresh, used):
        engine.absorb(first)
    for k in range(5):
        trials.rows(used, 1 + k, 1, 2)
        used.root()
    assert np.array_equal(trials.rows(fresh, 9, 0, 2), trials.rows(used, 9, 0, 2))


def test_dropping_dominated_cuts_keeps_the_bound(reference, monkeypatch):
    case = reference.replace(T=6)
    lattice = MarkovLattice.from_process(case.process, 6, 8)
    run = lambda: sddp(case, lattice, rel_gap=0, iterations=3, passes=1, simulations=2)  # noqa: E731
    with_selection = run()
    every = lambda pool: [[np.arange(pool.count)] * n for n, _ in pool.layout.shapes]  # noqa: E731
    monkeypatch.setattr(sddp_engine.CutPool, "select", every)
    without = run()
    assert with_selection.iterations[-1].kept < 0.3 * without.iterations[-1].kept
    assert with_selection.bounds.upper <= without.bounds.upper * (1 + 1e-6)


def test_selection_at_once_equals_selection_step_by_step(reference):
    programs = StagePrograms.of(reference.replace(T=3), MarkovLattice.from_process(reference.process, 3, 4))
    engine = Engine(programs, Expectation())
    rng = np.random.default_rng(0)
    at_once, steps = (sddp_engine.CutPool(engine.layout) for _ in range(2))
    for _ in range(4):
        rows = rng.uniform(size=(7, engine.layout.length))
        at_once.append(rows)
        steps.append(rows)
        stepped = steps.select()
    for a, b in zip(at_once.select(), stepped, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_cuts_bound_the_value_everywhere(reference):
    case = reference.replace(T=4, degradation=0.1)
    lattice = MarkovLattice.from_process(case.process, 4, 3)
    programs = StagePrograms.of(case, lattice)
    engine = Engine(programs, Expectation())
    engine.absorb(Trials(programs, 0).rows(engine, 0, 0, 1))
    exact = sddp(case, lattice, rel_gap=1e-10, iterations=10, simulations=2).plan
    intercept, slope, _ = engine.pool.of(2)
    unit, money = programs.state_unit(3), programs.stages[2].money
    for m in np.linspace(0, 500, 23):
        rough = (intercept + slope @ (np.array([m]) / unit)).min(axis=0) * money
        fine = (exact.intercept[2] + exact.slope[2][:, :, 0] * m).min(axis=1)
        assert (rough >= fine - 1e-9 * np.abs(fine)).all()


@pytest.mark.parametrize("storage", [None, Storage(boil_off=0.03, capacity=700.0)])
def test_cuts_hold_in_exact_arithmetic(reference, storage):
    """Weak duality in fractions, for any duals: what rounding takes from a cut its allowance gives back.

    The oracle fails in a third of the draws if the allowance is left out of `Stage.bound`.
    """
    case = reference.replace(T=4, lead_time=2, degradation=0.07)
    stage = StagePrograms.of(case, case_lattice(case, 3), storage).stages[2]
    rng, F = np.random.default_rng(5), Fraction
    for _ in range(40):
        n, rows, d = stage.ceiling.size, stage.rows.shape[1], stage.leaving
        dual = rng.normal(size=(n, rows)) * 10.0 ** rng.integers(-2, 2)
        dual = np.where(np.isfinite(stage.low), dual, np.maximum(dual, 0.0))
        dual = np.where(np.isfinite(stage.high), dual, np.minimum(dual, 0.0))
        duals = Duals(dual, rng.normal(size=n), rng.normal(size=(n, d)), rng.uniform(size=n))
        intercept, slope = stage.bound(duals)
        for i in range(n):
            p = stage.at(i)
            used = [F(x) for x in duals.rows[i]]
            exact = F(p.constant) + F(duals.intercept[i])
            exact += sum(F(b) * F(o) for b, o in zip(duals.slope[i], stage.offset, strict=True))
            for r, y in enumerate(used):
                exact += y * F(p.high[r] if y >= 0 else p.low[r]) if y else 0
            lines = []
            for j in range(stage.columns):
                reduced = F(p.cost[j]) - sum(y * F(p.rows[r, j]) for r, y in enumerate(used))
                reduced += sum(F(b) * F(c) for b, c in zip(duals.slope[i], stage.carry[:, j], strict=True))
                if stage.state.start <= j < stage.state.stop:
                    lines.append(reduced)
                elif j == stage.theta:
                    exact += (1 - F(duals.weight[i])) * F(stage.ceiling[i])
                else:
                    exact += max(reduced * F(p.lower[j]), reduced * F(p.upper[j]))
            for corner in itertools.product(*zip(p.lower[stage.state], p.upper[stage.state], strict=True)):
                value = exact + sum(line * F(x) for line, x in zip(lines, corner, strict=True))
                said = F(intercept[i]) + sum(F(b) * F(x) for b, x in zip(slope[i], corner, strict=True))
                assert said >= value


def test_a_failed_program_names_stage_and_state(reference, monkeypatch):
    def fail(model, name):
        raise SolverError(f"{name}: highs ended with status 'Not Set'")

    monkeypatch.setattr(stage_model, "optimise", fail)
    with pytest.raises(SolverError, match=r"stage \d+, state \d+: highs ended"):
        sddp(reference.replace(T=3), states=3)


def test_envelope_maximum_by_brute_force():
    rng = np.random.default_rng(1)
    a, b = rng.uniform(0, 3, (200, 9)), rng.uniform(-2, 1, (200, 9))
    a[:, 7:] = np.inf
    b[:20] = np.abs(b[:20])
    b[20:40] = -np.abs(b[20:40])
    found = envelope_argmax(a, b, 4.0)
    grid = np.linspace(0, 4, 4001)
    best = (a[:, :, None] + b[:, :, None] * grid).min(axis=1).max(axis=1)
    assert ((a + b * found[:, None]).min(axis=1) >= best - 1e-12).all()
    assert (found[:20] == 4.0).all()
    assert (found[20:40] == 0.0).all()


def test_report_before_iterating(reference):
    report = problem_report(reference.replace(T=50, lead_time=2).stored(Storage()), states=30)
    assert (report.stages, report.states, report.models, report.state_entries) == (51, 1501, 1501, 3)
    assert report.objective[1] <= 4
    assert report.matrix[0] >= 0.05
    assert "coefficients: matrix" in str(report)


# ------------------------------------------------------------------------------ stopping


def test_rules_compose(reference):
    case = reference.replace(T=6)
    lattice = MarkovLattice.from_process(case.process, 6, 8)
    few = sddp(case, lattice, rel_gap=0, iterations=2, passes=1, simulations=2)
    assert (few.termination.reason, few.termination.limit) == ("limit", "iterations")
    stalled = sddp(case, lattice, rel_gap=0, stopping=BoundStalled(1, 1e-2), passes=1, simulations=2)
    assert stalled.termination.limit == "stalled bound"
    timed = sddp(case, lattice, rel_gap=0, time_limit=1e-3, simulations=2)
    assert (timed.termination.limit, len(timed.iterations)) == ("time", 1)
    rules = (BoundStalled(50), any_of(IterationLimit(3), TimeLimit(60)))
    assert len(sddp(case, lattice, rel_gap=0, stopping=rules, passes=1, simulations=2).iterations) == 3
    confident = sddp(case, lattice, rel_gap=0, stopping=GapWithConfidence(0.2, every=1), simulations=2)
    assert confident.termination.limit == "gap with confidence"
    met = sddp(case, lattice, rel_gap=1e-2)
    assert met.termination.reason == "optimal"
    assert met.termination.limit is None
    assert GapReached(0.5).met(Status(met.iterations, 0.0, lambda n, c: None)) == "gap"


@pytest.mark.parametrize(
    "given, message",
    [
        ({"rel_gap": -1.0}, "rel_gap: must be a finite number >= 0, got -1.0"),
        ({"iterations": 0}, "iterations: must be an integer >= 1, got 0"),
        ({"time_limit": 0.0}, "time_limit: must be a finite number > 0, got 0.0"),
        ({"passes": 0}, "passes: must be an integer >= 1, got 0"),
        ({"workers": True}, "workers: must be an integer >= 1, got True"),
        ({"seed": -1}, "seed: must be an integer >= 0, got -1"),
        ({"simulations": 1}, "simulations: must be an integer >= 2, got 1"),
        ({"confidence": 1.0}, r"confidence: must lie in \(0, 1\), got 1.0"),
        ({"resume": True}, "resume: needs the checkpoint folder"),
        ({"stopping": "soon"}, "stopping: must be rules of"),
        ({"stopping": GapWithConfidence(), "risk": MeanCVaR(0.5, 0.1)}, "stopping: a simulated mean says nothing"),
        ({"lattice": MarkovLattice([[1.0]], [])}, "lattice: needs one stage per year"),
    ],
)
def test_arguments_out_of_range_are_refused(reference, given, message):
    with pytest.raises(InputError, match=message):
        sddp(reference, **given)


def test_nested_risk_needs_few_entries(reference):
    with pytest.raises(InputError, match="lead_time: nested risk needs states of at most 6 entries, got 8"):
        sddp(reference.replace(T=9, lead_time=8), states=5, risk=MeanCVaR(0.5, 0.5))


# ---------------------------------------------------------------------------- checkpoint


def test_resumed_run_equals_the_uninterrupted_one(reference, tmp_path):
    case = reference.replace(T=5, lead_time=2)
    options = {"states": 4, "rel_gap": 0, "passes": 2}
    whole = sddp(case, iterations=3, **options)
    part = sddp(case, iterations=2, checkpoint=tmp_path / "a", **options)
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        shutil.copytree(tmp_path / "a", folder)
        rest = sddp(case, iterations=3, checkpoint=folder, resume=True, workers=workers, **options)
        assert contents(rest) == contents(whole)
        assert rest.bounds.upper <= part.bounds.upper
        assert rest.bounds.lower >= part.bounds.lower
        assert rest.iterations[-1].seconds > part.iterations[-1].seconds
    done = sddp(case, states=4, rel_gap=1, iterations=7, checkpoint=tmp_path / "a", resume=True)
    assert len(done.iterations) == 2
    assert done.objective == part.objective


def test_bounds_of_a_resumed_run_with_risk_never_get_worse(reference, tmp_path):
    options = {"states": 4, "risk": MeanCVaR(0.5, 0.3), "rel_gap": 0, "passes": 1, "simulations": 2}
    case = reference.replace(T=5, lead_time=2)
    first = sddp(case, iterations=3, checkpoint=tmp_path, **options)
    second = sddp(case, iterations=4, checkpoint=tmp_path, resume=True, **options)
    assert first.bounds.lower == first.iterations[-1].lower
    assert second.bounds.lower >= first.bounds.lower
    assert second.bounds.upper <= first.bounds.upper


def test_folder_of_another_problem_is_refused(reference, tmp_path):
    case = reference.replace(T=3)
    arguments = {"iterations": 1, "simulations": 2, "checkpoint": tmp_path}
    sddp(case, states=3, **arguments)
    with pytest.raises(InputError, match="holds a run already; resume it"):
        sddp(case, states=3, **arguments)
    for other, options, key in (
        (case.replace(eta=5.0), {"states": 3}, "case"),
        (case, {"states": 4}, "lattice"),
        (case.stored(Storage()), {"states": 3}, "storage"),
        (case, {"states": 3, "risk": MeanCVaR(0.5, 0.5)}, "risk"),
        (case, {"states": 3, "passes": 1}, "passes"),
        (case, {"states": 3, "seed": 1}, "seed"),
    ):
        with pytest.raises(InputError, match=rf"belongs to another run \({key}: "):
            sddp(other, resume=True, **options, **arguments)
    (tmp_path / "cuts.npz").write_bytes(b"half")
    with pytest.raises(InputError, match="checkpoint: cannot read"):
        sddp(case, states=3, resume=True, **arguments)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="checkpoint: cannot use"):
        sddp(case, states=3, iterations=1, checkpoint=tmp_path / "file")


KILLED = """
import sys
from stochisru import load_case
from stochisru.methods.checkpoint import Checkpoint
from stochisru.methods.sddp.method import sddp
Checkpoint.due = lambda self: True
case = load_case("lunar-reference").replace(T=9, lead_time=2)
show = lambda line: print(line.number, flush=True)
sddp(case, states=8, rel_gap=0, iterations=10_000, passes=1, checkpoint=sys.argv[1], progress=show)
"""


def test_killed_run_leaves_a_file_to_go_on_with(reference, root, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], cwd=root, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    with process.stdout as lines:
        for line in lines:
            if int(line) >= 3:
                break
        time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    process.wait()
    case = reference.replace(T=9, lead_time=2)
    programs = StagePrograms.of(case, case_lattice(case, 8))
    state = SddpState.load(
        sddp_checkpoint(tmp_path, programs, Expectation()), Engine(programs, Expectation()).layout.length
    )
    assert len(state.log) >= 2
    result = sddp(case, states=8, rel_gap=0, iterations=len(state.log) + 1, passes=1, checkpoint=tmp_path, resume=True)
    assert result.bounds.upper <= state.log[-1].upper
    assert result.bounds.lower >= state.log[-1].lower


# ---------------------------------------------------------------------------------- plan


@pytest.mark.parametrize("lead", [0, 1, 2, 3])
def test_policy_is_a_good_strategy(reference, lead):
    case = reference.replace(T=6, lead_time=lead)
    result = sddp(case, states=4, rel_gap=1e-3, iterations=4, passes=1)
    check_strategy(result.policy(), case)
    with pytest.raises(InputError, match="mapping: plans on a lattice take none"):
        result.policy(mapping="nearest")
    with pytest.raises(InputError, match="has T = 6"):
        simulate(reference, [result.policy()], paths=10)
    assert "lattice of up to 4 states" in result.policy().describe(case)


@pytest.mark.parametrize("lead", [1, 2])
def test_policy_on_fresh_paths(reference, lead):
    case = reference.replace(T=7, lead_time=lead)
    lattice = MarkovLattice.from_process(case.process, 7, 8)
    result = sddp(case, lattice, rel_gap=1e-3, iterations=6, passes=1)
    best = replace(lattice_dp(case, lattice).policy(), name="best")
    outcome = simulate(case, [result.policy(), best, "moderate"], paths=20_000, seed=5)
    assert outcome.difference("sddp", "moderate").lower > 0
    loss = outcome.difference("best", "sddp").value
    assert abs(loss) < 2e-3 * outcome.metrics["best"]["npv_mean"].value
    simulated = result.plan.simulate(20_000, seed=1)
    assert simulated.lower < result.bounds.upper
    assert simulated.upper > result.bounds.lower


def test_simulated_mean_is_that_of_the_exact_value(reference):
    case = reference.replace(T=8, degradation=0.1, M0=100.0)
    result = sddp(case, states=6)
    found = result.plan.simulate(200_000, seed=2, confidence=0.999)
    assert found.lower < result.objective < found.upper


def test_result_reads_like_the_others(reference):
    case = load_case("contested-market").replace(T=8)
    seen = []
    result = sddp(case, states=6, progress=seen.append)
    assert list(result.log.columns) == ["number", "seconds", "lower", "upper", "root", "cuts", "kept", "gap"]
    assert tuple(seen) == result.iterations
    assert result.log["upper"].is_monotonic_decreasing
    assert result.log["lower"].is_monotonic_increasing
    data = result.to_dict()
    assert {"programs", "rows", "columns", "cuts", "states"} <= set(data)
    frame = result.deployments
    assert list(frame.columns) == ["stage", "state", "demand", "probability", "cuts", "level", "trigger"]
    assert len(frame) == 6 * 7


def test_a_failed_program_of_a_pass_weakens_its_cut(reference, monkeypatch):
    """One program in seven fails: cuts made without its duals still bound the value, and the plan is in hand."""
    case = reference.replace(T=4, lead_time=2)
    whole = sddp(case, states=4, rel_gap=0.0, iterations=3, simulations=10)
    asked = itertools.count()
    real = stage_model.optimise

    def fail(model, name):
        if next(asked) % 7 == 3 and "stage 0" not in name:
            raise SolverError(f"{name}: highs ended with status 'Unknown'")
        real(model, name)

    monkeypatch.setattr(stage_model, "optimise", fail)
    weak = sddp(case, states=4, rel_gap=0.0, iterations=3, simulations=10)
    assert weak.bounds.lower <= whole.bounds.upper
    assert weak.bounds.upper >= whole.bounds.lower
    assert np.isfinite([weak.bounds.lower, weak.bounds.upper]).all()
    assert len(weak.iterations) == 3


def test_bounds_hold_however_short_the_time(reference):
    """Cuts that were not made are ceilings, and a lower bound of few points is one."""
    case = reference.replace(T=12, lead_time=2)
    exact = lattice_dp(case, case_lattice(case, 12)).objective
    for seconds in (1e-3, 0.3, 3.0):
        found = sddp(case, case_lattice(case, 12), rel_gap=0.0, time_limit=seconds, iterations=30)
        assert found.termination.limit == "time"
        assert found.bounds.lower <= exact * (1 + 1e-9)
        assert found.bounds.upper >= exact * (1 - 1e-9)


def test_a_pass_without_time_says_ceilings(reference):
    case = reference.replace(T=5)
    programs = StagePrograms.of(case, case_lattice(case, 4))
    engine = Engine(programs, Expectation())
    rows = Trials(programs, 0).rows(engine, 0, 0, 1, until=0.0)
    for t, stage in enumerate(programs.stages[:-1]):
        intercept, slope, _ = engine.layout.split(rows, t)
        assert (intercept == stage.ceiling).all()
        assert (slope == 0).all()


def test_an_optimum_of_zero_ends():
    """A plant that costs more than it can ever earn; the bounds are as near as tolerances allow, and not equal."""
    idle = Model(
        "idle",
        4,
        [
            Decision("order", lead=1, cost=50.0, upper=200.0),
            State("plant", gains={"order": 1.0}, upper=800.0),
            Operation("sold", value=1.0, upper=Factor("demand")),
            Row("capacity", {"sold": 1.0, "plant": -1.0}, upper=0.0),
        ],
        process=GeometricBrownianMotion(100.0, 0.03, 0.25),
    )
    result = sddp(idle, states=4)
    assert len(result.iterations) == 1
    assert result.termination.reason == "optimal"
    assert result.objective == pytest.approx(0.0, abs=1e-2)


def test_a_failed_program_of_a_bound_weakens_the_bound(reference, monkeypatch):
    """The lower bound of a store is a mixture of points: without some of them it is lower, and no run dies of it."""
    case, store = reference.replace(T=4), Storage(capacity=2000.0, boil_off=0.02)
    whole = sddp(case.stored(store), states=4, rel_gap=0.0, iterations=3, simulations=10)
    asked = itertools.count()
    real = vertices.optimise

    def fail(model, name):
        if next(asked) % 7 == 3 and "stage 0" not in name:
            raise SolverError(f"{name}: highs ended with status 'Unknown'")
        real(model, name)

    monkeypatch.setattr(vertices, "optimise", fail)
    weak = sddp(case.stored(store), states=4, rel_gap=0.0, iterations=3, simulations=10)
    assert weak.bounds.lower <= whole.bounds.lower + 1e-9 * whole.bounds.upper
    assert weak.bounds.upper == whole.bounds.upper
    assert weak.bounds.lower > -np.inf
