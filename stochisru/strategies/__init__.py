"""Deployment strategies: one protocol, one module per family."""

from stochisru.errors import InputError
from stochisru.strategies.open_loop import Gradual, Schedule, Upfront
from stochisru.strategies.protocol import Observation, Strategy
from stochisru.strategies.reactive import Reactive
from stochisru.strategies.tree_policy import TreePolicy
from stochisru.strategies.trigger import AGGRESSIVE, CONSERVATIVE, MODERATE, Trigger

#: The six heuristic strategies by name.
STRATEGIES: dict[str, Strategy] = {
    s.name: s for s in (CONSERVATIVE, MODERATE, AGGRESSIVE, Upfront(), Gradual(), Reactive())
}


def strategy_named(name: str) -> Strategy:
    """Look up a heuristic strategy; raise `InputError` for an unknown name."""
    if name not in STRATEGIES:
        raise InputError(f"strategies: must be among {', '.join(STRATEGIES)} (or a tree's policy), got {name!r}")
    return STRATEGIES[name]


__all__ = [
    "AGGRESSIVE",
    "CONSERVATIVE",
    "MODERATE",
    "STRATEGIES",
    "Gradual",
    "Observation",
    "Reactive",
    "Schedule",
    "Strategy",
    "TreePolicy",
    "Trigger",
    "Upfront",
    "strategy_named",
]
