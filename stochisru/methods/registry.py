"""The methods, by the word that names them everywhere.

A method is one module with a class that fulfils `stochisru.protocols.Method`, and one line of `METHODS`. Its entry is
the name of the class, resolved on use: this table is the only place where a room looks up at rooms above it.
"""

from __future__ import annotations

import importlib
from dataclasses import fields
from typing import Any

from stochisru.errors import InputError
from stochisru.methods.options import options_of
from stochisru.methods.result import Kind, Of, Result
from stochisru.protocols import Method as Solves
from stochisru.protocols import Plan

Method = Solves[Result[Plan]]

#: Entry of each method, in the order in which they are listed.
METHODS: dict[str, str] = {
    "ef": "stochisru.methods.extensive_form:ExtensiveForm",
    "ph": "stochisru.methods.hedging.progressive_hedging:ProgressiveHedging",
    "dp": "stochisru.lunar.exact.tree_dp:TreeDynamicProgramme",
    "sddp": "stochisru.lunar.relaxation:DualDynamicProgramming",
    "lattice-dp": "stochisru.lunar.exact.lattice_dp:LatticeDynamicProgramme",
    "threshold": "stochisru.lunar.relaxation:ExactPolicy",
}


#: Entries of the closed forms that `stochisru.values` tries before programs, each a `stochisru.values.ClosedForm`.
CLOSED_FORMS: tuple[str, ...] = (
    "stochisru.lunar.exact.closed_forms:ClosedForms",
    "stochisru.lunar.exact.yearly_layers:YearlyLayers",
)


def closed_forms() -> tuple[Any, ...]:
    """All closed forms."""
    return tuple(_resolved(entry)() for entry in CLOSED_FORMS)


def _resolved(entry: str) -> Any:
    module, _, name = entry.partition(":")
    return getattr(importlib.import_module(module), name)


def method_named(name: str) -> Method:
    """The method of that name; raise `InputError` where there is none."""
    if name not in METHODS:
        raise InputError(f"method: must be one of {', '.join(METHODS)}, got {name!r}")
    found: Method = _resolved(METHODS[name])()
    return found


def methods() -> dict[str, Method]:
    """All methods by name."""
    return {name: method_named(name) for name in METHODS}


def taken_by(option: str) -> tuple[str, ...]:
    """Names of the methods that take an option."""
    return tuple(name for name, method in methods().items() if option in options_of(method.options))


def options_for(method: Method, given: dict[str, Any]) -> Any:
    """Options of a method from those that were given.

    Raises
    ------
    InputError
        If the method takes no such option, or its value is out of range.
    """
    own = {item.name for item in fields(method.options)}
    for name in given:
        if name not in own:
            others = taken_by(name)
            raise InputError(f"{name}: is an option of --method {' and '.join(others)}")
    return method.options(**given)


def methods_on(of: Of) -> tuple[Method, ...]:
    """The methods that work on a tree, a lattice or the process."""
    return tuple(method for method in methods().values() if method.on is of)


def method_for(name: str, case: Any) -> Method:
    """The method of that name; raise `InputError` with its reason where it refuses the problem."""
    method = method_named(name)
    reason = method.refuses(case)
    if reason is not None:
        raise InputError(reason)
    return method


def takers(case: Any, of: Of, at_least: Kind = Kind.STATISTICAL) -> tuple[Method, ...]:
    """The methods that do not refuse a problem, those with the strongest bracket first.

    Where brackets are as strong the order is that of `METHODS`.

    Parameters
    ----------
    of
        What they work on.
    at_least
        The weakest bracket that will do.

    Examples
    --------
    >>> from stochisru import load_case
    >>> from stochisru.methods.registry import takers
    >>> from stochisru.methods.result import Of
    >>> case = load_case("lunar-reference")
    >>> takers(case, Of.TREE)[0].name, takers(case.replace(lot=50.0), Of.TREE)[0].name
    ('ef', 'dp')
    """
    strength = list(Kind).index
    found = [method for method in methods_on(of) if method.refuses(case) is None]
    strong = [method for method in found if strength(Kind(method.kind(case))) <= strength(at_least)]
    return tuple(sorted(strong, key=lambda method: strength(Kind(method.kind(case)))))
