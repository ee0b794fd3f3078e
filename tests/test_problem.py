"""One statement of a problem, many programs: against today's programs and values, and programs made by hand."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from scenario_trees import GeometricBrownianMotion, MarkovLattice, ScenarioTree
from stochisru import InputError, load_case
from stochisru.errors import InfeasibleError
from stochisru.lunar.exact.open_loop import expected_value, expected_value_plan, fixed_design, static_plan
from stochisru.lunar.exact.tree_dp import tree_dp
from stochisru.lunar.exact.wait_and_see import wait_and_see
from stochisru.lunar.information import capacity_of, flows, plan_value
from stochisru.lunar.model import deployment_model
from stochisru.lunar.operations import MeritOrder, discount_factors
from stochisru.lunar.storage import Storage
from stochisru.methods.extensive_form import extensive_form
from stochisru.methods.sddp.method import sddp
from stochisru.problem import (
    Decision,
    Expression,
    Factor,
    Fixed,
    Model,
    Operation,
    Recourse,
    Row,
    State,
    Static,
    WaitAndSee,
    evaluate,
    held,
    mean_path,
    on_tree,
)
from stochisru.programs.curves import Curve
from stochisru.programs.sparse import solve, solve_mixed
from stochisru.values import DIFFERENCES, values
from tests.cases import deployment_cases
from tests.tree_program_by_hand import tree_program_by_hand

#: Blocks of the program by hand by the names that they have in the model's.
TODAY = {"delivery": "capacity", "dM_lots": "modules", "whole_dM": "whole"}


@st.composite
def trees(draw, case):
    """Uneven trees of a case's horizon, their values not those of any process, some probabilities zero."""
    T = case.horizon.T
    parent, stage, value, probability = [-1], [0], [case.demand.D0], [1.0]
    last = [0]
    for t in range(1, T + 1):
        now = []
        for above in last:
            weights = draw(st.sampled_from([(1.0,), (0.5, 0.5), (0.0, 1.0), (0.3, 0.0, 0.7)]))
            for weight in weights:
                now.append(len(parent))
                parent.append(above)
                stage.append(t)
                value.append(value[above] * draw(st.sampled_from([0.6, 1.0, 1.1, 1.7])))
                probability.append(probability[above] * weight)
        last = now
    return ScenarioTree(parent=parent, stage=stage, probability=probability, value=value)


@st.composite
def problems(draw, **options):
    case = draw(deployment_cases(**options))
    return case, draw(trees(case))


def canonical(program, names=()):
    """Columns and rows of a program by name and number, whatever their order."""
    names = dict(names)
    named = lambda blocks: {  # noqa: E731
        number: (names.get(block.name, block.name), i)
        for block in blocks.values()
        for i, number in enumerate(block.index)
    }
    columns, rows, matrix = named(program.columns), named(program.rows), program.matrix.tocsr()
    return (
        {
            at: (program.objective[j], program.lower[j], program.upper[j], program.integer[j])
            for j, at in columns.items()
        },
        {at: (program.row_lower[i], program.row_upper[i]) for i, at in rows.items()},
        {
            (rows[i], columns[j]): matrix.data[k]
            for i in range(matrix.shape[0])
            for k, j in enumerate(matrix.indices[matrix.indptr[i] : matrix.indptr[i + 1]], start=matrix.indptr[i])
        },
    )


def assert_same_program(ours, today):
    curve = {name: name.replace("dM_cost", "investment") for name in (*ours.columns, *ours.rows)}
    for mine, theirs in zip(canonical(ours, curve | TODAY), canonical(today), strict=True):
        assert mine.keys() == theirs.keys()
        for key in mine:
            assert np.allclose(mine[key], theirs[key], rtol=1e-11, atol=1e-9), key


def optimum(model, tree, information=None):
    program = on_tree(model, tree, information).program
    return (solve_mixed(program, rel_gap=0) if program.integer.any() else solve(program)).objective


# ------------------------------------------------------------------ the lunar problem's program and values


@given(problems(max_T=4))
def test_the_model_of_a_case_has_the_program_by_hand(problem):
    case, tree = problem
    assert_same_program(on_tree(deployment_model(case), tree).program, tree_program_by_hand(case, tree))


@pytest.mark.parametrize(
    "symbols",
    [
        {"lot": 50.0},
        {"fixed_cost": 2e6},
        {"lot": 30.0, "fixed_cost": 1e6, "lead_time": 2},
        {"c_dev_curve": Curve([0, 100, 400], [0, 2e6, 5e6])},
        {"c_dev_curve": Curve([0, 100, 400], [0, 2e6, 9e6]), "fixed_cost": 1e6},
        {"reference": 100.0, "c_dev_exponent": 0.7, "initial_deployment": "fixed"},
        {"reference": 100.0, "eta_exponent": 1.2, "lot": 25.0},
        {"c_dev_curve": Curve([0, 300], [0, 6e6]), "initial_deployment": "fixed"},
        {"eta_curve": Curve([0, 300], [0, 900]), "lot": 25.0, "fixed_cost": 1e6},
    ],
)
def test_so_have_lots_campaigns_and_curves(symbols):
    case = load_case("lunar-reference").replace(T=3, **symbols)
    tree = ScenarioTree.from_process(case.process, [2, 1, 3])
    assert_same_program(on_tree(deployment_model(case), tree).program, tree_program_by_hand(case, tree))


def close(case, tree, ours, today):
    assert ours == pytest.approx(today, rel=0, abs=1e-9 * flows(case, tree) + 1e-9)


@settings(max_examples=60)
@given(problems())
def test_every_value_is_todays_under_another_information(problem):
    case, tree = problem
    model = deployment_model(case)
    close(case, tree, optimum(model, tree), extensive_form(case, tree).objective)
    close(case, tree, optimum(model, tree, Static()), static_plan(case, tree).objective)
    close(case, tree, optimum(model, tree, Fixed()), fixed_design(case, tree).objective)
    close(case, tree, optimum(model, tree, WaitAndSee()), wait_and_see(case, tree).bounds.lower)
    ev = expected_value_plan(case, tree)
    close(case, tree, optimum(model, mean_path(tree)), ev.value)
    close(case, tree, optimum(model, tree, held({"dM": ev.deployment})), expected_value(case, tree).objective)


@settings(max_examples=25)
@given(problems(max_T=3), st.sampled_from([{"lot": 40.0}, {"fixed_cost": 1e6}, {"lot": 60.0, "fixed_cost": 5e5}]))
def test_values_with_economies_of_scale_are_those_of_the_dynamic_programme(problem, symbols):
    case, tree = problem
    case = case.replace(**symbols, degradation=0.0)
    model = deployment_model(case)
    slack = 1e-6 * flows(case, tree) + 1e-6
    for information, today in (
        (Recourse(), tree_dp(case, tree)),
        (Static(), static_plan(case, tree)),
        (Fixed(), fixed_design(case, tree)),
    ):
        assert optimum(model, tree, information) == pytest.approx(today.objective, rel=0, abs=slack)
    assert optimum(model, tree, WaitAndSee()) == pytest.approx(wait_and_see(case, tree).bounds.lower, rel=0, abs=slack)


# ------------------------------------------------------------------ bounds


def wider(model, times=10.0):
    """The model with what is enough, and bounds of operations, ``times`` as large."""
    enough = lambda coefficient: lambda t, f: times * np.asarray(coefficient(t, f))  # noqa: E731
    parts = []
    for part in model.parts:
        if isinstance(part, State) and part.enough is not None:
            factor = part.enough
            widened = factor * times if isinstance(factor, Factor) else enough(factor)
            parts.append(replace(part, enough=widened))
        else:
            parts.append(part)
    return replace(model, parts=parts)


@settings(max_examples=60)
@given(problems(), st.sampled_from([Recourse(), Static(), Fixed(), WaitAndSee()]))
def test_bounds_cut_off_no_optimum(problem, information):
    case, tree = problem
    model = deployment_model(case)
    close(case, tree, optimum(model, tree, information), optimum(wider(model), tree, information))


@settings(max_examples=40)
@given(
    problems(),
    st.sampled_from([Recourse(), Static(), Fixed(), WaitAndSee()]),
    st.lists(st.sampled_from([0.2, 1.0, 1.6, 3.0]), min_size=4, max_size=4),
)
def test_bounds_hold_when_prices_rise(problem, information, growth):
    case, tree = problem
    model = deployment_model(case)
    cost = case.costs.c_dev * np.cumprod(growth)[: case.horizon.T + 1]
    model = model.with_part(replace(model["dM"], cost=cost))
    close(case, tree, optimum(model, tree, information), optimum(wider(model, 1e3), tree, information))


def test_plant_is_bought_ahead_where_prices_rise_faster_than_it_is_lost():
    """The bound of constant prices, the largest later demand, would cut this optimum and certify the cut one."""
    case = load_case("lunar-reference").replace(T=3, degradation=0.2, mu=0.0, sigma=0.1, P_m=50e3)
    tree = ScenarioTree.from_process(case.process, [2, 2, 2])
    model = deployment_model(case)
    rising = 1.6 ** np.arange(4)
    dear = model.with_part(
        replace(model["dM"], cost=case.costs.c_dev * rising), replace(model["M_leo"], cost=case.costs.c_L * rising)
    )
    ours, constant = on_tree(dear, tree).program, on_tree(model, tree).program
    best = solve(ours).objective
    assert best == pytest.approx(optimum(wider(dear, 100), tree), rel=1e-9)
    cut = solve(ours.with_bounds(ours.lower, np.minimum(ours.upper, constant.upper)))
    assert cut.bound < best - 1e-3 * abs(best)


@settings(max_examples=60)
@given(
    problems(max_T=4),
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from([1.0, 2.0, 3.0, 6.0])), min_size=2, max_size=3),
    st.sampled_from([1.0, 0.7]),
    st.sampled_from([0.0, 0.5]),
)
def test_bounds_hold_where_several_leads_feed_one_state(problem, kinds, keep, discount_rate):
    """What is left differs below the place of a slow decision: the state may exceed the bound of each decision."""
    case, tree = problem
    names = [f"d{i}" for i in range(len(kinds))]
    model = Model(
        "several leads",
        horizon=case.horizon.T,
        discount_rate=discount_rate,
        parts=[
            *(Decision(name, lead=lead, cost=cost) for name, (lead, cost) in zip(names, kinds, strict=True)),
            State("plant", keep=keep, gains=dict.fromkeys(names, 1.0), enough=Factor("demand")),
            Operation("served", value=5.0, upper=Factor("demand")),
            Row("capacity", {"served": 1.0, "plant": -1.0}, upper=0.0),
        ],
    )
    for information in (Recourse(), Static(), Fixed(), WaitAndSee()):
        close(case, tree, optimum(model, tree, information), optimum(wider(model, 1e3), tree, information))


@pytest.mark.parametrize(
    ("slow", "keep", "values"),
    [
        (
            Decision("slow", lead=2, years=[2], cost=1.0),
            1.0,
            [1, 50, 1, 1, 100],
        ),  # what is left differs below its place
        (Decision("slow", lead=1, cost=1.0), 0.5, [1, 50, 1, 1, 1]),  # what is enough differs below its place
    ],
)
def test_plant_ordered_early_may_exceed_what_is_enough_where_it_is_not_needed(slow, keep, values):
    tree = ScenarioTree([-1, 0, 0, 1, 2], [0, 1, 1, 2, 2], [1, 0.5, 0.5, 0.5, 0.5], values)
    model = Model(
        "two leads",
        horizon=2,
        parts=[
            slow,
            Decision("fast", cost=6.0),
            State("plant", keep=keep, gains={"slow": 1.0, "fast": 1.0}, enough=Factor("demand")),
            Operation("served", value=20.0, upper=Factor("demand")),
            Row("capacity", {"served": 1.0, "plant": -1.0}, upper=0.0),
        ],
    )
    assert optimum(model, tree) == pytest.approx(optimum(wider(model, 1e3), tree), rel=1e-9)


def test_plant_is_bought_ahead_where_a_cap_will_bind():
    """A certain demand, half the plant lost each year, and one launch a year too small for it."""
    tree = ScenarioTree([-1, 0, 1], [0, 1, 2], [1, 1, 1], [1.0, 1.0, 100.0])
    model = Model(
        "cap",
        horizon=2,
        parts=[
            Decision("order", cost=1.0),
            State("plant", keep=0.5, gains={"order": 1.0}, enough=Factor("demand")),
            Operation("served", value=20.0, upper=Factor("demand")),
            Row("capacity", {"served": 1.0, "plant": -1.0}, upper=0.0),
            Row("cap", {"order": 1.0}, upper=[200.0, 150.0, 20.0]),
        ],
    )
    # Worth having 100 in year 2: 20 then, 150 the year before, 10 two years before, of which a quarter is left.
    assert solve(on_tree(model, tree).program).values("order") == pytest.approx([20.0, 150.0, 20.0])


# ------------------------------------------------------------------ one place for a cost, a cap, a store


def by_hand(case, tree, stage_of, *, seen=True, launch_cap=None, per_delivered=0.0, storage=None, held_plan=None):
    """Optimum of the scenario form: a copy of all variables per leaf, explicit nonanticipativity, scipy's solver.

    ``stage_of(t)``: stage at which ΔM_t is decided, None where it is 0; ``seen``: operations know their year only.
    """
    c, tech, T = case.costs, case.technology, case.horizon.T
    nodes, leaves = tree.node_paths(), tree.n_leaves
    names = ["dM", "M", "Q", "QE", "S", "E", "stored"]
    column = lambda name, leaf, t: (names.index(name) * leaves + leaf) * (T + 1) + t  # noqa: E731
    n = len(names) * leaves * (T + 1)
    cost, lower, upper = np.zeros(n), np.zeros(n), np.full(n, np.inf)
    rows, right, capped, caps = [], [], [], []

    def row(terms, value, into=rows, sides=right):
        dense = np.zeros(n)
        for at, number in terms:
            dense[at] += number
        into.append(dense)
        sides.append(value)

    for leaf in range(leaves):
        p = tree.probability[tree.leaves][leaf]
        for t in range(T + 1):
            at = {name: column(name, leaf, t) for name in names}
            d = p * (1 + case.economics.r) ** -t
            cost[at["dM"]] = d * (c.c_dev + tech.alpha * c.c_L)
            cost[at["M"]] = d * c.c_op
            cost[at["Q"]] = d * (c.c_by * tech.beta + per_delivered - case.economics.P_m)
            cost[at["QE"]], cost[at["S"]], cost[at["E"]] = d * c.c_E, d * c.c_bu, d * c.c_S
            cost[at["stored"]] = d * (storage.holding_cost if storage else 0.0)
            upper[at["stored"]] = storage.capacity if storage else 0.0
            upper[at["QE"]] = np.inf if c.earth_limit is None else c.earth_limit
            if stage_of(t) is None or (t == 0 and case.horizon.initial_deployment == "fixed"):
                upper[at["dM"]] = 0.0
            if held_plan is not None:
                lower[at["dM"]] = upper[at["dM"]] = held_plan[t]
            before = [(column("M", leaf, t - 1), -(1 - tech.degradation))] if t else []
            row([(at["M"], 1), (at["dM"], -1), *before], 0.0 if t else tech.M0)
            kept = [(column("stored", leaf, t - 1), -(1 - storage.boil_off))] if t and storage else []
            row(
                [(at["Q"], 1), (at["E"], 1), (at["stored"], 1), (at["M"], -tech.eta), *kept],
                storage.initial if storage and not t else 0.0,
            )
            row([(at["Q"], 1), (at["QE"], 1), (at["S"], 1)], tree.value[nodes[leaf, t]])
            if launch_cap is not None:
                row([(at["dM"], tech.alpha)], launch_cap, capped, caps)
            for other in range(leaf):
                if stage_of(t) is not None and nodes[other, stage_of(t)] == nodes[leaf, stage_of(t)]:
                    row([(at["dM"], 1), (column("dM", other, t), -1)], 0.0)
                if seen and nodes[other, t] == nodes[leaf, t]:
                    for name in ("Q", "QE", "S", "E"):
                        row([(at[name], 1), (column(name, other, t), -1)], 0.0)
    found = linprog(
        cost,
        A_ub=np.array(capped) if capped else None,
        b_ub=caps or None,
        A_eq=np.array(rows),
        b_eq=right,
        bounds=np.stack([lower, upper], axis=1),
    )
    assert found.status == 0, found.message
    return -found.fun


def in_all_values(case, tree, model, **options):
    """RP, static, fixed, WS and EEV of a model against the scenario form by hand."""
    T, L = case.horizon.T, case.horizon.lead_time
    ev = on_tree(model, mean_path(tree))
    plan = ev.on_nodes(solve(ev.program).x, "dM")
    slack = 1e-7 * flows(case, tree) + 1e-6
    for information, reference in (
        (Recourse(), {"stage_of": lambda t: max(t - L, 0)}),
        (Static(), {"stage_of": lambda t: 0}),
        (Fixed(), {"stage_of": lambda t: 0 if t == 0 else None}),
        (WaitAndSee(), {"stage_of": lambda t: T, "seen": False}),
        (held({"dM": plan}), {"stage_of": lambda t: 0, "held_plan": plan}),
    ):
        expected = by_hand(case, tree, **reference, **options)
        assert optimum(model, tree, information) == pytest.approx(expected, rel=0, abs=slack)


@settings(max_examples=10)
@given(problems(max_T=2), st.sampled_from([None, 100.0, 1000.0]), st.sampled_from([0.0, 500.0, 5000.0]))
def test_a_cap_and_a_cost_are_right_in_the_whole_table(problem, cap, cost):
    """Each is one part added to the case's model by public names; every value is that of a program of one's own."""
    case, tree = problem
    parts = [Expression("handling", {"Q": 1.0}, cost=cost)]
    if cap is not None:
        parts.append(Row("mass_limit", {"M_leo": 1.0}, upper=cap))
    found, T, L = values(case.model.with_part(*parts), tree), case.horizon.T, case.horizon.lead_time
    extra = {"launch_cap": cap, "per_delivered": cost}
    plan = np.asarray(found.optima["ev"].plan["dM"])
    known = {
        "rp": by_hand(case, tree, lambda t: max(t - L, 0), **extra),
        "static": by_hand(case, tree, lambda _: 0, **extra),
        "fixed": by_hand(case, tree, lambda t: 0 if t == 0 else None, **extra),
        "ws": by_hand(case, tree, lambda _: T, seen=False, **extra),
        "ev": by_hand(case, mean_path(tree), lambda _: 0, **extra),
        "eev": by_hand(case, tree, lambda _: 0, held_plan=plan, **extra),
    }
    slack = 1e-7 * flows(case, tree) + 1e-6
    for name, worth in known.items():
        assert found.point(name) == pytest.approx(worth, rel=0, abs=slack), name
        assert found.bracket(name).lower - slack <= worth <= found.bracket(name).upper + slack, name
    for name, (high, low, _) in DIFFERENCES.items():
        assert found.point(name) == pytest.approx(known[high] - known[low], rel=0, abs=2 * slack), name


@settings(max_examples=10)
@given(problems(max_T=2), st.sampled_from([100.0, 1000.0, 4000.0]))
def test_a_cap_on_launched_mass_is_one_part(problem, cap):
    case, tree = problem
    model = deployment_model(case).with_part(Row("mass_limit", {"M_leo": 1.0}, upper=cap))
    in_all_values(case, tree, model, launch_cap=cap)


@settings(max_examples=10)
@given(problems(max_T=2), st.sampled_from([500.0, 5000.0]))
def test_a_cost_per_delivered_kilogram_is_one_part(problem, cost):
    case, tree = problem
    model = deployment_model(case).with_part(Expression("handling", {"Q": 1.0}, cost=cost))
    in_all_values(case, tree, model, per_delivered=cost)


@settings(max_examples=10)
@given(
    problems(max_T=2),
    st.sampled_from([Storage(0.1, 300.0, 20.0, 100.0), Storage(0.0, 50.0, 0.0, 0.0), Storage(0.5, 1000.0, 0.0, 500.0)]),
)
def test_a_store_is_one_state(problem, storage):
    case, tree = problem
    in_all_values(case, tree, deployment_model(case, storage), storage=storage)


# ------------------------------------------------------------------ given decisions


@settings(max_examples=30)
@given(problems(), st.lists(st.sampled_from([0.0, 30.0, 200.0, 1e4]), min_size=4, max_size=4))
def test_a_given_plan_is_worth_what_its_operation_earns(problem, amounts):
    case, tree = problem
    plan = np.array(amounts[: case.horizon.T + 1])
    if case.horizon.initial_deployment == "fixed":
        plan[0] = 0.0
    found = evaluate(case.model, {"dM": plan}, tree)
    close(case, tree, found.value, plan_value(case, tree, plan[tree.stage]))
    close(case, tree, found.scenarios @ tree.probability[tree.leaves], found.value)
    close(case, tree, found.bound, found.value)
    assert found.quantities["M"] == pytest.approx(capacity_of(case, tree, plan[tree.stage]))
    assert found.quantities["M_leo"] == pytest.approx(case.technology.alpha * plan[tree.stage])
    assert found.quantities["E"] == pytest.approx(found.quantities["Qcap"] - found.quantities["Q"], abs=1e-6)
    # What is optimal is worth its optimum.
    ours = on_tree(case.model, tree)
    solution = solve(ours.program)
    close(case, tree, evaluate(case.model, ours.plan(solution.x), tree).value, solution.objective)


@pytest.mark.parametrize(
    "symbols",
    [{}, {"fixed_cost": 2e6, "lot": 20.0}, {"reference": 100.0, "c_dev_exponent": 0.7, "eta_exponent": 1.1}],
)
def test_a_given_plan_is_worth_the_same_on_paths_as_in_simulation(symbols):
    case = load_case("lunar-reference").replace(T=4, earth_limit=400.0, **symbols)
    paths = case.process.sample(50, 4, seed=3).T
    plan = np.array([40.0, 0.0, 60.0, 20.0, 0.0])
    found = evaluate(case.model, {"dM": plan}, paths)
    plant = np.cumsum(plan)
    cash = MeritOrder.of(case).profit(case.technology.eta * plant, paths) - case.investment(plan)
    cash -= case.costs.c_op * plant
    assert found.scenarios == pytest.approx(cash @ discount_factors(case), rel=1e-9, abs=1e-3)
    assert found.value == pytest.approx(found.scenarios.mean(), rel=1e-9, abs=1e-3)


def test_plans_that_cannot_be_are_refused():
    case = load_case("lunar-reference").replace(T=2, lot=50.0, initial_deployment="fixed")
    tree = ScenarioTree.from_process(case.process, [2, 2])
    for plan, error, message in (
        ({}, InputError, "plan: needs amounts of 'dM'"),
        ({"dM": [0, 0, 0], "M": [0, 0, 0]}, InputError, "plan: 'M' is no decision of lunar-reference; its decisions"),
        ({"dM": [0, 0]}, InputError, "plan: 'dM' must have one amount per year, 3, or per node, 7, got 2"),
        ({"dM": [0, 0, np.nan]}, InputError, "plan: 'dM' must be finite numbers, one per year or node"),
        ({"dM": [50.0, 0, 0]}, InfeasibleError, "decision 'dM': the plan's 50 of year 0 is out of the decision's"),
        ({"dM": [0, -50.0, 0]}, InfeasibleError, "decision 'dM': the plan's -50 of year 1 is out of the decision's"),
        ({"dM": [0, 20.0, 0]}, InfeasibleError, "decision 'dM': the plan's 20 of year 1 is no whole number of lots of"),
        ({"dM": [0, 0, 0, 0, 50, 50, 0]}, InputError, "plan: 'dM' of year 2 is decided at stage 1 and must be alike"),
    ):
        with pytest.raises(error, match=re.escape(message)):
            evaluate(case.model, plan, tree)
    store = deployment_model(case, Storage(0.1, 300.0, 20.0, 100.0))
    with pytest.raises(InputError, match="state 'stored': is fed by operations and kept"):
        evaluate(store, {"dM": [0, 0, 0]}, case.process.sample(5, 2, seed=0).T)
    with pytest.raises(InputError, match="paths: must be alike in year 0"):
        evaluate(case.model, {"dM": [0, 0, 0]}, [[1, 2, 3], [2, 2, 3]])
    full = deployment_model(case, Storage(0.1, 300.0, 20.0, 1e4))
    assert evaluate(full, {"dM": [0, 0, 0]}, tree).to_frame()["stored"].max() == pytest.approx(300.0)


# ------------------------------------------------------------------ problems that have nothing to do with the Moon


def test_newsvendor_orders_the_critical_quantile():
    """Cost 1, price 3, salvage 0.5: order the smallest q with P(D ≤ q) ≥ (3 − 1)/(3 − 0.5) = 0.8."""
    demand = np.arange(10.0, 110.0, 10.0)
    tree = ScenarioTree(parent=[-1, *[0] * 10], stage=[0, *[1] * 10], probability=[1, *[0.1] * 10], value=[50, *demand])
    model = Model(
        "newsvendor",
        horizon=1,
        parts=[
            Decision("order", lead=1, years=[1], cost=1.0, upper=1000),
            Operation("sold", value=3.0, upper=Factor("demand")),
            Operation("salvaged", value=0.5),
            Row("stocked", {"order": 1.0, "sold": -1.0, "salvaged": -1.0}, equals=0.0),
        ],
    )
    ours = on_tree(model, tree)
    solution = solve(ours.program)
    order = solution.values("order")[1]
    profit = lambda q: np.mean(3 * np.minimum(q, demand) + 0.5 * np.maximum(q - demand, 0)) - q  # noqa: E731
    assert profit(order) == pytest.approx(max(profit(q) for q in demand))
    assert 80 <= order <= 90
    assert solution.objective == pytest.approx(profit(80.0))
    assert optimum(model, tree, WaitAndSee()) == pytest.approx(2 * demand.mean())


def test_hydro_reservoir_follows_its_dynamic_programme():
    """A reservoir of 3, inflow 0 or 2, turbine of 2, price by year: minimise what thermal power costs."""
    tree = ScenarioTree(
        parent=[-1, 0, 0, 1, 1, 2, 2],
        stage=[0, 1, 1, 2, 2, 2, 2],
        probability=[1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25],
        value=[1e-9, 1e-9, 2, 1e-9, 2, 1e-9, 2],
    )
    fuel = [10.0, 20.0, 30.0]
    model = Model(
        "reservoir",
        horizon=2,
        sense="minimise",
        factors=["inflow"],
        parts=[
            Operation("hydro", upper=2.0),
            Operation("thermal", value=[-x for x in fuel]),
            Operation("spill"),
            State("water", gains={"hydro": -1.0, "spill": -1.0}, inflow=Factor("inflow"), initial=1.0, upper=3.0),
            Row("load", {"hydro": 1.0, "thermal": 1.0}, equals=2.0),
        ],
    )

    def cost_to_go(t, water, inflow):
        # Whole amounts are optimal: the data are whole and the program is a network.
        water = water + inflow
        best = np.inf
        for hydro in range(int(min(2, water)) + 1):
            left = min(3, water - hydro)
            later = 0.0 if t == 2 else 0.5 * (cost_to_go(t + 1, left, 0) + cost_to_go(t + 1, left, 2))
            best = min(best, fuel[t] * (2 - hydro) + later)
        return best

    assert optimum(model, tree) == pytest.approx(cost_to_go(0, 1, 0), abs=1e-6)
    assert optimum(model, tree, WaitAndSee()) <= optimum(model, tree) + 1e-9


def test_capacity_expansion_with_two_technologies_by_screening_curve():
    """Peaker 1 + 4 per unit used, base 3 + 1: base serves the load that lasts at least (3 − 1)/(4 − 1) of the time."""
    load = np.array([10.0, 20.0, 30.0, 40.0])
    tree = ScenarioTree(parent=[-1, 0, 0, 0, 0], stage=[0, 1, 1, 1, 1], probability=[1, *[0.25] * 4], value=[1, *load])
    kind = lambda name, build, run: [  # noqa: E731
        Decision(f"{name}_built", lead=1, years=[1], cost=build),
        State(f"{name}_plant", gains={f"{name}_built": 1.0}, enough=Factor("load")),
        Operation(f"{name}_output", value=-run),
        Row(f"{name}_capacity", {f"{name}_output": 1.0, f"{name}_plant": -1.0}, upper=0.0, years=[1]),
    ]
    model = Model(
        "two technologies",
        horizon=1,
        sense="minimise",
        factors=["load"],
        parts=[
            *kind("base", 3.0, 1.0),
            *kind("peak", 1.0, 4.0),
            Row("balance", {"base_output": 1.0, "peak_output": 1.0}, equals=Factor("load"), years=[1]),
            Row("off", {"base_output": 1.0, "peak_output": 1.0}, equals=0.0, years=[0]),
        ],
    )
    solution = solve(on_tree(model, tree).program)
    # Load above 20 lasts half the time, above 10 three quarters: base 20, peak the rest of 40.
    assert solution.values("base_built").sum() == pytest.approx(20.0)
    assert solution.values("peak_built").sum() == pytest.approx(20.0)
    expected = 3 * 20 + 1 * 20 + np.minimum(load, 20).mean() + 4 * np.maximum(load - 20, 0).mean()
    assert solution.objective == pytest.approx(expected)


def test_plant_with_a_lifetime_works_its_years_and_no_more():
    """Plant of year 0 that lives two years must be bought again in year 2; what was there before retires with it."""
    tree = ScenarioTree(parent=[-1, 0, 1, 2], stage=[0, 1, 2, 3], probability=[1, 1, 1, 1], value=[5, 5, 5, 5])
    model = Model(
        "lifetime",
        horizon=3,
        parts=[
            Decision("built", cost=1.0),
            State("plant", keep=0.5, gains={"built": 1.0}, initial=2.0, enough=Factor("demand"), lifetime=2),
            Operation("served", value=100.0),
            Row("capacity", {"served": 1.0, "plant": -1.0}, upper=0.0),
            Row("demand", {"served": 1.0}, upper=Factor("demand")),
        ],
    )
    ours = on_tree(model, tree)
    x = solve(ours.program).x
    built, plant = ours.on_nodes(x, "built"), ours.on_nodes(x, "plant")
    arrived = built + np.array([2.0, 0, 0, 0])
    assert plant == pytest.approx([arrived[0], *(arrived[1:] + 0.5 * arrived[:-1])])
    assert plant == pytest.approx([5, 5, 5, 5])


def test_payment_follows_its_shares():
    tree = ScenarioTree(parent=[-1, 0, 1], stage=[0, 1, 2], probability=[1, 1, 1], value=[1, 1, 1])
    paid = lambda payment: Model(  # noqa: E731
        "payment", horizon=2, discount_rate=1.0, parts=[Decision("d", 2, cost=8.0, lower=1, upper=1, payment=payment)]
    )
    # Arrivals of years 0, 1, 2; at arrival: 8·(1 + 1/2 + 1/4).
    assert optimum(paid(None), tree) == pytest.approx(-14.0)
    assert optimum(paid([1, 0, 0]), tree) == pytest.approx(-24.0)
    # Year 2: 8·(½·1 + ½·¼); year 1, ordered in year 0: half then, half on arrival.
    assert optimum(paid([0.5, 0, 0.5]), tree) == pytest.approx(-(8 + 8 * (0.5 + 0.25) + 8 * (0.5 + 0.125)))


def test_costs_that_depend_on_the_factor_are_expected_where_they_are_decided():
    tree = ScenarioTree(parent=[-1, 0, 0], stage=[0, 1, 1], probability=[1, 0.25, 0.75], value=[1, 2, 10])
    model = Model(
        "random price",
        horizon=1,
        factors=["price"],
        sense="minimise",
        parts=[Decision("d", lead=1, years=[1], cost=lambda t, f: f["price"] ** 2, lower=1, upper=3)],
    )
    assert optimum(model, tree) == pytest.approx(0.25 * 4 + 0.75 * 100)
    # EV: the factor at its mean, then the function.
    assert optimum(model, mean_path(tree)) == pytest.approx(8.0**2)


# ------------------------------------------------------------------ errors


def model_with(*parts, **options):
    return Model("m", **({"horizon": 2, "parts": parts} | options))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: model_with(Decision("d", years=[])), "decision 'd': years must be one or more whole numbers, got []"),
        (lambda: model_with(Decision("d", years=3)), "decision 'd': years must be one or more whole numbers, got 3"),
        (lambda: model_with(factors="demand"), "factors: must be a list, got 'demand'"),
        (lambda: Model("m", 1, Decision("d", upper=1)), "parts: must be a list, got Decision(name='d'"),
        (lambda: Model("m", 1, None), "parts: must be a list, got None"),
        (lambda: model_with(Decision("d", years=[3])), "decision 'd': years must lie in 0..2, got 3"),
        (
            lambda: model_with(Decision("d", cost=[1, 2])),
            "decision 'd': cost must be one number per year 0..2, 3 numbers, got 2",
        ),
        (
            lambda: model_with(Decision("d", cost="x")),
            "decision 'd': cost must be a number, one per year, a Factor or a",
        ),
        (lambda: model_with(Decision("d", lead=-1)), "decision 'd': lead: must be an integer >= 0, got -1"),
        (lambda: model_with(Decision("d", 1, payment=[1])), "decision 'd': payment must be lead + 1 = 2 shares"),
        (
            lambda: model_with(Decision("d", 1, cost=Factor("demand"), payment=[1, 0])),
            "decision 'd': a cost that depends on factors is known in the year of arrival",
        ),
        (
            lambda: model_with(Operation("q"), Row("r", {"z": 1}, upper=0)),
            "row 'r': terms names 'z'; stated before it are q",
        ),
        (lambda: model_with(Row("r", {})), "row 'r': needs a finite lower or upper side, or equals"),
        (lambda: model_with(Row("r", {}, upper=1, equals=2)), "row 'r': takes lower and upper, or equals, not both"),
        (
            lambda: model_with(State("s", gains={"q": 1})),
            "state 's': gains names 'q'; stated before it are no parts",
        ),
        (
            lambda: model_with(Operation("q"), State("s", gains={"q": 1}, enough=3)),
            "state 's': enough asks that only decisions feed it, got operation 'q'",
        ),
        (
            lambda: model_with(Operation("q", upper=Factor("price"))),
            "operation 'q': upper uses the factor 'price'; the model's",
        ),
        (lambda: model_with(Operation("q"), Operation("q")), "operation 'q': the name is taken by operation 'q'"),
        (
            lambda: model_with(Operation("not a name")),
            "operation: name must be letters, digits and _, got 'not a name'",
        ),
        (lambda: model_with(horizon=-1), "horizon: must be an integer >= 0, got -1"),
        (lambda: model_with(sense="max"), "sense: must be maximise or minimise, got 'max'"),
    ],
)
def test_what_is_wrong_with_a_model_is_said_in_one_line(make, message):
    with pytest.raises(InputError) as caught:
        make()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            [Decision("d")],
            "decision 'd': needs a finite upper bound in year 0, or no bound on the optimum can be proven",
        ),
        ([Operation("q")], "operation 'q': needs a finite upper bound in year 0"),
        ([State("s", lower=-np.inf)], "state 's': needs a finite lower bound in year 0"),
        (
            [Operation("q", upper=lambda t, f: f["price"])],
            "operation 'q': upper of year 0 uses the factor 'price'; the model's",
        ),
        (
            [Operation("q", upper=lambda t, f: [1, 2, 3])],
            "operation 'q': upper of year 0 must be a number or one per node",
        ),
        ([Operation("q", lower=[0, 2, 0], upper=1)], "operation 'q': lower must be <= upper in year 1, got 2 > 1"),
        ([Operation("q", value=lambda t, f: np.inf, upper=1)], "operation 'q': value of year 0 must be finite"),
    ],
)
def test_what_is_wrong_on_a_tree_names_part_and_year(parts, message):
    tree = ScenarioTree(parent=[-1, 0, 1], stage=[0, 1, 2], probability=[1, 1, 1], value=[1, 1, 1])
    with pytest.raises(InputError) as caught:
        on_tree(model_with(*parts), tree)
    assert message in str(caught.value)


def test_a_part_replaces_one_of_its_own_kind_only():
    model = load_case("lunar-reference").model
    dear = model.with_part(Expression("M_leo", {"dM": 1.0}, cost=1e9))
    assert len(dear.parts) == len(model.parts)
    with pytest.raises(InputError, match="expression 'delivery': the name is taken by row 'delivery'"):
        model.with_part(Expression("delivery", {"Q": 1.0}, cost=5.0))


def test_trees_of_other_horizons_and_processes_are_refused():
    case = load_case("lunar-reference").replace(T=2)
    model = deployment_model(case)
    with pytest.raises(InputError, match="tree: needs one stage per year, 2"):
        on_tree(model, ScenarioTree.from_process(case.process, [2]))
    other = ScenarioTree.from_process(case.replace(sigma=0.9).process, [2, 2])
    with pytest.raises(InputError, match="tree: was made from"):
        on_tree(model, other)
    assert on_tree(model, other.as_belief()).program.shape[1] > 0


def _bounded(cost, enough, *, keep=1.0, held=0.0, lifetime=None, initial=0.0, floor=0.0, curve=None, more=()):
    """What can be ordered serves demand; ``enough`` bounds the order, or else 50 does."""
    return Model(
        "bounded",
        3,
        [
            Decision("y", cost=cost, upper=50.0, curve=curve),
            State(
                "x", keep=keep, gains={"y": 1.0}, cost=held, lifetime=lifetime, initial=initial, lower=floor,
                enough=Factor("demand") if enough else None,
            ),
            Operation("sold", value=5.0, upper=Factor("demand")),
            Row("capacity", {"sold": 1.0, "x": -1.0}, upper=0.0),
            *more,
        ],
        process=GeometricBrownianMotion(10.0, 0.1, 0.3),
    )  # fmt: skip


@pytest.mark.parametrize(
    "stated",
    [
        {"cost": [1.0, 1.0, 9.0, 9.0], "lifetime": 2, "initial": 10.0},
        {"cost": [1.0, 2.0, 4.0, 9.0], "lifetime": 2, "keep": 0.8},
        {"cost": [1.0, -1.0, 1.0, 1.0]},
        {"cost": [1.0, 5.0, 5.0, 5.0], "lifetime": 3, "floor": [0.0, 0.0, 0.0, 40.0]},
        {"cost": [1.0, 5.0, 5.0, 5.0], "floor": [0.0, 0.0, 0.0, 40.0]},
        {"cost": 1.0, "held": [0.0, 0.0, 0.0, -2.0]},
        {"cost": 1.0, "held": [0.0, 0.0, 0.0, -0.9]},
        {"cost": 1.0, "more": [Row("must", {"y": 1.0}, lower=20.0, years=[1])]},
        {"cost": 1.0, "more": [Row("at_most", {"y": 1.0}, upper=20.0)]},
        {"cost": 1.0, "more": [Expression("gift", {"y": 1.0}, cost=-3.0)]},
        {
            "cost": 1.0,
            "more": [
                State("z", gains={"y": 1.0}, enough=3 * Factor("demand")),
                Operation("aside", value=2.0, upper=3 * Factor("demand")),
                Row("room", {"aside": 1.0, "z": -1.0}, upper=0.0),
            ],
        },
        {
            "cost": 1.0,
            "more": [
                Operation("used", value=2.0, upper=40.0),
                Row("by_order", {"used": 1.0, "y": -1.0}, upper=0.0),
            ],
        },
    ],
)
def test_enough_bounds_no_order_that_is_of_use_elsewhere(stated) -> None:
    """What earns, is asked for, or is needed when older plant retires is ordered beyond what is enough."""
    narrow, wide = _bounded(enough=True, **stated), _bounded(enough=False, **stated)
    tree = ScenarioTree.from_process(narrow.process, [2, 2, 2])
    best = solve(on_tree(wide, tree).program).objective
    assert solve(on_tree(narrow, tree).program).objective == pytest.approx(best, abs=1e-7)
    lattice = MarkovLattice.from_process(narrow.process, 3, 2)
    best = solve(on_tree(wide, lattice.to_tree()).program).objective
    bounds = sddp(narrow, lattice, rel_gap=1e-6, iterations=15, simulations=5).bounds
    assert bounds.lower - 1e-6 * abs(best) <= best <= bounds.upper + 1e-6 * abs(best)


def test_enough_bounds_no_order_that_is_cheaper_by_size_altogether() -> None:
    """More costs less beyond 10: the largest order is bought though a tenth of it is enough."""
    curve = Curve([0, 10, 50], [0, 40, 5])
    narrow, wide = (_bounded(cost=0.0, enough=enough, curve=curve) for enough in (True, False))
    tree = ScenarioTree.from_process(narrow.process, [2, 2, 2])
    best, found = (solve_mixed(on_tree(m, tree).program, rel_gap=1e-9).objective for m in (wide, narrow))
    assert found == pytest.approx(best, abs=1e-6)
