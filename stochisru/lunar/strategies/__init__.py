"""Deployment strategies: one protocol, one module per family."""

from stochisru.lunar.strategies.open_loop import Gradual, Schedule, Upfront
from stochisru.lunar.strategies.order_up_to import OrderUpTo
from stochisru.lunar.strategies.protocol import Observation, Strategy
from stochisru.lunar.strategies.reactive import Reactive
from stochisru.lunar.strategies.rolling import RollingHorizon
from stochisru.lunar.strategies.tree_policy import TreePolicy
from stochisru.lunar.strategies.trigger import AGGRESSIVE, CONSERVATIVE, MODERATE, Trigger

#: The heuristic strategies by name.
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
