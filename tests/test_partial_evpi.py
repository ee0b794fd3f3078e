"""Partial EVPI: closed forms, limits, lattices against their unfolded trees, sampling against enumeration."""

import json

import numpy as np
import pytest

import stochisru.partial_evpi as module
from scenario_trees import CorrelatedFactors, GeometricBrownianMotion, MarkovLattice, ScenarioTree, TreeError
from scenario_trees.knowing import known_path, known_paths, together
from stochisru import InputError, load_case
from stochisru.cli.main import main
from stochisru.lunar.factors import with_factors
from stochisru.lunar.studies.knowledge_figures import partial_evpi_figure
from stochisru.partial_evpi import partial_evpi
from stochisru.problem import Decision, Factor, Model, Operation, Row, State
from stochisru.values import values

DEMAND, PRICE = GeometricBrownianMotion(100.0, 0.0, 0.3), GeometricBrownianMotion(1.6, 0.0, 0.4)
CERTAIN = GeometricBrownianMotion(1.6, 0.0, 0.0)


def both(demand=DEMAND, price=PRICE, correlation=0.0):
    return CorrelatedFactors(("demand", "price"), (demand, price), ((1, correlation), (correlation, 1)))


def plant(T, sense="maximise", lot=None, priced=True):
    """Plant ordered a year ahead; what is sold is sold at a price that is a factor, or not."""
    sign = 1 if sense == "maximise" else -1
    price = (lambda t, f: sign * f["price"]) if priced else (lambda t, f: sign * 1.6)
    return Model(
        "plant",
        T,
        [
            Decision("order", lead=1, cost=1.5, lot=lot, upper=600.0),
            State("stock", gains={"order": 1.0}, upper=2000.0),
            Operation("sold", value=lambda t, f: sign * price(t, f), upper=Factor("demand")),
            Row("capacity", {"sold": 1.0, "stock": -1.0}, upper=0.0),
        ],
        sense=sense,
        discount_rate=0.1,
        factors=("demand", "price"),
    )


def test_a_newsvendor_by_hand():
    """One order for demand D at price P, independent, cost 1: all four numbers are sums over the branches."""
    newsvendor = Model(
        "newsvendor",
        1,
        [
            Decision("order", lead=1, years=[1], cost=1.0, upper=1000),
            Operation("sold", value=Factor("price"), upper=Factor("demand")),
            Row("stock", {"sold": 1.0, "order": -1.0}, upper=0.0),
        ],
        factors=("demand", "price"),
    )
    tree = ScenarioTree.from_process(both(), [(5, 4)])
    found = partial_evpi(newsvendor, tree)
    d, p = (np.unique(tree.factor(name)[1:].round(9)) for name in ("demand", "price"))
    pd, pp = (
        np.array([tree.probability[1:][np.isclose(tree.factor(name)[1:], x)].sum() for x in values_])
        for name, values_ in (("demand", d), ("price", p))
    )

    def best(price):
        return max(0.0, *(price * (pd @ np.minimum(q, d)) - q for q in d))

    rp = best(pp @ p)
    assert found.rp.lower == pytest.approx(rp)
    assert found.parts["price"].value == pytest.approx(pp @ [best(x) for x in p] - rp)
    assert found.parts["demand"].value == pytest.approx((pd @ d) * max(pp @ p - 1, 0.0) - rp)
    assert found.evpi.value == pytest.approx((pd @ d) * (pp @ np.maximum(p - 1, 0.0)) - rp)


@pytest.mark.parametrize("sense", ["maximise", "minimise"])
def test_parts_lie_between_nothing_and_all(sense):
    found = partial_evpi(plant(3, sense), ScenarioTree.from_process(both(), [(3, 2)] * 3))
    for part in found.parts.values():
        assert 0 <= part.value <= found.evpi.value + 1e-9
        assert part.bounds.lower <= part.value <= part.bounds.upper
    assert values(plant(3, sense), ScenarioTree.from_process(both(), [(3, 2)] * 3)).point("evpi") == pytest.approx(
        found.evpi.value
    )


def test_limits():
    # A factor that is certain, or that no coefficient uses, tells nothing; the other then tells all.
    one = partial_evpi(plant(2), ScenarioTree.from_process(both(price=CERTAIN), [(3, 1)] * 2))
    assert one.parts["price"].value == 0
    assert one.parts["demand"].value == pytest.approx(one.evpi.value, rel=1e-9)
    idle = partial_evpi(plant(2, priced=False), ScenarioTree.from_process(both(), [(3, 3)] * 2))
    assert idle.parts["price"].value == pytest.approx(0.0, abs=1e-8)
    assert idle.parts["demand"].value == pytest.approx(idle.evpi.value, rel=1e-9)
    assert idle.evpi.value > 1


def test_whole_numbers():
    found = partial_evpi(plant(2, lot=40.0), ScenarioTree.from_process(both(), [(2, 2)] * 2), rel_gap=1e-9)
    assert 0 < found.parts["demand"].value <= found.evpi.value + 1e-9


def test_the_last_of_correlated_factors_tells_all_on_a_tree():
    found = partial_evpi(plant(2), ScenarioTree.from_process(both(correlation=0.5), [(2, 2)] * 2))
    assert found.parts["price"].tells_all
    assert not found.parts["demand"].tells_all
    assert found.parts["price"].value == pytest.approx(found.evpi.value)


def test_conditional_trees_keep_probability_and_mean():
    tree = ScenarioTree.from_process(both(correlation=0.3), [(3, 2), (2, 3)])
    left = list(known_paths(tree, "demand"))
    assert sum(p for p, _ in left) == pytest.approx(1.0)
    mean = sum(p * each.stage_mean(each.factor("price")) for p, each in left)
    assert mean == pytest.approx(tree.stage_mean(tree.factor("price")))
    with pytest.raises(TreeError, match="factor: must be one of demand, price"):
        list(known_paths(tree, "rain"))


def lattice(T, a=3, b=2):
    parts = MarkovLattice.from_process(DEMAND, T, a), MarkovLattice.from_process(PRICE, T, b)
    return together(*parts, ("demand", "price"))


def test_conditional_lattices_are_those_of_the_unfolded_tree():
    whole = lattice(3)
    tree = whole.to_tree()
    assert {left.n_leaves for _, left in known_paths(tree, "price")} == {27}
    path = whole.sample(1, seed=2)[:, 0]
    mine, kept = known_path(whole, "price", path)
    assert mine.sizes == (1, 3, 3, 3)
    assert [int(k.size) for k in kept] == [1, 3, 3, 3]
    alone = MarkovLattice.from_process(DEMAND, 3, 3)
    for ours, own in zip(mine.transitions, alone.transitions, strict=True):
        assert ours == pytest.approx(own)
    # Where the next value depends on both, what is known of the future bends the way there.
    bent = MarkovLattice(
        ([1.0], [1.0, 2.0], [1.0, 2.0]),
        ([[0.5, 0.5]], [[0.9, 0.1], [0.2, 0.8]]),
        (np.zeros((1, 1)), np.array([[0.0], [0.0]]), np.array([[0.0], [1.0]])),
        ("value", "sign"),
    )
    told, _ = known_path(bent, "sign", [0, 0, 1])
    assert told.transitions[0][0] == pytest.approx(np.array([0.5 * 0.1, 0.5 * 0.8]) / 0.45)


def test_lattices_of_few_histories_are_their_trees():
    whole = lattice(3)
    found, tree = partial_evpi(plant(3), whole), partial_evpi(plant(3), whole.to_tree())
    for name in ("demand", "price"):
        assert found.parts[name].value == pytest.approx(tree.parts[name].value)
    assert found.rp.of.value == "lattice"


def test_sampling_brackets_what_enumeration_finds(monkeypatch):
    whole = lattice(3)
    exact = partial_evpi(plant(3), whole)
    monkeypatch.setattr(module, "_UNFOLDED", 10)
    found = partial_evpi(plant(3), whole, paths=40, seed=3, confidence=0.99)
    for name, part in found.parts.items():
        assert part.bounds.lower <= exact.parts[name].value <= part.bounds.upper
        assert part.bounds.label == "99 %"
    assert found.evpi.bounds.lower <= exact.evpi.value <= found.evpi.bounds.upper
    assert found.evpi.bounds.upper - found.evpi.bounds.lower < 1.5 * exact.evpi.value


def test_bad_input():
    tree = ScenarioTree.from_process(both(), [(2, 2)])
    with pytest.raises(InputError, match="factors: must be of demand, price, got 'rain'"):
        partial_evpi(plant(1), tree, ["rain"])
    with pytest.raises(InputError, match="paths: must be an integer >= 2, got 1"):
        partial_evpi(plant(1), tree, paths=1)
    with pytest.raises(TreeError, match="horizon: must be one of both"):
        together(MarkovLattice.from_process(DEMAND, 2, 3), MarkovLattice.from_process(PRICE, 3, 3), ("a", "b"))
    with pytest.raises(InputError, match="factors: must be of launch, yield"):
        with_factors(load_case("contested-market"), {"rain": PRICE})


def test_the_deployment_problem_without_spread_is_the_case():
    case = load_case("contested-market").replace(T=3)
    still = {name: GeometricBrownianMotion(x, 0.0, 0.0) for name, x in (("launch", case.costs.c_L), ("yield", 1.0))}
    model = with_factors(case, still)
    tree = ScenarioTree.from_process(model.process, [(3, 1, 1)] * 3)
    own = ScenarioTree.from_process(case.process, [3] * 3)
    found, plain = partial_evpi(model, tree), values(case.model, own)
    assert found.rp.lower == pytest.approx(plain.point("rp"), rel=1e-7)
    assert found.evpi.value == pytest.approx(plain.point("evpi"), rel=1e-6)
    assert found.parts["demand"].value == pytest.approx(plain.point("evpi"), rel=1e-6)
    assert found.parts["launch"].value == found.parts["yield"].value == 0


def test_the_command(capsys, tmp_path):
    target = tmp_path / "r.json"
    with pytest.raises(SystemExit) as end:
        main(["resolve", "contested-market", "--horizon=3", "--launch=-0.05:0.2", "--yield=0:0.1", f"--json={target}"])
    assert end.value.code == 0
    assert "parts need not add up" in capsys.readouterr().out
    data = json.loads(target.read_text())
    assert set(data["factors"]) == {"demand", "launch", "yield"}
    assert all(0 <= part["value"] <= data["evpi"]["value"] for part in data["factors"].values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "factors: needs one or more of launch, yield"),
        (["--launch=0.1"], "launch: must be DRIFT:VOLATILITY"),
        (["--launch=0:-1"], "volatility"),
        (["--launch=0:0.1", "--branching=3"], "branching: needs one factor per year, 10"),
        (["--launch=0:0.1", "--horizon=2", "--branching=999,999"], "scenarios, at most 200,000"),
    ],
)
def test_bad_options_are_one_line(capsys, options, message):
    with pytest.raises(SystemExit) as end:
        main(["resolve", "contested-market", *options])
    error = capsys.readouterr().err
    assert end.value.code == 2
    assert message in error
    assert error.count("\n") == 1


def test_the_figure():
    found = partial_evpi(plant(2), ScenarioTree.from_process(both(), [(2, 2)] * 2))
    assert len(partial_evpi_figure(found).axes[0].patches) == 3
