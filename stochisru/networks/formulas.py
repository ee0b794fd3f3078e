"""Numbers of a network file that are computed: parameters, and formulas over them.

A formula is arithmetic on names and numbers: ``+ - * / **``, comparisons, ``and or not``, ``a if condition else b``,
and the functions `FUNCTIONS`. Text in quotes may be compared. Nothing else is read, so that a file from elsewhere does
no more than compute.
"""

from __future__ import annotations

import ast
import difflib
import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import CodeType
from typing import Any

from scenario_trees.errors import is_number
from stochisru.errors import InputError
from stochisru.files import plain_number
from stochisru.networks.network import position

#: What a formula may call.
FUNCTIONS: dict[str, Callable[..., float]] = {
    "abs": abs,
    "exp": math.exp,
    "log": math.log,
    "max": max,
    "min": min,
    "sqrt": math.sqrt,
}
_CONSTANTS = {"inf": math.inf, "pi": math.pi}
_GLOBALS: dict[str, Any] = {"__builtins__": {}, **FUNCTIONS, **_CONSTANTS}
_NODES = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Name, ast.Load, ast.Constant),
    *(ast.Call, ast.Attribute, ast.operator, ast.unaryop, ast.boolop, ast.cmpop),
)
_NOT_OPERATORS = (ast.MatMult, ast.BitAnd, ast.BitOr, ast.BitXor, ast.Invert, ast.LShift, ast.RShift, ast.Is, ast.IsNot)
#: Names of a node at the end of an arc: ``tail.elevation_m``.
_ENDS = ("tail", "head")


@lru_cache(maxsize=4096)
def _compiled(text: str) -> CodeType:
    tree = ast.parse(text.strip(), mode="eval")
    for node in ast.walk(tree):
        if not isinstance(node, _NODES) or isinstance(node, _NOT_OPERATORS):
            raise SyntaxError("must be arithmetic, comparisons and conditions alone")
        if isinstance(node, ast.Call) and not (
            isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS and not node.keywords
        ):
            raise SyntaxError(f"may call {', '.join(FUNCTIONS)}")
        if isinstance(node, ast.Attribute) and not (
            isinstance(node.value, ast.Name) and node.value.id in _ENDS and not node.attr.startswith("_")
        ):
            raise SyntaxError(f"a point may follow {' and '.join(_ENDS)} alone")
        if isinstance(node, ast.Constant):
            if isinstance(node.value, (bytes, complex)) or node.value in (None, ...):
                raise SyntaxError("must have numbers and text in quotes alone")
            if isinstance(node.value, int):
                node.value = float(node.value)  # whole numbers to a power would take all memory
    return compile(tree, "<formula>", "eval")


def evaluate(text: str, names: Mapping[str, Any], where: str) -> float | str:
    """Value of a formula: a number, or text where it is a text's name.

    Raises
    ------
    InputError
        If it is not a formula, a name is unknown, or it has no value (as at a division by zero).
    """
    try:
        value = eval(_compiled(text), _GLOBALS, names)
    except SyntaxError as error:
        raise InputError(f"{where}: must be a number or a formula, got {text!r} ({error.msg})") from error
    except NameError as error:
        known = [*names, *FUNCTIONS, *_CONSTANTS]
        near = difflib.get_close_matches(str(error.name), known, n=3) or known[:4]
        raise InputError(
            f"{where}: must be a number, got {text!r} (a formula may name {', '.join(near)}, …)"
        ) from error
    except (ArithmeticError, AttributeError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{where}: formula {text!r} has no value: {error}") from error
    return value if isinstance(value, str) else float(value)


def number(value: Any, names: Mapping[str, Any], where: str) -> Any:
    """A number where a formula stands for one; anything else as it is, for checks of its own."""
    if not isinstance(value, str) or _is_plain_number(value):
        return value
    found = evaluate(value, names, where)
    if isinstance(found, str) or math.isnan(found):
        raise InputError(f"{where}: must be a number, got {found!r} from the formula {value!r}")
    return found


def _is_plain_number(text: str) -> bool:
    """Whether text is a number in quotes, which is a slip and no formula."""
    try:
        plain_number(text)
    except ValueError:
        return False
    return True


def with_parameters(given: Mapping[str, Any], others: Mapping[str, float], where: str) -> dict[str, float]:
    """Parameters by name; a formula may use those above it, and ``others`` take the place of what is given."""
    for name in others:
        position(list(given), name, "parameters")
    found: dict[str, float] = {}
    for name, value in given.items():
        if not name.isidentifier() or name in (*FUNCTIONS, *_CONSTANTS, *_ENDS):
            raise InputError(f"{where}: parameters: must be plain names that formulas can use, got {name!r}")
        place = f"{where}: parameters.{name}"
        found[name] = number(others.get(name, value), found, place)
        if not is_number(found[name]) or math.isnan(found[name]):
            raise InputError(f"{place}: must be a number or a formula, got {found[name]!r}")
    return found
