"""Strategies and Monte Carlo: conformance, closed forms, brute force, reproducibility, coverage."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenario_trees import ScenarioTree
from stochisru import InputError, extensive_form, simulate, simulate_panel
from stochisru.lunar.exact.open_loop import static_plan
from stochisru.lunar.indicators import INDICATORS
from stochisru.lunar.information import plan_value
from stochisru.lunar.operations import discount_factors
from stochisru.lunar.simulation import follow, npv_on_paths
from stochisru.lunar.strategies import MODERATE, STRATEGIES, Schedule, Trigger
from stochisru.lunar.strategies.trigger import added_margin
from stochisru.simulation.metrics import UNITS
from stochisru.testing import check_strategy
from tests.cases import deployment_cases


@pytest.mark.parametrize("name", sorted(STRATEGIES))
@given(case=deployment_cases(max_T=5))
def test_heuristics_keep_the_protocol(name, case):
    check_strategy(STRATEGIES[name], case, paths=8)
    assert STRATEGIES[name].describe(case).endswith(".")


@pytest.mark.parametrize("mapping", ["scaled", "nearest"])
def test_tree_policy_keeps_the_protocol_and_repeats_its_plan(reference, mapping):
    for symbols in ({}, {"lead_time": 2, "degradation": 0.1}, {"lead_time": 0, "earth_limit": 700.0}):
        case = reference.replace(T=4, **symbols)
        tree = ScenarioTree.from_process(case.process, [3, 2, 2, 3])
        result = extensive_form(case, tree)
        policy = result.policy(mapping)
        check_strategy(policy, case, paths=16)
        nodes = tree.node_paths()
        demand = tree.value[nodes].T
        for t, (deployment, plant) in enumerate(follow(case, policy, demand)):
            assert deployment == pytest.approx(result.plan.deployment[nodes[:, t]], abs=1e-6)
            assert plant == pytest.approx(result.plan.plant[nodes[:, t]], abs=1e-6)


def test_tree_policy_is_judged_out_of_sample_below_its_tree_value(reference):
    case = reference.replace(T=4)
    result = extensive_form(case, ScenarioTree.from_process(case.process, [9, 6, 5, 5]))
    estimate = simulate(case, [result.policy()], paths=40_000, seed=1, sampler="antithetic").metrics["ef"]["npv_mean"]
    assert estimate.upper < result.bounds.upper * 1.01
    assert estimate.value > 0.97 * result.objective


@dataclass(frozen=True)
class Clairvoyant:
    name: str = "clairvoyant"
    spy: bool = True

    def start(self, case):
        return np.zeros(min(case.horizon.lead_time, case.horizon.T) + 1)

    def order(self, observation):
        if self.spy:  # reaches behind the slice it is shown
            memory = observation.demand.base
            return (memory if memory.shape[1] == observation.plant.size else memory.T)[-1] / 10
        return observation.demand[-1] / 10

    def describe(self, case):
        return "Looks into the future."


def test_check_strategy_catches_foresight_and_bad_manners(reference):
    case = reference.replace(T=4)
    check_strategy(Clairvoyant(spy=False), case)
    with pytest.raises(AssertionError, match="depends on demand after year"):
        check_strategy(Clairvoyant(), case)

    class Negative(Clairvoyant):
        def order(self, observation):
            return -np.ones_like(observation.plant)

    class Misshapen(Clairvoyant):
        def order(self, observation):
            return np.ones(3)

    class Scribbler(Clairvoyant):
        def order(self, observation):
            observation.demand[-1] *= 1.1
            return np.zeros_like(observation.plant)

    class Neighbour(Clairvoyant):
        def order(self, observation):
            return np.roll(observation.demand[-1], 1) / 10

    class Crowd(Clairvoyant):
        def order(self, observation):
            return np.full_like(observation.plant, observation.demand[-1].mean() / 10)

    for bad, error, message in (
        (Negative(), InputError, ">= 0 kg"),
        (Misshapen(), InputError, "must return shape"),
        (Scribbler(), ValueError, "read-only"),
        (Neighbour(), AssertionError, "order of the paths"),
        (Crowd(), AssertionError, "depend on the other paths"),
    ):
        with pytest.raises(error, match=message):
            check_strategy(bad, case)


@given(deployment_cases(), st.integers(1, 3))
def test_simulation_of_a_schedule_equals_its_value_on_the_same_paths(case, seed):
    """Equal-weight tree of the sample paths as the oracle."""
    paths = 50
    demand = case.process.sample(paths, case.horizon.T, seed=seed)
    rng = np.random.default_rng(seed)
    plan = rng.uniform(0, 200, case.horizon.T + 1)
    if case.horizon.initial_deployment == "fixed":
        plan[0] = 0
    n, T = paths, case.horizon.T
    tree = ScenarioTree(
        parent=np.concatenate([[-1], np.zeros(n), *(1 + n * (t - 1) + np.arange(n) for t in range(1, T))]).astype(int),
        stage=np.concatenate([[0], np.repeat(np.arange(1, T + 1), n)]),
        probability=np.concatenate([[1.0], np.full(n * T, 1 / n)]),
        value=np.concatenate([[demand[0, 0]], demand[1:].ravel()]),
    )
    outcome = simulate(case, [Schedule("plan", tuple(plan))], paths=paths, seed=seed)
    assert outcome.npv[0].mean() == pytest.approx(plan_value(case, tree, plan[tree.stage]), rel=1e-9, abs=1e-3)


def test_static_plan_is_optimal_among_schedules_out_of_sample(reference):
    case = reference.replace(T=3)
    best = static_plan(case, ScenarioTree.from_process(case.process, [25, 25, 25]))
    plan = best.plan.deployment[best.plan.tree.offsets[:-1]]
    rivals = [Schedule(f"x{f}", tuple(plan * f)) for f in (0.7, 0.9, 1.1, 1.4)]
    outcome = simulate(case, [Schedule("static", tuple(plan)), *rivals], paths=50_000, seed=5)
    for rival in rivals:
        assert outcome.difference("static", rival.name).upper > 0
    assert outcome.metrics["static"]["npv_mean"].value == pytest.approx(best.objective, rel=0.02)


@given(
    deployment_cases(max_T=5, linear_only=True),
    st.floats(0.2, 1.5),
    st.floats(0.05, 1.0),
    st.floats(0.05, 0.95),
    st.floats(0, 2),
)
def test_hurdle_table_equals_the_hurdle_computed_path_by_path(case, threshold, magnitude, quantile, sensitivity):
    rule = Trigger("t", 1.0, threshold, magnitude, quantile, sensitivity)
    rng = np.random.default_rng(0)
    position = rng.uniform(1, 300, 200)
    demand = rng.uniform(1, 3000, 200)
    for year in range(1, case.horizon.T - case.horizon.lead_time + 1):
        got = rule._orders(case, year, demand, position)
        margin = added_margin(case, year, demand, position, magnitude, quantile)
        discounted = (1 + case.economics.r) ** -case.horizon.lead_time
        need = sensitivity * magnitude * position * case.investment_cost * discounted
        utilization = demand / (case.technology.eta * position)
        clear = (np.abs(margin - need) > 1e-6 * (1 + np.abs(need))) & (np.abs(utilization - threshold) > 1e-9)
        expected = np.where((utilization >= threshold) & (margin >= need), magnitude * position, 0.0)
        assert got[clear] == pytest.approx(expected[clear])


def test_added_margin_by_hand(reference):
    case = reference.replace(T=3, lead_time=1, sigma=0.2, mu=0.1, r=0.1)
    eta, worth = case.technology.eta, case.economics.P_m + case.costs.c_E
    position, demand = np.array([100.0]), np.array([1000.0])
    expected = 0.0
    for h in (1, 2):
        d = 1000 * np.exp((0.1 - 0.02) * h)
        gain = worth * (min(150 * eta, d) - min(100 * eta, d)) - case.costs.c_op * 50
        expected += gain / 1.1**h
    assert added_margin(case, 1, demand, position, 0.5, 0.5)[0] == pytest.approx(expected)


@pytest.mark.parametrize("lead", [0, 1, 2])
@pytest.mark.parametrize("degradation", [0.0, 0.12])
def test_added_margin_is_the_difference_of_two_plans(reference, lead, degradation):
    """Worth of an order on the median path beside plant that wears: NPV with it less NPV without, and what it costs."""
    case = reference.replace(T=5, lead_time=lead, degradation=degradation, c_bu=0.0, M0=0.0, D0=1000.0)
    plant, share = 200.0, 0.4
    path = case.demand.D0 * case.process.quantile(0.5, np.arange(6)) / case.process.initial
    idle = np.zeros(6)
    idle[0] = plant
    more = idle.copy()
    more[lead] += share * plant
    without, with_it = (npv_on_paths(case, Schedule("s", tuple(plan)), path[:, None])[0] for plan in (idle, more))
    cost = case.investment_cost * share * plant / (1 + case.economics.r) ** lead
    margin = added_margin(case, 0, path[:1], np.array([plant]), share, 0.5)
    assert margin[0] == pytest.approx(with_it - without + cost, rel=1e-9)


@pytest.mark.parametrize(
    ("sampler", "paths", "groups"), [("pseudo-random", 6, 6), ("pseudo-random", 2, 2), ("antithetic", 12, 6)]
)
def test_errors_of_ratios_are_those_of_few_groups(reference, sampler, paths, groups):
    """Of a plain mean: the standard deviation with one degree of freedom less, over the root of the groups."""
    run = simulate(reference.replace(T=3, earth_limit=200.0), ["moderate"], paths=paths, seed=2, sampler=sampler)
    found = run.metrics["moderate"]["final_capacity"]
    each = run.indicators[0, list(INDICATORS).index("final_capacity")]
    means = np.add.reduceat(each, np.concatenate([[0], np.cumsum(run.units)[:-1]])) / run.units
    assert means.size == groups
    assert found.value == pytest.approx(each.mean())
    assert found.standard_error == pytest.approx(means.std(ddof=1) / groups**0.5)


def test_errors_of_ratios_of_two_that_vary_are_those_of_leaving_one_out(reference):
    """The jackknife needs no derivative; demand and what is delivered rise and fall together."""
    run = simulate(reference.replace(T=5), ["moderate"], paths=2000, seed=4)
    panel = simulate_panel(reference.replace(T=5), ["moderate"], paths=2000, seed=4).isel(strategy=0)
    top, bottom = (panel[name].to_numpy().sum(axis=1) for name in ("delivered", "demand"))
    without = (top.sum() - top) / (bottom.sum() - bottom)
    error = ((2000 - 1) / 2000 * ((without - without.mean()) ** 2).sum()) ** 0.5
    found = run.metrics["moderate"]["self_sufficiency"]
    assert found.value == pytest.approx(top.sum() / bottom.sum())
    assert found.standard_error == pytest.approx(error, rel=1e-2)


def test_same_seed_same_bytes_for_any_workers_and_chunks(reference):
    runs = [
        simulate(reference, list(STRATEGIES), paths=40_000, seed=7, workers=w, chunk=c)
        for w, c in ((1, None), (1, 1), (2, 16_384), (2, 100_000))
    ]
    for other in runs[1:]:
        assert other.npv.tobytes() == runs[0].npv.tobytes()
        assert repr(other.to_dict()) == repr(runs[0].to_dict())
    assert simulate(reference, ["moderate"], paths=10, seed=8).npv[0, 0] != runs[0].npv[1, 0]


def test_metrics_by_brute_force(reference):
    case = reference.replace(T=4)
    paths = 3000
    outcome = simulate(case, ["moderate", "conservative"], paths=paths, seed=2)
    panel = simulate_panel(case, ["moderate", "conservative"], paths=paths, seed=2)
    assert set(panel.dims) == {"strategy", "path", "year"}
    for i, name in enumerate(outcome.names):
        p = panel.sel(strategy=name)
        npv = (p["cash"].to_numpy() * discount_factors(case)).sum(axis=1)
        assert npv == pytest.approx(outcome.npv[i], rel=1e-9)
        m = outcome.metrics[name]
        assert set(m) == set(UNITS)
        ordered = np.sort(npv)
        k = int(np.ceil(0.05 * paths)) - 1
        assert m["var95"].value == pytest.approx(-ordered[k])
        tail = -ordered[: k + 1]
        weight = (0.05 * paths - k) / (0.05 * paths)
        assert m["cvar95"].value == pytest.approx(tail[:-1].sum() / (0.05 * paths) + weight * tail[-1])
        assert m["npv_sd"].value == pytest.approx(npv.std())
        assert m["max_loss"].value == pytest.approx(-npv.min())
        assert m["p_positive"].value == pytest.approx((npv > 0).mean())
        assert m["sharpe"].value == pytest.approx(npv.mean() / npv.std())
        down = np.sqrt((np.minimum(npv, 0) ** 2).mean())
        if down > 0:
            assert m["sortino"].value == pytest.approx(npv.mean() / down)
        assert m["self_sufficiency"].value == pytest.approx(float(p["delivered"].sum() / p["demand"].sum()))
        assert m["utilization"].value == pytest.approx(float(p["delivered"].sum() / p["capacity"].sum()))
        assert m["final_capacity"].value == pytest.approx(float(p["capacity"][:, -1].mean()))
        assert m["expansions"].value == pytest.approx(float((p["deployment"] > 0).sum(dim="year").mean()))
        cumulative = np.cumsum(p["cash"].to_numpy() * discount_factors(case), axis=1)
        paid = (cumulative >= 0).any(axis=1)
        assert m["never_pays_back"].value == pytest.approx(1 - paid.mean())
        assert m["payback_year"].value == pytest.approx((cumulative >= 0).argmax(axis=1)[paid].mean())
        yearly = outcome.yearly().set_index(["strategy", "year"]).loc[name]
        assert yearly["delivered"].to_numpy() == pytest.approx(p["delivered"].mean(dim="path").to_numpy())
        balance = p["delivered"] + p["earth"] + p["shortage"] - p["demand"]
        assert float(np.abs(balance).max()) < 1e-6
        for estimate in m.values():
            if np.isfinite(estimate.lower):
                assert estimate.lower <= estimate.value <= estimate.upper
    d = outcome.difference("moderate", "conservative")
    assert d.value == pytest.approx((outcome.npv[0] - outcome.npv[1]).mean())
    assert outcome.difference("conservative", "moderate").value == pytest.approx(-d.value)
    assert len(outcome.differences()) == 1


@pytest.mark.parametrize("sampler", ["pseudo-random", "antithetic", "sobol"])
def test_intervals_cover_the_truth(reference, sampler):
    """95 % intervals of small samples against a large one; binomial bounds on the hits."""
    case = reference.replace(T=3)
    truth = simulate(case, [MODERATE], paths=1_000_000, seed=99).metrics["moderate"]
    names = ("npv_mean", "npv_sd", "self_sufficiency", "utilization", "p_positive", "cvar95", "npv_p50", "var95")
    hits = dict.fromkeys(names, 0)
    trials = 120
    for seed in range(trials):
        small = simulate(case, [MODERATE], paths=4000, seed=seed, sampler=sampler).metrics["moderate"]
        for name in names:
            hits[name] += small[name].lower <= truth[name].value <= small[name].upper
    for name, count in hits.items():
        assert count >= 0.86 * trials, (name, count)


@pytest.mark.parametrize("sampler", ["pseudo-random", "antithetic", "sobol"])
def test_standard_errors_are_those_of_repeated_simulations(reference, sampler):
    """For every metric with a standard error: reported against empirical, over many seeds."""
    case = reference.replace(T=3)
    runs = [simulate(case, [MODERATE], paths=2048, seed=s, sampler=sampler).metrics["moderate"] for s in range(80)]
    for name in UNITS:
        reported = np.array([run[name].standard_error for run in runs])
        values = np.array([run[name].value for run in runs])
        if not np.isfinite(reported).all() or values.std() <= 1e-9 * abs(values.mean()):
            continue
        ratio = np.sqrt((reported**2).mean()) / values.std(ddof=1)
        assert 0.72 < ratio < 1.4, (name, ratio)


def test_units_of_blocks_are_the_units_of_the_whole(reference):
    for sampler in ("pseudo-random", "antithetic", "sobol"):
        for paths in (1, 2, 33, 8193, 20_001):
            outcome = simulate(reference.replace(T=1), ["upfront"], paths=paths, seed=1, sampler=sampler)
            assert outcome.moments[0].units == outcome.units.size
            assert outcome.units.sum() == paths


def test_work_is_shared_between_workers(reference, monkeypatch):
    from stochisru.lunar.simulation import monte_carlo as simulation

    tasks = []
    original = simulation.in_order
    monkeypatch.setattr(
        simulation, "in_order", lambda task, starts, workers: tasks.append(len(starts)) or map(task, starts)
    )
    simulate(reference, ["upfront"], paths=20_000, workers=2)
    assert tasks == [2]
    assert original is not simulation.in_order


def test_reactive_by_hand(reference):
    case = reference.replace(T=3, M0=10.0)
    eta = case.technology.eta
    demand = np.array([[1000.0], [1500.0], [1200.0], [2000.0]])
    orders = [float(d[0]) for d, _ in follow(case, STRATEGIES["reactive"], demand)]
    # year 0: serve D0; year 1 was ordered at the root with nothing missing; year 2 closes the gap seen in year 1
    assert orders == pytest.approx([1000 / eta - 10, 0, 500 / eta, 0])
    at_once = [float(d[0]) for d, _ in follow(case.replace(lead_time=0), STRATEGIES["reactive"], demand)]
    assert at_once == pytest.approx([1000 / eta - 10, 0, 500 / eta, 0])


def test_trigger_by_hand(reference):
    case = reference.replace(T=4)
    eta = case.technology.eta
    rule = Trigger("plain", 0.5, 0.8, 0.5, hurdle=False)
    demand = np.array([[1000.0], [400.0], [700.0], [2000.0], [1.0]])
    orders = [float(d[0]) for d, _ in follow(case, rule, demand)]
    start = 500 / eta
    # at the root demand is twice the capacity: order half of it; position 750 kg/yr; 400 < 0.8·750: nothing;
    # 700 ≥ 600: order 375; position 1125; 2000 ≥ 900: order 562.5
    assert orders == pytest.approx([start, 0.5 * start, 0, 375 / eta, 562.5 / eta])


def test_paired_differences_are_tighter_than_unpaired(reference):
    outcome = simulate(reference, [MODERATE, replace(MODERATE, name="larger", magnitude=0.4)], paths=4000, seed=1)
    a, b = (outcome.metrics[n]["npv_mean"].standard_error for n in outcome.names)
    assert outcome.difference("moderate", "larger").standard_error < 0.5 * np.hypot(a, b)


def test_one_path_and_constant_outcomes(reference):
    single = simulate(reference, ["moderate"], paths=1, seed=3)
    assert np.isnan(single.metrics["moderate"]["npv_mean"].lower)
    assert single.to_dict()["strategies"]["moderate"]["ci"]["npv_mean"] == [None, None]
    certain = simulate(reference.replace(sigma=0.0), ["upfront"], paths=50, seed=3).metrics["upfront"]
    assert certain["npv_sd"].value == 0
    assert certain["npv_mean"].lower == pytest.approx(certain["npv_mean"].upper)


def test_upfront_and_gradual_build_the_same_total(reference):
    need = float(reference.process.mean(10)) / reference.technology.eta
    for fixed in ("free", "fixed"):
        case = reference.replace(initial_deployment=fixed)
        panel = simulate_panel(case, ["upfront", "gradual"], paths=2)
        assert panel["deployment"].sum(dim="year").to_numpy() == pytest.approx(need)
        assert float(panel["deployment"].sel(year=0).sum()) > 0 or fixed == "fixed"


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"paths": 0}, "paths: must be an integer >= 1, got 0"),
        ({"paths": 2.5}, "paths: must be an integer"),
        ({"seed": -1}, "seed: must be an integer >= 0"),
        ({"workers": 0}, "workers: must be an integer >= 1"),
        ({"confidence": 1.0}, "confidence: must lie in"),
        ({"sampler": "dice"}, "sampler: must be one of"),
        ({"strategies": []}, "strategies: needs at least one"),
        ({"strategies": ["bold"]}, "strategies: must be among"),
        ({"strategies": ["moderate", "moderate"]}, "names must differ"),
    ],
)
def test_bad_arguments_are_refused(reference, arguments, message):
    call = {"strategies": ["moderate"], "paths": 10, **arguments}
    with pytest.raises(InputError, match=message):
        simulate(reference, call.pop("strategies"), **call)


def test_strategies_refuse_what_does_not_fit(reference):
    with pytest.raises(InputError, match="threshold: must be > 0"):
        replace(MODERATE, threshold=0.0)
    with pytest.raises(InputError, match="risk_tolerance: must be > 0 and < 1"):
        replace(MODERATE, risk_tolerance=1.0)
    with pytest.raises(InputError, match="deployment: needs 11 values"):
        simulate(reference, [Schedule("s", (1.0, 2.0))], paths=2)
    fixed = reference.replace(initial_deployment="fixed", T=1)
    with pytest.raises(InputError, match="ΔM_0 is fixed at 0"):
        simulate(fixed, [Schedule("s", (1.0, 2.0))], paths=2)
    policy = extensive_form(reference.replace(T=2), ScenarioTree.from_process(reference.process, [2, 2])).policy()
    with pytest.raises(InputError, match="its tree has T = 2"):
        simulate(reference, [policy], paths=2)
    with pytest.raises(InputError, match="mapping: must be one of"):
        replace(policy, mapping="magic")
    with pytest.raises(InputError, match="strategies"):
        simulate(reference, ["x"], paths=2)
