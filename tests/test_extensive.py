"""Programs joined into an extensive form: published answers, and the program of a model on a tree as another way."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenario_trees import ScenarioTree
from stochisru import InputError
from stochisru.problem import on_tree
from stochisru.problem.bounds import ColumnBounds, column_bounds
from stochisru.problem.information import Recourse, Static, WaitAndSee
from stochisru.problem.on_path import shared_parts
from stochisru.problem.on_tree import program_of
from stochisru.problem.paths import chain
from stochisru.problem.sheet import Sheet
from stochisru.programs.extensive import by_stage, join, join_scenarios
from stochisru.programs.sparse import ProgramBuilder, solve, solve_mixed
from stochisru.worked.classics.farmer import ACRES, CROPS, PURCHASES, SALES
from tests.models import ZOO, uneven


def farm(yields: float):
    """The farmer's program for known yields, by hand: acres, then what is sold and bought of each crop."""
    builder = ProgramBuilder("farm", "minimise")
    acres = builder.variables("acres", 3, lower=0, upper=ACRES, objective=[cost for cost, _, _ in CROPS.values()])
    builder.rows("land", -np.inf, ACRES, (np.zeros(3, dtype=int), acres.index, 1.0))
    for number, (crop, (_, mean, need)) in enumerate(CROPS.items()):
        prices = [price for price, _ in SALES[crop]]
        most = [np.inf if limit is None else limit for _, limit in SALES[crop]]
        sold = builder.variables(f"{crop} sold", len(prices), lower=0, upper=most, objective=-np.array(prices))
        terms = [(np.zeros(1, dtype=int), acres.index[[number]], yields * mean)]
        terms.append((np.zeros(sold.size, dtype=int), sold.index, -1.0))
        if crop in PURCHASES:
            bought = builder.variables(f"{crop} bought", 1, lower=0, upper=np.inf, objective=PURCHASES[crop])
            terms.append((np.zeros(1, dtype=int), bought.index, 1.0))
        builder.rows(crop, need, np.inf, *terms)
    return builder.build()


FARMS = [farm(y) for y in (0.8, 1.0, 1.2)]
SOWN = np.where(np.arange(FARMS[0].shape[1]) < 3, np.arange(FARMS[0].shape[1]), -1)


def test_the_farmer_of_birge_and_louveaux():
    joint = join_scenarios("farmer", FARMS, [1 / 3] * 3, [SOWN] * 3)
    found = solve(joint.program)
    assert found.objective == pytest.approx(-108_390, abs=0.5)
    rows, columns = FARMS[0].shape
    assert joint.program.shape == (3 * (rows - 1) + 1, 3 * (columns - 3) + 3)  # land and its row once
    for number, program in enumerate(FARMS):
        x = joint.of(found.x, number)
        np.testing.assert_allclose(x[:3], [170, 80, 250], rtol=1e-6)
        program.require_feasible(x)
    alone = [program.value(joint.of(found.x, number)) for number, program in enumerate(FARMS)]
    assert np.mean(alone) == pytest.approx(found.objective)


def test_nothing_in_common_is_wait_and_see():
    joint = join_scenarios("apart", FARMS, [1 / 3] * 3, [np.full(SOWN.size, -1)] * 3)
    apart = [solve(program) for program in FARMS]
    assert np.mean([s.objective for s in apart]) == pytest.approx(-115_405.6, abs=0.1)
    assert solve(joint.program).objective == pytest.approx(-115_405.6, abs=0.1)
    assert joint.program.value(joint.point([s.x for s in apart])) == pytest.approx(-115_405.6, abs=0.1)


def test_names_of_sets_do_not_matter_but_their_order_is_that_of_the_columns():
    """Columns may stand elsewhere in another program: it is the set that tells what is one decision."""
    order = np.random.default_rng(3).permutation(SOWN.size)
    mixed = replace(
        FARMS[2], objective=FARMS[2].objective[order], lower=FARMS[2].lower[order], upper=FARMS[2].upper[order],
        integer=FARMS[2].integer[order], matrix=FARMS[2].matrix[:, order],
    )  # fmt: skip
    names = np.where(SOWN >= 0, 10**12 - 7 * SOWN, -1)
    joint = join("farmer", [*FARMS[:2], mixed], [1, 1, 1], [names, names, names[order]])
    straight = join("farmer", FARMS, [1, 1, 1], [SOWN] * 3)
    assert joint.program.shape == straight.program.shape
    found = solve(joint.program)
    assert found.objective == pytest.approx(3 * -108_390, abs=2)
    np.testing.assert_allclose(found.values("shared"), [250, 80, 170], rtol=1e-6)  # by ascending set
    np.testing.assert_allclose(joint.of(found.x, 2)[np.argsort(order)][:3], [170, 80, 250], rtol=1e-6)


def test_rows_of_shared_columns_are_stated_once_where_they_say_the_same():
    def program(limit):
        builder = ProgramBuilder("p", "maximise", constant=2.0)
        x = builder.variables("x", 2, lower=0, upper=5, objective=1, integer=[True, False])
        builder.rows("same", -np.inf, 8.5, (np.zeros(2, dtype=int), x.index, np.array([2.0, 1.0])))
        builder.rows("other", -np.inf, limit, (np.zeros(2, dtype=int), x.index, np.array([1.0, 3.0])))
        builder.rows("empty", -1.0, 1.0)
        return builder.build()

    programs = [program(9.0), program(6.0), program(6.0)]
    joint = join("p", programs, [1.0, 0.25, 0.25], [[0, 1]] * 3, ["first", "second", "third"])
    # The row without columns is each program's own.
    assert {name: block.size for name, block in joint.program.rows.items()} == {"first": 3, "second": 2, "third": 1}
    assert joint.program.shape == (6, 2)
    assert joint.program.integer.tolist() == [True, False]
    best = max((a + b for a in range(6) if (b := min(8.5 - 2 * a, (6.0 - a) / 3, 5.0)) >= 0), default=0)
    assert solve_mixed(joint.program, rel_gap=0).objective == pytest.approx(1.5 * (best + 2.0))


def test_bounds_are_those_that_all_programs_have_in_common():
    def program(low, high, whole=False):
        builder = ProgramBuilder("p", "minimise")
        builder.variables("size", 3, lower=[0, low, 0], upper=[9, high, 9], objective=1, integer=whole)
        return builder.build()

    ids = [np.array([-1, 5, -1])] * 2
    joint = join("p", [program(1.5, 4), program(0.5, 3, whole=True)], [1, 2], ids)
    assert (joint.program.lower[0], joint.program.upper[0], joint.program.integer[0]) == (1.5, 3, True)
    assert joint.program.integer[1:].tolist() == [False, False, True, True]
    assert solve_mixed(joint.program, rel_gap=0).objective == pytest.approx(3 * 2)
    with pytest.raises(InputError, match=r"got >= 5 and <= 3 for column 1 of 'size' in 'scenario 1'"):
        join("p", [program(0, 3), program(5, 9)], [1, 1], ids)


KNOWN = np.array([0, -1, -1])


def _three(sense="minimise"):
    builder = ProgramBuilder("three", sense)
    builder.variables("x", 3, lower=0, upper=1)
    return builder.build()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"programs": []}, "programs: must be at least one, all of one sense, got none"),
        ({"programs": [_three(), _three("maximise")]}, "all of one sense, got maximise, minimise"),
        ({"weights": [1.0]}, "weights: must be 2 finite numbers >= 0, one per program"),
        ({"weights": [1.0, -0.5]}, "weights: must be 2 finite numbers >= 0"),
        ({"weights": [1.0, np.nan]}, "weights: must be 2 finite numbers >= 0"),
        ({"shared": [KNOWN]}, "shared, names: must be 2, one per program, got 1 and 2"),
        ({"names": ["a"]}, "shared, names: must be 2, one per program, got 2 and 1"),
        ({"names": ["a", "a"]}, "name: must be new in the program, 'a' is there already"),
        ({"shared": [KNOWN, KNOWN[:2]]}, "shared: must be 3 integers for 'scenario 1', one per column"),
        ({"shared": [KNOWN, KNOWN.astype(float)]}, "shared: must be 3 integers for 'scenario 1', .* got float64"),
        ({"shared": [KNOWN, KNOWN - 1]}, "shared: must be information sets >= 0, or -1, got -2 in 'scenario 1'"),
        ({"shared": [KNOWN, np.array([4, 4, -1])]}, "must have a set once in a program, got 4 twice in 'scenario 1'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(change, message):
    arguments = {"programs": [_three(), _three()], "weights": [0.5, 0.5], "shared": [KNOWN, KNOWN], **change}
    with pytest.raises(InputError, match=message):
        join("p", **arguments)


def test_probabilities_of_scenarios_sum_to_1():
    assert join_scenarios("p", [_three()] * 2, [0.25, 0.75], [KNOWN] * 2).program.shape == (0, 5)
    with pytest.raises(InputError, match=r"probability: must sum to 1 over the scenarios, got 0\.9"):
        join_scenarios("p", [_three()] * 2, [0.5, 0.4], [KNOWN] * 2)


def test_information_sets_by_stage():
    tree = ScenarioTree([-1, 0, 0, 1, 1, 2], [0, 1, 1, 2, 2, 2], [1, 0.5, 0.5, 0.25, 0.25, 0.5], [1.0] * 6)
    sets = by_stage(tree, [0, 1, 2, -1, 1])
    assert (sets[:, 0] == sets[0, 0]).all()  # decided at the root
    assert sets[0, 1] == sets[1, 1] != sets[2, 1]
    assert sets[0, 4] == sets[1, 4] != sets[0, 1]  # two decisions of one node
    assert (sets[:, 2:4] == -1).all()  # every path is known, or never alike
    for wrong in ([3], [-2], [0.5], 1):
        with pytest.raises(InputError, match="stage: must be integers from -1 to 2, one per column"):
            by_stage(tree, wrong)


# ------------------------------------------------------------ models on trees


def paths_joined(model, tree, information):
    """The programs of the paths of a tree, joined by the stages at which an information says that parts are decided."""
    sheet = Sheet(model, tree, information)
    bounds = column_bounds(sheet)
    whole = {
        part.name: np.stack([sheet.places[part.name].seen_from(t, tree.horizon) for t in model.years], axis=1)
        for part in model.columns
    }
    decisions = {part.name: part.lead for part in model.decisions}
    programs, stages = [], None
    for leaf, nodes in enumerate(tree.node_paths()):
        path = Sheet(model, chain(tree.value[nodes]), Recourse())
        # Bounds of the whole tree: what is shared may have to serve other paths.
        own = {
            name: ColumnBounds(*(side[whole[name][leaf][np.array(path.places[name].year)]] for side in bounds[name]))
            for name in bounds
        }
        stated = program_of(path, own)
        stages = np.full(stated.program.shape[1], -1)
        for part in shared_parts(model):
            span = stated.program.columns[part.name].span
            years = stated.places[part.name].year
            if part.name in decisions:
                known = [information.decided_at(t, decisions[part.name], tree.horizon) for t in years.tolist()]
            else:
                known = [information.operated_at(t, tree.horizon) for t in years.tolist()]
            stages[span] = known
        programs.append(stated.program)
    probability = tree.probability[tree.leaves]
    return join_scenarios(model.name, programs, probability, by_stage(tree, stages)), programs


def optimum(program):
    return solve_mixed(program, rel_gap=0).objective if program.integer.any() else solve(program).objective


@settings(max_examples=20, deadline=None)
@given(
    name=st.sampled_from(sorted(ZOO)),
    seed=st.integers(0, 10**6),
    information=st.sampled_from([Recourse(), Static(), WaitAndSee()]),
)
def test_joined_paths_are_the_program_of_the_tree(name, seed, information):
    """Two ways to one number: columns of nodes, and programs of paths with nonanticipativity by information sets."""
    model = ZOO[name](2)
    tree = uneven(np.random.default_rng(seed), 2)
    joint, paths = paths_joined(model, tree, information)
    best = optimum(joint.program)
    assert best == pytest.approx(optimum(on_tree(model, tree, information).program), rel=1e-6, abs=1e-6)
    if isinstance(information, WaitAndSee):
        apart = [optimum(program) for program in paths]
        assert best == pytest.approx(float(tree.probability[tree.leaves] @ apart), rel=1e-6, abs=1e-6)
        assert joint.program.shape[1] == sum(program.shape[1] for program in paths)
