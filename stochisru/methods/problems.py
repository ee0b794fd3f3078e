"""What methods ask of a problem before they solve it."""

from __future__ import annotations

from typing import TypeVar

from stochisru.errors import InputError
from stochisru.protocols import LatticePlanT, ProblemOnLattices, ProblemOnTrees, TreePlanT

P = TypeVar("P")


def stated_on_trees(case: ProblemOnTrees[TreePlanT]) -> ProblemOnTrees[TreePlanT]:
    """The problem itself; `InputError` for anything that cannot be stated on a tree, as for a case's name."""
    return _stated(case, "on_tree")


def stated_on_lattices(case: ProblemOnLattices[LatticePlanT]) -> ProblemOnLattices[LatticePlanT]:
    """The problem itself; `InputError` for anything that cannot be stated on a lattice, as for a case's name."""
    return _stated(case, "on_lattice")


def why_not_on_trees(case: object) -> str | None:
    """Why a problem cannot be stated on a tree, in one sentence; what says itself who takes it is quoted."""
    return _why_not(case, "on_tree")


def _why_not(case: object, how: str) -> str | None:
    if hasattr(case, how):
        return None
    hint = f"; load_case({case!r}) makes one" if isinstance(case, str) else ""
    return getattr(case, "beyond", f"case: must be a DeploymentCase or a Model, got {type(case).__name__}{hint}")


def _stated(case: P, how: str) -> P:
    reason = _why_not(case, how)
    if reason is not None:
        raise InputError(reason)
    return case
