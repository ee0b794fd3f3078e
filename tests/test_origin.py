"""What trees and lattices were made from: another process is refused in silence no more, a belief is taken as meant."""

import copy
import json
import pickle
from dataclasses import dataclass, replace

import numpy as np
import pytest

from scenario_trees import (
    QUANTIZATIONS,
    GeometricBrownianMotion,
    MarkovLattice,
    Origin,
    ScenarioTree,
    TreeError,
    tree_from_paths,
)
from stochisru import InputError, extensive_form, lattice_dp, simulate, value_table, wait_and_see
from stochisru.lunar.exact.level_dp import level_dp
from stochisru.lunar.exact.open_loop import expected_value, fixed_design, static_plan
from stochisru.lunar.exact.tree_dp import tree_dp
from stochisru.lunar.path_model import scenario_model
from stochisru.lunar.policies import policy_named
from stochisru.lunar.tree_program import tree_program
from stochisru.methods.hedging.progressive_hedging import progressive_hedging
from stochisru.methods.sddp.method import sddp

PROCESS = GeometricBrownianMotion(1000.0, 0.2, 0.2)
ON_TREES = [
    extensive_form,
    tree_dp,
    progressive_hedging,
    wait_and_see,
    static_plan,
    fixed_design,
    expected_value,
    value_table,
    tree_program,
    scenario_model,
]


@pytest.mark.parametrize("method", ON_TREES)
def test_every_method_refuses_the_tree_of_another_process(reference, method):
    case = reference.replace(T=3)
    tree = ScenarioTree.from_process(case.process, [2, 2, 2])
    for other in (case.replace(sigma=0.4), case.replace(mu=0.1)):
        with pytest.raises(
            InputError, match=r"^tree: was made from GBM\(.*case's demand is GBM\(.*as_belief\(\)"
        ) as error:
            method(other, tree)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("method", [lattice_dp, level_dp, sddp])
@pytest.mark.parametrize("make", ["from_process", "from_growth"])
def test_every_method_refuses_the_lattice_of_another_process(reference, method, make):
    case = reference.replace(T=3)
    size = (3, 3) if make == "from_process" else ([3, 3, 3],)
    lattice = getattr(MarkovLattice, make)(case.process, *size)
    with pytest.raises(InputError, match=r"^lattice: was made from GBM\(.*volatility 0.2\).*volatility 0.3.*as_belief"):
        method(case.replace(sigma=0.3), lattice)


def test_a_belief_is_taken_as_it_is(reference):
    case = reference.replace(T=3)
    tree = ScenarioTree.from_process(case.process, [3, 3, 3])
    same = extensive_form(case, tree).objective
    # What the issue saw in silence is what one gets when one says so.
    assert extensive_form(case.replace(sigma=0.4), tree.as_belief()).objective == pytest.approx(same, rel=1e-12)
    assert tree.as_belief() == tree
    assert tree.as_belief().digest() == tree.digest()
    assert tree.origin == Origin(case.process)  # the tree itself keeps what it was made from
    lattice = MarkovLattice.from_process(case.process, 3, 5)
    assert lattice.as_belief() == lattice
    assert lattice_dp(case.replace(sigma=0.4), lattice.as_belief()).objective == lattice_dp(case, lattice).objective


def test_processes_are_compared_to_rounding_and_by_the_step(reference):
    case = reference.replace(T=2)
    near = replace(case.process, drift=case.demand.mu * (1 + 1e-13))
    extensive_form(case, ScenarioTree.from_process(near, [2, 2]))
    # The same law per step, told in half years.
    halves = GeometricBrownianMotion(case.demand.D0, case.demand.mu * 2, case.demand.sigma * np.sqrt(2))
    extensive_form(case, ScenarioTree.from_process(halves, [2, 2], dt=0.5))
    with pytest.raises(InputError, match=r"in steps of 0\.5, the case's demand"):
        extensive_form(case, ScenarioTree.from_process(case.process, [2, 2], dt=0.5))
    with pytest.raises(InputError, match="tree: its root must have the demand D0"):
        extensive_form(case.replace(D0=2000.0), ScenarioTree.from_process(case.process, [2, 2]))
    certain = case.replace(sigma=0.0, mu=0.0)
    extensive_form(certain, ScenarioTree.from_process(certain.process, [1, 1]))


def test_policies_of_another_process_are_refused_and_beliefs_named(reference):
    case = reference.replace(T=3)
    world = case.replace(sigma=0.4)
    tree = ScenarioTree.from_process(case.process, [3, 3, 3])
    lattice = MarkovLattice.from_process(case.process, 3, 4)
    plans = {"tree": extensive_form(case, tree), "lattice": lattice_dp(case, lattice), "sddp": sddp(case, lattice)}
    for result in plans.values():
        with pytest.raises(
            InputError, match=r"^strategy \S+: its (tree|lattice): was made from .*as_belief\(\) to judge"
        ):
            simulate(world, [result.policy()], paths=10)
        assert "one's own" not in result.policy().describe(case)
    believed = {
        "tree": extensive_form(case, tree.as_belief()),
        "lattice": lattice_dp(case, lattice.as_belief()),
        "sddp": sddp(case, lattice.as_belief()),
    }
    for result in believed.values():
        policy = result.policy()
        assert simulate(world, [policy], paths=10).npv.shape == (1, 10)
        assert "of one's own numbers (not made from the case's process)" in policy.describe(world)
    # Numbers of one's own were never claimed to be the case's process.
    table = ScenarioTree(tree.parent, tree.stage, tree.probability, tree.value)
    assert table.origin is None
    assert extensive_form(world, table).objective == pytest.approx(plans["tree"].objective)


def test_derived_trees_keep_their_origin():
    tree = ScenarioTree.from_process(PROCESS, [2, 2], dt=0.5)
    assert tree.origin == Origin(PROCESS, 0.5)
    assert tree.branch(1)[0].origin == tree.origin
    assert tree.as_belief().branch(1)[0].origin is None
    lattice = MarkovLattice.from_growth(PROCESS, [2, 2])
    assert lattice.to_tree().origin == Origin(PROCESS)
    assert lattice.as_belief().to_tree().origin is None
    paths = PROCESS.sample(50, 2, seed=1)
    assert tree_from_paths(paths, [2, 2]).origin is None
    assert MarkovLattice.from_paths(paths, 2).origin is None
    for made in (tree, lattice):
        with pytest.raises(ValueError, match="origin"):  # no argument: only what makes the numbers can say it
            replace(made, origin=Origin(PROCESS))
        assert copy.deepcopy(made).origin == pickle.loads(pickle.dumps(made)).origin == made.origin


def test_changed_numbers_claim_no_origin(reference):
    case = reference.replace(T=2)
    tree = ScenarioTree.from_process(case.process, [3, 3])
    wider = tree.value * np.where(tree.stage > 0, np.exp(np.cumsum(np.full(tree.n_nodes, 0.01))), 1.0)
    changed = replace(tree, value=wider)
    assert changed.origin is None
    assert replace(tree, probability=tree.probability).origin is None
    plan = extensive_form(case, changed)
    assert plan.objective != pytest.approx(extensive_form(case, tree).objective, rel=1e-3)
    assert "one's own numbers" in plan.policy().describe(case)
    lattice = MarkovLattice.from_process(case.process, 2, 4)
    assert replace(lattice, values=tuple(1.1 * v for v in lattice.values)).origin is None
    assert tree.branch(2)[0].branch(0)[0].origin == tree.origin


@pytest.mark.parametrize(
    "made", [ScenarioTree.from_process(PROCESS, [2, 2]), MarkovLattice.from_growth(PROCESS, [2, 2])]
)
def test_files_hold_the_origin_and_old_files_load(tmp_path, made):
    path = made.save(tmp_path / "made.npz")
    assert type(made).load(path).origin == made.origin
    assert type(made).load(made.as_belief().save(tmp_path / "belief.npz")).origin is None
    with np.load(path) as data:
        arrays = dict(data)
    header = json.loads(str(arrays["header"]))
    del header["origin"]
    for number, loads in ((1, True), (99, False)):
        np.savez(tmp_path / "other.npz", **(arrays | {"header": np.array(json.dumps({**header, "format": number}))}))
        if loads:
            again = type(made).load(tmp_path / "other.npz")
            assert again == made
            assert again.origin is None
        else:
            with pytest.raises(TreeError, match=r"^path: "):
                type(made).load(tmp_path / "other.npz")
    broken = {**header, "format": 2, "origin": {"initial": -1.0}}
    np.savez(tmp_path / "broken.npz", **(arrays | {"header": np.array(json.dumps(broken))}))
    with pytest.raises(TreeError, match="path: the origin"):
        type(made).load(tmp_path / "broken.npz")


class Jumping(GeometricBrownianMotion):
    """A subclass with another law."""

    def growth(self, z, dt=1.0):
        return 2 * super().growth(z, dt)


@dataclass(frozen=True)
class Lookalike:
    """It has all attributes of the process and is none."""

    initial: float = 1000.0
    drift: float = 0.2
    volatility: float = 0.2

    def mean(self, t):
        return self.initial * np.exp(np.asarray(t) * 0.7)

    def growth(self, z, dt=1.0):
        return np.exp(0.7 + np.asarray(z))


@dataclass(frozen=True)
class Own:
    """A quantisation of one's own."""

    name: str = "own"

    def growth(self, process, branches, dt):
        return np.exp(0.7 * dt) * np.array([0.5, 1.5]), np.array([0.5, 0.5])


@pytest.mark.parametrize("process", [Lookalike(), Jumping(1000.0, 0.2, 0.2)])
def test_what_only_looks_like_the_process_is_refused(process):
    with pytest.raises(TreeError, match=r"^process: must be a GeometricBrownianMotion.*from_paths.*from_growth"):
        MarkovLattice.from_process(process, 3, 4)
    for name, branches in (("gauss-hermite", 3), ("equal-probability", 3), ("binomial", 2), ("trinomial", 3)):
        for make in (ScenarioTree.from_process, MarkovLattice.from_growth):
            with pytest.raises(TreeError, match=r"^process: must be a GeometricBrownianMotion.*tree_from_paths"):
                make(process, [branches], QUANTIZATIONS[name])
    # With factors of its own it has a tree and a lattice, which claim to be no geometric Brownian motion's.
    for made in (ScenarioTree.from_process(process, [2, 2], Own()), MarkovLattice.from_growth(process, [2, 2], Own())):
        assert made.origin is None
        assert made.stage_mean() == pytest.approx(1000 * np.exp(0.7 * np.arange(3)))


@pytest.mark.parametrize("made", ["threshold", "static", "fixed", "ev"])
def test_rules_without_a_tree_are_of_a_process_too(reference, made):
    case = reference.replace(T=4)
    policy = policy_named(made, case)
    world = case.replace(sigma=0.4)
    with pytest.raises(InputError, match=rf"^strategy {made}: its policy: was made from GBM.*policy\.as_belief\(\)"):
        simulate(world, [policy], paths=10)
    judged = simulate(
        world,
        [replace(policy.as_belief(), name="belief"), policy_named(made, world)],
        paths=4096,
        seed=1,
        sampler="antithetic",
    )
    assert judged.npv.shape == (2, 4096)
    # What is best under a belief is no better than what is best under the world.
    assert judged.npv[0].mean() <= judged.npv[1].mean() + 4 * (judged.npv[0] - judged.npv[1]).std() / 64
    simulate(case.replace(P_m=case.economics.P_m * 1.1), [policy], paths=10)  # of other prices: the process is the same


def test_results_say_whose_numbers_they_are_of(reference):
    case = reference.replace(T=2)
    tree, lattice = ScenarioTree.from_process(case.process, [2, 2]), MarkovLattice.from_process(case.process, 2, 3)
    for method, model in ((extensive_form, tree), (lattice_dp, lattice), (sddp, lattice)):
        assert method(case, model).to_dict()["origin"] == {**vars(case.process), "dt": 1.0}
        assert method(case, model.as_belief()).to_dict()["origin"] is None
