"""Brackets of RP on the process from one sample: perfect information at a price above, a policy below."""

import numpy as np
import pytest
from scipy.integrate import quad

from scenario_trees import GeometricBrownianMotion, Jump, JumpDiffusion, RegimeSwitching
from scenario_trees.knots import Knots, StepAhead
from stochisru import InputError, compare, load_case, process_values, threshold
from stochisru.lunar.exact.lattice_dp import lattice_dp
from stochisru.lunar.exact.layer_relaxation import LayerRelaxation
from stochisru.lunar.exact.layers import perfect_information
from stochisru.lunar.exact.levels import perfect_information as levels_known
from stochisru.lunar.exact.levels import profit_at
from stochisru.lunar.operations import MeritOrder, discount_factors
from stochisru.lunar.simulation import npv_on_paths
from stochisru.lunar.simulation.drawing import drawn_paths
from stochisru.lunar.simulation.following import follow
from stochisru.lunar.solving import optimum_on_lattice
from stochisru.lunar.strategies import STRATEGIES, Schedule
from stochisru.lunar.trees import case_lattice
from stochisru.lunar.values.penalised import penalised_ends
from stochisru.simulation.sampling import Sampling

REGIMES = {
    "kind": "regimes",
    "drifts": (0.3, -0.1),
    "volatilities": (0.1, 0.3),
    "switching": ((0.8, 0.2), (0.3, 0.7)),
}
ENDS = {"kind": "jumps", "jumps": [{"rate": 0.1, "size": -1.0}, {"rate": 0.2, "size": -0.3, "spread": 0.1}]}


def sample(case, paths, seed=5):
    return drawn_paths(case, paths, seed, Sampling(paths, seed).source)


# ------------------------------------------------------------- expectations


@pytest.mark.parametrize("level", [0.0, 60.0, 100.0, 400.0])
def test_a_limited_mean_is_that_of_a_lognormal(level):
    process = GeometricBrownianMotion(100.0, 0.1, 0.3)
    law = process.law(np.array([[100.0]]), 0.0, 1.0).merged
    assert law.limited_mean(np.array([[level]]))[0, 0] == pytest.approx(process.limited_mean(level, 1.0), rel=1e-12)


@pytest.mark.parametrize("sigma", [0.05, 0.4])
def test_what_is_expected_of_a_function_is_its_integral(sigma):
    process, now = GeometricBrownianMotion(100.0, 0.1, sigma), 80.0
    knots = Knots(np.array([50.0, 70.0, 95.0, 140.0]), np.empty((1, 0)))
    values = np.array([3.0, -1.0, 4.0, 2.0])
    found = StepAhead.of(process, 0, np.array([[now]]), knots).table(values[:, None])[0, 0]

    def at(z):
        demand = now * float(process.growth(z))
        return np.interp(demand, knots.value, values) * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)

    bends = (np.log(knots.value / now) - 0.1 + sigma**2 / 2) / sigma
    assert found == pytest.approx(quad(at, -9, 9, points=bends[abs(bends) < 9], limit=400)[0], rel=1e-7)
    seen = knots.weights(np.array([[60.0], [20.0], [500.0]])) @ values
    assert seen == pytest.approx(np.interp([60.0, 20.0, 500.0], knots.value, values))


@pytest.mark.parametrize(
    "process",
    [
        JumpDiffusion(100.0, 0.1, 0.2, (Jump(0.2, -0.4, 0.1), Jump(0.1, -1.0))),
        RegimeSwitching(100.0, (0.3, -0.1), (0.1, 0.3), ((0.8, 0.2), (0.3, 0.7))),
    ],
)
def test_kinds_of_future_are_told_apart(process):
    """Against means of many paths of the process, function by function."""
    kinds = np.empty((1, 0)) if len(process.names) == 1 else np.array([[0.0], [1.0]])
    knots = Knots(np.array([0.0, 60.0, 100.0, 150.0]), kinds)
    table = np.eye(knots.states.shape[0])
    expected = StepAhead.of(process, 0, process.start[None, :], knots).table(table)[0]
    after = process.state_paths(np.random.default_rng(1).standard_normal((process.draws, 400_000)))[1]
    seen = knots.weights(after) @ table
    assert expected.sum() == pytest.approx(1.0)
    error = seen.std(axis=0) / np.sqrt(after.shape[0])
    assert (abs(seen.mean(axis=0) - expected) <= 4 * error + 1e-12).all()


# ------------------------------------------------------------------- penalty

CHANGES = [
    {"T": 5},
    {"T": 4, "lead_time": 0},
    {"T": 5, "lead_time": 3, "degradation": 0.1, "M0": 80.0},
    {"T": 4, "earth_limit": 900.0},
    {"T": 4, "earth_limit": 900.0, "lead_time": 0, "initial_deployment": "fixed"},
    {"T": 4, "process": ENDS},
    {"T": 4, "process": REGIMES},
]


@pytest.mark.parametrize("changed", CHANGES, ids=str)
def test_no_policy_pays_on_average(changed):
    """E[z] = 0 along policies that differ: a plan of a lattice, a heuristic, and one that looks at nothing."""
    case = load_case("contested-market").replace(**changed)
    relaxation, (demand, seen) = LayerRelaxation(case), sample(case, 3000)
    early = Schedule("early", (300.0 if case.horizon.initial_deployment == "free" else 0.0, *[200.0] * case.horizon.T))
    spread = demand.sum(axis=0).std()
    for policy in (optimum_on_lattice(case).policy(name="lattice"), STRATEGIES["aggressive"], early):
        plant = np.stack([plant for _, plant in follow(case, policy, demand, seen)])
        paid = relaxation.control(demand, seen, plant)
        assert paid.std() > 10 * spread  # it is no zero
        assert abs(paid.mean()) < 4 * paid.std() / np.sqrt(paid.size)


def test_a_policy_that_knows_the_future_pays():
    case = load_case("contested-market").replace(T=5)
    demand, _ = sample(case, 2000)
    _, deployment = perfect_information(case, demand)
    paid = LayerRelaxation(case).control(demand, None, np.cumsum(deployment, axis=0))
    assert paid.mean() > 20 * paid.std() / np.sqrt(paid.size)


def test_expectations_are_those_of_the_process():
    """Paths of another process are a surprise: the same penalty has another mean on them."""
    case = load_case("contested-market").replace(T=5)
    demand, _ = sample(case.replace(mu=0.25), 2000)
    plant = np.full(demand.shape, 500.0)
    paid = LayerRelaxation(case).control(demand, None, plant)
    assert abs(paid.mean()) > 5 * paid.std() / np.sqrt(paid.size)


# -------------------------------------------------------------------- bounds


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("lunar-reference", {"T": 10}),
        ("contested-market", {"T": 10}),
        ("lunar-reference", {"T": 5, "lead_time": 0}),
        ("predecessor", {"T": 5}),
        ("lunar-reference", {"T": 8, "lead_time": 3}),
        ("lunar-reference", {"T": 5, "lead_time": 5}),
        ("lunar-reference", {"T": 5, "degradation": 0.1, "M0": 80.0}),
        ("lunar-reference", {"T": 4, "initial_deployment": "fixed"}),
        ("lunar-reference", {"T": 4, "earth_limit": 0.0}),
        ("contested-market", {"T": 5, "sigma": 0.5}),
        ("lunar-reference", {"T": 3, "sigma": 1e-7}),
    ],
)
def test_both_ends_are_near_the_exact_value(name, changed):
    case = load_case(name).replace(**changed)
    exact = threshold(case)
    size = max(abs(exact.objective), 0.05 * exact.bounds.flows)
    ends = penalised_ends(case, optimum_on_lattice(case).policy(name="lattice"), Sampling(1000, 3))
    assert ends.known.value >= exact.bounds.lower - 4 * ends.known.standard_error
    assert ends.policy.value <= exact.bounds.upper + 4 * ends.policy.standard_error
    assert ends.known.upper - ends.policy.lower <= 0.0075 * size
    assert ends.known.value - exact.objective <= 0.0005 * size + 4 * ends.known.standard_error


@pytest.mark.slow
def test_a_bracket_holds_as_often_as_it_says():
    """The study is `benchmarks/brackets.py`; here few paths and 60 seeds, of which 95 % are 57."""
    case = load_case("contested-market").replace(T=4)
    exact, policy = threshold(case).objective, optimum_on_lattice(case).policy(name="lattice")
    found = [penalised_ends(case, policy, Sampling(150, seed)) for seed in range(60)]
    assert sum(ends.policy.lower <= exact <= ends.known.upper for ends in found) >= 53
    # Each end alone: neither is where it is by being far too wide.
    assert sum(ends.known.lower <= exact <= ends.known.upper for ends in found) >= 50


def test_the_bound_holds_for_layers_beyond_the_last_cell():
    """There all that is known is free: more demand is worth what it is under perfect information."""
    case = load_case("contested-market").replace(T=4)
    relaxation = LayerRelaxation(case)
    far = np.array([[1000.0, 2000.0, 1e6, 3e6, 1e7]]).T
    top = np.array([[1000.0, 2000.0, 1e6, 3e6, 2e7]]).T
    served = discount_factors(case) @ MeritOrder.of(case).without_plants(top - far)
    free = perfect_information(case, top)[0] - perfect_information(case, far)[0] + served
    gain = relaxation.known(top) - relaxation.known(far)
    assert gain == pytest.approx(free, rel=1e-9)
    assert gain > 0


@pytest.mark.parametrize(
    "process",
    [
        {"kind": "mean-reverting", "level": 2000.0, "reversion": 0.3},
        REGIMES,
        ENDS,
        {"kind": "unknown-drift", "prior_sd": 0.1},
        {"kind": "saturating", "capacity": 5000.0, "imitation": 0.5},
        {"kind": "step", "size": 1.0, "dates": (2.0, 3.0), "probabilities": (0.4, 0.3)},
    ],
    ids=lambda p: p["kind"],
)
def test_other_processes_have_brackets_as_narrow(process):
    """The optimum of a fine lattice lies near; wait-and-see alone was up to 20 % off."""
    case = load_case("contested-market").replace(T=4, process=process)
    values = process_values(case, paths=2048).values
    rp = values["rp"]
    assert (rp.upper - rp.lower) / abs(rp.value) < 0.005
    assert rp.upper < values["ws"].lower
    assert lattice_dp(case, case_lattice(case, 60)).objective == pytest.approx(rp.value, rel=0.006)


@pytest.mark.parametrize("T", [4, 10])
def test_a_limit_on_supply_from_earth_has_one_as_narrow(T):
    case = load_case("contested-market").replace(T=T, earth_limit=1000.0)
    rp = process_values(case, paths=4096).values["rp"]
    assert 0 < (rp.upper - rp.lower) / rp.value < 0.005


@pytest.mark.parametrize("changed", [{"lead_time": 0}, {"lead_time": 1}, {"lead_time": 3, "M0": 100.0}], ids=str)
@pytest.mark.parametrize("limit", [None, 900.0])
def test_no_plan_of_a_path_beats_the_one_of_whoever_pays(changed, limit):
    """Random plans, most of which know the future: NPV less price is no more than what `known_with` finds."""
    case = load_case("contested-market").replace(T=4, earth_limit=limit, fixed_cost=2e5, **changed)
    relaxation, (demand, _) = LayerRelaxation(case.linear_bound), sample(case, 60)
    best, stream = relaxation.known_with(case, demand), np.random.default_rng(3)
    levels = relaxation._edges[::2] if relaxation._edges.size % 2 else relaxation._edges
    for most in (300.0, 1000.0, 3000.0):
        some = levels[(levels <= most) & (levels >= case.technology.M0)]
        plant = np.sort(stream.choice(some, size=demand.shape), axis=0)
        orders = np.diff(plant, axis=0, prepend=case.technology.M0)
        cash = np.stack([profit_at(case, t, plant[t], demand[t]) for t in range(5)])
        npv = (cash - discount_factors(case)[:, None] * case.investment(orders)).sum(axis=0)
        assert (npv - relaxation.control(demand, None, plant) <= best + 1e-9 * abs(npv)).all()


@pytest.mark.parametrize("changed", [{"fixed_cost": 1e6}, {"lot": 100.0}, {"lot": 100.0, "fixed_cost": 5e5}], ids=str)
@pytest.mark.parametrize("lead", [0, 1, 2])
def test_lumpy_costs_count_in_full(changed, lead):
    """Wait-and-see and linear costs are far above; below, the plan of a lattice on its own paths."""
    case = load_case("contested-market").replace(T=4, lead_time=lead, **changed)
    demand, _ = sample(case, 600)
    relaxation = LayerRelaxation(case.linear_bound)
    paying, free = relaxation.known_with(case, demand), levels_known(case, demand)[0]
    policy = optimum_on_lattice(case).policy(name="lattice")
    plant = np.stack([plant for _, plant in follow(case, policy, demand)])
    own = npv_on_paths(case, policy, demand) - relaxation.control(demand, None, plant)
    error = np.hypot(own.std(), paying.std()) / np.sqrt(600)
    assert own.mean() - 4 * error < paying.mean() < min(free.mean(), threshold(case.linear_bound).objective)
    assert paying.mean() - own.mean() < 0.6 * (free.mean() - own.mean())


def test_where_all_is_decided_at_once_lumpy_costs_have_an_exact_value():
    """L = T: the static plan is the optimum; what is left open is that of the cells."""
    case = load_case("contested-market").replace(T=4, lead_time=4, lot=100.0, fixed_cost=5e5)
    static = process_values(case, paths=64).values["static"]
    demand, _ = sample(case, 1500)
    paying = LayerRelaxation(case.linear_bound).known_with(case, demand)
    assert static.lower - 4 * paying.std() / np.sqrt(1500) < paying.mean() < static.upper + 0.03 * abs(static.value)


def test_modules_are_bounded_by_linear_costs_or_by_foresight_whichever_is_less():
    case = load_case("contested-market").replace(T=4, lot=20.0)
    rp, linear = process_values(case, paths=2048).values["rp"], threshold(case.linear_bound).objective
    assert rp.lower < rp.upper <= linear * (1 + 1e-9)


# ------------------------------------------------------------------ commands


def test_compare_says_what_no_policy_earns_more_than():
    case = load_case("contested-market").replace(T=4, earth_limit=1000.0)
    outcome = compare(case, ["lattice", "moderate"], paths=1000)
    means = [m["npv_mean"].value for m in outcome.simulation.metrics.values()]
    assert outcome.optimum is None
    assert max(means) * 0.97 < outcome.ceiling.value < outcome.wait_and_see.value
    assert outcome.to_dict()["ceiling"]["upper"] == outcome.ceiling.upper
    assert compare(load_case("contested-market"), ["moderate"], paths=100).ceiling is None


def test_what_has_no_price_is_refused_in_one_line():
    with pytest.raises(InputError, match=r"^launch, scale: layers of plant take costs in proportion"):
        LayerRelaxation(load_case("contested-market").replace(lot=10.0))
    historical = load_case("contested-market").replace(process={"kind": "historical", "factors": (0.9, 1.1, 1.2)})
    with pytest.raises(InputError, match=r"^process: layers of plant take steps that are mixtures"):
        LayerRelaxation(historical)
    case = load_case("contested-market").replace(T=3, process=REGIMES)
    with pytest.raises(InputError, match=r"^demand: what is seen beside it"):
        LayerRelaxation(case).known(sample(case, 10)[0])
    assert (
        penalised_ends(load_case("contested-market").replace(sigma=0.0), STRATEGIES["moderate"], Sampling(10)) is None
    )
