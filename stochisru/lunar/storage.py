"""Oxygen that is kept from one year to the next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stochisru.errors import InputError

if TYPE_CHECKING:
    from scenario_trees.lattice import MarkovLattice
    from stochisru.lunar.case import DeploymentCase
    from stochisru.lunar.stage_program import StagePrograms


@dataclass(frozen=True)
class Storage:
    """A store of oxygen.

    Production beyond deliveries may be stored; deliveries come from production and store. What is neither delivered nor
    stored is excess and costs c_S, whether it was produced this year or before.

    Attributes
    ----------
    boil_off
        Share of the store that is lost from one year to the next, in [0, 1).
    capacity
        Most oxygen in the store at the end of a year, kg, or None for no limit.
    holding_cost
        $ per kilogram in the store at the end of a year, ≥ 0.
    initial
        Oxygen in the store in year 0, kg.

    Raises
    ------
    InputError
        If a number is out of range.
    """

    boil_off: float = 0.0
    capacity: float | None = None
    holding_cost: float = 0.0
    initial: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.boil_off < 1:
            raise InputError(f"boil_off: must lie in [0, 1), got {self.boil_off!r}")
        for name in ("holding_cost", "initial"):
            number = getattr(self, name)
            if not (math.isfinite(number) and number >= 0):
                raise InputError(f"{name}: must be a finite number >= 0, got {number!r}")
        if self.capacity is not None and not (math.isfinite(self.capacity) and self.capacity >= 0):
            raise InputError(f"capacity: must be a finite number >= 0 or None, got {self.capacity!r}")


@dataclass(frozen=True)
class StoredCase:
    """A case with a store, as SDDP takes it; see `DeploymentCase.stored`."""

    case: DeploymentCase
    storage: Storage

    def on_lattice(self, lattice: MarkovLattice | int) -> StagePrograms:
        """The problem on a lattice, given or made with so many states per stage."""
        from stochisru.lunar.stage_program import StagePrograms

        return StagePrograms.of(self.case, lattice, self.storage)


def worth_keeping(storage: Storage, highest: Sequence[float]) -> list[float]:
    """Most that is worth keeping at the end of each year, kg: what is left of it serves all later demand.

    Parameters
    ----------
    highest
        Largest demand that each year can have, kg/yr, shape ``(T + 1,)``.
    """
    limit = math.inf if storage.capacity is None else storage.capacity
    room, later = [], 0.0
    for demand in reversed(highest):
        kept = later / (1 - storage.boil_off)
        room.append(min(limit, kept))
        later = demand + kept
    return room[::-1]
