"""From a case to its scenario tree or lattice: the choices that methods, command line and studies share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from operator import mul

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.lattice import MarkovLattice
from scenario_trees.processes import GeometricBrownianMotion, MarkovProcess
from scenario_trees.quantization import QUANTIZATIONS
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.in_advance import why_not_in_advance
from stochisru.lunar.learning.case import LearningCase, is_learning
from stochisru.lunar.tables.case import GeneralCase, is_general

#: Nodes that the tree of `default_branching` does not exceed: HiGHS solves that many in seconds.
DEFAULT_NODES = 100_000
#: Scenarios of a default tree at most where each is a program: a linear one, or one with whole numbers.
DEFAULT_SCENARIOS, DEFAULT_MIXED_SCENARIOS = 729, 12
#: Most scenarios of the default tree of a case with learning, whose levels are many.
LEARNING_SCENARIOS = 81
#: States per stage of a lattice whose plan is as good as the exact one to about 0.1 % up to T = 30.
DEFAULT_STATES = 100
#: States per stage of a lattice on which levels of plant are a second state: time grows with T³ and their cube.
LEVEL_STATES = 30
#: Bins have equal shares of probability and mean, half and half: see `MarkovLattice.from_process`.
_TILT = 0.5
#: Square of the states per stage that can be told apart in double precision, per unit of volatility.
_APART = 1e15


def default_branching(T: int, scenarios: int = DEFAULT_NODES) -> tuple[int, ...]:
    """Branches per year of a tree with at most `DEFAULT_NODES` nodes and so many scenarios.

    As many of the first years as possible branch at all, as many of those as possible threefold and the
    others twofold; the last years follow their mean.
    """
    best: tuple[int, ...] = (1,) * T
    for years in range(1, T + 1):
        for threefold in range(years + 1):
            factors = (3,) * threefold + (2,) * (years - threefold) + (1,) * (T - years)
            nodes = list(accumulate(factors, mul))
            if 1 + sum(nodes) <= DEFAULT_NODES and nodes[-1] <= scenarios:
                best = factors
    return best


def _default_branching(case: DeploymentCase | GeneralCase | LearningCase) -> tuple[int, ...]:
    """`default_branching` of a case: fewer scenarios where each is a program of its own."""
    scenarios = DEFAULT_NODES
    if is_learning(case):
        return default_branching(case.horizon.T, LEARNING_SCENARIOS)
    if is_general(case):
        return default_branching(case.horizon.T, DEFAULT_SCENARIOS if case.is_linear else DEFAULT_MIXED_SCENARIOS)
    if why_not_in_advance(case) is not None:
        whole = case.launch.lot is not None or not case.investment.is_convex
        scenarios = DEFAULT_MIXED_SCENARIOS if whole else DEFAULT_SCENARIOS
    if isinstance(case.process, MarkovProcess):
        return _branching_of_kinds(case, case.process, scenarios)
    return default_branching(case.horizon.T, scenarios)


def _branching_of_kinds(case: DeploymentCase, process: MarkovProcess, scenarios: int) -> tuple[int, ...]:
    """The same where several kinds of future may follow a state: regimes, a date, the end of demand."""
    T = case.horizon.T
    best = (1,) * T
    nodes, leaves = _size_by_kinds(process, best)
    if nodes > DEFAULT_NODES:
        raise InputError(
            f"branching: the smallest tree of {process} over {T} years has {nodes:,.0f} nodes; take a lattice "
            "(--method sddp or lattice-dp) or a shorter horizon"
        )
    for years in range(1, T + 1):
        for threefold in range(years + 1):
            factors = (3,) * threefold + (2,) * (years - threefold) + (1,) * (T - years)
            nodes, leaves = _size_by_kinds(process, factors)
            if nodes <= DEFAULT_NODES and leaves <= scenarios:
                best = factors
            elif threefold == 0:
                return best
    return best


def _size_by_kinds(process: MarkovProcess, branching: Sequence[int]) -> tuple[float, float]:
    """Nodes and leaves of the tree of a process, by what is seen beside the value and whether the value is 0."""
    counts = {tuple(process.start[1:]): 1.0}
    dead, total = 0.0, 1.0
    for t, branches in enumerate(branching):
        after: dict[tuple[float, ...], float] = {}
        for seen, number in counts.items():
            states = np.array([[process.initial, *seen]])
            following, chance = process.step(states, 1, t=float(t))
            for state in following[0][chance[0] > 0]:
                if state[0] == 0:
                    dead += number
                else:
                    key = tuple(state[1:])
                    after[key] = after.get(key, 0.0) + number * branches
        counts = after
        total += dead + sum(counts.values())
    return total, dead + sum(counts.values())


def parse_branching(text: str) -> tuple[int, ...]:
    """Read ``3,3,2``; raise `InputError` for anything but integers >= 1."""
    factors = []
    for item in text.split(","):
        try:
            factor = 0 if "_" in item else int(item.strip())
        except ValueError:
            factor = 0
        if factor < 1:
            raise InputError(f"branching: every factor must be an integer >= 1, got {item.strip()!r} in {text!r}")
        factors.append(factor)
    return tuple(factors)


def case_tree(
    case: DeploymentCase | GeneralCase | LearningCase,
    branching: Sequence[int] | None = None,
    quantization: str = "gauss-hermite",
) -> ScenarioTree:
    """Scenario tree of a case's demand, one stage per year.

    Parameters
    ----------
    branching
        Children per node of years 0..T−1; `default_branching` if not given, with fewer scenarios where no exact method
        takes the case.
    quantization
        ``gauss-hermite``, ``equal-probability``, ``binomial`` or ``trinomial``.
    """
    if quantization not in QUANTIZATIONS:
        raise InputError(f"quantization: must be one of {', '.join(QUANTIZATIONS)}, got {quantization!r}")
    T = case.horizon.T
    factors = _default_branching(case) if branching is None else tuple(branching)
    if len(factors) != T:
        raise InputError(
            f"branching: needs one factor per year, {T} for T = {T}, got {len(factors)}; "
            f"change it or the horizon (--horizon {len(factors)})"
        )
    return ScenarioTree.from_process(case.process, factors, QUANTIZATIONS[quantization])


def case_lattice(case: DeploymentCase, states: int = DEFAULT_STATES, tilt: float = _TILT) -> MarkovLattice:
    """Markov lattice of a case's demand, one stage per year, that resolves probability and mean alike.

    With ``tilt`` 0 bins are equally likely: see `MarkovLattice.from_process`.

    Tiny volatility gets fewer states than asked for: those of n bins differ by about 2.5·σ/n of their mean at least,
    and are known to about n·1e-16 of it.
    """
    process = case.process
    if isinstance(process, GeometricBrownianMotion) and process.volatility > 0 and isinstance(states, int):
        states = min(states, max(1, int(np.sqrt(_APART * process.volatility))))
    return MarkovLattice.from_process(process, case.horizon.T, states, tilt=tilt)


def year_laws(case: DeploymentCase, bins: int, tilt: float = _TILT) -> tuple[list[Array], list[Array]]:
    """Law of every year's demand in so many bins, worth their conditional means: values, and their probabilities.

    How years hang together takes no part: it is what plans need that are fixed in advance.
    """
    process = case.process
    if not isinstance(process, MarkovProcess) or process.limit:
        lattice = case_lattice(case, bins, tilt)
        return list(lattice.values), list(lattice.probabilities)
    years = [process.marginal(float(t)).merged.bins(bins, tilt) for t in range(1, case.horizon.T + 1)]
    start = np.array([process.initial]), np.ones(1)
    values, probabilities = zip(start, *years, strict=True)
    return list(values), list(probabilities)
