"""Policies of a case with learning."""

from __future__ import annotations

from collections.abc import Sequence

from stochisru.lunar.learning.case import LearningCase
from stochisru.lunar.learning.solving import learned_on_lattice
from stochisru.lunar.policies import require_policy
from stochisru.lunar.strategies import STRATEGIES, Strategy
from stochisru.lunar.trees import LEVEL_STATES, case_lattice


def learned_policies(case: LearningCase, names: Sequence[str] | None = None) -> list[Strategy | str]:
    """Policies by name as `stochisru.simulate` takes them; all heuristics and ``lattice`` if not given.

    ``lattice`` is the plan under learning. Every other policy plans with the prices of the first plant: what it loses
    to ``lattice`` is, up to its own shortcomings, what it costs to ignore learning.

    Raises
    ------
    InputError
        If a name is unknown.
    """
    chosen = [*STRATEGIES, "lattice"] if names is None else list(names)
    found: list[Strategy | str] = []
    for name in chosen:
        require_policy(name)
        if name == "lattice":
            plan = learned_on_lattice(case, case_lattice(case.base, LEVEL_STATES)).plan
            found.append(plan.policy(name="lattice"))
        else:
            found.append(name)
    return found
