"""Numbers of a network file that are computed: parameters, and formulas over them.

A formula is arithmetic on names and numbers: ``+ - * / **``, comparisons, ``and or not``, ``a if condition else b``,
and the functions `FUNCTIONS`. Text in quotes may be compared. Nothing else is read, so that a file from elsewhere does
no more than compute.
"""

from __future__ import annotations

import ast
import difflib
import math
import operator
from collections.abc import Callable, Mapping
from functools import lru_cache
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
#: Names of a node at the end of an arc: ``tail.elevation_m``.
_ENDS = ("tail", "head")
#: Letters of the longest formula; nobody reads longer ones, and a parser may run out of memory on them.
_LONGEST = 2000

#: What a formula comes to, of the names that it may use.
_Value = Callable[[Mapping[str, Any]], Any]
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_SIGNS: dict[type[ast.unaryop], Callable[[Any], Any]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


@lru_cache(maxsize=4096)
def _compiled(text: str) -> _Value:
    """The formula as a function; nothing of Python's own is run but what is here."""
    if len(text) > _LONGEST:
        raise SyntaxError(f"must have at most {_LONGEST:,} letters")
    return _made(ast.parse(text.strip(), mode="eval").body)


def _made(node: ast.expr) -> _Value:
    """A part of a formula as a function."""
    match node:
        case ast.Constant(value=bool() | int() | float() as value):
            number = float(value)  # whole numbers to a power would take all memory
            return lambda _: number
        case ast.Constant(value=str() as words):
            return lambda _: words
        case ast.Constant():
            raise SyntaxError("must have numbers and text in quotes alone")
        case ast.Name(id=name):
            return lambda names: _named(name, names)
        case ast.Attribute(value=ast.Name(id=end), attr=of) if end in _ENDS and not of.startswith("_"):
            return lambda names: getattr(_named(end, names), of)
        case ast.Attribute():
            raise SyntaxError(f"a point may follow {' and '.join(_ENDS)} alone")
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            return _called(FUNCTIONS[name], [_made(each) for each in args])
        case ast.Call():
            raise SyntaxError(f"may call {', '.join(FUNCTIONS)}")
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            return _called(_ARITHMETIC[type(op)], [_made(left), _made(right)])
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = _made(operand)
            return lambda names: not inner(names)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _SIGNS:
            return _called(_SIGNS[type(op)], [_made(operand)])
        case ast.BoolOp(op=op, values=values):
            return _joined([_made(each) for each in values], isinstance(op, ast.And))
        case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in _COMPARISONS for op in ops):
            return _compared([_made(each) for each in (left, *others)], [_COMPARISONS[type(op)] for op in ops])
        case ast.IfExp(test=test, body=body, orelse=orelse):
            asked, yes, no = _made(test), _made(body), _made(orelse)
            return lambda names: yes(names) if asked(names) else no(names)
    raise SyntaxError("must be arithmetic, comparisons and conditions alone")


def _named(name: str, names: Mapping[str, Any]) -> Any:
    if name in names:
        return names[name]
    if name in _CONSTANTS:
        return _CONSTANTS[name]
    raise NameError(f"name {name!r} is not defined", name=name)


def _called(function: Callable[..., Any], parts: list[_Value]) -> _Value:
    """A function of numbers: text is compared and no more, as ``*`` and ``%`` could make it fill all memory."""

    def value(names: Mapping[str, Any]) -> Any:
        found = [part(names) for part in parts]
        for each in found:
            if not isinstance(each, (int, float)):
                raise TypeError(f"must be a number, got {each!r}")
        return function(*found)

    return value


def _joined(parts: list[_Value], all_hold: bool) -> _Value:
    """``and`` and ``or``: the first part that decides, as in Python."""

    def value(names: Mapping[str, Any]) -> Any:
        found: Any = all_hold
        for part in parts:
            found = part(names)
            if bool(found) is not all_hold:
                break
        return found

    return value


def _compared(parts: list[_Value], signs: list[Callable[[Any, Any], Any]]) -> _Value:
    """Comparisons in a row, as ``0 < x <= 1``."""

    def value(names: Mapping[str, Any]) -> Any:
        left = parts[0](names)
        for sign, part in zip(signs, parts[1:], strict=True):
            right = part(names)
            if not sign(left, right):
                return False
            left = right
        return True

    return value


def evaluate(text: str, names: Mapping[str, Any], where: str) -> float | str:
    """Value of a formula: a number, or text where it is a text's name.

    Raises
    ------
    InputError
        If it is not a formula, a name is unknown, or it has no value (as at a division by zero).
    """
    try:
        value = _compiled(text)(names)
        return value if isinstance(value, str) else float(value)
    except SyntaxError as error:
        raise InputError(f"{where}: must be a number or a formula, got {text!r} ({error.msg})") from error
    except NameError as error:
        known = [*names, *FUNCTIONS, *_CONSTANTS]
        near = difflib.get_close_matches(str(error.name), known, n=3) or known[:4]
        raise InputError(
            f"{where}: must be a number, got {text!r} (a formula may name {', '.join(near)}, …)"
        ) from error
    except (ArithmeticError, AttributeError, TypeError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"{where}: formula {text!r} has no value: {error}") from error


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
