"""Policies of models: what they come to on paths, against the lunar simulation, plans at nodes and cuts on lattices."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.stats import norm

from scenario_trees import GeometricBrownianMotion, MarkovLattice, ScenarioTree
from stochisru import InputError, extensive_form, load_case, policy_named, sddp, simulate_policies
from stochisru.lunar.simulation.monte_carlo import npv_on_paths
from stochisru.lunar.strategies.on_model import OnModel
from stochisru.problem import Decision, Factor, Model, Operation, Row, WaitAndSee, evaluate
from stochisru.problem.policies import AtNodes, Planned, follow
from stochisru.simulation.sampling import Sampling
from stochisru.testing import check_policy
from tests import models

DEMAND = GeometricBrownianMotion(100.0, 0.05, 0.25)


def newsvendor(sense="maximise", upper=400.0):
    sign = 1.0 if sense == "maximise" else -1.0
    return Model(
        "newsvendor",
        1,
        [
            Decision("order", lead=1, years=[1], cost=1.0, upper=upper),
            Operation("sold", value=3.0, upper=Factor("demand")),
            Row("stock", {"sold": 1.0, "order": -1.0}, upper=0.0),
        ],
        sense=sense,
        process=DEMAND,
    ), sign


@pytest.mark.parametrize("lead", [0, 1, 2, 3])
@pytest.mark.parametrize(
    "symbols", [{}, {"degradation": 0.1}, {"earth_limit": 300.0}, {"lot": 40.0, "fixed_cost": 1e6}]
)
@pytest.mark.parametrize("name", ["moderate", "gradual", "reactive"])
def test_strategies_on_the_model_are_the_lunar_simulation(lead, symbols, name):
    case = load_case("lunar-reference").replace(T=4, lead_time=lead, **symbols)
    strategy, demand = policy_named(name, case), case.process.sample(40, 4, seed=3)
    found = follow(case.model, OnModel(strategy, case), demand.T)
    ours = npv_on_paths(case, strategy, demand)
    assert not found.broken.any()
    np.testing.assert_allclose(found.values, ours, rtol=0, atol=1e-7 * np.abs(ours).max())


@pytest.mark.parametrize("model", [models.power(3), models.several_leads(3), models.machines(3)], ids=lambda m: m.name)
def test_a_plan_at_nodes_on_the_scenarios_of_its_tree_is_the_plan(model):
    tree = ScenarioTree.from_process(DEMAND, [3, 2, 2])
    result = extensive_form(model, tree)
    paths = tree.value[tree.node_paths()]
    found = follow(model, result.policy(), paths)
    np.testing.assert_allclose(found.values, result.plan.scenarios, rtol=0, atol=1e-6 * result.plan.flows)


@pytest.mark.parametrize("model", [models.power(3), models.hydro(3), models.several_leads(3)], ids=lambda m: m.name)
def test_cuts_on_paths_of_their_lattice_are_the_plan_of_the_lattice(model):
    lattice = MarkovLattice.from_process(DEMAND, 3, 8)
    result = sddp(model, lattice, iterations=20)
    states = lattice.sample(60, seed=4)
    paths = np.stack([value[state] for value, state in zip(lattice.values, states, strict=True)], axis=1)
    found = follow(model, result.policy(), paths)
    worth = result.plan.on_paths(states)
    assert not found.broken.any()
    np.testing.assert_allclose(found.values * model.sign, worth, rtol=0, atol=1e-6 * result.plan.programs.flows)


@pytest.mark.parametrize("model", [models.power(4), models.hydro(4)], ids=lambda m: m.name)
def test_cuts_keep_the_rows_on_paths_beyond_the_lattice(model):
    """Demand above every state of the lattice, and below: what the year asks for is done all the same."""
    result = sddp(model, MarkovLattice.from_process(DEMAND, 4, 6), iterations=20)
    paths = 100.0 * np.array([[1, 3, 9, 20, 40], [1, 0.3, 0.1, 0.03, 0.01], [1, 1, 30, 1, 30]])
    found = follow(model, result.policy(), paths)
    assert not found.broken.any()
    assert np.isfinite(found.values).all()


@pytest.mark.slow
def test_the_mean_of_cuts_on_the_process_is_near_the_bracket_of_the_lattice():
    model = replace(models.several_leads(3), process=DEMAND)
    result = sddp(model, MarkovLattice.from_process(DEMAND, 3, 25), iterations=12)
    found = simulate_policies(model, [result.policy()], paths=2000, seed=2).metrics["sddp"]["mean"]
    error = 3 * found.standard_error + 0.02 * abs(result.objective)  # the lattice is not the process
    assert found.value == pytest.approx(result.objective, abs=error)


def test_the_newsvendor_of_the_process_has_its_closed_form():
    """Mean profit of every order quantity: 3 E min(q, D) − q, D lognormal."""
    model, _ = newsvendor()
    orders = (60.0, 100.0, 120.0, 200.0)
    found = simulate_policies(model, [Planned({"order": [0, q]}, f"q{q:g}") for q in orders], paths=4000, seed=1)
    for q in orders:
        mean = found.metrics[f"q{q:g}"]["mean"]
        exact = 3 * float(DEMAND.limited_mean(q, 1.0)) - q
        assert abs(mean.value - exact) < 4 * mean.standard_error + 1e-9
    d = (np.log(2 / 3) - 0) * 0 + norm.ppf(2 / 3)  # critical ratio 1 − 1/3
    best = 100 * np.exp(0.05 - 0.5 * 0.25**2 + 0.25 * d)
    better = simulate_policies(
        model, [Planned({"order": [0, best]}, "best"), Planned({"order": [0, 60]}, "few")], seed=1
    )
    assert better.difference("best", "few").lower > 0


def test_costs_are_in_the_sense_of_the_model():
    """Where cost is minimised the worst are the dearest, and quantiles are those of cost."""
    model = replace(models.power(3), process=DEMAND)
    plan = {"gas_order": [80, 20, 0, 0], "wind_order": [40, 0, 0, 0]}
    found = simulate_policies(model, [Planned(plan)], paths=400, seed=5)
    (values,), table = found.values, found.metrics["planned"]
    assert table["mean"].value == pytest.approx(values.mean())
    assert table["p5"].value < table["p50"].value < table["p95"].value < table["worst5"].value <= values.max()
    assert table["worst5"].value == pytest.approx(np.sort(values)[-20:].mean(), rel=0.02)
    told = json.loads(json.dumps(found.to_dict()))
    assert told["policies"]["planned"]["mean"] == table["mean"].value
    assert told["sense"] == "minimise"
    on = evaluate(model, plan, DEMAND.sample(400, 3, seed=5).T)
    np.testing.assert_allclose(values, on.scenarios, rtol=1e-9)


def test_results_do_not_depend_on_workers_and_draw_from_what_is_named():
    model = replace(models.several_leads(3), process=DEMAND)
    policy = Planned({"slow": [90, 0, 20, 20], "fast": [0, 10, 10, 0]})
    one, two = (simulate_policies(model, [policy], sampling=Sampling(600, 3, workers=w)).values for w in (1, 2))
    np.testing.assert_array_equal(one, two)
    lattice = MarkovLattice.from_process(DEMAND, 3, 5)
    drawn = simulate_policies(model, [policy], paths=50, process=lattice)
    assert "MarkovLattice" in drawn.process
    with pytest.raises(InputError, match="has none; name the process"):
        simulate_policies(replace(model, process=None), [policy])


def test_a_broken_row_shows():
    case = load_case("lunar-reference").replace(T=3)
    capped = case.model.with_part(Row("mass_limit", {"M_leo": 1.0}, upper=100.0))
    reactive = OnModel(policy_named("reactive", case), case)
    free = simulate_policies(case.model, [reactive], paths=60).values[0]
    found = simulate_policies(capped, [reactive], paths=60)
    launched = follow(case.model, reactive, case.process.sample(60, 3, seed=0).T).plan.quantities["M_leo"]
    heavy = (launched[1:].reshape(3, 60) > 100.0 * (1 + 1e-9)).any(axis=0) | (launched[0] > 100.0)
    assert heavy.any()
    np.testing.assert_array_equal(found.values[0] == -np.inf, heavy)
    np.testing.assert_allclose(found.values[0][~heavy], free[~heavy], rtol=1e-9)
    mean = found.metrics["reactive"]["mean"]
    assert mean.value == -np.inf
    assert mean.reason == f"a row is broken on {heavy.sum()} of 60 paths"


@dataclass(frozen=True)
class Rule:
    """Orders a share of what it sees; ``peek`` looks at the whole array that demand is a view of."""

    share: float = 1.0
    peek: bool = False
    name: str = "rule"

    def decide(self, seen):
        demand = seen.factors["demand"][-1]
        if self.peek and seen.factors["demand"].base is not None:
            demand = np.asarray(seen.factors["demand"].base).reshape(-1)[: demand.size] * 0 + demand.mean()
        plant = seen.states.get("plant", np.zeros(seen.paths))
        due = {name: len(years) for name, years in seen.due.items()}
        return {name: np.tile(np.maximum(self.share * demand - plant, 0.0), (n, 1)) / 3 for name, n in due.items()}

    def describe(self):
        return "Order a third of what is missing."


class Foresight(Rule):
    """Knows the paths."""

    def __init__(self, paths):
        super().__init__()
        object.__setattr__(self, "paths", paths)

    def decide(self, seen):
        last = self.paths[:, -1] if seen.paths == len(self.paths) and seen.year else np.full(seen.paths, 100.0)
        return {name: np.tile(last, (len(years), 1)) for name, years in seen.due.items()}


def test_policies_are_checked():
    model = replace(models.several_leads(3), process=DEMAND)
    check_policy(Rule(), model)
    check_policy(sddp(model, MarkovLattice.from_process(DEMAND, 3, 6), iterations=20).policy(), model)
    check_policy(extensive_form(model, ScenarioTree.from_process(DEMAND, [2, 2, 2])).policy(), model)
    with pytest.raises(AssertionError, match="depend on the other paths"):
        check_policy(Rule(peek=True), model)
    with pytest.raises(AssertionError, match=r"other paths|order of the paths"):
        check_policy(Foresight(DEMAND.sample(16, 3, seed=1).T), model)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "must give 'order' in year 0"),
        ({"order": [[1.0], [2.0]]}, r"'order' of year 0 must be numbers of shape \(1, 2\)"),
        ({"order": "many"}, "must be numbers of shape"),
        ({"order": np.nan}, "must be finite"),
        ({"order": [1.0, 2.0]}, "must be alike on all paths"),
        ({"order": 900.0}, r"'order' of year 1 must lie in \[0, 400\], got 900"),
        ({"order": -3.0}, r"must lie in \[0, 400\], got -3"),
        ({"order": 1.0, "bought": 2.0}, "'bought' is nothing to decide in year 0"),
    ],
)
def test_what_a_policy_gives_is_checked(given, message):
    class Given:
        name = "given"

        def decide(self, seen):
            return given if seen.year == 0 else {}

        def describe(self):
            return "As given."

    with pytest.raises(InputError, match=f"policy given: .*{message}"):
        follow(newsvendor()[0], Given(), [[1, 50], [1, 100]])


def test_what_is_not_known_yet_is_refused():
    class Early:
        name = "early"

        def decide(self, seen):
            seen.amount("plant", 3)
            return {}

        def describe(self):
            return ""

    with pytest.raises(InputError, match="'plant' of year 3 is not known in year 0"):
        follow(models.several_leads(3), Early(), DEMAND.sample(2, 3, seed=0).T)


def test_a_policy_operates_what_is_carried_over():
    with pytest.raises(InputError, match=r"must give operations too, released, spilled, bought: .* state 'water'"):
        follow(models.hydro(2), Planned({"order": [0, 0, 0]}), [[100, 90, 80]])


def test_a_plan_of_wait_and_see_is_no_policy():
    model, tree = newsvendor()[0], ScenarioTree.from_process(DEMAND, [3])
    plan = replace(extensive_form(model, tree).plan, information=WaitAndSee())
    with pytest.raises(InputError, match="nobody knows yet"):
        AtNodes(plan)
