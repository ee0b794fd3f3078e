"""The campaign when demand is not known yet, or a launch may slip or fail: plants and the first window now, then react.

What is launched and flown in the first window, and with it every plant, is decided before it is known by which factor
demand differs from the given one and whether the launches of a later window slip to the next. Launches that fail are
known as such only when they have left: everything up to then, these launches included, is as if they went well, and
what they carried is lost. All is one sparse program, the extensive form: a column once for all scenarios that are told
apart only after it is decided. Cost is minimised, so

    WS ≤ RP ≤ EEV:

perfect information, the two-stage optimum, and the campaign that is planned for the mean demand and launches on time,
followed until scenarios are told apart and then the best reaction. Every one of them is a bracket, since searches end
with gaps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csc_array

from scenario_trees.arrays import Array, Mask
from stochisru.errors import InfeasibleError, InputError, SolverError, TimeLimitError
from stochisru.files import plainly
from stochisru.methods.result import SWITCH_ROUNDING, Bounds, Kind, Of
from stochisru.networks.solution import with_integers_fixed
from stochisru.programs.curves.formulations import Formulation
from stochisru.programs.effort import Budget
from stochisru.programs.extensive import JointProgram, join_scenarios
from stochisru.programs.sparse import LinearProgram, Solution
from stochisru.worked.cislunar.network import LAUNCHES, POINTS, windows
from stochisru.worked.cislunar.parameters import Campaign, parameters
from stochisru.worked.cislunar.program import CampaignProgram, campaign_program
from stochisru.worked.cislunar.units import solve_campaign_program

#: Share of the time of all searches but that of the extensive form; times that one without a plan is tried.
_SINGLE, _ATTEMPTS = 0.6, 5
#: Names of the values.
VALUES = {"ws": "perfect information", "rp": "two-stage optimum", "eev": "first stage of the mean demand"}


class Scenario(NamedTuple):
    """Demand as a multiple of the campaign's, its probability, and the window without launches or with lost ones.

    ``slipped`` is a window after the first whose launches do not take place; what they had to bring can leave with the
    next. ``lost`` is one whose launches at its first point are paid for and do not arrive, stages and cargo. 0 if there
    is none.
    """

    factor: float
    probability: float
    slipped: int = 0
    lost: int = 0

    @property
    def title(self) -> str:
        """The scenario in words."""
        late = f", launches of window {self.slipped} slip" if self.slipped else ""
        gone = f", launches of window {self.lost} are lost" if self.lost else ""
        return f"demand times {self.factor:g}{late}{gone}"


@dataclass(frozen=True, eq=False)
class ScenarioResult:
    """A first stage that is good for all scenarios.

    Attributes
    ----------
    campaign, scenarios
        The case and its scenarios.
    rp, ws, eev
        Brackets of the expected costs, $ (minimised): two-stage optimum, perfect information, first stage of the mean
        demand.
    sizes, mean_sizes
        Plants of the two-stage plan and of the mean-demand campaign, kg by (kind, site).
    costs, mean_costs
        Cost in each scenario, $, with the first stage of either.
    size
        Variables, integers and rows of the extensive form.
    seconds
        Time of all searches.
    """

    campaign: Campaign
    scenarios: tuple[Scenario, ...]
    rp: Bounds
    ws: Bounds
    eev: Bounds
    sizes: dict[tuple[str, str], float]
    mean_sizes: dict[tuple[str, str], float]
    costs: tuple[float, ...]
    mean_costs: tuple[float, ...]
    size: dict[str, int]
    seconds: float
    x: Array

    @property
    def isru_mass(self) -> float:
        """Mass of all plants of the two-stage plan, kg."""
        return sum(self.sizes.values())

    @property
    def vss(self) -> tuple[float, float]:
        """Bracket of the value of the stochastic solution EEV − RP, $, ≥ 0."""
        return max(0.0, self.eev.lower - self.rp.upper), max(0.0, self.eev.upper - self.rp.lower)

    @property
    def evpi(self) -> tuple[float, float]:
        """Bracket of the value of perfect information RP − WS, $, ≥ 0."""
        return max(0.0, self.rp.lower - self.ws.upper), max(0.0, self.rp.upper - self.ws.lower)

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: $, kg."""
        from stochisru.worked.cislunar.campaign import CAVEAT

        return {
            "campaign": self.campaign.title,
            "architecture": self.campaign.architecture,
            "sense": "minimise",
            "unit": {"cost": "$", "isru_mass": "kg"},
            "cost": self.rp.upper,
            "isru_mass": self.isru_mass,
            "bounds": self.rp,
            "ws": self.ws,
            "rp": self.rp,
            "eev": self.eev,
            "vss": list(self.vss),
            "evpi": list(self.evpi),
            "scenarios": [
                {**s._asdict(), "cost": cost, "mean_plan_cost": mean}
                for s, cost, mean in zip(self.scenarios, self.costs, self.mean_costs, strict=True)
            ],
            "plants": _records(self.sizes),
            "mean_plants": _records(self.mean_sizes),
            "demand": [
                {"node": node, "commodity": commodity, "kg_per_year": kg}
                for (node, commodity), kg in self.campaign.yearly.items()
            ],
            "parameters": {key: self.campaign[key] for key in parameters()},
            "note": CAVEAT,
            "size": self.size,
            "seconds": self.seconds,
        }


def _records(sizes: dict[tuple[str, str], float]) -> list[dict[str, Any]]:
    return [{"kind": kind, "site": site, "size": kg} for (kind, site), kg in sizes.items() if kg > 0]


def parse_scenarios(text: str) -> tuple[Scenario, ...]:
    """Scenarios from ``FACTOR:PROBABILITY[@WINDOW],…``, or with ``!WINDOW`` where launches are lost.

    As in ``0.5:0.5,1.5:0.5``, ``1:0.9,1:0.1@1`` or ``1:0.9,1:0.1!1``.
    """
    found = []
    for item in text.split(","):
        factor, _, rest = item.partition(":")
        probability, slips, slipped = rest.partition("@")
        probability, fails, lost = (probability if slips else rest).partition("!")
        try:
            found.append(
                Scenario(float(factor), float(probability), int(slipped) if slips else 0, int(lost) if fails else 0)
            )
        except ValueError as error:
            raise InputError(
                f"scenarios: must be FACTOR:PROBABILITY[@WINDOW or !WINDOW],…, as in 0.5:0.5,1.5:0.5, 1:0.9,1:0.1@1 or "
                f"1:0.9,1:0.1!1, got {text!r}"
            ) from error
    return check_scenarios(found)


def check_scenarios(scenarios: Sequence[Scenario]) -> tuple[Scenario, ...]:
    """The scenarios, if they are different, their factors positive and their probabilities sum to 1."""
    events = [(s.factor, s.slipped, s.lost) for s in scenarios]
    if not events or len(set(events)) < len(events):
        raise InputError(f"scenarios: must be different factors of demand or windows, got {events or 'none'}")
    for factor, probability, slipped, lost in scenarios:
        if slipped < 0 or lost < 0:
            raise InputError(f"scenarios: a window whose launches slip or fail must be >= 1, got {min(slipped, lost)}")
        if not 0 < factor <= 10:
            raise InputError(f"scenarios: a factor of demand must be in (0, 10], got {factor}")
        if not 0 < probability <= 1:
            raise InputError(f"scenarios: a probability must be in (0, 1], got {probability}")
    total = sum(s.probability for s in scenarios)
    if abs(total - 1) > 1e-9:
        raise InputError(f"scenarios: probabilities must sum to 1, got {total:g}")
    return tuple(scenarios)


@dataclass(frozen=True, eq=False)
class _Extensive:
    """The extensive form of a campaign's scenarios.

    ``common`` has a mask of the single program's columns per scenario: what is decided before it is told apart from all
    others.
    """

    single: CampaignProgram
    joint: JointProgram
    common: tuple[Mask, ...]


def under(program: CampaignProgram, scenario: Scenario) -> LinearProgram:
    """The program of a campaign in a scenario.

    All its demand is times the factor, no launch leaves in the window that slips, none arrives of those that fail.
    """
    base, expanded = program.program, program.expanded
    demand = base.row_upper.copy()
    demand[program.assembly.balance[expanded.network.supply < 0]] *= scenario.factor
    upper, matrix = base.upper.copy(), base.matrix
    if scenario.slipped:
        launches = np.isin(expanded.arc, [expanded.base.arc(name) for name in LAUNCHES])
        columns = program.assembly.x_out[launches & (expanded.departure // POINTS == scenario.slipped)]
        upper[columns[columns >= 0]] = 0.0
    if scenario.lost:
        gone = _launched(program, scenario.lost)
        columns, arrivals = program.assembly.x_out[gone], program.assembly.balance[expanded.network.head[gone]]
        entries = matrix.tocoo()
        kept = ~(np.isin(entries.col, columns) & np.isin(entries.row, arrivals[arrivals >= 0]))
        matrix = csc_array((entries.data[kept], (entries.row[kept], entries.col[kept])), shape=matrix.shape)
    return replace(base, row_upper=demand, upper=upper, matrix=matrix)


def _launched(program: CampaignProgram, window: int) -> Mask:
    """Launches at the first point of a window, (arcs,)."""
    expanded = program.expanded
    launches = np.isin(expanded.arc, [expanded.base.arc(name) for name in LAUNCHES])
    return np.asarray(launches & (expanded.departure == POINTS * window))


def extensive_form(single: CampaignProgram, scenarios: Sequence[Scenario]) -> _Extensive:
    """Every column once for the scenarios that are not told apart yet when it is decided.

    Demand and slips are known after the first window. Scenarios that agree in them are one until a launch fails.
    """
    base, x_out = single.program, single.assembly.x_out
    column = np.arange(base.shape[1])
    step, there = np.full(column.size, -1), x_out >= 0
    step[x_out[there]] = np.broadcast_to(single.expanded.departure[:, None], x_out.shape)[there]
    groups = {key: 1 + number for number, key in enumerate(dict.fromkeys((s.factor, s.slipped) for s in scenarios))}
    shared = []
    for scenario in scenarios:
        unknown = np.ones(column.size, dtype=bool)
        if scenario.lost:
            leaving = x_out[_launched(single, scenario.lost)]
            unknown = step < POINTS * scenario.lost
            unknown[leaving[leaving >= 0]] = True
        of_group = np.where(unknown, column + groups[scenario.factor, scenario.slipped] * column.size, -1)
        shared.append(np.where(step < POINTS, column, of_group))
    joint = join_scenarios(
        f"{base.name}, {len(scenarios)} scenarios",
        [under(single, scenario) for scenario in scenarios],
        [scenario.probability for scenario in scenarios],
        shared,
    )
    sets, times = np.unique(np.concatenate(shared), return_counts=True)
    several = sets[(times > 1) & (sets >= 0)] if len(scenarios) > 1 else column
    return _Extensive(single, joint, tuple(np.isin(ids, several) for ids in shared))


def solve_scenarios(
    campaign: Campaign,
    scenarios: Sequence[Scenario],
    *,
    rel_gap: float = 0.01,
    time_limit: float = 60.0,
    formulation: Formulation = "interval",
    solver: str = "highs",
    start: ScenarioResult | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> ScenarioResult:
    """Least expected cost of a campaign over scenarios of demand, beside perfect information and the mean's plan.

    Parameters
    ----------
    scenarios
        Factors of all demand, windows whose launches slip, and probabilities, which sum to 1.
    rel_gap, time_limit
        Gap and seconds at which all searches end: the mean's campaign, every scenario twice, and the extensive form,
        which gets the most time. One that has no plan by then goes on until it has one.
    start
        A result of the concentrated architecture: its first stage is open to this one too, so the cost is never above.

    Raises
    ------
    InputError
        If scenarios do not fit.
    SolverError
        If a search finds no plan in time.
    """
    cases = check_scenarios(scenarios)
    last = windows(campaign) - 1
    for late in (max(s.slipped, s.lost) for s in cases):
        if late > last:
            raise InputError(f"scenarios: a window whose launches slip or fail must be <= {last}, got {late}")
    budget = Budget(time_limit)
    single = campaign_program(campaign, formulation=formulation, counts=False)
    extensive = extensive_form(single, cases)
    each = _SINGLE / (2 * len(cases) + 1) * time_limit

    def search(program: LinearProgram, known: Array | None = None, seconds: float = each) -> Solution:
        for attempt in range(_ATTEMPTS):
            try:
                return solve_campaign_program(
                    program, rel_gap=rel_gap, time_limit=2.0**attempt * seconds, start=known, solver=solver
                )
            except TimeLimitError:
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError

    progress("mean demand")
    mean = search(under(single, Scenario(sum(s.factor * s.probability for s in cases), 1.0)))
    reactions, alone = [], []
    for scenario, common in zip(cases, extensive.common, strict=True):
        progress(scenario.title)
        program = under(single, scenario)
        try:
            reactions.append(search(_held(program, common, mean.x)))
        except InfeasibleError as error:
            raise InputError(
                f"scenarios: what is launched first for the mean demand leaves no plan for {scenario.title}; let more "
                "stages be bought (new_stages)"
            ) from error
        alone.append(search(program, reactions[-1].x))
    weights = np.array([s.probability for s in cases])

    def expected(found: Sequence[Solution], lower: bool = False) -> float:
        return float(weights @ [s.bound if lower else s.objective for s in found])

    progress("all scenarios")
    joint = extensive.joint
    known = joint.point([s.x for s in reactions])
    if start is not None and start.x.size:
        other = extensive_form(campaign_program(start.campaign, formulation=formulation, counts=False), cases)
        their = [other.joint.of(start.x, i) for i in range(len(cases))]
        theirs = joint.point([single.carried(other.single, x) for x in their])
        known = min((known, theirs), key=lambda x: _value(joint.program, x, solver))
    found = search(joint.program, known, max(budget.left, each))
    best = with_integers_fixed(joint.program, found.x, solver)
    flows = float(np.abs(joint.program.objective * best.x).sum())

    def bracket(lower: float, upper: float) -> Bounds:
        # The solver's bounds hold to its tolerances.
        lower = upper if upper < lower <= upper + SWITCH_ROUNDING * flows else lower
        return Bounds(lower, upper, Kind.SOLVER, Of.TREE, flows)

    ws = bracket(expected(alone, lower=True), expected(alone))
    rp = bracket(max(found.bound, ws.lower), best.objective)
    eev = bracket(max(expected(reactions, lower=True), rp.lower), expected(reactions))
    plans = [joint.of(best.x, i) for i in range(len(cases))]
    return ScenarioResult(
        campaign=campaign,
        scenarios=cases,
        rp=rp,
        ws=Bounds(ws.lower, min(ws.upper, rp.upper), Kind.SOLVER, Of.TREE, flows),
        eev=eev,
        sizes=_sizes(single, plans[0]),
        mean_sizes=_sizes(single, mean.x),
        costs=tuple(float(single.program.objective @ plan) for plan in plans),
        mean_costs=tuple(s.objective for s in reactions),
        size={
            "variables": joint.program.shape[1],
            "integers": int(joint.program.integer.sum()),
            "rows": joint.program.shape[0],
        },
        seconds=budget.spent,
        x=best.x,
    )


def _held(program: LinearProgram, first: Mask, x: Array) -> LinearProgram:
    """The program with the columns of the first stage at given values."""
    at = np.where(program.integer, np.round(x), x)
    return program.with_bounds(np.where(first, at, program.lower), np.where(first, at, program.upper))


def _value(program: LinearProgram, x: Array, solver: str) -> float:
    try:
        return with_integers_fixed(program, x, solver).objective
    except SolverError:
        return math.inf


def _sizes(single: CampaignProgram, x: Array) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = dict.fromkeys(single.campaign.structures, 0.0)
    for (kind, site, _), kg in zip(single.campaign.builds, x[single.size], strict=True):
        found[kind, site] += float(max(kg, 0.0))
    return found
