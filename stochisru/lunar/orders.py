"""How the orders that are placed at the root are named: what plans of the lunar problem share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from scenario_trees.arrays import Array


class _Rooted(Protocol):
    @property
    def root(self) -> Sequence[float] | Array: ...


class RootOrders:
    """Mixin of plans that have ``root``, ΔM_0..ΔM_min(L, T) in kg."""

    @property
    def first_stage(self: _Rooted) -> dict[str, float]:
        """`root` by name, ``dM0`` to ``dM{L}``."""
        return {f"dM{t}": float(mass) for t, mass in enumerate(self.root)}


def flat(first_stage: Mapping[str, Any]) -> dict[str, float]:
    """Orders at the root by one name each: ``dM0``, and ``NAME dM0`` where several technologies have a table each."""
    found: dict[str, float] = {}
    for name, mass in first_stage.items():
        found |= {f"{name} {year}": kg for year, kg in mass.items()} if isinstance(mass, Mapping) else {name: mass}
    return found
