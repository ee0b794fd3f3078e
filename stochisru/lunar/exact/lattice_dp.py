"""The multistage optimum on a Markov lattice by dynamic programming, exact layer by layer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from scenario_trees.lattice import MarkovLattice
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase, require_case, why_no_case
from stochisru.lunar.exact.lattice_layers import LatticeLayers
from stochisru.lunar.exact.lattice_plan import LatticePlan
from stochisru.lunar.exact.level_dp import level_dp
from stochisru.lunar.exact.levels import why_no_exact_levels
from stochisru.lunar.exact.nested_dp import nested_dp
from stochisru.lunar.information import flows
from stochisru.lunar.learning.case import LearningCase, is_learning
from stochisru.lunar.trees import DEFAULT_STATES, LEVEL_STATES, case_lattice
from stochisru.methods.result import Bounds, Kind, Of, Reason, Result, Termination
from stochisru.methods.risk.options import RiskOptions


class LatticeDynamicProgramme:
    """Exact on a lattice: by layers of capacity, or by levels of plant where costs are not linear."""

    name, summary, on = "lattice-dp", "exact on a lattice, by layers or levels of plant", Of.LATTICE
    options = RiskOptions

    def refuses(self, case: DeploymentCase | LearningCase) -> str | None:
        """Costs that are not concave in size, and modules that degrade."""
        if is_learning(case):
            return None
        reason = why_no_case(case, "lattice-dp")
        return reason if reason is not None or case.is_linear else why_no_exact_levels(case)

    def kind(self, case: DeploymentCase) -> Kind:
        """An exact recursion."""
        return Kind.CERTIFIED

    def states(self, case: DeploymentCase | LearningCase) -> int:
        """Fewer where levels of plant are a second state."""
        return LEVEL_STATES if is_learning(case) or not case.is_linear else DEFAULT_STATES

    def solve(
        self,
        case: DeploymentCase | LearningCase,
        on: MarkovLattice,
        options: RiskOptions,
        progress: Callable[[Any], None] | None = None,
    ) -> Result[Any]:
        """Solve a problem on a lattice."""
        if is_learning(case):
            from stochisru.lunar.learning.solving import learned_on_lattice

            if not options.risk.neutral:
                raise InputError("risk-measure: a case with learning is solved for expected NPV; leave it out")
            return learned_on_lattice(case, on)
        assert isinstance(case, DeploymentCase)
        if not options.risk.neutral:
            return nested_dp(case, on, risk=options.risk)
        return lattice_dp(case, on) if case.is_linear else level_dp(case, on)


def lattice_dp(
    case: DeploymentCase, lattice: MarkovLattice | None = None, *, states: int = DEFAULT_STATES
) -> Result[LatticePlan]:
    """Solve the multistage problem on a lattice exactly.

    Any horizon, lead time, degradation and Earth limit; no solver. The time grows as T² times the cube of the states of
    a stage; memory is bounded.

    Parameters
    ----------
    case
        The problem.
    lattice
        Lattice of demand, one stage per year; `stochisru.lunar.trees.case_lattice` with ``states`` per stage if not
        given.
    states
        States per stage of the lattice that is made.

    Returns
    -------
    Result
        The lower bound is the plan evaluated on the lattice, the upper bound the optimum of the layers; they differ by
        rounding. Both are values on the lattice: `MarkovLattice.check` says how well it stands for the process.

    Raises
    ------
    InputError
        If lattice and case do not match.
    TreeError
        If no lattice of so many states can be made.

    Examples
    --------
    >>> from stochisru import load_case
    >>> from stochisru.lunar.exact.lattice_dp import lattice_dp
    >>> result = lattice_dp(load_case("lunar-reference"), states=20)
    >>> result.bounds.gap < 1e-9
    True
    """
    require_case(case)
    start = time.perf_counter()
    if lattice is None:
        lattice = case_lattice(case, states)
    layers = LatticeLayers(case, lattice)
    built = time.perf_counter()
    best = layers.best()
    solved = time.perf_counter()
    value = layers.value(best.root, best.levels)
    return Result(
        method="lattice-dp",
        objective=value,
        bounds=Bounds(value, best.value, Kind.CERTIFIED, Of.LATTICE, flows(case, lattice)),
        termination=Termination(Reason.OPTIMAL, detail=f"exact on {lattice!r}, layer by layer"),
        plan=LatticePlan(case, lattice, best.root, best.levels),
        timings={"build": built - start, "solve": solved - built, "evaluate": time.perf_counter() - solved},
        solver="closed form",
    )
