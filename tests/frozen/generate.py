"""The 300 cases, by plain code with a fixed seed: features go round in turn, numbers are drawn.

Only `tests.frozen.make` runs this; the cases it gives are written into the table, which is what the test reads.
"""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np

from scenario_trees import tree_from_paths
from tests.frozen.problems import BASE, tree_arrays

CASES = 300
_CURVE = {"breakpoints": [0.0, 100.0, 400.0]}
#: What a deployment costs by its size, in turn; linear costs, which most methods need, in between.
_SCALES: tuple[dict[str, Any], ...] = (
    {"lot": 50.0},
    {"fixed_cost": 3e6},
    {"lot": 40.0, "fixed_cost": 1e6},
    {"reference": 300.0, "c_dev_exponent": 0.7},
    {"reference": 300.0, "eta_exponent": 1.3},
    {"reference": 300.0, "c_dev_exponent": 1.4},
    {"reference": 300.0, "eta_exponent": 0.8, "fixed_cost": 5e5},
    {"c_dev_curve": {**_CURVE, "values": [0.0, 2e6, 5e6]}},
    {"c_dev_curve": {**_CURVE, "values": [0.0, 8e5, 5e6]}, "lot": 60.0},
    {"c_dev_curve": {**_CURVE, "values": [0.0, 8e5, 5e6]}},
    {"c_dev_curve": {"breakpoints": [0.0, 100.0, 200.0, 400.0], "values": [0.0, 2e6, 2.5e6, 7e6]}},
    {"eta_curve": {**_CURVE, "values": [0.0, 300.0, 1700.0]}, "fixed_cost": 1e6},
    {"reference": 300.0, "c_dev_exponent": 0.8, "eta_exponent": 1.2, "lot": 75.0, "fixed_cost": 2e6},
    {"c_dev_curve": {"breakpoints": [0.0, 300.0], "values": [0.0, 6e6]}},
    {"lot": 50.0, "degradation": 0.1},
)
#: Branches of the trees, by their last year.
_BRANCHING: dict[int, tuple[tuple[int, ...], ...]] = {
    1: ((3,), (5,), (1,)),
    2: ((3, 2), (1, 4), (2, 1), (3, 3)),
    3: ((3, 2, 2), (1, 3, 2), (2, 1, 3), (3, 2, 1), (1, 1, 1)),
    4: ((2, 2, 2, 2), (3, 1, 2, 1), (1, 2, 1, 3)),
    6: ((2, 2, 1, 2, 1, 1), (3, 1, 1, 2, 1, 1)),
    9: ((2, 1, 2, 1, 1, 1, 1, 1, 1),),
}
_HORIZONS = (3, 2, 3, 1, 4, 3, 2, 3, 2, 4, 3, 6, 3, 2, 1, 3, 2, 9, 3, 4)


def _own_tree(rng: Random, T: int, D0: float, zero: bool) -> dict[str, Any]:
    """A tree whose nodes of one stage have different numbers of children, with branches of probability zero."""
    parent, probability, value, stage = [-1], [1.0], [D0], [0]
    node = 0
    while node < len(parent):
        if stage[node] < T:
            count = rng.choice((1, 2, 3) if T < 4 else (1, 1, 2, 3) if T < 5 else (1, 1, 1, 1, 2))
            weight = [float(rng.randint(1, 5)) for _ in range(count)]
            if zero and count > 1 and rng.random() < 0.5:
                weight[rng.randrange(count)] = 0.0
            for w in weight:
                parent.append(node)
                probability.append(probability[node] * w / sum(weight))
                value.append(round(value[node] * rng.uniform(0.6, 1.7), 3))
                stage.append(stage[node] + 1)
        node += 1
    return {"parent": parent, "probability": probability, "value": value}


def _tree_of_paths(rng: Random, T: int, D0: float) -> dict[str, Any]:
    """A tree that was grouped from a few paths: uneven, and nobody's."""
    paths = [[D0] * 12]
    for _ in range(T):
        paths.append([round(d * rng.uniform(0.7, 1.6), 3) for d in paths[-1]])
    tree = tree_from_paths(np.array(paths), [3, 2, 2, 2][:T] + [1] * (T - 4), seed=rng.randrange(100))
    assert (tree_arrays(tree.parent.tolist())[1] == tree.stage).all()
    return {"parent": tree.parent.tolist(), "probability": tree.probability.tolist(), "value": tree.value.tolist()}


def _own_lattice(rng: Random, T: int, D0: float) -> dict[str, Any]:
    """A lattice with other numbers of states each year, and steps of probability zero."""
    values, transitions = [[D0]], []
    for _ in range(T):
        count = rng.choice((1, 2, 3))
        low = 0.7 * values[-1][0]
        values.append([round(low * (1 + 0.6 * j) * rng.uniform(1.0, 1.15), 3) for j in range(count)])
        rows = []
        for _ in values[-2]:
            weight = [float(rng.choice((0, 1, 2, 3))) for _ in range(count)]
            weight[rng.randrange(count)] += 1.0
            rows.append([w / sum(weight) for w in weight])
        transitions.append(rows)
    return {"values": values, "transitions": transitions}


def _symbols(rng: Random, i: int) -> dict[str, Any]:
    def number(low: float, high: float) -> float:
        return round(rng.uniform(low, high), 3)

    T = _HORIZONS[i // 2 % len(_HORIZONS)]
    lead = (0, 1, 2, T, T + 1, 1, 2)[i // 2 % 7]
    c_E = number(200, 20_000)
    symbols: dict[str, Any] = {
        "T": T,
        "lead_time": lead,
        "initial_deployment": "fixed" if i % 5 == 2 else "free",
        "r": 0.0 if i % 11 == 3 else number(0.01, 0.2),
        "P_m": number(0, 20_000),
        "eta": number(0.8, 8),
        "alpha": number(1, 8),
        "beta": number(0.05, 0.5),
        "M0": (0.0, 0.0, 60.0, 0.0, 250.0)[i // 3 % 5],
        "degradation": (0.0, 0.0, 0.1, 0.0, 0.35)[i // 2 % 5],
        "c_L": number(0, 4000),
        "c_dev": number(50, 15_000),
        "c_op": number(5, 4000),
        "c_E": c_E,
        "c_bu": round(c_E * (0.5, 1.0, 2.0)[i // 4 % 3], 3),
        "c_S": (0.0, number(1, 800))[i // 2 % 2],
        "c_by": number(0, 900),
        "earth_limit": (None, 0.0, None, 400.0, None, 1500.0)[i // 2 % 6],
        "D0": number(150, 1800),
        "mu": number(-0.15, 0.35),
        "sigma": 0.0 if i % 17 == 5 else number(0.02, 0.5),
    }
    if i // 2 % 7 == 2:  # by-product costs more than oxygen brings
        symbols |= {"beta": number(0.2, 0.5), "c_by": number(500, 900), "P_m": number(0, 80)}
    if i % 2 == 1:
        scale = _SCALES[i // 2 % len(_SCALES)]
        if "lot" in scale and "degradation" not in scale and i // 2 % 4:  # lots that degrade have no exact levels
            symbols["degradation"] = 0.0
        symbols |= scale
    return symbols


def rows() -> list[dict[str, Any]]:
    """The cases: symbols, tree, lattice, and which of the slow methods run."""
    rng = Random(14)
    found = []
    for i in range(CASES):
        symbols = _symbols(rng, i)
        T, D0 = symbols["T"], symbols["D0"]
        branching: tuple[int, ...] = rng.choice(_BRANCHING[T])
        quantization = rng.choice(("gauss-hermite", "equal-probability"))
        if i % 13 == 6 and T <= 4:
            branching, quantization = ((2,) * T, "binomial") if i // 26 % 2 else ((3,) * T, "trinomial")
        tree: dict[str, Any] = {"branching": list(branching), "quantization": quantization}
        if symbols["sigma"] == 0:
            tree = {"branching": [1] * T, "quantization": "gauss-hermite"}
        elif i // 2 % 5 in (1, 3) and (T < 9 or i % 2 == 0):
            tree = _own_tree(rng, T, D0, zero=i // 2 % 5 == 1)
        elif i // 2 % 8 == 2:
            tree = _tree_of_paths(rng, T, D0)
        lattice: dict[str, Any] = {"states": rng.choice((2, 3, 4))}
        if i // 2 % 4 == 1:
            lattice = _own_lattice(rng, T, D0)
        short = T <= 3
        # A pipeline of two years takes SDDP half a minute to the last digit where all states follow each other.
        quick = "values" in lattice or not symbols["lead_time"] == 2 < T
        slow = {
            "sddp": quick and (i % 6 == 0 or i % 50 == 3),
            "sddp_store": short and (i % 30 == 4 or i % 60 == 14),
            "sddp_risk": short and i % 40 in (4, 16) and min(symbols["lead_time"], T) <= 3,
            "sddp_ignoring": quick and i % 40 in (7, 10, 25),
            "threshold_ignoring": i % 8 in (1, 2, 3),
            "value_table": i % 3 == 0 or i % 4 == 0,
            "process_values": i % 30 == 20 or i % 60 == 9,
            "progressive_hedging": i in (0, 6, 12, 36, 42, 46, 76, 96, 126, 156),
            "program": i % 6 in (0, 3),
        }
        found.append(
            {
                "case": {k: v for k, v in symbols.items() if v != BASE[k]},
                "tree": tree,
                "lattice": lattice,
                "also": [name for name, runs in slow.items() if runs],
            }
        )
    return found
