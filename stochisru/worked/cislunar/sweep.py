"""Sensitivities of the campaign: the paper's Figures 9-13, for both architectures, with and without a set-up year.

A point of the study is one set of values; its rows are the phases and architectures. Each starts from the plans before
it that it contains: a set-up year only drops demand, the distributed architecture only adds sites. Values at which
several sweeps meet are computed once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from stochisru.errors import InputError
from stochisru.files import to_json
from stochisru.programs.curves.formulations import Formulation
from stochisru.studies.folder import write_figures, write_manifest, write_tables
from stochisru.studies.store import Execution, Point, Row, Study, run_study
from stochisru.worked.cislunar.campaign import CAVEAT, REL_GAP, TIME_LIMIT, CampaignResult, solve_campaign
from stochisru.worked.cislunar.parameters import ARCHITECTURES, Architecture, Campaign, parameters
from stochisru.worked.cislunar.signs import signs

KIND = "campaign-sweep"


@dataclass(frozen=True)
class SweptParameter:
    """A parameter of a sweep: its figure in the paper, name of the value, usual values, label."""

    figure: int
    key: str
    values: tuple[float, ...]
    label: str


SWEEPS: dict[str, SweptParameter] = {
    "duration": SweptParameter(9, "years", (1, 2, 3, 4, 5, 6), "mission duration (years)"),
    "productivity": SweptParameter(
        10, "productivity", (0.5, 0.75, 1.0, 1.5, 2.0), "productivity of plants (times the reference)"
    ),
    "volume-discount": SweptParameter(
        11, "volume_discount", (0.0, 0.05, 0.1, 0.15, 0.2), "volume discount per interval"
    ),
    "cost-discount": SweptParameter(12, "cost_discount", (0.0, 0.05, 0.1, 0.15, 0.2), "cost discount per interval"),
    "interval": SweptParameter(13, "interval", (1000.0, 2000.0, 3000.0, 4500.0, 6000.0), "scaling interval (kg)"),
}


@dataclass(frozen=True)
class Sweep:
    """What is computed.

    Attributes
    ----------
    base
        The campaign around which one parameter at a time is varied; its architecture and phase do not matter.
    parameters
        Names of `SWEEPS`.
    values
        Values in place of the usual ones, for a single parameter.
    architectures, phases
        Architectures, and whether there is a set-up year. One year has no room for one: that point is left out.
    rel_gap, time_limit, formulation, solver
        As in `solve_campaign`.
    """

    base: Campaign = field(default_factory=Campaign)
    parameters: tuple[str, ...] = ("duration",)
    values: tuple[float, ...] | None = None
    architectures: tuple[Architecture, ...] = ARCHITECTURES
    phases: tuple[bool, ...] = (False, True)
    rel_gap: float = REL_GAP
    time_limit: float = TIME_LIMIT
    formulation: Formulation = "interval"
    solver: str = "highs"

    def __post_init__(self) -> None:
        for name in self.parameters:
            if name not in SWEEPS:
                raise InputError(f"parameter: must be one of {', '.join(SWEEPS)}, got {name!r}")
        if self.values is not None and len(self.parameters) != 1:
            raise InputError("values: must be given for one parameter")
        if not self.points:
            raise InputError("years: a set-up year needs at least 2 years; no point is left")
        for point in self.points:
            self.campaign(point)  # refuses what is out of range before anything is solved

    def axis(self, parameter: str) -> tuple[float, ...]:
        """Values of a parameter."""
        return SWEEPS[parameter].values if self.values is None else self.values

    def point(self, parameter: str, value: float) -> dict[str, Any]:
        """The base with one value changed."""
        found: dict[str, Any] = {
            "years": self.base.years,
            "productivity": 1.0,
            **{key: self.base[key] for key in ("volume_discount", "cost_discount", "interval")},
        }
        found[SWEEPS[parameter].key] = float(value)
        if found["years"] != int(found["years"]):
            raise InputError(f"years: must be whole years, got {value}")
        return {**found, "years": int(found["years"])}

    @property
    def cells(self) -> list[tuple[str, float, dict[str, Any]]]:
        """Parameter, value and point of everything that is shown."""
        found = [(name, value, self.point(name, value)) for name in self.parameters for value in self.axis(name)]
        return [cell for cell in found if self.phases_of(cell[2])]

    def phases_of(self, point: Mapping[str, Any]) -> list[bool]:
        """Phases of a point: one year has no room for a set-up year."""
        return [setup for setup in self.phases if point["years"] > 1 or not setup]

    @property
    def points(self) -> list[dict[str, Any]]:
        """Points without repetitions."""
        found: list[dict[str, Any]] = []
        for _, _, point in self.cells:
            if point not in found:
                found.append(point)
        return found

    def campaign(self, point: Mapping[str, Any]) -> Campaign:
        """The concentrated campaign of a point without a set-up year."""
        rates = {key: self.base[key] * point["productivity"] for key in ("extraction_rate", "electrolysis_rate")}
        values = {key: point[key] for key in ("volume_discount", "cost_discount", "interval")}
        base = self.base.replace(architecture="concentrated", setup=False, years=point["years"])
        return base.with_values(**rates, **values)

    def __call__(self, point: Point) -> list[Row]:
        """Rows of a point."""
        rows: list[Row] = []
        results: list[CampaignResult] = []
        for setup in self.phases_of(point):
            for architecture in ARCHITECTURES if "distributed" in self.architectures else self.architectures:
                result = solve_campaign(
                    self.campaign(point).replace(architecture=architecture, setup=setup),
                    rel_gap=self.rel_gap,
                    time_limit=self.time_limit,
                    formulation=self.formulation,
                    solver=self.solver,
                    starts=results,
                )
                results.append(result)
                if architecture in self.architectures:
                    rows.append({**point, "architecture": architecture, "setup": setup, **_row(result)})
        return rows

    @property
    def identity(self) -> dict[str, Any]:
        """What the rows depend on besides their points."""
        base = self.base
        numbers = {
            "parameters": {key: base[key] for key in parameters()},
            "demand": sorted([*where, kg] for where, kg in base.yearly.items()),
            "reading": asdict(base.reading),
        }
        return {
            "kind": KIND,
            "numbers": hashlib.sha256(to_json(numbers).encode()).hexdigest()[:16],
            "architectures": list(self.architectures),
            "phases": list(self.phases),
            "rel_gap": self.rel_gap,
            "time_limit": self.time_limit,
            "formulation": self.formulation,
            "solver": self.solver,
        }


def _row(result: CampaignResult) -> Row:
    sizes = {f"{kind} {site}": kg for (kind, site), kg in result.sizes.items() if kg > 0}
    return {
        "cost": result.cost,
        "lower": result.bounds.lower,
        "gap": result.bounds.gap,
        "isru_mass": result.isru_mass,
        "plants": ", ".join(f"{name} {kg:.0f}" for name, kg in sizes.items()),
        "reason": result.termination.reason.value,
        "seconds": result.seconds,
    }


def run_sweep(sweep: Sweep, execution: Execution | None = None) -> list[Row]:
    """A row per parameter, value, phase and architecture: cost and bound ($), gap, ISRU mass (kg), plants, seconds."""
    rows = run_study(Study(sweep.identity, sweep.points, sweep), execution)
    found: list[Row] = []
    for parameter, value, point in sweep.cells:
        mine = [row for row in rows if all(row[key] == point[key] for key in point)]
        found.extend({"parameter": parameter, "value": float(value), **row} for row in mine)
    return found


def write_sweep(folder: Path, sweep: Sweep, rows: list[Row]) -> None:
    """Write the tables of rows and signs, a figure per parameter and the manifest."""
    from stochisru.worked.cislunar.figures import sweep_figure

    found = [sign._asdict() for sign in signs(rows)]
    write_tables(folder, {"sweep": rows, **({"signs": found} if found else {})})
    write_manifest(folder, KIND, {**sweep.identity, "note": CAVEAT})
    write_figures(folder, lambda: {name: sweep_figure(rows, name) for name in sweep.parameters})
