"""Which strategies a simulation compares: checked, and those given by name made for the case."""

from __future__ import annotations

from collections.abc import Sequence

from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase, require_case
from stochisru.lunar.policies import policy_named, require_policy
from stochisru.lunar.strategies.protocol import Strategy


def resolve(case: DeploymentCase, strategies: Sequence[Strategy | str]) -> tuple[Strategy, ...]:
    """Strategies of a comparison, those given by name made for the case.

    Raises
    ------
    InputError
        If a name is unknown or given twice, or a strategy lacks a part of the protocol; before any is made.
    """
    require_case(case)
    if isinstance(strategies, str) or not isinstance(strategies, Sequence):
        raise InputError(f"strategies: must be a list of names or strategies, got {strategies!r}")
    for strategy in strategies:
        if isinstance(strategy, str):
            require_policy(strategy)
        elif not all(hasattr(strategy, part) for part in ("name", "start", "order", "describe")):
            raise InputError(f"strategies: must have name, start, order and describe, got {strategy!r}")
    names = [s if isinstance(s, str) else s.name for s in strategies]
    if not names:
        raise InputError("strategies: needs at least one")
    repeated = {n for n in names if names.count(n) > 1}
    if repeated:
        raise InputError(f"strategies: names must differ, {min(repeated)!r} is given twice")
    return tuple(policy_named(s, case) if isinstance(s, str) else s for s in strategies)
