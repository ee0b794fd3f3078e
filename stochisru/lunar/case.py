"""The deployment case: every number of the problem with its unit, range and source.

Symbols are those of the source formulation (see ``docs/formulation.md``). A case is immutable; `replace` makes
a changed copy, `load_case` reads a shipped case by name or a TOML file by path.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, overload

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from scenario_trees.processes import GeometricBrownianMotion, OneFactor
from stochisru.errors import InputError, require_kind, require_path
from stochisru.files import toml_tables
from stochisru.lunar.demand import Demand, unused
from stochisru.lunar.derivation import Rule
from stochisru.lunar.explained import explained
from stochisru.lunar.in_hand import InHand
from stochisru.lunar.parts import Costs, Economics, Horizon, Launch, Part, Points, Scale, Technology
from stochisru.lunar.shipped import Base, General, case_text, shipped_cases
from stochisru.lunar.toml import toml_string, toml_value
from stochisru.programs.curves.curve import Curve

if TYPE_CHECKING:
    import pandas as pd

    from scenario_trees import MarkovLattice, ScenarioTree
    from stochisru.lunar.stage_program import StagePrograms
    from stochisru.lunar.storage import Storage, StoredCase
    from stochisru.lunar.subtrees import DeploymentSubtrees
    from stochisru.lunar.tables.case import GeneralCase
    from stochisru.lunar.tree_problem import TreeProblem
    from stochisru.problem.model import Model


class DeploymentCase(InHand, Part):
    """A deployment problem; see ``docs/formulation.md``.

    Examples
    --------
    >>> from stochisru import load_case
    >>> case = load_case("lunar-reference").replace(T=3, sigma=0.3)
    >>> case.horizon.T, round(case.technology.alpha, 3)
    (3, 5.465)
    """

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^./\\\x00-\x1f][^/\\\x00-\x1f]*$")]
    horizon: Horizon
    economics: Economics
    technology: Technology
    costs: Costs
    demand: Demand
    launch: Launch = Field(default_factory=Launch)
    scale: Scale = Field(default_factory=Scale)
    derivation: Mapping[str, Rule] = Field(default_factory=dict)
    sources: Mapping[str, str] = Field(default_factory=dict)

    @cached_property
    def process(self) -> OneFactor:
        """The demand process."""
        return self.demand.made()

    @property
    def gbm(self) -> GeometricBrownianMotion:
        """The demand process, for what is exact on a geometric Brownian motion alone; `InputError` for another."""
        if not isinstance(self.process, GeometricBrownianMotion):
            raise InputError(why_no_gbm(self, "an exact policy"))
        return self.process

    @cached_property
    def is_certain(self) -> bool:
        """Whether all paths of demand are one."""
        return not np.any(self.process.variance(np.arange(self.horizon.T + 1)))

    @cached_property
    def model(self) -> Model:
        """The problem, part by part: see `stochisru.lunar.model`."""
        from stochisru.lunar.model import deployment_model

        return deployment_model(self)

    @property
    def has_exact_plans(self) -> bool:
        """Yes: operations follow from orders in closed form."""
        return True

    def on_tree(self, tree: ScenarioTree) -> TreeProblem:
        """The case on a tree, as the methods on trees take it."""
        from stochisru.lunar.tree_problem import TreeProblem

        return TreeProblem(self, tree)

    def subtrees(self, tree: ScenarioTree, cut_stage: int) -> DeploymentSubtrees:
        """The case on a tree that is cut at a stage, as progressive hedging takes it."""
        from stochisru.lunar.subtrees import DeploymentSubtrees

        return DeploymentSubtrees(self, tree, cut_stage)

    def on_lattice(self, lattice: MarkovLattice | int) -> StagePrograms:
        """The case on a lattice, given or made with so many states per stage, as SDDP takes it."""
        from stochisru.lunar.stage_program import StagePrograms

        return StagePrograms.of(self, lattice)

    def stored(self, storage: Storage) -> StoredCase:
        """The case with a store, for SDDP; a table [storage] says it for every method that can."""
        from stochisru.lunar.storage import StoredCase

        return StoredCase(self, storage)

    @property
    def investment_cost(self) -> float:
        """c_I = c_L·α + c_dev, $ per kilogram of plant deployed where cost is proportional to size."""
        return self.costs.c_L * self.technology.alpha + self.costs.c_dev

    @cached_property
    def mass(self) -> Curve:
        """Mass that lands (kg) for a deployment of ΔM: its output over η, the kilograms that η counts."""
        output = self.scale.by_mass("eta", self.technology.eta)
        return Curve(output.values / self.technology.eta, output.breakpoints)

    @cached_property
    def investment(self) -> Curve:
        """Cost of a deployment, $ of its year, by ΔM (kg): launch, development and manufacture, the campaign."""
        c_dev = self.scale.by_mass("c_dev", self.costs.c_dev)
        flight = Curve.linear(self.costs.c_L * self.technology.alpha, c_dev.upper, fixed=self.launch.fixed_cost)
        return c_dev.plus(flight).of(self.mass)

    @property
    def is_linear(self) -> bool:
        """Whether a deployment of any size is allowed and costs c_I per kilogram.

        A curve that is a straight line of another slope counts as not linear: methods for linear costs know c_I alone.
        `linear_bound` is then the same problem with that slope as c_I.
        """
        return self.launch.lot is None and _is_line(self.investment, self.investment_cost)

    def require_linear(self, what: str) -> None:
        """Raise `InputError` where costs are not linear; ``what`` asks for that."""
        if not self.is_linear:
            raise InputError(f"launch, scale: {what} takes costs in proportion to size, got {self.describe_scale()}")

    @cached_property
    def linear_bound(self) -> DeploymentCase:
        """The case with the dearest linear cost that no deployment undercuts; no policy earns more here than there."""
        if self.is_linear:
            return self
        curve = self.investment
        least = min(curve.lowest_average(curve.upper), float(curve.slopes[-1]))
        fixed = {symbol: self.values[symbol] for symbol in self.derivation}
        changed: dict[str, float] = {}  # modules and fixed costs alone leave the unit cost as it is
        if self.investment_cost == 0:
            changed = {"c_dev": least}
        elif not math.isclose(least, self.investment_cost, rel_tol=1e-12):
            share = least / self.investment_cost
            changed = {"c_L": self.costs.c_L * share, "c_dev": self.costs.c_dev * share}
        default = {symbol: info.default for part in (Launch, Scale) for symbol, info in part.model_fields.items()}
        return self.replace(**fixed | changed | default)

    def describe_scale(self) -> str:
        """What is not linear, in words; nothing where costs are linear."""
        if self.is_linear:
            return ""
        parts = []
        if self.launch.lot is not None:
            parts.append(f"modules of {self.launch.lot:g} kg")
        if self.launch.fixed_cost:
            parts.append(f"{self.launch.fixed_cost:,.0f} $ per campaign")
        for what, symbol, curve, unit in (
            ("a cost of development", "c_dev", self.scale.by_mass("c_dev", self.costs.c_dev), self.costs.c_dev),
            ("an output", "eta", self.mass, 1.0),
        ):
            if not curve.is_linear:
                parts.append(f"{what} that is not proportional to mass")
            elif not _is_line(curve, unit):
                parts.append(f"{what} by a straight line other than {symbol}")
        return " and ".join(parts)

    @cached_property
    def values(self) -> dict[str, Any]:
        """All symbols of the case, by name."""
        return {symbol: getattr(getattr(self, part), symbol) for part, symbol in _places()}

    @property
    def plain_values(self) -> dict[str, Any]:
        """All symbols as plain data: curves as their breakpoints and values."""
        return {s: v.model_dump() if isinstance(v, Part) else v for s, v in self.values.items()}

    def replace(self, **symbols: Any) -> DeploymentCase:
        """Return a copy with some symbols changed.

        Symbols that the case derives from others are derived again; one that is given here is no longer derived. With
        another ``process`` the case forgets ``mu`` and ``sigma`` where that does not take them.

        Raises
        ------
        InputError
            If a symbol is unknown or its value out of range.
        """
        parts = {part: getattr(self, part).model_dump(exclude_unset=True) for part in _PARTS}
        home = {symbol: part for part, symbol in _places()}
        name = symbols.pop("name", self.name)
        sources = dict(self.sources)
        rules = {symbol: rule.model_dump() for symbol, rule in self.derivation.items() if symbol not in symbols}
        for symbol in rules:
            del parts[home[symbol]][symbol]
        for symbol, value in symbols.items():
            if symbol not in home:
                raise InputError(f"{symbol}: unknown symbol; known are {', '.join(home)}")
            value = value.item() if isinstance(value, np.generic) else value
            now = self.values[symbol]
            asked = "process" in symbols and symbol not in parts[home[symbol]]  # the new process may take it
            if type(value) is type(now) and value == now and symbol not in self.derivation and not asked:
                continue  # a default stays one
            if value != now or symbol in self.derivation:
                sources[symbol] = "given: changed by the user"
            parts[home[symbol]][symbol] = value
        for symbol in unused(symbols.get("process")):  # what the new process does not take goes with the old one
            if symbol not in symbols:
                parts["demand"].pop(symbol, None)
        return case_from_dict({"name": name, "sources": sources, "derivation": rules, **parts})

    def to_frame(self) -> pd.DataFrame:
        """One row per symbol: part, value, unit, description, status (given, derived, assumed, default), source."""
        import pandas as pd

        rows = []
        for part, symbol in _places():
            info = _PARTS[part].model_fields[symbol]
            extra = info.json_schema_extra
            rule = self.derivation.get(symbol)
            said = f"derived: rule {rule.rule}" if rule else "given: case file"
            if symbol not in getattr(self, part).model_fields_set:
                said = "default: not in the case file"
            status, source = _split_source(self.sources.get(symbol, said))
            rows.append(
                {
                    "part": part,
                    "symbol": symbol,
                    "value": self._shown(symbol),
                    "unit": extra["unit"] if isinstance(extra, dict) else "-",
                    "description": info.description,
                    "status": status,
                    "source": source,
                }
            )
        return pd.DataFrame(rows).set_index("symbol")

    def _shown(self, symbol: str) -> Any:
        """The value of a symbol in a table."""
        value = self.values[symbol]
        if isinstance(value, Points):
            return repr(value.curve)
        return str(self.process) if isinstance(value, Part) else value

    def to_toml(self) -> str:
        """Text of a case file that loads as this case; defaults that nobody gave are comments."""
        tables = {
            part: {
                k: v
                for k, v in getattr(self, part).model_dump(exclude_none=True, exclude_unset=True).items()
                if k not in self.derivation
            }
            for part in _PARTS
        }
        tables |= {f"derivation.{symbol}": rule.model_dump() for symbol, rule in self.derivation.items()}
        tables["sources"] = dict(self.sources)
        lines = [f"name = {toml_string(self.name)}"]
        for head, table in tables.items():
            lines += ["", f"[{head}]", *(f"{k} = {toml_value(v)}" for k, v in table.items())]
            lines += [f"# {k} = {toml_value(v)} (default)" for k, v in self._defaults(head).items() if v is not None]
        return "\n".join(lines) + "\n"

    def _defaults(self, part: str) -> dict[str, Any]:
        """Symbols of a part that nobody gave."""
        if part not in _PARTS:
            return {}
        given = getattr(self, part).model_fields_set
        return {
            symbol: getattr(getattr(self, part), symbol) for symbol in _PARTS[part].model_fields if symbol not in given
        }

    def digest(self) -> str:
        """Hash of everything that the results depend on (not of name and sources)."""
        left_out: dict[str, Any] = {"name": True, "sources": True, "derivation": True}
        if self.demand.process is None:  # the digest of cases that say nothing of it stays
            left_out["demand"] = {"process"}
        text = self.model_dump_json(exclude=left_out)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @cached_property
    def _hash(self) -> int:
        return int(self.digest(), 16)  # not hash(str), which differs between processes

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DeploymentCase):
            return NotImplemented
        return self.model_dump() == other.model_dump()


def _is_line(curve: Curve, slope: float) -> bool:
    """Whether a curve is the straight line of a slope, up to rounding."""
    return curve.is_linear and math.isclose(curve.slopes[0], slope, rel_tol=1e-12)


_PARTS: dict[str, type[Part]] = {
    "horizon": Horizon,
    "economics": Economics,
    "technology": Technology,
    "costs": Costs,
    "demand": Demand,
    "launch": Launch,
    "scale": Scale,
}


def _places() -> list[tuple[str, str]]:
    return [(part, symbol) for part, model in _PARTS.items() for symbol in model.model_fields]


def _split_source(text: str) -> tuple[str, str]:
    status, colon, rest = text.partition(":")
    if colon and status in ("given", "derived", "assumed", "default"):
        return status, rest.strip()
    return "given", text


def _derive(data: dict[str, Any], rules: Mapping[str, Rule]) -> None:
    """Compute the derived symbols of a raw case, in the order that their dependencies allow."""
    home = {symbol: part for part, symbol in _places()}
    for symbol in rules:
        if symbol not in home:
            raise InputError(f"derivation.{symbol}: unknown symbol; known are {', '.join(home)}")
        if symbol in data.get(home[symbol], {}):
            raise InputError(f"derivation.{symbol}: {home[symbol]}.{symbol} is given as well; keep one of the two")
    known = {
        symbol: float(value)
        for part in _PARTS
        for symbol, value in data.get(part, {}).items()
        if isinstance(value, (int, float)) and abs(value) < 1e300
    }
    waiting = dict(rules)
    while waiting:
        missing: dict[str, str] = {}
        for symbol in list(waiting):
            try:
                known[symbol] = waiting[symbol].compute(known)
            except KeyError as error:
                missing[symbol] = str(error.args[0])
                continue
            except (ValueError, ZeroDivisionError, OverflowError) as error:
                raise InputError(f"derivation.{symbol}: {error}") from error
            data.setdefault(home[symbol], {})[symbol] = known[symbol]
            del waiting[symbol]
        if missing and len(missing) == len(waiting):
            symbol, needed = next(iter(missing.items()))
            if all(m not in waiting for m in missing.values()) or needed in known or needed not in waiting:
                raise InputError(f"derivation.{symbol}: needs {needed}, which the case does not give")
            raise InputError(f"derivation.{symbol}: depends on itself through {needed}")


_RULES: TypeAdapter[dict[str, Rule]] = TypeAdapter(dict[str, Rule])


def case_from_dict(data: Mapping[str, Any]) -> DeploymentCase:
    """Validate a case given as nested tables with the keys of a case file.

    Raises
    ------
    InputError
        One line with every problem found: field, allowed range, given value.
    """
    require_kind("case", data, Mapping, "nested tables")
    raw = {key: dict(value) if isinstance(value, Mapping) else value for key, value in data.items()}
    try:
        rules = _RULES.validate_python(raw.get("derivation", {}))
    except ValidationError as error:
        raise InputError("derivation." + explained(error, _PARTS)) from error
    if all(isinstance(raw.get(part, {}), dict) for part in _PARTS):
        _derive(raw, rules)
    try:
        case = DeploymentCase.model_validate(raw)
    except ValidationError as error:
        raise InputError(explained(error, _PARTS)) from error
    unknown = set(case.sources) - {symbol for _, symbol in _places()}
    if unknown:
        raise InputError(f"sources.{min(unknown)}: unknown symbol")
    return case


def require_case(case: object) -> None:
    """Raise `InputError` for anything but a case, as for a case's name."""
    if not isinstance(case, DeploymentCase):
        hint = f"; load_case({case!r}) makes one" if isinstance(case, str) else ""
        beyond = getattr(case, "beyond", "")
        raise InputError(beyond or f"case: must be a DeploymentCase, got {type(case).__name__}{hint}")


def why_no_gbm(case: DeploymentCase, what: str) -> str:
    """Why something that asks for a geometric Brownian motion does not take a case, in one sentence."""
    kind = getattr(case.demand.process, "kind", "gbm")
    return f"demand.process: {what} needs a geometric Brownian motion, got {kind}"


def why_no_case(problem: object, method: str) -> str | None:
    """Why a method for cases does not take a problem, in one sentence, or None for a case."""
    if isinstance(problem, DeploymentCase) or hasattr(problem, "learning"):
        return getattr(problem, "beyond", None)
    name = getattr(problem, "name", problem)
    return f"problem: {method} takes a DeploymentCase, got {name!r}, a {type(problem).__name__}; --method ef takes any"


@overload
def load_case(source: Base) -> DeploymentCase: ...


@overload
def load_case(source: General) -> GeneralCase: ...


@overload
def load_case(source: str | Path) -> Any: ...


def load_case(source: str | Path) -> Any:
    """Read a shipped case by name or a case file by path.

    Returns
    -------
    DeploymentCase or stochisru.lunar.tables.case.GeneralCase or stochisru.lunar.learning.case.LearningCase
        The second where the file has tables or keys beyond the base problem (``docs/tables.md``), the third where it
        has a table ``[learning]``.

    Raises
    ------
    InputError
        If there is no such case or file, the file is not TOML, or a number is out of range.
    """
    path = require_path("CASE", source)
    if str(source) in shipped_cases():
        text, where = case_text(str(source)), str(source)
    else:
        try:
            text, where = path.read_text(encoding="utf-8-sig"), str(path)
        except FileNotFoundError as error:
            names = ", ".join(shipped_cases())
            raise InputError(f"CASE: no file {str(source)!r} and no shipped case of that name ({names})") from error
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise InputError(f"CASE: cannot read {str(source)!r}: {reason}") from error
    data = toml_tables(text, f"CASE: {where}")
    try:
        return problem_from_dict(data)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    except RecursionError as error:
        raise InputError(f"CASE: {where}: tables are nested too deeply") from error


def problem_from_dict(data: Mapping[str, Any]) -> Any:
    """A case given as nested tables with the keys of a case file: a base one, a `GeneralCase` or a `LearningCase`.

    Raises
    ------
    InputError
        One line with every problem found: field, allowed range, given value.
    """
    from stochisru.lunar.learning.case import learning_case
    from stochisru.lunar.tables.case import general_case, said_beyond

    beyond = said_beyond(data)
    return learning_case(data, beyond) if "learning" in data else general_case(data) if beyond else case_from_dict(data)
