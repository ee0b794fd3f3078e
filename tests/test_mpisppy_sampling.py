"""Scenarios drawn afresh for mpi-sppy: their law, their trees, and mpi-sppy's confidence intervals on them."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.mpisppy_ef import import_mpisppy
from scenario_trees import GeometricBrownianMotion, ScenarioTree
from stochisru import extensive_form, load_case
from stochisru.errors import InputError
from stochisru.mpisppy import scenario_names_creator
from stochisru.problem import Recourse
from stochisru.problem.bounds import column_bounds
from stochisru.problem.sampled import SampledScenarios
from stochisru.problem.sheet import Sheet
from stochisru.worked.classics import farmer, newsvendor, newsvendor_lognormal, reservoir
from stochisru.worked.classics.newsvendor import lognormal_answer
from tests.test_mpisppy import CLASSICS, LIMITS, SPOKES, STAGE2, bracket, driver, holds, python_program

LUNAR = load_case("lunar-reference")
#: Linear; whole modules; a fixed cost and a curve.
CASES = [{}, {"lot": 50.0}, {"reference": 100.0, "c_dev_exponent": 0.7, "fixed_cost": 5e5}]


def drawn_lunar(branching: list[int], seed: int = 0, **symbols: Any) -> SampledScenarios:
    case = LUNAR.replace(T=len(branching), **symbols)
    return SampledScenarios(
        case.model, ScenarioTree.from_process(case.process, [1] * len(branching)), branching, [seed]
    )


def as_tree(drawn: SampledScenarios) -> ScenarioTree:
    """The whole sample tree, from the paths of its scenarios."""
    nodes: dict[tuple[int, ...], float] = {}
    for way in itertools.product(*map(range, drawn.branching)):
        path = drawn.path(drawn.draws(way, 1, ()))[:, 0]
        nodes |= {way[:t]: value for t, value in enumerate(path)}
    ways = sorted(nodes, key=lambda way: (len(way), way))
    place = {way: i for i, way in enumerate(ways)}
    return ScenarioTree(
        [place[way[:-1]] if way else -1 for way in ways],  # type: ignore[arg-type]
        [len(way) for way in ways],  # type: ignore[arg-type]
        [1 / np.prod(drawn.branching[: len(way)]) for way in ways],  # type: ignore[arg-type]
        [nodes[way] for way in ways],  # type: ignore[arg-type]
        names=tuple(drawn.model.factors),
    )


# --------------------------------------------------------------------- law


def test_draws_have_the_moments_of_the_process() -> None:
    process = LUNAR.process
    assert isinstance(process, GeometricBrownianMotion)
    drawn = drawn_lunar([4000, 1])
    ends = np.array([drawn.path(drawn.draws([i, 0], 1, ()))[-1, 0] for i in range(4000)])
    spread = np.sqrt(process.variance(2.0) / ends.size)
    assert abs(ends.mean() - process.mean(2.0)) < 4 * spread
    assert np.median(ends) == pytest.approx(process.quantile(0.5, 2.0), rel=0.03)


def test_a_problem_without_process_is_drawn_from_its_tree() -> None:
    model, lattice = newsvendor()  # 60, 100, 140 with 1/4, 1/2, 1/4
    drawn = SampledScenarios(model, lattice.to_tree(), [2000], [1])
    found = [drawn.path(drawn.draws([i], 1, ()))[1, 0] for i in range(2000)]
    values, counts = np.unique(found, return_counts=True)
    assert values.tolist() == [60.0, 100.0, 140.0]
    assert np.abs(counts / 2000 - [0.25, 0.5, 0.25]).max() < 4 * np.sqrt(0.25 / 2000)


def test_a_draw_below_a_node_of_a_tree_is_one_of_its_children() -> None:
    model, lattice = reservoir()
    tree = lattice.to_tree()
    drawn = SampledScenarios(model, tree, [2, 2, 2], [3])
    known = {tuple(tree.value[nodes]) for nodes in tree.node_paths()}
    found = {tuple(drawn.path(drawn.draws([i // 9, i // 3, i], 1, ()))[:, 0]) for i in range(200)}
    assert found <= known
    assert len(found) > 20


@settings(max_examples=20)
@given(st.integers(0, 17), st.integers(0, 17), st.integers(0, 3), st.integers(0, 3))
def test_scenarios_share_what_their_nodes_share(one: int, other: int, seed: int, later: int) -> None:
    drawn = drawn_lunar([3, 2, 3], seed)
    ways = [(i // 6, i // 3 % 2, i % 3) for i in (one, other)]
    values = [drawn.draws(way, 1, (later,)).ravel().tolist() for way in ways]
    for t in range(1, 4):
        assert (ways[0][:t] == ways[1][:t]) == (values[0][:t] == values[1][:t])
    elsewhere = [drawn_lunar([3, 2, 3], seed + 1).draws(ways[0], 1, (later,)), drawn.draws(ways[0], 1, (later + 1,))]
    assert all(not set(values[0]) & set(numbers.ravel()) for numbers in elsewhere)
    assert not set(values[0]) & set(drawn.draws(ways[0], 2, (later,)).ravel())  # nor below a later node


@pytest.mark.parametrize("name", ["lunar", "reservoir"])
def test_a_sample_as_a_tree_is_that_of_its_scenarios(name: str) -> None:
    model, lattice = reservoir()
    drawn = drawn_lunar([3, 2, 4]) if name == "lunar" else SampledScenarios(model, lattice.to_tree(), [3, 2, 4], [0])
    assert drawn.sample_tree() == as_tree(drawn)


# ------------------------------------------------------------------- models


def _extensive_form(drawn: SampledScenarios, names: list[str], creator: Any) -> float:
    ExtensiveForm = import_mpisppy()
    from mpisppy.utils.sputils import create_nodenames_from_branching_factors

    nodes = create_nodenames_from_branching_factors(drawn.branching) if len(drawn.branching) > 1 else None
    form = ExtensiveForm({"solver": "appsi_highs"}, names, creator, all_nodenames=nodes)
    form.solve_extensive_form(solver_options={"mip_rel_gap": 1e-8})
    return float(form.get_objective_value())


@pytest.mark.parametrize("symbols", CASES)
def test_extensive_form_of_a_sample_is_that_of_its_tree(symbols: dict[str, Any]) -> None:
    drawn = drawn_lunar([3, 2], 5, **symbols)
    case = LUNAR.replace(T=2, **symbols)
    ours = extensive_form(case, as_tree(drawn), rel_gap=1e-8).objective
    theirs = _extensive_form(drawn, scenario_names_creator(6), drawn.creator)
    assert theirs == pytest.approx(ours, rel=1e-6)


@pytest.mark.parametrize("symbols", CASES)
def test_a_plan_of_one_sample_is_possible_on_another(symbols: dict[str, Any]) -> None:
    import pyomo.environ as pyo

    drawn = drawn_lunar([1000, 1], 6, **symbols)
    sample = drawn.sample_tree()
    most = column_bounds(Sheet(drawn.model, sample, Recourse()))["dM"].upper.max()
    poorest = int(np.argmin(sample.value[sample.at(1)]))
    m = drawn.creator(f"scenario{poorest}")
    for node in m._mpisppy_node_list:
        for variable in node.nonant_vardata_list:
            variable.fix(most)
    assert pyo.check_optimal_termination(pyo.SolverFactory("appsi_highs").solve(m))


def test_a_sample_tree_below_a_node_has_its_past() -> None:
    drawn = drawn_lunar([3, 2, 2])
    given = drawn.creator("scenario7")  # nodes 1, 1, 1
    past = drawn.path(given._stochisru_draws)
    below = [drawn.below(f"scenario{i}", 2, [2, 2], 11, given) for i in range(4)]
    paths = np.array([drawn.path(m._stochisru_draws) for m in below])
    assert (paths[:, :2] == past[:2]).all()
    assert (paths[::2, 2] == paths[1::2, 2]).all()
    assert len({*paths[:, 2, 0], past[2, 0]}) == 3
    assert len({*paths[:, 3, 0], past[3, 0]}) == 5
    names = [[node.name for node in m._mpisppy_node_list] for m in below]
    assert names == [["ROOT", "ROOT_0", f"ROOT_0_{i // 2}"] for i in range(4)]
    assert sum(m._mpisppy_probability for m in below) == pytest.approx(1.0)


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(InputError, match="branching-factors: needs one per stage after the first, 2 for"):
        SampledScenarios(LUNAR.replace(T=2).model, ScenarioTree.from_process(LUNAR.process, [1, 1]), [3], [0])
    with pytest.raises(InputError, match="given_scenario: stage 2 needs a sampled scenario and 1 branching factors"):
        drawn_lunar([3, 2]).below("scenario0", 2, [2], 0)


@pytest.mark.parametrize("bundles", [pytest.param((), marks=pytest.mark.slow), ("--scenarios-per-bundle", "3")])
@pytest.mark.parametrize("symbols", CASES[:2])
def test_hub_and_spokes_bracket_the_optimum_of_a_sample(
    symbols: dict[str, Any], bundles: tuple[str, ...], tmp_path: Path
) -> None:
    """Without bounds on decisions a Lagrangian subproblem has no end, and the outer bound was on the wrong side."""
    case = LUNAR.replace(T=2, **symbols)
    (tmp_path / "case.toml").write_text(case.to_toml())
    problem = ("--problem", "case.toml", "--branching-factors", "6 3", "--sample-seed", "3")
    stage2 = () if bundles else STAGE2
    text = driver(*problem, "--default-rho", "1000", *LIMITS, *bundles, *stage2, *SPOKES, ranks=3, folder=tmp_path)
    holds(bracket(text), extensive_form(case, drawn_sample(case, [6, 3], 3), rel_gap=1e-8).objective, 0.05)


def drawn_sample(case: Any, branching: list[int], seed: int) -> ScenarioTree:
    """Tree of the draws that the module makes of a case."""
    chain = ScenarioTree.from_process(case.process, [1] * len(branching))
    return SampledScenarios(case.model, chain, branching, [seed, 0]).sample_tree()


# --------------------------------------------------- mpi-sppy's intervals


def _gaps(text: str) -> list[float]:
    return [float(found) for found in re.findall(r"Gn=(\S+) for the batch", text)]


def _value(draws: list[float], order: float) -> float:
    """Profit of an order of `newsvendor`, mean over demands."""
    return float(np.mean(8.0 * np.minimum(order, draws) - 4.0 * order))


def test_gaps_of_a_newsvendor_are_those_of_its_draws(tmp_path: Path) -> None:
    """Mak, Morton and Wood: batch by batch, the best order on the draws against the order that is judged."""
    np.save(tmp_path / "order.npy", [140.0])
    options = ["--EF", "--EF-solver-name", "appsi_highs", "--mmw-xhat-input-file-name", "order.npy"]
    batches = ["--mmw-num-batches", "3", "--mmw-batch-size", "8", "--mmw-start", "5", "--sample-seed", "2"]
    text = driver("--problem", f"{CLASSICS}:newsvendor", *options, *batches, folder=tmp_path)
    model, lattice = newsvendor()
    drawn = SampledScenarios(model, lattice.to_tree(), [8], [2, 0])
    for batch, gap in enumerate(_gaps(text)):
        demand = [drawn.path(drawn.draws([5 + 8 * batch + i], 1, ()))[1, 0] for i in range(8)]
        best = max(_value(demand, order) for order in (60.0, 100.0, 140.0))
        assert gap == pytest.approx(_value(demand, 140.0) - best, abs=1e-6)
    assert len(_gaps(text)) == 3


@pytest.mark.parametrize("lot", [(), ("lot",)])
def test_gaps_of_a_multistage_case_have_the_sign_of_its_sense(lot: tuple[str, ...], tmp_path: Path) -> None:
    case = LUNAR.replace(T=2, **dict.fromkeys(lot, 50.0))
    (tmp_path / "case.toml").write_text(case.to_toml())
    options = ["--problem", "case.toml", "--branching-factors", "3 3", "--EF", "--EF-solver-name", "appsi_highs"]
    driver(*options, "--solution-base-name", "plan", folder=tmp_path)
    batches = ["--mmw-num-batches", "3", "--mmw-batch-size", "9", "--mmw-start", "0"]
    gaps = _gaps(driver(*options, "--mmw-xhat-input-file-name", "plan.npy", *batches, folder=tmp_path))
    assert len(gaps) == 3
    assert max(gaps) <= 0  # maximised: no plan is better than the best for its own sample
    np.save(tmp_path / "none.npy", np.zeros(2))
    worse = _gaps(driver(*options, "--mmw-xhat-input-file-name", "none.npy", *batches, folder=tmp_path))
    assert np.less(worse, gaps).all()


def test_estimate_of_a_given_order(tmp_path: Path) -> None:
    np.save(tmp_path / "order.npy", [100.0])
    text = python_program(
        *("-m", "mpisppy.confidence_intervals.zhat4xhat", "stochisru.mpisppy", "--problem", f"{CLASSICS}:newsvendor"),
        *("--branching-factors", "20", "--num-samples", "20", "--xhatpath", "order.npy"),
        *("--EF-solver-name", "appsi_highs", "--confidence-level", "0.999"),
        folder=tmp_path,
    )
    low, high = (float(x) for x in re.findall(r"np\.float64\((\S+?)\)", text[text.index("estimate") :])[:2])
    assert low <= 320.0 <= high  # 1/4 of 80 and 3/4 of 400
    assert 0 < high - low < 80


@pytest.mark.parametrize(
    ("problem", "options"),
    [
        ("farmer", ()),
        ("newsvendor_lognormal", ("--as-loss",)),
        ("reservoir", ("--branching-factors", "3 3 3")),
    ],
)
def test_sequential_sampling(problem: str, options: tuple[str, ...], tmp_path: Path) -> None:
    width = {"farmer": 5_000.0, "newsvendor_lognormal": 30.0, "reservoir": 12.0}[problem]
    rule = ("--stopping-criterion", "BPL", "--BPL-eps", str(width), "--BPL-c0", "20", "--mrp-max-iterations", "30")
    solvers = ("--solver-name", "appsi_highs", "--EF-solver-name", "appsi_highs")
    text = python_program(
        *("-m", "mpisppy.mrp_generic", "--module-name", "stochisru.mpisppy", "--problem", f"{CLASSICS}:{problem}"),
        *(*options, *rule, *solvers, "--solution-base-name", "found"),
        folder=tmp_path,
    )
    assert re.search(rf"Confidence interval on gap: \[0, {width:g}", text), text
    found = np.load(tmp_path / "found.npy")
    if problem == "farmer":
        assert found.sum() <= 500 + 1e-6
        assert _cost_of_farm(found) <= -108_390 + width
    if problem == "newsvendor_lognormal":
        assert _profit(float(found[0])) >= lognormal_answer()[1] - width


def _cost_of_farm(acres: np.ndarray[Any, Any]) -> float:
    from stochisru.methods.extensive_form import extensive_forms
    from stochisru.problem.information import Held

    model, lattice = farmer()
    names = [decision.name for decision in model.decisions]
    plan = {name: [0.0, float(amount)] for name, amount in zip(names, acres, strict=True)}
    return float(next(iter(extensive_forms(model, lattice.to_tree(), [Held(plan)]))).objective)


def _profit(order: float) -> float:
    """Profit of an order of `newsvendor_lognormal`, mean over its bins."""
    _, lattice = newsvendor_lognormal()
    return float(np.mean(8.0 * np.minimum(order, lattice.values[1]) - 4.0 * order))
