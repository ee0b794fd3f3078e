"""The exact policy: trees, closed forms, real-options theory, its own value function and simulation as oracles."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

import stochisru.lunar.exact.threshold as threshold_module
from scenario_trees import GeometricBrownianMotion, MarkovLattice, ScenarioTree, TreeError
from stochisru import BoundsError, InputError, extensive_form, lattice_dp, load_case, simulate, threshold
from stochisru.lunar.exact.layers import open_loop, perfect_information
from stochisru.lunar.exact.root_plan import (
    expected_value_plan_on_process,
    fixed_design_on_process,
    plan_value_on_process,
    static_plan_on_process,
)
from stochisru.lunar.exact.single_deployment import single_deployment
from stochisru.lunar.exact.threshold import threshold_plan
from stochisru.lunar.exact.threshold_recursion import Rule, ThresholdRecursion
from stochisru.lunar.exact.unit_value import UnitValue
from stochisru.lunar.values.process import exact_values
from stochisru.methods.result import Bounds, Kind, Of
from stochisru.testing import check_strategy
from tests.cases import deployment_cases


@st.composite
def scaling_cases(draw, max_T=4, min_sigma=0.05):
    """Cases whose value scales with demand: no limit on supply from Earth, or no Earth at all."""
    case = draw(deployment_cases(max_T=max_T))
    case = case.replace(earth_limit=draw(st.sampled_from([None, 0.0])))
    assume(case.demand.sigma >= min_sigma)
    return case


# ---------------------------------------------------------------------------- against trees


@pytest.mark.parametrize("lead", [0, 1, 2])
@pytest.mark.parametrize("name", ["lunar-reference", "contested-market"])
def test_trees_converge_to_the_exact_policy(name, lead):
    case = load_case(name).replace(T=3, lead_time=lead)
    exact = threshold(case).objective
    branches = range(2, 17)
    found = [
        lattice_dp(case, MarkovLattice.from_growth(case.process, [b] * 3)).objective  # the tree of b branches a year
        for b in branches
    ]
    error = np.abs(np.array(found) / exact - 1)
    # Quadrature of a kinked integrand: the error falls about as 1/b, and oscillates.
    slope = np.polyfit(np.log(branches), np.log(error), 1)[0]
    assert slope < -0.7
    assert error[-4:].mean() < 0.3 * error[:2].mean()


def test_a_tree_that_presolve_stumbles_on_is_solved():
    # HiGHS 1.16 ends with "Solve error" on this tree unless presolve is off.
    case = load_case("lunar-reference").replace(T=3)
    exact = lattice_dp(case, MarkovLattice.from_growth(case.process, [12] * 3)).objective
    tree = ScenarioTree.from_process(case.process, [12] * 3)
    assert extensive_form(case, tree).objective == pytest.approx(exact, rel=1e-9)


def test_recombined_tree_is_the_tree():
    case = load_case("contested-market").replace(T=4)
    for b in (2, 3):
        tree = ScenarioTree.from_process(case.process, [b] * 4)
        lattice = MarkovLattice.from_growth(case.process, [b] * 4)
        assert max(lattice.sizes) == 4 * (b - 1) + 1
        assert lattice_dp(case, lattice).objective == pytest.approx(extensive_form(case, tree).objective, rel=1e-9)
    with pytest.raises(TreeError, match=r"branching: stage \d+ would have"):
        MarkovLattice.from_growth(case.process, [9] * 12)


@pytest.mark.parametrize(
    "changes",
    [
        {"lead_time": 0},
        {"lead_time": 2, "degradation": 0.1},
        {"lead_time": 3, "M0": 60.0, "initial_deployment": "fixed"},
        {"earth_limit": 0.0, "c_S": 500.0},
    ],
)
def test_fine_lattices_converge_to_the_exact_policy(changes):
    case = load_case("contested-market").replace(T=6, **changes)
    exact = threshold(case)
    size = exact.bounds.flows
    errors = [abs(lattice_dp(case, states=n).objective - exact.objective) / size for n in (25, 100)]
    assert errors[1] < 3e-4
    assert errors[1] < errors[0]


# ------------------------------------------------------------------------------ closed forms


@given(scaling_cases(), st.integers(1, 4))
def test_without_volatility_all_values_are_the_mean_path(case, T):
    case = case.replace(sigma=0.0, T=T)
    exact = threshold(case)
    path = case.process.mean(np.arange(T + 1))
    foreseen, _ = perfect_information(case, path[:, None])
    assert exact.objective == pytest.approx(float(foreseen[0]), abs=1e-9 * exact.bounds.flows)
    assert static_plan_on_process(case).value == pytest.approx(exact.objective, abs=1e-9 * exact.bounds.flows)
    near = threshold(case.replace(sigma=0.02))
    assert near.objective == pytest.approx(exact.objective, abs=0.02 * near.bounds.flows * case.technology.eta)


@given(scaling_cases(), st.integers(0, 2))
def test_if_everything_is_decided_at_the_root_the_plan_is_static(case, more):
    case = case.replace(lead_time=case.horizon.T + more)
    exact = threshold(case)
    assert exact.objective == pytest.approx(static_plan_on_process(case).value, abs=1e-12 * exact.bounds.flows)


def test_newsvendor():
    # One year ahead, one order: serve D_1 up to the critical ratio.
    case = load_case("lunar-reference").replace(T=1, initial_deployment="fixed", P_m=30_000.0)
    unit = UnitValue.of(case)
    plan = threshold(case).plan
    ratio = 1 - (case.investment_cost + unit.holding) / (case.technology.eta * unit.worth)
    quantile = case.process.quantile(ratio, 1)
    assert plan.root == pytest.approx([0.0, float(quantile) / case.technology.eta], rel=1e-12)


def test_investment_trigger_of_real_options_theory():
    """Perpetual option on a unit that earns a where demand exceeds capacity: u* = (1 − (h + ρI)/a)^(1/β₂).

    β₂ < 0 solves ½σ²β(β − 1) + μβ − ρ = 0 (Dixit and Pindyck 1994, ch. 6, with a flow of a·1{D > K} − h). A trigger
    that is looked at every dt is lower by the factor exp(−0.5826 σ √dt) (Broadie, Glasserman and Kou 1997).
    """
    rho, mu, sigma, earns, holding, invest = 0.2, 0.02, 0.25, 1.0, 0.1, 2.0
    beta = 0.5 - mu / sigma**2 - np.sqrt((mu / sigma**2 - 0.5) ** 2 + 2 * rho / sigma**2)
    trigger = (1 - (holding + rho * invest) / earns) ** (1 / beta)
    base = UnitValue.of(load_case("contested-market"))
    errors = []
    for steps in (1, 4, 16):
        dt = 1 / steps
        unit = replace(
            base,
            process=GeometricBrownianMotion(1.0, mu * dt, sigma * np.sqrt(dt)),
            years=25 * steps,
            eta=1.0,
            worth=earns * dt,
            holding=holding * dt,
            price=invest,
            discount=np.exp(-rho * dt),
            kept=1.0,
        )
        found = np.exp(-ThresholdRecursion(unit, 0, Rule(10, 1.5)).log_position(1))
        errors.append(found * np.exp(0.5826 * sigma * np.sqrt(dt)) / trigger - 1)
    assert abs(errors[2]) < 0.006
    assert abs(errors[2]) < abs(errors[1]) < abs(errors[0])


@given(scaling_cases(max_T=5), st.floats(0.1, 30))
def test_value_scales_with_demand_and_with_money(case, factor):
    value = threshold(case).objective
    size = threshold(case).bounds.flows + abs(value)
    larger = case.replace(D0=case.demand.D0 * factor, M0=case.technology.M0 * factor)
    assert threshold(larger).objective == pytest.approx(factor * value, abs=1e-9 * factor * size)
    money = {s: case.values[s] * factor for s in ("P_m", "c_L", "c_dev", "c_op", "c_bu", "c_S", "c_by", "c_E")}
    assert threshold(case.replace(**money)).objective == pytest.approx(factor * value, abs=1e-9 * factor * size)


# ------------------------------------------------------------------------- inner consistency


@settings(max_examples=40)
@given(scaling_cases(max_T=8))
def test_values_are_in_order(case):
    values = exact_values(case)
    values.check_order()
    exact = threshold(case)
    assert exact.bounds.upper - exact.bounds.lower <= 1e-6 * exact.bounds.flows
    _, finer = threshold_plan(case, Rule(24, 1.0))
    assert finer == pytest.approx(exact.objective, abs=1e-9 * exact.bounds.flows)


def test_integration_error_is_estimated():
    for T in (10, 30, 50):
        case = load_case("contested-market").replace(T=T)
        exact = threshold(case)
        _, finer = threshold_plan(case, Rule(30, 1.0))
        assert exact.bounds.lower <= finer <= exact.bounds.upper
        assert exact.bounds.gap < 1e-9
        _, rough = threshold_plan(case, Rule(3, 1.5))
        assert not exact.bounds.lower <= rough <= exact.bounds.upper


@pytest.mark.parametrize("lead, degradation", [(0, 0.0), (1, 0.0), (1, 0.1), (2, 0.05)])
def test_value_function_satisfies_bellmans_equation(lead, degradation):
    case = load_case("contested-market").replace(T=8, lead_time=lead, degradation=degradation)
    plan = threshold(case).plan
    unit = UnitValue.of(case)
    z, weight = np.polynomial.legendre.leggauss(400)
    z, weight = 9 * z, 9 * weight * stats.norm.pdf(9 * z)
    growth = case.process.growth(z)
    price = unit.discount**lead * case.investment_cost
    for year in (1, 5, 8 - lead):
        for plant, demand in ((10.0, 900.0), (300.0, 1500.0), (900.0, 700.0)):
            target = max(plant, plan.position[year - 1] * demand)
            ahead = replace(unit, process=GeometricBrownianMotion(demand, case.demand.mu, case.demand.sigma), kept=1.0)
            earned = float(ahead.earned(lead, target)) - unit.unserved * unit.discount**lead * float(
                ahead.process.mean(lead)
            )
            later = 0.0
            if year < 8 - lead:
                worth = plan.value(year + 1, np.full(z.size, unit.kept * target), demand * growth)
                later = unit.discount * float(weight @ worth)
            expected = earned + later - price * (target - plant)
            # The quadrature of this test meets a kink of the integrand.
            size = unit.unserved * float(ahead.process.mean(8 - year))
            assert float(plan.value(year, plant, demand)) == pytest.approx(
                expected, abs=(5e-6 if lead == 0 else 1e-6) * size
            )


def test_value_function_and_root_give_the_objective(reference):
    case = reference.replace(T=6, initial_deployment="fixed", M0=80.0, lead_time=0)
    result = threshold(case)
    process = case.process
    z, weight = np.polynomial.legendre.leggauss(400)
    z, weight = 9 * z, 9 * weight * stats.norm.pdf(9 * z)
    later = float(weight @ result.plan.value(1, np.full(z.size, 80.0), process.initial * process.growth(z)))
    unit = UnitValue.of(case)
    now = float(unit.earned(0, 80.0)) - unit.unserved * process.initial
    assert result.objective == pytest.approx(now + later / (1 + case.economics.r), rel=1e-9)
    with pytest.raises(InputError, match="year: must be a decision year, 1 to 6, got 7"):
        result.plan.value(7, 1.0, 1.0)


@settings(max_examples=15)
@given(scaling_cases(max_T=5))
def test_its_own_policy_earns_its_value(case):
    result = threshold(case)
    outcome = simulate(case, [result.policy()], paths=4096, seed=11, sampler="sobol")
    mean = outcome.metrics["threshold"]["npv_mean"]
    assert abs(mean.value - result.objective) <= 6 * mean.standard_error + 1e-6 * result.bounds.flows


@pytest.mark.parametrize("lead", [0, 1, 3])
def test_policy_keeps_the_protocol(reference, lead):
    case = reference.replace(T=5, lead_time=lead, degradation=0.05)
    policy = threshold(case).policy()
    check_strategy(policy, case)
    with pytest.raises(InputError, match="strategy threshold: made for"):
        simulate(case.replace(T=6), [policy], paths=2)
    with pytest.raises(InputError, match="mapping: the exact policy acts at any demand"):
        threshold(case).policy(mapping="scaled")


def test_no_better_order_up_to_rule(reference):
    """Any change of the thresholds or of the root makes the policy worse, on paired paths."""
    case = load_case("contested-market").replace(T=8)
    policy = threshold(case).policy()
    rivals = [
        replace(policy, name=f"x{scale}", position=tuple(scale * k for k in policy.position)) for scale in (0.85, 1.15)
    ] + [replace(policy, name=f"r{scale}", root=tuple(scale * m for m in policy.root)) for scale in (0.8, 1.2)]
    outcome = simulate(case, [policy, *rivals], paths=16_384, seed=2, sampler="sobol")
    for rival in rivals:
        assert outcome.difference("threshold", rival.name).lower > 0


# --------------------------------------------------------------------------- limits and results


def test_cases_that_it_is_not_exact_for_are_refused(reference):
    with pytest.raises(InputError, match="earth_limit: must be none or 0 for an exact policy, got 500"):
        threshold(reference.replace(earth_limit=500.0))
    assert threshold(reference.replace(earth_limit=500.0, c_bu=1000.0)).bounds.gap < 1e-9  # Earth is never used


@pytest.mark.parametrize("sigma", [1e-15, 1e-12, 1e-9, 1e-6, 3e-5])
@pytest.mark.parametrize("changes", [{}, {"degradation": 0.1, "M0": 60.0}, {"lead_time": 2, "mu": -0.05}])
def test_tiny_volatility_is_bracketed_by_what_is_known_of_it(reference, sigma, changes):
    """The static plan, exact in closed form, is below the optimum, and that of the mean path above it."""
    case = reference.replace(sigma=sigma, T=8, **changes)
    found = threshold(case)
    static, mean = static_plan_on_process(case).value, expected_value_plan_on_process(case).value
    rounding = 1e-11 * found.bounds.flows
    assert found.bounds.lower <= static + rounding
    assert static <= mean + rounding
    assert mean <= found.bounds.upper + rounding
    assert found.bounds.kind == "exact"
    assert found.bounds.upper - found.bounds.lower <= 80 * sigma * found.bounds.flows + 1e-9 * found.bounds.flows
    outcome = simulate(case, [found.policy()], paths=500, seed=3, confidence=0.9999)
    earned = outcome.metrics["threshold"]["npv_mean"]
    assert found.bounds.lower - rounding <= earned.upper
    assert earned.lower <= found.bounds.upper + rounding
    assert abs(earned.value - found.objective) <= 20 * sigma * found.bounds.flows + rounding


def test_bracket_of_tiny_volatility_holds_the_recursion_where_both_exist(reference, monkeypatch):
    case = reference.replace(sigma=1e-3, T=8)
    known = threshold(case).objective
    monkeypatch.setattr(threshold_module, "fits", lambda *_: False)
    found = threshold(case)
    assert found.bounds.lower < known < found.bounds.upper
    assert found.objective != known


def test_worthless_oxygen_under_a_limit_does_not_scale_with_demand():
    # Both worths of a delivered kilogram are 0, but what plants do not serve costs more beyond the limit.
    case = load_case("contested-market").replace(
        T=5, P_m=0.0, beta=1.0, c_by=1e6, c_E=1000.0, c_bu=5000.0, earth_limit=500.0
    )
    with pytest.raises(InputError, match="earth_limit: must be none or 0"):
        threshold(case)
    outcome = simulate(case, ["static"], paths=2000, seed=1).metrics["static"]["npv_mean"]
    assert lattice_dp(case).objective == pytest.approx(outcome.value, rel=0.02)


@pytest.mark.parametrize("changes", [{"mu": 5.0, "T": 200}, {"sigma": 5.0, "T": 60}])
def test_demand_beyond_numbers_is_refused(reference, changes):
    with pytest.raises(InputError, match=r"mu, sigma: the moments of demand in year \d+ must be finite numbers"):
        threshold(reference.replace(**changes))


def test_rule_of_rare_orders_names_its_triggers():
    case = load_case("contested-market").replace(sigma=1.0, lead_time=3, T=12)
    text = threshold(case).policy().describe(case)
    assert "exceeds  " not in text
    low, high = (float(x.rstrip("%")) for x in text.split("exceeds ")[1].split(" of the")[0].split(" to "))
    assert low < high


def test_result_says_what_it_is(reference):
    result = threshold(reference.replace(T=12))
    data = result.to_dict()
    assert len(data["position"]) == len(data["trigger"]) == 11
    assert data["bounds"]["certified"] is False
    assert data["bounds"]["lower"] < data["objective"] < data["bounds"]["upper"]
    frame = result.deployments
    assert set(frame["quantity"]) == {"dM", "position", "trigger"}
    assert frame[frame["quantity"] == "dM"]["arrival"].tolist() == [0, 1]
    trigger = result.plan.trigger
    assert (np.diff(trigger) >= -1e-9).all()  # the end of the horizon makes orders dearer
    assert "11 of 11 years may order" in result.policy().describe(reference)
    idle = threshold(reference.replace(T=4, P_m=0.0, c_E=10.0, c_bu=20.0))
    assert idle.plan.root == pytest.approx([0, 0])
    assert np.isinf(idle.plan.trigger).all()
    assert "nothing later" in idle.policy().describe(reference)


def test_open_loop_plans_on_the_process(reference):
    case = load_case("contested-market").replace(T=6, degradation=0.03, M0=20.0)
    lattice = MarkovLattice.from_process(case.process, 6, 500)
    fine = open_loop(case, list(lattice.values), list(lattice.probabilities))
    static = static_plan_on_process(case)
    size = UnitValue.of(case).without_plants()
    assert static.value == pytest.approx(fine.value, abs=1e-4 * size)
    assert static.deployment == pytest.approx(fine.deployment, abs=4.0)
    assert plan_value_on_process(case, static.deployment) == pytest.approx(static.value, abs=1e-12 * size)
    for other in (0.9 * static.deployment, 1.1 * static.deployment, fixed_design_on_process(case).deployment):
        assert plan_value_on_process(case, other) < static.value
    assert fixed_design_on_process(case).deployment[1:].max() == 0
    assert expected_value_plan_on_process(case).value > static.value


# ------------------------------------------------------------------------- options


def stopping_on_lattice(case, lattice):
    """Best single deployment on a lattice by dynamic programming, every stop a one-year open-loop problem."""
    T, lead, kept = case.horizon.T, case.horizon.lead_time, 1 - case.technology.degradation
    disc = 1 / (1 + case.economics.r)

    def gain(t, state, years):
        """Worth of deploying in one of ``years`` after t, seen from a state of stage t, $ of year t."""
        law, laws = np.zeros(lattice.sizes[t]), []
        law[state] = 1.0
        for step in range(t, T + 1):
            laws.append(law)
            law = law @ lattice.transitions[step] if step < T else law
        here = case.replace(
            T=max(T - t, 1),
            D0=float(lattice.values[t][state]),
            M0=case.technology.M0 * kept**t,
            initial_deployment="free",
        )
        demand = list(lattice.values[t:])
        if t == T:  # a case has at least one year: add one that is worth nothing
            demand, laws = [*demand, np.array([1e-9])], [*laws, np.ones(1)]
        best = -np.inf
        for year in years:
            allowed = np.arange(len(demand)) == year
            nothing = np.zeros(len(demand), dtype=bool)
            best = max(
                best, open_loop(here, demand, laws, allowed).value - open_loop(here, demand, laws, nothing).value
            )
        return best

    worth = None
    for t in range(T - lead, 0, -1):
        stop = np.array([gain(t, i, [lead]) for i in range(lattice.sizes[t])])
        worth = stop if worth is None else np.maximum(stop, disc * (lattice.transitions[t] @ worth))
    wait = disc * float(lattice.transitions[0][0] @ worth)
    first = 0 if case.horizon.initial_deployment == "free" else 1
    laws = list(lattice.values), list(lattice.probabilities)
    nothing = open_loop(case, *laws, np.zeros(T + 1, dtype=bool)).value
    return nothing + max(wait, gain(0, 0, range(first, lead + 1)))


@pytest.mark.parametrize("M0", [0.0, 70.0])
@pytest.mark.parametrize("lead", [1, 2])
def test_single_deployment_against_optimal_stopping_on_a_lattice(M0, lead):
    # Little is earned at first, so that waiting is worth something.
    case = load_case("contested-market").replace(T=8, lead_time=lead, mu=0.5, sigma=0.3, M0=M0, degradation=0.02)
    lattice = MarkovLattice.from_process(case.process, 8, 60, tilt=0.5)
    found = single_deployment(case)
    expected = stopping_on_lattice(case, lattice)
    size = UnitValue.of(case).without_plants()
    assert found.value == pytest.approx(expected, abs=1e-3 * size)
    assert found.value > fixed_design_on_process(case).value + 0.01 * size
    assert found.error < 1e-4 * size


@pytest.mark.parametrize(
    "name, changes",
    [
        ("lunar-reference", {"T": 27, "lead_time": 3, "degradation": 0.02, "sigma": 0.02, "M0": 1000.0}),
        ("contested-market", {"T": 15, "degradation": 0.05, "sigma": 0.1, "M0": 139.0}),
    ],
)
def test_error_of_optimal_stopping_is_not_understated(name, changes, monkeypatch):
    from stochisru.lunar.exact import single_deployment as module

    case = load_case(name).replace(**changes)
    found = single_deployment(case)
    monkeypatch.setattr(module, "_STEPS", 120)
    assert abs(single_deployment(case).value - found.value) <= found.error


def test_old_plant_that_vanishes_changes_nothing():
    case = load_case("contested-market").replace(T=20)
    without, little = single_deployment(case), single_deployment(case.replace(M0=1e-6))
    assert without.error == 0
    assert little.value == pytest.approx(without.value, rel=1e-5)


def test_options_add_up():
    for T in (10, 30, 50):
        values = exact_values(load_case("contested-market").replace(T=T))
        values.check_order()
        assert values.point("defer") + values.point("staging") == pytest.approx(values.point("flexibility"))
        assert values.earth_backup.lower > 0
    cheap = exact_values(load_case("lunar-reference").replace(c_bu=1.0))  # shortage costs less than Earth
    assert cheap.point("earth_backup") == 0
    broken = exact_values(load_case("lunar-reference"))
    vars(broken)["eev"] = Bounds.point(1e12, Kind.EXACT, Of.PROCESS)
    with pytest.raises(BoundsError, match="bounds cross: eev"):
        broken.check_order()
