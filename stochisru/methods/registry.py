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
from stochisru.methods.result import Result
from stochisru.protocols import Method as Solves

Method = Solves[Result[Any]]

#: Entry of each method, in the order in which they are listed.
METHODS: dict[str, str] = {
    "ef": "stochisru.methods.extensive_form:ExtensiveForm",
    "ph": "stochisru.methods.hedging.progressive_hedging:ProgressiveHedging",
    "dp": "stochisru.lunar.exact.tree_dp:TreeDynamicProgramme",
    "sddp": "stochisru.lunar.relaxation:DualDynamicProgramming",
    "lattice-dp": "stochisru.lunar.exact.lattice_dp:LatticeDynamicProgramme",
    "threshold": "stochisru.lunar.relaxation:ExactPolicy",
}


def method_named(name: str) -> Method:
    """The method of that name; raise `InputError` where there is none."""
    if name not in METHODS:
        raise InputError(f"method: must be one of {', '.join(METHODS)}, got {name!r}")
    module, _, kind = METHODS[name].partition(":")
    found: Method = getattr(importlib.import_module(module), kind)()
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


def first_that_takes(case: Any, names: tuple[str, ...]) -> Method:
    """The first of several methods that does not refuse a problem.

    Raises
    ------
    InputError
        If all refuse; with the reason of the last.
    """
    reason = None
    for name in names:
        method = method_named(name)
        reason = method.refuses(case)
        if reason is None:
            return method
    raise InputError(reason or "method: none was named")
