"""A case in the hand: short in a console, a table in a notebook, changed by tables, compared with another."""

from __future__ import annotations

import html
import math
import tomllib
from collections.abc import Mapping
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from stochisru.errors import InputError
from stochisru.lunar.shipped import shipped_cases

if TYPE_CHECKING:
    import pandas as pd

#: Tables of a case file that hold symbols.
_HOMES = ("horizon", "economics", "technology", "costs", "demand", "launch", "scale")
#: Most changes that are shown on one line.
_SHOWN = 4


@cache
def _shipped_digest(name: str) -> str:
    from stochisru.lunar.case import load_case

    return str(load_case(name).digest())


class InHand:
    """What base cases and those with tables have in common for their users; see `stochisru.lunar.case`."""

    def _case(self) -> Any:
        return self

    @cached_property
    def is_shipped(self) -> bool:
        """Whether this is a shipped case as it is shipped."""
        case = self._case()
        return bool(case.name in shipped_cases() and case.digest() == _shipped_digest(case.name))

    @property
    def title(self) -> str:
        """The name; of a shipped case that was changed, with that word and the hash: ``NAME (changed, HASH)``."""
        case = self._case()
        changed = case.name in shipped_cases() and not self.is_shipped
        return f"{case.name} (changed, {case.digest()[:8]})" if changed else str(case.name)

    def with_tables(self, **tables: Any) -> Any:
        """Return a copy that says some tables of the case file otherwise; see ``docs/tables.md``.

        Parameters
        ----------
        **tables
            By name, with the keys of a case file: those of a table are added to what is there or replace it, a list of
            tables (``technologies``, ``customers``, ``factors``) replaces the list, None leaves the table out.

        Returns
        -------
        DeploymentCase or GeneralCase
            A `GeneralCase` where a table says more than the base problem has.

        Raises
        ------
        InputError
            If a table or a key is unknown or a value out of range.

        Examples
        --------
        >>> from stochisru import load_case
        >>> load_case("lunar-reference").with_tables(launch={"mass_limit": 500.0}).what
        'launch.mass_limit'
        """
        from stochisru.lunar.case import problem_from_dict

        data = tables_of(self)
        for name, said in tables.items():
            if said is None:
                data.pop(name, None)
            elif isinstance(said, Mapping):
                data[name] = {**(data.get(name) or {}), **said}
                for symbol in said:  # what is given is no longer derived
                    data.get("derivation", {}).pop(symbol, None)
            else:
                data[name] = said
        return problem_from_dict(data)

    def differences(self, other: Any) -> pd.DataFrame:
        """What another case says otherwise, symbol by symbol: also what follows from a change by a rule.

        Of a case with tables, whose rules work year by year, what its file says is compared.

        Parameters
        ----------
        other
            A case with or without tables.

        Returns
        -------
        pandas.DataFrame
            Indexed by symbol: ``here``, ``there``, and ``rule`` by which the other case derives it, or "".

        Examples
        --------
        >>> from stochisru import load_case
        >>> case = load_case("lunar-reference")
        >>> case.differences(case.replace(c_dev=9000.0)).round(1).to_numpy().tolist()
        [[10000.0, 9000.0, ''], [1866.3, 1816.3, 'spares_cost']]
        """
        import pandas as pd

        if not isinstance(other, InHand):
            raise InputError(f"other: must be a case, got {type(other).__name__}")
        derived = hasattr(self, "plain_values") and hasattr(other, "plain_values")
        here, there = (_symbols(case, derived) for case in (self, other))
        rules = other._case().derivation
        rows = [
            {
                "symbol": symbol,
                "here": here.get(symbol),
                "there": there.get(symbol),
                "rule": rules[symbol].rule if symbol in rules else "",
            }
            for symbol in dict.fromkeys([*here, *there])
            if here.get(symbol) != there.get(symbol)
        ]
        return pd.DataFrame(rows, columns=["symbol", "here", "there", "rule"]).set_index("symbol")

    def _changes(self) -> str:
        """What was changed of the shipped case of this name, with what follows by rules; "" if nothing was."""
        from stochisru.lunar.case import load_case

        case = self._case()
        if case.name not in shipped_cases() or case.is_shipped:
            return ""
        changed = load_case(case.name).differences(self)
        told = [
            f"{symbol} {_short(row.here)} → {_short(row.there)}{f' ({row.rule})' if row.rule else ''}"
            for symbol, row in changed.iterrows()
        ]
        more = f", and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
        return ", ".join(told[:_SHOWN]) + more

    def __repr__(self) -> str:
        case = self._case()
        what = getattr(case, "what", "")
        changes = self._changes()
        parts = [f"{case.name!r}", f"T = {case.horizon.T}", str(case.process)]
        parts += [f"with {what}"] if what else []
        parts += [f"changed: {changes}"] if changes else []
        return f"{type(self).__name__}({', '.join(parts)})"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """Parameters as a table, for a notebook."""
        case = self._case()
        changes = self._changes()
        told = f"<p>changed: {html.escape(changes)}</p>" if changes else ""
        head = f"<p><b>{html.escape(case.title)}</b>, T = {case.horizon.T}, demand {html.escape(str(case.process))}</p>"
        if hasattr(case, "to_frame"):
            frame = case.to_frame().reset_index()[["symbol", "value", "unit", "description", "status"]]
            return head + told + str(frame.to_html(index=False, na_rep="–"))
        return f"{head}{told}<pre>{html.escape(case.to_toml())}</pre>"


def tables_of(case: Any) -> dict[str, Any]:
    """The tables of a case as its file has them, without what a rule derives."""
    data = tomllib.loads(case.to_toml())
    for symbol in data.get("derivation", {}):
        for home in _HOMES:
            data.get(home, {}).pop(symbol, None)
    return data


def _symbols(case: Any, derived: bool) -> dict[str, Any]:
    """What a case says, symbol by symbol, with its lists of tables; with what rules derive where that is known."""
    if derived:
        return dict(case.plain_values)
    found: dict[str, Any] = {}
    for name, table in tables_of(case).items():
        if name in _HOMES:
            found |= dict(table)
        elif name not in ("name", "sources", "derivation"):
            found[name] = table
    return found


def _short(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):  # pandas has NaN for None beside numbers
        return "none"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    text = str(value)
    return text if len(text) <= 20 else f"{text[:19]}…"
