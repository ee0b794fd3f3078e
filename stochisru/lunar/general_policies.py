"""Policies of a case with tables beyond the base problem, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from stochisru.errors import InputError
from stochisru.lunar.simulation.of_tables import OutcomesOfTables, simulate_tables
from stochisru.lunar.strategies import STRATEGIES
from stochisru.lunar.strategies.by_technology import abandoning, heuristic, no_orders
from stochisru.lunar.tables.case import GeneralCase
from stochisru.lunar.trees import case_tree
from stochisru.lunar.values.general import plan_that_reacts, plans_in_advance, why_no_process_values
from stochisru.lunar.values.programs import TIME_LIMIT
from stochisru.methods.extensive_form import extensive_form
from stochisru.methods.result import Result
from stochisru.problem.model import Model
from stochisru.problem.policies.protocol import Policy
from stochisru.protocols import Plan
from stochisru.simulation.of_model import drawn_paths
from stochisru.simulation.sampling import Sampling

#: Names of policies and what each is.
GENERAL_POLICIES = {
    "policy": "the plan behind RP of the process: it reacts, and earns most on pilot paths",
    "tree": "the optimal plan of a tree, at the nearest node",
    "static": "the best plan that is fixed in advance",
    "fixed": "the best single deployment in year 0",
    "ev": "the plan of the mean path",
    "nothing": "no deployment at all",
    "abandoning": "as moderate, but scraps idle plant where little is wanted; of a case with scrap",
} | dict.fromkeys(STRATEGIES, "as for a base case, for capacity of the cheapest technology")


def model_of_sample(case: GeneralCase, sample: Sampling) -> Model:
    """The model of a case on the paths of a sample, whose largest demand bounds what plants may deliver."""
    drawn = drawn_paths(case.model_on(np.zeros((1, case.horizon.T + 1))), case.process, sample)
    return case.model_on(drawn.values[:, :, : len(case.factor_names)])


def held_policies(case: GeneralCase, model: Model, sample: Sampling) -> dict[str, Policy]:
    """Policies that are fixed in advance, by name; see `plans_in_advance` for those that a case has."""
    if case.storage is not None and why_no_process_values(case) is not None:
        return {"nothing": no_orders(case)}  # without a lattice nothing says how to operate a store but a rule
    names = {"eev": "ev"}
    found = plans_in_advance(case, model, sample)
    return {names.get(name, name): held.policy(names.get(name, name)) for name, held in found.items()}


def simulate_general(
    case: GeneralCase,
    names: Sequence[str] | None = None,
    sample: Sampling | None = None,
    demand: ArrayLike | None = None,
) -> OutcomesOfTables:
    """Judge policies of a case on common fresh paths of its process, or on paths of one's own.

    Parameters
    ----------
    names
        Of `GENERAL_POLICIES`; if not given all that the case has, but ``tree`` only where there is no ``policy``.
    sample
        1,000 paths of seed 0 if not given.
    demand
        Paths of demand to judge them on, kg/yr, shape ``(T + 1, paths)``; plans are those of the case's process all the
        same.

    Raises
    ------
    InputError
        If a name is unknown, or the case has no such policy: with further factors or a risk measure there are ``tree``,
        ``nothing`` and the heuristics.

    Examples
    --------
    >>> from stochisru import load_case
    >>> from stochisru.lunar.general_policies import simulate_general
    >>> found = simulate_general(load_case("docs/two-technologies.toml"), ["policy", "static"])
    >>> found.difference("policy", "static").lower > 1e6
    True
    """
    why = why_no_process_values(case)
    rules = {*STRATEGIES, *(["abandoning"] if case.can_abandon else [])}
    always = {"tree", "nothing", *rules}
    if names is None:
        nested = case.risk is not None and case.risk.kind == "nested"
        without = {*(["tree"] if why is None or nested else []), *([] if case.can_abandon else ["abandoning"])}
        names = [name for name in GENERAL_POLICIES if name not in without and (why is None or name in always)]
    for name in names:
        if name not in GENERAL_POLICIES:
            raise InputError(f"strategies: must be among {', '.join(GENERAL_POLICIES)}, got {name!r}")
        if name == "abandoning" and not case.can_abandon:
            raise InputError(f"strategies: abandoning takes a case with technology.scrap, {case.name} has none")
    if why is not None and not set(names) <= always:
        raise InputError(f"strategies: must be among {', '.join(n for n in GENERAL_POLICIES if n in always)}, as {why}")
    sample = (Sampling(1000, 0) if sample is None else sample).at_least(2)
    model = model_of_sample(case, sample)
    held = held_policies(case, model, sample) if set(names) - {"policy", "tree", *rules} else {}
    chosen = [held[name] if name in held else _made(case, model, name, sample) for name in names]
    if demand is None:
        return simulate_tables(case, model, chosen, sample)
    if case.factors:
        raise InputError(f"demand: {case.name} has factors beside demand, which paths of demand do not tell")
    given = np.asarray(demand, dtype=float).T
    return simulate_tables(case, case.model_on(given), chosen, sample, given)


def _made(case: GeneralCase, model: Model, name: str, sample: Sampling) -> Policy:
    if name in STRATEGIES:
        return heuristic(name, case)
    if name == "abandoning":
        return abandoning(case)
    plan: Result[Any] | Result[Plan]
    if name == "tree":
        plan = extensive_form(case, case_tree(case), time_limit=TIME_LIMIT)
    else:
        plan = plan_that_reacts(case, model, sample)
    made: Policy = plan.policy(name=name)
    return made
