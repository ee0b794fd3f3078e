"""Subproblems of progressive hedging: one sparse program solved again and again under changing prices.

A `Subproblem` answers three questions about the program ``max f(x)`` of a subtree, with ``y`` its coordinated
variables: the Lagrangian ``max f(x) − w·y``, the proximal problem ``max f(x) − w·y − ½ Σ ρ (y − ȳ)²`` and the value
when orders are fixed. Each question has its own model, kept with its basis, so that only prices or bounds change
from one call to the next.

The linearised proximal term replaces ``y²`` by a variable θ above its tangents ``2qy − q²``. The tangents hold for
every ρ and ȳ, so they are kept; new ones are added where ``y² − θ`` exceeds a tolerance, until it does nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from stochisru.deployment.subtrees import SubtreeProgram
from stochisru.errors import InputError, SolverError
from stochisru.solvers.highs import Scale, optimise

Array = NDArray[np.float64]
Proximal = Literal["quadratic", "linearised"]

#: Most rounds of tangents per solve; a handful suffice.
_ROUNDS = 60


@dataclass(frozen=True, eq=False)
class Priced:
    """Optimum of a Lagrangian subproblem: coordinated variables, and a bound that holds for any solver tolerance."""

    plant: Array
    bound: float


@dataclass(frozen=True, eq=False)
class Fixed:
    """Optimum for fixed orders: value and ΔM of all commitments of the branch."""

    value: float
    order: Array


class Subproblem(Protocol):
    """The program of a subtree in the hands of one solver."""

    @property
    def subtree(self) -> SubtreeProgram:
        """The program."""
        ...

    @property
    def proximal_term(self) -> Proximal:
        """Form of the proximal term in use."""
        ...

    def priced(self, price: Array) -> Priced:
        """Solve ``max f(x) − price·y``."""
        ...

    def proximal(self, price: Array, centre: Array, rho: Array) -> Array:
        """Coordinated variables of ``max f(x) − price·y − ½ Σ rho (y − centre)²``."""
        ...

    def fixed(self, orders: Array) -> Fixed:
        """Solve with the coordinated orders fixed."""
        ...


class HighsSubproblem:
    """Subproblem solved by HiGHS."""

    def __init__(self, subtree: SubtreeProgram, name: str, proximal: Proximal) -> None:
        self.subtree, self.name = subtree, name
        self.proximal_term: Proximal = proximal
        self._models: dict[str, Any] = {}
        # Squares of plant enter the proximal term: a thousand is a good size for them.
        self._scale = Scale.by_size(subtree.program, float(subtree.program.upper[subtree.plant].max()) / 1000)

    def _model(self, use: str) -> Any:
        from stochisru.solvers.highs import load_program

        if use not in self._models:
            model = load_program(self.subtree.program, self._scale)
            if use == "tangents":
                self._add_squares(model)
            self._models[use] = model
        return self._models[use]

    def _optimise(self, model: Any, use: str) -> Any:
        optimise(model, f"{self.name}, {use} subproblem")
        return model.getSolution()

    def _price(self, model: Any, cost: Array) -> None:
        columns = self.subtree.plant.astype(np.int32)
        objective = self.subtree.program.objective[columns] + cost
        model.changeColsCost(columns.size, columns, objective * (self._scale.f * self._scale.q))

    def priced(self, price: Array) -> Priced:
        """Solve ``max f(x) − price·y``."""
        model = self._model("priced")
        self._price(model, -price)
        solution = self._optimise(model, "Lagrangian")
        program = self.subtree.program
        objective = program.objective.copy()
        objective[self.subtree.plant] -= price
        return Priced(
            plant=np.asarray(solution.col_value)[self.subtree.plant] * self._scale.q,
            bound=program.dual_bound(np.asarray(solution.row_dual) / (self._scale.f * self._scale.q), objective),
        )

    def fixed(self, orders: Array) -> Fixed:
        """Solve with the coordinated orders fixed."""
        model = self._model("fixed")
        columns = self.subtree.order.astype(np.int32)
        model.changeColsBounds(columns.size, columns, orders / self._scale.q, orders / self._scale.q)
        solution = self._optimise(model, "incumbent")
        order = np.asarray(solution.col_value)[self.subtree.program.columns["dM"].span] * self._scale.q
        order[: orders.size] = orders
        value = float(model.getInfo().objective_function_value) / self._scale.f
        return Fixed(value=value, order=np.maximum(order, 0.0))

    def proximal(self, price: Array, centre: Array, rho: Array) -> Array:
        """Coordinated variables of the proximal problem."""
        if self.proximal_term == "quadratic":
            return self._quadratic(price, centre, rho)
        return self._tangents(price, centre, rho)

    def _quadratic(self, price: Array, centre: Array, rho: Array) -> Array:
        import highspy

        model = self._model("quadratic")
        self._price(model, rho * centre - price)
        n = self.subtree.program.shape[1]
        curvature = self._scale.f * self._scale.q**2
        hessian = highspy.HighsHessian()
        hessian.dim_, hessian.format_ = n, highspy.HessianFormat.kTriangular
        # The coordinated columns are consecutive and ascending.
        hessian.start_ = np.searchsorted(self.subtree.plant, np.arange(n + 1)).astype(np.int32)
        hessian.index_, hessian.value_ = self.subtree.plant.astype(np.int32), -rho * curvature
        model.passHessian(hessian)
        x = np.asarray(self._optimise(model, "quadratic proximal").col_value)
        return np.asarray(x[self.subtree.plant] * self._scale.q)

    def _add_squares(self, model: Any) -> None:
        """Append a column θ ≥ 0 per coordinated variable, with the tangent at its upper bound."""
        start = self.subtree.program.shape[1]
        self._square = start + np.arange(self.subtree.plant.size)
        for _ in self.subtree.plant:
            model.addCol(0.0, 0.0, np.inf, 0, np.zeros(0, dtype=np.int32), np.zeros(0))
        for i, column in enumerate(self.subtree.plant):
            self._tangent(model, i, float(self.subtree.program.upper[column]) / self._scale.q)

    def _tangent(self, model: Any, i: int, at: float) -> None:
        columns = np.array([self._square[i], self.subtree.plant[i]], dtype=np.int32)
        model.addRow(-at * at, np.inf, 2, columns, np.array([1.0, -2 * at]))

    def _tangents(self, price: Array, centre: Array, rho: Array) -> Array:
        model = self._model("tangents")
        self._price(model, rho * centre - price)
        squares = self._square.astype(np.int32)
        model.changeColsCost(squares.size, squares, -rho / 2 * self._scale.f * self._scale.q**2)
        middle = centre / self._scale.q  # from here on in the scale of the model
        for _ in range(_ROUNDS):
            x = np.asarray(self._optimise(model, "linearised proximal").col_value)
            plant, square = x[self.subtree.plant], x[self._square]
            # y² − θ = (distance of y to the nearest tangent point)²: a small part of the step to the centre.
            near = 0.05 * np.abs(plant - middle) + 1e-4 * (np.abs(middle) + np.abs(plant)) + 1e-9
            missing = np.flatnonzero(plant**2 - square > near**2)
            if missing.size == 0:
                break
            for i in missing:
                self._tangent(model, int(i), float(plant[i]))
        return np.asarray(plant * self._scale.q)


class GurobiSubproblem:
    """Subproblem solved by Gurobi, with its own quadratic proximal term."""

    def __init__(self, subtree: SubtreeProgram, name: str, proximal: Proximal) -> None:
        if proximal != "quadratic":
            raise InputError("proximal: must be quadratic with gurobi, got 'linearised'")
        self.subtree, self.name = subtree, name
        self.proximal_term: Proximal = proximal
        self._model: tuple[Any, Any, Any] | None = None

    def _optimise(self, objective: Array, rho: Array | None, orders: Array | None) -> tuple[Array, Array, float]:
        from stochisru.solvers.gurobi import guarded, load_program

        program = self.subtree.program
        with guarded(program, self.name):
            import gurobipy as gp

            if self._model is None:
                self._model = load_program(program)
            model, x, rows = self._model
            lower, upper = program.lower.copy(), program.upper.copy()
            if orders is not None:
                lower[self.subtree.order] = upper[self.subtree.order] = orders
            x.LB, x.UB = lower, upper
            target = objective @ x + program.constant
            if rho is not None:
                y = x[self.subtree.plant]
                target = target - y @ (np.diag(rho / 2) @ y)
            model.setObjective(target, gp.GRB.MAXIMIZE)
            model.optimize()
            if model.Status != gp.GRB.OPTIMAL:
                raise SolverError(f"{self.name}: gurobi ended with status {model.Status}")
            dual = np.zeros(program.shape[0])
            if rho is None:
                for mask, constraint in rows:
                    dual[mask] += constraint.Pi
            return np.asarray(x.X), dual, float(model.ObjVal)

    def priced(self, price: Array) -> Priced:
        """Solve ``max f(x) − price·y``."""
        objective = self.subtree.program.objective.copy()
        objective[self.subtree.plant] -= price
        x, dual, _ = self._optimise(objective, None, None)
        return Priced(x[self.subtree.plant], self.subtree.program.dual_bound(dual, objective))

    def proximal(self, price: Array, centre: Array, rho: Array) -> Array:
        """Coordinated variables of the proximal problem."""
        objective = self.subtree.program.objective.copy()
        objective[self.subtree.plant] += rho * centre - price
        return self._optimise(objective, rho, None)[0][self.subtree.plant]

    def fixed(self, orders: Array) -> Fixed:
        """Solve with the coordinated orders fixed."""
        x, _, value = self._optimise(self.subtree.program.objective, None, orders)
        order = x[self.subtree.program.columns["dM"].span]
        order[: orders.size] = orders
        return Fixed(value=value, order=np.maximum(order, 0.0))


#: Forms of the proximal term per solver, the default first. HiGHS has a quadratic solver too, but it starts cold
#: on every call and (1.15) reports bounded problems of a thousand rows as unbounded, so it has to be asked for.
PROXIMAL: dict[str, tuple[Proximal, ...]] = {"highs": ("linearised", "quadratic"), "gurobi": ("quadratic",)}


def proximal_term(solver: str, wanted: str | None) -> Proximal:
    """Form of the proximal term for a solver; raise `InputError` if it does not have the one that is wanted."""
    forms = PROXIMAL[solver]
    if wanted is None:
        return forms[0]
    for form in forms:
        if form == wanted:
            return form
    raise InputError(f"proximal: must be one of {', '.join(forms)} with {solver}, got {wanted!r}")


def subproblem(subtree: SubtreeProgram, name: str, solver: str, proximal: Proximal) -> Subproblem:
    """Hand a subtree to a solver."""
    kinds: dict[str, type[HighsSubproblem] | type[GurobiSubproblem]] = {
        "highs": HighsSubproblem,
        "gurobi": GurobiSubproblem,
    }
    return kinds[solver](subtree, name, proximal)
