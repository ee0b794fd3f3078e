"""The Mars optimum beside other numbers: Mars DRA 5.0, Table 4.3, and the same mission over launch opportunities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stochisru.worked.mars.network import SITES, mars_data, parameters
from stochisru.worked.mars.opportunities import OpportunitiesResult
from stochisru.worked.mars.study import MarsResult

if TYPE_CHECKING:
    import pandas as pd

#: Rows of Table 4.3.
QUANTITIES = ("plant", "resources", "maintenance")


def beside_dra(result: MarsResult) -> pd.DataFrame:
    """A row per reference scenario of Mars DRA 5.0: its IMLEO and ours (t), the saving (%), and that printed.

    The thesis compares its baseline; the printed saving is NaN for other scenarios.
    """
    import pandas as pd

    rows = []
    for row in mars_data("dra_5"):
        theirs, ours = float(row["imleo_t"]), result.imleo / 1000
        rows.append(
            {
                "reference": row["reference"],
                "imleo reference": theirs,
                "imleo": ours,
                "saving": 100 * (1 - ours / theirs),
                "saving published": float(row["saving_percent"]) if _is_baseline(result) else np.nan,
            }
        )
    return pd.DataFrame(rows)


def table_4_3(result: MarsResult) -> pd.DataFrame:
    """What is deployed, made and needed at each site in the scope of the study (kg), printed values beside it."""
    import pandas as pd

    network, flows = result.solution.network, result.solution.flows
    made, used = {}, {}
    for site in SITES:
        arc = network.arc(f"{site} plant")
        plant = network.commodity("plant")
        # Per kilogram of plant: what its column of B makes, and what the loop takes in.
        gives = np.maximum(network.transformation[arc][:, plant], 0.0)
        gives[plant] = 0.0
        made[site] = float(gives.sum() * flows.out[arc, plant])
        used[site] = parameters()["maint_rate"] * result.scenario.lifetime * float(flows.out[arc, plant])
    found = {"plant": result.plants, "resources": made, "maintenance": used}
    printed = {row["quantity"]: row for row in mars_data("table_4_3")}
    rows = []
    for quantity in QUANTITIES:
        entry: dict[str, object] = {"quantity": quantity}
        for site in SITES:
            entry[site] = found[quantity][site]
            entry[f"{site} published"] = float(printed[quantity][site]) if _is_baseline(result) else np.nan
        rows.append(entry)
    return pd.DataFrame(rows)


def side_by_side(static: MarsResult, over_time: OpportunitiesResult, without: MarsResult) -> pd.DataFrame:
    """Three answers to one mission: no plants, over launch opportunities, and steady state; kg.

    In steady state plants feed the flight that brings them; over time they work only after they landed. A row per
    answer: mass at KSC, and by site the plant at work at most.
    """
    import pandas as pd

    schedule = over_time.schedule
    working = {site: float(schedule[f"{site} works"].max()) for site in SITES}
    answers = (
        ("no plants", without.objective, without.plants),
        (f"{over_time.expanded.steps} launch opportunities", over_time.objective, working),
        ("steady state", static.objective, static.plants),
    )
    return pd.DataFrame([{"answer": name, "mass at KSC": objective, **plants} for name, objective, plants in answers])


def _is_baseline(result: MarsResult) -> bool:
    return result.published is not None and result.scenario.name == "baseline"
