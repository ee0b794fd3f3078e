"""Stochastic dual dynamic programming on a Markov lattice of demand.

The value of each stage and state is bounded from above by cuts; passes make more of them at trial points until the root
program's value meets what a plan is worth (Pereira and Pinto 1991; Philpott and Guan 2008; on lattices Löhndorf and
Shapiro 2019). Cuts are made valid whatever the solver's tolerances, so the upper bound is proven at any time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from scenario_trees.lattice import MarkovLattice
from stochisru.errors import InputError, require_confidence, require_integer, require_kind, require_path
from stochisru.methods.problems import stated_on_lattices
from stochisru.methods.result import Bounds, Kind, Of, Reason, Result, Termination
from stochisru.methods.risk import Expectation
from stochisru.methods.sddp.clock import Clock
from stochisru.methods.sddp.crew import crew_of
from stochisru.methods.sddp.feasibility import require_a_plan
from stochisru.methods.sddp.monitor import SddpIteration, SddpState, sddp_checkpoint
from stochisru.methods.sddp.run import SddpRun
from stochisru.methods.sddp.trials import Trials
from stochisru.methods.sddp.vertices import MOST_DIMENSIONS
from stochisru.methods.stopping import AnyOf, GapReached, GapWithConfidence, IterationLimit, TimeLimit
from stochisru.programs.solvers import solver_named
from stochisru.protocols import LatticePlanT, ProblemOnLattices, RiskMeasure, StoppingRule

#: Iterations after which, without a plan in hand, it is asked whether there can be one.
_UNTIL_ASKED = 4
#: States per stage of the lattice that is made.
STATES = 30


def sddp(
    case: ProblemOnLattices[LatticePlanT],
    lattice: MarkovLattice | None = None,
    *,
    states: int = STATES,
    risk: RiskMeasure = Expectation(),  # noqa: B008  # frozen
    rel_gap: float = 1e-3,
    iterations: int = 500,
    time_limit: float | None = None,
    stopping: StoppingRule | Sequence[StoppingRule] | None = None,
    passes: int = 2,
    workers: int = 1,
    seed: int = 0,
    simulations: int = 1000,
    confidence: float = 0.95,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: Callable[[SddpIteration], None] | None = None,
) -> Result[LatticePlanT]:
    """Solve the multistage problem on a lattice by SDDP.

    Parameters
    ----------
    case
        The problem: a case with any horizon, lead time, degradation and Earth limit, with a store where it is
        ``case.stored(Storage(…))``, or a linear `Model`.
    lattice
        Lattice of demand or of the model's factor, one stage per year; made with ``states`` per stage if not given.
    states
        States per stage of the lattice that is made.
    risk
        One of `stochisru.methods.risk`, nested over the years.
    rel_gap
        Stop when the gap, `stochisru.methods.result.relative_gap`, is at most this.
    iterations, time_limit
        Stop after so many iterations (of all parts of a resumed run) or seconds (of this part, the simulation and the
        last lower bound included).
    stopping
        Further rules of `stochisru.methods.stopping`, one or several.
    passes
        Passes per iteration after the first, each with 64 trial points per stage; they can run at the same time.
    workers
        Processes; the result does not depend on it.
    seed
        Seed of trial paths and of the simulation, ≥ 0.
    simulations
        Fresh paths of the lattice on which the plan is simulated at the end.
    confidence
        Level of the interval of the simulated mean.
    checkpoint
        Folder for the cuts, written every 30 seconds and at the end. It belongs to this problem, ``passes``, ``seed``
        and version of the code, and is locked while the run lasts.
    resume
        Go on from the checkpoint; its bounds are kept.
    progress
        Called with every line of the log.

    Returns
    -------
    Result
        The upper bound is the value of the root program. The lower bound is proven as well (``certified``) where it is
        the exact value of the plan's order-up-to levels (expectation, no store), that of the plan along all histories
        of the lattice (at most 3,000 nodes), or that of mixtures of points (states of at most six entries); else it is
        the lower end of the interval of the simulated mean.
        The objective is the exact value of the plan where it is one of levels, else the lower bound, or the simulated
        mean where that is all there is; ``plan.simulated`` is there always. All are values on the lattice:
        `MarkovLattice.check` says how well it stands for the process.

    Raises
    ------
    InputError
        If an argument is out of range, the lattice does not belong to the case, or the checkpoint is another problem's.
    InfeasibleError
        If every plan is proven to break a row; the message names rows.
    SolverError
        If a stage program is not solved to optimality; the message names stage and state.
    BoundsError
        If bounds cross.

    Examples
    --------
    >>> from stochisru import load_case
    >>> from stochisru.methods.sddp.method import sddp
    >>> result = sddp(load_case("lunar-reference").replace(T=5), states=6)
    >>> result.bounds.certified, result.bounds.gap <= 1e-3
    (True, True)
    """
    _require_counts(passes=(passes, 1), workers=(workers, 1), seed=(seed, 0), simulations=(simulations, 2))
    require_confidence(confidence)
    require_kind("resume", resume, bool, "true or false")
    if not hasattr(risk, "neutral"):
        raise InputError(f"risk: must be one of stochisru.methods.risk, got {type(risk).__name__}")
    folder = None if checkpoint is None else require_path("checkpoint", checkpoint)
    if resume and checkpoint is None:
        raise InputError("resume: needs the checkpoint folder of the run to go on with")
    rule = _rule(rel_gap, iterations, time_limit, stopping, risk)

    start, clock = time.perf_counter(), Clock(time_limit)
    programs = stated_on_lattices(case).on_lattice(states if lattice is None else lattice)
    run = SddpRun(programs, risk, rule, rel_gap, seed, clock)
    if not (risk.neutral or run.by_vertices or run.by_histories):
        raise InputError(
            f"lead_time: nested risk needs states of at most {MOST_DIMENSIONS} entries, got {run.dimensions}"
        )
    store = None if folder is None else sddp_checkpoint(folder, programs, risk)
    options = {"passes": passes, "seed": seed}
    with nullcontext() if store is None else store.claimed(resume, **options):
        state = SddpState.load(store, run.engine.layout.length) if store is not None and resume else None
        if state is not None:
            run.resume(state)
        built = time.perf_counter()
        with crew_of(run.engine, Trials(programs, seed), passes, workers, run.state) as crew:
            limit, asked = run.limit(), False
            while limit is None:
                crew.absorb(crew.iteration(len(run.log), clock.passes_until))
                line = run.advance()
                if progress:
                    progress(line.shown(programs.sign))
                limit = run.limit()
                if not asked and not np.isfinite(run.lower) and (limit or len(run.log) >= _UNTIL_ASKED):
                    require_a_plan(programs, seed, clock.passes_until)
                    asked = True
                if store is not None and store.due():
                    run.state.save(store)
        run.close()
        if store is not None:
            run.state.save(store)
    solved = time.perf_counter()

    plan = run.finished_plan(simulations, confidence)
    assert plan.simulated is not None
    bounds, objective = run.bounds, run.worth if run.by_levels else run.lower
    if not bounds.certified:
        objective = min(programs.sign * plan.simulated.value, run.upper)
        simulated = Kind.STATISTICAL if max(programs.lattice.sizes) > 1 else Kind.CERTIFIED  # one path is no sample
        ends = [plan.simulated.lower if programs.sign > 0 else -plan.simulated.upper, run.upper]
        low = min(ends) if np.isfinite(ends).all() else -np.inf  # a plan that breaks a row is none
        bounds = Bounds(low, run.upper, simulated, Of.LATTICE, programs.flows, confidence)
    met = bounds.certified and run.met  # an interval proves nothing
    last = run.log[-1]
    mean = f"mean {plan.simulated.value:,.0f} ± {plan.simulated.upper - plan.simulated.value:,.0f} $"
    seen = mean if np.isfinite(plan.simulated.value) else f"plan: {plan.simulated.reason}"
    detail = (
        f"gap {bounds.gap:.2g} after {last.number} iterations on {programs.lattice!r}, {risk.label}; simulated {seen}"
    )
    if programs.sign < 0:  # all of the above is worth, of which more is better
        objective, bounds = -objective, bounds.negative()
    return Result(
        method="sddp",
        objective=objective,
        bounds=bounds,
        sense="maximise" if programs.sign > 0 else "minimise",
        termination=Termination(Reason.OPTIMAL if met else Reason.LIMIT, None if met else limit, detail),
        plan=plan,
        timings={"build": built - start, "solve": solved - built, "simulate": time.perf_counter() - solved},
        solver=f"highs {solver_named('highs').version()}",
        iterations=tuple(line.shown(programs.sign) for line in run.log),
    )


def _require_counts(**counts: tuple[int, int]) -> None:
    for name, (count, low) in counts.items():
        require_integer(name, count, low)


def _rule(
    rel_gap: float,
    iterations: int,
    time_limit: float | None,
    stopping: StoppingRule | Sequence[StoppingRule] | None,
    risk: RiskMeasure,
) -> StoppingRule:
    """All rules of a run as one; gap and user's rules are asked before the limits."""
    given = () if stopping is None else tuple(stopping) if isinstance(stopping, Sequence) else (stopping,)
    flat = [part for rule in given for part in (rule.rules if isinstance(rule, AnyOf) else (rule,))]
    for rule in flat:
        if not hasattr(rule, "met"):
            raise InputError(f"stopping: must be rules of stochisru.methods.stopping, got {rule!r}")
        if isinstance(rule, GapWithConfidence) and not risk.neutral:
            raise InputError("stopping: a simulated mean says nothing about a nested risk measure; use another rule")
    limits: list[StoppingRule] = [GapReached(rel_gap), *flat]
    if time_limit is not None:
        limits.append(TimeLimit(time_limit))
    return AnyOf((*limits, IterationLimit(iterations)))
