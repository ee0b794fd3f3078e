"""The lunar oxygen problem as a `Model`: the source formulation, part by part.

Every variable of the source stands here under its own name (see ``docs/formulation.md``). ``M_leo``, ``Qcap`` and ``E``
follow from the others and are expressions: they have a price, and no column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scenario_trees.arrays import Array
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase, require_case
from stochisru.lunar.storage import Storage, worth_keeping
from stochisru.problem.coefficients import Coefficient, Factor, Factors
from stochisru.problem.model import Model
from stochisru.problem.parts import Decision, Expression, Operation, Part, Row, State


def deployment_model(
    case: DeploymentCase, storage: Storage | None = None, highest: Sequence[float] | None = None
) -> Model:
    """The deployment problem of a case.

    Parameters
    ----------
    case
        The problem; NPV in $ of year 0 is maximised.
    storage
        A store of oxygen; none if not given.
    highest
        Largest demand that each year can have, kg/yr, shape ``(T + 1,)``: it bounds the plant that may be worth having
        to fill a store.

    Raises
    ------
    InputError
        If a store has neither a capacity nor ``highest``.

    Examples
    --------
    >>> from stochisru import ScenarioTree, load_case
    >>> from stochisru.programs.sparse import solve
    >>> from stochisru.problem import on_tree
    >>> from stochisru.lunar.model import deployment_model
    >>> case = load_case("lunar-reference").replace(T=3)
    >>> tree = ScenarioTree.from_process(case.process, [3, 3, 3])
    >>> program = on_tree(deployment_model(case), tree).program
    >>> program.shape, round(solve(program).objective / 1e6, 3)
    ((94, 148), 100.276)
    """
    require_case(case)
    c, tech = case.costs, case.technology
    demand = Factor("demand")

    def earth(year: int, factors: Factors) -> Array:
        wanted = 2 * factors["demand"]
        return wanted if c.earth_limit is None else wanted.clip(max=c.earth_limit)

    # 2·D never binds: the price of demand stays in the row ``demand``.
    parts: list[Part] = [
        *_deployment(case),
        # M_0 = M0 + ΔM_0;  M_t = (1 − δ)·M_{t−1} + ΔM_t.  Plant for more than all demand earns nothing.
        State(
            "M",
            keep=1 - tech.degradation,
            gains={"dM": 1.0},
            initial=tech.M0,
            cost=c.c_op,
            rule="balance",
            enough=_enough(case, storage, highest),
        ),
        Expression("Qcap", {"M": tech.eta}, rule="capacity"),
        Operation("Q", value=case.economics.P_m, upper=2 * demand),
        Expression("byproduct", {"Q": tech.beta}, cost=c.c_by),
        Operation("Q_earth", value=-c.c_E, upper=earth),
        Operation("S", value=-c.c_bu, upper=2 * demand),
        *_excess(case, storage, highest),
        Row("demand", {"Q": 1.0, "Q_earth": 1.0, "S": 1.0}, equals=demand),
    ]
    return Model(
        case.name,
        horizon=case.horizon.T,
        parts=parts,
        sense="maximise",
        discount_rate=case.economics.r,
        process=case.process,
    )


def _deployment(case: DeploymentCase) -> list[Part]:
    """ΔM and the mass that is launched for it, M_leo = α·ΔM; by size, the cost of both is one curve of ΔM."""
    horizon, mass, c_dev = case.horizon, case.mass, case.scale.by_mass("c_dev", case.costs.c_dev)
    years = range(1 if horizon.initial_deployment == "fixed" else 0, horizon.T + 1)
    decision = Decision("dM", lead=horizon.lead_time, years=years, lot=case.launch.lot)
    if mass.pieces > 1 or c_dev.pieces > 1:
        return [replace(decision, curve=case.investment)]
    landed = float(mass.slopes[0])  # kg per kg of ΔM: 1 but where eta is given as a straight line of another slope
    return [
        replace(decision, cost=float(c_dev.slopes[0]) * landed, fixed_cost=case.launch.fixed_cost),
        Expression("M_leo", {"dM": case.technology.alpha * landed}, cost=case.costs.c_L, rule="launch"),
    ]


def _excess(case: DeploymentCase, storage: Storage | None, highest: Sequence[float] | None) -> list[Part]:
    """What is neither delivered nor, where there is a store, kept: Q ≤ Qcap, E = Qcap − Q."""
    c_S = case.costs.c_S
    if storage is None:
        return [
            Row("delivery", {"Q": 1.0, "Qcap": -1.0}, upper=0.0),
            Expression("E", {"Qcap": 1.0, "Q": -1.0}, cost=c_S, rule="excess"),
        ]
    # stored_t = (1 − b)·stored_{t−1} + Qcap − Q − E.
    return [
        Operation("E", value=-c_S),
        State(
            "stored",
            keep=1 - storage.boil_off,
            gains={"Qcap": 1.0, "Q": -1.0, "E": -1.0},
            initial=storage.initial,
            cost=storage.holding_cost,
            upper=_capacity(storage) if highest is None else storage.capacity,
        ),
    ]


def _enough(case: DeploymentCase, storage: Storage | None, highest: Sequence[float] | None) -> Coefficient:
    """Plant of which more earns nothing: it serves demand, and while it is there may fill a store for later years.

    Where plant does not wear out what is there serves later years itself.
    """
    tech = case.technology
    if storage is None or tech.degradation == 0:
        return Factor("demand") / tech.eta
    years = case.horizon.T + 1
    room = [_capacity(storage)] * years if highest is None else worth_keeping(storage, highest)
    return lambda year, factors: (factors["demand"] + room[year]) / tech.eta


def _capacity(storage: Storage) -> float:
    if storage.capacity is None:
        raise InputError("capacity: the program on a tree needs a store with a capacity, got None")
    return storage.capacity
