"""Methods on trees take any model: a zoo of them, against one program and against each other."""

import json
from dataclasses import replace

import numpy as np
import pytest

from scenario_trees import ScenarioTree
from stochisru import InputError, SolverError, extensive_form, load_case, progressive_hedging
from stochisru.errors import InfeasibleError
from stochisru.methods.extensive_form import extensive_forms
from stochisru.methods.registry import methods, takers
from stochisru.methods.result import Of
from stochisru.problem import (
    Decision,
    Factor,
    Fixed,
    Held,
    Model,
    Operation,
    Recourse,
    Row,
    State,
    Static,
    WaitAndSee,
    evaluate,
    on_tree,
)
from stochisru.problem.bounds import ColumnBounds, column_bounds
from stochisru.problem.on_tree import program_of
from stochisru.problem.sheet import Sheet
from stochisru.problem.subtrees import Subtrees
from stochisru.programs.sparse import solve, solve_mixed
from tests.models import ZOO, hydro, power, uneven
from tests.test_hedging import launch, mpiexec  # noqa: F401 (a fixture)


def optimum(program):
    return (solve_mixed(program, rel_gap=1e-9) if program.integer.any() else solve(program)).objective


@pytest.fixture(params=ZOO, scope="module")
def problem(request):
    model = ZOO[request.param](3)
    tree = uneven(np.random.default_rng(5), 3)
    return model, tree, optimum(on_tree(model, tree).program)


def assert_brackets(result, best):
    slack = 1e-6 * abs(best)
    assert result.bounds.lower <= best + slack
    assert result.bounds.upper >= best - slack


def test_extensive_form(problem):
    model, tree, best = problem
    result = extensive_form(model, tree, rel_gap=1e-7)
    assert result.objective == pytest.approx(best, rel=1e-6)
    assert_brackets(result, best)
    assert (result.termination.reason, result.bounds.kind, result.sense) == ("optimal", "solver", model.sense)
    decisions = {part.name: result.plan.columns[part.name] for part in model.decisions}
    assert evaluate(model, decisions, tree).value == pytest.approx(best, rel=1e-6)
    data = json.loads(json.dumps(result.to_dict()))
    assert data["sense"] == model.sense
    assert data["first_stage"] == result.first_stage
    assert {"node", "year"} <= {result.deployments.index.name, *result.deployments.columns}


@pytest.mark.parametrize("cut", [1, 2])
def test_progressive_hedging(problem, cut):
    model, tree, best = problem
    result = progressive_hedging(model, tree, cut_stage=cut, rel_gap=1e-3, iterations=15)
    assert_brackets(result, best)
    assert result.bounds.gap < 0.1
    assert (result.termination.reason == "optimal") == result.bounds.meets(1e-3)
    # The plan is one that can be carried out: columns alike where the same is known, rows kept.
    stated = on_tree(model, tree)
    x = np.zeros(stated.program.shape[1])
    for part in model.columns:
        places = stated.places[part.name]
        first = np.concatenate([places.seen_from(t, t) for t in model.years])
        x[stated.program.columns[part.name].start + first] = result.plan.columns[part.name]
        assert np.array_equal(stated.on_nodes(x, part.name), result.plan.columns[part.name])
    continuous = replace(stated.program, integer=np.zeros_like(stated.program.integer))
    own = np.concatenate(
        [block.index for name, block in continuous.rows.items() if "_cost" not in name and "whole" not in name]
    )
    activity = (continuous.matrix @ x)[own]
    slack = 1e-6 * (1 + abs(continuous.matrix) @ np.abs(x))[own]
    assert (activity >= continuous.row_lower[own] - slack).all()
    assert (activity <= continuous.row_upper[own] + slack).all()
    # The best operations are worth no less, and as much where nothing is carried over.
    found = evaluate(model, {part.name: result.plan.columns[part.name] for part in model.decisions}, tree)
    assert model.sign * (found.value - result.objective) >= -1e-6 * abs(best)
    if model.carried_over is None:
        assert found.value == pytest.approx(result.objective, rel=1e-5)
    lower, upper = ([getattr(line, side) for line in result.iterations] for side in ("lower", "upper"))
    assert lower == sorted(lower)
    assert upper == sorted(upper, reverse=True)


@pytest.mark.parametrize("information", [Recourse(), Static(), Fixed(), WaitAndSee()], ids=lambda i: type(i).__name__)
def test_bounds_ten_times_wider_give_the_same_optimum(problem, information):
    """Bounds that follow from a model cut off no optimum."""
    model, tree, _ = problem
    sheet = Sheet(model, tree, information)
    bounds = column_bounds(sheet)
    own = {part.name for part in model.columns if part.upper is not None}
    wide = {
        name: side if name in own else ColumnBounds(side.lower, 10 * np.maximum(side.upper, 1.0))
        for name, side in bounds.items()
    }
    closed = {
        part.name: np.concatenate(
            [
                np.full(sheet.ancestry.count(sheet.places[part.name].stage(t)), sheet.is_open(part, t))
                for t in model.years
            ]
        )
        for part in model.decisions
    }
    for name, is_open in closed.items():  # years without a decision are no bound but the problem
        wide[name] = ColumnBounds(wide[name].lower, np.where(is_open, wide[name].upper, bounds[name].upper))
    try:
        ours = optimum(program_of(sheet).program)
    except InfeasibleError:
        with pytest.raises(InfeasibleError):
            optimum(program_of(sheet, wide).program)
        return
    assert optimum(program_of(sheet, wide).program) == pytest.approx(ours, rel=1e-6)


def test_what_is_coordinated():
    """States where they tell the decision, decisions where not, and what operations carry over."""
    tree = uneven(np.random.default_rng(5), 3)
    names = lambda quantities: list(dict.fromkeys(s.part for s in quantities))  # noqa: E731
    for name, coordinated, held in (
        ("power", ["gas_plant", "wind_plant"], ["gas_order", "wind_order"]),
        ("several leads", ["slow", "fast"], ["slow", "fast"]),
        ("hydro", ["turbine", "water"], ["order", "water"]),
        ("machines", ["fleet"], ["machines"]),
    ):
        parts = Subtrees(ZOO[name](3), tree, 2)
        assert (sorted(names(parts.coordinated)), names(parts.held)) == (sorted(coordinated), held)
        assert list(parts.stages) == sorted(parts.stages)
    # A decision with a lead of two years is known for years 0..3 before stage 2, one without for 0 and 1.
    parts = Subtrees(ZOO["several leads"](3), tree, 2)
    assert [(s.part, s.year) for s in parts.held] == [("slow", t) for t in range(4)] + [("fast", 0), ("fast", 1)]


def test_subtrees_add_up_to_the_whole(problem):
    """Probability-weighted subtrees with a plan held above the cut are worth what it is worth."""
    from stochisru.methods.hedging.proximal import subproblem

    model, tree, best = problem
    plan = extensive_form(model, tree, rel_gap=1e-9).plan
    for cut in (1, 2, 3):
        parts = Subtrees(model, tree, cut)
        total = 0.0
        for i in range(parts.count):
            program = parts.program(i)
            held = np.array([plan.columns[s.part][program.origin[program.branch.at(s.year)][0]] for s in parts.held])
            form = "linearised"
            total += parts.probability[i] * subproblem(program, "x", "highs", form, mixed_gap=0.0).fixed(held).value
        assert model.sign * total == pytest.approx(best, rel=1e-6)


def test_a_wish_is_brought_to_what_can_be_done(problem):
    model, tree, _ = problem
    parts = Subtrees(model, tree, 2)
    rng = np.random.default_rng(0)
    for _ in range(5):
        plan = parts.candidates.nearest(parts.node_mean(rng.uniform(-0.2, 1.2, parts.shared.shape) * parts.upper))
        for column, shared in enumerate(parts.held):
            place = parts.sheet.places[shared.part].of(np.full(parts.count, shared.year), parts.way[:, shared.stage])
            lower, upper = (side[place] for side in parts.bounds[shared.part])
            assert (plan[:, column] >= lower).all()
            assert (plan[:, column] <= upper).all()
            assert all(np.ptp(plan[parts.way[:, shared.stage] == n, column]) == 0 for n in parts.way[:, shared.stage])
            lot = getattr(model[shared.part], "lot", None)
            if lot is not None:
                assert np.allclose(plan[:, column] % lot, 0.0)
    if model.name == "power" and "build_limit" in [row.name for row in model.rows]:
        orders = [j for j, s in enumerate(parts.held) if s.year == 1]
        assert (plan[:, orders].sum(axis=1) <= 60.0 + 1e-6).all()


def test_checkpoint_belongs_to_its_problem(tmp_path):
    tree = uneven(np.random.default_rng(5), 3)
    call = {"cut_stage": 1, "rel_gap": 0.0, "checkpoint": tmp_path / "a", "checkpoint_interval": 0}
    first = progressive_hedging(power(3), tree, **call, iterations=3)
    second = progressive_hedging(power(3), tree, **call, iterations=6, resume=True)
    assert [line.number for line in second.iterations] == list(range(len(second.iterations)))
    assert second.bounds.lower >= first.bounds.lower - 1e-9 * abs(first.bounds.lower)
    assert second.bounds.upper <= first.bounds.upper
    with pytest.raises(InputError, match=r"another run \(problem:"):
        progressive_hedging(power(3, 60.0), tree, **call, resume=True)


def test_a_held_plan_is_one_of_a_family():
    from stochisru.methods.extensive_form import extensive_forms

    model, tree = power(3), uneven(np.random.default_rng(5), 3)
    plan = {"gas_order": [10.0, 20.0, 0.0, 5.0], "wind_order": [60.0, 0.0, 30.0, 0.0]}
    informations = [Held(), Held(plan, 0), Held(plan, 1), Held(plan)]
    found = [result.objective for result in extensive_forms(model, tree, informations)]
    assert found == pytest.approx([optimum(on_tree(model, tree, each).program) for each in informations], rel=1e-9)
    assert found == sorted(found)  # cost rises with what is held


@pytest.mark.parametrize(
    "symbols",
    [
        {"reference": 1000.0, "c_dev_exponent": 1.3},
        {"lot": 50.0, "degradation": 0.1},
        {"fixed_cost": 1e6},
        {"degradation": 0.1},
    ],
)
def test_a_held_plan_may_be_larger_than_any_that_is_chosen(symbols):
    """What a curve or a lot adds to a program is as large as the plan that is held, not as the best one may be."""
    case = load_case("lunar-reference").replace(T=2, **symbols)
    tree = ScenarioTree.from_process(case.process, [3, 3])
    plan = {"dM": np.array([5000.0, 0.0, 20000.0])}
    for problem in (case, case.model):
        whole, first = extensive_forms(problem, tree, [Held(plan), Held(plan, 0)], rel_gap=1e-9)
        assert whole.objective == pytest.approx(evaluate(case.model, plan, tree).value, rel=1e-9)
        assert whole.bounds.lower <= first.bounds.upper
        assert first.objective == pytest.approx(optimum(on_tree(case.model, tree, Held(plan, 0)).program), rel=1e-6)


def test_methods_for_cases_refuse_other_models():
    model = hydro(2)
    takes = {name for name, method in methods().items() if method.refuses(model) is None}
    assert takes == {"ef", "ph", "sddp"}
    for name in sorted(set(methods()) - takes):
        assert "hydro" in methods()[name].refuses(model)
    assert [method.name for method in takers(model, Of.TREE)] == ["ef", "ph"]
    case = load_case("lunar-reference")
    assert {name for name, method in methods().items() if method.refuses(case) is None} == set(methods())


def test_hedging_says_where_it_cannot_go_on():
    tree = ScenarioTree([-1, 0, 0, 1, 2], [0, 1, 1, 2, 2], [1, 0.5, 0.5, 0.5, 0.5], [1.0, 1, 2, 1, 2])
    idle = Model("idle", 2, [Decision("late", upper=1.0, years=[2]), Operation("use", upper=1.0)])
    with pytest.raises(InputError, match="cut_stage: idle decides nothing before stage"):
        progressive_hedging(Model("idle", 2, [Operation("use", upper=1.0)]), tree, cut_stage=1)
    assert extensive_form(idle, tree).objective == 0.0


def test_a_plan_that_nothing_can_follow_is_no_bound():
    """Orders must meet demand to the kilogram: means of what subtrees want never do."""
    tree = ScenarioTree([-1, 0, 0], [0, 1, 1], [1, 0.5, 0.5], [100.0, 150.0, 200.0])
    strict = Model(
        "strict",
        1,
        [
            Decision("order", lead=1, cost=1.0, upper=300.0),
            State("stock", gains={"order": 1.0}),
            Operation("sold", value=3.0, upper=300.0),
            Row("all", {"stock": 1.0, "sold": -1.0}, lower=0.0),
            Row("must", {"sold": 1.0}, equals=Factor("demand")),
            Row("nothing_left", {"stock": 1.0}, upper=lambda t, f: f["demand"] + (1e3 if t == 0 else 0.0)),
        ],
    )
    with pytest.raises(InfeasibleError):
        extensive_form(strict, tree)
    with pytest.raises(SolverError, match="found no plan above stage 1 that can be gone on with"):
        progressive_hedging(strict, tree, cut_stage=1, iterations=3)


SCRIPT = """
import json, numpy as np
from mpi4py import MPI
from stochisru import progressive_hedging
from tests.models import ZOO, uneven
found = {}
for name in ("limited power", "hydro in lots"):
    result = progressive_hedging(ZOO[name](3), uneven(np.random.default_rng(5), 3), cut_stage=1, iterations=6)
    found[name] = [result.bounds.lower, result.bounds.upper, result.objective, result.plan.value]
if MPI.COMM_WORLD.rank == 0:
    print(json.dumps(found))
"""


def test_models_under_mpi(mpiexec, tmp_path, monkeypatch):  # noqa: F811
    from pathlib import Path

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    (tmp_path / "script.py").write_text(SCRIPT)
    out = launch(mpiexec, 3, "script.py", cwd=tmp_path, module=("-m", "mpi4py"))
    assert out.returncode == 0, out.stderr
    tree = uneven(np.random.default_rng(5), 3)
    for name, (lower, upper, objective, value) in json.loads(out.stdout).items():
        best = optimum(on_tree(ZOO[name](3), tree).program)
        assert lower <= best + 1e-6 * abs(best)
        assert upper >= best - 1e-6 * abs(best)
        assert objective == value
