"""Parameters of the trigger family as numbers to sample and tune, and the yardsticks that rules are held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from stochisru.errors import InputError, require_integer
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.solving import optimum_on_process
from stochisru.lunar.strategies import MODERATE, Schedule, Strategy, Trigger

#: Parameters of `Trigger` and the ranges in which rules are sampled and tuned; all are shares.
RULE_RANGES: dict[str, tuple[float, float]] = {
    "initial_ratio": (0.0, 3.0),
    "threshold": (0.3, 1.3),
    "magnitude": (0.05, 1.5),
    "risk_tolerance": (0.05, 0.95),
    "cost_sensitivity": (0.0, 2.0),
}
#: Those of them that shape the hurdle.
HURDLE = ("risk_tolerance", "cost_sensitivity")


def named_rule(name: str, parameters: Mapping[str, float], base: Trigger = MODERATE) -> Trigger:
    """A trigger rule with some parameters of ``base`` changed; raise `InputError` where a rule may not have them."""
    changed: dict[str, Any] = dict(parameters)
    return replace(base, name=name, **changed)


def require_ranges(ranges: Mapping[str, tuple[float, float]]) -> None:
    """Refuse ranges of parameters that no rule has, that are empty, or that a rule may not have."""
    if not ranges:
        raise InputError(f"parameters: needs at least one of {', '.join(RULE_RANGES)}")
    for name, (low, high) in ranges.items():
        if name not in RULE_RANGES:
            raise InputError(f"parameters: must be among {', '.join(RULE_RANGES)}, got {name!r}")
        if not low < high:
            raise InputError(f"{name}: range must have low < high, got {low!r} to {high!r}")
        for end in (low, high):
            named_rule("end", {name: end})


def sample_rules(count: int, seed: int = 0, ranges: Mapping[str, tuple[float, float]] = RULE_RANGES) -> list[Trigger]:
    """Latin hypercube of trigger rules.

    Parameters
    ----------
    count
        Number of rules, ≥ 0.
    seed
        Seed of the sample, ≥ 0.
    ranges
        Lowest and highest value per parameter; what is not named is as in the moderate rule.

    Returns
    -------
    list of Trigger
        Named ``rule-1``, ``rule-2``, ...; parameters in whole per cent, so that the sentence of a rule says all.
    """
    from scipy.stats import qmc

    for name, number in (("rules", count), ("seed", seed)):
        require_integer(name, number, 0)
    require_ranges(ranges)
    if count == 0:
        return []
    low, high = np.array(list(ranges.values())).T
    unit = qmc.LatinHypercube(d=len(ranges), rng=np.random.default_rng(np.random.SeedSequence(seed))).random(count)
    width = len(str(count))
    return [
        named_rule(f"rule-{i:0{width}d}", dict(zip(ranges, map(float, row), strict=True)))
        for i, row in enumerate(np.round(low + unit * (high - low), 2), start=1)
    ]


def rule_parameters(strategy: Strategy) -> dict[str, float | bool | None]:
    """Parameters of a trigger rule by name; None for each where a strategy is none."""
    names = [f.name for f in fields(Trigger) if f.name != "name"]
    return {name: getattr(strategy, name) if isinstance(strategy, Trigger) else None for name in names}


def exact_policy(case: DeploymentCase, name: str = "threshold") -> Strategy | None:
    """The exact policy as a strategy; None where there is none."""
    exact = optimum_on_process(case)
    return None if exact is None else exact.policy(name=name)


def no_plants(case: DeploymentCase) -> Schedule:
    """Deploy nothing, ever."""
    return Schedule("none", (0.0,) * (case.horizon.T + 1))
