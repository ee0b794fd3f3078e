"""Progressive hedging on subtrees, alone or under MPI, with certified bounds.

The problem is cut at a stage; what is decided before the cut is coordinated by prices W: of the lunar problem the plant
of those years. Any prices with E[W] = 0 at every node give a bound (the Lagrangian of nonanticipativity), any plan that
can be carried out one from the other side; the result is *optimal* only if both are known and meet the requested gap.
See Rockafellar and Wets (1991) for the method and Gade et al. (2016) for the bound.

Where deployments come in modules or cost less together, the subproblems are mixed-integer programs. The bounds hold all
the same, but no prices may close the gap between them (a *duality gap*); the run then ends by a limit.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.tree import ScenarioTree
from stochisru import mpi
from stochisru.errors import (
    BoundsError,
    InputError,
    SolverError,
    StochisruError,
    require_integer,
    require_kind,
    require_number,
    require_path,
)
from stochisru.methods.checkpoint import Checkpoint
from stochisru.methods.hedging.monitor import HedgingIteration, HedgingState, Incumbent, Monitor, hedging_checkpoint
from stochisru.methods.hedging.proximal import Proximal, proximal_term
from stochisru.methods.options import Options, option
from stochisru.methods.problems import stated_on_trees, why_not_on_trees
from stochisru.methods.result import Bounds, Kind, Of, Reason, Result, Termination
from stochisru.programs.solvers import solver_named
from stochisru.programs.sparse import FEASIBILITY
from stochisru.protocols import ProblemOnTrees, Subtrees, TreePlanT

#: Nodes of a subtree up to which a cut is early enough: few large subtrees agree sooner than many small ones, and up to
#: this size are solved at about the pace per node of small ones (measured on 3^2 to 3^9 leaves and on drawn models).
_NODES = 4000


def default_cut(tree: ScenarioTree, ranks: int = 1) -> int:
    """First stage below which no subtree has more than 4,000 nodes, with two subtrees and three per rank; or the last.

    Parameters
    ----------
    ranks
        Ranks that share the subtrees: those of one cylinder.
    """
    wanted = 2 if ranks == 1 else 3 * ranks
    below = np.ones(tree.n_nodes, dtype=np.int64)
    for stage in range(tree.horizon, 0, -1):
        here = tree.at(stage)
        np.add.at(below, tree.parent[here], below[here])
    for stage in range(1, tree.horizon + 1):
        largest = below[tree.at(stage)]
        if largest.size >= wanted and largest.max() <= _NODES:
            return stage
    return tree.horizon


@dataclass(frozen=True)
class HedgingOptions(Options):
    """Options of progressive hedging."""

    solver: str = option("highs", "solver of the program", choices=("highs", "gurobi"))
    rel_gap: float = option(1e-3, "relative gap to reach", low=0.0)
    cut_stage: int | None = option(
        None, "stage at which the tree is cut into subtrees", default="by the sizes of subtrees", low=1
    )
    proximal: str | None = option(
        None, "form of the proximal term", default="by solver", choices=("quadratic", "linearised")
    )
    iterations: int = option(500, "stop after so many iterations", low=1)
    time_limit: float | None = option(
        None, "stop after so many seconds", default="none", unit="s", low=0.0, strict=True
    )
    checkpoint: Path | None = option(None, "folder for the state of the run", default="none")
    checkpoint_interval: float = option(30.0, "seconds between states", unit="s", low=0.0)
    resume: bool = option(False, "go on from the checkpoint")


class ProgressiveHedging:
    """Subtrees that are made to agree; see `progressive_hedging`."""

    name, summary, on = "ph", "progressive hedging on subtrees, also under MPI", Of.TREE
    options = HedgingOptions

    def refuses(self, case: Any) -> str | None:
        """Nothing that can be stated on a tree."""
        return why_not_on_trees(case)

    def kind(self, case: Any) -> Kind:
        """A dual bound; where there may be whole numbers the solver's own."""
        return Kind.CERTIFIED if case.is_linear and case.has_exact_plans else Kind.SOLVER

    def solve(
        self, case: Any, on: ScenarioTree, options: HedgingOptions, progress: Callable[[Any], None] | None = None
    ) -> Result[Any]:
        """Solve a problem on a tree."""
        return progressive_hedging(case, on, progress=progress, **vars(options))


def progressive_hedging(
    case: ProblemOnTrees[TreePlanT],
    tree: ScenarioTree,
    *,
    cut_stage: int | None = None,
    rel_gap: float = 1e-3,
    iterations: int = 500,
    time_limit: float | None = None,
    solver: str = "highs",
    proximal: str | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_interval: float = 30.0,
    resume: bool = False,
    progress: Callable[[HedgingIteration], None] | None = None,
) -> Result[TreePlanT]:
    """Solve the multistage problem by progressive hedging.

    Under MPI every rank calls this function with the same arguments, and every rank gets the same result.

    Parameters
    ----------
    case, tree
        The problem.
    cut_stage
        Stage at which the tree is cut: one subtree per node of it. T gives the classical one-leaf scenarios. See
        `default_cut` if not given.
    rel_gap
        Stop when the gap, `stochisru.methods.result.relative_gap`, is at most this.
    iterations, time_limit
        Stop after so many iterations (of all parts of a resumed run) or seconds (of this part).
    solver
        ``highs`` or ``gurobi``.
    proximal
        ``quadratic`` or ``linearised``; by the solver's capability if not given. HiGHS has no quadratic one for
        mixed-integer programs.
    checkpoint
        Folder for the state of the run, written every ``checkpoint_interval`` seconds and at the end. It belongs to
        this problem, cut, solver, proximal term and version of the code, and is locked while the run lasts.
    resume
        Go on from the checkpoint; its bounds are kept.
    progress
        Called with every line of the log (under MPI, on the first rank).

    Returns
    -------
    Result
        With the bracket, the incumbent as plan, and the log as ``iterations``. The bracket of mixed-integer programs is
        not certified: it is relative to the solver's tolerances. Their runs end as ``stalled`` when the gap no longer
        shrinks.

    Raises
    ------
    InputError
        If an argument is out of range, the number of ranks does not fit, or the checkpoint is another problem's.
    SolverError
        If a subproblem is not solved to optimality; the message names subtree, node and status.
    BoundsError
        If bounds cross or prices do not cancel.
    """
    stated_on_trees(case).on_tree(tree)
    solver_named(solver)
    for name, number in (("rel_gap", rel_gap), ("checkpoint_interval", checkpoint_interval)):
        require_number(name, number, low=0.0)
    if time_limit is not None:
        require_number("time_limit", time_limit, low=0.0, strict=True)
    require_integer("iterations", iterations, 1)
    if proximal is not None:
        require_kind("proximal", proximal, str, "quadratic or linearised")
    require_kind("resume", resume, bool, "true or false")
    folder = None if checkpoint is None else require_path("checkpoint", checkpoint)
    if resume and folder is None:
        raise InputError("resume: needs the checkpoint folder of the run to go on with")

    start = time.perf_counter()
    world = mpi.world()
    ranks = 1 if world is None else int(world.size)
    if ranks > 1 and ranks % 2 and ranks % 3:
        raise InputError(f"mpi: the number of ranks must be 1 or a multiple of 2 or 3, got {ranks}")
    cylinders = 1 if ranks == 1 else 3 if ranks % 3 == 0 else 2
    if isinstance(tree, ScenarioTree) and tree.n_leaves < 2:
        raise InputError("tree: has one scenario, with which nothing has to agree; the extensive form (ef) solves it")
    subtrees = case.subtrees(tree, default_cut(tree, ranks // cylinders) if cut_stage is None else cut_stage)
    form = proximal_term(solver, proximal, subtrees.mixed)
    if ranks // cylinders > subtrees.count:
        raise InputError(
            f"cut_stage: must leave at least one subtree per rank of a cylinder, {ranks // cylinders}, "
            f"stage {subtrees.cut_stage} has {subtrees.count}"
        )
    store = None if folder is None else hedging_checkpoint(folder, subtrees, checkpoint_interval)
    first = world is None or world.rank == 0
    monitor = Monitor(subtrees, rel_gap, iterations, time_limit, store, progress if first else None)
    with nullcontext() if store is None else _claimed(store, world, resume, solver=solver, proximal=form):
        state: HedgingState | None = None
        best: Incumbent | None = None
        if store is not None and resume:
            state, best = HedgingState.load(store, subtrees), Incumbent.load(store, subtrees)
        if state is not None:
            monitor.resume(state)
        if best is not None:
            monitor.improve(lower=best.value)
        prepared = time.perf_counter()
        if world is None:
            table = _serial(subtrees, monitor, solver, form, state, best)
        else:
            table = _guarded(world, lambda: _wheel(world, subtrees, monitor, solver, form, state, best, cylinders))
    solved = time.perf_counter()

    if table is None:
        raise SolverError(
            f"progressive hedging found no plan above stage {subtrees.cut_stage} that can be gone on with "
            f"after {monitor.log[-1].number} iterations; cut elsewhere, or solve the whole tree by --method ef"
        )
    plan = subtrees.plan(table)
    slack = 1e-7 if subtrees.exact else FEASIBILITY
    if abs(plan.value - subtrees.sign * monitor.lower) > slack * max(monitor.flows, plan.flows):
        raise BoundsError(f"the incumbent is worth {plan.value!r} on the whole tree, {monitor.lower!r} by subtrees")
    certified = subtrees.exact and not subtrees.mixed
    bounds = Bounds.of_plan(
        plan.value,
        subtrees.sign * monitor.upper,
        subtrees.sign,
        Kind.CERTIFIED if certified else Kind.SOLVER,
        Of.TREE,
        monitor.flows,
        slack=0.0 if subtrees.exact else FEASIBILITY,
    )
    met = bounds.meets(rel_gap)
    layout = "one process" if ranks == 1 else f"{ranks} ranks in {cylinders} cylinders"
    detail = (
        f"gap {bounds.gap:.2g} after {monitor.log[-1].number} iterations on {subtrees.count} subtrees cut at stage "
        f"{subtrees.cut_stage}, {form} proximal term, {layout}"
    )
    return Result(
        method="ph",
        objective=plan.value,
        bounds=bounds,
        termination=Termination(Reason.OPTIMAL if met else Reason.LIMIT, None if met else monitor.limit, detail),
        plan=plan,
        sense="maximise" if subtrees.sign > 0 else "minimise",
        timings={"prepare": prepared - start, "solve": solved - prepared, "read": time.perf_counter() - solved},
        solver=f"{solver} {solver_named(solver).version()}",
        iterations=tuple(monitor.log),
    )


@contextmanager
def _claimed(store: Checkpoint, world: Any, resume: bool, **options: Any) -> Iterator[None]:
    """The folder of a run, claimed by the first rank for all of them."""
    with ExitStack() as stack:
        refused: str | None = None
        if world is None:
            stack.enter_context(store.claimed(resume, **options))
        else:
            if world.rank == 0:
                try:
                    stack.enter_context(store.claimed(resume, **options))
                except InputError as error:
                    refused = str(error)
            refused = world.bcast(refused, root=0)
            if refused is not None:
                raise InputError(refused)
        yield


def _mixed_gap(monitor: Monitor) -> float:
    """Relative gap at which mixed-integer subproblems are left: a part of the one that is asked for."""
    return monitor.rel_gap / 4


def _serial(
    subtrees: Subtrees[Any],
    monitor: Monitor,
    solver: str,
    form: Proximal,
    state: HedgingState | None,
    best: Incumbent | None,
) -> Array | None:
    from stochisru.methods.hedging.cylinders import Finder, SerialHub, Steering
    from stochisru.methods.hedging.engine import engine_arguments, engine_class, import_mpisppy

    import_mpisppy(serial=True)
    arguments = engine_arguments(subtrees, monitor.iterations - monitor.number)
    engine = engine_class(subtrees, solver, form, _mixed_gap(monitor))(**arguments)
    steering = Steering(engine, monitor, state)
    engine.extensions, engine.extobject = Steering, steering
    finder = Finder(engine, subtrees, monitor.checkpoint, best)
    hub = SerialHub(engine, monitor, finder)
    engine.spcomm = hub  # mpi-sppy keeps a weak reference
    engine.ph_main(finalize=False)
    if monitor.checkpoint is not None:
        steering.save()
    return finder.node_table()


def _wheel(
    world: Any,
    subtrees: Subtrees[Any],
    monitor: Monitor,
    solver: str,
    form: Proximal,
    state: HedgingState | None,
    best: Incumbent | None,
    cylinders: int,
) -> Array | None:
    from stochisru.methods.hedging.cylinders import Steering, cylinder_classes
    from stochisru.methods.hedging.engine import engine_arguments, engine_class, import_mpisppy

    import_mpisppy(serial=False)
    from mpisppy.spin_the_wheel import WheelSpinner

    engine = engine_class(subtrees, solver, form, _mixed_gap(monitor))
    hub, lagrangian, finder = cylinder_classes(subtrees, monitor, monitor.checkpoint, best, hub_finds=cylinders == 2)
    budget = monitor.iterations - monitor.number

    def cylinder(kind: type, role: str, **more: Any) -> dict[str, Any]:
        arguments = {**engine_arguments(subtrees, budget), **more}
        return {f"{role}_class": kind, "opt_class": engine, "opt_kwargs": arguments}

    steer = {"extensions": Steering, "extension_kwargs": {"monitor": monitor, "start": state}}
    spokes = [cylinder(lagrangian, "spoke")] + ([cylinder(finder, "spoke")] if cylinders == 3 else [])
    wheel = WheelSpinner(cylinder(hub, "hub", **steer), spokes)
    wheel.spin()
    if monitor.checkpoint is not None and wheel.on_hub():
        wheel.spcomm.opt.extobject.save()
    table, _ = world.bcast((getattr(wheel.spcomm, "node_table", None), None), root=2 if cylinders == 3 else 0)
    summary = world.bcast((monitor.lower, monitor.upper, monitor.log, monitor.limit), root=0)
    monitor.lower, monitor.upper, monitor.log, monitor.limit = summary
    return None if table is None else np.asarray(table)


def _guarded(world: Any, work: Callable[[], Array | None]) -> Array | None:
    """Run the work of one rank; if it fails, say why and end all ranks, which would wait for it for ever."""
    try:
        return work()
    except BaseException as error:
        if isinstance(error, StochisruError):
            text = " ".join(str(error).split())
        else:
            import traceback

            traceback.print_exc()
            text = f"{type(error).__name__}: {error}"
        sys.stderr.write(f"error: rank {world.rank}: {text}\n")
        mpi.end_all(world, 2 if isinstance(error, InputError) else 1)
        raise
