"""Which uncertainty is worth resolving: the value of knowing one factor's path, whatever the others do.

Partial EVPI of factor A is

    E over paths of A of [RP given that whole path from the start] − RP,

the other factors being seen year by year as before (where costs are minimised, the other way round). It lies between 0
and EVPI, which is the same with all factors known; parts need not add up to it (Howard 1966).

On a tree every path of a factor has a tree of what is left open, and each a program: exact up to the solver's gaps.
So it is on a lattice whose histories are few. On any other lattice paths are sampled: RP given the path of A, by
program or by SDDP, less what the plan of SDDP earns there, simulated, with the values of all factors as control
variates. The mean of that difference is partial EVPI plus what the plan falls short of RP, which is taken to be no more
than the bracket of SDDP; it varies far less than RP given the path does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.errors import TreeError, is_list
from scenario_trees.knowing import known_path, known_paths
from scenario_trees.lattice import MarkovLattice
from scenario_trees.processes.several import CorrelatedFactors
from scenario_trees.protocols import Stepping
from scenario_trees.tree import ScenarioTree
from stochisru.errors import (
    BoundsError,
    InfeasibleError,
    InputError,
    require_confidence,
    require_integer,
    require_kind,
)
from stochisru.files import plainly
from stochisru.methods.result import Bounds, Kind, Of, versions
from stochisru.problem.information import Recourse, WaitAndSee
from stochisru.problem.model import Model
from stochisru.programs.effort import SolverLimits
from stochisru.shown import Shown
from stochisru.simulation.estimators import mean_estimate
from stochisru.values import MIXED_GAP, Stated, optimum

if TYPE_CHECKING:
    import pandas as pd

#: Nodes of an unfolded lattice that are one program rather than stages of SDDP.
_UNFOLDED = 20_000
#: Nodes of what is left open on a sampled path that are.
_LEFT = 60_000
#: Paths of all factors on which the plan is simulated for each path of one.
_INNER = 64
#: Relative gap at which SDDP is left, and its iterations at most.
_GAP, _ITERATIONS = 5e-4, 15


@dataclass(frozen=True)
class ValueOfKnowing:
    """What knowing one factor, or all, is worth.

    Attributes
    ----------
    value
        Money; how much better the objective gets.
    bounds
        Its bracket, ≥ 0.
    paths
        Paths of the factor that were solved.
    tells_all
        Whether a path of this factor is one of all factors, so that nothing is left open.
    """

    value: float
    bounds: Bounds
    paths: int
    tells_all: bool


@dataclass(frozen=True, eq=False, repr=False)
class PartialEvpi(Shown):
    """Partial EVPI of the factors of a problem.

    Attributes
    ----------
    rp
        The recourse problem, nothing known beforehand.
    evpi
        All factors known.
    parts
        By factor.
    """

    model: Model
    on: ScenarioTree | MarkovLattice
    rp: Bounds
    evpi: ValueOfKnowing
    parts: Mapping[str, ValueOfKnowing]

    @property
    def ranked(self) -> list[str]:
        """Factors, the one most worth knowing first."""
        return sorted(self.parts, key=lambda name: -self.parts[name].value)

    def to_frame(self) -> pd.DataFrame:
        """One row per factor, best first, and last all together.

        Columns: known, value, lower, upper, share of EVPI (NaN where that is 0), paths, tells_all, kind, of.
        """
        import pandas as pd

        rows = []
        for name, part in [*((name, self.parts[name]) for name in self.ranked), ("all", self.evpi)]:
            rows.append(
                {
                    "known": name,
                    "value": part.value,
                    "lower": part.bounds.lower,
                    "upper": part.bounds.upper,
                    "share": part.value / self.evpi.value if self.evpi.value > 0 else np.nan,
                    "paths": part.paths,
                    "tells_all": part.tells_all,
                    "kind": part.bounds.label,
                    "of": part.bounds.of.value,
                }
            )
        return pd.DataFrame(rows)

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""

        def told(part: ValueOfKnowing) -> dict[str, Any]:
            ends = {"lower": part.bounds.lower, "upper": part.bounds.upper, "kind": part.bounds.label}
            return {"value": part.value, **ends, "paths": part.paths, "tells_all": part.tells_all}

        return {
            "problem": self.model.name,
            "sense": self.model.sense,
            "of": self.rp.of.value,
            "rp": {"lower": self.rp.lower, "upper": self.rp.upper},
            "evpi": told(self.evpi),
            "factors": {name: told(self.parts[name]) for name in self.ranked},
            "versions": versions(),
        }

    def __repr__(self) -> str:
        parts = ", ".join(f"{name} {self.parts[name].value:,.6g}" for name in self.ranked)
        return f"PartialEvpi({self.model.name}, {self.on!r}, of the {self.rp.of}: {parts}, all {self.evpi.value:,.6g})"


def partial_evpi(
    problem: Model | Stated,
    on: ScenarioTree | MarkovLattice,
    factors: Sequence[str] | None = None,
    *,
    paths: int = 64,
    seed: int = 0,
    confidence: float = 0.95,
    solver: str = "highs",
    rel_gap: float = MIXED_GAP,
    time_limit: float | None = None,
    progress: Callable[[str], None] | None = None,
) -> PartialEvpi:
    """Value of knowing each factor's path.

    Parameters
    ----------
    problem
        A `Model`, or a case.
    on
        Tree or lattice with the factors, one stage per year. A factor can be known alone only where it has values of
        its own; on a tree of correlated factors see `partial_evpi_of_process`.
    factors
        Those to know, of the names of ``on``; all if not given.
    paths, seed, confidence
        Paths of a lattice that is too large for one program, at least 2, their seed, and the level of the intervals.
    solver, rel_gap, time_limit
        Of all programs; gap and limit are of those with whole numbers.
    progress
        Called with the name of each factor.

    Raises
    ------
    InputError
        If a name is none of ``on``, a number out of range, or the model has a risk measure.
    InfeasibleError
        If there is no plan.

    Examples
    --------
    >>> from scenario_trees import CorrelatedFactors, GeometricBrownianMotion, ScenarioTree
    >>> from stochisru.problem import Decision, Factor, Model, Operation, Row
    >>> from stochisru.partial_evpi import partial_evpi
    >>> newsvendor = Model(
    ...     "newsvendor",
    ...     horizon=1,
    ...     parts=[
    ...         Decision("order", lead=1, years=[1], cost=1.0, upper=400),
    ...         Operation("sold", value=Factor("price"), upper=Factor("demand")),
    ...         Row("stock", {"sold": 1.0, "order": -1.0}, upper=0.0),
    ...     ],
    ...     factors=("demand", "price"),
    ... )
    >>> demand, price = GeometricBrownianMotion(100.0, 0.0, 0.3), GeometricBrownianMotion(1.6, 0.0, 0.4)
    >>> tree = ScenarioTree.from_process(CorrelatedFactors(("demand", "price"), (demand, price)), [(3, 3)])
    >>> found = partial_evpi(newsvendor, tree)
    >>> [(name, round(found.parts[name].value, 2)) for name in found.ranked], round(found.evpi.value, 2)
    ([('demand', 12.97), ('price', 4.96)], 17.33)
    """
    model = problem if isinstance(problem, Model) else getattr(problem, "model", None)
    if not isinstance(model, Model):
        raise InputError(f"problem: must be a Model or a case, got {type(problem).__name__}")
    require_kind("on", on, (ScenarioTree, MarkovLattice), "a ScenarioTree or a MarkovLattice")
    if factors is not None and not is_list(factors):
        raise InputError(f"factors: must be a list of names, got {factors!r}")
    names = on.names if factors is None else tuple(factors)
    for name in names:
        if not isinstance(name, str) or name not in on.names:
            raise InputError(f"factors: must be of {', '.join(on.names)}, got {name!r}")
    require_integer("paths", paths, 2)
    require_integer("seed", seed, 0)
    require_confidence(confidence)
    model.require_neutral("the mean over paths that are known")
    limits, say = SolverLimits(rel_gap, time_limit), progress or (lambda _: None)
    if isinstance(on, MarkovLattice):
        whole = _unfolded(on, _UNFOLDED)
        if whole is None:
            return _Sampled(model, on, solver, limits, say).values(names, paths, seed, confidence)
        found = _on_tree(model, whole, names, solver, limits, say)
        sides = {name: _of_lattice(part) for name, part in found.parts.items()}
        return replace(found, on=on, rp=_named(found.rp), evpi=_of_lattice(found.evpi), parts=sides)
    return _on_tree(model, on, names, solver, limits, say)


def partial_evpi_of_process(
    problem: Model | Callable[[ScenarioTree], Model],
    process: Stepping,
    branching: Sequence[int | tuple[int, ...]],
    factors: Sequence[str] | None = None,
    *,
    solver: str = "highs",
    rel_gap: float = MIXED_GAP,
    time_limit: float | None = None,
    progress: Callable[[str], None] | None = None,
) -> PartialEvpi:
    """Value of knowing each factor's path, on trees of a process.

    What is known of the others once a factor is known is their law given it, which `CorrelatedFactors` has. On a tree
    only factors that are not correlated with an earlier one show it, so every other one is known on a tree on which it
    comes first, and compared with RP there; RP and EVPI are those of the tree of the process as it is.

    Parameters
    ----------
    problem
        A `Model`, or a function that gives that of a tree, such as `GeneralCase.model_on`.
    process
        With steps.
    branching
        As of `ScenarioTree.from_process`.
    factors
        Those to know; if not given all that the tree has but beliefs, which are known once the values are.

    Raises
    ------
    InputError
        If a name is none of the tree, or a number out of range.
    InfeasibleError
        If there is no plan.

    Examples
    --------
    >>> from scenario_trees import CorrelatedFactors, GeometricBrownianMotion
    >>> from stochisru.problem import Decision, Factor, Model, Operation, Row
    >>> from stochisru.partial_evpi import partial_evpi_of_process
    >>> newsvendor = Model(
    ...     "newsvendor",
    ...     horizon=1,
    ...     parts=[
    ...         Decision("order", lead=1, years=[1], cost=1.0, upper=400),
    ...         Operation("sold", value=Factor("price"), upper=Factor("demand")),
    ...         Row("stock", {"sold": 1.0, "order": -1.0}, upper=0.0),
    ...     ],
    ...     factors=("demand", "price"),
    ... )
    >>> parts = GeometricBrownianMotion(100.0, 0.0, 0.3), GeometricBrownianMotion(1.6, 0.0, 0.4)
    >>> both = CorrelatedFactors(("demand", "price"), parts, ((1.0, 0.5), (0.5, 1.0)))
    >>> found = partial_evpi_of_process(newsvendor, both, [(3, 3)])
    >>> [(name, round(found.parts[name].value, 2), found.parts[name].tells_all) for name in found.ranked]
    [('demand', 19.68, False), ('price', 13.86, False)]
    """
    knowing = partial(partial_evpi, solver=solver, rel_gap=rel_gap, time_limit=time_limit, progress=progress)
    tree = ScenarioTree.from_process(process, branching)
    beliefs = getattr(process, "beliefs", ())
    names = tuple(name for name in tree.names if name not in beliefs) if factors is None else tuple(factors)
    several = process if isinstance(process, CorrelatedFactors) else None
    after = [name for name in names if several is not None and name in several.factors and several.follows(name)]
    model = problem if isinstance(problem, Model) else problem(tree)
    found = knowing(model, tree, [name for name in names if name not in after])
    parts = dict(found.parts)
    for name in after:
        assert several is not None
        first = ScenarioTree.from_process(several.leading(name), [several.led(name, b) for b in branching]).as_belief()
        model = problem if isinstance(problem, Model) else problem(first)
        parts[name] = knowing(model, first, [name]).parts[name]
    return replace(found, parts={name: parts[name] for name in names})


def _named(bounds: Bounds) -> Bounds:
    return replace(bounds, of=Of.LATTICE)


def _of_lattice(part: ValueOfKnowing) -> ValueOfKnowing:
    return replace(part, bounds=_named(part.bounds))


def _unfolded(lattice: MarkovLattice, most: int) -> ScenarioTree | None:
    try:
        return lattice.to_tree(max_nodes=most)
    except TreeError:
        return None


def _best(model: Model, tree: ScenarioTree, solver: str, limits: SolverLimits) -> Bounds:
    """RP on a tree."""
    found = optimum(model, tree, Recourse(), solver, limits)
    if found is None:
        raise InfeasibleError(f"{model.name}: no plan keeps all rows")
    return found.bounds


def _on_tree(
    model: Model,
    tree: ScenarioTree,
    names: Sequence[str],
    solver: str,
    limits: SolverLimits,
    say: Callable[[str], None],
) -> PartialEvpi:
    say("nothing known")
    rp = _best(model, tree, solver, limits)
    say("all known")
    if model.is_linear:
        all_known = optimum(model, tree, WaitAndSee(), solver, limits)
        if all_known is None:
            raise InfeasibleError(f"{model.name}: no plan keeps all rows")
        known, count = all_known.bounds, tree.n_leaves
    else:
        scenarios = [(float(tree.probability[leaf]), tree.branch(leaf)[0]) for leaf in range(tree.n_nodes)[tree.leaves]]
        known, count = _mean_of(model, scenarios, solver, limits)
    evpi = _part(model, known, rp, count, True)
    parts = {}
    for name in names:
        say(name)
        left = list(known_paths(tree, name))
        if len(left) == 1:  # a factor that is certain tells nothing
            parts[name] = ValueOfKnowing(0.0, Bounds.point(0.0, rp.kind, rp.of), 1, tree.n_leaves == 1)
            continue
        known, count = _mean_of(model, left, solver, limits)
        parts[name] = _part(model, known, rp, count, all(each.n_leaves == 1 for _, each in left))
    return PartialEvpi(model, tree, rp, evpi, parts)


def _mean_of(
    model: Model, left: Sequence[tuple[float, ScenarioTree]], solver: str, limits: SolverLimits
) -> tuple[Bounds, int]:
    """Mean of RP over conditional trees."""
    found = [(chance, _best(model, tree, solver, limits)) for chance, tree in left if chance > 0]
    lower, upper, flows = (sum(c * getattr(b, end) for c, b in found) for end in ("lower", "upper", "flows"))
    return replace(found[0][1], lower=lower, upper=upper, flows=flows), len(found)


def _part(model: Model, known: Bounds, rp: Bounds, paths: int, tells_all: bool) -> ValueOfKnowing:
    """A difference that cannot be negative."""
    difference = known.minus(rp) if model.sign > 0 else rp.minus(known)
    if difference.upper < -1e-7 * max(1.0, difference.flows):
        raise BoundsError(f"values out of order: knowing more costs {-difference.upper!r}")
    lower, upper = max(difference.lower, 0.0), max(difference.upper, 0.0)
    middle = model.sign * (_in_hand(model, known) - _in_hand(model, rp))
    if abs(middle) <= 1e-9 * difference.flows:
        middle = 0.0
    return ValueOfKnowing(
        min(max(middle, lower), upper), replace(difference, lower=lower, upper=upper), paths, tells_all
    )


def _in_hand(model: Model, bounds: Bounds) -> float:
    return bounds.lower if model.sign > 0 else bounds.upper


def _without(sample: Array, off: Array) -> Array:
    """A sample less what numbers of mean 0, shape ``(k, n)``, explain of it (control variates)."""
    used = off[np.ptp(off, axis=1) > 0]
    if sample.size < 8 * (used.shape[0] + 1) or not used.size:
        return sample
    design = np.stack([np.ones(sample.size), *(row / np.abs(row).max() for row in used)], axis=1)
    slope = np.linalg.lstsq(design, sample, rcond=None)[0]
    return np.asarray(sample - design[:, 1:] @ slope[1:])


@dataclass(frozen=True, eq=False)
class _Sampled:
    """Partial EVPI on a lattice whose histories are too many for one program."""

    model: Model
    lattice: MarkovLattice
    solver: str
    limits: SolverLimits
    say: Callable[[str], None]

    def values(self, names: Sequence[str], paths: int, seed: int, confidence: float) -> PartialEvpi:
        self.say("nothing known")
        result = self._sddp(self.lattice)
        states = self.lattice.sample(paths, seed=seed)
        seeds = np.random.SeedSequence(seed, spawn_key=(1,)).generate_state(paths).tolist()
        short = result.bounds.upper - result.bounds.lower

        def part(name: str) -> ValueOfKnowing:
            self.say(name)
            ends, plan, drawn = np.empty((2, paths)), [], []
            for p, path in enumerate(states.T):
                left, kept = self._left(name, path)
                ends[:, p] = self._rp(left)
                inner = left.sample(1 if max(left.sizes) == 1 else _INNER, seed=seeds[p])
                own = np.stack([k[i] for k, i in zip(kept, inner, strict=True)])
                drawn.append(own)
                plan.append(result.plan.on_paths(own))
            every = np.stack(drawn)
            earned = self._controlled(np.stack(plan), every)
            units, off = np.ones(paths, dtype=np.int64), self._off(every).mean(axis=2)
            low, high = (mean_estimate(_without(end - earned, off), units, confidence) for end in ends)
            lower, upper = max(low.lower - short, 0.0), max(high.upper, 0.0)
            middle = min(max(0.5 * (low.value + high.value), lower), upper)
            flows = result.bounds.flows
            bounds = Bounds(lower, upper, Kind.STATISTICAL, Of.LATTICE, flows, confidence)
            return ValueOfKnowing(middle, bounds, paths, max(left.sizes) == 1)

        parts = {name: part(name) for name in names}
        return PartialEvpi(self.model, self.lattice, result.bounds, part("all"), parts)

    def _controlled(self, worth: Array, states: Index) -> Array:
        """Mean worth of the plan by path of the known factor, freed of what the factors' means explain.

        Parameters
        ----------
        worth
            Shape ``(paths, draws)``.
        states
            Shape ``(paths, T + 1, draws)``.
        """
        if not np.isfinite(worth).all():
            raise InfeasibleError(f"{self.model.name}: the plan of SDDP breaks a row on a sampled path")
        off = self._off(states)
        return np.asarray(_without(worth.ravel(), off.reshape(off.shape[0], -1)).reshape(worth.shape).mean(axis=1))

    def _off(self, states: Index) -> Array:
        """Discounted sum of each factor less its mean, which nobody can know: shape ``(factors, paths, draws)``."""
        lattice, out = self.lattice, np.zeros((len(self.lattice.names), states.shape[0], states.shape[2]))
        for t in range(1, lattice.horizon + 1):
            seen = [lattice.values[t], *(lattice.others[t].T if lattice.others is not None else ())]
            for k, values in enumerate(seen):
                off = (values - lattice.probabilities[t] @ values)[states[:, t]]
                out[k] += off / (1 + self.model.discount_rate) ** t
        return out

    def _left(self, name: str, path: Index) -> tuple[MarkovLattice, tuple[Index, ...]]:
        """What is left open once a factor, or all, are known."""
        if name in self.lattice.names:
            return known_path(self.lattice, name, path)
        others = self.lattice.others
        left = MarkovLattice(
            tuple(value[i : i + 1] for value, i in zip(self.lattice.values, path, strict=True)),
            (np.ones((1, 1)),) * self.lattice.horizon,
            None if others is None else tuple(other[i : i + 1] for other, i in zip(others, path, strict=True)),
            self.lattice.names,
        )
        return left, tuple(np.array([i]) for i in path)

    def _rp(self, left: MarkovLattice) -> tuple[float, float]:
        tree = _unfolded(left, _LEFT)
        bounds = self._sddp(left).bounds if tree is None else _best(self.model, tree, self.solver, self.limits)
        ends = bounds if self.model.sign > 0 else bounds.negative()
        return ends.lower, ends.upper

    def _sddp(self, lattice: MarkovLattice) -> Any:
        from stochisru.methods.sddp.method import sddp

        return sddp(self.model, lattice, rel_gap=_GAP, iterations=_ITERATIONS, simulations=2)
