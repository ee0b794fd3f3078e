"""The campaign as a mixed-integer program: the network's own, with plants whose output and price follow curves.

To the program of the time-expanded network are added the size F of each structure, its curves (productivity P(F),
kg/yr, convex; price J(F), $, concave but for its start) in one of three formulations, and

    F = initial + delivered,    feed of a half year ≤ P(F)/2,    spares of a half year ≥ 0.05/2·F.

Stages fly in whole numbers. The program is never larger for a plant that may not be built.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from scenario_trees.arrays import Array, Index, Mask
from stochisru.networks.assembly import Assembly, assemble
from stochisru.networks.time_expansion import TimeExpandedNetwork
from stochisru.programs.curves.curve import Curve
from stochisru.programs.curves.formulations import Formulation, Terms, add_curves
from stochisru.programs.sparse import LinearProgram, ProgramBuilder
from stochisru.worked.cislunar.cuts import FlightColumns, add_cuts, add_early
from stochisru.worked.cislunar.network import (
    FEED,
    LAUNCHES,
    PLANTS,
    POINTS,
    campaign_network,
    deploy_arc,
    largest,
    windows,
    work_arc,
)
from stochisru.worked.cislunar.parameters import WINDOWS_PER_YEAR, Campaign

#: Columns of whole numbers that count others.
COUNTS = ("flights", "bought")


@dataclass(frozen=True, eq=False)
class CampaignProgram:
    """The program and where its parts are.

    Attributes
    ----------
    campaign, expanded, assembly
        The case, its network over time, and the program of the network alone.
    program
        The whole program; the first columns are those of ``assembly``.
    size
        Column of the size of each structure, in the order of ``campaign.builds``.
    price, output
        J(F) and P(F) as expressions of columns, per structure.
    formulation
        How the curves are put into the program.
    """

    campaign: Campaign
    expanded: TimeExpandedNetwork
    assembly: Assembly
    program: LinearProgram
    size: Index
    price: Terms
    output: Terms
    formulation: Formulation

    @property
    def window(self) -> Index:
        """Window of every column with a flight or a launch of stages, −1 for all others; shape (columns,)."""
        found = np.full(self.program.shape[1], -1)
        stage = self.assembly.x_out[:, self.expanded.network.commodity("stage")]
        there = stage >= 0
        found[stage[there]] = self.expanded.departure[there] // POINTS
        return np.where(self.program.integer, found, -1)

    def contains(self, other: CampaignProgram) -> bool:
        """Whether every arc and every plant of another campaign is one of this."""
        arcs, theirs = self.assembly.network.arcs, other.assembly.network.arcs
        return set(theirs) <= set(arcs) and set(other.campaign.builds) <= set(self.campaign.builds)

    def carried(self, other: CampaignProgram, x: Array) -> Array:
        """Values of the columns from a solution of a campaign on a part of this network; 0 where it has none."""
        found = np.zeros(self.program.shape[1])
        place = {name: i for i, name in enumerate(self.assembly.network.arcs)}
        mine = np.array([place[name] for name in other.assembly.network.arcs])
        there, here = other.assembly.x_out, self.assembly.x_out[mine]
        both = (there >= 0) & (here >= 0)
        found[here[both]] = x[there[both]]
        ours = {b: i for i, b in enumerate(self.campaign.builds)}
        found[self.size[[ours[b] for b in other.campaign.builds]]] = x[other.size]
        for name, block in self.program.columns.items():
            known = other.program.columns.get(name)
            if name.startswith(("plant ", "stands ", *COUNTS)) and known is not None and known.size == block.size:
                found[block.span] = x[known.span]
        return found


def output_curve(campaign: Campaign, kind: str) -> Curve:
    """P(F): kg of water that a plant of a size extracts or splits in a year."""
    rate = campaign["extraction_rate" if kind == "SWE" else "electrolysis_rate"]
    points, interval = _breakpoints(campaign, kind)
    return Curve.from_slopes(points, rate * (1 + campaign["volume_discount"]) ** interval)


def price_curve(campaign: Campaign, kind: str) -> Curve:
    """J(F): price of a plant of a size, $."""
    points, interval = _breakpoints(campaign, kind)
    slope = campaign["plant_price"] * (1 - campaign["cost_discount"]) ** interval
    slope[points[:-1] < campaign["first_plant_mass"]] = 0.0
    return Curve.from_slopes(points, slope, fixed=campaign["first_plant_price"])


def _breakpoints(campaign: Campaign, kind: str) -> tuple[Array, Array]:
    """Ends of the scaling intervals and of the first plant's price up to the largest size; interval of each piece."""
    step, most, first = campaign["interval"], largest(campaign, kind), campaign["first_plant_mass"]
    ends = np.append(np.arange(0.0, most * (1 - 1e-9), step), most)
    points = np.union1d(ends, [first]) if first < most else ends
    return points, np.floor((points[:-1] + points[1:]) / 2 / step)


def with_flights_of(program: CampaignProgram, x: Array) -> LinearProgram:
    """The program in which stages and flights are those of a plan; whole numbers of the plants' curves stay free."""
    whole = program.program
    held = whole.integer & (program.window >= 0)
    for name in COUNTS:
        if name in whole.columns:
            held[whole.columns[name].span] = True
    at = np.round(x)
    return whole.with_bounds(np.where(held, at, whole.lower), np.where(held, at, whole.upper))


def campaign_program(
    campaign: Campaign,
    *,
    formulation: Formulation = "interval",
    common_bound: float | None = None,
    counts: bool = True,
    fleet: int | None = None,
) -> CampaignProgram:
    """The mixed-integer program of a campaign.

    Parameters
    ----------
    formulation
        How curves are put into the program; the optimum is the same.
    common_bound
        One bound of all sizes, kg, in place of each structure's own (to measure what that costs).
    counts
        Whether the flights of every leg in a window, and the stages bought up to it, are counted in whole numbers of
        their own, and flights are cut (`stochisru.worked.cislunar.cuts`). All follow from the single flights, but a
        search with them comes farther.
    fleet
        Most stages that there are at a time, for rows that leave only plans whose flights are as early as they can be;
        their columns come last.
    """
    expanded = campaign_network(campaign)
    assembly = assemble(expanded.network)
    base = assembly.program
    integer = base.integer.copy()
    stages = assembly.x_out[:, expanded.network.commodity("stage")]
    whole = (expanded.base.duration[expanded.arc] > 0) & ~expanded.base.loops[expanded.arc] & (stages >= 0)
    whole |= (expanded.arc == expanded.base.arc(LAUNCHES[0])) & (stages >= 0)
    integer[stages[whole]] = True
    builder = ProgramBuilder.extending(replace(base, integer=integer))
    if counts:
        _count(builder, expanded, stages, whole)
    size: list[Index] = []
    prices: list[Terms] = []
    outputs: list[Terms] = []
    for number, (kind, site, window) in enumerate(campaign.builds):
        initial = initial_mass(campaign, kind, site, window)
        upper = largest(campaign, kind) if common_bound is None else common_bound
        name = plant_name(kind, site, window)
        column = builder.variables(name, 1, lower=initial, upper=upper).index
        price, output = add_curves(
            builder,
            name,
            [(price_curve(campaign, kind), "small"), (output_curve(campaign, kind), "large")],
            column,
            formulation=formulation,
        )
        price.in_objective(builder)
        size.append(column)
        for terms, found in ((price, prices), (output, outputs)):
            found.append(replace(terms, structure=terms.structure + number))
    for kind, site in campaign.structures:
        mine = [n for n, (k, s, _) in enumerate(campaign.builds) if (k, s) == (kind, site)]
        _link(
            builder, campaign, expanded, assembly, kind, site, np.concatenate([size[n] for n in mine]),
            [outputs[n] for n in mine],
        )  # fmt: skip
    if counts:
        flights = FlightColumns.of(expanded, stages)
        add_cuts(builder, campaign, flights)
        if fleet is not None:
            add_early(builder, flights, _stands(builder, campaign, size), fleet)
    return CampaignProgram(
        campaign, expanded, assembly, builder.build(), np.concatenate(size), _all(prices), _all(outputs),
        formulation,
    )  # fmt: skip


def _count(builder: ProgramBuilder, expanded: TimeExpandedNetwork, stages: Index, whole: Mask) -> None:
    """Whole numbers of flights per leg and window, and of stages bought up to each window."""
    window = expanded.departure // POINTS
    launch = expanded.arc == expanded.base.arc(LAUNCHES[0])
    flown = np.flatnonzero(whole & ~launch)
    leg = expanded.arc[flown] * (window.max() + 1) + window[flown]
    _, group = np.unique(leg, return_inverse=True)
    several = np.flatnonzero(np.bincount(group) > 1)
    row = np.full(group.max() + 1, -1)
    row[several] = np.arange(several.size)
    mine = row[group] >= 0
    most = np.bincount(row[group[mine]], builder.bounds(stages[flown[mine]])[1])
    count = builder.variables("flights", several.size, lower=0.0, upper=most, integer=True).index
    zero = np.zeros(several.size)
    builder.rows(
        "flights", zero, zero, (np.arange(several.size), count, -1.0), (row[group[mine]], stages[flown[mine]], 1.0)
    )
    bought = np.flatnonzero(whole & launch)
    bought = bought[np.argsort(window[bought])]
    each = np.arange(bought.size)
    most = np.cumsum(builder.bounds(stages[bought])[1])
    total = builder.variables("bought", each.size, lower=0.0, upper=most, integer=True).index
    zero = np.zeros(each.size)
    builder.rows("bought", zero, zero, (each, total, -1.0), (each[1:], total[:-1], 1.0), (each, stages[bought], 1.0))


def _stands(builder: ProgramBuilder, campaign: Campaign, size: list[Index]) -> dict[str, int | None]:
    """Column by place that is 1 where a plant is built; None where one stands at the start."""
    found: dict[str, int | None] = {}
    for site in dict.fromkeys(site for _, site in campaign.structures):
        mine = [n for n, (_, place, _) in enumerate(campaign.builds) if place == site]
        if any(initial_mass(campaign, *campaign.builds[n]) > 0 for n in mine):
            found[site] = None
            continue
        column = builder.variables(f"stands {site}", 1, lower=0.0, upper=1.0, integer=True).index
        sizes = np.concatenate([size[n] for n in mine])
        each = np.arange(sizes.size)
        builder.rows(
            f"stands {site}", -np.inf, np.zeros(sizes.size), (each, sizes, 1.0),
            (each, np.repeat(column, sizes.size), -builder.bounds(sizes)[1]),
        )  # fmt: skip
        found[site] = int(column[0])
    return found


def plant_name(kind: str, site: str, window: int) -> str:
    """Name of a structure's blocks of columns and rows."""
    return f"plant {kind} {site}" + (f" {window}" if window else "")


def initial_mass(campaign: Campaign, kind: str, site: str, window: int = 0) -> float:
    """What stands at a site at the start, kg; it is of one structure with what is set up after the first window."""
    there = site == "Moon" and kind == campaign.reading.initial and window == 0
    return campaign["initial_plant"] if there else 0.0


def _all(parts: list[Terms]) -> Terms:
    return Terms.joined([(t.structure, t.column, t.coefficient) for t in parts])


def _link(
    builder: ProgramBuilder,
    campaign: Campaign,
    expanded: TimeExpandedNetwork,
    assembly: Assembly,
    kind: str,
    site: str,
    size: Index,
    outputs: list[Terms],
) -> None:
    """Size and delivery of what is set up after each window, output and spares of every half year.

    ``size`` and ``outputs`` are those of the plants set up after window 0, 1, …, which work from the half year on that
    follows.
    """
    network, name = expanded.network, plant_name(kind, site, 0)

    def columns(arc: str, commodity: str) -> Index:
        copies = expanded.arc == expanded.base.arc(arc)
        return np.asarray(assembly.x_out[copies, network.commodity(commodity)])

    each = np.arange(size.size)
    delivered = columns(deploy_arc(kind, site), PLANTS[kind])
    initial = np.array([initial_mass(campaign, kind, site, int(window)) for window in each])
    builder.rows(f"{name} delivered", initial, initial, (each, size, 1.0), (each, delivered, -1.0))
    periods = windows(campaign) - 1
    period = np.arange(periods)
    feed, spares = (columns(work_arc(kind, site), c) for c in (FEED[kind], "spares"))
    assert feed.size == spares.size == periods, "a plant works between windows"
    share = 1 / WINDOWS_PER_YEAR
    makes, needs = [], []
    for window, output in zip(each, outputs, strict=True):
        later = period[window:]
        row, column = np.repeat(later, output.column.size), np.tile(output.column, later.size)
        makes.append((row, column, np.tile(-share * output.coefficient, later.size)))
        needs.append((later, np.repeat(size[window], later.size), -share * campaign["spares"]))
    fed = feed >= 0  # what can serve nothing any more has no column
    builder.rows(f"{name} output", -np.inf, np.zeros(periods), (period[fed], feed[fed], 1.0), *makes)
    builder.rows(f"{name} spares", np.zeros(periods), np.inf, (period, spares, 1.0), *needs)
