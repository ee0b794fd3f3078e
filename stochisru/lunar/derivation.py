"""Parameters derived from physics and prices, as functions that a reader can call.

A case file may name one of the rules below for a symbol instead of typing a number in::

    [derivation.alpha]
    rule = "landed_mass_ratio"
    delta_v_km_s = [4.04, 1.87]
    isp_s = 420
    inert_fraction = [0.08, 0.15]
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

#: Standard gravity, m/s².
STANDARD_GRAVITY = 9.80665
#: Mass of oxygen per mass of water (molar masses 15.999 and 18.015).
OXYGEN_PER_WATER = 0.888102

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False, strict=True)]


def stage_mass_ratio(delta_v_km_s: float, isp_s: float, inert_fraction: float) -> float:
    """Initial mass of a rocket stage per kilogram of payload.

    With mass ratio ``R = exp(ΔV / (g0 Isp))`` and inert mass ``f`` of the stage's own mass (propellant plus
    inert), payload is ``1 − (1 − 1/R)/(1 − f)`` of the initial mass (Tsiolkovsky with structural mass).

    Parameters
    ----------
    delta_v_km_s
        Velocity change, km/s.
    isp_s
        Specific impulse, s.
    inert_fraction
        Inert mass over inert plus propellant mass, in [0, 1).

    Raises
    ------
    ValueError
        If the stage cannot lift itself.
    """
    with np.errstate(over="ignore"):  # no stage has such a ratio, and its payload is none
        ratio = np.exp(delta_v_km_s * 1000 / (STANDARD_GRAVITY * isp_s))
    payload = 1 - (1 - 1 / ratio) / (1 - inert_fraction)
    if payload <= 0:
        raise ValueError(
            f"a stage with Isp {isp_s:g} s and inert fraction {inert_fraction:g} cannot reach {delta_v_km_s:g} km/s"
        )
    return float(1 / payload)


def landed_mass_ratio(delta_v_km_s: list[float], isp_s: float, inert_fraction: list[float]) -> float:
    """Mass in LEO per landed kilogram (α): the product of the stages' mass ratios."""
    if len(delta_v_km_s) != len(inert_fraction):
        raise ValueError(
            f"inert_fraction: needs one entry per stage, got {len(inert_fraction)} for {len(delta_v_km_s)} stages"
        )
    stages = zip(delta_v_km_s, inert_fraction, strict=True)
    return float(np.prod([stage_mass_ratio(dv, isp_s, f) for dv, f in stages]))


def oxygen_productivity(water_per_extraction_kg: float, water_per_electrolysis_kg: float) -> float:
    """Oxygen per year and kilogram of plant (η) of a chain of water extraction and electrolysis.

    One kilogram of water a year needs ``1/e`` kg of extraction and ``1/w`` kg of electrolysis plant.
    """
    plant_per_water = 1 / water_per_extraction_kg + 1 / water_per_electrolysis_kg
    return OXYGEN_PER_WATER / plant_per_water


def spares_cost(fraction_per_year: float, alpha: float, c_L: float, c_dev: float) -> float:
    """Yearly cost of spares per kilogram of plant (c_op): a share of the plant, bought and landed."""
    return fraction_per_year * (c_dev + alpha * c_L)


def earth_supply_cost(tank_fraction: float, oxygen_price: float, tank_price: float, alpha: float, c_L: float) -> float:
    """Cost of one kilogram of oxygen delivered from Earth (c_E), in its tank.

    ``(1 + f) α c_L + c_oxygen + f c_tank`` with ``f`` kilograms of tank per kilogram of oxygen.
    """
    return (1 + tank_fraction) * alpha * c_L + oxygen_price + tank_fraction * tank_price


class _Rule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def needs(self) -> tuple[str, ...]:
        """Symbols of the case that it computes from."""
        return ()


class LandedMassRatio(_Rule):
    """Rule for `landed_mass_ratio`."""

    rule: Literal["landed_mass_ratio"]
    delta_v_km_s: tuple[NonNegative, ...] = Field(min_length=1)
    isp_s: Positive
    inert_fraction: tuple[Fraction, ...]

    def compute(self, known: dict[str, float]) -> float:
        """Value of the symbol."""
        return landed_mass_ratio(list(self.delta_v_km_s), self.isp_s, list(self.inert_fraction))


class OxygenProductivity(_Rule):
    """Rule for `oxygen_productivity`."""

    rule: Literal["oxygen_productivity"]
    water_per_extraction_kg: Positive
    water_per_electrolysis_kg: Positive

    def compute(self, known: dict[str, float]) -> float:
        """Value of the symbol."""
        return oxygen_productivity(self.water_per_extraction_kg, self.water_per_electrolysis_kg)


class SparesCost(_Rule):
    """Rule for `spares_cost`; uses alpha, c_L and c_dev of the case."""

    rule: Literal["spares_cost"]
    fraction_per_year: NonNegative

    @property
    def needs(self) -> tuple[str, ...]:
        """Symbols of the case that it computes from."""
        return "alpha", "c_L", "c_dev"

    def compute(self, known: dict[str, float]) -> float:
        """Value of the symbol; KeyError names a symbol that is not known yet."""
        return spares_cost(self.fraction_per_year, known["alpha"], known["c_L"], known["c_dev"])


class EarthSupplyCost(_Rule):
    """Rule for `earth_supply_cost`; uses alpha and c_L of the case."""

    rule: Literal["earth_supply_cost"]
    oxygen_per_tank_kg: Positive
    oxygen_price: NonNegative
    tank_price: NonNegative

    @property
    def needs(self) -> tuple[str, ...]:
        """Symbols of the case that it computes from."""
        return "alpha", "c_L"

    def compute(self, known: dict[str, float]) -> float:
        """Value of the symbol; KeyError names a symbol that is not known yet."""
        tank = 1 / self.oxygen_per_tank_kg
        return earth_supply_cost(tank, self.oxygen_price, self.tank_price, known["alpha"], known["c_L"])


class MultipleOf(_Rule):
    """A symbol that is a fixed multiple of another one."""

    rule: Literal["multiple_of"]
    symbol: str
    factor: NonNegative

    @property
    def needs(self) -> tuple[str, ...]:
        """Symbols of the case that it computes from."""
        return (self.symbol,)

    def compute(self, known: dict[str, float]) -> float:
        """Value of the symbol; KeyError names a symbol that is not known yet."""
        return self.factor * known[self.symbol]


Rule = Annotated[
    LandedMassRatio | OxygenProductivity | SparesCost | EarthSupplyCost | MultipleOf,
    Field(discriminator="rule"),
]
