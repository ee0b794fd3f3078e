"""Subproblems of progressive hedging: one sparse program solved again and again under changing prices.

A `Subproblem` answers three questions about the program ``max f(x)`` of a subtree, with ``y`` its coordinated
variables: the Lagrangian ``max f(x) − w·y``, the proximal problem ``max f(x) − w·y − ½ Σ ρ (y − ȳ)²`` and the value
when the plan above the cut is fixed. Each question has its own model, kept with its basis, so that only prices or
bounds change from one call to the next.

The linearised proximal term replaces ``y²`` by a variable θ above its tangents ``2qy − q²``. The tangents hold for
every ρ and ȳ, so they are kept; new ones are added where ``y² − θ`` exceeds a tolerance, until it does nowhere.

The program may be a mixed-integer one. The Lagrangian's bound is then the solver's own, which holds whatever gap the
search was left with, and the value of a fixed plan that of the one that was found. The proximal problem is solved on
averages of the solutions known so far, to which Lagrangian solutions at its own gradient are added: only linear and
mixed-integer linear programs are solved, and prices go to those of the best Lagrangian bound (Boland et al. 2018:
progressive hedging with Frank and Wolfe's method). With the proximal term in the mixed-integer program they need not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from scenario_trees.arrays import Array, Index
from stochisru.errors import InfeasibleError, InputError, SolverError
from stochisru.programs.solvers.highs import load_program, new_model, optimise
from stochisru.programs.solvers.scaling import Scaling, Units
from stochisru.protocols import SubtreeProgram

Proximal = Literal["quadratic", "linearised"]

#: Most rounds of tangents per solve; a handful suffice.
_ROUNDS = 60
#: Most solutions of a mixed-integer program that are looked for per proximal problem.
_HULL_STEPS = 2
#: Relative gap at which a mixed-integer subproblem is left.
MIXED_GAP = 2.5e-4


@dataclass(frozen=True, eq=False)
class Priced:
    """Optimum of a Lagrangian subproblem: what it wants of the coordinated variables, and a bound.

    The bound of a linear program holds for any solver tolerance, that of a mixed-integer one up to
    `stochisru.methods.result.MIXED_ROUNDING`.
    """

    wanted: Array
    bound: float


@dataclass(frozen=True, eq=False)
class FixedOptimum:
    """Optimum for a fixed plan above the cut: its value, and values of all variables."""

    value: float
    x: Array


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

    def fixed(self, plan: Array) -> FixedOptimum:
        """Solve with the plan above the cut fixed."""
        ...


class HighsSubproblem:
    """Subproblem solved by HiGHS."""

    def __init__(self, subtree: SubtreeProgram, name: str, proximal: Proximal, mixed_gap: float = MIXED_GAP) -> None:
        if subtree.mixed and proximal == "quadratic":
            raise InputError(NO_MIXED_QUADRATIC)
        self.subtree, self.name = subtree, name
        self.proximal_term: Proximal = proximal
        self._mixed_gap = mixed_gap
        self._models: dict[str, Any] = {}
        self._tangents: _Tangents | None = None
        self._hull: _Hull | None = None
        program = subtree.program
        # Squares enter the proximal term: a thousand is a good size for their roots. Where nothing can be wanted, the
        # factor gives the size.
        largest = float(np.abs([*self._lower, *self._upper]).max()) or float(np.abs(subtree.branch.value).max())
        self._fitting = Units.by_size(program, largest / 1000)
        self._scale = Scaling.of(program) if subtree.mixed else Scaling.uniform(program, self._fitting)
        self._unit, self._held_unit = self._scale.column[subtree.coordinated], self._scale.column[subtree.held]

    @property
    def _lower(self) -> Array:
        return self.subtree.program.lower[self.subtree.coordinated]

    @property
    def _upper(self) -> Array:
        return self.subtree.program.upper[self.subtree.coordinated]

    def _model(self, use: str) -> Any:
        if use not in self._models:
            model = load_program(self.subtree.program, self._scale)
            model.setOptionValue("mip_rel_gap", self._mixed_gap)
            self._models[use] = model
        return self._models[use]

    def _optimise(self, model: Any, use: str) -> Any:
        optimise(model, f"{self.name}, {use} subproblem", self.subtree.program)
        return model.getSolution()

    def _price(self, model: Any, cost: Array) -> None:
        columns = self.subtree.coordinated.astype(np.int32)
        objective = self.subtree.program.objective[columns] + cost
        model.changeColsCost(columns.size, columns, objective * (self._scale.f * self._unit))

    def priced(self, price: Array) -> Priced:
        """Solve ``max f(x) − price·y``."""
        model = self._model("priced")
        self._price(model, -price)
        solution = self._optimise(model, "Lagrangian")
        program = self.subtree.program
        wanted = np.asarray(solution.col_value)[self.subtree.coordinated] * self._unit
        if self.subtree.mixed:
            bound = float(model.getInfo().mip_dual_bound) / self._scale.f
            value = float(model.getInfo().objective_function_value) / self._scale.f + float(price @ wanted)
            if self._hull is None:
                self._hull = _Hull(self.name, self._lower, self._upper, wanted, value, self._fitting)
            self._hull.add(wanted, value)
        else:
            objective = program.objective.copy()
            objective[self.subtree.coordinated] -= price
            bound = program.dual_bound(np.asarray(solution.row_dual) * self._scale.row / self._scale.f, objective)
        return Priced(wanted, bound)

    def fixed(self, plan: Array) -> FixedOptimum:
        """Solve with the plan above the cut fixed."""
        model = self._model("fixed")
        columns = self.subtree.held.astype(np.int32)
        model.changeColsBounds(columns.size, columns, plan / self._held_unit, plan / self._held_unit)
        solution = self._optimise(model, "incumbent")
        x = np.asarray(solution.col_value) * self._scale.column
        return _fixed(self.subtree, x, plan, float(model.getInfo().objective_function_value) / self._scale.f)

    def proximal(self, price: Array, centre: Array, rho: Array) -> Array:
        """Coordinated variables of the proximal problem."""
        if self.proximal_term == "quadratic":
            return self._quadratic(price, centre, rho)
        if self.subtree.mixed:
            return self._on_hull(price, centre, rho)
        if self._tangents is None:
            columns, program = self.subtree.coordinated, self.subtree.program
            model = load_program(program, self._scale)
            cost = program.objective[columns]
            self._tangents = _Tangents(model, self.name, columns, cost, self._upper, self._fitting)
        return self._tangents.solve(price, centre, rho)

    def _quadratic(self, price: Array, centre: Array, rho: Array) -> Array:
        import highspy

        model = self._model("quadratic")
        self._price(model, rho * centre - price)
        n = self.subtree.program.shape[1]
        curvature = self._fitting.f * self._fitting.q**2
        hessian = highspy.HighsHessian()
        hessian.dim_, hessian.format_ = n, highspy.HessianFormat.kTriangular
        order = np.argsort(self.subtree.coordinated)
        columns = self.subtree.coordinated[order]
        hessian.start_ = np.searchsorted(columns, np.arange(n + 1)).astype(np.int32)
        hessian.index_, hessian.value_ = columns.astype(np.int32), -rho[order] * curvature
        model.passHessian(hessian)
        x = np.asarray(self._optimise(model, "quadratic proximal").col_value)
        return np.asarray(x[self.subtree.coordinated] * self._unit)

    def _on_hull(self, price: Array, centre: Array, rho: Array) -> Array:
        """Proximal problem on the hull of the solutions so far, to which some are added where they matter."""
        if self._hull is None:
            self.priced(price)
        assert self._hull is not None
        for _ in range(_HULL_STEPS):
            wanted = self._hull.solve(price, centre, rho)
            known = self._hull.size
            self.priced(price + rho * (wanted - centre))  # adds its solution
            if self._hull.size == known:
                return wanted
        return self._hull.solve(price, centre, rho)


class _Tangents:
    """A HiGHS model of a linear program with a linearised proximal term on some of its columns.

    Parameters
    ----------
    columns
        The columns, and their share in the objective and upper bounds as ``cost`` and ``upper``.
    scale
        Units of the model.
    """

    def __init__(self, model: Any, name: str, columns: Index, cost: Array, upper: Array, scale: Units) -> None:
        self.model, self.name, self.columns, self.cost, self.scale = model, name, columns.astype(np.int32), cost, scale
        # A column θ ≥ 0 per coordinated variable, with the tangent at its upper bound.
        self._square = (model.getNumCol() + np.arange(columns.size)).astype(np.int32)
        for _ in columns:
            model.addCol(0.0, 0.0, np.inf, 0, np.zeros(0, dtype=np.int32), np.zeros(0))
        for i, most in enumerate(upper):
            self._tangent(i, float(most) / scale.q)

    def _tangent(self, i: int, at: float) -> None:
        columns = np.array([self._square[i], self.columns[i]], dtype=np.int32)
        self.model.addRow(-at * at, np.inf, 2, columns, np.array([1.0, -2 * at]))

    def solve(self, price: Array, centre: Array, rho: Array) -> Array:
        """Coordinated variables of the proximal problem."""
        model, scale = self.model, self.scale
        cost = (self.cost + rho * centre - price) * (scale.f * scale.q)
        model.changeColsCost(self.columns.size, self.columns, cost)
        model.changeColsCost(self._square.size, self._square, -rho / 2 * scale.f * scale.q**2)
        middle = centre / scale.q  # from here on in the scale of the model
        for _ in range(_ROUNDS):
            optimise(model, f"{self.name}, linearised proximal subproblem")
            x = np.asarray(model.getSolution().col_value)
            wanted, square = x[self.columns], x[self._square]
            # y² − θ = (distance of y to the nearest tangent point)²: a small part of the step to the centre.
            near = 0.05 * np.abs(wanted - middle) + 1e-4 * (np.abs(middle) + np.abs(wanted)) + 1e-9
            missing = np.flatnonzero(wanted**2 - square > near**2)
            if missing.size == 0:
                break
            for i in missing:
                self._tangent(int(i), float(wanted[i]))
        return np.asarray(wanted * scale.q)


class _Hull:
    """The proximal problem on averages of known solutions: a linear program, whatever the solutions are of.

    Coordinated variables are ``y = Σ a_j·y_j`` with ``Σ a_j = 1`` and are worth ``Σ a_j·f_j``.
    """

    def __init__(self, name: str, lower: Array, upper: Array, point: Array, value: float, scale: Units) -> None:
        import highspy

        n = upper.size
        self._points: list[Array] = []
        self._scale, self._first = scale, value  # f_j is counted from the first one
        model = new_model()
        model.changeObjectiveSense(highspy.ObjSense.kMaximize)
        none = np.zeros(0, dtype=np.int32), np.zeros(0)
        for least, most in zip(lower, upper, strict=True):
            model.addCol(0.0, float(least) / scale.q, float(most) / scale.q, 0, *none)
        for t in range(n):
            model.addRow(0.0, 0.0, 1, np.array([t], dtype=np.int32), np.array([-1.0]))
        model.addRow(1.0, 1.0, 0, *none)
        self._model = model
        self._rows = np.arange(n + 1, dtype=np.int32)
        self._tangents = _Tangents(model, name, np.arange(n), np.zeros(n), upper, scale)
        self.add(point, value)

    @property
    def size(self) -> int:
        """Number of known solutions."""
        return len(self._points)

    def add(self, point: Array, value: float) -> None:
        """Add a solution unless it is known."""
        if any(np.allclose(point, known, rtol=1e-6, atol=1e-6) for known in self._points):
            return
        self._points.append(point)
        entries = np.append(point / self._scale.q, 1.0)
        worth = (value - self._first) * self._scale.f
        self._model.addCol(worth, 0.0, np.inf, self._rows.size, self._rows, entries)

    def solve(self, price: Array, centre: Array, rho: Array) -> Array:
        """Coordinated variables of the proximal problem."""
        return self._tangents.solve(price, centre, rho)


class GurobiSubproblem:
    """Subproblem solved by Gurobi, with its own quadratic proximal term."""

    def __init__(self, subtree: SubtreeProgram, name: str, proximal: Proximal, mixed_gap: float = MIXED_GAP) -> None:
        if proximal != "quadratic":
            raise InputError("proximal: must be quadratic with gurobi, got 'linearised'")
        self.subtree, self.name = subtree, name
        self.proximal_term: Proximal = proximal
        self._mixed_gap = mixed_gap
        self._model: tuple[Any, Any, Any] | None = None

    def _optimise(self, objective: Array, rho: Array | None, plan: Array | None) -> tuple[Array, float, float]:
        """Solution, value and bound; without ``rho`` the bound holds up to the solver's tolerance or better."""
        from stochisru.programs.solvers.gurobi import guarded, load_program

        program = self.subtree.program
        with guarded(program, self.name):
            import gurobipy as gp

            if self._model is None:
                self._model = load_program(program)
                self._model[0].Params.MIPGap = self._mixed_gap
            model, x, rows = self._model
            lower, upper = program.lower.copy(), program.upper.copy()
            if plan is not None:
                lower[self.subtree.held] = upper[self.subtree.held] = plan
            x.LB, x.UB = lower, upper
            target = objective @ x + program.constant
            if rho is not None:
                y = x[self.subtree.coordinated]
                target = target - y @ (np.diag(rho / 2) @ y)
            model.setObjective(target, gp.GRB.MAXIMIZE)
            model.optimize()
            if model.Status in (gp.GRB.INFEASIBLE, gp.GRB.INF_OR_UNBD) and plan is not None:
                raise InfeasibleError(f"{self.name}: the plan above the cut cannot be gone on with")
            if model.Status != gp.GRB.OPTIMAL:
                raise SolverError(f"{self.name}: gurobi ended with status {model.Status}")
            bound = float(model.ObjBound) if self.subtree.mixed else np.inf
            if rho is None and not self.subtree.mixed:
                dual = np.zeros(program.shape[0])
                for mask, constraint in rows:
                    dual[mask] += constraint.Pi
                bound = program.dual_bound(dual, objective)
            return np.asarray(x.X), float(model.ObjVal), bound

    def priced(self, price: Array) -> Priced:
        """Solve ``max f(x) − price·y``."""
        objective = self.subtree.program.objective.copy()
        objective[self.subtree.coordinated] -= price
        x, _, bound = self._optimise(objective, None, None)
        return Priced(x[self.subtree.coordinated], bound)

    def proximal(self, price: Array, centre: Array, rho: Array) -> Array:
        """Coordinated variables of the proximal problem."""
        objective = self.subtree.program.objective.copy()
        objective[self.subtree.coordinated] += rho * centre - price
        return self._optimise(objective, rho, None)[0][self.subtree.coordinated]

    def fixed(self, plan: Array) -> FixedOptimum:
        """Solve with the plan above the cut fixed."""
        x, value, _ = self._optimise(self.subtree.program.objective, None, plan)
        return _fixed(self.subtree, x, plan, value)


def _fixed(subtree: SubtreeProgram, x: Array, plan: Array, value: float) -> FixedOptimum:
    """Solution for a fixed plan as it can be carried out."""
    x[subtree.held] = plan
    x, value = subtree.settled(x, value)
    return FixedOptimum(value, x)


#: Forms of the proximal term per solver, the default first. HiGHS has a quadratic solver too, but it starts cold
#: on every call and (1.15) reports bounded problems of a thousand rows as unbounded, so it has to be asked for.
PROXIMAL: dict[str, tuple[Proximal, ...]] = {"highs": ("linearised", "quadratic"), "gurobi": ("quadratic",)}


#: HiGHS has no solver for mixed-integer quadratic programs.
NO_MIXED_QUADRATIC = (
    "proximal: must be linearised with highs where deployments come in modules or cost less together, got 'quadratic'"
)


def proximal_term(solver: str, wanted: str | None, mixed: bool = False) -> Proximal:
    """Form of the proximal term for a solver; raise `InputError` if it does not have the one that is wanted.

    ``mixed`` says that the programs have whole numbers.
    """
    forms = PROXIMAL[solver]
    if mixed and solver == "highs" and wanted == "quadratic":
        raise InputError(NO_MIXED_QUADRATIC)
    if wanted is None:
        return forms[0]
    for form in forms:
        if form == wanted:
            return form
    raise InputError(f"proximal: must be one of {', '.join(forms)} with {solver}, got {wanted!r}")


def subproblem(
    subtree: SubtreeProgram, name: str, solver: str, proximal: Proximal, mixed_gap: float = MIXED_GAP
) -> Subproblem:
    """Hand a subtree to a solver; a mixed-integer program is left at the relative gap ``mixed_gap``."""
    kinds: dict[str, type[HighsSubproblem] | type[GurobiSubproblem]] = {
        "highs": HighsSubproblem,
        "gurobi": GurobiSubproblem,
    }
    return kinds[solver](subtree, name, proximal, mixed_gap)
