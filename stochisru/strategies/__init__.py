"""Deployment strategies: one protocol, one module per family."""

from stochisru.strategies.open_loop import Gradual, Schedule, Upfront
from stochisru.strategies.order_up_to import OrderUpTo
from stochisru.strategies.protocol import Observation, Strategy
from stochisru.strategies.reactive import Reactive
from stochisru.strategies.rolling import RollingHorizon
from stochisru.strategies.tree_policy import TreePolicy
from stochisru.strategies.trigger import AGGRESSIVE, CONSERVATIVE, MODERATE, Trigger

#: The six heuristic strategies by name.
STRATEGIES: dict[str, Strategy] = {
    s.name: s for s in (CONSERVATIVE, MODERATE, AGGRESSIVE, Upfront(), Gradual(), Reactive())
}


__all__ = [
    "AGGRESSIVE",
    "CONSERVATIVE",
    "MODERATE",
    "STRATEGIES",
    "Gradual",
    "Observation",
    "OrderUpTo",
    "Reactive",
    "RollingHorizon",
    "Schedule",
    "Strategy",
    "TreePolicy",
    "Trigger",
    "Upfront",
]
