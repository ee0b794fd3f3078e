"""Progressive hedging: bounds around the tree program's optimum, traps, checkpoints, MPI in real processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenario_trees import ScenarioTree
from stochisru import BoundsError, InputError, SolverError, extensive_form, progressive_hedging
from stochisru.lunar.subtrees import DeploymentSubtrees as Subtrees
from stochisru.methods.hedging.cylinders import Steering
from stochisru.methods.hedging.monitor import HedgingState, Monitor, hedging_checkpoint
from stochisru.methods.hedging.proximal import HighsSubproblem, proximal_term, subproblem
from tests.cases import deployment_cases

T4 = ("--horizon", "4", "--branching", "3,3,2,2")


def tree_of(case, branching):
    return ScenarioTree.from_process(case.process, branching)


def assert_brackets(result, optimum):
    slack = 1e-7 * (1 + abs(optimum))
    assert result.bounds.lower <= optimum + slack
    assert result.bounds.upper >= optimum - slack
    assert result.bounds.certified
    assert result.objective == pytest.approx(result.plan.value)
    assert result.objective <= result.bounds.upper + slack


@settings(max_examples=20)
@given(deployment_cases(max_T=3), st.lists(st.integers(2, 3), min_size=3, max_size=3), st.integers(1, 3))
def test_bounds_enclose_the_optimum_of_the_tree_program(case, branching, cut):
    case = case.replace(T=3)
    tree = tree_of(case, branching)
    result = progressive_hedging(case, tree, cut_stage=cut, rel_gap=1e-3, iterations=40)
    assert_brackets(result, extensive_form(case, tree).objective)
    lower = [line.lower for line in result.iterations]
    upper = [line.upper for line in result.iterations]
    assert lower == sorted(lower)
    assert upper == sorted(upper, reverse=True)
    assert (result.termination.reason == "optimal") == result.bounds.meets(1e-3)


@pytest.mark.parametrize("name", ["lunar-reference", "contested-market", "predecessor"])
def test_small_gap_gives_the_optimal_first_stage(name):
    from stochisru import load_case

    case = load_case(name).replace(T=5)
    tree = tree_of(case, [3] * 5)
    exact = extensive_form(case, tree)
    result = progressive_hedging(case, tree, cut_stage=2, rel_gap=1e-4)
    assert result.termination.reason == "optimal"
    assert result.bounds.gap <= 1e-4
    assert_brackets(result, exact.objective)
    for key, mass in exact.first_stage.items():
        assert result.first_stage[key] == pytest.approx(mass, rel=0.01)
    log = result.log
    assert list(log.columns[:4]) == ["number", "seconds", "lower", "upper"]
    assert len(log) == len(result.iterations)


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_every_cut_stage_reaches_the_gap(reference, cut):
    case = reference.replace(T=3)
    tree = tree_of(case, [3, 3, 3])
    result = progressive_hedging(case, tree, cut_stage=cut, rel_gap=1e-3)
    assert result.bounds.gap <= 1e-3
    assert_brackets(result, extensive_form(case, tree).objective)
    assert f"{3**cut} subtrees cut at stage {cut}" in result.termination.detail


def test_quadratic_and_linearised_proximal_terms_agree(reference):
    case = reference.replace(T=3, sigma=0.4)
    parts = Subtrees(case, tree_of(case, [3, 2, 2]), 1)
    rng = np.random.default_rng(0)
    program = parts.program(0)
    years = len(parts.years)
    linear, square = (HighsSubproblem(program, "x", form) for form in ("linearised", "quadratic"))
    for _ in range(20):
        price = rng.normal(0, 2e4, years)
        centre = rng.uniform(50, 500, years)
        rho = rng.uniform(50, 500, years)
        a, b = linear.proximal(price, centre, rho), square.proximal(price, centre, rho)
        assert a == pytest.approx(b, rel=0.06, abs=0.5)


def test_proximal_term_is_chosen_by_capability():
    assert proximal_term("highs", None) == "linearised"
    assert proximal_term("highs", "quadratic") == "quadratic"
    assert proximal_term("gurobi", None) == "quadratic"
    with pytest.raises(InputError, match="proximal: must be one of quadratic with gurobi"):
        proximal_term("gurobi", "linearised")


def test_subtrees_partition_the_tree_program(reference):
    """Probability-weighted subtree optima with common orders add up to the value of the whole."""
    case = reference.replace(T=4, lead_time=2, degradation=0.1, earth_limit=900.0)
    tree = tree_of(case, [3, 2, 2, 2])
    exact = extensive_form(case, tree)
    for cut in (1, 2, 3, 4):
        parts = Subtrees(case, tree, cut)
        plan = exact.plan.deployment
        total = 0.0
        for i in range(parts.count):
            program = parts.program(i)
            orders = np.array([plan[program.origin[program.branch.at(t)][0]] for t in parts.years])
            total += parts.probability[i] * subproblem(program, "x", "highs", "linearised").fixed(orders).value
        assert total == pytest.approx(exact.objective, rel=1e-8)


def test_lagrangian_bound_is_valid_for_any_prices_that_cancel(reference):
    from stochisru.methods.hedging.engine import engine_arguments, engine_class, import_mpisppy

    import_mpisppy(serial=True)
    case = reference.replace(T=3)
    tree = tree_of(case, [3, 3, 2])
    parts = Subtrees(case, tree, 2)
    engine = engine_class(parts, "highs", "linearised")(**engine_arguments(parts, 1))
    engine._create_solvers()
    optimum = extensive_form(case, tree).objective
    rng = np.random.default_rng(1)
    for scale in (0, 10, 1e3, 1e5):
        price = rng.normal(0, 1, parts.shared.shape) * scale
        price -= parts.node_mean(price)
        assert engine.lagrangian(price) >= optimum * (1 - 1e-9)
    # The trap: prices that do not cancel give something below the optimum, and it is refused.
    biased = np.full(parts.shared.shape, 1e4)
    false_bound = sum(
        p * engine.subproblems[f"subtree{i}"].priced(biased[i]).bound for i, p in enumerate(parts.probability)
    )
    assert false_bound < optimum
    with pytest.raises(BoundsError, match=r"E\[W\]"):
        engine.lagrangian(biased)


def test_rho_that_differs_inside_a_node_is_refused(reference):
    case = reference.replace(T=3)
    parts = Subtrees(case, tree_of(case, [3, 3, 2]), 2)
    steering = Steering(None, Monitor(parts, 1e-3, 5, None, None, None), None)
    rho = np.ones(parts.shared.shape)
    steering._require_common(rho)
    rho[0, 0] = 2.0
    with pytest.raises(BoundsError, match="rho differs"):
        steering._require_common(rho)


def test_crossing_bounds_are_an_error_and_never_a_gap(reference):
    case = reference.replace(T=3)
    monitor = Monitor(Subtrees(case, tree_of(case, [3, 3, 2]), 1), 1e-3, 5, None, None, None)
    monitor.improve(lower=100.0)
    with pytest.raises(BoundsError, match="bounds cross"):
        monitor.improve(upper=-1e9)


@pytest.mark.parametrize("trap", ["unbounded", "infeasible"])
def test_a_failed_subproblem_names_its_node(reference, monkeypatch, trap):
    """Stock mpi-sppy keeps an old bound here and ends with a gap of −28 %."""
    case = reference.replace(T=3)
    tree = tree_of(case, [3, 3, 2])
    original = Subtrees.program

    def broken(self, i):
        part = original(self, i)
        if i != 4:
            return part
        program = part.program
        if trap == "unbounded":
            upper, objective = program.upper.copy(), program.objective.copy()
            span = program.columns["S"].span
            upper[span], objective[span] = np.inf, 1.0
            lower = program.lower.copy()
            q = program.columns["Q_earth"].span
            lower[q] = -np.inf
            program = replace(program, upper=upper, lower=lower, objective=objective)
        else:
            lower = program.lower.copy()
            lower[program.columns["M"].span] = program.upper[program.columns["M"].span] + 1
            program = replace(program, lower=lower, upper=program.upper + 1e6 * (lower > program.upper))
            upper = program.upper.copy()
            upper[program.columns["dM"].span] = 0.0
            program = replace(program, upper=upper)
        return replace(part, program=program)

    monkeypatch.setattr(Subtrees, "program", broken)
    node = Subtrees(case, tree, 2).nodes[4]
    with pytest.raises(SolverError, match=rf"subtree 4 \(node {node} of stage 2\).*(?i:unbounded|infeasible)"):
        progressive_hedging(case, tree, cut_stage=2)


def test_limits_are_named_and_not_called_optimal(reference):
    case = reference.replace(T=4)
    tree = tree_of(case, [3, 3, 2, 2])
    few = progressive_hedging(case, tree, cut_stage=2, rel_gap=0.0, iterations=3)
    assert (few.termination.reason, few.termination.limit) == ("limit", "iterations")
    assert few.iterations[-1].number == 3
    short = progressive_hedging(case, tree, cut_stage=2, rel_gap=0.0, time_limit=1e-3)
    assert (short.termination.reason, short.termination.limit) == ("limit", "time")
    assert_brackets(short, extensive_form(case, tree).objective)


def test_checkpoint_resumes_with_monotone_bounds(reference, tmp_path):
    case = reference.replace(T=4)
    tree = tree_of(case, [3, 3, 2, 2])
    folder = tmp_path / "state"
    call = {"cut_stage": 2, "rel_gap": 1e-6, "checkpoint": folder, "checkpoint_interval": 0}
    first = progressive_hedging(case, tree, **call, iterations=6)
    with pytest.raises(InputError, match="holds a run already"):
        progressive_hedging(case, tree, **call, iterations=6)
    second = progressive_hedging(case, tree, **call, iterations=12, resume=True)
    assert [line.number for line in second.iterations] == list(range(13))
    for a, b in zip(first.iterations, second.iterations, strict=False):
        assert (a.lower, a.upper, a.seconds) == (b.lower, b.upper, b.seconds)
    assert second.bounds.lower >= first.bounds.lower * (1 - 1e-12)
    assert second.bounds.upper <= first.bounds.upper
    assert_brackets(second, extensive_form(case, tree).objective)
    whole = progressive_hedging(case, tree, cut_stage=2, rel_gap=1e-6, iterations=12)
    assert second.bounds.upper == pytest.approx(whole.bounds.upper, rel=1e-3)
    for other, message in (
        ((case.replace(sigma=0.3), None, 2), "another run .case:"),
        ((case, [3, 3, 2, 3], 2), "another run .tree:"),
        ((case, None, 1), "another run .cut_stage:"),
    ):
        problem, branching, cut = other
        with pytest.raises(InputError, match=message):
            progressive_hedging(
                problem, tree_of(problem, branching or [3, 3, 2, 2]), cut_stage=cut, checkpoint=folder, resume=True
            )
    with pytest.raises(InputError, match=r"another run .proximal: 'linearised' there, 'quadratic' here"):
        progressive_hedging(case, tree, **call, proximal="quadratic", resume=True)
    (folder / "state.npz").write_bytes(b"rubbish")
    with pytest.raises(InputError, match="cannot read"):
        progressive_hedging(case, tree, **call, resume=True)


def test_resume_continues_the_same_prices(reference, tmp_path):
    case = reference.replace(T=3)
    tree = tree_of(case, [3, 3, 2])
    call = {"cut_stage": 1, "rel_gap": 0.0, "checkpoint": tmp_path / "a", "checkpoint_interval": 0}
    progressive_hedging(case, tree, **call, iterations=4)
    parts = Subtrees(case, tree, 1)
    before = HedgingState.load(hedging_checkpoint(tmp_path / "a", parts, 0), parts)
    progressive_hedging(case, tree, **call, iterations=5, resume=True)
    after = HedgingState.load(hedging_checkpoint(tmp_path / "a", parts, 0), parts)
    assert (before.iteration, after.iteration) == (4, 5)
    assert np.abs(parts.node_mean(after.price)).max() < 1e-8 * np.abs(after.price).max()
    assert after.upper <= before.upper


def test_kill_loses_at_most_one_interval(tmp_path):
    call = [sys.executable, "-m", "stochisru", "solve", "lunar-reference", "--method", "ph", "--horizon", "6",
            "--branching", "3,3,3,3,3,3", "--cut-stage", "3", "--rel-gap", "0", "--checkpoint", "state",
            "--checkpoint-interval", "0", "--iterations", "100000"]  # fmt: skip
    process = subprocess.Popen(call, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    state = tmp_path / "state" / "state.npz"
    deadline = time.monotonic() + 60
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.0)
    process.send_signal(signal.SIGKILL)
    process.wait()
    header = json.loads(str(np.load(state)["header"]))
    resumed = subprocess.run(
        [*call[:-1], str(header["iteration"] + 2), "--resume", "--json", "-"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    data = json.loads(resumed.stdout)
    numbers = [line["number"] for line in data["iterations"]]
    assert numbers == list(range(header["iteration"] + 3))
    assert data["bounds"]["upper"] <= header["upper"]
    upper = [line["upper"] for line in data["iterations"]]
    assert upper == sorted(upper, reverse=True)


def test_command_line_serial(run_cli, tmp_path):
    out = run_cli("solve", "lunar-reference", "--method", "ph", *T4, "--cut-stage", "2", "--json", "-", check=0)
    data = json.loads(out.stdout)
    assert data["bounds"]["gap"] <= 1e-3
    assert {"lower", "upper", "seconds", "primal_residual", "gap"} <= set(data["iterations"][0])
    assert data["termination"]["reason"] == "optimal"
    assert out.stderr == ""
    assert list(tmp_path.iterdir()) == []  # mpi-sppy's log files go elsewhere
    assert "bounds" in run_cli("solve", "lunar-reference", "--method", "ph", *T4, check=0).stdout


@pytest.mark.parametrize(
    "arguments, field",
    [
        (("--cut-stage", "0"), "cut_stage"),
        (("--cut-stage", "9"), "cut_stage"),
        (("--rel-gap", "-1"), "rel_gap"),
        (("--rel-gap", "nan"), "rel_gap"),
        (("--time-limit", "0"), "time_limit"),
        (("--iterations", "0"), "iterations"),
        (("--proximal", "cubic"), "proximal"),
        (("--resume",), "resume"),
        (("--checkpoint", "/proc/nowhere"), "checkpoint"),
        (("--checkpoint", "c", "--checkpoint-interval", "-1"), "checkpoint_interval"),
    ],
)
def test_bad_options(run_cli, tmp_path, arguments, field):
    out = run_cli("solve", "lunar-reference", "--method", "ph", *T4, *arguments)
    assert out.returncode == 2, out.stderr
    assert out.stdout == ""
    assert len(out.stderr.strip().splitlines()) == 1
    assert field in out.stderr
    assert list(tmp_path.iterdir()) == []


def test_options_of_one_method_are_refused_by_the_other(run_cli):
    out = run_cli("solve", "lunar-reference", *T4, "--cut-stage", "2")
    assert (out.returncode, "cut_stage: is an option of --method ph" in out.stderr) == (2, True)


# ------------------------------------------------------------------------ MPI


@pytest.fixture(scope="module")
def mpiexec():
    """The launcher that came with the mpi extra, in the environment of the tests."""
    pytest.importorskip("mpi4py")
    found = shutil.which("mpiexec", path=os.path.dirname(sys.executable))  # noqa: PTH120
    if found is None and not os.environ.get("CI"):
        pytest.skip("the mpi extra is not installed")
    assert found
    return found


def launch(mpiexec, ranks, *arguments, cwd, module=("-m", "mpi4py", "-m", "stochisru")):
    return subprocess.run(
        [mpiexec, "-n", str(ranks), sys.executable, *module, *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("ranks", [1, 2, 3, pytest.param(4, marks=pytest.mark.slow)])
def test_ranks_agree_with_the_serial_run(mpiexec, reference, tmp_path, ranks):
    call = ("solve", "lunar-reference", "--method", "ph", *T4, "--cut-stage", "2", "--rel-gap", "1e-4", "--json", "-")
    out = launch(mpiexec, ranks, *call, cwd=tmp_path)
    assert out.returncode == 0, out.stderr
    data = json.loads(out.stdout)  # one rank speaks
    case = reference.replace(T=4)
    exact = extensive_form(case, tree_of(case, [3, 3, 2, 2]))
    assert data["bounds"]["gap"] <= 1e-4
    assert data["bounds"]["lower"] <= exact.objective * (1 + 1e-9)
    assert data["bounds"]["upper"] >= exact.objective * (1 - 1e-9)
    assert data["first_stage"]["dM1"] == pytest.approx(exact.first_stage["dM1"], rel=0.01)
    if ranks > 1:
        assert f"{ranks} ranks" in data["termination"]["detail"]
    assert list(tmp_path.iterdir()) == []


def test_commands_for_one_process_say_so_under_mpi(mpiexec, tmp_path):
    out = launch(mpiexec, 2, "value", "lunar-reference", *T4, cwd=tmp_path)
    assert out.returncode == 2
    assert "mpi: 'value' runs in one process" in out.stderr
    assert out.stdout == ""


def test_wrong_number_of_ranks_is_refused(mpiexec, tmp_path):
    out = launch(mpiexec, 5, "solve", "lunar-reference", "--method", "ph", *T4, cwd=tmp_path)
    assert out.returncode == 2
    assert "number of ranks must be 1 or a multiple of 2 or 3" in out.stderr


def test_checkpoint_under_mpi_resumes_serially(mpiexec, tmp_path):
    call = ("solve", "lunar-reference", "--method", "ph", *T4, "--cut-stage", "2", "--json", "-",
            "--checkpoint", "state", "--checkpoint-interval", "0")  # fmt: skip
    first = launch(mpiexec, 3, *call, "--rel-gap", "1e-2", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    second = subprocess.run(
        [sys.executable, "-m", "stochisru", *call, "--rel-gap", "1e-4", "--resume"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    a, b = json.loads(first.stdout), json.loads(second.stdout)
    assert b["bounds"]["lower"] >= a["bounds"]["lower"] * (1 - 1e-12)
    assert b["bounds"]["upper"] <= a["bounds"]["upper"]
    assert b["bounds"]["gap"] <= 1e-4


FAILING = """
import sys
import stochisru.methods.hedging.engine as engine
from stochisru.errors import SolverError
from mpi4py import MPI
rank = int(sys.argv[1])
original = engine.engine_class
def broken(*arguments):
    kind = original(*arguments)
    if MPI.COMM_WORLD.rank == rank:
        def fail(self, *_, **__):
            raise SolverError("subtree 1 (node 2 of stage 1): a broken subproblem")
        kind.lagrangian = kind.incumbent = kind.solve_one = fail
    return kind
engine.engine_class = broken
from stochisru.cli.main import main
main(["solve", "lunar-reference", "--method", "ph", "--horizon", "3", "--branching", "3,3,3", "--cut-stage", "2"])
"""


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_when_one_rank_raises_all_end_with_its_message(mpiexec, tmp_path, rank):
    (tmp_path / "failing.py").write_text(FAILING)
    start = time.monotonic()
    out = launch(mpiexec, 3, "failing.py", rank, cwd=tmp_path, module=("-m", "mpi4py"))
    assert time.monotonic() - start < 60
    assert out.returncode != 0
    assert "node 2 of stage 1" in out.stderr
    assert "Traceback" not in out.stderr


# --------------------------------------------------------------------- Gurobi


def test_gurobi_within_and_beyond_its_free_licence(reference, run_cli):
    pytest.importorskip("gurobipy")
    case = reference.replace(T=4)
    tree = tree_of(case, [3, 3, 2, 2])
    exact = extensive_form(case, tree)
    assert extensive_form(case, tree, solver="gurobi").objective == pytest.approx(exact.objective, rel=1e-7)
    result = progressive_hedging(case, tree, cut_stage=2, solver="gurobi", rel_gap=1e-3)
    assert_brackets(result, exact.objective)
    assert result.bounds.gap <= 1e-3
    assert "quadratic" in result.termination.detail
    assert result.solver.startswith("gurobi")
    long = ("--horizon", "7", "--branching", "3,3,3,3,3,3,3", "--solver", "gurobi")
    for method in (("ef",), ("ph", "--cut-stage", "1")):
        out = run_cli("solve", "lunar-reference", *long, "--method", *method)
        assert out.returncode == 2
        assert len(out.stderr.strip().splitlines()) == 1
        assert "free gurobi licence" in out.stderr


def test_missing_gurobi_is_named(reference, monkeypatch):
    from stochisru.programs.solvers.gurobi import Gurobi

    monkeypatch.setattr(Gurobi, "version", lambda self: None)
    with pytest.raises(InputError, match="gurobi is not installed"):
        progressive_hedging(reference.replace(T=2), tree_of(reference.replace(T=2), [3, 3]), solver="gurobi")
