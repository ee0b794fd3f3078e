"""Formulations of piecewise linear curves: strength of the linear relaxation, size, and time.

Plants of several sites supply customers; a plant's cost has economies of scale (exponent 0.6, and a jump at zero), and
each site has a bound of its own. The same program is stated with each formulation of `stochisru.programs.curves`, with
the interval formulation over one bound for all sites, and with one big M. Goals: the relaxations of the three
formulations are equal to 1e-6 and close at least a quarter of what the big M leaves open, and all programs have one
optimum.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from scenario_trees.arrays import Index
from stochisru.programs.curves import Curve, add_curve, fit_pieces
from stochisru.programs.sparse import LinearProgram, ProgramBuilder, solve, solve_mixed

GOAL_EQUAL = 1e-6
GOAL_CLOSED = 0.25
REL_GAP = 1e-4
TIME_LIMIT = 120.0
SEEDS = (1, 2, 3)
FORMULATIONS = ("interval", "convex-combination", "incremental")
WEAK = ("interval, one bound for all", "big M")


@dataclass(frozen=True)
class Row:
    """One formulation: value of the relaxation, optimum (minimised), numbers of columns, binaries and rows, seconds."""

    name: str
    relaxation: float
    objective: float
    columns: int
    binaries: int
    rows: int
    seconds: float


def big_m_cost(builder: ProgramBuilder, curve: Curve, size: Index, bound: float) -> Index:
    """Value of a curve that is wanted small, with one M = ``bound`` for all structures; columns of the values.

    A binary per piece switches its rows on: ``lower_j ≤ x ≤ upper_j`` and
    ``v ≥ slope_j·x + intercept_j``; ``x ≤ M·Σ z``.
    """
    n, pieces = size.size, curve.pieces
    low, high = curve.breakpoints[:-1], np.append(curve.breakpoints[1:-1], bound)
    intercept = curve.fixed + curve.values[:-1] - curve.slopes * low
    most = float(curve(bound))
    value = builder.variables("value", n, lower=0, upper=most).index
    z = builder.variables("z", n * pieces, lower=0, upper=1, integer=True).index
    row, x = np.arange(n * pieces), np.repeat(size, pieces)
    slope, start, end, offset = (np.tile(a, n) for a in (curve.slopes, low, high, intercept))
    none = np.full(n * pieces, -np.inf)
    builder.rows("upper", none, end + bound, (row, x, 1.0), (row, z, bound))
    builder.rows("lower", start - bound, np.inf, (row, x, 1.0), (row, z, -bound))
    builder.rows("line", offset - most, np.inf, (row, np.repeat(value, pieces), 1.0), (row, x, -slope), (row, z, -most))
    site = np.repeat(np.arange(n), pieces)
    builder.rows("one", np.full(n, -np.inf), 1.0, (site, z, 1.0))
    builder.rows("there", np.full(n, -np.inf), 0.0, (np.arange(n), size, 1.0), (site, z, -bound))
    return value


def plants(formulation: str, sites: int, customers: int, seed: int) -> LinearProgram:
    """Least cost of plants and deliveries, with the given formulation of the cost of plants."""
    rng = np.random.default_rng(seed)
    place, market = rng.random((sites, 2)), rng.random((customers, 2))
    way = 40.0 * np.hypot(*(place[:, None] - market[None]).T).T
    demand = rng.uniform(5, 15, customers)
    bound = rng.uniform(0.15, 0.9, sites) * demand.sum()
    curve = fit_pieces(10.0, 150.0, 0.6, 5.0, float(bound.max()), pieces=4).curve
    shared = formulation in WEAK
    builder = ProgramBuilder(formulation, "minimise")
    flow = builder.variables(
        "flow", sites * customers, lower=0, upper=np.tile(demand, sites), objective=way.ravel()
    ).index.reshape(sites, customers)
    x = builder.variables("size", sites, lower=0, upper=float(bound.max()) if shared else bound).index
    own = np.repeat(np.arange(sites), customers)
    builder.rows("made", np.zeros(sites), 0.0, (own, flow.ravel(), 1.0), (np.arange(sites), x, -1.0))
    to = np.tile(np.arange(customers), sites)
    builder.rows("demand", demand, np.inf, (to, flow.ravel(), 1.0))
    if shared:
        builder.rows("bound", np.full(sites, -np.inf), bound, (np.arange(sites), x, 1.0))
    if formulation == "big M":
        builder.add_objective(big_m_cost(builder, curve, x, float(bound.max())), 1.0)
    else:
        kind = next((f for f in FORMULATIONS if f == formulation), "interval")
        add_curve(builder, "cost", curve, x, direction="small", formulation=kind).in_objective(builder)  # type: ignore[arg-type]
    return builder.build()


def relaxed(program: LinearProgram) -> float:
    """Optimum of the linear relaxation."""
    from dataclasses import replace

    return solve(replace(program, integer=np.zeros_like(program.integer))).objective


def measure(formulation: str, sites: int, customers: int) -> Row:
    """Relaxation, optimum and time of one formulation, summed over the instances."""
    relaxation = objective = spent = 0.0
    for seed in SEEDS:
        program = plants(formulation, sites, customers, seed)
        solution = solve_mixed(program, rel_gap=REL_GAP, time_limit=TIME_LIMIT)
        relaxation += relaxed(program)
        objective += solution.objective
        spent += solution.seconds
    rows, columns = program.shape
    return Row(formulation, relaxation, objective, columns, int(program.integer.sum()), rows, spent)


def main() -> int:
    """Print the table; return the exit code."""
    sites, customers = 12, 20
    table = [measure(name, sites, customers) for name in (*FORMULATIONS, *WEAK)]
    best = min(row.objective for row in table)
    weakest = table[-1].relaxation
    print(f"{sites} sites, {customers} customers, sums over {len(SEEDS)} instances; minimised; gap {REL_GAP:g}")
    head = ("relaxation", "below opt.", "closed", "columns", "binaries", "rows", "s", "ratio")
    print(f"{'':<27}" + "".join(f"{name:>11}" for name in head))
    for row in table:
        closed = (row.relaxation - weakest) / (best - weakest)
        print(
            f"{row.name:<27}{row.relaxation:11.2f}{1 - row.relaxation / best:11.1%}{closed:11.0%}{row.columns:11d}"
            f"{row.binaries:11d}{row.rows:11d}{row.seconds:11.2f}{row.seconds / table[0].seconds:11.1f}"
        )
    strong = [row.relaxation for row in table[:3]]
    equal = max(strong) - min(strong) <= GOAL_EQUAL * best
    closed = (min(strong) - weakest) / (best - weakest)
    one = max(r.objective for r in table) / best - 1 <= 2 * REL_GAP
    print(f"relaxations equal: {equal}; closed of the gap of the big M: {closed:.0%}; one optimum: {one}")
    return 0 if equal and closed >= GOAL_CLOSED and one else 1


if __name__ == "__main__":
    sys.exit(main())
