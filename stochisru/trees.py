"""From a case to its scenario tree: the choices that the command line and the study share."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scenario_trees.quantization import QUANTIZATIONS
from scenario_trees.tree import ScenarioTree
from stochisru.case import DeploymentCase
from stochisru.errors import InputError

#: Leaves that `default_branching` does not exceed.
DEFAULT_LEAVES = 60_000


def default_branching(T: int) -> tuple[int, ...]:
    """Three branches a year as long as two a year can follow within `DEFAULT_LEAVES`, then two, then one."""
    factors: list[int] = []
    leaves = 1
    for t in range(T):
        later = T - t - 1
        branches = next((b for b in (3, 2) if leaves * b * 2 ** min(later, 4) <= DEFAULT_LEAVES), 1)
        leaves *= branches
        factors.append(branches)
    assert math.prod(factors) <= DEFAULT_LEAVES
    return tuple(factors)


def parse_branching(text: str) -> tuple[int, ...]:
    """Read ``3,3,2``; raise `InputError` for anything but integers >= 1."""
    factors = []
    for item in text.split(","):
        try:
            factor = int(item.strip())
        except ValueError:
            factor = 0
        if factor < 1:
            raise InputError(f"branching: every factor must be an integer >= 1, got {item.strip()!r} in {text!r}")
        factors.append(factor)
    return tuple(factors)


def case_tree(
    case: DeploymentCase, branching: Sequence[int] | None = None, quantization: str = "gauss-hermite"
) -> ScenarioTree:
    """Scenario tree of a case's demand, one stage per year.

    Parameters
    ----------
    branching
        Children per node of years 0..T−1; `default_branching` if not given.
    quantization
        ``gauss-hermite``, ``equal-probability``, ``binomial`` or ``trinomial``.
    """
    if quantization not in QUANTIZATIONS:
        raise InputError(f"quantization: must be one of {', '.join(QUANTIZATIONS)}, got {quantization!r}")
    T = case.horizon.T
    factors = default_branching(T) if branching is None else tuple(branching)
    if len(factors) != T:
        raise InputError(
            f"branching: needs one factor per year, {T} for T = {T}, got {len(factors)}; "
            f"change it or the horizon (--horizon {len(factors)})"
        )
    return ScenarioTree.from_process(case.process, factors, QUANTIZATIONS[quantization])
