"""Solving the cislunar campaign: cost and ISRU mass with bounds, the plan in tables, and Table 5 beside it.

Cost is minimised. ``bounds.upper`` is what the plan in hand costs, ``bounds.lower`` what none can undercut; their gap
says how far the search came. The distributed architecture contains the concentrated one, so its search starts from the
concentrated plan and its cost is never above it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import InfeasibleError, InputError, SolverError
from stochisru.files import plainly
from stochisru.methods.result import Bounds, Termination
from stochisru.networks.assembly import Flows
from stochisru.networks.solution import bracket, with_integers_fixed
from stochisru.programs.curves.formulations import Formulation
from stochisru.programs.effort import Budget
from stochisru.programs.sparse import Solution
from stochisru.worked.cislunar.comparison import published_cell, verdict
from stochisru.worked.cislunar.network import (
    CARGO,
    LAUNCHES,
    POINTS,
    largest,
    masses,
)
from stochisru.worked.cislunar.parameters import WINDOWS_PER_YEAR, Campaign, parameters
from stochisru.worked.cislunar.program import (
    CampaignProgram,
    campaign_program,
    initial_mass,
    output_curve,
    price_curve,
)
from stochisru.worked.cislunar.replay import Replay, replay
from stochisru.worked.cislunar.search import search

if TYPE_CHECKING:
    import pandas as pd

REL_GAP = 0.01
TIME_LIMIT = 90.0
#: What every output says about its numbers.
CAVEAT = (
    "The paper's numbers; what its text leaves open is read as docs/campaign.md says. A cost is that of a plan, its "
    "bound what none can undercut: only brackets that do not overlap tell two campaigns apart."
)
#: Share of the time of the concentrated plan from which a distributed one starts.
_INSIDE = 0.5
#: Share of the time, and gap, of a plan without a set-up year from which one with it starts.
_ROUGH, _ROUGH_GAP = 0.2, 0.05
#: Flows below this are nothing, kg or stages.
_SMALL = 1e-3


@dataclass(frozen=True, eq=False)
class CampaignResult:
    """A plan for a campaign and how good it is.

    Attributes
    ----------
    program
        The program that was solved.
    x
        Values of its columns.
    cost
        Cost of the plan, $ (minimised).
    bounds
        Bracket of the least cost, $.
    termination
        Why the search ended.
    seconds, solver
        Time of the search, that of its start included, and the solver's name and version.
    concentrated
        The concentrated plan from which the search of a distributed one started, or None.
    """

    program: CampaignProgram
    x: Array
    cost: float
    bounds: Bounds
    termination: Termination
    seconds: float
    solver: str
    concentrated: CampaignResult | None = None

    @property
    def campaign(self) -> Campaign:
        """The case."""
        return self.program.campaign

    @cached_property
    def flows(self) -> Flows:
        """Flows of the network over time."""
        return self.program.assembly.flows(self.x)

    @cached_property
    def builds(self) -> dict[tuple[str, str, int], float]:
        """Size of every structure, kg by (kind, site, window), what stood there at the start included."""
        found = self.x[self.program.size]
        found = np.where(found > _SMALL, found, 0.0)
        return {b: float(kg) for b, kg in zip(self.campaign.builds, found, strict=True)}

    @cached_property
    def sizes(self) -> dict[tuple[str, str], float]:
        """Mass of all structures of a kind at a site, kg by (kind, site)."""
        found: dict[tuple[str, str], float] = dict.fromkeys(self.campaign.structures, 0.0)
        for (kind, site, _), kg in self.builds.items():
            found[kind, site] += kg
        return found

    @property
    def isru_mass(self) -> float:
        """Mass of all plants, kg; with the initial one if the reading counts it."""
        total = sum(self.builds.values())
        if self.campaign.reading.initial_counts:
            return total
        return total - sum(initial_mass(self.campaign, *build) for build in self.campaign.builds)

    @cached_property
    def replay(self) -> Replay:
        """The plan flown again by the arithmetic of `stochisru.worked.cislunar.replay`."""
        return replay(self)

    @property
    def at_bound(self) -> list[str]:
        """Structures as large as the search allows, and legs on which all stages fly: larger ones may be better."""
        found = [
            f"{kind} {site}"
            for (kind, site, _), kg in self.builds.items()
            if kg >= largest(self.campaign, kind) * (1 - 1e-6)
        ]
        if len(self.flights) and (self.flights["stages"] >= self.campaign["most_stages"]).any():
            found.append("stages on a leg")
        return found

    @cached_property
    def plants(self) -> pd.DataFrame:
        """A row per structure that is built: kind, site, window, size (kg), price ($), output (kg water/yr)."""
        import pandas as pd

        rows = []
        for (kind, site, window), kg in self.builds.items():
            price, output = price_curve(self.campaign, kind), output_curve(self.campaign, kind)
            if kg > 0:
                rows.append((kind, site, window, kg, float(price(kg)), float(output(kg))))
        return pd.DataFrame(rows, columns=["kind", "site", "window", "size", "price", "output"])

    @cached_property
    def flights(self) -> pd.DataFrame:
        """A row per flight and launch: window, year, point, launch or not, tail, head, stages, propellant, cargo.

        Point is that of the window's four at which it leaves. Stages in number; the propellant in their tanks at
        departure and cargo by commodity in kg.
        """
        import pandas as pd

        expanded, out = self.program.expanded, self.flows.out
        base, c = expanded.base, expanded.base.commodity
        columns = ["stage", "propellant", *CARGO]
        rows = []
        for arc in np.flatnonzero(~base.loops[expanded.arc]):
            amounts = {name: float(out[arc, c(name)]) for name in columns}
            if max(amounts.values()) <= _SMALL:
                continue
            step, kind = int(expanded.departure[arc]), int(expanded.arc[arc])
            launch = base.arcs[kind] in LAUNCHES
            stages = amounts.pop("stage")
            rows.append(
                {
                    "window": step // POINTS,
                    "year": step // POINTS / WINDOWS_PER_YEAR,
                    "point": step % POINTS,
                    "launch": launch,
                    "tail": base.nodes[base.tail[kind]],
                    "head": base.nodes[base.head[kind]],
                    "stages": round(stages),
                    **{name: kg if kg > _SMALL else 0.0 for name, kg in amounts.items()},
                }
            )
        names = ["window", "year", "point", "launch", "tail", "head", "stages", "propellant", *CARGO]
        return pd.DataFrame(rows, columns=names).sort_values(["window", "point", "tail"], ignore_index=True)

    @cached_property
    def work(self) -> pd.DataFrame:
        """A row per plant and half year in which it works: window, year, kind, site, feed (kg)."""
        import pandas as pd

        base = self.program.expanded.base
        out, rows = self.flows.out, []
        for kind, site in self.campaign.structures:
            copies = np.flatnonzero(self.program.expanded.arc == base.arc(f"{site} {kind} work"))
            feed = base.commodity("soil" if kind == "SWE" else "water")
            for copy in copies:
                window = int(self.program.expanded.departure[copy]) // POINTS
                if out[copy, feed] > _SMALL:
                    rows.append(
                        {
                            "window": window,
                            "year": window / WINDOWS_PER_YEAR,
                            "kind": kind,
                            "site": site,
                            "feed": float(out[copy, feed]),
                        }
                    )
        return pd.DataFrame(rows, columns=["window", "year", "kind", "site", "feed"])

    @cached_property
    def costs(self) -> dict[str, float]:
        """Parts of the cost, $: stages, launch, flights, plants, goods; they sum to ``cost``."""
        p = self.campaign
        launches = self.flights[self.flights["launch"]]
        flown = self.flights[~self.flights["launch"]]
        mass = masses(p)
        stages = float(launches["stages"].sum())
        cargo = float(launches[["propellant", *CARGO]].sum(axis=0).sum())
        parts = {
            "stages": p["stage_price"] * stages,
            "launch": p["launch_price"] * (cargo + (mass["stage"] * stages if p.reading.launch_of_stage_paid else 0.0)),
            "flights": p["flight_price"] * float(flown["stages"].sum()),
            "plants": float(self.plants["price"].sum()),
        }
        return {**parts, "goods": self.cost - sum(parts.values())}

    @property
    def size(self) -> dict[str, int]:
        """Size of the program."""
        p = self.program.program
        return {
            "variables": p.shape[1],
            "integers": int(p.integer.sum()),
            "binaries": int((p.integer & (p.upper <= 1) & (p.lower >= 0)).sum()),
            "rows": p.shape[0],
            "nonzeros": int(p.matrix.nnz),
        }

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: $, kg, years."""
        p = self.campaign
        paper = published_cell(p)
        return {
            "campaign": p.title,
            "architecture": p.architecture,
            "setup": p.setup,
            "years": p.years,
            "sense": "minimise",
            "unit": {"cost": "$", "isru_mass": "kg"},
            "cost": self.cost,
            "isru_mass": self.isru_mass,
            "bounds": self.bounds,
            "termination": self.termination,
            "published": None if paper is None else {"cost": paper[0], "isru_mass": paper[1], "verdict": verdict(self)},
            "note": CAVEAT,
            "replay": self.replay,
            "costs": self.costs,
            "plants": self.plants,
            "flights": self.flights,
            "work": self.work,
            "at_bound": self.at_bound,
            "demand": [
                {"node": node, "commodity": commodity, "kg_per_year": kg} for (node, commodity), kg in p.yearly.items()
            ],
            "parameters": {key: p[key] for key in parameters()},
            "concentrated": None
            if self.concentrated is None
            else {
                "cost": self.concentrated.cost,
                "isru_mass": self.concentrated.isru_mass,
                "bounds": self.concentrated.bounds,
            },
            "size": self.size,
            "seconds": self.seconds,
            "solver": self.solver,
        }

    def __repr__(self) -> str:
        return (
            f"CampaignResult({self.campaign.title}: ${self.cost / 1e9:.4f} billion, ISRU {self.isru_mass:,.0f} kg, "
            f"minimise, gap {self.bounds.gap:.2g})"
        )


def solve_campaign(
    campaign: Campaign | None = None,
    *,
    rel_gap: float = REL_GAP,
    time_limit: float = TIME_LIMIT,
    formulation: Formulation = "interval",
    solver: str = "highs",
    starts: Sequence[CampaignResult] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> CampaignResult:
    """The least cost of a campaign.

    Parameters
    ----------
    campaign
        The case; the concentrated one of three years if not given.
    rel_gap, time_limit
        Gap and seconds at which the search ends, those of its starts included; it is longer only where there is no plan
        by then.
    formulation
        How the curves of the plants are put into the program.
    starts
        Plans of other campaigns that may be plans of this one, such as the concentrated one of a distributed campaign
        or one without a set-up year. The best that fits is where the search starts, so the cost is never above it. A
        distributed campaign finds its concentrated one if none is given, and a concentrated one with a set-up year one
        without it.

    Raises
    ------
    InputError
        If the demand cannot be met in time.
    SolverError
        If no plan was found within the time limit.
    """
    campaign, budget = campaign or Campaign(), Budget(time_limit)
    alone = campaign.replace(architecture="concentrated")
    inside = [r for r in starts if r.campaign == alone] if campaign.architecture == "distributed" else []
    if campaign.architecture == "distributed" and not inside:
        inside = [
            solve_campaign(
                alone, rel_gap=rel_gap, time_limit=budget.part(_INSIDE).limit, formulation=formulation, solver=solver,
                starts=starts, progress=progress,
            )
        ]  # fmt: skip
        starts = [*starts, *inside]
    elif campaign.setup and campaign.architecture == "concentrated":
        starts = [*starts, *_without_setup(campaign, starts, budget.part(_ROUGH), formulation, solver, progress)]
    progress(campaign.title)
    program = campaign_program(campaign, formulation=formulation)
    found_plans = [plan for plan in (_started(program, r, solver) for r in starts) if plan is not None]
    known = min(found_plans, key=lambda plan: plan.objective, default=None)
    try:
        found = search(
            program, rel_gap=rel_gap, budget=budget.part(1.0), start=None if known is None else known.x, solver=solver,
            progress=progress,
        )  # fmt: skip
    except InfeasibleError as error:
        raise InputError(
            f"demand: cannot be met in time with {campaign['new_stages']:g} new stages per window and at most "
            f"{campaign['most_stages']:g} on a leg; lower it or allow more stages"
        ) from error
    best = with_integers_fixed(program.program, found.x, solver)
    if known is not None and known.objective < best.objective:
        best = known
    return _result(program, best, found, budget.spent, inside[0] if inside else None)


def _without_setup(
    campaign: Campaign,
    starts: Sequence[CampaignResult],
    budget: Budget,
    formulation: Formulation,
    solver: str,
    progress: Callable[[str], None],
) -> list[CampaignResult]:
    """A quick plan that serves the first year too, if there is none and it can be served: one to improve upon.

    Windows are then built around demands that come early, where a set-up year leaves the search much to choose from.
    """
    early = campaign.replace(setup=False)
    if any(r.campaign == early for r in starts):
        return []
    program = campaign_program(early, formulation=formulation)
    progress(early.title)
    try:
        found = search(program, rel_gap=_ROUGH_GAP, budget=budget, patience=0, solver=solver, progress=progress)
    except SolverError:
        return []
    return [_result(program, found, found, budget.spent, None)]


def _started(program: CampaignProgram, start: CampaignResult, solver: str) -> Solution | None:
    """The best plan of this program with the whole numbers of another plan, or None if it does not fit."""
    if not program.contains(start.program):
        return None
    try:
        return with_integers_fixed(program.program, program.carried(start.program, start.x), solver)
    except SolverError:
        return None


def _result(
    program: CampaignProgram, best: Solution, found: Solution, seconds: float, inside: CampaignResult | None
) -> CampaignResult:
    bounds, termination = bracket(program.program, best.x, found.bound, found.limit)
    return CampaignResult(
        program=program,
        x=best.x,
        cost=best.objective,
        bounds=bounds,
        termination=termination,
        seconds=seconds,
        solver=found.solver,
        concentrated=inside,
    )
