"""The program of a model on a scenario tree, in node form.

There are no scenario copies and no nonanticipativity rows: a column stands where its decision is taken, a state or a
row at the latest stage at which anything in it is known (`stochisru.problem.sheet.Sheet.places`). One block of columns
per decision, state and operation, under its own name. Every objective coefficient carries probability and discount
factor.
Blocks of rows:

====================  ==============================================================================
a `State`'s rule        x − keep·x_previous − Σ gain·y (+ what retires) = inflow, in year 0 with initial
``whole_DECISION``    y is a whole number of lots
``DECISION_cost…``    cost of y by size and fixed cost (`stochisru.programs.curves.formulations`)
the row's own name    a `Row`
====================  ==============================================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.tree import ScenarioTree
from stochisru.problem.bounds import ColumnBounds, column_bounds
from stochisru.problem.coefficients import Number
from stochisru.problem.information import Information, Recourse
from stochisru.problem.model import Model
from stochisru.problem.parts import Decision, Row, State
from stochisru.problem.places import Places
from stochisru.problem.sheet import Linear, Sheet
from stochisru.problem.tail import TailRows
from stochisru.programs.curves.curve import Curve
from stochisru.programs.curves.formulations import add_curves
from stochisru.programs.sparse import Block, LinearProgram, ProgramBuilder

#: Share of its bound up to which an amount is a solver's tolerance.
_NOTHING = 1e-7
#: Rows and columns of a block of rows, and their coefficients.
_Entries = tuple[Index, Index, Number]


@dataclass(frozen=True, eq=False)
class TreeProgram:
    """A model's program on a tree under an information.

    Attributes
    ----------
    program
        Sparse program; one block of columns per decision, state and operation.
    places
        Where the columns of each part stand.
    """

    model: Model
    tree: ScenarioTree
    information: Information
    program: LinearProgram
    places: Mapping[str, Places]

    def values(self, x: Array, name: str) -> Array:
        """Values of a part at its places."""
        return x[self.program.columns[name].span]

    def on_nodes(self, x: Array, name: str) -> Array:
        """Values of a part at every node of the tree, shape ``(nodes,)``; see `Places.on_nodes`."""
        return self.places[name].on_nodes(self.values(x, name))

    def plan(self, x: Array) -> dict[str, Array]:
        """Decisions at every node of the tree as they can be taken, each of shape ``(nodes,)``; see `Held`."""
        taken = self.taken(x)
        return {decision.name: self.on_nodes(taken, decision.name) for decision in self.model.decisions}

    def taken(self, x: Array) -> Array:
        """A solution with its decisions as they can be taken.

        What is a solver's tolerance is set right: amounts lie within their bounds and are whole numbers of lots, and
        what costs something by being there at all is 0 or more than a tolerance.
        """
        found = x.copy()
        for decision in self.model.decisions:
            span = self.program.columns[decision.name].span
            lower, upper = self.program.lower[span], self.program.upper[span]
            amount = np.clip(x[span], lower, upper)
            if decision.lot is not None:
                amount = np.rint(amount / decision.lot) * decision.lot
            elif not decision.is_linear:
                amount = np.where(amount > np.maximum(lower, _NOTHING * upper), amount, lower)
            found[span] = amount
        return found


def on_tree(
    model: Model,
    tree: ScenarioTree,
    information: Information | None = None,
) -> TreeProgram:
    """The program of a model on a tree.

    Parameters
    ----------
    tree
        One stage per year; its values are the model's factor.
    information
        Who knows what when; `Recourse` if not given.

    Raises
    ------
    InputError
        If the tree does not belong to the model, a column has no finite bound, or a coefficient is no number.

    Examples
    --------
    >>> from scenario_trees import ScenarioTree
    >>> from stochisru.programs.sparse import solve
    >>> from stochisru.problem import Decision, Factor, Model, Operation, Row, State, on_tree
    >>> newsvendor = Model(
    ...     "newsvendor",
    ...     horizon=1,
    ...     parts=[
    ...         Decision("order", lead=1, years=[1], cost=1.0, upper=200),
    ...         State("stock", keep=0.0, gains={"order": 1.0}),
    ...         Operation("sold", value=3.0, upper=Factor("demand")),
    ...         Row("stocked", {"sold": 1.0, "stock": -1.0}, upper=0.0),
    ...     ],
    ... )
    >>> tree = ScenarioTree(parent=[-1, 0, 0], stage=[0, 1, 1], probability=[1, 0.5, 0.5], value=[1, 50, 100])
    >>> solution = solve(on_tree(newsvendor, tree).program)
    >>> round(solution.objective, 6), solution.values("order").round(6).tolist()
    (125.0, [0.0, 100.0])
    """
    return program_of(Sheet(model, tree, Recourse() if information is None else information))


def program_of(sheet: Sheet, bounds: Mapping[str, ColumnBounds] | None = None) -> TreeProgram:
    """The program of a sheet.

    Parameters
    ----------
    bounds
        Bounds of all columns, one per place, in place of those that follow from the model: those of a whole tree, where
        this one is a part of it and shares decisions with the rest.
    """
    program = _Assembly(sheet).program(column_bounds(sheet) if bounds is None else bounds)
    return TreeProgram(sheet.model, sheet.tree, sheet.information, program, sheet.places)


class _Assembly:
    """Builds the program of a sheet, part by part."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self.builder = ProgramBuilder(f"tree program of {sheet.model.name}", sheet.model.sense)
        self.blocks: dict[str, Block] = {}

    def program(self, bounds: Mapping[str, ColumnBounds]) -> LinearProgram:
        sign = self.sheet.model.sign
        risk = self.sheet.model.risk
        mean = 1.0 if risk is None else 1.0 - risk.weight
        for name, (lower, upper) in bounds.items():
            worth = sign * mean * self._weighted(name, self.sheet.worth[name])
            years = self.sheet.places[name].year
            self.blocks[name] = self.builder.variables(
                name, lower.size, lower=lower, upper=upper, objective=worth, years=years
            )
        for state in self.sheet.model.states:
            self._balance(state)
        for decision in self.sheet.model.decisions:
            if not decision.is_linear:
                self._sizes(decision, bounds[decision.name].upper)
        for row in self.sheet.model.rows:
            self._row(row)
        if risk is not None:
            TailRows(self.sheet, self.builder, self.blocks, bounds).add(risk)
        return self.builder.build()

    def _weighted(self, name: str, numbers: Sequence[Number]) -> Array:
        """Numbers by year at the places of a part, times probability."""
        return self.sheet.places[name].expected(numbers)

    def _entries(self, places: Places, terms: Sequence[Linear], sign: float = 1.0) -> Iterator[_Entries]:
        """Entries of linear expressions, which are by year from year 0 on, in the rows of ``places``, by column."""
        for name in dict.fromkeys(name for year in places.years for name in terms[year]):
            numbers = [year.get(name, 0.0) for year in terms]
            used = [name in terms[year] for year in places.years]
            # A year without the column may be known earlier than the column is.
            own = places if all(used) else places.chosen(used)
            column = self.blocks[name].start + own.above(self.sheet.places[name])
            yield np.flatnonzero(np.repeat(used, places.counts)), column, sign * own.spread(numbers)

    def _balance(self, state: State) -> None:
        sheet, places = self.sheet, self.sheet.places[state.name]
        keep, inflow, gains = sheet.kept(state), sheet.numbers(state, "inflow"), sheet.gains[state.name]
        every, start = np.arange(places.count), self.blocks[state.name].start
        right = np.zeros(places.count) + places.spread(inflow)
        right[places.at(0)] += state.initial
        later = Places(places.ancestry, places.years[1:], places.stages[1:])
        left = [np.any(keep[t] != 0.0) for t in later.years]
        before = np.repeat(np.array(left, dtype=bool), np.array(later.counts, dtype=np.int64))
        factor = later.spread(keep)
        entries: list[_Entries] = [
            (every, start + every, 1.0),
            (
                every[places.counts[0] :][before],
                start + later.above(places, lag=1)[before],
                -factor if isinstance(factor, float) else -factor[before],
            ),
            *self._entries(places, gains, -1.0),
        ]
        for t in sheet.model.years if state.lifetime is not None else ():
            # What was added n years ago has worked its last year; so much of it is left.
            old = t - cast(int, state.lifetime)
            if old < 0:
                continue
            here, stage = places.at(t), places.stage(t)
            gone = float(np.prod(np.asarray(keep[old + 1 : t + 1], dtype=float)))
            for name, gain in gains[old].items():
                column = sheet.places[name].seen_from(old, stage, self.blocks[name].start)
                entries.append((every[here], column, gone * sheet.ancestry.seen(gain, old, stage)))
            if old == 0:
                right[here] -= gone * state.initial
        self.builder.rows(state.rule_name, right, right, *entries, years=places.year)

    def _sizes(self, decision: Decision, upper: Array) -> None:
        """Lots, curves and fixed costs of a decision."""
        sheet, column = self.sheet, self.blocks[decision.name]
        if decision.lot is not None:
            most = np.ceil(upper / decision.lot)
            lots = self.builder.variables(f"{decision.name}_lots", column.size, lower=0.0, upper=most, integer=True)
            every = np.arange(column.size)
            terms = (every, column.index, 1.0), (every, lots.index, -decision.lot)
            self.builder.rows(
                f"whole_{decision.name}", np.zeros(column.size), 0.0, *terms, years=sheet.places[decision.name].year
            )
        paid = [sheet.paid(decision, t) for t in sheet.model.years]
        costs: list[tuple[Curve, list[Number]]] = []
        if decision.curve is not None:
            costs.append((decision.curve, [*paid]))
        if np.any(decision.fixed_cost):
            largest = max(float(upper.max()), 1.0)
            fixed = sheet.numbers(decision, "fixed_cost")
            costs.append((Curve.linear(0.0, largest, fixed=1.0), [p * f for p, f in zip(paid, fixed, strict=True)]))
        if costs:
            curves = [(curve, "small") for curve, _ in costs]
            added = add_curves(self.builder, f"{decision.name}_cost", curves, column.index)  # type: ignore[arg-type]
            for terms_of, (_, numbers) in zip(added, costs, strict=True):
                terms_of.in_objective(self.builder, -sheet.model.sign * self._weighted(decision.name, numbers))

    def _row(self, row: Row) -> None:
        sheet, places = self.sheet, self.sheet.row_places(row)
        lower, upper = (
            np.broadcast_to(places.spread(sheet.numbers(row, side)), places.count) for side in ("lower", "upper")
        )
        self.builder.rows(row.name, lower, upper, *self._entries(places, sheet.terms(row)), years=places.year)
