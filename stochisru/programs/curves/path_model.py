"""Piecewise linear curves in Pyomo models.

The columns and rows are those of `stochisru.programs.curves.add_curves`, restated as Pyomo variables and constraints,
so a Pyomo model and a sparse program hold the same formulation. Pyomo is imported inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from stochisru.errors import InputError
from stochisru.programs.curves.curve import Curve
from stochisru.programs.curves.formulations import Formulation, add_curves
from stochisru.programs.curves.pieces import Direction
from stochisru.programs.sparse import Block, LinearProgram, ProgramBuilder


def curve_block(
    curves: Sequence[tuple[Curve, Direction]],
    size: Any,
    *,
    least: ArrayLike = 0.0,
    formulation: Formulation = "interval",
) -> Any:
    """A ``pyomo.environ.Block`` with curves of the sizes of structures; all curves of a structure share its binaries.

    Parameters
    ----------
    curves
        Pairs of a curve and what the model wants of its value, as for `add_curves`.
    size
        Variable of the sizes (``pyomo.environ.Var``, scalar or indexed); its bounds are those of the structures.
    least
        Least size of a structure that is there at all, one for all or one each.

    Returns
    -------
    Block
        With ``value[c, index]``, the expression of curve c at ``size[index]`` (``value[c, None]`` for a scalar
        variable), and a component for each block of columns and rows.

    Raises
    ------
    InputError
        As `add_curves` does, and if a size has no upper bound.

    Examples
    --------
    >>> import pyomo.environ as pyo
    >>> from stochisru.programs.curves import Curve
    >>> from stochisru.programs.curves.path_model import curve_block
    >>> model = pyo.ConcreteModel()
    >>> model.size = pyo.Var(["a", "b"], bounds=(0, 3000))
    >>> model.plants = curve_block([(Curve([0, 1000, 3000], [0, 10e6, 26e6], fixed=5e6), "small")], model.size)
    >>> model.demand = pyo.Constraint(expr=model.size["a"] + model.size["b"] >= 4000)
    >>> model.cost = pyo.Objective(expr=model.plants.value[0, "a"] + model.plants.value[0, "b"])
    >>> _ = pyo.SolverFactory("appsi_highs").solve(model)
    >>> round(pyo.value(model.cost))
    46000000
    """
    import pyomo.environ as pyo

    keys = list(size.keys())
    for key in keys:
        if size[key].ub is None:
            raise InputError(f"size: {size[key].name} must have a finite upper bound")
    builder = ProgramBuilder("curves", "minimise")
    lower = np.array([0.0 if size[key].lb is None else size[key].lb for key in keys], dtype=float)
    x = builder.variables("size", len(keys), lower=lower, upper=[size[key].ub for key in keys])
    terms = add_curves(builder, "curve", curves, x.index, least=least, formulation=formulation)
    program = builder.build()

    block = pyo.Block(concrete=True)
    columns = [size[key] for key in keys]
    for name, span in list(program.columns.items())[1:]:
        columns.extend(_variables(block, name, span, program))
    matrix = program.matrix.tocsr()
    for name, span in program.rows.items():
        row = _Row(span, matrix, columns, program)
        block.add_component(_component(name), pyo.Constraint(range(span.size), rule=row))
    block.value = pyo.Expression(range(len(terms)), keys, initialize=0.0)
    for c, part in enumerate(terms):
        sums: list[Any] = [0.0] * len(keys)
        for i, column, coefficient in zip(part.structure, part.column, part.coefficient, strict=True):
            sums[i] = sums[i] + float(coefficient) * columns[column]
        for key, expression in zip(keys, sums, strict=True):
            block.value[c, key].set_value(expression)
    return block


def _component(name: str) -> str:
    """Name of a block of columns or rows in Pyomo; ``value`` is the expression."""
    own = name.removeprefix("curve_")
    return "height" if own == "value" else own


def _variables(block: Any, name: str, span: Block, program: LinearProgram) -> list[Any]:
    """A block of columns as a Pyomo variable."""
    import pyomo.environ as pyo

    bounds = list(zip(program.lower[span.span].tolist(), program.upper[span.span].tolist(), strict=True))
    domain = pyo.Binary if program.integer[span.start] else pyo.Reals
    variable = pyo.Var(range(span.size), domain=domain, bounds=lambda _, i: bounds[i])
    block.add_component(_component(name), variable)
    return [variable[i] for i in range(span.size)]


class _Row:
    """Rule of a Pyomo constraint: one row of a block."""

    def __init__(self, span: Block, matrix: Any, columns: list[Any], program: LinearProgram) -> None:
        self.span, self.matrix, self.columns, self.program = span, matrix, columns, program

    def __call__(self, _: Any, i: int) -> Any:
        import pyomo.environ as pyo

        k = self.span.start + i
        part = slice(self.matrix.indptr[k], self.matrix.indptr[k + 1])
        entries = zip(self.matrix.data[part].tolist(), self.matrix.indices[part].tolist(), strict=True)
        body = sum(coefficient * self.columns[column] for coefficient, column in entries)
        low, high = float(self.program.row_lower[k]), float(self.program.row_upper[k])
        if low == high:
            return body == low
        return pyo.inequality(low if np.isfinite(low) else None, body, high if np.isfinite(high) else None)
