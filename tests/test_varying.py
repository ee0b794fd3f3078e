"""Growth and volatility that move with the year: closed forms, a program of one's own, and constant numbers."""

import tomllib

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import norm

from scenario_trees import (
    EqualProbability,
    GeometricBrownianMotion,
    MarkovLattice,
    ScenarioTree,
    TreeError,
    VaryingBrownianMotion,
)
from stochisru import InputError, extensive_form, load_case, process_values, threshold
from stochisru.lunar.case import problem_from_dict
from stochisru.lunar.exact.by_year import (
    exact_in_advance,
    exact_plan_value,
    exact_policy,
    exact_single,
    has_exact_single,
    why_no_exact_policy,
)
from stochisru.lunar.operations import MeritOrder
from stochisru.lunar.simulation.of_tables import simulate_tables
from stochisru.simulation.sampling import Sampling
from stochisru.testing import check_process

CONTESTED = load_case("contested-market")
PROCESS = VaryingBrownianMotion(1000.0, (0.3, 0.1, -0.05), (0.5, 0.2, 0.1))


def case_of(mu, sigma, **symbols):
    data = tomllib.loads(CONTESTED.replace(**symbols).to_toml())
    data["demand"] |= {"mu": mu, "sigma": sigma}
    return problem_from_dict(data)


# ------------------------------------------------------------------ the process


def test_moments_are_those_of_paths_and_of_sums():
    growth, square = np.cumsum([0.3, 0.1, -0.05, -0.05]), np.cumsum(np.square([0.5, 0.2, 0.1, 0.1]))
    t = np.arange(1, 5)
    assert PROCESS.mean(t) == pytest.approx(1000 * np.exp(growth), rel=1e-14)
    assert PROCESS.variance(t) == pytest.approx((1000 * np.exp(growth)) ** 2 * np.expm1(square), rel=1e-13)
    assert PROCESS.mean(1.5) == pytest.approx(1000 * np.exp(0.35), rel=1e-14)
    paths = PROCESS.sample(200_000, 4, seed=3)
    for year in t:
        error = paths[year].std() / np.sqrt(200_000)
        assert paths[year].mean() == pytest.approx(float(PROCESS.mean(year)), abs=4 * error)
        assert np.log(paths[year] / paths[year - 1]).std() == pytest.approx((0.5, 0.2, 0.1, 0.1)[year - 1], rel=0.01)
    assert (paths[3] > 1500).mean() == pytest.approx(float(PROCESS.exceedance(1500.0, 3.0)), abs=5e-3)
    limited = np.minimum(paths[3], 1500).mean()
    assert limited == pytest.approx(float(PROCESS.limited_mean(1500.0, 3.0)), rel=3e-3)
    assert np.quantile(paths[4], 0.9) == pytest.approx(float(PROCESS.quantile(0.9, 4.0)), rel=0.01)


def test_it_keeps_the_protocol_and_one_number_is_a_plain_one():
    check_process(PROCESS)
    plain = GeometricBrownianMotion(1000.0, 0.1, 0.2)
    same = VaryingBrownianMotion(1000.0, (0.1, 0.1), (0.2, 0.2))
    assert same.limit == plain
    normals = np.random.default_rng(0).standard_normal((3, 5))
    assert (same.paths(normals) == plain.paths(normals)).all()
    law = PROCESS.log_growth(1.0, 1.0)
    assert (law.log_mean.item(), law.log_sd.item()) == pytest.approx((0.1 - 0.02, 0.2))
    for wrong in (((0.1,), (0.2, 0.3)), ((), ()), ((0.1,), (-0.2,)), (0.1, 0.2)):
        with pytest.raises(TreeError, match=r"drifts|volatilities"):
            VaryingBrownianMotion(1000.0, *wrong)


def test_trees_and_lattices_keep_the_means():
    tree = ScenarioTree.from_process(PROCESS, [3, 2, 2], EqualProbability())
    lattice = MarkovLattice.from_process(PROCESS, 3, 30)
    mean = PROCESS.mean(np.arange(4))
    assert tree.stage_mean() == pytest.approx(mean, rel=1e-12)
    found = [p @ v for p, v in zip(lattice.probabilities, lattice.values, strict=True)]
    assert found == pytest.approx(mean, rel=1e-9)
    fine = ScenarioTree.from_process(PROCESS, [9, 9, 1])
    spread = fine.stage_mean(fine.value**2)[1:3] - fine.stage_mean()[1:3] ** 2
    assert spread == pytest.approx(PROCESS.variance(np.arange(1, 3)), rel=1e-6)


# ------------------------------------------------------------------ cases


def test_constant_series_are_numbers():
    exact = threshold(CONTESTED.replace(T=4)).objective
    for mu, sigma in (
        ([0.2] * 5, 0.2),
        (0.2, {"start": 0.2, "growth": 0.0}),
        ({"years": [0], "values": [0.2]}, [0.2] * 5),
    ):
        case = case_of(mu, sigma, T=4)
        assert isinstance(case.process, GeometricBrownianMotion)
        assert exact_policy(case).objective == pytest.approx(exact, rel=1e-9)
        tree = ScenarioTree.from_process(case.process, [2] * 4)
        whole = extensive_form(CONTESTED.replace(T=4), ScenarioTree.from_process(CONTESTED.process, [2] * 4))
        assert extensive_form(case, tree).objective == pytest.approx(whole.objective, rel=1e-9)


def test_growth_of_year_t_is_that_from_the_year_before():
    case = case_of([9.0 / 2, 0.3, 0.0, -0.1], {"start": 0.4, "growth": -0.5}, T=3)
    assert case.process.drifts == (0.3, 0.0, -0.1)
    assert case.process.volatilities == pytest.approx((0.2, 0.1, 0.05))
    assert case.replace(T=2).process.drifts == (0.3, 0.0)
    assert problem_from_dict(tomllib.loads(case.to_toml())) == case


def test_stages_of_half_a_year():
    data = case_of({"years": [0, 1], "values": [0.2, 0.4]}, 0.3, T=2).to_dict()
    data["horizon"]["step"] = 0.5
    process = problem_from_dict(data).process
    assert process.drifts == pytest.approx((0.3 * 0.5, 0.4 * 0.5))
    assert process.volatilities == pytest.approx((0.3 * 0.5**0.5,) * 2)


@pytest.mark.parametrize("symbols", [{}, {"degradation": 0.1, "M0": 30.0}])
def test_the_exact_policy_is_a_program_of_three_numbers(symbols):
    """T = 2, L = 1: ΔM_0, ΔM_1 and, when D_1 is seen, what to raise plant to; by scipy, from the definition."""
    (m1, s1), (m2, s2) = (0.3, 0.5), (0.05, 0.2)
    base = CONTESTED.replace(T=2, c_dev=1000.0, c_L=1000.0, **symbols)
    case = case_of([0.0, m1, m2], [0.0, s1, s2], T=2, c_dev=1000.0, c_L=1000.0, **symbols)
    merit, eta, cost = MeritOrder.of(base), base.technology.eta, base.investment_cost
    d, a = 1 / 1.08, merit.against_alternative
    keep, M0 = 1 - base.technology.degradation, base.technology.M0
    holding = base.costs.c_op + eta * merit.idle
    z, w = np.polynomial.hermite_e.hermegauss(200)
    demand = 1000.0 * np.exp(m1 - s1**2 / 2 + s1 * z)
    w = w / w.sum()

    def served(level, middle, mean, sd):
        """E[min(level, middle·G)], G lognormal with mean e^mean."""
        q = (np.log(level / middle) - mean + sd**2 / 2) / sd
        return middle * np.exp(mean) * norm.cdf(q - sd) + level * norm.sf(q)

    # η·a·P(D_2 > η·M) − h = c: what to raise plant to, as a share of D_1.
    share = np.exp(m2 - s2**2 / 2 + s2 * norm.isf((cost + holding) / (eta * a))) / eta

    def npv(x):
        first, second = M0 + np.exp(x[0]), keep * (M0 + np.exp(x[0])) + np.exp(x[1])
        now = a * min(eta * first, 1000.0) - holding * first - cost * np.exp(x[0])
        one = a * served(eta * second, 1000.0, m1, s1) - holding * second - cost * np.exp(x[1])
        there = np.maximum(keep * second, share * demand)
        two = a * served(eta * there, demand, m2, s2) - holding * there - cost * (there - keep * second)
        return now + d * one + d**2 * float(w @ two)

    best = max(
        -minimize(lambda x: -npv(x), start, method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-4}).fun
        for start in ([4.6, 3.0], [4.0, 4.0])
    )
    lost = min(merit.earth_cost, merit.shortage_cost)
    best -= lost * 1000.0 * (1 + d * np.exp(m1) + d**2 * np.exp(m1 + m2))
    result = exact_policy(case)
    assert result.objective == pytest.approx(best, rel=3e-5)
    assert result.plan.position == pytest.approx([share], rel=1e-9)
    assert exact_in_advance(case)[0] < result.objective


def test_the_policy_earns_what_it_is_said_to_and_others_earn_less():
    case = case_of([0.0, 0.4, 0.3, 0.1, 0.0], [0.0, 0.5, 0.4, 0.2, 0.1], T=4)
    result = exact_policy(case)
    sample = Sampling(8192, 5, "sobol")
    from stochisru.lunar.general_policies import model_of_sample

    policy = result.policy(name="exact")
    mean = case_of([0.2] * 5, 0.3, T=4)  # who takes growth and volatility for numbers
    other = exact_policy(mean).policy(name="numbers")
    found = simulate_tables(case, model_of_sample(case, sample), [policy, other], sample)
    npv = found.metrics["exact"]["npv_mean"]
    assert npv.value == pytest.approx(result.objective, rel=2e-3)
    assert found.metrics["numbers"]["npv_mean"].value < npv.value


@pytest.mark.parametrize(
    ("demand", "message"),
    [
        ({"mu": [0.1, 0.2]}, "demand.mu: a list must have T + 1 = 4 numbers, got 2"),
        ({"sigma": [0.1, 0.2, -0.1, 0.2]}, "demand.sigma: must be a finite number >= 0 and <= 5, in a list"),
        ({"mu": {"start": 0.1}}, "demand.mu: must be a number"),
        (
            {"mu": [0.1] * 4, "process": {"kind": "jumps", "jumps": [{"rate": 0.1, "size": -0.5}]}},
            "demand.mu: kind jumps",
        ),
        ({"sigma": [0.1] * 4, "process": {"kind": "gbm"}, "D0": -1.0}, "demand.D0"),
    ],
)
def test_bad_series_are_one_line(demand, message):
    data = tomllib.loads(CONTESTED.replace(T=3).to_toml())
    data["demand"] |= demand
    with pytest.raises(InputError) as error:
        problem_from_dict(data)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_year_without_risk_has_no_tables():
    assert why_no_exact_policy(case_of(0.1, [0.2, 0.2, 0.0, 0.2], T=3)).startswith("sigma: must be large enough")


def test_the_proven_bound_of_other_cases_holds_for_growth_by_year():
    """By Jensen, above the exact policy and close to it."""
    from stochisru.lunar.values.upper import growing
    from stochisru.methods.jensen import jensen_bound

    case = case_of([0.0, 0.3, 0.2, 0.05], [0.0, 0.4, 0.3, 0.1], T=3)
    exact = exact_policy(case).objective
    bound = jensen_bound(growing(case))
    assert exact < bound < exact + 0.02 * abs(exact)


@pytest.mark.parametrize(("mu", "waits"), [([0.0, 0.6, 0.6, -0.3, -0.3], False), ([0.0, 0.0, 0.0, 0.9, 0.9], True)])
def test_a_single_deployment_is_the_best_fixed_design_of_what_is_left(mu, waits):
    """At once and without old plant, to build in year t is the fixed design of a case that begins in it."""
    sigma = [0.0, 0.1, 0.5, 0.3, 0.2]
    case = case_of(mu, sigma, T=4, lead_time=0, M0=0.0)
    d, mean = 1 / (1 + case.economics.r), case.process.mean(np.arange(5.0))
    best = 0.0
    for t in range(4):
        left = case_of(mu[t:], sigma[t:], T=4 - t, lead_time=0, M0=0.0, D0=float(mean[t]))
        nothing = exact_plan_value(left, np.zeros(5 - t))
        best = max(best, d**t * (exact_in_advance(left, fixed=True)[0] - nothing))
    found = exact_single(case)
    assert found.value == pytest.approx(best + exact_plan_value(case, np.zeros(5)), rel=1e-9)
    assert (found.value > 1.001 * exact_in_advance(case, fixed=True)[0]) == waits
    assert found.value < exact_policy(case).objective
    old = case_of(mu, sigma, T=4, M0=30.0)
    assert not has_exact_single(old)


def test_values_tell_what_deferring_is_worth_where_growth_comes_late():
    found = process_values(case_of([0.0, 0.0, 0.0, 0.9, 0.9], 0.3, T=4, lead_time=0), paths=256)
    assert found.point("defer") > 0
    assert found.point("defer") + found.point("staging") == pytest.approx(found.point("flexibility"))
