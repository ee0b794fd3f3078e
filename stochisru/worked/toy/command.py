"""Command of the small network: ``network toy``."""

from __future__ import annotations

from typing import Annotated

import typer

from stochisru.terminal import JsonOpt, SolverOpt, emit, json_target, print_frame


def toy(
    capex: Annotated[str, typer.Option(help="printed, or table-b1 with the desalination plant.")] = "printed",
    solver: SolverOpt = "highs",
    json: JsonOpt = None,
) -> None:
    """Two plants, two pipelines, one city (Table 5.2)."""
    from stochisru.networks.network import one_of
    from stochisru.worked.toy.network import CAPEX_READINGS, toy_table

    json_target(json)
    table = toy_table(one_of(CAPEX_READINGS, capex, "capex"), solver)

    def show() -> None:
        import pandas as pd

        units = {"co2": "t/yr", "water": "m3/day"}
        rows = [
            {
                "scenario": name,
                "quantity": key,
                "network": values[key],
                "formula": values["formula"][key],
                "published": values["published"][key],
                "unit": units.get(key, "kWh/day" if key.startswith("electricity") else "USD/yr"),
            }
            for name, values in table.items()
            for key in values["published"]
        ]
        print_frame(pd.DataFrame(rows), f"Table 5.2, CAPEX reading {capex!r} (cost minimised)")

    emit({**table, "capex_reading": capex, "sense": "minimise"}, json, show)


#: Commands by the words that call them.
COMMANDS = {"network toy": toy}
