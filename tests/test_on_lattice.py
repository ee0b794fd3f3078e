"""Models on lattices: SDDP against published answers, the unfolded tree, and the deployment problem's own programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenario_trees import CorrelatedFactors, GeometricBrownianMotion, MarkovLattice
from stochisru import InputError, load_case
from stochisru.errors import InfeasibleError
from stochisru.lunar.storage import Storage
from stochisru.lunar.trees import case_lattice
from stochisru.methods.risk import MeanCVaR
from stochisru.methods.sddp.method import sddp
from stochisru.problem import Decision, Factor, Model, Operation, Row, State, on_tree
from stochisru.problem.on_lattice import ModelStages
from stochisru.programs.sparse import solve
from stochisru.worked import classics
from tests.models import ZOO

GROWTH = GeometricBrownianMotion(100.0, 0.03, 0.25)
LINEAR = ("power", "limited power", "hydro", "several leads")


def _lattice(T: int, states: int = 3) -> MarkovLattice:
    return MarkovLattice.from_process(GROWTH, T, states)


def _optimum(model: Model, lattice: MarkovLattice) -> float:
    return solve(on_tree(model, lattice.to_tree()).program).objective


def _holds(bounds, value: float, slack: float = 1e-7) -> bool:
    room = slack * max(abs(value), 1.0)
    return bool(bounds.lower - room <= value <= bounds.upper + room)


@pytest.mark.parametrize(
    ("name", "best"),
    [
        ("farmer", -108_390.0),
        ("financial_planning", -1.51408),
        ("lands", 381.85333),
        ("fast_hydro_thermal", 10.0),
        ("newsvendor", 320.0),
        ("reservoir", 11.648148),
    ],
)
def test_published_answers(name: str, best: float) -> None:
    model, lattice = getattr(classics, name)()
    result = sddp(model, lattice, rel_gap=1e-4, iterations=40, simulations=100)
    assert result.sense == model.sense
    assert _holds(result.bounds, best, 1e-5)
    assert result.bounds.certified
    assert result.bounds.gap <= 1e-4
    for before, after in pairwise(result.iterations):
        assert before.lower <= after.lower or before.upper >= after.upper
    assert result.plan.simulated is not None
    assert result.plan.details["simulated"]["lower"] <= result.plan.details["simulated"]["upper"]


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("T", [1, 3])
def test_the_zoo_against_the_unfolded_tree(name: str, T: int) -> None:
    model, lattice = ZOO[name](T), _lattice(T)
    result = sddp(model, lattice, rel_gap=1e-3, iterations=25, simulations=50)
    assert _holds(result.bounds, _optimum(model, lattice))
    assert result.bounds.gap <= 2e-3


@pytest.mark.parametrize("name", LINEAR)
def test_columns_of_the_optimum_lie_in_their_spans(name: str) -> None:
    model, lattice = ZOO[name](3), _lattice(3)
    tree = lattice.to_tree()
    stated = on_tree(model, tree)
    x = solve(stated.program).x
    spans = ModelStages(model, lattice).sheet.spans
    for part in model.columns:
        values = stated.values(x, part.name)
        for t in model.years:
            low, high = spans[part.name][t]
            here = values[stated.places[part.name].at(t)]
            room = 1e-6 * max(1.0, abs(high))
            assert low - room <= here.min()
            assert here.max() <= high + room


@pytest.mark.parametrize(
    "change",
    [{}, {"lead_time": 0}, {"lead_time": 2}, {"degradation": 0.1}, {"initial_deployment": "fixed"}, {"M0": 60.0}],
    ids=str,
)
def test_the_deployment_problem_as_a_model(change: dict[str, object]) -> None:
    """Its own stage programs are written by hand: both brackets hold the same optimum, from states of the same size."""
    case = load_case("lunar-reference").replace(T=4, **change)
    lattice = case_lattice(case, 4)
    own = sddp(case, lattice, rel_gap=1e-5, iterations=30, simulations=20)
    model = sddp(case.model, lattice, rel_gap=1e-3, iterations=30, simulations=20)
    assert _holds(own.bounds, _optimum(case.model, lattice))
    assert _holds(model.bounds, _optimum(case.model, lattice))
    assert model.bounds.gap <= 2e-3
    stages = ModelStages(case.model, lattice)
    lead = case.horizon.lead_time
    assert [len(entering) for entering in stages.entering[1:-1]] == [max(lead, 1)] * (case.horizon.T - 1)


def test_a_store_is_a_state() -> None:
    case = load_case("lunar-reference").replace(T=3)
    lattice = case_lattice(case, 3)
    store = Storage(capacity=800.0, boil_off=0.02, holding_cost=100.0)
    kept = State(
        "kept",
        keep=1 - store.boil_off,
        gains={"filled": 1.0, "drawn": -1.0},
        cost=store.holding_cost,
        upper=store.capacity,
    )
    parts = [part for part in case.model.parts if part.name not in ("delivery", "E", "demand", "Q")]
    served = next(part for part in case.model.parts if part.name == "Q")
    del parts, served  # the model below is stated from scratch: what a user would write
    e, c, h = case.economics, case.costs, case.technology
    model = Model(
        "with a store",
        case.horizon.T,
        [
            Decision("order", lead=1, cost=case.investment_cost),
            State("plant", gains={"order": 1.0}, cost=c.c_op, upper=10_000.0),
            Operation("made", value=-c.c_by * h.beta, upper=50_000.0),
            Operation("filled", upper=store.capacity),
            Operation("drawn", upper=store.capacity),
            kept,
            Operation("sold", value=e.P_m, upper=Factor("demand")),
            Operation("earth", value=-c.c_E, upper=Factor("demand")),
            Operation("short", value=-c.c_bu, upper=Factor("demand")),
            Row("capacity", {"made": 1.0, "plant": -h.eta}, upper=0.0),
            Row("oxygen", {"made": 1.0, "drawn": 1.0, "filled": -1.0, "sold": -1.0}, equals=0.0),
            Row("demand", {"sold": 1.0, "earth": 1.0, "short": 1.0}, equals=Factor("demand")),
        ],
        discount_rate=e.r,
    )
    model = model.with_part(Decision("order", lead=1, cost=case.investment_cost, upper=5_000.0))
    own = sddp(case.stored(store), lattice, rel_gap=1e-4, iterations=30, simulations=20)
    found = sddp(model, lattice, rel_gap=1e-3, iterations=40, simulations=20)
    best = _optimum(model, lattice)
    assert _holds(own.bounds, best, 1e-6)
    assert _holds(found.bounds, best, 1e-6)
    assert found.bounds.gap <= 5e-3


def test_nested_risk_lies_between_the_expectation_and_the_worst_case() -> None:
    model, lattice = ZOO["hydro"](2), _lattice(2)
    values = [
        sddp(model, lattice, risk=MeanCVaR(weight, 0.34), rel_gap=1e-4, iterations=30, simulations=10).bounds
        for weight in (0.0, 0.5, 1.0)
    ]
    assert _holds(values[0], _optimum(model, lattice))
    assert values[0].upper >= values[1].lower
    assert values[1].upper >= values[2].lower
    assert values[2].upper < values[0].lower


def test_workers_and_a_resumed_run_change_nothing(tmp_path) -> None:
    model, lattice = ZOO["several leads"](3), _lattice(3)

    def run(**options):
        return sddp(model, lattice, rel_gap=0.0, simulations=20, **options)

    whole = run(iterations=4)
    assert run(iterations=4, workers=2).bounds == whole.bounds
    run(iterations=2, checkpoint=tmp_path / "cuts")
    resumed = run(iterations=4, checkpoint=tmp_path / "cuts", resume=True)
    assert resumed.bounds == whole.bounds
    with pytest.raises(InputError, match="checkpoint"):
        sddp(ZOO["power"](3), lattice, checkpoint=tmp_path / "cuts", resume=True)


@given(
    price=st.floats(1.5, 8.0),
    keep=st.floats(0.5, 1.0),
    lead=st.integers(0, 2),
    states=st.integers(1, 3),
    seed=st.integers(0, 100),
)
@settings(max_examples=15, deadline=None)
def test_drawn_problems_against_the_unfolded_tree(price: float, keep: float, lead: int, states: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = [[10.0], *(np.sort(rng.uniform(1, 30, states)) + np.arange(states) for _ in range(2))]
    matrices = [rng.dirichlet(np.ones(states), size=n) for n in (1, states)]
    lattice = MarkovLattice(tuple(map(np.asarray, values)), tuple(matrices))
    model = Model(
        "drawn",
        2,
        [
            Decision("order", lead=lead, cost=1.0, upper=40.0),
            State("plant", keep=keep, gains={"order": 1.0}, initial=3.0),
            Operation("sold", value=lambda t, f: price + 0.02 * f["demand"], upper=Factor("demand")),
            Row("capacity", {"sold": lambda t, f: 1.0 + 1.0 / f["demand"], "plant": -1.0}, upper=0.0),
        ],
        discount_rate=0.05,
    )
    result = sddp(model, lattice, rel_gap=1e-6, iterations=12, simulations=10)
    assert _holds(result.bounds, _optimum(model, lattice), 1e-6)


@given(
    lead=st.integers(0, 2),
    floor=st.floats(0.0, 0.9),
    minimise=st.booleans(),
    states=st.integers(1, 3),
    seed=st.integers(0, 100),
)
@settings(max_examples=15, deadline=None)
def test_bounds_that_depend_on_the_state(lead: int, floor: float, minimise: bool, states: int, seed: int) -> None:
    """Orders of between a share of a year's demand and all of it, where not every state follows every other."""
    rng = np.random.default_rng(seed)
    values = [[10.0], *(np.sort(rng.uniform(5, 30, states)) + np.arange(states) for _ in range(2))]
    follows = np.eye(states) + 0.5 * np.eye(states, k=1)
    matrices = [rng.dirichlet(np.ones(states), size=1), follows / follows.sum(axis=1, keepdims=True)]
    lattice = MarkovLattice(tuple(map(np.asarray, values)), tuple(matrices))
    sign = -1.0 if minimise else 1.0
    lowest = floor * min(1.0, values[1][0] / values[1][-1], values[2][0] / values[2][-1])
    model = Model(
        "drawn",
        2,
        [
            Decision(
                "order",
                lead=lead,
                cost=1.0,
                lower=lambda t, f: lowest * f["demand"],
                upper=Factor("demand"),
            ),
            State("plant", keep=0.9, gains={"order": 1.0}, initial=3.0),
            Operation("sold", value=sign * 2.0, upper=Factor("demand")),
            Row("capacity", {"sold": 1.0, "plant": -1.0}, upper=0.0),
        ],
        sense="minimise" if minimise else "maximise",
    )
    result = sddp(model, lattice, rel_gap=1e-6, iterations=12, simulations=10)
    assert _holds(result.bounds, _optimum(model, lattice), 1e-6)


def test_bounds_of_an_order_hold_in_what_may_come_not_in_all_states() -> None:
    """Of the two states of the first year each leads to one of the second: there the order may reach its demand."""
    lattice = MarkovLattice(
        (np.array([10.0]), np.array([5.0, 20.0]), np.array([4.0, 25.0])), (np.array([[0.5, 0.5]]), np.eye(2))
    )
    model = Model(
        "newsvendor",
        2,
        [
            Decision("order", lead=1, cost=1.0, upper=Factor("demand"), years=[2]),
            Operation("sold", value=3.0, upper=Factor("demand"), years=[2]),
            Row("there", {"sold": 1.0, "order": -1.0}, upper=0.0, years=[2]),
        ],
    )
    assert _optimum(model, lattice) == pytest.approx((4 + 25) / 2 * 2)
    assert _holds(sddp(model, lattice, iterations=10, simulations=5).bounds, 29.0, 1e-6)
    crossing = model.with_part(
        Decision("order", lead=1, cost=1.0, lower=lambda t, f: 30 - f["demand"], upper=Factor("demand"), years=[2])
    )
    with pytest.raises(InputError, match=r"lower must be <= upper in year 2, got 26 > 4 in state 0 of stage 1"):
        sddp(crossing, lattice, iterations=2, simulations=5)


def test_a_size_that_is_small_only_where_factors_are_as_expected() -> None:
    """At the mean demand next to nothing can be sold; a unit taken from there would make coefficients vanish."""

    def size(t: object, f: dict[str, np.ndarray]) -> np.ndarray:
        return np.where(np.abs(f["demand"] - 12.5) < 2, 1e-8, f["demand"])

    values = (np.array([12.5]), np.array([5.0, 20.0]), np.array([4.0, 21.0]))
    lattice = MarkovLattice(values, (np.full((1, 2), 0.5), np.full((2, 2), 0.5)))
    model = Model(
        "atypical",
        2,
        [
            Decision("order", lead=1, cost=1.0),
            State("plant", gains={"order": 1.0}, enough=size),
            Operation("sold", value=3.0, upper=size),
            Row("capacity", {"sold": 1.0, "plant": -1.0}, upper=0.0),
        ],
    )
    best = _optimum(model, lattice)
    result = sddp(model, lattice, rel_gap=1e-6, iterations=20, simulations=10)
    assert _holds(result.bounds, best, 1e-7)
    assert result.bounds.gap <= 1e-6
    scarce = model.with_part(
        Decision("order", lead=1, cost=1.0, lower=lambda t, f: np.where(np.abs(f["demand"] - 12.5) < 2, 9.0, 0.0))
    ).with_part(Operation("sold", value=3.0, upper=size, lower=lambda t, f: 2e-8 * (np.abs(f["demand"] - 12.5) < 2)))
    later = replace(lattice, values=(np.array([5.0]), *values[1:]))  # where bounds cross in no state, on the mean path
    assert _holds(sddp(scarce, later, rel_gap=1e-6, simulations=10).bounds, _optimum(scarce, later), 1e-7)


def test_a_stage_without_rows_and_without_a_state() -> None:
    parts = [
        Operation("sold", value=3.0, upper=Factor("demand")),
        Operation("bought", value=-1.0, lower=2.0, upper=9.0),
    ]
    model = Model("alone", 2, parts, process=GROWTH, discount_rate=0.1)
    lattice = _lattice(2)
    assert _holds(sddp(model, lattice, iterations=3, simulations=5).bounds, _optimum(model, lattice), 1e-9)


def _newsvendor(**change: object) -> Model:
    return Model(
        "newsvendor",
        1,
        [
            Decision("order", **({"lead": 1, "years": [1], "cost": 1.0, "upper": 200.0} | change)),  # type: ignore[arg-type]
            Operation("sold", value=3.0, upper=Factor("demand")),
            Row("there", {"sold": 1.0, "order": -1.0}, upper=0.0),
        ],
        process=GROWTH,
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sddp(_newsvendor(lot=10.0), states=3), r"decision 'order': SDDP takes linear costs and any amount"),
        (lambda: sddp(_newsvendor(upper=None), states=3), r"decision 'order': needs a finite upper bound in year 1"),
        (lambda: sddp(_newsvendor(), _lattice(2)), r"lattice: needs one stage per year, 1 for newsvendor, got 2"),
        (
            lambda: sddp(_newsvendor(), MarkovLattice.from_process(GeometricBrownianMotion(100.0, 0.0, 0.1), 1, 3)),
            r"lattice: was made from .* take lattice.as_belief\(\)",
        ),
        (lambda: sddp(classics.farmer()[0], states=3), r"lattice: farmer has no process to make one of"),
        (lambda: sddp(_newsvendor(), states=3, simulations=2).policy("near"), r"mapping: .* takes none"),
    ],
)
def test_what_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_a_plan_that_breaks_a_row_is_no_plan() -> None:
    """Served is demanded whatever it takes, but nobody ordered: the first plan buys what is missing in the row."""
    model = Model(
        "must serve",
        1,
        [
            Decision("order", lead=1, years=[1], cost=1.0, upper=200.0),
            Operation("served", upper=200.0, years=[1]),
            Row("all", {"served": 1.0}, equals=Factor("demand"), years=[1]),
            Row("there", {"served": 1.0, "order": -1.0}, upper=0.0),
        ],
        sense="minimise",
        process=GROWTH,
    )
    result = sddp(model, states=4, rel_gap=1e-6, iterations=10, simulations=50)
    assert _holds(result.bounds, _optimum(model, MarkovLattice.from_process(GROWTH, 1, 4)), 1e-5)
    assert result.plan.first_stage["order1"] == pytest.approx(
        MarkovLattice.from_process(GROWTH, 1, 4).values[1][-1], rel=1e-5
    )
    tight = model.with_part(Decision("order", lead=1, years=[1], cost=1.0, upper=50.0))
    with pytest.raises(InfeasibleError, match="every plan breaks a row on the lattice, the best one breaks row '"):
        sddp(tight, states=4, iterations=2, simulations=50)


@pytest.mark.slow
def test_two_factors() -> None:
    """A price beside demand: SDDP on the lattice of both against its unfolded tree."""
    price = GeometricBrownianMotion(10.0, 0.0, 0.1)
    both = CorrelatedFactors(("demand", "price"), (GROWTH, price), ((1, 0.5), (0.5, 1)))
    model = Model(
        "two",
        3,
        [
            Decision("order", lead=1, cost=20.0),
            State("plant", gains={"order": 1.0}, enough=Factor("demand")),
            Operation("sold", value=Factor("price"), upper=Factor("demand")),
            Row("capacity", {"sold": 1.0, "plant": -1.0}, upper=0.0),
        ],
        process=both,
        factors=("demand", "price"),
    )
    lattice = MarkovLattice.from_process(both, 3, 9)
    result = sddp(model, lattice, rel_gap=1e-4, iterations=10, simulations=20)
    assert _holds(result.bounds, _optimum(model, lattice))
    assert result.bounds.gap <= 1e-4


def test_plant_that_is_ordered_before_it_is_known_what_a_faster_order_adds() -> None:
    """Two leads feed a state: what the slow one adds may go beyond what is enough where little is wanted."""
    lattice = MarkovLattice(
        (np.array([100.0]), np.array([50.0, 200.0]), np.array([20.0, 400.0])),
        (np.array([[0.5, 0.5]]), np.array([[0.9, 0.1], [0.2, 0.8]])),
    )

    def model(enough: bool) -> Model:
        return Model(
            "two leads",
            2,
            [
                Decision("slow", lead=2, cost=1.0, years=[2], upper=1e3),
                Decision("fast", lead=0, cost=[9.0, 4.0, 30.0], years=[1, 2], upper=1e3),
                State(
                    "plant", gains={"slow": 1.0, "fast": 1.0}, enough=Factor("demand") if enough else None, upper=1e4
                ),
                Operation("sold", value=50.0, upper=Factor("demand")),
                Row("capacity", {"sold": 1.0, "plant": -1.0}, upper=0.0),
            ],
        )

    best = _optimum(model(enough=False), lattice)
    assert _optimum(model(enough=True), lattice) == pytest.approx(best, rel=1e-9)
    assert _holds(sddp(model(enough=True), lattice, rel_gap=1e-6, iterations=20, simulations=5).bounds, best, 1e-6)
