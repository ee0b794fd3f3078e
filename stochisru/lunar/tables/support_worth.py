"""What support is worth to the firm, to the government and to both, on a tree.

The firm decides and operates under support. NPV of both is that of the source problem, in which transfers are nothing,
with the firm's decisions and operations; what the government has is the difference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.tree import ScenarioTree
from stochisru.lunar.tables.case import GeneralCase, general_case
from stochisru.lunar.values.programs import TIME_LIMIT
from stochisru.methods.extensive_form import extensive_form
from stochisru.problem.evaluate import evaluate
from stochisru.problem.plan import ModelPlan
from stochisru.values import MIXED_GAP


@dataclass(frozen=True)
class SupportWorth:
    """Who has what of the firm's optimal plan, expectations on a tree; each less what doing nothing gives, $.

    Attributes
    ----------
    firm, government, both
        NPV.
    additional
        Oxygen delivered from plant more than without support, each at its own optimum, discounted kg.
    per_kg
        What the government pays for one of these, $; None where there are none.
    """

    firm: float
    government: float
    both: float
    additional: float
    per_kg: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return {**asdict(self), "unit": "$", "of": "tree"}


def support_worth(
    case: GeneralCase, tree: ScenarioTree, *, solver: str = "highs", progress: Callable[[str], None] | None = None
) -> SupportWorth | None:
    """Worth of the support that a case states; None where it states none.

    Raises
    ------
    InfeasibleError
        If the case has no plan.

    Examples
    --------
    >>> from stochisru import ScenarioTree, load_case
    >>> from stochisru.lunar.case import problem_from_dict
    >>> from stochisru.lunar.tables.support_worth import support_worth
    >>> case = load_case("docs/two-technologies.toml")
    >>> helped = problem_from_dict(case.to_dict() | {"support": {"dev_share": 0.3}})
    >>> found = support_worth(helped, ScenarioTree.from_process(case.process, [3, 3, 3]))
    >>> found.firm > 0 > found.government, abs(found.firm + found.government - found.both) < 1e-3
    (True, True)
    """
    tables = case.to_dict()
    if "support" not in tables:
        return None
    say = progress or (lambda _: None)
    say("what support is worth")
    purchase = tables["support"].get("purchase")
    # A purchase stays, at a price of nothing: it is delivered, and what is paid for it is a transfer.
    none = {} if purchase is None else {"purchase": {**purchase, "price": 0.0}}
    neutral = general_case({**tables, "support": none})
    alone = general_case({key: table for key, table in tables.items() if key != "support"})
    plans = [
        extensive_form(each, tree, solver=solver, rel_gap=MIXED_GAP, time_limit=TIME_LIMIT).plan
        for each in (case, alone)
    ]
    supported, unsupported = plans
    model = neutral.model_on(tree)
    both = ModelPlan(model, tree, supported.columns).value - _nothing(neutral, tree, solver)
    firm = supported.value - _nothing(case, tree, solver)
    additional = _delivered(case, supported, tree) - _delivered(alone, unsupported, tree)
    cost = firm - both
    return SupportWorth(
        firm, both - firm, both, additional, cost / additional if additional > 1e-9 * tree.value.max() else None
    )


def _nothing(case: GeneralCase, tree: ScenarioTree, solver: str) -> float:
    """NPV of no orders, with the best operations."""
    model = case.model_on(tree)
    none = {decision.name: np.zeros(tree.n_nodes) for decision in model.decisions}
    return evaluate(model, none, tree, solver=solver).value


def _delivered(case: GeneralCase, plan: ModelPlan, tree: ScenarioTree) -> float:
    """Expected oxygen from plant, discounted kg."""
    names = (
        ["Q"]
        if case.storage is not None or len(case.technologies) < 2
        else [name for name in plan.columns if name.startswith("Q_") and not name.startswith("Q_earth")]
    )
    total: Array = sum((plan.columns[name] for name in names), start=np.zeros(tree.n_nodes))
    discount = plan.model.discount[tree.stage]
    return float((tree.probability * discount * total).sum()) * case.horizon.step
