"""Hub and spokes of progressive hedging: in one process, or mpi-sppy's cylinders under MPI.

Layout under MPI: with a multiple of three ranks, a hub, a Lagrangian spoke (upper bound) and an incumbent spoke (lower
bound); with another even number, hub and Lagrangian spoke, and the hub evaluates incumbents itself. More ranks share
the subtrees of each cylinder.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import BoundsError
from stochisru.limits import Limit
from stochisru.methods.checkpoint import Checkpoint
from stochisru.methods.hedging.monitor import HedgingState, Incumbent, Monitor
from stochisru.methods.result import relative_gap
from stochisru.protocols import Subtrees

#: Pause of a spoke that has nothing new to do; a busy wait would take the hub's core.
_PAUSE = 0.002
#: Iterations between two changes of ρ, and what makes one: residuals that differ by this factor.
_RHO_EVERY, _RHO_IMBALANCE, _RHO_FACTOR = 3, 5.0, 1.6
#: Neighbours of the best orders that are evaluated in an iteration.
_NEIGHBOURS = 5
#: First ρ relative to cost over spread: measured on the shipped cases, adapted from there.
_RHO_START = 0.25


class Finder:
    """Looks for plans around what the subtrees agree on and keeps the best; see `Candidates`.

    Where costs are not linear it goes on from the best plan to its neighbours, some in every iteration.
    """

    def __init__(
        self, engine: Any, subtrees: Subtrees[Any], checkpoint: Checkpoint | None, best: Incumbent | None
    ) -> None:
        self.engine, self.subtrees, self.checkpoint = engine, subtrees, checkpoint
        self.candidates = subtrees.candidates
        self.best = best
        self._calls = 0
        self._tried: set[bytes] = set()
        self._neighbours: Iterator[Array] | None = None

    def try_near(self, wanted: Array) -> bool:
        """Evaluate plans near what the subtrees want; say whether one is the best so far."""
        before = self.best
        for plan in self.candidates.near(wanted, self._calls):
            if self._new(plan):
                self._try(plan)
        self._calls += 1
        if not self.subtrees.linear:
            self._improve()
        if self.best is None or self.best is before:
            return False
        if self.checkpoint is not None and self.engine.cylinder_rank == 0:
            self.best.save(self.checkpoint)
        return True

    def _new(self, plan: Array) -> bool:
        """Whether a plan was not tried before."""
        digest = hashlib.blake2b(plan.tobytes(), digest_size=16).digest()
        known = digest in self._tried
        self._tried.add(digest)
        return not known

    def _try(self, plan: Array) -> None:
        value = self.engine.incumbent(plan)
        if value > (-np.inf if self.best is None else self.best.value):
            self.best, self._neighbours = Incumbent(value, plan), None

    def _improve(self) -> None:
        """Evaluate some neighbours of the best plan; a better one takes its place at once."""
        for _ in range(_NEIGHBOURS):
            if self.best is None:
                return
            if self._neighbours is None:
                self._neighbours = self.candidates.neighbours(self.best.plan)
            plan = next((plan for plan in self._neighbours if self._new(plan)), None)
            if plan is None:
                return
            self._try(plan)

    def node_table(self) -> Array | None:
        """The best plan at every node of the tree, None if none that can be carried out was found."""
        return None if self.best is None else np.asarray(self.engine.node_table(self.best.plan))


class Steering:
    """mpi-sppy extension: cost-proportional ρ, its adaptation, residuals, checkpoints and their loading.

    ρ of a coordinated quantity is its discounted cost over the spread of the first solutions at the node, so it
    has the right unit whatever the scale of the case, and is equal at all subtrees of a node. All ρ share one factor,
    which balances the relative primal and dual residuals (He, Yang and Wang 2000; Boyd et al. 2011, § 3.4.1).
    """

    def __init__(self, engine: Any, monitor: Monitor, start: HedgingState | None) -> None:
        self.engine, self.monitor, self.start = engine, monitor, start
        self._mean: Array | None = None

    def _nothing(self, *_: Any) -> None:
        """Hook of mpi-sppy that is not used here."""

    pre_iter0 = iter0_post_solver_creation = enditer_after_sync = post_everything = _nothing
    pre_solve_loop = post_solve_loop = pre_solve = post_solve = _nothing
    register_send_fields = register_receive_fields = setup_hub = sync_with_spokes = _nothing

    def post_iter0(self) -> None:
        """Set ρ from the first solutions."""
        subtrees = self.monitor.subtrees
        wanted = self.engine.table(self.engine.wanted())
        mean = subtrees.node_mean(wanted)
        spread = np.sqrt(np.maximum(subtrees.node_mean((wanted - mean) ** 2), 0.0))
        largest, cost = subtrees.largest, subtrees.unit_cost
        size = np.maximum(spread, 0.05 * np.abs(mean)) + 1e-6 * largest
        rho = _RHO_START * np.maximum(cost, 1e-9 * max(cost.max(), 1.0)) / size
        if self.start is not None:
            rho = self.start.rho
        self._require_common(rho)
        self.engine.set_rows("rho", rho)

    def post_iter0_after_sync(self) -> None:
        """Load prices and means of a saved run: the next step updates them from the proximal solutions."""
        if self.start is None:
            return
        self.engine.set_rows("W", self.start.price)
        self.engine.set_rows("xbars", self.start.mean)
        self.engine.reenable_W_and_prox()
        self.engine.solve_loop()

    def miditer(self) -> None:
        """Residuals after the update of x̄ and W, and ρ for the next solve."""
        engine, monitor, subtrees = self.engine, self.monitor, self.monitor.subtrees
        wanted, mean = engine.table(engine.wanted()), engine.table(engine.rows("xbars"))
        price, rho = engine.table(engine.rows("W")), engine.table(engine.rows("rho"))
        self._require_common(rho)
        before = mean if self._mean is None else self._mean
        self._mean = mean
        p = subtrees.probability[:, None]
        monitor.primal_residual = float(np.sqrt((p * (wanted - mean) ** 2).sum()))
        monitor.dual_residual = float(np.sqrt((p * (mean - before) ** 2).sum()))
        if engine._PHIter % _RHO_EVERY:
            return
        primal = monitor.primal_residual / max(float(np.sqrt((p * wanted**2).sum())), 1e-12)
        dual = float(np.sqrt((p * (rho * (mean - before)) ** 2).sum()))
        dual /= max(float(np.sqrt((p * price**2).sum())), 1e-12)
        factor = 1.0
        if primal > _RHO_IMBALANCE * dual:
            factor = _RHO_FACTOR
        elif dual > _RHO_IMBALANCE * primal:
            factor = 1 / _RHO_FACTOR
        if factor != 1.0:
            monitor.rho_scale *= factor
            engine.set_rows("rho", rho * factor)

    def enditer(self) -> None:
        """Write a checkpoint when it is due."""
        checkpoint = self.monitor.checkpoint
        # The decision is rank 0's: clocks differ.
        if checkpoint is not None and self.engine.allreduce_or(self.engine.cylinder_rank == 0 and checkpoint.due()):
            self.save()

    def save(self) -> None:
        """Write the state of the run; every rank takes part, rank 0 writes."""
        engine, monitor = self.engine, self.monitor
        price, mean, rho = (engine.table(engine.rows(name)) for name in ("W", "xbars", "rho"))
        if monitor.checkpoint is None or engine.cylinder_rank != 0:
            return
        number = monitor.number + engine._PHIter
        log = tuple(line for line in monitor.log if line.number <= number)
        HedgingState(number, monitor.seconds, monitor.upper, price, mean, rho, log).save(monitor.checkpoint)

    def _require_common(self, rho: Array) -> None:
        spread = np.abs(rho - self.monitor.subtrees.node_mean(rho)).max()
        if spread > 1e-9 * rho.max():
            raise BoundsError("rho differs between subtrees of one node: prices would not cancel, no bound would hold")


class SerialHub:
    """Hub, Lagrangian bound and incumbent finder in one process."""

    def __init__(self, engine: Any, monitor: Monitor, finder: Finder) -> None:
        self.engine, self.monitor, self.finder = engine, monitor, finder

    def is_converged(self) -> bool:
        """Update both bounds and say whether to stop."""
        engine, finder = self.engine, self.finder
        if engine._PHIter == 0:
            self.monitor.improve(upper=engine.trivial_bound)
        else:
            self.monitor.improve(upper=engine.lagrangian(engine.table(engine.rows("W"))))
        finder.try_near(engine.table(engine.wanted()))
        if finder.best is not None:
            self.monitor.improve(lower=finder.best.value)
        return self.monitor.finished(engine._PHIter)


def cylinder_classes(
    subtrees: Subtrees[Any], monitor: Monitor, checkpoint: Checkpoint | None, best: Incumbent | None, hub_finds: bool
) -> tuple[type, type, type]:
    """mpi-sppy's hub and spokes for one problem: hub, Lagrangian spoke, incumbent spoke."""
    from mpisppy.cylinders.hub import PHHub
    from mpisppy.cylinders.spoke import InnerBoundNonantSpoke, OuterBoundWSpoke

    class Hub(PHHub):  # type: ignore[misc]
        """Progressive hedging; stops on the gap of the bounds that the spokes send."""

        finder: Finder | None = None

        def is_converged(self, screen_trace: bool = False) -> bool:
            opt = self.opt
            if hub_finds:
                if self.finder is None:
                    self.finder = Finder(opt, subtrees, checkpoint, best)
                self.finder.try_near(opt.table(opt.wanted()))
                if self.finder.best is not None:
                    monitor.improve(lower=self.finder.best.value)
            if opt._PHIter == 0:
                monitor.improve(upper=opt.trivial_bound)
            monitor.improve(lower=self.BestInnerBound, upper=self.BestOuterBound)
            stop = bool(opt.allreduce_or(monitor.finished(opt._PHIter)))
            if (
                stop
                and monitor.limit is None
                and relative_gap(monitor.lower, monitor.upper, monitor.flows) > monitor.rel_gap
            ):
                monitor.limit = Limit.TIME  # by the clock of another rank
            return stop

        def screen_trace(self) -> None:
            """The monitor has the log."""

        def finalize(self) -> None:
            if self.finder is not None:
                self.node_table = self.finder.node_table()

        def hub_finalize(self) -> None:
            self.receive_outerbounds()
            self.receive_innerbounds()
            monitor.improve(lower=self.BestInnerBound, upper=self.BestOuterBound)

    class Lagrangian(OuterBoundWSpoke):  # type: ignore[misc]
        """Upper bounds from the hub's prices."""

        converger_spoke_char = "L"

        def main(self) -> None:
            self.opt._create_solvers()
            # The bound without prices costs what the hub's first solve costs, at the same time, and warms the models.
            self.send_bound(self.opt.lagrangian(np.zeros(subtrees.shared.shape)))
            while not self.got_kill_signal():
                if not self.update_Ws():
                    time.sleep(_PAUSE)
                    continue
                self.send_bound(self.opt.lagrangian(self.opt.received(self.localWs)))

        def finalize(self) -> float:
            self.final_bound = self.bound
            return float(self.final_bound)

    class IncumbentFinder(InnerBoundNonantSpoke):  # type: ignore[misc]
        """Lower bounds from plans around the hub's solutions."""

        converger_spoke_char = "X"

        def main(self) -> None:
            self.opt._create_solvers()
            self.finder = Finder(self.opt, subtrees, checkpoint, best)
            if best is not None:
                self.send_bound(best.value)
            tried = False
            while not self.got_kill_signal() or not tried:
                if not self.update_nonants():
                    time.sleep(_PAUSE)
                    continue
                if self.finder.try_near(self.opt.received(self.localnonants)):
                    assert self.finder.best is not None
                    self.send_bound(self.finder.best.value)
                tried = True

        def finalize(self) -> float:
            self.final_bound = -np.inf if self.finder.best is None else self.finder.best.value
            self.node_table = self.finder.node_table()
            return self.final_bound

    return Hub, Lagrangian, IncumbentFinder
