"""What a run of progressive hedging knows of itself: bounds, iterations, when to stop, checkpoints.

The rules are the same whether the bounds come from the same process or from spokes under MPI.
"""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from stochisru.limits import Limit
from stochisru.methods.checkpoint import Checkpoint, log_of
from stochisru.methods.result import MIXED_ROUNDING, relative_gap, require_order
from stochisru.methods.stopping import GapReached, GapStalled, IterationLimit, Status, TimeLimit, any_of
from stochisru.programs.sparse import FEASIBILITY
from stochisru.protocols import StoppingRule, Subtrees

_FORMAT = 3


@dataclass(frozen=True)
class HedgingIteration:
    """One line of the iteration log.

    Attributes
    ----------
    number
        HedgingIteration, 0 for the first solve without prices.
    seconds
        Since the start of the run, earlier parts of a resumed run included.
    lower, upper
        Best bounds so far, in the problem's own sense.
    primal_residual
        √E|y − ȳ|² of the coordinated quantities y: how far subtrees disagree on what they share; of the lunar problem
        plant, kg.
    dual_residual
        √E|ȳ − ȳ_before|²: how far what they agree on has moved.
    rho_scale
        Factor on the cost-proportional ρ.
    gap
        Of the bounds; see `stochisru.methods.result.relative_gap`.
    """

    number: int
    seconds: float
    lower: float
    upper: float
    primal_residual: float
    dual_residual: float
    rho_scale: float
    gap: float


@dataclass(frozen=True, eq=False)
class HedgingState:
    """Everything that progressive hedging needs to go on: tables are (subtrees, quantities)."""

    iteration: int
    seconds: float
    upper: float
    price: Array
    mean: Array
    rho: Array
    log: tuple[HedgingIteration, ...]

    def save(self, checkpoint: Checkpoint) -> None:
        """Write it to a checkpoint."""
        header = {
            "iteration": self.iteration,
            "seconds": self.seconds,
            "upper": self.upper,
            "log": [asdict(line) for line in self.log],
        }
        checkpoint.write("state", header, {"price": self.price, "mean": self.mean, "rho": self.rho})

    @classmethod
    def load(cls, checkpoint: Checkpoint, subtrees: Subtrees[Any]) -> HedgingState | None:
        """State of an earlier run, or None where there is none."""

        def make(header: Mapping[str, Any], arrays: Mapping[str, Array]) -> HedgingState:
            return cls(
                iteration=operator.index(header["iteration"]),
                seconds=float(header["seconds"]),
                upper=float(header["upper"]),
                log=log_of(HedgingIteration, header["log"]),
                **arrays,
            )

        return checkpoint.read("state", _fits(subtrees), make)


@dataclass(frozen=True, eq=False)
class Incumbent:
    """Best plan above the cut that was found, (subtrees, held), and its value."""

    value: float
    plan: Array

    def save(self, checkpoint: Checkpoint) -> None:
        """Write it to a checkpoint."""
        checkpoint.write("incumbent", {"value": self.value}, {"plan": self.plan})

    @classmethod
    def load(cls, checkpoint: Checkpoint, subtrees: Subtrees[Any]) -> Incumbent | None:
        """Incumbent of an earlier run, or None where there is none."""
        return checkpoint.read(
            "incumbent", _fits(subtrees), lambda header, arrays: cls(float(header["value"]), arrays["plan"])
        )


def hedging_checkpoint(folder: Path, subtrees: Subtrees[Any], interval: float) -> Checkpoint:
    """The folder of a run on these subtrees."""
    return Checkpoint(folder, {"method": "ph", "format": _FORMAT, **subtrees.identity}, interval)


def _fits(subtrees: Subtrees[Any]) -> Callable[[Mapping[str, Array]], bool]:
    return lambda arrays: all(array.shape[0] == subtrees.count for array in arrays.values())


@dataclass
class Monitor:
    """Bounds, log and stopping rules of a run; bounds as if the problem were maximised."""

    subtrees: Subtrees[Any]
    rel_gap: float
    iterations: int
    time_limit: float | None
    checkpoint: Checkpoint | None
    progress: Callable[[HedgingIteration], None] | None
    lower: float = -np.inf
    upper: float = np.inf
    log: list[HedgingIteration] = field(default_factory=list)
    limit: Limit | None = None
    primal_residual: float = float("nan")
    dual_residual: float = float("nan")
    rho_scale: float = 1.0
    _start: float = field(default_factory=time.perf_counter)
    _before: float = 0.0
    _first: int = 0

    def resume(self, state: HedgingState) -> None:
        """Go on from a saved state: bounds never get worse."""
        self.upper = min(self.upper, state.upper)
        self.log = list(state.log)
        self._before = state.seconds
        self._first = state.iteration
        self.rho_scale = self.log[-1].rho_scale if self.log else 1.0

    @cached_property
    def flows(self) -> float:
        """Size of the sums that the bounds are differences of, $."""
        return self.subtrees.flows

    @cached_property
    def rule(self) -> StoppingRule:
        """When to stop: at the gap, at a limit, and with mixed-integer programs when the gap stalls."""
        limits: list[StoppingRule] = [] if self.time_limit is None else [TimeLimit(self.time_limit)]
        stalled = [GapStalled()] if self.subtrees.mixed else []
        return any_of(GapReached(self.rel_gap), *limits, IterationLimit(self.iterations), *stalled)

    @property
    def seconds(self) -> float:
        """Time spent, earlier parts of a resumed run included."""
        return self._before + time.perf_counter() - self._start

    @property
    def number(self) -> int:
        """Iterations done before this part of the run."""
        return self._first

    @property
    def ends(self) -> tuple[float, float]:
        """Lower and upper bound in the problem's own sense; within a run it is maximised."""
        return (self.lower, self.upper) if self.subtrees.sign > 0 else (-self.upper, -self.lower)

    def improve(self, lower: float = -np.inf, upper: float = np.inf) -> None:
        """Take new bounds, an upper one of mixed-integer programs with an allowance for the solver's tolerances.

        Raises
        ------
        BoundsError
            If the bounds cross: one of them is wrong, and no gap can be reported.
        """
        allowance = MIXED_ROUNDING * self.flows if self.subtrees.mixed else 0.0
        self.lower, self.upper = float(max(self.lower, lower)), float(min(self.upper, upper + allowance))
        if np.isfinite(self.lower) and np.isfinite(self.upper):
            if not self.subtrees.exact and self.lower - FEASIBILITY * max(1.0, self.flows) <= self.upper:
                self.lower = min(self.lower, self.upper)  # a plan that keeps its rows to the solver's tolerances
            require_order("lower bound", self.lower, "upper bound", self.upper, self.flows)

    def finished(self, iteration: int) -> bool:
        """Log the iteration (counted within this part of the run) and say whether to stop."""
        lower, upper = self.ends
        line = HedgingIteration(
            number=self._first + iteration,
            seconds=self.seconds,
            lower=lower,
            upper=upper,
            primal_residual=self.primal_residual,
            dual_residual=self.dual_residual,
            rho_scale=self.rho_scale,
            gap=relative_gap(lower, upper, self.flows),
        )
        if not self.log or line.number > self.log[-1].number:  # a resumed run starts where the log ends
            self.log.append(line)
            if self.progress:
                self.progress(line)
        ours = [line for line in self.log if line.number >= self._first]  # of this part of the run
        limit = self.rule.met(Status(ours, time.perf_counter() - self._start, flows=self.flows))
        self.limit = None if limit is Limit.GAP else limit
        return limit is not None
