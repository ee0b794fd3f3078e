"""Progressive hedging of models: incumbents are worth on their subtrees what they are worth on the whole tree."""

from dataclasses import replace

import numpy as np
import pytest

from scenario_trees import GeometricBrownianMotion, ScenarioTree
from stochisru import BoundsError, extensive_form, progressive_hedging
from stochisru.methods.hedging.progressive_hedging import default_cut
from stochisru.methods.hedging.proximal import subproblem
from stochisru.problem.plan import ModelPlan
from tests import models


@pytest.mark.parametrize("seed", [1, 11, 23, 27, 33])
def test_drawn_models_with_whole_numbers(seed):
    model, tree = models.drawn(seed)
    best = extensive_form(model, tree, rel_gap=1e-8)
    slack = 1e-7 * best.plan.flows
    result = progressive_hedging(model, tree, iterations=2, cut_stage=model.horizon - 1)
    assert result.bounds.lower - slack <= best.objective <= result.bounds.upper + slack
    assert result.objective == result.plan.value


@pytest.mark.parametrize("seed", [7, 33, 48])
def test_a_tolerance_of_a_decision_pays_no_fixed_cost(seed):
    """A program takes 1e-9 of a decision for nothing; a plan of the whole tree owed its fixed cost."""
    model, tree = models.drawn(seed)
    fast = replace(model["fast"], fixed_cost=5000.0)  # so that none is taken
    parts = model.with_part(fast).subtrees(tree, 1)
    for i in range(parts.count):
        program = parts.program(i)
        solver = subproblem(program, "drawn", "highs", "linearised", 0.0)
        nothing = program.program.lower[program.held].copy()
        found = solver.fixed(nothing)
        almost = solver.fixed(nothing + 1e-9)
        assert almost.value == pytest.approx(found.value, rel=1e-9)
        x = found.x.copy()
        span = program.program.columns["fast"].span
        x[span] = np.where(x[span] > 0, x[span], 1e-10)
        taken, value = program.settled(x, np.nan)
        columns = {part.name: program.stated.on_nodes(taken, part.name) for part in model.columns}
        assert value == ModelPlan(program.stated.model, program.branch, columns).value
        assert value == pytest.approx(found.value, rel=1e-9)


def test_the_default_cut_goes_by_the_size_of_subtrees():
    process = GeometricBrownianMotion(100.0, 0.0, 0.3)
    for branching, ranks, cut in [
        ([3] * 3, 1, 1),
        ([3] * 8, 1, 1),  # 3,280 nodes
        ([3] * 9, 1, 2),  # 9,841 nodes, then 3,280
        ([3] * 5, 2, 2),
        ([1, 1, 2], 1, 3),
        ([2, 2], 8, 2),  # there is no stage for so many
    ]:
        assert default_cut(ScenarioTree.from_process(process, branching), ranks) == cut


def test_what_rounding_leaves_of_prices_is_taken_off():
    """Prices near 0 had 1.16e-6 left over after hundreds of iterations: the bound holds at prices less their mean."""
    from stochisru.methods.hedging.engine import engine_arguments, engine_class, import_mpisppy

    import_mpisppy(serial=True)
    tree = ScenarioTree.from_process(GeometricBrownianMotion(100.0, 0.0, 0.3), [3, 2, 2])
    model = models.several_leads(3)
    parts = model.subtrees(tree, 1)
    engine = engine_class(parts, "highs", "linearised")(**engine_arguments(parts, 1))
    engine._create_solvers()
    nothing = np.zeros(parts.shared.shape)
    without = engine.lagrangian(nothing)
    assert engine.lagrangian(nothing + 1.16e-6) == pytest.approx(without, rel=1e-12)
    assert without >= extensive_form(model, tree).objective * (1 - 1e-9)
    with pytest.raises(BoundsError, match="must be 0"):
        engine.lagrangian(nothing + 0.01)
