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


def _stated(case: P, how: str) -> P:
    if not hasattr(case, how):
        hint = f"; load_case({case!r}) makes one" if isinstance(case, str) else ""
        raise InputError(f"case: must be a DeploymentCase or a Model, got {type(case).__name__}{hint}")
    return case
