"""How the orders that are placed at the root are named: what plans of the lunar problem share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from scenario_trees.arrays import Array

if TYPE_CHECKING:
    from stochisru.problem.model import Model


class _Rooted(Protocol):
    @property
    def root(self) -> Sequence[float] | Array: ...


class RootOrders:
    """Mixin of plans that have ``root``, ΔM_0..ΔM_min(L, T) in kg."""

    @property
    def first_stage(self: _Rooted) -> dict[str, float]:
        """`root` by name, ``dM0`` to ``dM{L}``."""
        return {f"dM{t}": float(mass) for t, mass in enumerate(self.root)}


class _NamedFirst(Protocol):
    @property
    def first_stage(self) -> Mapping[str, float]: ...


class NamedOrders:
    """Mixin of plans of a model that have ``first_stage``, what is decided in year 0 by name, and nothing to count."""

    @property
    def root(self: _NamedFirst) -> tuple[float, ...]:
        """Amounts of ``first_stage``."""
        return tuple(self.first_stage.values())

    @property
    def size(self) -> dict[str, int]:
        """Nothing to count."""
        return {}


def decided_at_root(model: Model, amounts: Mapping[str, Array]) -> dict[str, float]:
    """What is decided in year 0, by name and year of effect, of amounts that have their first years in front."""
    return {
        f"{part.name}{t}": float(amounts[part.name][t])
        for part in model.decisions
        for t in range(min(part.lead, model.horizon) + 1)
        if part.years is None or t in part.years
    }


def flat(first_stage: Mapping[str, Any]) -> dict[str, float]:
    """Orders at the root by one name each: ``dM0``, and ``NAME dM0`` where several technologies have a table each."""
    found: dict[str, float] = {}
    for name, mass in first_stage.items():
        found |= {f"{name} {year}": kg for year, kg in mass.items()} if isinstance(mass, Mapping) else {name: mass}
    return found
