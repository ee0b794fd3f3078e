"""What the Python interface refuses: each a call by its name in the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

import stochisru
from scenario_trees import GeometricBrownianMotion, MarkovLattice, ScenarioTree, TreeError
from stochisru import (
    MeanCVaR,
    StochisruError,
    Storage,
    case_from_dict,
    exact_values,
    extensive_form,
    fixed_design,
    load_case,
    policy_named,
    process_values,
    progressive_hedging,
    sddp,
    simulate,
    static_plan,
    threshold,
    value_table,
    wait_and_see,
)
from tests.frozen.methods import Answer, refusal
from tests.frozen.problems import case_of

lattice_dp, level_dp, tree_dp = stochisru.lattice_dp, stochisru.level_dp, stochisru.tree_dp
threshold_ignoring, sddp_ignoring = stochisru.threshold_ignoring, stochisru.sddp_ignoring

_CONVEX = {"c_dev_curve": {"breakpoints": [0.0, 100.0, 400.0], "values": [0.0, 8e5, 5e6]}}
_FALLING = {"c_dev_curve": {"breakpoints": [0.0, 100.0], "values": [0.0, -1.0]}}

#: Symbols that no case may have.
_SYMBOLS: tuple[dict[str, Any], ...] = (
    {"T": 0}, {"T": 201}, {"T": 1.5}, {"T": "3"}, {"T": True}, {"lead_time": -1}, {"initial_deployment": "later"},
    {"r": -0.1}, {"r": 10.0}, {"P_m": -1.0}, {"P_m": float("nan")}, {"P_m": float("inf")}, {"eta": 0.0},
    {"alpha": 0.0}, {"beta": -0.1}, {"M0": -1.0}, {"degradation": 1.0}, {"degradation": -0.1}, {"c_L": -1.0},
    {"c_dev": -1.0}, {"c_op": -1.0}, {"c_bu": -1.0}, {"c_S": -1.0}, {"c_by": -1.0}, {"c_E": -1.0},
    {"earth_limit": -1.0}, {"D0": 0.0}, {"mu": 6.0}, {"sigma": -0.1}, {"sigma": 6.0}, {"lot": 0.0},
    {"fixed_cost": -1.0}, {"reference": 0.0}, {"c_dev_exponent": 0.5}, {"eta_exponent": 0.0, "reference": 1.0},
    {"no_such_symbol": 1.0}, _FALLING, {**_CONVEX, "c_dev_exponent": 0.5, "reference": 1.0},
)  # fmt: skip


def _tree(**changes: Any) -> ScenarioTree:
    arrays = {"parent": [-1, 0, 0], "stage": [0, 1, 1], "probability": [1.0, 0.5, 0.5], "value": [1.0, 1.0, 2.0]}
    return ScenarioTree(**{name: np.array(v) for name, v in (arrays | changes).items()})


def _lattice(**changes: Any) -> MarkovLattice:
    arrays = {"values": ([1.0], [1.0, 2.0]), "transitions": ([[0.5, 0.5]],)}
    return MarkovLattice(**{name: tuple(map(np.array, v)) for name, v in (arrays | changes).items()})


def _calls() -> dict[str, Callable[[], Any]]:
    case = case_of({"T": 2})
    lots = case.replace(lot=50.0)
    worn = case.replace(lot=50.0, degradation=0.1)
    convex = case.replace(**_CONVEX)
    limited = case.replace(earth_limit=500.0)
    tree = ScenarioTree.from_process(case.process, [2, 2])
    long = ScenarioTree.from_process(case.process, [2, 2, 2])
    other = ScenarioTree.from_process(GeometricBrownianMotion(1000.0, 0.1, 0.4), [2, 2])
    bigger = ScenarioTree.from_process(case.replace(D0=2000.0).process, [2, 2]).as_belief()
    lattice = MarkovLattice.from_process(case.process, 2, 2)
    long_lattice = MarkovLattice.from_process(case.process, 3, 2)
    other_lattice = MarkovLattice.from_process(GeometricBrownianMotion(1000.0, 0.1, 0.4), 2, 2)
    calls: dict[str, Callable[[], Any]] = {
        "load_case no such name": lambda: load_case("no-such-case"),
        "case_from_dict nothing": lambda: case_from_dict({}),
        "case_from_dict unknown table": lambda: case_from_dict({"mining": {}}),
        "policy_named unknown": lambda: policy_named("clairvoyant", case),
        "policy of an exact plan with a mapping": lambda: threshold(case).policy(mapping="scaled"),
        "policy of a tree with an unknown mapping": lambda: extensive_form(case, tree).policy(mapping="guessed"),
        "simulate unknown strategy": lambda: simulate(case, ["clairvoyant"], paths=4),
        "simulate no paths": lambda: simulate(case, ["reactive"], paths=0),
        "extensive_form unknown solver": lambda: extensive_form(case, tree, solver="cplex"),
        "extensive_form gap of 1": lambda: extensive_form(lots, tree, rel_gap=1.0),
        "extensive_form no time": lambda: extensive_form(lots, tree, time_limit=0.0),
        "value_table unknown solver": lambda: value_table(case, tree, solver="cplex"),
        "value_table recourse of another case": lambda: value_table(
            case, tree, recourse=extensive_form(case.replace(r=0.1), tree)
        ),
        "value_table bracket of no value": lambda: value_table(case, tree).bracket("npv"),
        "value_table difference with the process": lambda: value_table(case, tree).rp.minus(exact_values(case).rp),
        "progressive_hedging unknown solver": lambda: progressive_hedging(case, tree, solver="cplex"),
        "progressive_hedging gap": lambda: progressive_hedging(case, tree, rel_gap=float("nan")),
        "progressive_hedging no iterations": lambda: progressive_hedging(case, tree, iterations=0),
        "progressive_hedging no time": lambda: progressive_hedging(case, tree, time_limit=0.0),
        "progressive_hedging cut": lambda: progressive_hedging(case, tree, cut_stage=3),
        "progressive_hedging proximal": lambda: progressive_hedging(case, tree, proximal="cubic"),
        "progressive_hedging resume": lambda: progressive_hedging(case, tree, resume=True),
        "sddp lots": lambda: sddp(lots, lattice),
        "sddp convex": lambda: sddp(convex, lattice),
        "sddp no passes": lambda: sddp(case, lattice, passes=0),
        "sddp no workers": lambda: sddp(case, lattice, workers=0),
        "sddp seed": lambda: sddp(case, lattice, seed=-1),
        "sddp one simulation": lambda: sddp(case, lattice, simulations=1),
        "sddp confidence": lambda: sddp(case, lattice, confidence=1.0),
        "sddp gap": lambda: sddp(case, lattice, rel_gap=-1.0),
        "sddp no iterations": lambda: sddp(case, lattice, iterations=0),
        "sddp no time": lambda: sddp(case, lattice, time_limit=0.0),
        "sddp resume": lambda: sddp(case, lattice, resume=True),
        "sddp stopping": lambda: sddp(case, lattice, stopping="soon"),  # type: ignore[arg-type]
        "sddp no states": lambda: sddp(case, states=0),
        "sddp risk with a long pipeline": lambda: sddp(
            case.replace(T=9, lead_time=8), states=5, risk=MeanCVaR(0.5, 0.1)
        ),
        "sddp_ignoring store": lambda: sddp(lots.stored(Storage()), lattice, iterations=2),
        "threshold lots": lambda: threshold(lots),
        "threshold limited supply": lambda: threshold(limited),
        "threshold_ignoring limited supply": lambda: threshold_ignoring(limited.replace(lot=50.0)),
        "threshold_ignoring no paths": lambda: threshold_ignoring(lots, paths=0),
        "exact_values lots": lambda: exact_values(lots),
        "exact_values limited supply": lambda: exact_values(limited),
        "exact_values bracket of no value": lambda: exact_values(case).bracket("npv"),
        "process_values no paths": lambda: process_values(case, paths=0),
        "process_values sampler": lambda: process_values(case, sampler="random"),
        "process_values seed": lambda: process_values(case, seed=-1),
        "process_values confidence": lambda: process_values(case, confidence=2.0),
        "lattice_dp lots": lambda: lattice_dp(lots, lattice),
        "lattice_dp no states": lambda: lattice_dp(case, states=0),
        "level_dp convex": lambda: level_dp(convex, lattice),
        "level_dp lots that degrade": lambda: level_dp(worn, lattice),
        "tree_dp convex": lambda: tree_dp(convex, tree),
        "tree_dp lots that degrade": lambda: tree_dp(worn, tree),
        "MeanCVaR weight": lambda: MeanCVaR(1.5, 0.1),
        "MeanCVaR tail": lambda: MeanCVaR(0.5, 0.0),
        "Storage boil-off": lambda: Storage(boil_off=1.0),
        "Storage capacity": lambda: Storage(capacity=-1.0),
        "Storage holding cost": lambda: Storage(holding_cost=float("nan")),
        "Storage initial": lambda: Storage(initial=-1.0),
        "ScenarioTree branching 0": lambda: ScenarioTree.from_process(case.process, [2, 0]),
        "ScenarioTree step 0": lambda: ScenarioTree.from_process(case.process, [2], dt=0.0),
        "ScenarioTree order": lambda: _tree(parent=[-1, 1, 0]),
        "ScenarioTree root": lambda: _tree(parent=[0, 0, 0]),
        "ScenarioTree stages": lambda: _tree(stage=[0, 1, 2]),
        "ScenarioTree lengths": lambda: _tree(value=[1.0, 1.0]),
        "ScenarioTree value": lambda: _tree(value=[1.0, -1.0, 2.0]),
        "ScenarioTree probability below 0": lambda: _tree(probability=[1.0, -0.5, 1.5]),
        "ScenarioTree probability of children": lambda: _tree(probability=[1.0, 0.5, 0.4]),
        "MarkovLattice rows": lambda: _lattice(transitions=([[0.5, 0.4]],)),
        "MarkovLattice shape": lambda: _lattice(transitions=([[1.0]],)),
        "MarkovLattice order": lambda: _lattice(values=([1.0], [2.0, 1.0])),
        "MarkovLattice root": lambda: _lattice(values=([1.0, 2.0], [1.0, 2.0])),
        "MarkovLattice no states": lambda: MarkovLattice.from_process(case.process, 2, 0),
        "GeometricBrownianMotion initial": lambda: GeometricBrownianMotion(0.0, 0.1, 0.1),
        "GeometricBrownianMotion volatility": lambda: GeometricBrownianMotion(1.0, 0.1, -0.1),
    }
    for symbols in _SYMBOLS:
        calls[f"case {symbols}"] = partial(case.replace, **symbols)
    on_trees = (extensive_form, tree_dp, static_plan, fixed_design, wait_and_see, value_table, progressive_hedging)
    for method in on_trees:
        name = method.__name__
        calls[f"{name} name of a case"] = partial(method, "lunar-reference", tree)
        calls[f"{name} no tree"] = partial(method, case, None)
        calls[f"{name} tree of another horizon"] = partial(method, case, long)
        calls[f"{name} tree of another process"] = partial(method, case, other)
        calls[f"{name} tree of another demand"] = partial(method, case, bigger)
    for method in (sddp, sddp_ignoring, lattice_dp, level_dp):
        name = method.__name__
        calls[f"{name} lattice of another horizon"] = partial(method, case, long_lattice)
        calls[f"{name} lattice of another process"] = partial(method, case, other_lattice)
    for method in (threshold, exact_values, process_values):
        calls[f"{method.__name__} name of a case"] = partial(method, "lunar-reference")
    return calls


#: Calls by name.
REFUSALS: Mapping[str, Callable[[], Any]] = _calls()


def refused(name: str) -> Answer:
    """The refusal of one call; a call that is not refused is called ``nothing``."""
    try:
        REFUSALS[name]()
    except (StochisruError, TreeError) as error:
        return refusal(error)
    return {"error": "nothing", "classes": ["nothing"]}
