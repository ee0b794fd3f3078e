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

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.tree import ScenarioTree
from stochisru.problem.bounds import ColumnBounds, column_bounds
from stochisru.problem.coefficients import Number
from stochisru.problem.information import Information, Recourse
from stochisru.problem.model import Model
from stochisru.problem.parts import Decision, Row, State
from stochisru.problem.places import Places
from stochisru.problem.sheet import Sheet
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
        """Decisions at every node of the tree as they can be taken, each of shape ``(nodes,)``; see `Held`.

        What is a solver's tolerance is set right: amounts lie within their bounds and are whole numbers of lots, and
        what costs something by being there at all is 0 or more than a tolerance.
        """
        found = {}
        for decision in self.model.decisions:
            span = self.program.columns[decision.name].span
            lower, upper = self.program.lower[span], self.program.upper[span]
            amount = np.clip(x[span], lower, upper)
            if decision.lot is not None:
                amount = np.rint(amount / decision.lot) * decision.lot
            elif not decision.is_linear:
                amount = np.where(amount > np.maximum(lower, _NOTHING * upper), amount, lower)
            found[decision.name] = self.places[decision.name].on_nodes(amount)
        return found


def on_tree(
    model: Model,
    tree: ScenarioTree,
    information: Information | None = None,
    bounds: Mapping[str, ColumnBounds] | None = None,
) -> TreeProgram:
    """The program of a model on a tree.

    Parameters
    ----------
    tree
        One stage per year; its values are the model's factor.
    information
        Who knows what when; `Recourse` if not given.
    bounds
        Bounds of some parts in place of those that follow from the model, one per place: those of a whole tree, where
        this one is a part of it and shares decisions with the rest.

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
    sheet = Sheet(model, tree, information or Recourse())
    return TreeProgram(model, tree, sheet.information, _Assembly(sheet).program(bounds), sheet.places)


class _Assembly:
    """Builds the program of a sheet, part by part."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self.builder = ProgramBuilder(f"tree program of {sheet.model.name}", sheet.model.sense)
        self.blocks: dict[str, Block] = {}

    def program(self, given: Mapping[str, ColumnBounds] | None) -> LinearProgram:
        sign, bounds = self.sheet.model.sign, column_bounds(self.sheet, given)
        for name, (lower, upper) in bounds.items():
            worth = sign * self._weighted(name, self.sheet.worth[name])
            self.blocks[name] = self.builder.variables(name, lower.size, lower=lower, upper=upper, objective=worth)
        for state in self.sheet.model.states:
            self._balance(state)
        for decision in self.sheet.model.decisions:
            if not decision.is_linear:
                self._sizes(decision, bounds[decision.name].upper)
        for row in self.sheet.model.rows:
            self._row(row)
        return self.builder.build()

    def _weighted(self, name: str, numbers: list[Number]) -> Array:
        """Numbers by year at the places of a part, times probability."""
        places = self.sheet.places[name]
        return np.concatenate([self.sheet.ancestry.expected(x, t, places.stage(t)) for t, x in enumerate(numbers)])

    def _entries(self, rows: Index, places: Places, t: int, name: str, number: Number, year: int) -> _Entries:
        """Entries of one column in the rows of year ``t``; ``number`` is known in year ``year``, the column's own."""
        stage = places.stage(t)
        column = self.sheet.places[name].seen_from(year, stage, self.blocks[name].start)
        return rows, column, self.sheet.ancestry.seen(number, year, stage)

    def _balance(self, state: State) -> None:
        sheet, places = self.sheet, self.sheet.places[state.name]
        keep, inflow, gains = sheet.kept(state), sheet.numbers(state, "inflow"), sheet.gains[state.name]
        right = np.zeros(places.count)
        entries: list[_Entries] = []
        for t in sheet.model.years:
            here = places.at(t)
            rows = np.arange(here.start, here.stop)
            right[here] = sheet.ancestry.seen(inflow[t], t, places.stage(t))
            entries.append((rows, self.blocks[state.name].start + rows, 1.0))
            if t == 0:
                right[here] += state.initial
            elif np.any(keep[t] != 0.0):
                _, before, _ = self._entries(rows, places, t, state.name, 1.0, t - 1)
                entries.append((rows, before, -sheet.ancestry.seen(keep[t], t, places.stage(t))))
            for name, gain in gains[t].items():
                entries.append(self._entries(rows, places, t, name, -gain, t))
            if state.lifetime is not None and t >= state.lifetime:
                # What was added n years ago has worked its last year; so much of it is left.
                old = t - state.lifetime
                left = float(np.prod(np.asarray(keep[old + 1 : t + 1], dtype=float)))
                for name, gain in gains[old].items():
                    entries.append(self._entries(rows, places, t, name, left * gain, old))
                if old == 0:
                    right[here] -= left * state.initial
        self.builder.rows(state.rule_name, right, right, *entries)

    def _sizes(self, decision: Decision, upper: Array) -> None:
        """Lots, curves and fixed costs of a decision."""
        sheet, column = self.sheet, self.blocks[decision.name]
        if decision.lot is not None:
            most = np.ceil(upper / decision.lot)
            lots = self.builder.variables(f"{decision.name}_lots", column.size, lower=0.0, upper=most, integer=True)
            every = np.arange(column.size)
            terms = (every, column.index, 1.0), (every, lots.index, -decision.lot)
            self.builder.rows(f"whole_{decision.name}", np.zeros(column.size), 0.0, *terms)
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
        sides = np.empty((2, places.count))
        entries: list[_Entries] = []
        for t in places.years:
            here = places.at(t)
            rows = np.arange(here.start, here.stop)
            for side, what in zip(sides, ("lower", "upper"), strict=True):
                side[here] = sheet.ancestry.seen(sheet.numbers(row, what)[t], t, places.stage(t))
            for name, number in sheet.terms(row)[t].items():
                entries.append(self._entries(rows, places, t, name, number, t))
        self.builder.rows(row.name, sides[0], sides[1], *entries)
