"""A problem, stated once: its parts, its horizon, how money is discounted, and the process of its factors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.errors import is_integer
from scenario_trees.lattice import MarkovLattice
from scenario_trees.origin import Origin
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError, require_integer, require_number
from stochisru.problem.coefficients import Factor, Kept
from stochisru.problem.parts import Decision, Expression, Operation, Part, Row, State
from stochisru.problem.tail import TailOfTotal
from stochisru.programs.sparse import Sense

if TYPE_CHECKING:
    from stochisru.problem.lattice_problem import ModelOnLattice
    from stochisru.problem.subtrees import Subtrees
    from stochisru.problem.tree_problem import ModelOnTree

P = TypeVar("P", Decision, State, Operation, Expression, Row)


@dataclass(frozen=True, repr=False)
class Model:
    """A multistage problem under uncertainty.

    Attributes
    ----------
    name
        For programs and messages.
    horizon
        Last year T ≥ 0; years are 0..T.
    parts
        What is decided, carried over, operated and required, each stated after what it refers to.
    sense
        Of the expected discounted sum: worth of operations less all costs where maximised, costs less that worth where
        minimised.
    discount_rate
        r > −1; money of year t counts (1 + r)^−t.
    factors
        Names of the factors, in the order of the process.
    process
        Process of the factors; trees that were made from another one are refused. None takes any tree.
    risk
        What is optimised instead of the expectation: the mean-CVaR of totals, on whole trees. None: the expectation.

    Raises
    ------
    InputError
        One line that names part, year and what is expected.

    Examples
    --------
    Buy 0 or more newspapers in the morning at 1 $, sell what is asked for at 3 $:

    >>> from stochisru.problem import Decision, Factor, Model, Operation, Row, State
    >>> newsvendor = Model(
    ...     "newsvendor",
    ...     horizon=1,
    ...     parts=[
    ...         Decision("order", lead=1, years=[1], cost=1.0, upper=200),
    ...         State("stock", keep=0.0, gains={"order": 1.0}),
    ...         Operation("sold", value=3.0, upper=Factor("demand")),
    ...         Row("stocked", {"sold": 1.0, "stock": -1.0}, upper=0.0),
    ...     ],
    ... )
    >>> newsvendor.decisions[0].lead
    1
    """

    name: str
    horizon: int
    parts: Iterable[Part]
    sense: Sense = "maximise"
    discount_rate: float = 0.0
    factors: Iterable[str] = ("demand",)
    process: Any = None
    risk: TailOfTotal | None = None

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and self.name.strip() and self.name.isprintable()):
            raise InputError(f"name: must be text of one line, got {self.name!r}")
        require_integer("horizon", self.horizon, 0)
        if self.sense not in ("maximise", "minimise"):
            raise InputError(f"sense: must be maximise or minimise, got {self.sense!r}")
        require_number("discount_rate", self.discount_rate, low=-1.0, strict=True)
        if self.risk is not None and not isinstance(self.risk, TailOfTotal):
            raise InputError(f"risk: must be a TailOfTotal or None, got {self.risk!r}")
        if self.process is not None and not hasattr(self.process, "paths"):
            raise InputError(f"process: must be a process of scenario_trees or None, got {self.process!r}")
        for name in ("parts", "factors"):
            given = getattr(self, name)
            if isinstance(given, str) or not isinstance(given, Iterable):
                raise InputError(f"{name}: must be a list, got {given!r}")
        object.__setattr__(self, "parts", tuple(self.parts))
        object.__setattr__(self, "factors", tuple(self.factors))
        factors = cast("tuple[str, ...]", self.factors)
        if not all(isinstance(name, str) for name in factors) or len(set(factors)) < len(factors):
            raise InputError(f"factors: must be different names, got {list(factors)}")
        _Check(self).all()

    # ------------------------------------------------------------------ parts

    def _of(self, kind: type[P]) -> tuple[P, ...]:
        return tuple(part for part in self.parts if isinstance(part, kind))

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """Decisions in their order."""
        return self._of(Decision)

    @cached_property
    def states(self) -> tuple[State, ...]:
        """States in their order."""
        return self._of(State)

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """Operations in their order."""
        return self._of(Operation)

    @cached_property
    def expressions(self) -> tuple[Expression, ...]:
        """Expressions in their order."""
        return self._of(Expression)

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """Rows in their order."""
        return self._of(Row)

    @property
    def columns(self) -> tuple[Decision | State | Operation, ...]:
        """Parts that have columns, in their order."""
        return tuple(part for part in self.parts if isinstance(part, (Decision, State, Operation)))

    def __getitem__(self, name: str) -> Part:
        for part in self.parts:
            if part.name == name:
                return part
        raise InputError(f"part: must be one of {', '.join(part.name for part in self.parts)}, got {name!r}")

    def __repr__(self) -> str:
        parts = ", ".join(part.name for part in self.parts)
        return f"Model({self.name!r}, T = {self.horizon}, {self.sense}, parts {parts})"

    # ------------------------------------------------- as methods see it

    @property
    def has_exact_plans(self) -> bool:
        """No: plans keep rows to a solver's tolerances."""
        return False

    def on_tree(self, tree: ScenarioTree) -> ModelOnTree:
        """The problem on a tree; `InputError` if they do not match."""
        from stochisru.problem.tree_problem import ModelOnTree

        return ModelOnTree(self, tree)

    def subtrees(self, tree: ScenarioTree, cut_stage: int) -> Subtrees:
        """The problem on a tree that is cut at a stage."""
        from stochisru.problem.subtrees import Subtrees

        self.require_neutral("a tree that is cut into subtrees")
        return Subtrees(self, tree, cut_stage)

    def on_lattice(self, lattice: MarkovLattice | int) -> ModelOnLattice:
        """The problem on a lattice, given or made of its process with so many states per stage.

        Raises
        ------
        InputError
            If they do not match, or a lattice is to be made and the model has no process.
        """
        from stochisru.problem.lattice_problem import ModelOnLattice

        self.require_neutral("a lattice")
        if not isinstance(lattice, MarkovLattice):
            if not is_integer(lattice):
                raise InputError(
                    f"lattice: must be a MarkovLattice or a number of states, got {type(lattice).__name__}"
                )
            if self.process is None:
                raise InputError(f"lattice: {self.name} has no process to make one of")
            lattice = MarkovLattice.from_process(self.process, self.horizon, lattice)
        return ModelOnLattice(self, lattice)

    # ----------------------------------------------------------------- others

    @property
    def years(self) -> range:
        """Years 0..T."""
        return range(self.horizon + 1)

    @cached_property
    def discount(self) -> Array:
        """(1 + r)^−t for t = 0..T."""
        return np.asarray((1 + self.discount_rate) ** -np.arange(self.horizon + 1.0))

    @property
    def sign(self) -> float:
        """1 where the objective is maximised, −1 where it is minimised."""
        return 1.0 if self.sense == "maximise" else -1.0

    def require_neutral(self, what: str) -> None:
        """Refuse a risk measure of totals where only whole trees know it."""
        if self.risk is not None:
            raise InputError(f"risk: the risk of a total is one of whole scenario trees (--method ef), got {what}")

    @property
    def is_linear(self) -> bool:
        """Whether its programs have no whole numbers and no curves."""
        return all(decision.is_linear for decision in self.decisions)

    @cached_property
    def stores(self) -> tuple[State, ...]:
        """States by which operations of one year change what is there in the next."""
        operated, found = {part.name for part in self.operations}, []
        for part in self.parts:
            if isinstance(part, Expression) and operated & part.terms.keys():
                operated.add(part.name)
            if isinstance(part, State) and operated & part.gains.keys():
                if not isinstance(part.keep, (float, tuple)) or np.any(part.keep):
                    found.append(part)
                operated.add(part.name)
        return tuple(found)

    @property
    def carried_over(self) -> State | None:
        """The first of `stores`, None if there is none."""
        return self.stores[0] if self.stores else None

    def with_part(self, *parts: Part) -> Model:
        """The model with more parts; one that is there already, of the same name and kind, is replaced.

        Raises
        ------
        InputError
            If a part of another kind has the name.
        """
        for part in parts:
            _require_part(part)
        new = {part.name: part for part in parts}
        for part in self.parts:
            if part.name in new and type(new[part.name]) is not type(part):
                raise InputError(f"{new[part.name].label}: the name is taken by {part.label}")
        old = [new.pop(part.name, part) for part in self.parts]
        return replace(self, parts=(*old, *new.values()))

    def factors_on(self, tree: ScenarioTree) -> Mapping[str, Array]:
        """Values of all factors on a tree, each of shape ``(nodes,)``.

        Raises
        ------
        InputError
            If the tree does not belong to the model.
        """
        if not isinstance(tree, ScenarioTree):
            raise InputError(f"tree: must be a ScenarioTree, got {type(tree).__name__}")
        if tree.horizon != self.horizon:
            raise InputError(f"tree: needs one stage per year, {self.horizon} for {self.name}, got {tree.horizon}")
        if self.process is not None and tree.origin is not None:
            own = Origin(self.process)
            if not tree.origin.same(own):
                raise InputError(
                    f"tree: was made from {tree.origin}, the process of {self.name} is {own}; "
                    "take tree.as_belief() to say that it is what you believe"
                )
        columns = self.seen_among("tree", tree.names)
        return {name: tree.factor(tree.names[columns[name]]) for name in cast("tuple[str, ...]", self.factors)}

    def seen_among(self, what: str, known: tuple[str, ...]) -> dict[str, int]:
        """Where the factors of the model stand among the names of what is known, and then all else that is.

        A model of one factor that has no namesake means the first, whatever its name.

        Parameters
        ----------
        what
            What knows it, for the error: ``tree``, ``lattice``, ``process``.

        Raises
        ------
        InputError
            If a factor is lacking.
        """
        names = cast("tuple[str, ...]", self.factors)
        if len(names) == 1 and names[0] not in known:
            return {names[0]: 0, **{name: i for i, name in enumerate(known) if i}}
        lacking = [name for name in names if name not in known]
        if lacking:
            raise InputError(
                f"{what}: lacks the factor {lacking[0]!r}; {self.name} has {len(names)}: {', '.join(names)}, "
                f"the {what} has {', '.join(known)}"
            )
        return {name: known.index(name) for name in (*names, *(other for other in known if other not in names))}


def require_model(given: object) -> None:
    """Raise `InputError` unless something is a model."""
    if not isinstance(given, Model):
        raise InputError(f"model: must be a Model, got {type(given).__name__}")


def _require_part(part: object) -> None:
    if not isinstance(part, (Decision, State, Operation, Expression, Row)):
        raise InputError(f"parts: must be Decision, State, Operation, Expression or Row, got {part!r}")


@dataclass
class _Check:
    """Everything that can be wrong with the parts of a model before there is a tree."""

    model: Model

    def all(self) -> None:
        seen: dict[str, Part] = {}
        for part in self.model.parts:
            _require_part(part)
            if part.name in seen:
                raise InputError(f"{part.label}: the name is taken by {seen[part.name].label}")
            for what, coefficient in part.coefficients.items():
                self._coefficient(part, what, coefficient)
            if isinstance(part, (Decision, Operation, Row)) and part.years is not None:
                outside = [year for year in part.years if year not in self.model.years]
                if outside:
                    raise InputError(f"{part.label}: years must lie in 0..{self.model.horizon}, got {outside[0]}")
            if isinstance(part, Decision):
                self._decision(part)
            if isinstance(part, State):
                self._refers(part, "gains", part.gains, seen)
                self._enough(part, seen)
            if isinstance(part, Row):
                self._sides(part)
            if isinstance(part, (Expression, Row)):
                self._refers(part, "terms", part.terms, seen)
            seen[part.name] = part
        if not self.model.columns:
            raise InputError("parts: must have a decision, a state or an operation")
        for part in self.model.parts:
            if isinstance(part, (State, Expression)):
                if part.rule_name in seen:
                    raise InputError(f"{part.label}: rule must be a new name, {seen[part.rule_name].label} has it")
                seen[part.rule_name] = part
        for part in self.model.decisions:
            for name in part.own_names:
                if name in seen:
                    raise InputError(
                        f"{seen[name].label}: programs have {name!r} for sizes of {part.label}; choose another"
                    )

    def _coefficient(self, part: Part, what: str, coefficient: Kept) -> None:
        listed = coefficient.times if isinstance(coefficient, Factor) else coefficient
        if isinstance(listed, tuple) and len(listed) != self.model.horizon + 1:
            raise InputError(
                f"{part.label}: {what} must be one number per year 0..{self.model.horizon}, "
                f"{self.model.horizon + 1} numbers, got {len(listed)}"
            )
        factors = cast("tuple[str, ...]", self.model.factors)
        if isinstance(coefficient, Factor) and coefficient.name not in factors:
            raise InputError(
                f"{part.label}: {what} uses the factor {coefficient.name!r}; "
                f"the model's factors are {', '.join(factors) or 'none'}"
            )

    def _sides(self, part: Row) -> None:
        if isinstance(part.lower, (float, tuple)) and isinstance(part.upper, (float, tuple)):
            low, high = (np.broadcast_to(side, self.model.horizon + 1) for side in (part.lower, part.upper))
            for t in self.model.years if part.years is None else part.years:
                if low[t] > high[t]:
                    raise InputError(f"{part.label}: lower must be <= upper in year {t}, got {low[t]:g} > {high[t]:g}")

    def _decision(self, part: Decision) -> None:
        if part.payment is not None and part.payment[-1] != 1 and not isinstance(part.cost, (float, tuple)):
            raise InputError(
                f"{part.label}: a cost that depends on factors is known in the year of arrival and must be paid then, "
                f"got payment {part.payment}"
            )

    def _refers(self, part: Part, what: str, terms: Iterable[str], seen: Mapping[str, Part]) -> None:
        known = [name for name, other in seen.items() if not isinstance(other, Row)]
        for name in terms:
            if name not in known:
                later = any(other.name == name for other in self.model.parts)
                hint = f"; {name!r} comes after it, state it first" if later else ""
                raise InputError(
                    f"{part.label}: {what} names {name!r}; stated before it are {', '.join(known) or 'no parts'}{hint}"
                )

    def _enough(self, part: State, seen: Mapping[str, Part]) -> None:
        if part.enough is None:
            return
        for name, gain in part.gains.items():
            if not isinstance(seen[name], Decision):
                raise InputError(f"{part.label}: enough asks that only decisions feed it, got {seen[name].label}")
            if not isinstance(gain, (float, tuple)) or np.min(gain) < 0 < np.max(gain):
                raise InputError(
                    f"{part.label}: enough asks for gains known beforehand that only add or only take, got {gain!r} of "
                    f"{name!r}"
                )
