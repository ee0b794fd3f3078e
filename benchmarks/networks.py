"""Assembly of networks against Pyomo, and how assembly and solution grow with nodes, commodities and time steps.

Both sides start from the same arrays and end with a program in memory: ours the sparse matrix, Pyomo's a concrete model
in standard form (its `LinearStandardFormCompiler`). Goals: on the Mars network at least 20 times faster with the same
optimum, and all nine Mars scenarios built and solved in three seconds on one core.
Growth is the slope of log seconds over log size, fitted to networks of random arcs; 1 is linear.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from stochisru.networks.assembly import assemble
from stochisru.networks.builder import NetworkBuilder
from stochisru.networks.events import Conversion
from stochisru.networks.network import Network
from stochisru.networks.solution import solve_network
from stochisru.networks.time_expansion import expand, with_storage
from stochisru.worked.mars.network import SCENARIOS, mars_network
from stochisru.worked.mars.study import solve_mars

GOAL_RATIO = 20.0
GOAL_SECONDS = 3.0


def seconds(work: Callable[[], Any], repeats: int = 3) -> float:
    """Least time of a few runs."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def pyomo_model(network: Network) -> Any:
    """Table 3.1 in Pyomo, from the network's arrays, with sums over what is not zero."""
    import pyomo.environ as pyo

    n, k = network.n_arcs, network.k
    target = network.criteria[0]
    model = pyo.ConcreteModel()
    limits = {(side, a, c): float(end.limit[a, c]) for side, end in enumerate((network.out, network.in_))
              for a in range(n) for c in range(k)}  # fmt: skip
    model.x = pyo.Var(
        range(2), range(n), range(k), domain=pyo.NonNegativeReals,
        bounds=lambda _, s, a, c: (0, limits[s, a, c] if np.isfinite(limits[s, a, c]) else None),
    )  # fmt: skip
    x = model.x
    model.cost = pyo.Objective(
        expr=sum(float(target.out[a, c]) * x[0, a, c] for a, c in np.argwhere(target.out != 0).tolist())
        + sum(float(target.in_[a, c]) * x[1, a, c] for a, c in np.argwhere(target.in_ != 0).tolist())
    )
    terms: dict[tuple[int, int], list[Any]] = {(i, r): [] for i in range(network.n_nodes) for r in range(k)}
    for side, sign, end, node in ((0, 1.0, network.out, network.tail), (1, -1.0, network.in_, network.head)):
        for a, r, c in np.argwhere(end.requirement != 0).tolist():
            terms[int(node[a]), r].append(sign * float(end.requirement[a, r, c]) * x[side, a, c])
    model.balance = pyo.Constraint(
        [key for key in terms if np.isfinite(network.supply[key]) and terms[key]],
        rule=lambda _, i, r: sum(terms[i, r]) <= float(network.supply[i, r]),
    )
    rows: dict[tuple[int, int], list[Any]] = {(a, r): [] for a in range(n) for r in range(k)}
    for a, r, c in np.argwhere(network.transformation != 0).tolist():
        rows[a, r].append(float(network.transformation[a, r, c]) * x[0, a, c])
    model.transformation = pyo.Constraint(list(rows), rule=lambda _, a, r: sum(rows[a, r]) == x[1, a, r])
    for side, end in enumerate((network.out, network.in_)):
        found = [
            (
                row,
                sum(
                    float(end.concurrency[row, c]) * x[side, int(arc), c] for c in np.flatnonzero(end.concurrency[row])
                ),
            )
            for row, arc in enumerate(end.concurrency_arc)
            if end.concurrency[row].any()
        ]
        block = pyo.Constraint([row for row, _ in found], rule=lambda _, row, e=dict(found): e[row] <= 0)
        model.add_component(f"concurrency_{side}", block)
    return model


def standard_form(network: Network) -> Any:
    """Pyomo's model as a sparse matrix."""
    from pyomo.repn.plugins.standard_form import LinearStandardFormCompiler

    return LinearStandardFormCompiler().write(pyomo_model(network))


def random_network(nodes: int, commodities: int, seed: int = 7) -> Network:
    """Four arcs per node with gains; the first node supplies, the last tenth of the nodes demands."""
    random = np.random.default_rng(seed)
    names = [f"c{c}" for c in range(commodities)]
    builder = NetworkBuilder("random", dict.fromkeys(names, "t"), {"cost": "$"})
    for i in range(nodes):
        wants = i >= nodes - max(1, nodes // 10)
        builder.node(f"n{i}", dict.fromkeys(names, np.inf if i == 0 else -1.0 if wants else 0.0))
    for i in range(nodes):
        heads = {(i + 1) % nodes, *random.integers(0, nodes, 3).tolist()} - {i}
        for j in sorted(heads):
            gain = {c: {c: float(g)} for c, g in zip(names, random.uniform(0.9, 1.0, commodities), strict=True)}
            cost = dict(zip(names, random.uniform(1, 2, commodities).tolist(), strict=True))
            limit = dict.fromkeys(names, 1e4)
            builder.arc(f"n{i}", f"n{j}", events=[Conversion(gain)], limit=limit, cost={"cost": cost}, duration=1.0)
    network = builder.build()
    storage = np.tile(np.eye(commodities), (nodes, 1, 1))
    return with_storage(network, network.nodes, storage, np.full((nodes, commodities), 1e4))


def slope(sizes: list[int], times: list[float]) -> float:
    """Slope of log time over log size."""
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


def growth(name: str, sizes: list[int], make: Callable[[int], Network]) -> None:
    """A line of the growth table."""
    built, solved = [], []
    for size in sizes:
        network = make(size)
        built.append(seconds(lambda network=network: assemble(network)))
        start = time.perf_counter()
        solve_network(network)
        solved.append(time.perf_counter() - start - built[-1])
    line = "  ".join(f"{s}: {b * 1000:.1f}/{t * 1000:.0f}" for s, b, t in zip(sizes, built, solved, strict=True))
    print(f"{name:<12} assembly {slope(sizes, built):4.2f}  solution {slope(sizes, solved):4.2f}   {line}")


def main() -> int:
    """Print the tables; return the exit code."""
    import pyomo.environ as pyo

    network = mars_network()
    solve_mars(SCENARIOS["7"])  # imports
    ours = seconds(lambda: assemble(network, form="literal"))
    theirs = seconds(lambda: standard_form(network))
    model = pyomo_model(network)
    pyo.SolverFactory("highs").solve(model)
    difference = abs(pyo.value(model.cost) / solve_mars().objective - 1)
    ratio = theirs / ours
    print(f"Mars network, 9,996 variables: assembly {ours * 1000:.1f} ms, Pyomo {theirs * 1000:.0f} ms")
    print(f"{ratio:.0f} times faster (goal {GOAL_RATIO:.0f}), optima differ by {difference:.1e}")
    nine = seconds(lambda: [solve_mars(s) for s in SCENARIOS.values()], 1)
    print(f"nine Mars scenarios built and solved: {nine:.2f} s (goal {GOAL_SECONDS:.0f} s)")
    print("\ngrowth: slopes of log seconds over log size; per size ms of assembly/solution")
    growth("nodes", [100, 200, 400, 800, 1600], lambda size: random_network(size, 4))
    growth("commodities", [2, 4, 8, 16, 32], lambda size: random_network(60, size))
    base = random_network(30, 4)
    growth("time steps", [30, 60, 120, 240], lambda size: expand(base, size, demand_steps=[size - 1]).network)
    met = ratio >= GOAL_RATIO and difference < 1e-6 and nine <= GOAL_SECONDS
    print("goals met" if met else "GOAL MISSED")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
