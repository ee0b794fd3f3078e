"""A zoo of small models of one factor, ``demand``, that the methods are checked on."""

import numpy as np

from stochisru.problem import Decision, Expression, Factor, Model, Operation, Row, State
from stochisru.programs.curves import Curve


def power(T, build_limit=None):
    """Two kinds of plant, costs minimised, one order a year or not more than a limit."""

    def kind(name, build, run):
        return [
            Decision(f"{name}_order", lead=1, cost=build),
            State(f"{name}_plant", gains={f"{name}_order": 1.0}, cost=0.02 * build, enough=Factor("demand")),
            Operation(f"{name}_power", value=-run),
            Row(f"{name}_capacity", {f"{name}_power": 1.0, f"{name}_plant": -1.0}, upper=0.0),
        ]

    parts = [*kind("gas", 40.0, 60.0), *kind("wind", 130.0, 5.0), Operation("blackout", value=-500.0)]
    parts.append(Row("balance", {"gas_power": 1, "wind_power": 1, "blackout": 1}, equals=Factor("demand")))
    if build_limit is not None:
        parts.append(Row("build_limit", {"gas_order": 1.0, "wind_order": 1.0}, upper=build_limit))
    return Model("power", T, parts, sense="minimise", discount_rate=0.05)


def hydro(T, lot=None):
    """A store that operations fill and empty, beside plant that is ordered in any amount or in lots."""
    return Model(
        "hydro",
        T,
        [
            Decision("order", lead=1, cost=30.0, lot=lot, upper=200.0),
            State("turbine", keep=0.9, gains={"order": 1.0}, initial=20.0, upper=400.0),
            Operation("released", value=0.0, upper=400.0),
            Operation("spilled", value=-0.1, upper=600.0),
            State(
                "water", keep=0.95, gains={"released": -1.0, "spilled": -1.0}, inflow=60.0, initial=40.0, upper=150.0
            ),
            Row("turbines", {"released": 1.0, "turbine": -1.0}, upper=0.0),
            Operation("bought", value=lambda t, f: -0.1 * f["demand"]),
            Row("balance", {"released": 1.0, "bought": 1.0}, equals=Factor("demand")),
        ],
        sense="maximise",
        discount_rate=0.03,
    )


def several_leads(T):
    """One plant fed by a slow cheap decision and a fast dear one: neither can be told from the state."""
    return Model(
        "several leads",
        T,
        [
            Decision("slow", lead=2, cost=2.0, payment=[0.5, 0.0, 0.5]),
            Decision("fast", lead=0, cost=4.0, years=range(1, T + 1)),
            State("plant", keep=0.8, gains={"slow": 1.0, "fast": 1.0}, enough=Factor("demand")),
            Operation("served", value=5.0, upper=Factor("demand")),
            Row("capacity", {"served": 1.0, "plant": -1.0}, upper=0.0),
        ],
        discount_rate=0.1,
    )


def machines(T):
    """Machines in lots with a fixed cost a campaign, that wear out after two years."""
    return Model(
        "machines",
        T,
        [
            Decision("machines", lead=1, cost=3.0, lot=25.0, fixed_cost=40.0, upper=300.0),
            State("fleet", gains={"machines": 1.0}, initial=10.0, lifetime=2, cost=0.2),
            Operation("sold", value=6.0, upper=Factor("demand")),
            Row("work", {"sold": 1.0, "fleet": -1.0}, upper=0.0),
        ],
        discount_rate=0.05,
    )


def cheaper_by_size(T):
    """A concave cost of size, and a cost of work that depends on the factor."""
    return Model(
        "cheaper by size",
        T,
        [
            Decision("size", lead=1, curve=Curve([0, 50, 400], [0, 300, 1200]), upper=400.0),
            State("plant", keep=0.9, gains={"size": 1.0}, initial=5.0),
            Operation("made", value=lambda t, f: 8.0 - 0.01 * f["demand"], upper=Factor("demand")),
            Expression("effort", {"made": 0.5}, cost=0.3),
            Row("capacity", {"made": 1.0, "plant": -1.0}, upper=0.0),
        ],
        discount_rate=0.02,
    )


ZOO = {
    "power": power,
    "limited power": lambda T: power(T, 60.0),
    "hydro": hydro,
    "hydro in lots": lambda T: hydro(T, 15.0),
    "several leads": several_leads,
    "machines": machines,
    "cheaper by size": cheaper_by_size,
}


def uneven(rng, T, start=100.0):
    """A tree of one's own: branches differ, one has probability zero."""
    from scenario_trees import ScenarioTree

    parent, stage, value, probability, last = [-1], [0], [start], [1.0], [0]
    for t in range(1, T + 1):
        now = []
        for above in last:
            shares = [(0.5, 0.5), (0.3, 0.0, 0.7), (0.25, 0.75)][int(rng.integers(3))]
            for share in shares:
                now.append(len(parent))
                parent.append(above)
                stage.append(t)
                value.append(value[above] * float(rng.choice([0.7, 1.0, 1.15, 1.5])))
                probability.append(probability[above] * share)
        last = now
    return ScenarioTree(np.array(parent), np.array(stage), np.array(probability), np.array(value))


def drawn(seed):
    """A model with fixed costs, lots, what is lost, and two leads, as ``seed`` draws them, on an uneven tree."""
    from scenario_trees import ScenarioTree

    rng = np.random.default_rng(seed)
    T = int(rng.integers(2, 4))
    parent, stage, value, probability, last = [-1], [0], [100.0], [1.0], [0]
    for t in range(1, T + 1):
        now = []
        for above in last:
            for share in rng.dirichlet(np.full(int(rng.integers(2, 4)), 3.0)):
                now.append(len(parent))
                parent.append(above)
                stage.append(t)
                value.append(value[above] * float(rng.choice([0.6, 0.8, 1.0, 1.25, 1.5])))
                probability.append(probability[above] * share)
        last = now
    tree = ScenarioTree(np.array(parent), np.array(stage), np.array(probability), np.array(value))
    fixed, lot = float(rng.choice([0.0, 30.0, 200.0, 1000.0])), [None, 15.0, 40.0][int(rng.integers(3))]
    serve = bool(rng.integers(2))
    parts = [
        Decision("order", int(rng.integers(3)), cost=rng.uniform(0.5, 4), lot=lot, fixed_cost=fixed, upper=300.0),
        Decision("fast", cost=rng.uniform(1, 5), fixed_cost=50.0, upper=200.0),
        State("plant", rng.choice([1.0, 0.9, 0.5]), {"order": rng.choice([0.3, 1.0])}, initial=20.0, cost=0.1),
        State("quick", rng.choice([1.0, 0.9, 0.5]), {"fast": 1.0}),
        Operation("sold", rng.uniform(2, 6), upper=Factor("demand")),
        Operation("missing", -rng.uniform(5, 15) if serve else 0.0, upper=Factor("demand")),
        Row("capacity", {"sold": 1.0, "plant": -1.0, "quick": -1.0}, upper=0.0),
        Row("served", {"sold": 1.0, "missing": 1.0}, equals=Factor("demand")),
    ]
    return Model(f"drawn {seed}", T, parts, sense="minimise" if serve else "maximise", discount_rate=0.05), tree
