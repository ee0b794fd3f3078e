"""Mutants of methods and policies: what is wrong is found by the checks for users."""

from dataclasses import replace

import pytest

from scenario_trees import GeometricBrownianMotion, ScenarioTree
from stochisru import InputError, load_case
from stochisru.lunar.trees import case_tree
from stochisru.methods.extensive_form import ExtensiveForm
from stochisru.methods.hedging.progressive_hedging import ProgressiveHedging
from stochisru.methods.result import Bounds
from stochisru.problem import on_tree
from stochisru.problem.information import Static, WaitAndSee
from stochisru.programs.sparse import solve
from stochisru.testing import check_method, check_policy
from tests import models

DEMAND = GeometricBrownianMotion(100.0, 0.05, 0.25)
TREE = ScenarioTree.from_process(DEMAND, [3, 2])
CASE = load_case("lunar-reference").replace(T=2)


class Mutant(ExtensiveForm):
    """The extensive form with another bracket, made of the right one."""

    def __init__(self, change):
        self.change = change

    def solve(self, case, on, options, progress=None):
        right = super().solve(case, on, options)
        return self.change(right, case, on)


def scaled(share):
    """Bracket and objective off by a share."""

    def change(right, case, on):
        bounds = right.bounds
        ends = sorted((bounds.lower * share, bounds.upper * share))
        return replace(right, bounds=Bounds(*ends, bounds.kind, bounds.of, bounds.flows), objective=ends[0])

    return change


def informed(information):
    """Value of the same problem under another information."""

    def change(right, case, on):
        value = solve(on_tree(case if hasattr(case, "parts") else case.model, on, information).program).objective
        bounds = Bounds.point(value, right.bounds.kind, right.bounds.of, right.bounds.flows)
        return replace(right, bounds=bounds, objective=value)

    return change


@pytest.mark.parametrize("change", [scaled(0.95), scaled(1.05), informed(Static()), informed(WaitAndSee())])
@pytest.mark.parametrize("problem", [models.power(2), models.several_leads(2), CASE], ids=["power", "leads", "lunar"])
def test_wrong_brackets_are_found(problem, change):
    tree = case_tree(CASE, [3, 2]) if problem is CASE else TREE
    check_method(ExtensiveForm(), problem, tree)
    with pytest.raises(AssertionError, match=r"ef: its (bracket|objective) .* the optimum"):
        check_method(Mutant(change), problem, tree)


def test_an_objective_that_is_not_the_plan_s_is_found():
    mutant = Mutant(lambda right, case, on: replace(right, objective=0.97 * right.objective, bounds=wide(right)))
    with pytest.raises(AssertionError, match="ef: its plan is worth"):
        check_method(mutant, models.several_leads(2), TREE)


def wide(result):
    return replace(result.bounds, lower=0.5 * result.bounds.lower)


@pytest.mark.parametrize("model", [models.power(2), models.machines(2), models.several_leads(2)], ids=lambda m: m.name)
def test_methods_that_are_right_on_models(model):
    for method, options in ((ExtensiveForm(), {}), (ProgressiveHedging(), {"iterations": 5})):
        check_method(method, model, TREE, **options)


class Sell:
    """Order nothing, sell nothing."""

    name = "idle"

    def decide(self, seen):
        return {"slow": 0.0, "fast": 0.0}

    def describe(self):
        return "Do nothing."


def test_policies_that_lack_a_part_are_named():
    model = replace(models.several_leads(2), process=DEMAND)
    silent = type("Silent", (), {"name": "silent", "decide": Sell.decide})()
    with pytest.raises(AssertionError, match="silent: has no 'describe'"):
        check_policy(silent, model)
    with pytest.raises(AssertionError, match="NoneType: has no 'name'"):
        check_policy(None, model)
    mute = type("Mute", (Sell,), {"describe": lambda self: None})()
    with pytest.raises(AssertionError, match="idle: describe must give text, got None"):
        check_policy(mute, model)
    nothing = type("Nothing", (Sell,), {"decide": lambda self, seen: None})()
    with pytest.raises(InputError, match="policy idle: must give a table of amounts by name in year 0, got None"):
        check_policy(nothing, model)
