"""A policy down given paths of the factors: what it decides, what stands, and what that is worth on each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array, Index, Mask
from stochisru.errors import InfeasibleError, InputError
from stochisru.problem.coefficients import Number
from stochisru.problem.evaluate import evaluate
from stochisru.problem.information import Recourse
from stochisru.problem.model import Model
from stochisru.problem.parts import Decision, Operation, Row, State
from stochisru.problem.paths import Paths
from stochisru.problem.plan import ModelPlan
from stochisru.problem.policies.operating import Operating
from stochisru.problem.policies.protocol import BestOperations, Policy, Seen
from stochisru.problem.sheet import Sheet

#: Share of the sizes in a row, or of a bound, that is a solver's tolerance.
_TOLERANCE = 1e-6
#: Amount of a decision that is a solver's rounding.
_DUST = 1e-9


@dataclass(frozen=True, eq=False)
class Followed:
    """What a policy comes to.

    Attributes
    ----------
    plan
        All quantities on the paths, which are a `stochisru.problem.paths.fan`.
    broken
        Whether a row or bound is broken on a path, shape ``(n,)``.
    """

    plan: ModelPlan
    broken: Mask

    @property
    def values(self) -> Array:
        """Discounted money of every path in the sense of the model, shape ``(n,)``; infeasible where it is broken."""
        return np.where(self.broken, -self.plan.model.sign * np.inf, self.plan.scenarios)


def follow(
    model: Model, policy: Policy, paths: Paths | ArrayLike, operations: BestOperations | None = None
) -> Followed:
    """Run a policy down paths of the factors.

    Parameters
    ----------
    paths
        Shape ``(n, T + 1)``, alike in year 0; of several factors ``(n, T + 1, factors)`` in the order of the model.
    operations
        What is best where the policy gives no operations; by a linear program if not given.

    Raises
    ------
    InputError
        If paths do not suit the model, or the policy gives something else than it must; the message names policy, part
        and year.

    Examples
    --------
    >>> from stochisru.problem import Decision, Factor, Model, Operation, Row
    >>> from stochisru.problem.policies import Planned, follow
    >>> newsvendor = Model(
    ...     "newsvendor",
    ...     horizon=1,
    ...     parts=[
    ...         Decision("order", lead=1, years=[1], cost=1.0, upper=200),
    ...         Operation("sold", value=3.0, upper=Factor("demand")),
    ...         Row("stock", {"sold": 1.0, "order": -1.0}, upper=0.0),
    ...     ],
    ... )
    >>> follow(newsvendor, Planned({"order": [0, 80]}), [[1, 50], [1, 100]]).values.round(6).tolist()
    [70.0, 160.0]
    """
    return _Walk(model, policy, Paths.of(model, paths), operations).done()


@dataclass(eq=False)
class _Walk:
    """One policy on its way."""

    model: Model
    policy: Policy
    paths: Paths
    best: BestOperations | None

    def __post_init__(self) -> None:
        self.tree = self.paths.fan()
        self.sheet = Sheet(self.model, self.tree, Recourse())
        self.n = len(self.paths)
        shape = self.model.horizon + 1, self.n
        self.known = {part.name: np.full(shape, np.nan) for part in self.model.columns}
        self.operated = self.aiming = False
        for part in self.model.columns:
            if isinstance(part, (Decision, Operation)) and part.years is not None:
                self.known[part.name][[t for t in self.model.years if t not in part.years]] = 0.0

    def done(self) -> Followed:
        """Walk to the last year."""
        for t in self.model.years:
            given = self._decided(t)
            self._operate(t, given)
            self._carry(t)
        if self.best is not None and not self.operated:
            self._operate_by(self.best)
        if self.best is not None or self.operated or not self.model.operations:
            plan = ModelPlan(self.model, self.tree, {name: _flat(x) for name, x in self.known.items()})
            return Followed(plan, self._broken)
        return self._with_best_operations()

    # ------------------------------------------------------------- one year

    def _decided(self, t: int) -> Mapping[str, ArrayLike]:
        due = {part.name: years for part in self.model.decisions if (years := self._due(part, t))}
        history = dict(zip(self.paths.names, self.paths.values.T[:, : t + 1], strict=True))
        for array in (*history.values(), *self.known.values()):
            array.setflags(write=False)
        factors = {name: history.pop(name) for name in cast("tuple[str, ...]", self.model.factors)}
        seen = Seen(self.model, t, factors, due, self.known, history)
        answer = self.policy.decide(seen)
        if not isinstance(answer, Mapping):
            raise InputError(f"{self._who}: must give a table of amounts by name in year {t}, got {answer!r}")
        given = dict(answer)
        for array in self.known.values():
            array.setflags(write=True)
        stores = [state.name for state in self.model.stores]
        allowed = [*due, *(part.name for part in self.model.operations)]
        for name in given:
            if name not in (*allowed, *stores):
                raise InputError(f"{self._who}: {name!r} is nothing to decide in year {t}; it is {', '.join(allowed)}")
        for name, years in due.items():
            if name not in given:
                raise InputError(f"{self._who}: must give {name!r} in year {t}")
            amounts = self._shaped(name, given.pop(name), t, (len(years), self.n))
            for year, amount in zip(years, amounts, strict=True):
                self.known[name][year] = self._allowed(self.model[name], amount, year)  # type: ignore[arg-type]
        return given

    @property
    def _who(self) -> str:
        return f"policy {self.policy.name}"

    def _due(self, part: Decision, t: int) -> tuple[int, ...]:
        last = min(t + part.lead, self.model.horizon)
        years = range(last + 1) if t == 0 else range(t + part.lead, last + 1)
        return tuple(year for year in years if part.years is None or year in part.years)

    def _shaped(self, name: str, given: ArrayLike, t: int, shape: tuple[int, ...]) -> Array:
        try:
            found = np.asarray(given, dtype=float)
            wrong = found.shape != shape and not (shape[0] == 1 and found.shape in ((), shape[1:]))
        except (TypeError, ValueError):
            wrong = True
        if wrong:
            raise InputError(f"{self._who}: {name!r} of year {t} must be numbers of shape {shape}")
        found = np.broadcast_to(found, shape)
        if not np.isfinite(found).all():
            raise InputError(f"{self._who}: {name!r} of year {t} must be finite")
        if t == 0 and (found != found[:, :1]).any():
            raise InputError(f"{self._who}: {name!r} of year 0 must be alike on all paths, which are alike then")
        return found

    def _allowed(self, part: Decision | Operation, amount: Array, year: int) -> Array:
        """An amount within the bounds that a part says, to a solver's tolerance, and a whole number of lots."""
        if isinstance(part, Decision) and part.lot is not None:
            whole = np.rint(amount / part.lot) * part.lot
            if (np.abs(amount - whole) > _TOLERANCE * part.lot).any():
                raise InputError(f"{self._who}: {part.name!r} of year {year} must be whole lots of {part.lot:g}")
            amount = whole
        if isinstance(part, Decision) and not part.is_linear:  # a solver's dust starts no campaign
            amount = np.where(np.abs(amount) > _DUST, amount, 0.0)
        lower: Number = self.sheet.numbers(part, "lower")[year]
        upper: Number = np.inf if part.upper is None else self.sheet.numbers(part, "upper")[year]
        room = _TOLERANCE * np.maximum(np.abs(amount), 1.0)
        wrong = (amount < lower - room) | (amount > upper + room)
        if wrong.any():
            p = int(wrong.argmax())
            low, high = (float(np.broadcast_to(side, amount.shape)[p]) for side in (lower, upper))
            raise InputError(
                f"{self._who}: {part.name!r} of year {year} must lie in [{low:g}, {high:g}], got {amount[p]:g}"
            )
        return np.asarray(np.clip(amount, lower, upper))

    def _operate(self, t: int, given: Mapping[str, ArrayLike]) -> None:
        names = [part.name for part in self.model.operations if part.years is None or t in part.years]
        stores = [state.name for state in self.model.stores]
        levels = {name: given[name] for name in stores if name in given}
        if t == 0:
            self.operated, self.aiming = bool(given), bool(levels)
            if not given and stores:
                raise InputError(
                    f"{self._who}: must give operations too, {', '.join(names)}: they change what "
                    f"{self.model.stores[0].label} keeps; or the level that is to be left: {', '.join(stores)}"
                )
        if not self.operated and not given:
            return
        if levels or self.aiming:
            self._aim(t, levels, [name for name in names if name in given])
            return
        for name in names:
            if name not in given:
                raise InputError(f"{self._who}: gives operations, and must give {name!r} in year {t}")
            (amount,) = self._shaped(name, given[name], t, (1, self.n))
            self.known[name][t] = self._allowed(self.model[name], amount, t)  # type: ignore[arg-type]

    def _aim(self, t: int, levels: Mapping[str, ArrayLike], operated: list[str]) -> None:
        """Operations that leave stores as near to given levels as they can."""
        for state in self.model.stores:
            if state.name not in levels:
                raise InputError(f"{self._who}: gives levels of stores, and must give {state.name!r} in year {t}")
        if operated:
            raise InputError(f"{self._who}: must give operations or levels, got {operated[0]!r} too in year {t}")
        aims = {name: self._shaped(name, level, t, (1, self.n))[0] for name, level in levels.items()}
        for name, amount in self._operating.year(t, self.known, aims).items():
            part = self.model[name]
            if part.years is None or t in part.years:  # type: ignore[union-attr]
                self.known[name][t] = self._allowed(part, amount, t)  # type: ignore[arg-type]

    @cached_property
    def _operating(self) -> Operating:
        return Operating(self._plain, self.paths)

    @cached_property
    def _plain(self) -> Model:
        """The model as operations see it, which do not know what decisions cost by size: it needs no whole numbers."""
        parts = [
            replace(part, lot=None, curve=None, fixed_cost=0.0) if isinstance(part, Decision) else part
            for part in self.model.parts
        ]
        return replace(self.model, parts=parts)

    def _carry(self, t: int) -> None:
        """All states that are known by now."""
        for year in range(t, self.model.horizon + 1):
            for state in self.model.states:
                if np.isnan(self.known[state.name][year]).any() and self.sheet.places[state.name].stage(year) <= t:
                    self.known[state.name][year] = self._balance(state, year)

    def _balance(self, state: State, year: int) -> Array:
        keep = self.sheet.kept(state)
        before = self.known[state.name][year - 1] * keep[year] if year else state.initial
        found = before + self.sheet.numbers(state, "inflow")[year] + self._fed(state, year)
        if state.lifetime is not None and year >= state.lifetime:
            old = year - state.lifetime
            left = float(np.prod(np.asarray(keep[old + 1 : year + 1], dtype=float)))
            found = found - left * (self._fed(state, old) + (state.initial if old == 0 else 0.0))
        return np.asarray(found)

    def _fed(self, state: State, year: int) -> Array:
        gains = self.sheet.gains[state.name][year]
        return sum((number * self.known[name][year] for name, number in gains.items()), np.zeros(self.n))

    # ------------------------------------------------------------------ result

    @cached_property
    def _broken(self) -> Mask:
        """Paths on which a state leaves its bounds or a row is not kept."""
        broken = np.zeros(self.n, dtype=bool)
        bound: list[State | Row] = [*self.model.states, *self.model.rows]
        for part in bound:
            years = self.model.years if isinstance(part, State) or part.years is None else part.years
            for t in cast("tuple[int, ...]", years):
                terms = {part.name: 1.0} if isinstance(part, State) else self.sheet.terms(part)[t]
                each = [number * self.known[name][t] for name, number in terms.items()]
                total, size = sum(each, np.zeros(1)), sum(map(np.abs, each), np.ones(1))
                low = self.sheet.numbers(part, "lower")[t]
                high = np.inf if part.upper is None else self.sheet.numbers(part, "upper")[t]
                broken |= (total < low - _TOLERANCE * size) | (total > high + _TOLERANCE * size)
        return broken

    def _operate_by(self, best: BestOperations) -> None:
        """Operations that somebody knows to be best, and those that have no choice."""
        for t in self.model.years:
            names = cast("tuple[str, ...]", self.model.factors)
            given = best.year(t, dict(zip(names, self.paths.values[:, t].T, strict=False)), self.known)
            for part in self.model.operations:
                if part.name in given:
                    self.known[part.name][t] = given[part.name]
                elif part.years is None or t in part.years:
                    self.known[part.name][t] = self.sheet.numbers(part, "lower")[t]

    def _with_best_operations(self) -> Followed:
        """What operations are best for the decisions, year by year: nothing is carried over by them."""
        every = np.arange(self.n)
        columns = {name: np.full((self.model.horizon + 1, every.size), np.nan) for name in self.known}
        broken = np.zeros(every.size, dtype=bool)
        self._best(every, columns, broken)
        return Followed(ModelPlan(self.model, self.tree, {name: _flat(x) for name, x in columns.items()}), broken)

    def _best(self, paths: Index, columns: dict[str, Array], broken: Mask) -> None:
        """Fill in the best operations on some paths; where they have none, half of them at a time, to find which."""
        decided = {part.name: _flat(self.known[part.name][:, paths]) for part in self.model.decisions}
        try:
            best = evaluate(self._plain, decided, self.paths[paths])
        except InfeasibleError:
            if paths.size == 1:
                broken[paths] = True
                return
            for half in np.array_split(paths, 2):
                self._best(half, columns, broken)
            return
        for name, amounts in best.columns.items():
            columns[name][0, paths] = amounts[0]
            columns[name][1:, paths] = amounts[1:].reshape(self.model.horizon, paths.size)


def _flat(amounts: Array) -> Array:
    """Amounts by year and path at the nodes of a fan."""
    return np.concatenate([amounts[0, :1], amounts[1:].ravel()])
