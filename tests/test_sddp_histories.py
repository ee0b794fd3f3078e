"""SDDP where histories are few: the plan is followed along all, and brackets close around the tree's optimum."""

from dataclasses import replace

import pytest

from scenario_trees import GeometricBrownianMotion, MarkovLattice
from stochisru import extensive_form, sddp
from stochisru.methods.risk import MeanCVaR
from stochisru.methods.sddp.histories import MOST_HISTORIES, histories
from stochisru.problem import Model, Operation, Row, State
from tests import models

DEMAND = GeometricBrownianMotion(100.0, 0.05, 0.25)


@pytest.mark.parametrize("seed", range(8))
def test_drawn_linear_models_close(seed):
    model, _ = models.drawn(seed)
    model = model.with_part(*(replace(part, lot=None, fixed_cost=0.0) for part in model.decisions))
    lattice = MarkovLattice.from_process(DEMAND, model.horizon, 4)
    best = extensive_form(model, lattice.to_tree())
    result = sddp(model, lattice, iterations=60)
    slack = 1e-8 * best.plan.flows
    assert result.bounds.certified
    assert result.bounds.lower - slack <= best.objective <= result.bounds.upper + slack
    assert result.termination.reason == "optimal"
    assert result.bounds.gap <= 1e-3


def portfolio(kinds):
    """Money in several deposits and a share whose price is the factor; what lacks at the end costs four times more."""
    names = [f"kind{k}" for k in range(kinds)]
    parts = [Operation("in", upper=300.0, years=[0]), Row("all", {"in": 1.0}, equals=55.0, years=[0])]
    for k, name in enumerate(names):
        lost = lambda t, f, k=k: 1.0 + 0.05 * k * (f["demand"] / 100 - 1)  # noqa: E731
        parts += [
            Operation(f"{name}_bought", value=-0.01 * (k + 1), upper=200.0),
            Operation(f"{name}_sold", value=-0.01, upper=200.0),
            State(name, keep=lost, gains={f"{name}_bought": 1.0, f"{name}_sold": -1.0}, upper=300.0),
        ]
    flow = {f"{name}_bought": 1.0 for name in names} | {f"{name}_sold": -1.0 for name in names}
    parts.append(Row("cash", {**flow, "in": -1.0}, equals=0.0))
    parts += [Operation("surplus", 1.0, upper=500.0, years=[3]), Operation("lack", -4.0, upper=500.0, years=[3])]
    end = dict.fromkeys(names, 1.0) | {"surplus": -1.0, "lack": 1.0}
    parts.append(Row("target", end, equals=60.0, years=[3]))
    return Model("portfolio", 3, parts)


@pytest.mark.parametrize("kinds", [2, 7])
def test_states_of_more_entries_than_have_corners(kinds):
    model, lattice = portfolio(kinds), MarkovLattice.from_process(DEMAND, 3, 3)
    best = extensive_form(model, lattice.to_tree())
    result = sddp(model, lattice, iterations=200)
    assert result.bounds.certified
    assert result.bounds.lower - 1e-6 <= best.objective <= result.bounds.upper + 1e-6
    assert result.bounds.gap <= 1e-3


def test_a_nested_measure_lies_below_the_expectation_and_closes():
    model, lattice = models.several_leads(3), MarkovLattice.from_process(DEMAND, 3, 3)
    risky = sddp(model, lattice, risk=MeanCVaR(0.5, 0.5))
    assert risky.bounds.certified
    assert risky.bounds.gap <= 1e-3
    assert risky.bounds.upper < extensive_form(model, lattice.to_tree()).objective


def test_histories_are_counted_as_the_tree_of_the_lattice_has_nodes():
    lattice = MarkovLattice.from_process(DEMAND, 4, 5)
    assert histories(lattice, neutral=True) <= histories(lattice, neutral=False) == sum(5**t for t in range(5))
    assert histories(lattice, neutral=True) == lattice.to_tree().n_nodes
    assert histories(MarkovLattice.from_process(DEMAND, 30, 10), neutral=True) == MOST_HISTORIES + 1
