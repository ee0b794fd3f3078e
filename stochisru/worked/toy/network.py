"""The toy problem of the thesis (Section 5.1.4, Table 5.2): two plants, two pipelines, one city.

Scenario A runs the plant A (multi-stage flash, oil) through 30 km of existing pipe; scenario B builds the plant B
(reverse osmosis, gas) and 60 km of pipe. City C needs 10,000 m³/day. Pipes are 0.4 m wide and level, powerlines lose
nothing. Each scenario is worked out by formula and as a network with expansion and fixed use.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from stochisru.networks.builder import NetworkBuilder
from stochisru.networks.events import Conversion, LineLoss
from stochisru.networks.network import Network, one_of
from stochisru.networks.solution import NetworkSolution, bracket_of, solve_network
from stochisru.worked.saudi.infrastructure import (
    DAYS_PER_YEAR,
    assumptions,
    power_use,
    pumping_energy,
    saudi_data,
    text_parameters,
    yearly_capex,
)

#: How CAPEX is read: as printed (power plant and pipeline alone), or with the desalination plant of Table B.1 too.
Capex = Literal["printed", "table-b1"]
CAPEX_READINGS: tuple[Capex, ...] = ("printed", "table-b1")

DEMAND = 10_000.0
DIAMETER = 0.4
#: Largest flows, m³/day and kWh/day: comfortably above any need of the city.
_MOST_WATER, _MOST_POWER = 2 * DEMAND, 40 * DEMAND


@dataclass(frozen=True)
class Plant:
    """A plant of the toy problem with its pipe to the city."""

    technology: str
    fuel: str
    km: float
    exists: bool


PLANTS = {"A": Plant("MSF", "oil", 30.0, True), "B": Plant("SWRO", "natural_gas", 60.0, False)}


@dataclass(frozen=True)
class ToyResult:
    """One scenario: quantities per day, money in USD/yr, CO2 in t/yr."""

    water: float
    electricity: float
    electricity_desalination: float
    electricity_pumping: float
    plant_capex: float
    plant_opex: float
    pipeline_capex: float
    pipeline_opex: float
    co2: float

    @property
    def capex(self) -> float:
        """CAPEX of plant and pipeline, USD/yr."""
        return self.plant_capex + self.pipeline_capex

    @property
    def opex(self) -> float:
        """OPEX of plant and pipeline, USD/yr."""
        return self.plant_opex + self.pipeline_opex

    @property
    def cost(self) -> float:
        """CAPEX and OPEX, USD/yr."""
        return self.capex + self.opex

    def to_dict(self) -> dict[str, float]:
        """All numbers by name."""
        return {"cost": self.cost, "co2": self.co2, "capex": self.capex, "opex": self.opex, **asdict(self)}


def toy_by_formula(scenario: str, capex: Capex = "printed") -> ToyResult:
    """Table 5.2 by formula for scenario ``A`` or ``B``."""
    plant = _plant(scenario, capex)
    table, use = assumptions(), power_use()[plant.technology]
    water = DEMAND / (1 - text_parameters()["loss_water_per_km"] * plant.km)
    desalination, pumping = use * water, pumping_energy(plant.km, 0.0, DIAMETER) * water
    power = desalination + pumping
    new = 0.0 if plant.exists else 1.0
    return ToyResult(
        water=water,
        electricity=power,
        electricity_desalination=desalination,
        electricity_pumping=pumping,
        plant_capex=new * (power * _power_capex() + water * _desalination_capex(capex)),
        plant_opex=DAYS_PER_YEAR * (table["opex", "desalination"] * water + _power_opex() * power),
        pipeline_capex=new * plant.km * yearly_capex("pipeline"),
        pipeline_opex=plant.km * table["opex", "pipeline"],
        co2=DAYS_PER_YEAR / 1000 * (table["co2", plant.technology] * water + table["co2", plant.fuel] * power),
    )


def toy_network(capex: Capex = "printed") -> Network:
    """Both plants and pipelines as one network with capacity expansion and fixed use (Table 3.2)."""
    builder = NetworkBuilder(
        "toy",
        {"seawater": "m3/day", "water": "m3/day", "fuel": "kWh/day", "electricity": "kWh/day"},
        {
            "plant_capex": "USD/yr",
            "plant_opex": "USD/yr",
            "pipeline_capex": "USD/yr",
            "pipeline_opex": "USD/yr",
            "co2": "t/yr",
        },
    )
    table, text = assumptions(), text_parameters()
    for name in PLANTS:
        builder.node(name, {"seawater": np.inf, "fuel": np.inf})
    builder.node("C", {"water": -DEMAND})
    for name in PLANTS:
        plant = _plant(name, capex)
        have = np.inf if plant.exists else 0.0
        builder.arc(
            name,
            name,
            f"plant {name}",
            events=[Conversion({"seawater": {"water": 1.0}, "fuel": {"electricity": 1.0}})],
            takes={"seawater": {"electricity": power_use()[plant.technology]}},
            carries=("seawater", "fuel"),
            capacity={"seawater": have, "fuel": have},
            limit={"seawater": _MOST_WATER, "fuel": _MOST_POWER},
            expansion={"seawater": _MOST_WATER, "fuel": _MOST_POWER},
            cost={
                "plant_opex": {
                    "seawater": DAYS_PER_YEAR * table["opex", "desalination"],
                    "fuel": DAYS_PER_YEAR * _power_opex(),
                },
                "co2": {
                    "seawater": DAYS_PER_YEAR / 1000 * table["co2", plant.technology],
                    "fuel": DAYS_PER_YEAR / 1000 * table["co2", plant.fuel],
                },
            },
            expansion_cost={"plant_capex": {"seawater": _desalination_capex(capex), "fuel": _power_capex()}},
        )
        builder.arc(
            name,
            "C",
            f"pipeline {name}C",
            events=[LineLoss({"water": text["loss_water_per_km"]}, plant.km)],
            takes={"water": {"electricity": pumping_energy(plant.km, 0.0, DIAMETER)}},
            carries=("water",),
            limit={"water": _MOST_WATER},
            use_cost={
                "pipeline_capex": {"water": 0.0 if plant.exists else plant.km * yearly_capex("pipeline")},
                "pipeline_opex": {"water": plant.km * table["opex", "pipeline"]},
            },
        )
    return builder.build()


#: The criteria of the toy network that are money.
COST = dict.fromkeys(("plant_capex", "plant_opex", "pipeline_capex", "pipeline_opex"), 1.0)


def solve_toy(scenario: str, capex: Capex = "printed", solver: str = "highs") -> tuple[ToyResult, NetworkSolution]:
    """Table 5.2 as a mixed-integer program: the network with the other pipeline closed, at least cost."""
    _plant(scenario, capex)
    network = toy_network(capex)
    others = [network.arc(f"pipeline {name}C") for name in PLANTS if name != scenario]
    found = solve_network(network.closed(np.array(others)), COST, form="literal", rel_gap=0.0, solver=solver)
    water = found.outflow(f"plant {scenario}", "seawater")
    power = found.outflow(f"plant {scenario}", "fuel")
    desalination = power_use()[PLANTS[scenario].technology] * water
    money = {name: found.criteria[name] for name in COST}
    result = ToyResult(
        water=water,
        electricity=power,
        electricity_desalination=desalination,
        electricity_pumping=power - desalination,
        co2=found.criteria["co2"],
        **money,
    )
    return result, found


def published_toy() -> dict[str, dict[str, float]]:
    """Table 5.2 by scenario: cost, capex, opex (USD/yr), co2 (t/yr), water and electricity per day."""
    rows = {(row["section"], row["item"]): row for row in saudi_data("table_5_2")}
    found = {}
    for name in PLANTS:

        def cell(section: str, item: str, column: str = f"scenario_{name}") -> float:
            return float(rows[section, item][column])

        found[name] = {
            "cost": cell("Total", "Cost"),
            "co2": cell("Total", "CO2 emission"),
            "capex": cell("Plant", "CAPEX") + cell("Pipeline", "CAPEX (fixed)"),
            "opex": cell("Plant", "OPEX") + cell("Pipeline", "OPEX (fixed)"),
            "water": cell("Plant", "Water production"),
            "electricity": cell("Plant", "Electricity generation"),
            "electricity_desalination": cell("Plant", "for desalination"),
            "electricity_pumping": cell("Plant", "for pumping"),
            "plant_capex": cell("Plant", "CAPEX"),
            "plant_opex": cell("Plant", "OPEX"),
            "pipeline_capex": cell("Pipeline", "CAPEX (fixed)"),
            "pipeline_opex": cell("Pipeline", "OPEX (fixed)"),
        }
    return found


def _plant(scenario: str, capex: str) -> Plant:
    one_of(CAPEX_READINGS, capex, "capex")
    return PLANTS[one_of(list(PLANTS), scenario, "scenario")]


def _power_opex() -> float:
    return assumptions()["opex", "electricity_generation"]


def _power_capex() -> float:
    """USD/yr per kWh/day."""
    return yearly_capex("electricity_generation") / 24_000


def _desalination_capex(capex: Capex) -> float:
    return yearly_capex("desalination") if capex == "table-b1" else 0.0


def toy_table(capex: Capex = "printed", solver: str = "highs") -> dict[str, dict[str, Any]]:
    """Both scenarios: the network's numbers, with ``formula`` and ``published`` beside them."""
    printed = published_toy()
    table: dict[str, dict[str, Any]] = {}
    for name in PLANTS:
        result, found = solve_toy(name, capex, solver)
        table[name] = {
            **result.to_dict(),
            "bounds": bracket_of(found.bounds),
            "formula": toy_by_formula(name, capex).to_dict(),
            "published": printed[name],
            "size": found.size,
        }
    return table
