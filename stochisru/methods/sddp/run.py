"""A run of SDDP: its engine, its bounds, its log, and the plan in hand."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Generic

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import SolverError
from stochisru.estimate import Estimate
from stochisru.limits import Limit
from stochisru.methods.result import Bounds, Kind, Of, require_order
from stochisru.methods.risk import Expectation
from stochisru.methods.sddp.clock import AT_THE_END, ON_THE_WAY, Clock
from stochisru.methods.sddp.engine import Engine
from stochisru.methods.sddp.histories import MOST_HISTORIES, histories, history_bound
from stochisru.methods.sddp.monitor import SddpIteration, SddpState, parts
from stochisru.methods.sddp.trials import Trials
from stochisru.methods.sddp.vertices import ALLOWANCES, MOST_DIMENSIONS, vertex_bound
from stochisru.methods.stopping import Status
from stochisru.protocols import LatticePlanT, RiskMeasure, StagePrograms, StoppingRule

#: Paths that are simulated however little time is left.
_FEWEST_PATHS = 30
#: Entries of a state from which the first iteration gives no lower bound.
_MANY = 3


@dataclass
class SddpRun(Generic[LatticePlanT]):
    """Bounds and cuts of a run; iterations are made elsewhere and absorbed by its engine."""

    programs: StagePrograms[LatticePlanT]
    risk: RiskMeasure
    rule: StoppingRule
    rel_gap: float
    seed: int
    clock: Clock = field(default_factory=lambda: Clock(None))
    lower: float = -np.inf
    upper: float = np.inf
    log: list[SddpIteration] = field(default_factory=list)
    plan: LatticePlanT | None = None
    _counts: list[int] = field(default_factory=list)
    #: Exact value of the plan in hand, $, where it is one of order-up-to levels.
    worth: float = -np.inf
    _best: int = 0
    _mixed: int = 0
    _start: float = field(default_factory=time.perf_counter)
    _before: float = 0.0

    @cached_property
    def engine(self) -> Engine:
        """The engine of this process."""
        return Engine(self.programs, self.risk)

    # ------------------------------------------------------------------ bounds

    @property
    def dimensions(self) -> int:
        """Most entries of a state."""
        return max(stage.dimensions for stage in self.programs.stages)

    @property
    def by_levels(self) -> bool:
        """Whether a plan of order-up-to levels can be evaluated exactly."""
        return self.risk.neutral and self.programs.orders_up_to

    @property
    def by_vertices(self) -> bool:
        """Whether mixtures of points are to give the lower bound."""
        one_level = self.by_levels and self.programs.one_level
        return not one_level and self.dimensions <= MOST_DIMENSIONS

    @cached_property
    def by_histories(self) -> bool:
        """Whether the plan is to be followed along all histories of the lattice, which are few."""
        return not self.by_levels and histories(self.programs.lattice, self.risk.neutral) <= MOST_HISTORIES

    @property
    def bounds(self) -> Bounds:
        """Bracket so far; certified once a lower bound is proven."""
        return Bounds(
            self.lower,
            self.upper,
            Kind.CERTIFIED if np.isfinite(self.lower) else Kind.STATISTICAL,
            Of.LATTICE,
            self.programs.flows,
        )

    def advance(self) -> SddpIteration:
        """Form the bounds after an iteration was absorbed, and its line of the log."""
        number = len(self.log) + 1
        try:
            value, root = self.engine.root()
        except SolverError:
            if self.plan is None:
                raise
            value, plan = np.inf, self.plan  # the iteration is lost, what is in hand is not
        else:
            plan = self.snapshot(root)
        self.upper = min(self.upper, value)
        self._counts.append(self.engine.pool.count)
        if self.plan is None or not self.by_levels:
            self.plan, self._best = plan, number
        if self.by_levels:
            found = plan.exact_value()
            if found > self.worth:
                self.worth, self.plan, self._best = found, plan, number
            self.lower = max(self.lower, found)
        if self._worth_a_bound(number) and not self.met and self.clock.has_room:
            self._bound_below(ON_THE_WAY)
        require_order("lower bound", self.lower, "upper bound", self.upper, self.programs.flows)
        line = SddpIteration(
            number=number,
            seconds=self.seconds + self._before,
            lower=float(self.lower),
            upper=float(self.upper),
            root=float(value),
            cuts=self.engine.pool.count,
            kept=float(np.mean([rows.size for stage in self.engine.kept for rows in stage] or [0])),
            gap=self.bounds.gap,
        )
        self.log.append(line)
        return line

    def close(self) -> None:
        """Improve the lower bound a last time, where that is worth the effort; the last line of the log has it too."""
        if self._mixed < len(self.log) and not self.met:
            self._bound_below(AT_THE_END)
            self.log[-1] = replace(self.log[-1], lower=float(self.lower), gap=self.bounds.gap)

    def _worth_a_bound(self, number: int) -> bool:
        """Whether a lower bound on the way may repay its time: after 1, 2, 4, 8, … iterations.

        Points of the first follow no policy. Where states have many entries, mixtures of them say little and take as
        long as all cuts (two technologies, T = 30, 30 states: 23 % below, for half of the time).
        """
        return number & (number - 1) == 0 and (number > 1 or self.dimensions < _MANY)

    def _bound_below(self, share: float) -> None:
        """Follow the plan along all histories where they are few, else mix points."""
        if not (self.by_histories or self.by_vertices):
            return
        with self.clock.bounding(share) as until:
            if self.by_histories:
                self.lower = max(self.lower, history_bound(self.engine, until))
            if self.by_vertices and not (self.by_histories and self.lower > -np.inf):
                points = [self.engine.pool.of(t)[2] for t in range(self.programs.horizon)]
                self.lower = max(self.lower, vertex_bound(self.programs, self.risk, points, until))
        self._mixed = len(self._counts)

    @property
    def met(self) -> bool:
        """Whether the gap is the one asked for."""
        if not np.isfinite(self.lower):
            return False
        tolerant = self.by_vertices or self.by_histories  # allowances for tolerances keep such bounds apart
        near = self.upper - self.lower <= ALLOWANCES * self.programs.flows
        return (tolerant and near) or self.bounds.meets(self.rel_gap)

    # -------------------------------------------------------------------- stop

    @property
    def seconds(self) -> float:
        """Time of this part of the run."""
        return time.perf_counter() - self._start

    def limit(self) -> Limit | None:
        """The limit that ends the run, or None to go on."""
        if not self.log:
            return None
        if self.met:
            return Limit.GAP
        return self.rule.met(Status(self.log, self.seconds, self._simulate, self.programs.flows)) or (
            Limit.TIME if self.clock.over else None
        )

    def _simulate(self, paths: int, confidence: float) -> Estimate:
        assert self.plan is not None
        return self.plan.simulate(paths, seed=self.fresh_seed(), confidence=confidence)

    def fresh_seed(self) -> int:
        """Seed of a simulation that depends on the run's seed and the iteration."""
        return int(np.random.SeedSequence((self.seed, len(self.log))).generate_state(1)[0])

    # -------------------------------------------------------- plan, checkpoint

    def snapshot(self, root: Array) -> LatticePlanT:
        """The present cuts as a plan."""
        return plan_of(self.programs, self.engine, root, self.risk.neutral)

    @property
    def state(self) -> SddpState:
        """What a checkpoint holds."""
        return SddpState(self.engine.pool.rows, np.array(self._counts, dtype=np.int64), tuple(self.log), self._best)

    def resume(self, state: SddpState) -> None:
        """Go on from a checkpoint: the rows are absorbed as they came, the bounds are kept."""
        for k, rows in enumerate(parts(state), start=1):
            self.engine.absorb(rows)
            if k == state.best:
                self.plan = self.snapshot(self.engine.root()[1])
                self.worth = self.plan.exact_value() if self.by_levels else self.worth
        self.log, self._counts, self._best = list(state.log), state.counts.tolist(), state.best
        if self.log:
            last = self.log[-1]
            self.lower, self.upper, self._before = last.lower, last.upper, last.seconds

    def finished_plan(self, simulations: int, confidence: float) -> LatticePlanT:
        """The plan in hand with its simulated mean."""
        assert self.plan is not None
        try:
            mean = self._simulate(self._affordable(simulations, confidence), confidence)
        except SolverError as error:
            nan = float("nan")
            mean = Estimate(-np.inf, nan, nan, nan, str(error))
        return self.programs.with_simulated(self.plan, mean)

    def _affordable(self, simulations: int, confidence: float) -> int:
        """Paths that can be simulated in the time that is left, a few at least."""
        fewest = min(simulations, _FEWEST_PATHS)
        if self.clock.until is None or fewest == simulations:
            return simulations
        before = time.monotonic()
        self._simulate(fewest, confidence)
        now = time.monotonic()
        return int(np.clip(fewest * (self.clock.until - now) / max(now - before, 1e-9), fewest, simulations))


def cuts_on(programs: StagePrograms[LatticePlanT], passes: int, seed: int = 0) -> LatticePlanT:
    """The plan after some passes of SDDP, without bounds: a policy whose worth is found by simulation."""
    engine, trials = Engine(programs, Expectation()), Trials(programs, seed)
    for number in range(passes):
        engine.absorb(trials.rows(engine, number, 0, 1))
    return plan_of(programs, engine, engine.root()[1])


def plan_of(programs: StagePrograms[LatticePlanT], engine: Engine, root: Array, neutral: bool = True) -> LatticePlanT:
    """The plan that the cuts of an engine describe.

    Parameters
    ----------
    root
        What is decided at the root, see `Engine.root`.
    neutral
        Whether the cuts are of the expectation.
    """
    intercepts, slopes = [], []
    for stage in programs.stages[:-1]:
        t = stage.year
        intercept, slope, _ = engine.pool.of(t)
        unit = programs.state_unit(t + 1)
        a, b = [], []
        for i in range(programs.lattice.sizes[t]):
            rows = engine.kept[t][i]
            a.append(stage.money * np.append(stage.ceiling[i], intercept[rows, i]))
            b.append(stage.money * np.concatenate([np.zeros((1, unit.size)), slope[rows, i]]) / unit)
        intercepts.append(_padded(a, np.inf))
        slopes.append(_padded(b, 0.0))
    return programs.plan(root, intercepts, slopes, neutral)


def _padded(parts: Sequence[Array], fill: float) -> Array:
    """Arrays of different lengths as one, filled up; shape ``(len(parts), longest, ...)``."""
    longest = max(part.shape[0] for part in parts)
    out = np.full((len(parts), longest, *parts[0].shape[1:]), fill)
    for row, part in zip(out, parts, strict=True):
        row[: part.shape[0]] = part
    return out
