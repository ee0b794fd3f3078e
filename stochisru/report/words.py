"""Words for what tables call by short names: one word for one thing, on pages and figures."""

from __future__ import annotations

from collections.abc import Sequence

#: Ways to decide, from the least that is known to the most.
LADDER = {
    "nothing": "build nothing",
    "eev": "plan for the mean path, held (EEV)",
    "fixed": "build once, now (fixed)",
    "static": "plan fixed today (static)",
    "rp": "the plan, which reacts (RP)",
    "ws": "perfect forecast (WS)",
}
#: Policies that are not heuristics.
POLICIES = {
    "optimal": "optimal plan",
    "threshold": "optimal plan",
    "policy": "the plan",
    "tree": "tree's plan",
    "static": "plan fixed today",
    "ev": "mean path's plan",
    "fixed": "built once",
    "nothing": "build nothing",
}
#: Names under which the plan of a run stands in tables.
_LEADS = ("optimal", "policy", "threshold")


def named(policy: str) -> str:
    """A policy in words."""
    return POLICIES.get(policy, policy)


def leading(names: Sequence[str]) -> str | None:
    """The plan among policies, if it is there."""
    return next((name for name in _LEADS if name in names), None)
