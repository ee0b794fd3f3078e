"""Problems with published answers, stated with the parts of the library alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np
import pytest

from scenario_trees import MarkovLattice, TreeError
from scenario_trees.arrays import Array
from stochisru.errors import InputError
from stochisru.problem import Model, Operation, Row, on_tree
from stochisru.problem.on_path import scenario_model, solve_pyomo
from stochisru.programs.sparse import solve, solve_mixed
from stochisru.values import Values, values
from stochisru.worked import classics
from stochisru.worked.classics.hydro import DEMAND, INFLOW, THERMAL
from stochisru.worked.classics.newsvendor import lognormal_answer

SMALL = [name for name in classics.__all__ if name not in ("generation_expansion", "newsvendor_lognormal")]


def _values(stated: tuple[Model, MarkovLattice]) -> Values:
    model, lattice = stated
    return values(model, lattice.to_tree())


def _plan(found: Values) -> Mapping[str, Array]:
    best = found.optima["rp"]
    assert best is not None
    assert best.plan is not None
    return best.plan


def test_farmer() -> None:
    found = _values(classics.farmer())
    assert found.point("rp") == pytest.approx(-108_390.0)
    assert found.point("ws") == pytest.approx(-115_405.56, abs=0.01)
    assert found.point("evpi") == pytest.approx(7_015.56, abs=0.01)
    assert found.point("ev") == pytest.approx(-118_600.0)
    assert found.point("vss") == pytest.approx(1_150.0)
    plan = _plan(found)
    assert {crop: plan[crop][-1] for crop in plan} == pytest.approx({"wheat": 170, "corn": 80, "beets": 250})


def test_financial_planning_has_no_plan_that_is_fixed_in_advance() -> None:
    found = _values(classics.financial_planning())
    assert found.point("rp") == pytest.approx(-1.514, abs=5e-4)
    assert found.point("static") == found.point("eev") == -np.inf
    assert found.point("vss") is None
    assert found.point("vms") is None
    assert "infeasible" in repr(found)
    plan = _plan(found)
    assert (plan["hold_stocks"][0], plan["hold_bonds"][0]) == pytest.approx((41.479, 13.521), abs=1e-3)


def test_lands() -> None:
    assert _values(classics.lands()).point("rp") == pytest.approx(381.853, abs=5e-4)


def test_fast_hydro_thermal() -> None:
    assert _values(classics.fast_hydro_thermal()).point("rp") == pytest.approx(10.0)


def test_reservoir_against_dynamic_programming() -> None:
    levels = np.arange(5.0, 15.01, 0.5)  # all levels, inflows and demands are multiples of it
    later = np.zeros(levels.size)
    for year in range(3, -1, -1):
        worth = np.zeros((levels.size, 3))
        for i, level in enumerate(levels):
            for k in range(3):
                water = level + INFLOW[k] - levels  # that leaves the reservoir, by the level that stays
                hydro = np.minimum(np.maximum(water, 0.0), DEMAND[k])
                cost = (water - hydro) + THERMAL[max(year - 1, 0)] * (DEMAND[k] - hydro) + later
                worth[i, k] = cost[water >= 0].min()
        later = worth.mean(axis=1) if year else worth[:, 1]
    assert _values(classics.reservoir()).point("rp") == pytest.approx(later[levels == 10.0][0])


def test_generation_expansion() -> None:
    model, lattice = classics.generation_expansion()
    program = on_tree(model, lattice.to_tree()).program
    solution = solve_mixed(program, rel_gap=1e-4)
    assert solution.objective == pytest.approx(2.078860e6, abs=1e3)


def test_garage() -> None:
    found = _values(classics.garage())
    assert found.point("rp") == pytest.approx(6_238_417, abs=0.5)
    plan = _plan(found)
    assert plan["construction"][0] == 6 * 200


def test_wagner_whitin() -> None:
    found = _values(classics.wagner_whitin())
    assert found.point("rp") == pytest.approx(1_380.0)
    plan = _plan(found)
    assert plan["order"].round(6).tolist() == [210.0, 0.0, 150.0, 0.0]


def test_newsvendor() -> None:
    found = _values(classics.newsvendor())
    assert found.point("evpi") == pytest.approx(80.0)
    plan = _plan(found)
    assert plan["order"][-1] == pytest.approx(100.0)


def test_newsvendor_lognormal_goes_to_its_closed_form() -> None:
    order, profit = lognormal_answer()
    errors = []
    for bins in (25, 100, 400):
        model, lattice = classics.newsvendor_lognormal(bins)
        solution = solve(on_tree(model, lattice.to_tree()).program)
        errors.append(solution.objective - profit)
    assert solution.values("order")[-1] == pytest.approx(order, rel=3e-3)
    # Conditional means lose the spread within bins, so profit is rated too high, by less with every bin.
    assert errors[0] > errors[1] > errors[2] > -1e-9
    assert errors[2] == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("name", SMALL)
def test_scenario_form_agrees(name: str) -> None:
    """The independent form in Pyomo, with explicit nonanticipativity."""
    model, lattice = getattr(classics, name)()
    tree = lattice.to_tree()
    assert solve_pyomo(scenario_model(model, tree)) == pytest.approx(_values((model, lattice)).point("rp"), rel=1e-6)


@pytest.mark.parametrize("name", SMALL)
def test_order_of_the_values(name: str) -> None:
    found = _values(getattr(classics, name)())
    better = [found.model.sign * (found.point(value) or 0.0) for value in ("ws", "rp", "static", "fixed")]
    assert all(a >= b - 1e-6 * max(abs(a), 1.0) for a, b in pairwise(better))


def test_an_operation_of_some_years_is_nothing_in_others() -> None:
    model = Model("two years", 1, [Operation("sold", value=1.0, years=[1]), Row("most", {"sold": 1.0}, upper=3.0)])
    solution = solve(on_tree(model, MarkovLattice.independent([[1.0], [1.0, 2.0]]).to_tree()).program)
    assert solution.values("sold").tolist() == [0.0, 3.0, 3.0]
    with pytest.raises(InputError, match=r"operation 'sold': years must lie in 0..1, got 2"):
        Model("two years", 1, [Operation("sold", years=[2])])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MarkovLattice.independent([[1.0], [1.0, 2.0]], [[1.0]]), "probabilities"),
        (lambda: MarkovLattice.independent([[1.0], [1.0, 2.0]], [[1.0], [0.5, 0.6]]), "sum to 1"),
        (lambda: MarkovLattice.independent([[1.0], [2.0, 1.0]]), "ascending"),
        (lambda: MarkovLattice.independent([[1.0], []]), "no state"),
    ],
)
def test_independent_stages_are_checked(make: Callable[[], MarkovLattice], message: str) -> None:
    with pytest.raises(TreeError, match=message):
        make()
