"""Numbers of a decision as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stochisru.lunar.deciding.decide import Regret

#: Shares of the best amount that a short table shows.
_SHARES = (0.0, 0.5, 0.8, 0.9, 1.0, 1.1, 1.2, 1.5, 2.0)


def amount(kg: float) -> str:
    """A mass or a demand: four digits, whole from a thousand on."""
    return f"{kg:,.0f}" if abs(kg) >= 1000 else f"{kg + 0.0:.4g}"


def money(dollars: float) -> str:
    """An amount in $ million, three digits at least."""
    scaled = dollars / 1e6
    size = abs(scaled)
    if size >= 100:
        return f"{scaled:,.1f}"
    return f"{scaled:.2f}" if size >= 1 else f"{scaled:.2g}"


def money_digits(dollars: Sequence[float], error: float = 0.0) -> int:
    """Digits after the point at which amounts in $ million are told apart, no more than their error allows."""
    known = 4 if error < 1.0 else max(0, min(4, -math.floor(math.log10(error / 1e6))))
    sizes = [abs(x) / 1e6 for x in dollars if x == x and abs(x) >= 1.0]
    if not sizes:
        return min(known, 1)
    least = min(sizes)
    return min(known, 1 if least >= 10 else 2 if least >= 1 else 3 if least >= 0.1 else 4)


def shown(rows: Sequence[Regret]) -> list[Regret]:
    """Some of the amounts of an order: all of a few, else those at round shares of the best."""
    if len(rows) <= len(_SHARES) + 2:
        return list(rows)
    best = min(rows, key=lambda row: row.lost).kg
    most = rows[-1].kg
    wanted = [share * best for share in _SHARES] if best > 0 else [share * most / 2 for share in _SHARES]
    near = {min(range(len(rows)), key=lambda i: abs(rows[i].kg - kg)) for kg in wanted}
    return [rows[i] for i in sorted(near)]


def listed(words: Sequence[str]) -> str:
    """Words one after the other."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
