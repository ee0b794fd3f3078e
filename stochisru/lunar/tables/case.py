"""A case that says more than the base problem: `GeneralCase`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from scenario_trees import CorrelatedFactors, GeometricBrownianMotion
from scenario_trees.arrays import Array
from scenario_trees.errors import TreeError
from scenario_trees.lattice import MarkovLattice
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.lunar.derivation import Rule
from stochisru.lunar.explained import explained
from stochisru.lunar.in_hand import InHand
from stochisru.lunar.parts import Part, Scale
from stochisru.lunar.tables import parts
from stochisru.lunar.tables.plants import identifier, plants
from stochisru.lunar.tables.series import Series
from stochisru.lunar.toml import to_toml

if TYPE_CHECKING:
    from typing_extensions import TypeIs

    from stochisru.lunar.storage import Storage
    from stochisru.lunar.tables.model import StatedCase
    from stochisru.problem.lattice_problem import ModelOnLattice
    from stochisru.problem.model import Model
    from stochisru.problem.subtrees import Subtrees
    from stochisru.problem.tree_problem import ModelOnTree

#: Tables that a base case does not have.
_TABLES = ("technologies", "customers", "support", "payment", "terminal", "storage", "risk", "factors")
#: Keys of its tables that a base case does not have.
_KEYS = {
    "horizon": ("step",),
    "economics": ("earth_sold",),
    "technology": ("lifetime", "availability", "build_limit", "scrap"),
    "launch": ("mass_limit",),
}
#: Tables whose numbers may move over time.
_MOVING = ("economics", "technology", "costs")


def is_general(case: object) -> TypeIs[GeneralCase]:
    """Whether a case says more than the base problem."""
    return isinstance(case, GeneralCase)


def said_beyond(data: Mapping[str, Any]) -> list[str]:
    """Tables and keys of a case, as nested tables, that the base problem does not have, or numbers that move."""

    def table(name: str) -> Mapping[str, Any]:
        found = data.get(name)
        return found if isinstance(found, Mapping) else {}

    moving = (list, tuple, Mapping)
    return [
        *(name for name in _TABLES if name in data),
        *(f"{name}.{key}" for name, keys in _KEYS.items() for key in keys if key in table(name)),
        *(f"{name}.{key} over time" for name in _MOVING for key, v in table(name).items() if isinstance(v, moving)),
        *(f"demand.{key} over time" for key in ("mu", "sigma") if isinstance(table("demand").get(key), moving)),
    ]


class GeneralCase(InHand, Part):
    """A deployment problem with tables beyond the base one; see ``docs/tables.md``.

    It is a `Model` for every method that takes one: the extensive form, progressive hedging, SDDP, and the values of a
    tree and of the process. What asks for a `DeploymentCase` refuses it.

    Examples
    --------
    >>> import tomllib
    >>> from stochisru import ScenarioTree, extensive_form, load_case
    >>> from stochisru.lunar.case import problem_from_dict
    >>> data = tomllib.loads(load_case("contested-market").replace(T=3).to_toml())
    >>> data["launch"] = {"mass_limit": 500.0}
    >>> case = problem_from_dict(data)
    >>> result = extensive_form(case, ScenarioTree.from_process(case.process, [2, 2, 2]))
    >>> max(5.465 * mass for mass in result.first_stage.values()) <= 500.1
    True
    """

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^./\\\x00-\x1f][^/\\\x00-\x1f]*$")]
    horizon: parts.HorizonTable
    economics: parts.EconomicsTable
    technology: parts.PlantTable = Field(default_factory=parts.PlantTable)
    technologies: tuple[parts.TechnologyTable, ...] = ()
    costs: parts.CostsTable
    demand: parts.DemandTable
    launch: parts.LaunchTable = Field(default_factory=parts.LaunchTable)
    scale: Scale = Field(default_factory=Scale)
    customers: tuple[parts.CustomerTable, ...] = ()
    support: parts.SupportTable = Field(default_factory=parts.SupportTable)
    payment: parts.PaymentTable = Field(default_factory=parts.PaymentTable)
    terminal: parts.TerminalTable | None = None
    storage: parts.StoreTable | None = None
    risk: parts.RiskTable | None = None
    factors: tuple[parts.FactorTable, ...] = ()
    derivation: Mapping[str, Rule] = Field(default_factory=dict)
    sources: Mapping[str, str] = Field(default_factory=dict)

    #: Plans keep their rows to a solver's tolerances, as those of a `Model`.
    has_exact_plans: bool = Field(False, exclude=True, init=False)

    @model_validator(mode="after")
    def _lists_fit(self) -> GeneralCase:
        count = self.horizon.T + 1
        for where, found in _series_of(self):
            if found.count not in (None, count):
                raise ValueError(f"{where}: a list must have T + 1 = {count} numbers, got {found.count}")
        for i, customer in enumerate(self.customers):
            for key in ("first", "last"):
                year = getattr(customer, key)
                if year is not None and year > self.horizon.T:
                    raise ValueError(f"customers.{i}.{key}: must be <= T = {self.horizon.T}, got {year}")
        names = [identifier(technology.name) for technology in self.technologies]
        if len(set(names)) < len(names):
            raise ValueError("technologies: names must differ in letters and digits")
        for name in names:
            if re.fullmatch(r"earth(_\d+)?", name):
                raise ValueError(
                    f"technologies: must not be called {name!r}, which is where oxygen comes from otherwise"
                )
        self._require_factors()
        for payment in (self.payment, *(technology.payment for technology in self.technologies)):
            told = () if payment is None or not isinstance(payment.shares, Mapping) else payment.shares
            for name in told:
                if name not in {technology.name for technology in self.technologies}:
                    known = ", ".join(technology.name for technology in self.technologies) or "none"
                    raise ValueError(f"payment.shares: must name technologies, {known}, got {name!r}")
        return self

    def _require_factors(self) -> None:
        names = {technology.name for technology in self.technologies}
        for factor in self.factors:
            if factor.technology is not None and factor.technology not in names:
                known = ", ".join(sorted(names)) or "none"
                raise ValueError(f"factors.{factor.symbol}: technology must be one of {known}, got {factor.technology}")
            for technology in self.technologies:
                if technology.name == factor.technology and getattr(technology, factor.symbol, None) is not None:
                    raise ValueError(
                        f"factors.{factor.symbol}: technology {technology.name!r} gives {factor.symbol} as well; keep "
                        "one of the two"
                    )
        if len(set(self.factor_names)) < len(self.factor_names):
            raise ValueError("factors: a symbol must not have two processes")
        try:
            _ = self.process
        except TreeError as error:
            raise ValueError(f"factors.{error}") from error

    # ------------------------------------------------------------ its process

    @cached_property
    def factor_names(self) -> tuple[str, ...]:
        """Demand and the further factors, as the model names them."""
        return ("demand", *(factor_name(factor) for factor in self.factors))

    @cached_property
    def process(self) -> Any:
        """Process of demand; with further factors that of all."""
        step = self.horizon.step
        if self.demand.moves:
            demand: Any = self.demand.over(self.horizon.T, step)
        else:
            demand = _stepped(self.demand.made(), step, "demand.process")
        if not self.factors:
            return demand
        made = [_stepped(factor.made(), step, f"factors.{factor.symbol}") for factor in self.factors]
        names = self.factor_names
        correlation = np.eye(len(names))
        for i, factor in enumerate(self.factors, start=1):
            said = factor.correlation
            for other, rho in said.items() if isinstance(said, Mapping) else [("demand", said)]:
                if other not in names:
                    raise TreeError(f"{factor.symbol}.correlation: must name one of {', '.join(names)}, got {other!r}")
                j = names.index(other)
                correlation[i, j] = correlation[j, i] = rho
        return CorrelatedFactors(names, (demand, *made), tuple(map(tuple, correlation.tolist())))

    # -------------------------------------------------------- as methods see it

    @cached_property
    def stated(self) -> StatedCase:
        """What the parts of its model share, where nothing depends on the largest demand."""
        from stochisru.lunar.tables.model import StatedCase

        return StatedCase(self, None)

    @cached_property
    def model(self) -> Model:
        """The problem, part by part.

        Raises
        ------
        InputError
            If a bound asks for the largest demand that can come: a store without capacity, or campaigns of several
            technologies without a limit. `on_tree` and `on_lattice` know it.
        """
        from stochisru.lunar.tables.model import general_model

        return general_model(self)

    @property
    def what(self) -> str:
        """What it says beyond the base problem."""
        return ", ".join(said_beyond(self.to_dict()))

    @property
    def beyond(self) -> str:
        """What it says beyond the base problem, and who takes it, in one sentence."""
        return (
            f"{self.name}: says {self.what}; run, simulate, solve --method ef, ph or sddp, value, evaluate, risk and "
            "resolve take that (extensive_form, progressive_hedging, sddp, value_table, process_values), this does not"
        )

    @property
    def is_linear(self) -> bool:
        """Whether its programs have no whole numbers and no curves."""
        return all(plant.is_linear for plant in plants(self)) and self.launch.fixed_cost == 0

    @property
    def can_abandon(self) -> bool:
        """Whether some plant may be scrapped before the end."""
        return any(plant.scrap is not None for plant in plants(self))

    @property
    def shares_campaigns(self) -> bool:
        """Whether several technologies share the cost of a launch campaign."""
        return len(self.technologies) > 1 and self.launch.fixed_cost > 0

    def on_tree(self, tree: ScenarioTree) -> ModelOnTree:
        """The problem on a tree, as the methods on trees take it."""
        self.require_total()
        return self.model_on(tree).on_tree(tree)

    def subtrees(self, tree: ScenarioTree, cut_stage: int) -> Subtrees:
        """The problem on a tree that is cut at a stage, as progressive hedging takes it."""
        self.require_total()
        return self.model_on(tree).subtrees(tree, cut_stage)

    @property
    def measure(self) -> str:
        """What is maximised, in words."""
        if self.risk is None:
            return "expected NPV"
        return self.risk.label

    @property
    def commitment(self) -> str:
        """What a plan under a measure of the total is, in a sentence; nothing elsewhere."""
        if self.risk is None or self.risk.kind == "nested":
            return ""
        return "The plan is a commitment: solved again later, it would be another."

    def require_total(self) -> None:
        """Refuse a measure of each next year, where one of totals is asked for."""
        if self.risk is not None and self.risk.kind == "nested":
            raise InputError(
                'risk.kind: "nested" is a measure of the value of each next year, for SDDP on a lattice; trees and '
                'paths take "total"'
            )

    def on_lattice(self, lattice: MarkovLattice | int, storage: Storage | None = None) -> ModelOnLattice:
        """The problem on a lattice, given or made with so many states per stage, as SDDP takes it."""
        if storage is not None:
            raise InputError("storage: this case says its store in a table [storage]")
        if self.risk is not None and self.risk.kind == "total":
            raise InputError('risk.kind: "total" is a value of scenarios, for the extensive form; SDDP takes "nested"')
        if not isinstance(lattice, MarkovLattice):
            lattice = self.lattice(lattice)
        return self.model_on(lattice).on_lattice(lattice)

    def lattice(self, states: int) -> MarkovLattice:
        """Lattice of the process with so many states per stage; of several factors in all."""
        count: int | tuple[int, ...] = states
        if self.factors:
            each = max(2, round(states ** (1 / len(self.factor_names))))
            count = (each,) * len(self.factor_names)
        return MarkovLattice.from_process(self.process, self.horizon.T, count)

    def model_on(self, ground: ScenarioTree | MarkovLattice | Array) -> Model:
        """The problem where the largest demand of every year is that of a tree, a lattice or paths."""
        from stochisru.lunar.tables.customers import highest_wanted
        from stochisru.lunar.tables.model import general_model

        return general_model(self, highest_wanted(self, ground))

    # ------------------------------------------------------------------ as data

    def replace(self, **symbols: Any) -> GeneralCase:
        """A copy with some symbols of the tables horizon, economics, technology, costs, demand and launch changed.

        A shorter horizon cuts what lists say of later years, and customers who come later.

        Raises
        ------
        InputError
            If a symbol is unknown or its value out of range.
        """
        T = symbols.get("T", self.horizon.T)
        shorter = isinstance(T, int) and T < self.horizon.T
        data = self._until(T) if shorter else self.to_dict()
        for symbol, value in symbols.items():
            if symbol == "name":
                data["name"] = value
                continue
            home = next((t for t, kind in _HOMES.items() if symbol in kind.model_fields), None)
            if home is None:
                known = ", ".join(name for kind in _HOMES.values() for name in kind.model_fields)
                raise InputError(f"{symbol}: unknown symbol; known are {known}")
            data.setdefault(home, {})[symbol] = value
            data.get("derivation", {}).pop(symbol, None)
        return general_case(data)

    def _until(self, horizon: int) -> dict[str, Any]:
        """`to_dict` without what is said of later years alone."""
        cut = _cut(self, horizon)
        assert isinstance(cut, GeneralCase)
        coming = tuple(customer for customer in cut.customers if customer.first <= horizon)
        return (cut.model_copy(update={"customers": coming}) if self.customers else cut).to_dict()

    def to_dict(self) -> dict[str, Any]:
        """The case as nested tables with the keys of a case file, without what is at its default."""
        found: dict[str, Any] = self.model_dump(mode="json", exclude_unset=True, exclude_none=True)
        return found

    def to_toml(self) -> str:
        """Text of a case file that loads as this case."""
        return to_toml(self.to_dict())

    def digest(self) -> str:
        """Hash of everything that the results depend on (not of name and sources)."""
        text = self.model_dump_json(exclude={"name", "sources"})
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def first_stage(self, found: Mapping[str, float]) -> dict[str, Any]:
        """Decisions at the root as commands say them: dM0, dM1, …, scrap0; of several technologies a table of each."""
        if len(self.technologies) < 2:
            return {name: _rounded(value) for name, value in found.items() if re.fullmatch(r"(dM|scrap)\d+", name)}
        table: dict[str, Any] = {}
        for technology in self.technologies:
            table[technology.name] = {}
            lead = self.horizon.lead_time if technology.lead_time is None else technology.lead_time
            for year in range(min(lead, self.horizon.T) + 1):
                name = f"dM_{identifier(technology.name)}{year}"
                if name in found:
                    table[technology.name][f"dM{year}"] = _rounded(found[name])
            scrapped = f"scrap_{identifier(technology.name)}0"
            if scrapped in found:
                table[technology.name]["scrap0"] = _rounded(found[scrapped])
        return table


def _rounded(mass: float) -> float:
    """A mass without a solver's dust, which may be less than nothing, kg."""
    return mass if abs(mass) > 1e-9 else 0.0


_HOMES: dict[str, type[Part]] = {
    "horizon": parts.HorizonTable,
    "economics": parts.EconomicsTable,
    "technology": parts.PlantTable,
    "costs": parts.CostsTable,
    "demand": parts.DemandTable,
    "launch": parts.LaunchTable,
}
_RULES: TypeAdapter[dict[str, Rule]] = TypeAdapter(dict[str, Rule])


def general_case(data: Mapping[str, Any]) -> GeneralCase:
    """Validate a case given as nested tables.

    Raises
    ------
    InputError
        One line with every problem found: table and key, allowed range, given value.
    """
    from stochisru.lunar.tables.model import general_model

    try:
        case = GeneralCase.model_validate(dict(data))
    except ValidationError as error:
        raise InputError(explained(error, {})) from error
    general_model(case, [0.0] * (case.horizon.T + 1))  # whatever does not fit is said now
    return case


def factor_name(factor: parts.FactorTable) -> str:
    """Name of a factor in the model: its symbol, with the technology that it is of."""
    return factor.symbol if factor.technology is None else f"{factor.symbol}_{identifier(factor.technology)}"


def _stepped(process: Any, step: float, where: str) -> Any:
    """The process whose unit of time is a stage."""
    if step == 1:
        return process
    if not isinstance(process, GeometricBrownianMotion):
        raise InputError(f"horizon.step: must be 1 but for geometric Brownian motions, got {step:g} ({where})")
    return GeometricBrownianMotion(process.initial, process.drift * step, process.volatility * step**0.5)


def _series_of(table: Part, where: str = "") -> list[tuple[str, Series]]:
    """All series of a table and of those in it, with where they stand."""
    found: list[tuple[str, Series]] = []
    for name in type(table).model_fields:
        value, at = getattr(table, name), f"{where}{name}"
        if isinstance(value, Series):
            found.append((at, value))
        elif isinstance(value, Part):
            found += _series_of(value, f"{at}.")
        elif isinstance(value, tuple):
            for i, each in enumerate(value):
                if isinstance(each, Part):
                    found += _series_of(each, f"{at}.{i}.")
    return found


def _cut(table: Part, horizon: int) -> Part:
    """A table without what its series, and those of the tables in it, say of stages after a horizon."""

    def shorter(value: Any) -> Any:
        if isinstance(value, Series):
            return value.cut(horizon)
        if isinstance(value, Part):
            return _cut(value, horizon)
        return tuple(map(shorter, value)) if isinstance(value, tuple) else value

    given = {name: shorter(getattr(table, name)) for name in table.model_fields_set}
    if isinstance(table, parts.CustomerTable) and table.last is not None:
        given["last"] = min(table.last, horizon)
    return table.model_copy(update=given)
