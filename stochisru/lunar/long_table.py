"""What happens by year in a run, in the long format of IAMC, which scenario databases and their tools take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stochisru.errors import InputError
from stochisru.exchange.results import iamc_table

if TYPE_CHECKING:
    import pandas as pd

#: Region of all that a case is about.
REGION = "Moon"
#: Variable and unit of the columns of the table ``operations`` of a base case: means over paths.
_OPERATIONS = {
    "demand": ("Demand|Oxygen", "kg/yr"),
    "delivered": ("Supply|Oxygen|Lunar", "kg/yr"),
    "shortage": ("Demand|Oxygen|Unserved", "kg/yr"),
    "capacity": ("Capacity|Oxygen|Lunar", "kg/yr"),
    "utilization": ("Capacity Factor|Oxygen|Lunar", ""),
    "self_sufficiency": ("Share|Oxygen|Lunar", ""),
}
#: The same of the table ``schedule``: what plans place and have.
_SCHEDULE = {"deployment": ("Capacity Additions|Plant Mass", "kg"), "plant": ("Capacity|Plant Mass", "kg")}
#: First levels and units of the groups of quantities of a case with tables.
_GROUPS = {
    "deployment": ("Capacity Additions|Plant Mass", "kg"),
    "plant": ("Capacity|Plant Mass", "kg"),
    "supply": ("Supply|Oxygen", "kg/yr"),
}


def iamc_of_run(tables: Mapping[str, pd.DataFrame], manifest: Mapping[str, Any]) -> pd.DataFrame:
    """The tables ``operations`` and ``schedule`` of a run as one of IAMC.

    Parameters
    ----------
    tables, manifest
        Of a folder that ``run`` has made.

    Returns
    -------
    pandas.DataFrame
        Columns model, scenario, region, variable, unit, year, value. A scenario is the case and a strategy or plan, a
        year one of the case, from 0; a value the mean over paths.

    Raises
    ------
    InputError
        If the tables are not those of a run.
    """
    import pandas as pd

    if "operations" not in tables or "strategy" not in tables["operations"].columns:
        raise InputError("folder: has no table 'operations' by strategy and year, as a folder of 'stochisru run' has")
    case = str(manifest.get("title", manifest.get("case", "case")))
    version = (manifest.get("versions") or {}).get("stochisru", "")
    told = {"model": f"stochisru {version}".strip(), "region": REGION}
    operations = tables["operations"]
    if "quantity" in operations.columns:
        return _of_quantities(operations, case, told)
    parts = [iamc_table(operations, _OPERATIONS, scenario=[f"{case}|{s}" for s in operations["strategy"]], **told)]
    if "schedule" in tables:
        schedule = tables["schedule"]
        names = [f"{case}|{plan} of {of}" for plan, of in zip(schedule["plan"], schedule["of"], strict=True)]
        parts.append(iamc_table(schedule, _SCHEDULE, scenario=names, **told))
    return pd.concat(parts, ignore_index=True)


def _of_quantities(operations: pd.DataFrame, case: str, told: Mapping[str, str]) -> pd.DataFrame:
    """Of a case with tables: a row per strategy, quantity and year."""
    import pandas as pd

    parts = []
    for (group, of), rows in operations.groupby(["group", "of"], sort=False):
        level, unit = _GROUPS.get(str(group), (str(group).capitalize(), "kg/yr"))
        variable = f"{level}|{str(of).capitalize()}"
        names = [f"{case}|{s}" for s in rows["strategy"]]
        parts.append(iamc_table(rows, {"mean": (variable, unit)}, scenario=names, **told))
    return pd.concat(parts, ignore_index=True)
