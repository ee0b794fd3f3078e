"""Two-way maps: values over a grid of two symbols, and the lines where they cross a level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import InputError, require_integer
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.studies.values import require_quantity, require_span, require_target, values_at
from stochisru.studies.store import Execution, Row

if TYPE_CHECKING:
    import pandas as pd


#: Range of the default grid, as multiples of the symbol's value.
_REACH = (0.2, 2.0)
#: Which designs pay: the fixed one (then also the flexible one), only the flexible one, or none.
PAYS = ("fixed", "only flexible", "none")


@dataclass(frozen=True, eq=False)
class TwoWayMap:
    """Values over a grid of two symbols.

    Attributes
    ----------
    x, y
        Symbols.
    x_values, y_values
        Increasing, in their units, shapes ``(nx,)`` and ``(ny,)``.
    rows
        One per grid point, y by y: both symbols by name, every quantity of `stochisru.lunar.studies.values.UNITS`,
        ``error``, ``note``, and ``pays``: which designs have a positive expected NPV, one of `PAYS` (None where not
        defined).
    """

    case: DeploymentCase
    x: str
    y: str
    x_values: Array
    y_values: Array
    rows: tuple[Row, ...]

    def grid(self, quantity: str) -> Array:
        """A quantity, shape ``(ny, nx)``; NaN where it is not defined."""
        require_quantity(quantity)
        flat = [float("nan") if row[quantity] is None else row[quantity] for row in self.rows]
        return np.array(flat).reshape(self.y_values.size, self.x_values.size)

    def contour(self, quantity: str, level: float = 0.0) -> pd.DataFrame:
        """Lines along which a quantity crosses a level, linear between grid points.

        Returns
        -------
        pandas.DataFrame
            Columns ``line`` (number of the line) and the two symbols, point after point; empty if the level is not
            crossed.
        """
        import pandas as pd
        from contourpy import contour_generator

        require_target(level)
        values = np.ma.masked_invalid(self.grid(quantity))
        lines = contour_generator(self.x_values, self.y_values, values, line_type="Separate").lines(level)
        rows = [(i, float(a), float(b)) for i, line in enumerate(lines) for a, b in np.asarray(line)]
        return pd.DataFrame(rows, columns=["line", self.x, self.y])

    def to_rows(self) -> list[Row]:
        """Plain rows for JSON."""
        head = {"study": "map", "case": self.case.name, "horizon": self.case.horizon.T, "sense": "maximise"}
        return [{**head, **row} for row in self.rows]

    def to_frame(self) -> pd.DataFrame:
        """The rows as a table."""
        import pandas as pd

        return pd.DataFrame(list(self.rows))

    def __repr__(self) -> str:
        size = f"{self.x_values.size} x {self.y_values.size}"
        return f"TwoWayMap({self.case.name}, T = {self.case.horizon.T}, {self.x!s} x {self.y!s}, {size} points)"


def grid_values(case: DeploymentCase, symbol: str, span: tuple[float, float] | None, steps: int) -> list[float]:
    """Equally spaced values of a symbol; from a fifth to twice its value if no range is given.

    Raises
    ------
    InputError
        If the symbol is unknown, is no number or takes whole numbers, or may not have these values.
    """
    low, high = require_span(case, symbol, span, _REACH)
    require_integer("steps", steps, 2)
    return [float(x) for x in np.linspace(low, high, steps)]


def two_way_map(
    case: DeploymentCase,
    x: str = "sigma",
    y: str = "c_L",
    *,
    x_values: Sequence[float] | None = None,
    y_values: Sequence[float] | None = None,
    execution: Execution | None = None,
) -> TwoWayMap:
    """Values over a grid of two symbols.

    Parameters
    ----------
    x, y
        Symbols; what the case derives from them moves along (`stochisru.lunar.studies.values.hold` keeps it).
    x_values, y_values
        Increasing, two or more; ten from a fifth to twice the symbol's value if not given.
    execution
        Workers, checkpoint and so on; the rows do not depend on it.

    Raises
    ------
    InputError
        If the symbols are the same, unknown or no numbers, or may not have the values.

    Examples
    --------
    >>> from stochisru import load_case
    >>> case = load_case("contested-market")
    >>> result = two_way_map(case, x_values=[0.1, 0.3], y_values=[2000, 6000])
    >>> result.grid("staging").shape
    (2, 2)
    """
    if x == y:
        raise InputError(f"map: needs two different symbols, got {x!r} twice")
    axes = {}
    for symbol, values in ((x, x_values), (y, y_values)):
        axes[symbol] = grid_values(case, symbol, None, 10) if values is None else [float(v) for v in values]
        if len(axes[symbol]) < 2 or not all(np.diff(axes[symbol]) > 0):
            raise InputError(f"{symbol}: needs two or more increasing values, got {axes[symbol]}")
        require_span(case, symbol, (axes[symbol][0], axes[symbol][-1]), _REACH)
    points = [{x: a, y: b} for b in axes[y] for a in axes[x]]
    found = values_at(case, points, execution)
    if all(row["note"] for row in found):
        raise InputError(found[0]["note"])
    rows = tuple({**point, **row, "pays": _pays(row)} for point, row in zip(points, found, strict=True))
    return TwoWayMap(case, x, y, np.array(axes[x]), np.array(axes[y]), rows)


def _pays(row: Row) -> str | None:
    if row["note"]:
        return None
    return PAYS[0] if row["fixed"] > 0 else PAYS[1] if row["rp"] > 0 else PAYS[2]
