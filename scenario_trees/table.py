"""A scenario tree from a table of one's own: one row per node, in any order."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.errors import TreeError
from scenario_trees.tree import ScenarioTree

if TYPE_CHECKING:
    import pandas as pd

#: What happens to a leaf before the last year: it is an error, or goes on with its last values.
Early = Literal["refuse", "hold"]
#: Share of their parent's probability by which the sum of children may miss it, as printed numbers do.
ROUNDING = 0.02
#: Columns that are not values.
_OWN = ("id", "parent", "year", "probability", "conditional_probability")


def tree_from_table(table: pd.DataFrame, *, early: Early = "refuse") -> ScenarioTree:
    """Build a tree from a table.

    Parameters
    ----------
    table
        Columns ``id`` (any names or numbers, each once), ``parent`` (the id of a row; missing at the root), one of
        ``probability`` (of the node) or ``conditional_probability`` (of the node given its parent; anything at the
        root), if wanted ``year`` (that of the parent plus one), and one column per value, the first of them ≥ 0. Rows
        may be in any order, and whole numbers may be stored as floating-point numbers or text.
    early
        ``refuse`` leaves before the last year, or ``hold`` their values until then.

    Returns
    -------
    ScenarioTree
        Stages are years from the root on; siblings are in the order of the table. Probabilities are scaled so that
        children sum to their parent, which they must up to `ROUNDING`.

    Raises
    ------
    TreeError
        One line that names the column, the row (by its id) and what is expected.

    Examples
    --------
    >>> import pandas as pd
    >>> from scenario_trees.table import tree_from_table
    >>> rows = [("now", None, 1.0, 100), *((x, "now", 0.333, d) for x, d in (("up", 130), ("same", 100), ("down", 80)))]
    >>> tree = tree_from_table(pd.DataFrame(rows, columns=["id", "parent", "probability", "demand"]))
    >>> tree.value.tolist(), tree.probability.round(4).tolist(), tree.names
    ([100.0, 130.0, 100.0, 80.0], [1.0, 0.3333, 0.3333, 0.3333], ('demand',))
    """
    if early not in get_args(Early):
        raise TreeError(f"early: must be one of {', '.join(get_args(Early))}, got {early!r}")
    columns = [str(name).strip() for name in table.columns]
    names = _value_columns(columns)
    if table.empty:
        raise TreeError("rows: must be one or more, got none")
    table = table.set_axis(columns, axis="columns")
    ids = [_key(x) for x in table["id"]]
    up = _parents(ids, [_key(x) for x in table["parent"]])
    stage = _stages(ids, up)
    if "year" in table.columns:
        _require_years(table, ids, up, stage)
    values = np.stack([_numbers(table, name, ids) for name in names], axis=1)
    share = _shares(table, ids, up)
    return _tree(ids, up, stage, share, values, names, early)


def _value_columns(columns: list[str]) -> tuple[str, ...]:
    lacking = [name for name in ("id", "parent") if name not in columns]
    if lacking:
        raise TreeError(f"columns: must have {', '.join(lacking)}, got {', '.join(columns) or 'none'}")
    if len(set(columns)) < len(columns):
        twice = next(name for name in columns if columns.count(name) > 1)
        raise TreeError(f"columns: {twice} is there twice")
    if ("probability" in columns) == ("conditional_probability" in columns):
        raise TreeError(f"columns: must have probability or conditional_probability, got {', '.join(columns)}")
    names = tuple(name for name in columns if name not in _OWN)
    if not names:
        raise TreeError("columns: must have one or more of values besides id, parent, year and probability")
    return names


def _key(given: Any) -> Hashable:
    """An id in one form, whatever a table made of it: 3, 3.0 and "3" are one, what is missing is None."""
    if given is None or given != given:
        return None
    text = str(given).strip()
    return int(text.partition(".")[0]) if re.fullmatch(r"-?[0-9]{1,18}(\.0+)?", text) else text or None


def _parents(ids: list[Hashable], parents: list[Hashable]) -> Index:
    """Row of every row's parent, −1 at the root."""
    row = {name: i for i, name in enumerate(ids)}
    for i, name in enumerate(ids):
        if name is None:
            raise TreeError(f"id: must not be missing, it is in row {i + 1}")
        if row[name] != i:
            raise TreeError(f"id: must be there once, {name} is in rows {i + 1} and {row[name] + 1}")
    outside = -1 if -1 not in row else None
    roots = [name for name, parent in zip(ids, parents, strict=True) if parent is None or parent == outside]
    if len(roots) != 1:
        told = ", ".join(map(str, roots[:3])) + (", …" if len(roots) > 3 else "")
        raise TreeError(f"parent: must be missing in one row, the root, got {len(roots)}{f': {told}' if told else ''}")
    for name, parent in zip(ids, parents, strict=True):
        if name != roots[0] and parent not in row:
            raise TreeError(f"parent: must be an id of the table, got {parent} at {name}")
    return np.array([-1 if name == roots[0] else row[parent] for name, parent in zip(ids, parents, strict=True)])


def _stages(ids: list[Hashable], up: Index) -> Index:
    """Number of steps from the root."""
    stage = np.where(up < 0, 0, -1)
    for t in range(up.size):
        here = (stage < 0) & (stage[up] == t) & (up >= 0)
        if not here.any():
            break
        stage[here] = t + 1
    if (stage < 0).any():
        raise TreeError(
            f"parent: {ids[int(np.argmax(stage < 0))]} does not come from the root, its parents go in a circle"
        )
    return stage


def _numbers(table: pd.DataFrame, column: str, ids: list[Hashable]) -> Array:
    import pandas as pd

    numbers = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    good = np.isfinite(numbers)
    if not good.all():
        bad = int(np.argmin(good))
        raise TreeError(f"{column}: must be a finite number, got {table[column].iloc[bad]!r} at {ids[bad]}")
    return np.asarray(numbers)


def _require_years(table: pd.DataFrame, ids: list[Hashable], up: Index, stage: Index) -> None:
    year = _numbers(table, "year", ids)
    wanted = year[up < 0][0] + stage
    if (year != wanted).any():
        bad = int(np.argmax(year != wanted))
        raise TreeError(f"year: must be that of the parent plus one, {wanted[bad]:g}, got {year[bad]:g} at {ids[bad]}")


def _shares(table: pd.DataFrame, ids: list[Hashable], up: Index) -> Array:
    """Probability of every row given its parent; children sum to 1."""
    conditional = "conditional_probability" in table.columns
    column = "conditional_probability" if conditional else "probability"
    root = up < 0
    if conditional:
        table = table.assign(**{column: table[column].where(~root, 1.0)})
    given = _numbers(table, column, ids)
    if not ((given >= 0) & (given <= 1 + ROUNDING)).all():
        bad = int(np.argmin((given >= 0) & (given <= 1 + ROUNDING)))
        raise TreeError(f"{column}: must lie in [0, 1], got {given[bad]:g} at {ids[bad]}")
    if abs(given[root][0] - 1) > ROUNDING:
        raise TreeError(f"{column}: must be 1 at the root, got {given[root][0]:g}")
    count = np.bincount(up[~root], minlength=up.size)
    total = np.bincount(up[~root], weights=given[~root], minlength=up.size)
    whole = np.ones(up.size) if conditional else given
    off = (count > 0) & (np.abs(total - whole) > (ROUNDING + 1e-12) * np.maximum(whole, 1e-300))
    if off.any():
        bad = int(np.argmax(off))
        raise TreeError(
            f"{column}: the children of {ids[bad]} must sum to {whole[bad]:g} within {ROUNDING:.0%} of it, "
            f"got {total[bad]:g}"
        )
    above = np.where(root, 0, up)
    some = total[above] > 0
    share = np.where(some, given / np.where(some, total[above], 1.0), 1.0 / np.maximum(count[above], 1))
    return np.where(root, 1.0, share)


def _tree(
    ids: list[Hashable], up: Index, stage: Index, share: Array, values: Array, names: tuple[str, ...], early: Early
) -> ScenarioTree:
    last = int(stage.max())
    leaf = np.bincount(up[up >= 0], minlength=up.size) == 0
    short = leaf & (stage < last)
    if short.any() and early == "refuse":
        bad = int(np.argmax(short))
        raise TreeError(
            f"year: {ids[bad]} ends after {stage[bad]} years, the last leaf after {last}; say that its values are held "
            "(--early-leaves hold), or add rows"
        )
    rows = [np.flatnonzero(up < 0)]
    above, place = [np.array([-1])], 0
    for t in range(1, last + 1):
        before = rows[-1]
        position = np.full(up.size, -1)
        position[before] = np.arange(before.size)
        born = np.flatnonzero(stage == t)
        held = before[leaf[before]]
        here = np.concatenate([born, held])
        parent = position[np.concatenate([up[born], held])]
        order = np.lexsort((here, parent))
        rows.append(here[order])
        above.append(place + parent[order])
        place += before.size
    node, parent = np.concatenate(rows), np.concatenate(above)
    depth = np.repeat(np.arange(last + 1), [row.size for row in rows])
    probability = np.where(stage[node] == depth, share[node], 1.0)  # what is held is certain
    for i in range(1, node.size):
        probability[i] *= probability[parent[i]]
    return ScenarioTree(
        parent.astype(np.int32),
        depth.astype(np.int16),
        probability,
        values[node, 0],
        values[node, 1:] if len(names) > 1 else None,
        names,
    )
