"""Checks of what users write: processes and problems that keep the rules, and such that break one."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from scenario_trees import GeometricBrownianMotion, MarkovLattice, ScenarioTree
from stochisru import load_case
from stochisru.problem import Factor, State
from stochisru.testing import check_problem, check_process
from stochisru.worked import classics
from tests import models

DEMAND = GeometricBrownianMotion(100.0, 0.05, 0.25)
LINEAR = [models.power(2), models.power(2, build_limit=30.0), models.hydro(2), models.several_leads(3)]
MIXED = [models.machines(2), models.hydro(2, lot=20.0), models.cheaper_by_size(2)]


@pytest.mark.parametrize("model", LINEAR, ids=lambda m: f"{m.name}-{m.horizon}-{len(m.parts)}")
def test_linear_models_of_the_zoo(model):
    check_problem(model, MarkovLattice.from_process(DEMAND, model.horizon, 3))


@pytest.mark.parametrize("model", MIXED, ids=lambda m: m.name)
def test_mixed_models_of_the_zoo(model):
    check_problem(model, ScenarioTree.from_process(DEMAND, [3, 2]))


@pytest.mark.parametrize("name", ["farmer", "lands", "fast_hydro_thermal", "newsvendor", "wagner_whitin"])
def test_classics(name):
    check_problem(*getattr(classics, name)())


@pytest.mark.parametrize("symbols", [{}, {"lead_time": 2, "degradation": 0.1}, {"lot": 50.0, "degradation": 0.05}])
def test_the_lunar_model(symbols):
    case = load_case("lunar-reference").replace(T=2, **symbols)
    check_problem(case.model, ScenarioTree.from_process(case.process, [3, 2]))


def test_a_bound_that_cuts_off_the_optimum_is_found():
    """``enough`` says of which amount more earns nothing; half of demand is too little."""
    model = models.power(2)
    plant = model["gas_plant"]
    assert isinstance(plant, State)
    wrong = model.with_part(replace(plant, enough=0.5 * Factor("demand")))
    with pytest.raises(AssertionError, match="with bounds ten times wider"):
        check_problem(wrong, ScenarioTree.from_process(DEMAND, [3, 2]))


@dataclass
class Walk:
    """A random walk; faults are added in turn."""

    fault: str = ""
    initial: float = 100.0

    def mean(self, t):
        t = np.asarray(t, dtype=float)
        return self.initial + (0.5 if self.fault == "mean" else 0.0) * t

    def paths(self, normals, dt=1.0):
        z = np.asarray(normals)
        if self.fault == "others":
            z = z - z.mean(axis=1, keepdims=True)
        if self.fault == "later":
            z = z[::-1]
        if self.fault == "writes":
            normals *= 2.0
        start = np.full((1, z.shape[1]), 90.0 if self.fault == "start" else self.initial)
        found = np.concatenate([start, self.initial + np.cumsum(z, axis=0)])
        return found.T if self.fault == "shape" else found


def test_processes_that_keep_the_rules():
    check_process(Walk(), paths=4000)
    check_process(DEMAND)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("mean", "mean of year"),
        ("others", "depends on the other paths"),
        ("later", "depends on normals of later years"),
        ("writes", "writes to the normals"),
        ("start", "must start at initial"),
        ("shape", "paths must have shape"),
    ],
)
def test_processes_that_break_one(fault, message):
    with pytest.raises(AssertionError, match=f"Walk: .*{message}"):
        check_process(Walk(fault), paths=4000)
