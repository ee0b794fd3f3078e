"""Several factors everywhere that one works: plans, policies, simulation, path models, mpi-sppy, partial EVPI."""

import json
import tomllib
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.mpisppy_ef import import_mpisppy
from scenario_trees import (
    CorrelatedFactors,
    GeometricBrownianMotion,
    HistoricalIncrements,
    JumpDiffusion,
    MarkovLattice,
    RegimeSwitching,
    ScenarioTree,
    UnknownDrift,
)
from stochisru import InputError, extensive_form, load_case, policy_named, sddp, simulate_policies
from stochisru.cli.main import main
from stochisru.lunar.case import problem_from_dict
from stochisru.lunar.factors import with_factors
from stochisru.lunar.strategies.on_model import OnModel
from stochisru.partial_evpi import partial_evpi, partial_evpi_of_process
from stochisru.problem import Decision, Factor, Model, Operation, Row, State, evaluate
from stochisru.problem.on_path import Scenarios, path_model, solve_pyomo
from stochisru.problem.paths import Paths
from stochisru.problem.policies import Planned, follow
from stochisru.problem.sampled import SampledScenarios
from stochisru.testing import check_policy, check_problem, check_process
from stochisru.values import values
from tests.test_mpisppy import _objective, driver
from tests.test_mpisppy_sampling import _gaps

DEMAND, PRICE = GeometricBrownianMotion(100.0, 0.05, 0.25), GeometricBrownianMotion(3.0, -0.02, 0.2)
STILL = GeometricBrownianMotion(3.0, 0.0, 0.0)
RNG = np.random.default_rng(5)


def both(correlation=0.5, price=PRICE):
    return CorrelatedFactors(("demand", "price"), (DEMAND, price), ((1, correlation), (correlation, 1)))


def plant(T, sense="maximise", store=False, slow=False, factors=("demand", "price"), price=None):
    """Plant for a demand at a price, each a factor; what is made may be stored, or a slow order may be cheaper."""
    paid = price if price is not None else Factor("price")
    parts = [Decision("order", lead=1, cost=4.0, upper=300.0)]
    if slow:
        parts.append(Decision("slow", lead=2, cost=3.0, upper=300.0))
    parts.append(State("plant", keep=0.9, gains={part.name: 1.0 for part in parts}, initial=20.0))
    sold = Operation("sold", value=paid, upper=Factor(factors[0]))
    if store:
        parts += [
            Operation("made", value=-0.05, upper=800.0),
            Row("capacity", {"made": 1.0, "plant": -1.0}, upper=0.0),
            sold,
            State("store", keep=0.95, gains={"made": 1.0, "sold": -1.0}, upper=200.0, cost=0.01),
        ]
    else:
        parts += [sold, Row("capacity", {"sold": 1.0, "plant": -1.0}, upper=0.0)]
    return Model("plant", T, parts, sense=sense, discount_rate=0.05, factors=factors)


def own(model, tree):
    """The tree's own paths, all that is seen, and their probabilities."""
    return Paths.down(model, tree, tree.node_paths()), tree.probability[tree.leaves]


MODELS = {
    "one factor of another name": (plant(2, factors=("load",), price=3.0), DEMAND, [3, 2]),
    "the second factor alone": (plant(2, factors=("price",), price=lambda t, f: f["price"]), both(), [(2, 2), (2, 2)]),
    "two factors": (plant(2), both(), [(3, 2), (2, 2)]),
    "minimised": (plant(2, "minimise"), both(-0.4), [(3, 2), (2, 2)]),
    "in another order": (replace(plant(2), factors=("price", "demand")), both(), [(3, 2), (2, 2)]),
    "unequal leads": (plant(3, slow=True), both(), [(2, 2), (2, 1), (2, 2)]),
    "a store": (plant(2, store=True), both(), [(2, 2), (2, 2)]),
    "a store and unequal leads, minimised": (plant(3, "minimise", True, True), both(), [(2, 2), (2, 1), (2, 1)]),
    "a regime beside": (
        plant(2, factors=("load",), price=3.0, store=True),
        replace(RegimeSwitching.example(), initial=100.0),
        [2, 2],
    ),
}


@pytest.fixture(params=MODELS)
def stated(request):
    model, process, branching = MODELS[request.param]
    return replace(model, process=process), ScenarioTree.from_process(process, branching)


# ------------------------------------------------------------------ plans on their own paths


def test_a_plan_on_the_paths_of_its_tree_is_the_plan(stated):
    model, tree = stated
    best = extensive_form(model, tree)
    paths, chance = own(model, tree)
    assert values(model, tree).point("rp") == pytest.approx(best.objective, rel=1e-9)
    found = follow(model, best.policy(), paths)
    assert not found.broken.any()
    np.testing.assert_allclose(found.values, best.plan.scenarios, rtol=0, atol=1e-9 * best.plan.flows)
    assert chance @ found.values == pytest.approx(best.objective, abs=1e-9 * best.plan.flows)


def test_a_table_on_paths_is_worth_what_it_is_on_the_tree(stated):
    model, tree = stated
    paths, chance = own(model, tree)
    table = {part.name: [0.0, 40.0, 10.0, 5.0][: model.horizon + 1] for part in model.decisions}
    at_tree = evaluate(model, table, tree)
    if model.stores:
        with pytest.raises(InputError, match="state 'store': is fed by operations and kept"):
            evaluate(model, table, paths.of_factors(model))
        return
    given = paths.of_factors(model)
    on_paths = evaluate(model, table, given if given.shape[2] > 1 else given[:, :, 0])
    assert chance @ on_paths.scenarios == pytest.approx(at_tree.value, rel=1e-9)
    np.testing.assert_allclose(follow(model, Planned(table), given).values, on_paths.scenarios, rtol=1e-9)


def test_policies_keep_their_protocol_and_are_simulated(stated):
    model, tree = stated
    lattice = MarkovLattice.from_process(model.process, model.horizon, (3, 3) if "price" in tree.names else 3)
    rules = [extensive_form(model, tree).policy(), sddp(model, lattice, iterations=6).policy()]
    for rule in rules:
        check_policy(rule, model)
        check_policy(rule, model, process=lattice)
    for source in (None, lattice):
        found = simulate_policies(model, rules, paths=60, process=source)
        assert np.isfinite(found.values).all()
    cuts = rules[1]
    states = lattice.sample(30, seed=4)
    followed = follow(model, cuts, Paths.of_states(model, lattice, states))
    worth = cuts.plan.on_paths(states)
    np.testing.assert_allclose(followed.values * model.sign, worth, rtol=0, atol=1e-6 * cuts.plan.programs.flows)


@pytest.mark.parametrize("name", ["one factor of another name", "minimised", "in another order", "a store"])
def test_conformance(name):
    model, process, branching = MODELS[name]
    check_problem(replace(model, process=process), ScenarioTree.from_process(process, branching))


# ------------------------------------------------------------------------------ limits


@pytest.mark.parametrize("store", [False, True])
def test_a_constant_second_factor_is_one_factor(store):
    """Not nearly: the same decisions on the same paths."""
    two, one = plant(2, store=store), plant(2, store=store, factors=("demand",), price=3.0)
    certain = both(0.0, STILL)
    tree = ScenarioTree.from_process(certain, [(3, 1), (2, 1)])
    alone = ScenarioTree.from_process(DEMAND, [3, 2])
    mine, theirs = extensive_form(two, tree), extensive_form(one, alone)
    assert mine.objective == pytest.approx(theirs.objective, rel=1e-12)
    demand = DEMAND.sample(50, 2, seed=3).T
    paths = np.stack([demand, np.full_like(demand, 3.0)], axis=2)
    lattice = MarkovLattice.from_process(DEMAND, 2, 6)
    still = tuple(np.full((size, 1), 3.0) for size in lattice.sizes)
    wide = MarkovLattice(lattice.values, lattice.transitions, still, ("demand", "price"))
    pairs = [(mine, theirs), (sddp(two, wide, iterations=8), sddp(one, lattice, iterations=8))]
    for both_, single in pairs:
        a, b = follow(two, both_.policy(), paths), follow(one, single.policy(), demand)
        np.testing.assert_allclose(a.values, b.values, rtol=1e-9)
    if not store:
        table = {"order": [0.0, 30.0, 20.0]}
        np.testing.assert_allclose(evaluate(two, table, paths).scenarios, evaluate(one, table, demand).scenarios)


def test_a_product_of_two_factors_is_the_factor_that_it_is():
    """Revenue per unit of plant P·Y as two factors, and as one whose tree has the products; VSS too is another."""

    def model(factors, worth):
        parts = [
            Decision("order", lead=1, years=[1], cost=250.0, upper=50.0),
            Operation("run", value=worth, upper=1e9),
            Row("capacity", {"run": 1.0, "order": -1.0}, upper=0.0),
            Row("market", {"run": 1.0}, upper=30.0),
        ]
        return Model("product", 1, parts, factors=factors)

    process = both(0.6)
    tree = ScenarioTree.from_process(process, [(3, 3)])
    product = replace(tree, value=tree.value * tree.factor("price"), others=None, names=("revenue",))
    two, one = model(("demand", "price"), lambda t, f: f["demand"] * f["price"]), model(("revenue",), Factor("revenue"))
    mine, theirs = values(two, tree), values(one, product)
    for name in ("ws", "rp", "static"):
        assert mine.point(name) == pytest.approx(theirs.point(name), rel=1e-9)
    # E[DP] is above E[D] E[P] where they rise together: the mean path of the product is another plan.
    assert product.stage_mean()[1] > tree.stage_mean()[1] * tree.stage_mean(tree.factor("price"))[1]
    a, b = extensive_form(two, tree).policy(), extensive_form(one, product).policy()
    demand, price = process.state_paths(RNG.standard_normal((2, 40)))[:, :, 0].T, 3.0
    paths = np.stack([demand, np.full_like(demand, price)], axis=2)
    np.testing.assert_allclose(follow(two, a, paths).values, follow(one, b, demand * price).values, rtol=1e-9)


def test_levels_of_stores_are_kept_as_far_as_they_can_be():
    """A store of water by hand: 10 flow in a year; what is missing to the level is not delivered."""
    model = Model(
        "reservoir",
        1,
        [
            Operation("out", value=2.0, upper=Factor("need")),
            Operation("spill", value=-0.1, upper=100.0),
            State("water", gains={"out": -1.0, "spill": -1.0}, inflow=10.0, initial=5.0, upper=20.0),
        ],
        factors=("need",),
    )
    paths = [[8.0, 4.0], [8.0, 50.0]]
    found = follow(model, Planned({"water": [9.0, 6.0]}), paths)
    # Year 0: 15 there, 9 left, 6 of 8 delivered. Year 1: 19 there, 6 left: 4 delivered and 9 spilled, or 13 delivered.
    np.testing.assert_allclose(found.values, [12 + 8 - 0.9, 12 + 26], atol=1e-9)
    dry = follow(model, Planned({"water": [19.0, 19.0]}), paths)  # 15 and 25 are there: 15, then 19 of 25
    np.testing.assert_allclose(dry.values, [2 * 4 - 0.2, 2 * 6.0], atol=1e-9)
    short = follow(model.with_part(Row("firm", {"out": 1.0}, lower=7.0)), Planned({"water": [9.0, 6.0]}), paths)
    assert short.broken.tolist() == [True, False]  # 4 < 7 in year 1, of the first path alone
    np.testing.assert_allclose(short.values[1], 14 + 24, atol=1e-9)  # 7 out, 8 left; 18 there, 12 out
    with pytest.raises(InputError, match=r"or the level that is to be left: water"):
        follow(model, Planned({}), paths)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({"store": 1.0}, {}, "gives levels of stores, and must give 'store' in year 1"),
        ({"made": 0.0, "sold": 0.0}, {}, "gives operations, and must give 'made' in year 1"),
        ({"store": 1.0, "made": 0.0}, {}, "must give operations or levels, got 'made' too in year 0"),
        ({"store": [1.0, 2.0, 3.0]}, {}, r"'store' of year 0 must be numbers of shape \(1, 2\)"),
    ],
)
def test_what_a_policy_says_of_stores_is_checked(first, second, message):
    class Given:
        name = "given"

        def decide(self, seen):
            orders = {name: np.zeros((len(years), seen.paths)) for name, years in seen.due.items()}
            return orders | (second if seen.year else first)

        def describe(self):
            return "As given."

    with pytest.raises(InputError, match=message):
        follow(plant(1, store=True), Given(), np.full((2, 2, 2), 50.0))


def two_factors():
    """For mpi-sppy's drivers."""
    model, process, _ = MODELS["unequal leads"]
    return replace(model, process=process), ScenarioTree.from_process(process, [(2, 2)] * 3)


# ------------------------------------------------------------------- Pyomo and mpi-sppy


def test_a_driver_of_mpisppy_runs_and_samples_several_factors(tmp_path):
    import_mpisppy()
    problem = ("--problem", f"{__name__}:two_factors", "--EF", "--EF-solver-name", "appsi_highs")
    text = driver(*problem, "--solution-base-name", "plan", folder=tmp_path)
    model, tree = two_factors()
    assert _objective(text) == pytest.approx(extensive_form(model, tree).objective, rel=1e-7)
    options = ("--mmw-xhat-input-file-name", "plan.npy", "--mmw-num-batches", "2", "--mmw-batch-size", "4")
    text = driver(*problem, "--branching-factors", "4 4 4", *options, "--mmw-start", "0", folder=tmp_path)
    assert len(_gaps(text)) == 2
    assert all(gap <= 1e-6 for gap in _gaps(text))  # no plan is better than the best, which is maximised


def test_path_models_take_paths_of_all_factors(stated):
    model, tree = stated
    paths, chance = own(model, tree)
    found = [solve_pyomo(path_model(model, path), "appsi_highs") for path in paths.of_factors(model)]
    assert chance @ found == pytest.approx(values(model, tree).point("ws"), rel=1e-7)


def test_the_extensive_form_of_mpisppy_is_ours(stated):
    import_mpisppy()
    from mpisppy.opt.ef import ExtensiveForm

    model, tree = stated
    drawn = SampledScenarios(model, tree, [2] * model.horizon, [1])
    sample = drawn.sample_tree()
    for on, creator in ((tree, Scenarios(model, tree).creator), (sample, drawn.creator)):
        scenarios = Scenarios(model, on)
        form = ExtensiveForm({"solver": "appsi_highs"}, scenarios.names, creator, all_nodenames=scenarios.node_names)
        form.solve_extensive_form()
        best = extensive_form(model, on)
        assert form.get_objective_value() == pytest.approx(best.objective, abs=1e-8 * best.plan.flows)


def test_draws_of_several_factors_have_their_law():
    model = replace(plant(2), process=both(0.6))
    drawn = SampledScenarios(model, ScenarioTree.from_process(model.process, [(2, 2)] * 2), [3000, 1], [4])
    logs = np.log(np.array([drawn.path(drawn.draws([i, 0], 1, ())) for i in range(3000)])[:, -1])
    assert np.corrcoef(logs.T)[0, 1] == pytest.approx(0.6, abs=0.04)
    assert logs.std(axis=0) == pytest.approx(np.array([0.25, 0.2]) * np.sqrt(2), rel=0.05)


# ----------------------------------------------------------------------------- refusals


def test_what_cannot_be_is_one_line():
    model = replace(plant(2), process=both())
    tree = ScenarioTree.from_process(model.process, [(2, 2), (2, 2)])
    table = {"order": [0.0, 1.0, 1.0]}
    with pytest.raises(
        InputError, match=r"shape \(paths, years, 2\), factors in the order demand, price, got \(1, 3\)"
    ):
        evaluate(model, table, [[100.0, 100.0, 100.0]])
    with pytest.raises(InputError, match=r"need one number per year 0\.\.2 for plant, got 2"):
        follow(model, Planned(table), np.ones((4, 2, 2)))
    with pytest.raises(InputError, match="alike in year 0, got 1 to 2"):
        follow(model, Planned(table), np.stack([np.ones((2, 3)), np.array([[1.0] * 3, [2.0] * 3])], axis=2))
    with pytest.raises(
        InputError, match="process: lacks the factor 'demand'; plant has 2: demand, price, the process has value"
    ):
        simulate_policies(model, [Planned(table)], process=HistoricalIncrements.example())
    with pytest.raises(InputError, match="lattice: lacks the factor 'demand'"):
        simulate_policies(model, [Planned(table)], process=MarkovLattice.from_process(DEMAND, 2, 3))
    with pytest.raises(InputError, match="must have 2 numbers a year, demand, price, got 1"):
        path_model(model, [100.0, 100.0, 100.0])
    regimes = replace(RegimeSwitching.example(), initial=100.0)
    alone = replace(plant(2, factors=("load",), price=3.0), process=regimes)
    for rule in (
        extensive_form(alone, ScenarioTree.from_process(regimes, [2, 2])).policy(),
        sddp(alone, MarkovLattice.from_process(regimes, 2, 3), iterations=3).policy(),
    ):
        with pytest.raises(InputError, match=r"is told apart by 'regime' too, which the paths do not tell"):
            follow(alone, rule, np.full((2, 3), 100.0))
    assert extensive_form(model, tree).policy().plan is not None


def test_the_nearest_node_does_not_depend_on_units():
    """The price in cents: the same plan does the same."""
    process = both()
    cents = CorrelatedFactors(
        ("demand", "price"), (DEMAND, GeometricBrownianMotion(300.0, -0.02, 0.2)), process.correlation
    )
    dollar, cent = plant(2), plant(2, price=Factor("price") / 100)
    on = [ScenarioTree.from_process(each, [(3, 3), (2, 2)]) for each in (process, cents)]
    paths = process.state_paths(RNG.standard_normal((4, 60))).swapaxes(0, 1)
    mine = follow(dollar, extensive_form(dollar, on[0]).policy(), paths).values
    theirs = follow(cent, extensive_form(cent, on[1]).policy(), paths * [1.0, 100.0]).values
    np.testing.assert_allclose(mine, theirs, rtol=1e-9)


def test_all_means_of_several_factors_are_checked():
    check_process(CorrelatedFactors.example(), paths=4000)

    class Wrong(CorrelatedFactors):
        def means(self, t):
            return super().means(t) * [1.0, 1.05]

    with pytest.raises(AssertionError, match="mean of 'price' of year"):
        check_process(Wrong(("demand", "price"), (DEMAND, PRICE)), paths=4000)


# ------------------------------------------------------------------------ the lunar problem


def test_strategies_see_demand_and_its_regime_among_several_factors():
    case = load_case("contested-market").replace(T=3)
    launch = GeometricBrownianMotion(case.costs.c_L, -0.05, 0.2)
    model = with_factors(case, {"launch": launch}, [[1.0, 0.3], [0.3, 1.0]])
    check_policy(OnModel(policy_named("moderate", case), case), model)
    still = with_factors(case, {"launch": GeometricBrownianMotion(case.costs.c_L, 0.0, 0.0)})
    rule = OnModel(policy_named("moderate", case), case)
    demand = case.process.sample(20, 3, seed=1).T
    paths = np.stack([demand, np.full_like(demand, case.costs.c_L)], axis=2)
    np.testing.assert_allclose(follow(still, rule, paths).values, follow(case.model, rule, demand).values, rtol=1e-9)


CHEAPER = [{"symbol": "c_L", "initial": 5000.0, "mu": -0.1, "sigma": 0.3, "correlation": 0.4}]


def with_tables(T=2, **tables):
    data = tomllib.loads(load_case("contested-market").replace(T=T).to_toml())
    data["economics"].pop("c_L", None)
    for table in data.values():
        if isinstance(table, dict):
            table.pop("c_L", None)
    return problem_from_dict(data | {"factors": CHEAPER} | tables)


@pytest.mark.parametrize("tables", [{}, {"storage": {"capacity": 300.0, "boil_off": 0.05, "initial": 20.0}}])
def test_a_case_with_factors_is_simulated(tables):
    case = with_tables(**tables)
    tree = ScenarioTree.from_process(case.process, [(2, 2), (2, 1)])
    result = extensive_form(case, tree)
    model = case.model_on(tree)
    paths, chance = own(model, tree)
    found = follow(model, result.policy(), paths)
    assert chance @ found.values == pytest.approx(result.objective, abs=1e-8 * result.plan.flows)
    check_policy(result.policy(), model)
    assert np.isfinite(simulate_policies(model, [result.policy()], paths=40).values).all()
    drawn = case.process.state_paths(RNG.standard_normal((4, 10))).swapaxes(0, 1)
    assert case.model_on(drawn).factors == ("demand", "c_L")


def test_plans_are_evaluated_on_the_process_of_all_factors(tmp_path, capsys):
    case = with_tables()
    (tmp_path / "two.toml").write_text(case.to_toml())
    (tmp_path / "plan.csv").write_text("year,kg\n0,100\n1,50\n2,20\n")
    target = tmp_path / "e.json"
    with pytest.raises(SystemExit) as end:
        main(
            [
                "evaluate",
                str(tmp_path / "two.toml"),
                f"--plan={tmp_path / 'plan.csv'}",
                "--paths=60",
                f"--json={target}",
            ]
        )
    assert end.value.code == 0, capsys.readouterr().err
    from stochisru.simulation.of_model import drawn_paths
    from stochisru.simulation.sampling import Sampling

    model = case.model_on(np.full((1, 3, 2), 1e4))
    paths = drawn_paths(model, case.process, Sampling(60, 0))
    assert json.loads(target.read_text())["value"] == pytest.approx(
        evaluate(model, {"dM": [100.0, 50.0, 20.0]}, paths).value, rel=1e-9
    )


# -------------------------------------------------------------------------- partial EVPI


def newsvendor():
    return Model(
        "newsvendor",
        1,
        [
            Decision("order", lead=1, years=[1], cost=1.0, upper=1000),
            Operation("sold", value=Factor("price"), upper=Factor("demand")),
            Row("stock", {"sold": 1.0, "order": -1.0}, upper=0.0),
        ],
        factors=("demand", "price"),
    )


def correlated(rho):
    parts = GeometricBrownianMotion(100.0, 0.0, 0.3), GeometricBrownianMotion(1.6, 0.0, 0.4)
    return CorrelatedFactors(("demand", "price"), parts, ((1, rho), (rho, 1)))


def test_knowing_the_second_of_two_correlated_factors_by_hand():
    """Demand given the price is lognormal again: z = ρ z_P + √(1 − ρ²) z', summed over the branches of z'."""
    process, rho, n = correlated(0.6), 0.6, 5
    found = partial_evpi_of_process(newsvendor(), process, [(n, n)])
    z, w = np.polynomial.hermite_e.hermegauss(n)
    w = w / w.sum()
    price = np.exp(0.4 * z)
    price *= 1.6 / (w @ price)
    demand = np.exp(0.3 * (rho * z[:, None] + np.sqrt(1 - rho**2) * z[None, :]))
    demand *= 100.0 / (w @ demand @ w)
    known = w @ [max(0.0, *(p * (w @ np.minimum(q, d)) - q for q in d)) for p, d in zip(price, demand, strict=True)]
    joint = np.outer(w, w)
    rp = max(0.0, *((joint * price[:, None] * np.minimum(q, demand)).sum() - q for q in demand.ravel()))
    assert found.parts["price"].value == pytest.approx(known - rp, rel=1e-7)
    assert not found.parts["price"].tells_all
    assert 0 < found.parts["price"].value < found.evpi.value


def test_partial_evpi_of_correlated_factors_has_its_limits():
    apart = partial_evpi(newsvendor(), ScenarioTree.from_process(correlated(0.0), [(4, 4)]))
    none = partial_evpi_of_process(newsvendor(), correlated(0.0), [(4, 4)])
    near = partial_evpi_of_process(newsvendor(), correlated(1e-6), [(4, 4)])
    for name in ("demand", "price"):
        assert none.parts[name].value == pytest.approx(apart.parts[name].value)
        assert near.parts[name].value == pytest.approx(apart.parts[name].value, rel=1e-4)
    one = partial_evpi_of_process(newsvendor(), correlated(0.999999), [(4, 4)])  # either tells the other
    for name in ("demand", "price"):
        assert one.parts[name].value == pytest.approx(one.evpi.value, rel=0.01)
    jumps = CorrelatedFactors(("demand", "price"), (JumpDiffusion.example(), PRICE), ((1, 0.3), (0.3, 1)))
    assert jumps.leading("price").leading("demand") == jumps
    assert jumps.leading("price").means(2.0)[::-1] == pytest.approx(jumps.means(2.0))
    learning = CorrelatedFactors(("demand", "price"), (UnknownDrift.example(), PRICE), ((1, 0.3), (0.3, 1)))
    assert learning.leading("price").names[:2] == ("price", "demand")


def resolved(*options):
    with pytest.raises(SystemExit) as end:
        main(["resolve", *options])
    return end.value.code


def test_resolve_takes_the_factors_of_a_case(tmp_path, capsys):
    case = with_tables()
    (tmp_path / "two.toml").write_text(case.to_toml())
    assert resolved(str(tmp_path / "two.toml"), "--branching=3,2", f"--json={tmp_path / 'r.json'}") == 0
    data = json.loads((tmp_path / "r.json").read_text())
    assert set(data["factors"]) == {"demand", "c_L"}
    tree = ScenarioTree.from_process(case.process, [3, 2])
    assert data["evpi"]["value"] == pytest.approx(values(case.model_on(tree), tree).point("evpi"), rel=1e-6)
    assert not data["factors"]["c_L"]["tells_all"]
    capsys.readouterr()
    # Correlation given beside base cases; what does not fit is one line.
    base = ("contested-market", "--horizon=2", "--branching=2,2", "--launch=-0.1:0.3")
    assert resolved(*base, "--correlation=demand:launch:0.4") == 0
    capsys.readouterr()
    for options, message in (
        ((*base, "--correlation=demand:rain:0.4"), "correlation: must be FACTOR:FACTOR:NUMBER"),
        (
            (str(tmp_path / "two.toml"), "--launch=0:0.1"),
            "launch: contested-market has tables, and says its factors in",
        ),
    ):
        assert resolved(*options) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    risky = with_tables(risk={"kind": "total", "weight": 0.5, "tail": 0.1})
    with pytest.raises(InputError, match=r"risk: .* got the mean over paths"):
        partial_evpi_of_process(risky.model_on, risky.process, [2, 2])
