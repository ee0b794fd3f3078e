"""What plans of the lunar problem share: how the orders that are placed at the root are named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

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
