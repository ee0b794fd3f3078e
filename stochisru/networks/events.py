"""What happens to a flow on an arc, as named events whose matrices multiply to B.

An event is linear in the flow: `Event.matrix` gives the flow after it per unit of flow before it. `compose` multiplies
them in the order in which they happen. Masses are in kilograms, times in days, unless a commodity says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from scipy.constants import g

from scenario_trees.arrays import Array
from stochisru.errors import InputError
from stochisru.networks.network import position

#: Molar masses of hydrogen, oxygen and water in g/mol (thesis, Section 4.2.5).
MOLAR_MASS = {"hydrogen": 1.00794, "oxygen": 15.9994, "water": 18.01528}
#: Mass of hydrogen and of oxygen per mass of water.
HYDROGEN_PER_WATER = 2 * MOLAR_MASS["hydrogen"] / MOLAR_MASS["water"]
OXYGEN_PER_WATER = MOLAR_MASS["oxygen"] / MOLAR_MASS["water"]


class Event(Protocol):
    """Something that happens to a flow."""

    def matrix(self, commodities: Sequence[str]) -> Array:
        """Flow after the event per unit of flow before it, shape (k, k)."""
        ...


def compose(events: Sequence[Event], commodities: Sequence[str]) -> Array:
    """B of events that happen one after the other, the first one first.

    Examples
    --------
    >>> float(compose([Wear({"tank": 0.5}), Wear({"tank": 0.5})], ["tank"])[0, 0])
    0.25
    """
    product = np.eye(len(commodities))
    for event in events:
        product = event.matrix(commodities) @ product
    return product


def propellant_fraction(delta_v_km_s: float, isp_s: float) -> float:
    """Propellant over initial mass, ``1 − exp(−ΔV/(g0 Isp))`` (Tsiolkovsky)."""
    _require("delta_v_km_s", delta_v_km_s >= 0, ">= 0", delta_v_km_s)
    _require("isp_s", isp_s > 0, "> 0", isp_s)
    return float(-np.expm1(-delta_v_km_s * 1000 / (g * isp_s)))


def tank_ratio(inert_fraction: float) -> float:
    """Structure per kilogram of propellant, ``f/(1 − f)``, for structure ``f`` of structure plus propellant."""
    _require("inert_fraction", 0 <= inert_fraction < 1, "in [0, 1)", inert_fraction)
    return inert_fraction / (1 - inert_fraction)


@dataclass(frozen=True)
class Burn:
    """A velocity change: a share of the mass of everything is burnt, in a mixture of propellants.

    Attributes
    ----------
    delta_v_km_s
        Velocity change, km/s.
    isp_s
        Specific impulse, s.
    mixture
        Shares of the propellants; they sum to 1.
    unit_mass
        Mass of a unit of the commodities that are not counted in kg, such as whole vehicles.
    """

    delta_v_km_s: float
    isp_s: float
    mixture: Mapping[str, float]
    unit_mass: Mapping[str, float] = field(default_factory=dict)

    def matrix(self, commodities: Sequence[str]) -> Array:
        """A unit loses φ times its mass, φ the propellant fraction: in kilograms, column sums are 1 − φ."""
        total = sum(self.mixture.values())
        _require("mixture", abs(total - 1) < 1e-9, "shares that sum to 1", total)
        phi = propellant_fraction(self.delta_v_km_s, self.isp_s)
        mass = np.ones(len(commodities))
        for commodity, kg in self.unit_mass.items():
            _require(f"unit_mass of {commodity}", kg >= 0, ">= 0 kg", kg)
            mass[_index(commodities, commodity)] = kg
        found = np.eye(len(commodities))
        for propellant, share in self.mixture.items():
            found[_index(commodities, propellant)] -= phi * share * mass
        return found


@dataclass(frozen=True)
class BoilOff:
    """Loss of a share per day: ``(1 − rate)^days`` remains.

    The published optima of the Mars case hold for this reading, not for ``1 − rate·days``.
    """

    daily_rate: Mapping[str, float]
    days: float

    def matrix(self, commodities: Sequence[str]) -> Array:
        """Diagonal."""
        _require("days", self.days >= 0, ">= 0", self.days)
        found = np.eye(len(commodities))
        for commodity, rate in self.daily_rate.items():
            _require(f"daily_rate of {commodity}", 0 <= rate <= 1, "in [0, 1]", rate)
            c = _index(commodities, commodity)
            found[c, c] = (1 - rate) ** self.days
        return found


@dataclass(frozen=True)
class Consumption:
    """What people (or machines) aboard use up and give off: per unit of consumer and day."""

    consumer: str
    uses: Mapping[str, float]
    gives: Mapping[str, float]
    days: float

    def matrix(self, commodities: Sequence[str]) -> Array:
        """Column of the consumer sums to 1 where it gives off what it uses."""
        _require("days", self.days >= 0, ">= 0", self.days)
        found = np.eye(len(commodities))
        c = _index(commodities, self.consumer)
        for sign, rates in ((-1, self.uses), (1, self.gives)):
            for commodity, rate in rates.items():
                _require(f"rate of {commodity}", rate >= 0, ">= 0", rate)
                found[_index(commodities, commodity), c] += sign * rate * self.days
        return found


@dataclass(frozen=True)
class Leakage:
    """Loss of a commodity in proportion to the vessel that holds it: per unit of vessel and day."""

    commodity: str
    vessel: str
    daily_rate: float
    days: float

    def matrix(self, commodities: Sequence[str]) -> Array:
        """Column of the vessel sums to 1 − rate·days."""
        return Consumption(self.vessel, {self.commodity: self.daily_rate}, {}, self.days).matrix(commodities)


@dataclass(frozen=True)
class Wear:
    """Loss of a share of a commodity on the arc, whatever its length."""

    share: Mapping[str, float]

    def matrix(self, commodities: Sequence[str]) -> Array:
        """Diagonal."""
        found = np.eye(len(commodities))
        for commodity, share in self.share.items():
            _require(f"share of {commodity}", 0 <= share <= 1, "in [0, 1]", share)
            c = _index(commodities, commodity)
            found[c, c] = 1 - share
        return found


@dataclass(frozen=True)
class LineLoss:
    """Loss along a line: ``1 − rate·km`` arrives (pipelines and powerlines)."""

    rate_per_km: Mapping[str, float]
    km: float

    def matrix(self, commodities: Sequence[str]) -> Array:
        """Diagonal."""
        _require("km", self.km >= 0, ">= 0", self.km)
        found = np.eye(len(commodities))
        for commodity, rate in self.rate_per_km.items():
            lost = rate * self.km
            _require(f"rate_per_km of {commodity} times km", 0 <= lost <= 1, "in [0, 1]", lost)
            c = _index(commodities, commodity)
            found[c, c] = 1 - rate * self.km
        return found


@dataclass(frozen=True)
class Production:
    """A plant at work: per unit of plant it makes and uses commodities; a share of it remains."""

    plant: str
    makes: Mapping[str, float]
    uses: Mapping[str, float]
    remains: float = 0.0

    def matrix(self, commodities: Sequence[str]) -> Array:
        """Column of the plant: what one unit of it leaves behind."""
        _require("remains", 0 <= self.remains <= 1, "in [0, 1]", self.remains)
        found = np.eye(len(commodities))
        c = _index(commodities, self.plant)
        found[c, c] = self.remains
        for sign, amounts in ((1, self.makes), (-1, self.uses)):
            for commodity, amount in amounts.items():
                _require(f"amount of {commodity}", amount >= 0, ">= 0", amount)
                found[_index(commodities, commodity), c] += sign * amount
        return found


@dataclass(frozen=True)
class Conversion:
    """Commodities that become others: ``{from: {to: amount per unit}}``; a commodity that is not named stays."""

    becomes: Mapping[str, Mapping[str, float]]

    def matrix(self, commodities: Sequence[str]) -> Array:
        """Columns of the converted commodities sum to 1 where nothing is lost."""
        found = np.eye(len(commodities))
        for source, products in self.becomes.items():
            c = _index(commodities, source)
            found[:, c] = 0.0
            for product, amount in products.items():
                _require(f"{product} from {source}", amount >= 0, ">= 0", amount)
                found[_index(commodities, product), c] = amount
        return found


def electrolysis() -> Conversion:
    """Water becomes hydrogen and oxygen."""
    return Conversion({"water": {"hydrogen": HYDROGEN_PER_WATER, "oxygen": OXYGEN_PER_WATER}})


def electrolysis_and_synthesis() -> Conversion:
    """Water becomes hydrogen and oxygen, and hydrogen and oxygen become water.

    To be used with the rows of `stoichiometry`, without which the gases could become water in any mixture.
    """
    return Conversion({**electrolysis().becomes, "hydrogen": {"water": 1.0}, "oxygen": {"water": 1.0}})


def stoichiometry() -> list[dict[str, float]]:
    """Concurrency rows that hold hydrogen and oxygen in the ratio of water."""
    row = {"hydrogen": OXYGEN_PER_WATER, "oxygen": -HYDROGEN_PER_WATER}
    return [row, {c: -v for c, v in row.items()}]


def switch(before: str, after: str) -> Conversion:
    """A commodity goes on under another name, as a crew that has done its stay."""
    return Conversion({before: {after: 1.0}})


def _index(commodities: Sequence[str], name: str) -> int:
    return position(commodities, name, "commodity")


def _require(field: str, holds: bool, allowed: str, value: float) -> None:
    if not holds:
        raise InputError(f"{field}: must be {allowed}, got {value}")
