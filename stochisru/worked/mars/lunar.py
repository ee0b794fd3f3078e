"""Parameters of a deployment case from a network: α, η and c_E as nodal prices at the lunar pole.

`SupplyChain` is a network of flights from low Earth orbit to the pole, with stages that are dropped after each leg,
and a chain of plants there. Its duals are what a case asks for: the mass in LEO of one more kilogram of plant at the
pole (α), the plant for one more kilogram of oxygen a year (1/η), and the cost of one more kilogram of oxygen from Earth
in its tank (c_E). With the two legs of `REFERENCE_LEGS` they equal the closed forms of `stochisru.lunar.derivation`;
with all legs of the ΔV table the network finds a better route by itself.

Examples
--------
>>> from stochisru import load_case
>>> from stochisru.worked.mars.lunar import SupplyChain
>>> values = SupplyChain().values()
>>> print(f"{values.alpha:.3f} {values.eta:.3f} {values.c_E:,.0f}")
5.465 7.173 47,079
>>> case = load_case("lunar-reference").replace(**values.symbols)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from stochisru.networks.builder import NetworkBuilder
from stochisru.networks.events import Burn, Production, Wear, electrolysis, propellant_fraction, switch, tank_ratio
from stochisru.networks.network import Network
from stochisru.networks.solution import NetworkSolution, solve_network
from stochisru.worked.mars.network import mars_data, parameters

_CARGO = ("plant", "oxygen", "tank", "propellant", "stage")
#: A stage that has been lit; it is dropped at the end of its leg.
_LIT = "lit stage"


#: Largest flow, kg per kilogram delivered.
_MOST = 1e4


class Leg(NamedTuple):
    """A flight: places, ΔV in km/s, and the inert fraction of its stage."""

    tail: str
    head: str
    delta_v_km_s: float
    inert_fraction: float


#: LEO to low lunar orbit to the pole (thesis, Figure A-1).
REFERENCE_LEGS = (Leg("LEO", "LLO", 4.04, 0.08), Leg("LLO", "LSP", 1.87, 0.15))
#: Places of the ΔV table on the way to the lunar pole.
_CISLUNAR = ("LEO", "GTO", "GEO", "LLO", "EML1", "EML2", "EML45", "LSP")


def table_legs() -> tuple[Leg, ...]:
    """All legs of the thesis' ΔV table between LEO and the lunar pole, without aerobraking."""
    p = parameters()
    return tuple(
        Leg(
            row["origin"],
            row["dest"],
            float(row["delta_v_km_s"]),
            p["finert_lox_surface"] if "LSP" in (row["origin"], row["dest"]) else p["finert_lox"],
        )
        for row in mars_data("flights")
        if row["mode"] == "prop" and {row["origin"], row["dest"]} <= set(_CISLUNAR) and row["dest"] != "LEO"
    )


@dataclass(frozen=True)
class ChainValues:
    """Parameters of a case: kg/kg, kg/(kg yr), $/kg."""

    alpha: float
    eta: float
    c_E: float

    @property
    def symbols(self) -> dict[str, float]:
        """The symbols for `DeploymentCase.replace`."""
        return {"alpha": self.alpha, "eta": self.eta, "c_E": self.c_E}


@dataclass(frozen=True)
class SupplyChain:
    """Flights to the lunar pole and plants there; the defaults are those of the case ``lunar-reference``.

    Attributes
    ----------
    legs
        Flights; they begin at LEO and must reach LSP, the pole.
    isp_s
        Specific impulse of all stages, s.
    launch_cost
        Launch to LEO (c_L), $/kg.
    oxygen_per_tank
        Oxygen that a kilogram of tank holds on its way, kg.
    oxygen_price, tank_price
        On Earth, $/kg.
    water_per_extraction, water_per_electrolysis
        Water that a kilogram of extraction (electrolysis) plant digs (splits) in a year, kg.
    """

    legs: Sequence[Leg] = REFERENCE_LEGS
    isp_s: float = 420.0
    launch_cost: float = 5000.0
    oxygen_per_tank: float = 1.478
    oxygen_price: float = 0.15
    tank_price: float = 1869.0
    water_per_extraction: float = 10.5
    water_per_electrolysis: float = 35.0

    def transport(self) -> Network:
        """Flights of one kilogram of plant and one of oxygen; criteria ``imleo`` (kg) and ``cost`` ($)."""
        builder = NetworkBuilder(
            "flights to the lunar pole", dict.fromkeys((*_CARGO, _LIT), "kg"), {"imleo": "kg in LEO", "cost": "$"}
        )
        places = dict.fromkeys(place for leg in self.legs for place in (leg.tail, leg.head))
        builder.node("Earth", dict.fromkeys(_CARGO, float("inf")))
        for place in places:
            builder.node(place, {"plant": -1.0, "oxygen": -1.0} if place == "LSP" else None)
        launch = dict.fromkeys(_CARGO, self.launch_cost)
        launch["oxygen"] += self.oxygen_price
        launch["tank"] += self.tank_price
        builder.arc(
            "Earth",
            "LEO",
            "launch",
            carries=_CARGO,
            limit=dict.fromkeys(_CARGO, _MOST),
            cost={"imleo": dict.fromkeys(_CARGO, 1.0), "cost": launch},
        )
        for place in places:
            builder.arc(
                place, place, f"light a stage at {place}", events=[switch("stage", _LIT)], carries=["stage"],
                limit={"stage": _MOST},
            )  # fmt: skip
        for leg in self.legs:
            # The lit stage holds what the leg burns, a share of everything; other stages are cargo.
            burnt = tank_ratio(leg.inert_fraction) * propellant_fraction(leg.delta_v_km_s, self.isp_s)
            everything = dict.fromkeys((*_CARGO, _LIT), burnt)
            builder.arc(
                leg.tail,
                leg.head,
                events=[Burn(leg.delta_v_km_s, self.isp_s, {"propellant": 1.0}), Wear({_LIT: 1.0})],
                concurrency_out=[
                    {**everything, _LIT: burnt - 1},
                    {"oxygen": 1 / self.oxygen_per_tank, "tank": -1.0},
                ],
                limit=dict.fromkeys((*_CARGO, _LIT), _MOST),
            )
        return builder.build()

    def production(self) -> Network:
        """Plants that make one kilogram of oxygen a year; criterion ``plant`` (kg)."""
        builder = NetworkBuilder(
            "plants at the lunar pole",
            {"plant": "kg", "water": "kg/yr", "hydrogen": "kg/yr", "oxygen": "kg/yr"},
            {"plant": "kg"},
        )
        builder.node("store", {"plant": float("inf")})
        builder.node("LSP", {"oxygen": -1.0})
        builder.arc("store", "LSP", "plant", carries=["plant"], cost={"plant": {"plant": 1.0}})
        builder.arc(
            "LSP",
            "LSP",
            "extraction",
            events=[Production("plant", {"water": self.water_per_extraction}, {})],
            carries=["plant"],
        )
        builder.arc(
            "LSP",
            "LSP",
            "electrolysis",
            events=[electrolysis()],
            takes={"water": {"plant": 1 / self.water_per_electrolysis}},
            carries=["water"],
        )
        return builder.build()

    def solve(self, criterion: str = "imleo", solver: str = "highs") -> NetworkSolution:
        """The flights at least ``imleo`` or ``cost``."""
        return solve_network(self.transport(), {criterion: 1.0}, solver=solver)

    def values(self, solver: str = "highs") -> ChainValues:
        """α, η and c_E from the nodal prices at the pole."""
        plants = solve_network(self.production(), solver=solver)
        return ChainValues(
            alpha=self.solve("imleo", solver).price("LSP", "plant"),
            eta=1 / plants.price("LSP", "oxygen"),
            c_E=self.solve("cost", solver).price("LSP", "oxygen"),
        )
