"""Tables of published results beside ours, computed when the docs are built (about 10 s)."""

from __future__ import annotations

from pathlib import Path

from house import put

from stochisru.worked.literature.certain import QUANTITIES
from stochisru.worked.literature.sources import published, study_case, study_plan
from stochisru.worked.mars.network import SCENARIOS
from stochisru.worked.mars.study import published_optima, solve_mars, table_4_7
from stochisru.worked.toy.network import toy_table

#: Quantities of the literature in words, with the decimals of ours.
_WORDS = {
    "npv": ("NPV", 1),
    "irr": ("IRR", 2),
    "npv_commissioning": ("NPV at commissioning", 0),
    "break_even": ("break-even", 0),
    "cost": ("life-cycle cost", 0),
    "cost_of_nothing": ("Earth supply", 0),
}


def _number(value: float | None, decimals: int) -> str:
    """A number with separators of thousands and a true minus sign, empty if there is none."""
    return "" if value is None else f"{value:,.{decimals}f}".replace("-", "−")


def _decimals(value: float | None) -> int:
    """Decimals that a printed number needs, at most two."""
    return 0 if value is None or value == round(value) else 2


def literature_table() -> str:
    """Published numbers of the cases of the literature beside ours."""
    lines = ["| case | quantity | printed | ours | range of what is open |", "|---|---|---:|---:|---|"]
    for row in published():
        words, decimals = _WORDS[row.quantity]
        ours = QUANTITIES[row.quantity](study_case(row.case), study_plan(row.case))
        open_range = ""
        if row.lower is not None and row.upper is not None:
            places = max(_decimals(row.lower), _decimals(row.upper)) and 1
            open_range = f"{_number(row.lower, places)} to {_number(row.upper, places)}"
        quantity = f"{words}, {row.unit}".replace("$", "\\$")
        numbers = [_number(row.value, _decimals(row.value)), _number(ours, decimals)]
        lines.append(f"| {' | '.join([f'`{row.case}`', quantity, *numbers, open_range])} |")
    return "\n".join(lines) + "\n"


def mars_table() -> str:
    """Table 4.7 of the thesis on Mars: mass at Kennedy Space Center and plants, kg."""
    sites = ("LSP", "DEIM", "PHOB", "GC")
    lines = [
        f"| scenario | J at KSC, kg | published | {' | '.join(f'{site} (published)' for site in sites)} |",
        "|---|---:|---:|" + "---:|" * len(sites),
    ]
    titles = {name: optimum.title for name, optimum in published_optima().items()}
    for row in table_4_7(solve_mars(scenario) for scenario in SCENARIOS.values()).to_dict("records"):
        plants = [f"{_number(row[site], 0)} ({_number(row[f'{site} published'], 0)})" for site in sites]
        name = str(row["scenario"])
        masses = [_number(row[column], 0) for column in ("objective", "published")]
        lines.append(f"| {' | '.join([f'{name}: {titles[name]}', *masses, *plants])} |")
    return "\n".join(lines) + "\n"


def toy_lines() -> str:
    """Table 5.2 of the thesis on Saudi Arabia."""
    units = {"co2": "t/yr", "water": "m³/day"}
    lines = ["| scenario | quantity | printed | ours | unit |", "|---|---|---:|---:|---|"]
    for name, values in toy_table().items():
        for key, printed in values["published"].items():
            unit = units.get(key, "kWh/day" if key.startswith("electricity") else "USD/yr")
            lines.append(
                f"| {name} | {key.replace('_', ', ')} | {_number(printed, 0)} | {_number(values[key], 1)} | {unit} |"
            )
    return "\n".join(lines) + "\n"


def write(folder: Path) -> None:
    """Write all tables into a folder."""
    for name, text in (
        ("literature.md", literature_table()),
        ("mars.md", mars_table()),
        ("toy.md", toy_lines()),
    ):
        put(folder / name, text)
