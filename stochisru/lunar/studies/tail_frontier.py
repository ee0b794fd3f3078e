"""The efficient frontier of a plan: what a safer tail costs in the mean, and what it asks of the first orders.

At every weight λ the optimum of (1 − λ)·E[W] + λ·CVaR_α[W] of the total W of a scenario, `stochisru.problem.tail`, on
one tree. The plans are commitments: solved again later, none would go on as it said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.orders import flat
from stochisru.lunar.tables.case import GeneralCase, is_general
from stochisru.methods.extensive_form import extensive_form
from stochisru.problem.tail import TailOfTotal
from stochisru.studies.store import Execution, Point, Row, Study, run_study

if TYPE_CHECKING:
    import pandas as pd

    from stochisru.problem import Model

#: Weights of the tail that are tried.
WEIGHTS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


@dataclass(frozen=True, eq=False)
class TailFrontier:
    """Mean and tail of the best plan over the weight of the tail.

    Attributes
    ----------
    tail
        α: share of the scenarios, the worst, whose mean is the CVaR.
    rows
        One per weight, ascending: ``weight``, ``objective`` with its bracket ``lower``, ``upper`` ($, maximised), the
        plan's ``mean`` and ``cvar`` of total NPV ($), and the orders at the root, ``dM0``, ``dM1``, … (kg), of several
        technologies ``NAME dM0``, ….
    """

    case: DeploymentCase | GeneralCase
    tail: float
    rows: tuple[Row, ...]

    def to_rows(self) -> list[Row]:
        """Plain rows for JSON."""
        head = {"study": "risk", "case": self.case.name, "horizon": self.case.horizon.T, "sense": "maximise"}
        return [{**head, "unit": "$", "of": "tree", "tail": self.tail, **row} for row in self.rows]

    def to_frame(self) -> pd.DataFrame:
        """The rows as a table."""
        import pandas as pd

        return pd.DataFrame(list(self.rows))

    @property
    def orders(self) -> list[str]:
        """Names of the orders at the root."""
        known = ("weight", "objective", "lower", "upper", "mean", "cvar")
        return [name for name in self.rows[0] if name not in known]

    def __repr__(self) -> str:
        first, last = self.rows[0], self.rows[-1]
        return (
            f"TailFrontier({self.case.name}, T = {self.case.horizon.T}, worst {self.tail:g}; mean "
            f"{first['mean']:,.0f} to {last['mean']:,.0f} $, CVaR {first['cvar']:,.0f} to {last['cvar']:,.0f} $)"
        )


def tail_frontier(
    case: DeploymentCase | GeneralCase,
    tree: ScenarioTree,
    *,
    tail: float,
    weights: Sequence[float] = WEIGHTS,
    solver: str = "highs",
    execution: Execution | None = None,
) -> TailFrontier:
    """Solve the case on a tree for every weight of the tail.

    Parameters
    ----------
    tail
        α in (0, 1].
    weights
        λ, ascending numbers in [0, 1].
    execution
        Workers, checkpoint and so on; the rows do not depend on it.

    Raises
    ------
    InputError
        If an argument is out of range, or the case has curves or fixed costs, which the risk of a total does not take.
    SolverError
        If a program is not solved.

    Examples
    --------
    >>> from stochisru import load_case
    >>> from stochisru.lunar.trees import case_tree
    >>> case = load_case("contested-market").replace(T=3)
    >>> found = tail_frontier(case, case_tree(case, [4, 3, 3]), tail=0.1, weights=[0.0, 1.0])
    >>> bold, careful = found.rows
    >>> careful["mean"] < bold["mean"], careful["cvar"] > bold["cvar"]
    (True, True)
    """
    TailOfTotal(0.0, tail)
    given = [float(weight) for weight in weights]
    if not given or given != sorted(set(given)) or not (given[0] >= 0 and given[-1] <= 1):
        raise InputError(f"weights: must be ascending numbers in [0, 1], got {', '.join(map(str, weights)) or 'none'}")
    model = case.model_on(tree) if is_general(case) else case.model
    identity = {"study": "risk", "case": case.digest(), "tree": tree.digest(), "tail": tail, "solver": solver}
    compute = partial(_row, case, model, tree, tail, solver)
    rows = run_study(Study(identity, [{"weight": weight} for weight in given], compute), execution)
    return TailFrontier(case, tail, tuple(rows))


def _row(
    case: DeploymentCase | GeneralCase, model: Model, tree: ScenarioTree, tail: float, solver: str, point: Point
) -> list[Row]:
    found = extensive_form(replace(model, risk=TailOfTotal(point["weight"], tail)), tree, solver=solver)
    probability, total = tree.probability[tree.leaves], found.plan.scenarios
    return [
        {
            "weight": point["weight"],
            "objective": found.objective,
            "lower": found.bounds.lower,
            "upper": found.bounds.upper,
            "mean": float(probability @ total),
            "cvar": TailOfTotal(1.0, tail).worth(probability, total),
            **flat(case.first_stage(found.first_stage) if is_general(case) else found.first_stage),
        }
    ]
