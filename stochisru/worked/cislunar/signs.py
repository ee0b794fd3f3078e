"""What the paper says of its Figures 9-13, checked one by one on brackets of a sweep.

The figures' numbers are not printed, their signs are: which parameter lowers the cost, which architecture costs less. A
cost is known to its bracket [bound, cost of the plan]. A statement holds if it does for all costs within the brackets,
is contradicted if it does for none, and is undecided otherwise. Masses are those of the plans in hand, of which many
are nearly as good, so nothing is said of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

Verdict = Literal["holds", "undecided", "contradicted"]


class Interval(NamedTuple):
    """Numbers from ``low`` to ``high``."""

    low: float
    high: float

    def minus(self, other: Interval) -> Interval:
        """Differences."""
        return Interval(self.low - other.high, self.high - other.low)

    def over(self, other: Interval) -> Interval:
        """Ratios of two that are above 0."""
        return Interval(self.low / other.high, self.high / other.low)

    def below(self, other: Interval) -> Verdict:
        """Whether all of it is below all of the other one."""
        if self.high < other.low:
            return "holds"
        return "contradicted" if self.low >= other.high else "undecided"


class Sign(NamedTuple):
    """A statement of the paper about a figure, of what, and whether the brackets bear it out."""

    figure: int
    statement: str
    of: str
    verdict: Verdict


#: Costs by value, architecture and phase.
Costs = Mapping[tuple[float, str, bool], Interval]


def signs(rows: Sequence[Mapping[str, Any]]) -> list[Sign]:
    """The paper's statements about the figures whose parameters were varied, on the rows of `run_sweep`.

    Where a value, an architecture or a phase is missing, what needs it is left out.
    """
    found: list[Sign] = []
    for parameter, check in _CHECKS.items():
        mine = [row for row in rows if row["parameter"] == parameter]
        costs = {
            (float(row["value"]), str(row["architecture"]), bool(row["setup"])): Interval(row["lower"], row["cost"])
            for row in mine
        }
        found.extend(check(costs))
    return found


def _named(architecture: str, setup: bool) -> str:
    return f"{architecture}, {'with' if setup else 'without'} set-up"


def _lines(costs: Costs) -> dict[tuple[str, bool], list[float]]:
    """Values of every architecture and phase, in order."""
    found: dict[tuple[str, bool], list[float]] = {}
    for value, architecture, setup in sorted(costs):
        found.setdefault((architecture, setup), []).append(value)
    return found


def _trend(figure: int, statement: str, *, rises: bool) -> Callable[[Costs], Iterator[Sign]]:
    """From the first to the last value the cost rises, or falls."""

    def check(costs: Costs) -> Iterator[Sign]:
        for (architecture, setup), values in _lines(costs).items():
            first, last = (costs[value, architecture, setup] for value in (values[0], values[-1]))
            if len(values) > 1:
                of = f"{_named(architecture, setup)}, {values[0]:g} to {values[-1]:g}"
                yield Sign(figure, statement, of, first.below(last) if rises else last.below(first))

    return check


def _cheaper(figure: int) -> Callable[[Costs], Iterator[Sign]]:
    """The distributed architecture costs less at every value."""

    def check(costs: Costs) -> Iterator[Sign]:
        for value, architecture, setup in sorted(costs):
            other = costs.get((value, "distributed", setup))
            if architecture == "concentrated" and other is not None:
                verdict = other.below(costs[value, architecture, setup])
                yield Sign(figure, "distributed costs less", f"{_phase(setup)}, at {value:g}", verdict)

    return check


def _phase(setup: bool) -> str:
    return f"{'with' if setup else 'without'} set-up"


def _steeper(costs: Costs) -> Iterator[Sign]:
    """Distributed falls more steeply with a set-up year: in relation to its first cost."""
    lines = _lines(costs)
    if {("distributed", False), ("distributed", True)} <= set(lines):
        falls = []
        for setup in (False, True):
            values = lines["distributed", setup]
            falls.append(costs[values[-1], "distributed", setup].over(costs[values[0], "distributed", setup]))
        verdict = falls[1].below(falls[0])
        yield Sign(10, "distributed falls more steeply with a set-up year", "last cost over the first", verdict)


def _wider(costs: Costs) -> Iterator[Sign]:
    """The distributed architecture's advantage grows with the interval."""
    lines = _lines(costs)
    for setup in (False, True):
        values = sorted({*lines.get(("concentrated", setup), [])} & {*lines.get(("distributed", setup), [])})
        if len(values) > 1:
            first, last = (
                costs[value, "concentrated", setup].minus(costs[value, "distributed", setup])
                for value in (values[0], values[-1])
            )
            of = f"{_phase(setup)}, {values[0]:g} to {values[-1]:g}"
            yield Sign(13, "the advantage of distributed grows with the interval", of, first.below(last))


def _all(*checks: Callable[[Costs], Iterator[Sign]]) -> Callable[[Costs], Iterator[Sign]]:
    def check(costs: Costs) -> Iterator[Sign]:
        for one in checks:
            yield from one(costs)

    return check


_CHECKS: dict[str, Callable[[Costs], Iterator[Sign]]] = {
    "duration": _all(_trend(9, "cost rises with duration", rises=True), _cheaper(9)),
    "productivity": _all(_trend(10, "cost falls with productivity", rises=False), _steeper),
    "volume-discount": _trend(11, "cost falls with the volume discount", rises=False),
    "cost-discount": _trend(12, "cost falls with the cost discount", rises=False),
    "interval": _all(_cheaper(13), _trend(13, "cost rises with the interval", rises=True), _wider),
}
