"""Learning by doing in a case: against enumeration, modules as small as one likes, the study, and what must hold."""

import json
import tomllib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenario_trees import ScenarioTree
from stochisru import InputError, load_case, simulate
from stochisru.cli.main import main
from stochisru.lunar.case import problem_from_dict
from stochisru.lunar.exact.lattice_levels import LatticeLevels
from stochisru.lunar.exact.level_dp import level_dp
from stochisru.lunar.exact.tree_dp import tree_dp
from stochisru.lunar.learning.case import LearningCase
from stochisru.lunar.learning.plan import LearnedPlan
from stochisru.lunar.learning.rate import Learning
from stochisru.lunar.learning.solving import learned_on_lattice, learned_on_tree
from stochisru.lunar.learning.values import learned_values
from stochisru.lunar.trees import case_lattice
from stochisru.methods.registry import methods

CONTESTED = load_case("contested-market")


def pair(rate, reference=60.0, branching=(2, 2), **symbols):
    base = CONTESTED.replace(T=len(branching), **symbols)
    return LearningCase(base, Learning(rate, reference)), ScenarioTree.from_process(base.process, list(branching))


def npv_by_hand(case, demand, deployment):
    """NPV of orders on one path of demand, from the formulation; Earth is no dearer than shortage here."""
    c, tech, total, built = case.base.costs, case.base.technology, 0.0, case.base.technology.M0
    exponent = np.log2(1 - case.learning.rate)
    for t, (wanted, arriving) in enumerate(zip(demand, deployment, strict=True)):
        learned = np.maximum(built / case.learning.reference, 1.0) ** exponent
        built += arriving
        capacity = tech.eta * built
        served = np.minimum(capacity, wanted)
        cash = (case.base.economics.P_m - c.c_by * tech.beta) * served - c.c_E * (wanted - served)
        cash -= c.c_S * (capacity - served) + c.c_op * built
        cash -= (c.c_L * tech.alpha + c.c_dev * learned) * arriving
        cash -= case.base.launch.fixed_cost * (arriving > 0)
        total += cash / (1 + case.base.economics.r) ** t
    return total


def enumerated(case, tree, counts):
    """Best NPV over all whole numbers of modules, L = 1 and T = 2: ΔM_0, ΔM_1 and ΔM_2 by what is seen in year 1."""
    nodes, p = tree.node_paths(), tree.probability[tree.leaves]
    masses = case.base.launch.lot * np.stack(np.meshgrid(*[np.arange(counts)] * 3, indexing="ij"))
    total = 0.0
    for node in np.unique(nodes[:, 1]):
        paths = np.flatnonzero(nodes[:, 1] == node)
        total = total + sum(p[i] * npv_by_hand(case, tree.value[nodes[i]], masses) for i in paths).max(axis=2)
    return total.max()


@pytest.mark.parametrize(
    ("rate", "symbols"),
    [(0.2, {}), (0.5, {"M0": 45.0}), (0.3, {"fixed_cost": 4e5, "sigma": 0.5}), (0.4, {"c_dev": 3e4, "c_L": 1e3})],
)
def test_modules_on_a_tree_are_enumerated(rate, symbols):
    case, tree = pair(rate, lot=40.0, **symbols)
    found = learned_on_tree(case, tree)
    assert found.objective == pytest.approx(enumerated(case, tree, 10), rel=1e-10)
    assert found.bounds.gap < 1e-9
    assert found.bounds.certified


def test_best_modules_may_lie_where_profit_does_not_bend():
    """Learning makes it pay to build for what it teaches: levels beside bends alone would not do."""
    case, tree = pair(0.5, reference=20.0, lot=10.0, c_dev=60_000.0, c_L=0.0, P_m=20_000.0, branching=(3, 3))
    problem = LatticeLevels(case.base, case_lattice(case.base, 9), case.learning.cost(case.base))
    found = learned_on_lattice(case, problem.lattice)
    assert found.objective >= problem.optimum()[0]
    assert found.plan.problem.levels.size > problem.levels.size
    fine = learned_on_tree(case, tree)
    assert fine.objective == pytest.approx(enumerated(case, tree, 30), rel=1e-10)


@pytest.mark.parametrize(
    "symbols", [{}, {"fixed_cost": 5e5}, {"lead_time": 0}, {"M0": 70.0, "initial_deployment": "fixed"}]
)
def test_any_mass_lies_in_its_bracket_and_modules_come_close(symbols):
    case, tree = pair(0.3, branching=(3, 2, 2), **symbols)
    found = learned_on_tree(case, tree)
    assert 0 <= found.bounds.gap < 0.02
    small = [learned_on_tree(case.replace(lot=lot), tree).objective for lot in (20.0, 2.0, 1.0)]
    assert max(small) <= found.bounds.upper
    assert small[2] == pytest.approx(found.objective, rel=5e-3)
    assert small[0] <= small[2] + 1e-6  # modules of 1 kg can do what those of 20 can


def test_random_plans_do_not_exceed_the_upper_bound():
    case, tree = pair(0.4, branching=(2, 2, 2), c_dev=40_000.0, P_m=30_000.0)
    result, rng = learned_on_tree(case, tree), np.random.default_rng(3)
    best = result.plan.deployment
    upper, values = result.bounds.upper, []
    for scale in rng.uniform(0.0, 0.3, 300):
        step = rng.normal(0, scale, size=4)[np.minimum(tree.stage, 3)]  # alike in a stage: a plan of commitments
        values.append(LearnedPlan(case.base, tree, best * np.exp(step), whole=case).value)
    assert max(values) <= upper
    assert max(values) > result.objective - 1e-2 * abs(result.objective)


@pytest.mark.parametrize("symbols", [{}, {"c_dev_exponent": 0.7, "reference": 140.0}])
def test_the_study_has_the_same_numbers(symbols):
    base = load_case("lunar-reference").replace(T=5, **symbols)
    learning, lattice = Learning(0.2, 140.0), case_lattice(base, 10)
    study = LatticeLevels(base, lattice, learning.cost(base)).optimum()[0]
    found = learned_on_lattice(LearningCase(base, learning), lattice)
    assert found.objective == pytest.approx(study, rel=5e-6)
    assert study <= found.bounds.upper
    assert found.bounds.gap < 5e-3


def test_without_learning_it_is_the_base_case():
    data = tomllib.loads(CONTESTED.to_toml())
    assert problem_from_dict(data | {"learning": {"rate": 0}}) == CONTESTED
    case, tree = pair(1e-13, branching=(3, 3))
    lattice = case_lattice(case.base, 8)
    for found, base in (
        (learned_on_tree(case, tree), tree_dp(case.base, tree)),
        (learned_on_lattice(case, lattice), level_dp(case.base, lattice)),
    ):
        assert found.objective == pytest.approx(base.objective, rel=1e-9)
        assert found.bounds.upper == pytest.approx(base.objective, rel=1e-8)
    values = learned_values(case, tree)
    from stochisru import value_table

    plain = value_table(case.base, tree)
    for name in ("ws", "rp", "static", "fixed", "nothing", "ev", "eev", "vss"):
        assert values.point(name) == pytest.approx(plain.point(name), rel=1e-8), name
        assert values.bracket(name).upper >= plain.point(name) - 1e-6 * abs(plain.point(name))


@settings(max_examples=8, deadline=None)
@given(
    rates=st.tuples(st.floats(0.01, 0.6), st.floats(0.01, 0.6)),
    reference=st.floats(10.0, 200.0),
    c_dev=st.floats(1e3, 6e4),
    M0=st.sampled_from([0.0, 30.0]),
)
def test_more_learning_is_never_worth_less(rates, reference, c_dev, M0):
    slow, fast = sorted(rates)
    worth = []
    for rate in (slow, fast):
        case, tree = pair(rate, reference, c_dev=c_dev, M0=M0, lot=25.0)
        worth.append(learned_on_tree(case, tree).objective)
    assert worth[0] <= worth[1] + 1e-6
    base = tree_dp(case.base, tree).objective
    assert base <= worth[0] + 1e-6
    # No kilogram costs less than the last one.
    most = case.learning.factor(np.array([1e4])).item()
    assert worth[1] <= tree_dp(case.base.replace(c_dev=c_dev * most), tree).objective + 1e-6


def test_values_keep_their_order_and_static_is_decided_at_the_root():
    case, tree = pair(0.3, branching=(3, 3), lot=20.0)
    values = learned_values(case, tree)
    order = [values.point(name) for name in ("nothing", "fixed", "static", "rp", "ws")]
    assert order == sorted(order)
    assert values.point("eev") <= values.point("static")
    static = learned_on_tree(case, tree, lead=tree.horizon)
    assert values.point("static") == pytest.approx(static.objective, rel=1e-10)
    once = max(
        LearnedPlan(case.base, tree, np.where(tree.stage, 0.0, x), whole=case).value for x in 20.0 * np.arange(40)
    )
    assert values.point("fixed") == pytest.approx(once, rel=1e-10)
    p, paths = tree.probability[tree.leaves], [tree.value[row] for row in tree.node_paths()]
    masses = 20.0 * np.stack(np.meshgrid(*[np.arange(16)] * 3, indexing="ij"))
    best = [npv_by_hand(case, path, masses).max() for path in paths]
    assert values.point("ws") == pytest.approx(float(p @ best), rel=1e-10)


def test_simulation_and_evaluation_pay_what_was_learned(tmp_path):
    case, _ = pair(0.3, branching=(2, 2, 2))
    rng = np.random.default_rng(0)
    demand = np.vstack([np.full(6, 1000.0), rng.uniform(500, 3000, (3, 6))])
    policy = learned_on_lattice(case, case_lattice(case.base, 8)).policy(name="lattice")
    from stochisru.lunar.simulation import follow
    from stochisru.lunar.simulation.monte_carlo import simulated_on

    found = simulated_on(case, [policy, "upfront"], demand)
    for i, strategy in enumerate(found.strategies):
        orders = np.stack([deployment for deployment, _ in follow(case.base, strategy, demand)])
        hand = [npv_by_hand(case, demand[:, k], orders[:, k]) for k in range(6)]
        assert found.npv[i] == pytest.approx(hand, rel=1e-10)
        discounted = (1 + case.base.economics.r) ** -np.arange(4.0) @ found.cash[i]
        assert discounted == pytest.approx(hand, rel=1e-10)
    plan = np.array([120.0, 40.0, 0.0, 60.0])
    plain = LearningCase(case.base, Learning(1e-15, 60.0))
    gained = npv_by_hand(case, demand[:, 0], plan) - npv_by_hand(plain, demand[:, 0], plan)
    assert case.saved(plan) == pytest.approx(gained, rel=1e-9)


@pytest.mark.slow
def test_the_policy_earns_on_fresh_paths_about_what_its_lattice_says():
    case = LearningCase(CONTESTED.replace(T=5), Learning(0.2, 100.0))
    result = learned_on_lattice(case, case_lattice(case.base, 16))
    mean = simulate(case, [result.policy(name="lattice")], paths=4096, seed=2, sampler="sobol").metrics["lattice"]
    assert mean["npv_mean"].value == pytest.approx(result.objective, rel=0.02)


# ------------------------------------------------------------------ files and commands


def _write(folder, text, **symbols):
    file = folder / "case.toml"
    file.write_text(CONTESTED.replace(T=3, name="mine", **symbols).to_toml() + text)
    return file


LEARNING = "\n[learning]\nrate = 0.2\nreference_mass = 100.0\n"


def _run(*words):
    with pytest.raises(SystemExit) as end:
        main(list(map(str, words)))
    return end.value.code


def test_a_case_file_says_it_and_comes_back(tmp_path):
    case = load_case(_write(tmp_path, LEARNING))
    assert (case.learning.rate, case.learning.reference) == (0.2, 100.0)
    assert problem_from_dict(tomllib.loads(case.to_toml())) == case
    assert case.replace(rate=0.1, c_dev=5.0).base.costs.c_dev == 5.0
    own = load_case(_write(tmp_path, "\n[learning]\nrate = 0.2\n", reference=80.0))
    assert own.learning.reference == 80.0


@pytest.mark.parametrize(
    ("text", "symbols", "message"),
    [
        (
            "\n[learning]\nrate = 1.0\nreference_mass = 1.0\n",
            {},
            "learning.rate: must be a finite number >= 0 and < 1, got 1.0",
        ),
        ("\n[learning]\nrate = 0.2\n", {}, "learning.reference_mass: missing"),
        ("\n[learning]\nreference_mass = 2.0\n", {}, "learning.rate: missing"),
        (
            "\n[learning]\nrate = 0.2\nreference_mass = 0.0\n",
            {},
            "learning.reference_mass: must be a finite number > 0",
        ),
        ("\n[learning]\nrate = 0.2\nspeed = 3\n", {}, "learning.speed: unknown key"),
        (LEARNING, {"degradation": 0.1}, "technology.degradation must be 0, got 0.1"),
        (
            LEARNING + "[terminal]\nsalvage = 0.1\n",
            {},
            "learning: takes a case without further tables; leave out terminal",
        ),
    ],
)
def test_bad_tables_are_one_line(tmp_path, capsys, text, symbols, message):
    assert _run("case", "check", _write(tmp_path, text, **symbols)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["solve"],
        ["solve", "--method", "ph"],
        ["solve", "--method", "sddp"],
        ["solve", "--method", "threshold"],
        ["run", "--out", "OUT"],
        ["decide", "--history", "HISTORY"],
        ["support"],
        ["risk"],
        ["resolve"],
        ["frontier"],
        ["sensitivity"],
    ],
)
def test_what_does_not_take_it_says_who_does(tmp_path, capsys, words):
    (tmp_path / "HISTORY").write_text("year,demand\n0,1000\n")
    words = [str(tmp_path / w) if w in ("OUT", "HISTORY") else w for w in words]
    assert _run(words[0], _write(tmp_path, LEARNING), *words[1:]) == 2
    error = capsys.readouterr().err
    assert "solve --method dp or lattice-dp, value --branching, simulate and evaluate take that" in error
    assert error.count("\n") == 1


def test_methods_take_it_or_say_why_not():
    case, _ = pair(0.2)
    taking = [name for name, method in methods().items() if method.refuses(case) is None]
    assert taking == ["dp", "lattice-dp"]
    with pytest.raises(InputError, match="learning"):
        tree_dp(case, ScenarioTree.from_process(case.process, [2, 2]))


def test_commands(tmp_path, capsys):
    file, out = _write(tmp_path, LEARNING), tmp_path / "out.json"
    tree = ["--branching", "3,3,3"]
    found = {}
    for name, words in {
        "dp": ["solve", file, "--method", "dp", *tree],
        "lattice": ["solve", file, "--method", "lattice-dp", "--states", 8],
        "value": ["value", file, *tree],
        "simulate": ["simulate", file, "--paths", 200, "--strategies", "upfront,lattice"],
        "show": ["case", "show", file],
    }.items():
        assert _run(*words, "--json", out) == 0, capsys.readouterr().err
        found[name] = json.loads(out.read_text())
    assert found["dp"]["bounds"]["certified"]
    assert found["value"]["rp"] == pytest.approx(found["dp"]["objective"], rel=1e-3)
    assert found["value"]["eev"] <= found["value"]["static"] <= found["value"]["rp"] <= found["value"]["ws"]
    assert found["lattice"]["bounds"]["of"] == "lattice"
    assert (
        found["simulate"]["strategies"]["lattice"]["npv_mean"] > found["simulate"]["strategies"]["upfront"]["npv_mean"]
    )
    assert found["show"]["learning"] == {"rate": 0.2, "reference": 100.0}
    (tmp_path / "plan.csv").write_text("year,kg\n0,140\n1,60\n3,30\n")
    case = load_case(file)
    assert _run("evaluate", file, "--plan", tmp_path / "plan.csv", *tree, "--json", out) == 0
    value = json.loads(out.read_text())["value"]
    ground = ScenarioTree.from_process(case.process, [3, 3, 3])
    plan = np.array([140.0, 60.0, 0.0, 30.0])
    paths = [npv_by_hand(case, ground.value[row], plan) for row in ground.node_paths()]
    assert value == pytest.approx(float(ground.probability[ground.leaves] @ paths), rel=1e-9)
    assert _run("value", file) == 2
    assert "give --branching" in capsys.readouterr().err


def test_a_tree_with_too_many_levels_is_refused():
    case = LearningCase(CONTESTED.replace(T=9), Learning(0.2, 100.0))
    tree = ScenarioTree.from_process(case.process, [3] * 9)
    with pytest.raises(InputError, match=r"branching: leaves .* too many for learning"):
        learned_values(case, tree)
