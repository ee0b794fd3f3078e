"""From ΔV to a stochastic plan with the paper's network: α, η and c_E as nodal prices.

The transport network of the campaign in steady state: stages of 6 t with 65 t of propellant between Earth, LEO, GEO,
EML1 and the Moon. The duals at the Moon are what a deployment case asks for (compare `stochisru.worked.mars.lunar`):
the mass launched for one more kilogram of plant (α), and the cost of one more kilogram of oxygen from Earth in its tank
(c_E); 1/η is the mass of extraction and electrolysis plant, Eqs 38-39 on their first interval, for one more kilogram of
oxygen a year. Stages are not whole numbers here: a price is of one kilogram among many. They may come back, but with
propellant from Earth that costs as much as a new stage.

Examples
--------
>>> from stochisru.worked.cislunar.chain import PaperChain
>>> values = PaperChain().values()
>>> print(f"{values.alpha:.3f} {values.eta:.3f} {values.c_E:,.0f}")
5.778 7.179 45,032
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from stochisru.networks.network import Network, position
from stochisru.networks.solution import solve_network
from stochisru.worked.cislunar.network import PLANTS, base_network
from stochisru.worked.cislunar.parameters import PLACES, Campaign
from stochisru.worked.mars.lunar import ChainValues

#: What is delivered to find a price, kg: its amount does not matter, since everything is linear.
_DELIVERED = 1000.0


@dataclass(frozen=True)
class PaperChain:
    """The paper's transport network in steady state, and its plants.

    Attributes
    ----------
    campaign
        Numbers and readings of the paper; its demand and horizon play no part.
    place
        Where plants and oxygen are wanted.
    """

    campaign: Campaign = field(default_factory=Campaign)
    place: str = "Moon"

    def __post_init__(self) -> None:
        position(PLACES[2:], self.place, "place")

    def transport(self) -> Network:
        """Flights of plant and oxygen to the place; criteria ``cost`` ($) and ``launched`` (kg)."""
        base = base_network(self.campaign)
        supply = np.maximum(base.supply, 0.0)
        supply[base.node(self.place), [base.commodity(c) for c in ("oxygen", PLANTS["SWE"])]] = -_DELIVERED
        supply[:, base.commodity("soil")] = 0.0  # nothing is made on the way
        waiting = base.loops & (base.duration > 0)
        limit = np.where(waiting[:, None], 0.0, base.out.limit)  # in steady state nothing waits
        return base.replace(
            supply=supply, out=replace(base.out, limit=limit), duration=np.zeros_like(base.duration)
        )  # fmt: skip

    def plant_per_oxygen(self) -> float:
        """Plant that makes one kilogram of oxygen a year, kg: 1/η."""
        p = self.campaign
        water = (1 + p["water_split"]) / p["water_split"]
        return water * (1 / p["extraction_rate"] + 1 / p["electrolysis_rate"])

    def values(self, solver: str = "highs") -> ChainValues:
        """α, η and c_E at the place."""
        network = self.transport()
        mass = solve_network(network, {"launched": 1.0}, solver=solver)
        cost = solve_network(network, {"cost": 1.0}, solver=solver)
        return ChainValues(
            alpha=mass.price(self.place, PLANTS["SWE"]),
            eta=1 / self.plant_per_oxygen(),
            c_E=cost.price(self.place, "oxygen"),
        )
