"""A bound on the recourse problem that holds for the process: the factor as a state, its growth in a few bins.

Where a factor of independent growth enters right sides alone, the best that can still be earned is concave in plant and
factor together (a linear program in its right side). Let growth be worth the conditional mean of its bin; by Jensen's
inequality the problem with this growth earns at least as much in every year and from every state, whatever was done
before (Birge and Louveaux 2011, ch. 8). It has few growths a year, independent of each other, and the factor is one of
its states: the cuts of SDDP bound it from above, so that they bound the process. Nothing is sampled, and no value of
the factor stands for others, as on a lattice of its values.

Costs that are minimised are the same with the other sign: the bound is one from below.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
from scipy.special import ndtri

from scenario_trees.arrays import Array
from scenario_trees.lattice import MarkovLattice
from scenario_trees.processes.gbm import GeometricBrownianMotion
from scenario_trees.processes.jumps import JumpDiffusion
from scenario_trees.processes.varying import VaryingBrownianMotion
from scenario_trees.quantization import EqualProbability
from stochisru.errors import InputError, SolverError, require_integer
from stochisru.methods.risk import Expectation
from stochisru.methods.sddp.engine import Engine
from stochisru.methods.sddp.run import plan_of
from stochisru.methods.sddp.trials import Trials
from stochisru.problem.coefficients import Factor
from stochisru.problem.lattice_plan import ModelCutPlan
from stochisru.problem.lattice_problem import ModelOnLattice
from stochisru.problem.lattice_sheet import LatticeSheet
from stochisru.problem.model import Model
from stochisru.problem.parts import Decision, Operation, Part, Row, State
from stochisru.problem.policies.by_cuts import ByCuts
from stochisru.problem.policies.by_growth import ByGrowth

#: Bins of a year's growth.
BINS = 30
#: Where cuts are made: plant from this share to this multiple of what is enough today, and the factor as it is likely.
_SHORT, _AMPLE, _LIKELY = 0.15, 6.0, 2.5
#: Processes whose growth is independent of where they stand.
_KINDS = "a GeometricBrownianMotion, by year or not, or a JumpDiffusion"
Growing: TypeAlias = GeometricBrownianMotion | JumpDiffusion | VaryingBrownianMotion
#: Largest factor, in terms of the expected one, beyond which duals of 16 digits bound nothing.
_FAR = 1e12


def jensen_bound(model: Model, *, bins: int = BINS, passes: int = 2, seed: int = 0) -> float:
    """Bound the recourse problem of a linear model on its process.

    Parameters
    ----------
    model
        A model with one factor, which is nowhere but in sides of rows, inflows, bounds of operations and ``enough`` of
        states. It must grow by factors that are independent of each other and of where it stands: a
        `GeometricBrownianMotion`, a `VaryingBrownianMotion` or a `JumpDiffusion`.
    bins
        Bins of a year's growth, equally likely; more are nearer.
    passes
        Passes of SDDP; more are nearer, and any number gives a bound.
    seed
        Seed of the trial points, >= 0; the bound holds for each.

    Returns
    -------
    float
        An upper bound on RP where the model is maximised, a lower one where it is minimised; it is proven. Infinite
        where the largest factor is so far from the expected one that rounding leaves none.

    Raises
    ------
    InputError
        If the model is none of these; the message names the part.

    Examples
    --------
    >>> from stochisru import load_case, threshold
    >>> from stochisru.lunar.values.upper import bounded_by_rows
    >>> case = load_case("lunar-reference").replace(T=3)
    >>> ratio = jensen_bound(bounded_by_rows(case)) / threshold(case).objective
    >>> 1 < ratio < 1.01
    True
    """
    for name, count, least in (("bins", bins, 1), ("passes", passes, 1), ("seed", seed, 0)):
        require_integer(name, count, least)
    return jensen_cuts(model, bins=bins, passes=passes, seed=seed)[0]


def jensen_cuts(model: Model, *, bins: int = BINS, passes: int = 2, seed: int = 0) -> tuple[float, ModelCutPlan | None]:
    """The bound of `jensen_bound`, and the plan that its cuts describe, whose factor is a state.

    `stochisru.problem.policies.ByGrowth` makes a policy of the plan. It is None where the bound is infinite.
    """
    programs = Grown.of(model, bins)
    best, plan = np.inf, None
    if programs.farthest > _FAR:
        return model.sign * best, plan
    engine, trials = Engine(programs, Expectation()), Trials(programs, seed)
    for number in range(passes):
        engine.absorb(trials.rows(engine, number, 0, 1))
        with contextlib.suppress(SolverError):
            value, root = engine.root()
            best, plan = min(best, value), plan_of(programs, engine, root)
    return model.sign * best, plan


def why_no_jensen(model: Model) -> str | None:
    """Why there is no such bound on a model, in one sentence, or None where there is one."""
    if not isinstance(model.process, Growing) or len(tuple(model.factors)) > 1:
        return f"process: must grow by independent factors, {_KINDS}, {model.name} has {model.process!r}"
    for part in model.parts:
        for what, given in part.coefficients.items():
            allowed = (type(part), what) in _ALLOWED if isinstance(given, Factor) else not callable(given)
            if not allowed:
                return (
                    f"{part.label}: {what} depends on {next(iter(model.factors))} other than in sides of rows, inflows "
                    "and bounds of operations, so the optimum need not be concave in it"
                )
    return None


@dataclass(frozen=True, eq=False)
class GrowthPlan(ModelCutPlan):
    """A plan of cuts that know the factor."""

    level: str = ""

    def policy(self, name: str, mapping: str | None = None) -> ByCuts:
        """The plan on any paths of the factor: `stochisru.problem.policies.ByGrowth`."""
        if mapping is not None:
            return super().policy(name, mapping)
        return ByGrowth(self, name, self.level)


@dataclass(frozen=True, eq=False)
class Grown(ModelOnLattice):
    """The model whose factor is a state, on a lattice of independent growths; trial points follow the process."""

    source: Model = field(kw_only=True)

    @classmethod
    def of(cls, model: Model, bins: int) -> Grown:
        """The programs of a model; `InputError` where `why_no_jensen` says why."""
        reason, process = why_no_jensen(model), model.process
        if reason is not None:
            raise InputError(reason)
        assert isinstance(process, Growing)
        (factor,) = tuple(model.factors)
        T = model.horizon
        growth, chance = zip(*(_growth(process, bins, t) for t in range(T)), strict=True)
        lattice = MarkovLattice.independent([[1.0], *growth], [[1.0], *chance])
        return cls(_with_state(model, factor, process.initial, largest(process, T, bins)), lattice, source=model)

    def plan(self, root: Array, intercept: Sequence[Array], slope: Sequence[Array], neutral: bool) -> GrowthPlan:
        """The plan that cuts describe."""
        return GrowthPlan(self, tuple(root.tolist()), tuple(intercept), tuple(slope), level=self.level)

    @property
    def farthest(self) -> float:
        """Largest factor of all years in terms of the expected one."""
        mean = np.asarray(self.process.mean(np.arange(self.horizon + 1.0)))
        growth = [values[-1] for values in self.lattice.values[1:]]
        return float(np.exp(min(np.log(growth).sum() - np.log(mean[-1] / mean[0]), np.log(1e300))))

    @property
    def process(self) -> Growing:
        """The process of the source."""
        process = self.source.process
        assert isinstance(process, Growing)
        return process

    @cached_property
    def level(self) -> str:
        """Name of the state that is the factor."""
        return _level_of(self.source)

    @cached_property
    def _sizes(self) -> Mapping[str, list[float]]:
        """Sizes of the source where its factor is as expected: of what it may be at most columns have no size."""
        mean = np.asarray(self.process.mean(np.arange(self.horizon + 1.0)))
        path = MarkovLattice(tuple(mean[:, None]), (np.ones((1, 1)),) * self.horizon)
        return {**LatticeSheet.of(self.source, path).sizes, self.level: mean.tolist()}

    def spread(self, t: int, place: Array, store: Array) -> Array:
        """States leaving stage t: the factor as it is likely, plant as a multiple of what is enough of it."""
        found = super().spread(t, place, store)
        mean, after = float(self.process.mean(float(t))), float(max(t, 1))
        spread = np.log1p(float(self.process.variance(after)) / float(self.process.mean(after)) ** 2) ** 0.5
        likely = mean * np.exp(spread * np.clip(ndtri(store), -_LIKELY, _LIKELY))
        for j, (name, year) in enumerate(self.entering[t + 1]):
            part = None if name == self.level else self.source[name]
            if part is None:
                amount = likely
            elif isinstance(part, State) and isinstance(part.enough, Factor):
                enough = part.enough.by_year(self.horizon)[year]
                amount = enough * likely * _SHORT * (_AMPLE / _SHORT) ** place
            else:
                continue
            low, high = self.sheet.spans[name][year]
            found[:, j] = np.clip(amount, low, high) / self.unit((name, year))
        return found


def largest(process: Growing, horizon: int, bins: int = BINS) -> Array:
    """Largest factor of every year where growth has so many bins, shape ``(T + 1,)``."""
    growth = [1.0, *(float(_growth(process, bins, t)[0][-1]) for t in range(horizon))]
    return np.asarray(process.initial * np.cumprod(growth))


def _growth(process: Growing, bins: int, t: int) -> tuple[Array, Array]:
    """Growth from year t, ascending, and its probabilities: means of bins that are equally likely, and the end."""
    if isinstance(process, (GeometricBrownianMotion, VaryingBrownianMotion)):
        law = process.log_growth(1.0, float(t))
        sigma = float(law.log_sd[0, 0])
        one = GeometricBrownianMotion(1.0, float(law.log_mean[0, 0]) + 0.5 * sigma**2, sigma)
        lattice = MarkovLattice.from_process(one, 1, bins)
        return lattice.values[1], lattice.transitions[0][0]
    after, chance = process.scaled(1.0).step(np.ones((1, 1)), bins, EqualProbability())
    growth, share = after[0, chance[0] > 0, 0], chance[0, chance[0] > 0]
    order = np.argsort(growth)
    return growth[order], share[order]


def _level_of(model: Model) -> str:
    """Name of the state that is the factor."""
    (factor,) = tuple(model.factors)
    name, taken = f"{factor}_level", {part.name for part in model.parts}
    while name in taken:
        name += "_"
    return name


def _with_state(model: Model, factor: str, initial: float, most: Array) -> Model:
    """The model with its factor as a state that grows by a factor ``growth``; ``most`` bounds it, by year."""
    level = _level_of(model)
    parts: list[Part] = [State(level, keep=Factor("growth"), initial=initial)]
    rows: list[Row] = []
    for part in model.parts:
        if isinstance(part, Row):
            parts.extend(_sides(part, level))
        elif isinstance(part, Operation):
            free, bound = _freed(part, level)
            parts.append(free)
            rows.extend(bound)
        elif isinstance(part, Decision) and part.upper is None:
            parts.append(replace(part, upper=_most_added(model, part, most)))
        elif isinstance(part, State):
            gains = dict(part.gains)
            if isinstance(part.inflow, Factor):
                gains[level] = part.inflow.times
                part = replace(part, inflow=0.0)
            parts.append(replace(part, gains=gains, enough=None))
        else:
            parts.append(part)
    return replace(model, parts=(*parts, *rows), factors=("growth",), process=None)


#: Where a factor may be.
_ALLOWED = {(Row, "lower"), (Row, "upper"), (Operation, "lower"), (Operation, "upper"), (State, "inflow")}
_ALLOWED |= {(State, "enough")}


def _sides(row: Row, level: str) -> list[Row]:
    """The row with a factor of its sides among its terms; two rows where they differ in it."""
    times = [(-side).times if isinstance(side, Factor) else 0.0 for side in (row.lower, row.upper)]
    still = [0.0 if isinstance(side, Factor) else side for side in (row.lower, row.upper)]
    if times[0] == times[1]:
        terms = {**row.terms, level: times[0]} if np.any(times[0]) else row.terms
        return [replace(row, terms=terms, lower=still[0], upper=still[1])]
    found = []
    for side, share, number in zip(("lower", "upper"), times, still, strict=True):
        if isinstance(number, float) and not np.isfinite(number):
            continue
        terms = {**row.terms, level: share} if np.any(share) else row.terms
        found.append(Row(f"{row.name}_{side}", terms, **{side: number}, years=row.years))
    return found


def _freed(part: Operation, level: str) -> tuple[Operation, list[Row]]:
    """An operation without bounds that depend on the factor, and these as rows."""
    rows = []
    low, high = part.lower, part.upper
    if isinstance(low, Factor):
        rows.append(Row(f"{part.name}_lower", {part.name: 1.0, level: (-low).times}, lower=0.0, years=part.years))
        part = replace(part, lower=0.0)
    if isinstance(high, Factor):
        rows.append(Row(f"{part.name}_upper", {part.name: 1.0, level: (-high).times}, upper=0.0, years=part.years))
        part = replace(part, upper=None)
    return part, rows


def _most_added(model: Model, decision: Decision, most: Array) -> float:
    """Bound of a decision that feeds a state with ``enough``: B of `stochisru.problem.bounds`, the largest there is.

    Of one that takes from it, what there can be.
    """
    found = np.inf
    for state in model.states:
        gain, keep = state.gains.get(decision.name), np.atleast_1d(np.asarray(state.keep, dtype=float))
        if isinstance(state.enough, Factor) and isinstance(gain, float) and gain and (keep > 0).all():
            kept = np.broadcast_to(keep, most.shape)[1:]
            times = float(state.enough.by_year(model.horizon).max())
            there = times * float(most.max()) / float(np.prod(np.minimum(kept, 1.0)))
            found = min(found, (there if gain > 0 else max(there, state.initial)) / abs(gain))
    if not np.isfinite(found):
        raise InputError(f"{decision.label}: needs an upper bound, or to feed a state with enough and keep > 0")
    return found
