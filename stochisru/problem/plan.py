"""Decisions and operations at all nodes of a tree: what they come to, and what they are worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.problem.information import Information, Recourse
from stochisru.problem.model import Model
from stochisru.problem.parts import Decision
from stochisru.problem.sheet import Sheet
from stochisru.shown import PlanShown

if TYPE_CHECKING:
    import pandas as pd

    from stochisru.problem.policies.at_nodes import AtNodes


@dataclass(frozen=True, eq=False, repr=False)
class ModelPlan(PlanShown):
    """A plan of a model on a tree: see `stochisru.protocols.PlanOnTree`.

    Attributes
    ----------
    columns
        Decisions, states and operations at every node by name, each of shape ``(nodes,)``.
    information
        Under which it was made.
    """

    model: Model
    tree: ScenarioTree
    columns: Mapping[str, Array]
    information: Information = field(default_factory=Recourse)

    @cached_property
    def _sheet(self) -> Sheet:
        return Sheet(self.model, self.tree, self.information)

    @cached_property
    def quantities(self) -> dict[str, Array]:
        """All decisions, states, operations and expressions at every node, each of shape ``(nodes,)``."""
        found = dict(self.columns)
        for part in self.model.expressions:
            total = np.zeros(self.tree.n_nodes)
            for t, terms in enumerate(self._sheet.terms(part)):
                here = self.tree.at(t)
                for name, coefficient in terms.items():
                    total[here] += coefficient * found[name][here]
            found[part.name] = total
        return found

    @cached_property
    def _flows(self) -> tuple[Array, Array]:
        """Discounted money of each node, where more is better, and the size of what it is a difference of."""
        sheet = self._sheet
        total, size = np.zeros((2, self.tree.n_nodes))

        def add(here: slice, money: Any) -> None:
            total[here] += money
            size[here] += np.abs(money)

        for part in self.model.columns:
            amount = self.columns[part.name]
            for t, worth in enumerate(sheet.worth[part.name]):
                here = self.tree.at(t)
                add(here, worth * amount[here])
            if isinstance(part, Decision) and not part.is_linear:
                for t in self.model.years:
                    add(self.tree.at(t), -sheet.paid(part, t) * self._beyond(part, t))
        return total, size

    @property
    def money(self) -> Array:
        """Discounted money of each node, in the sense of the model: worth where maximised, cost where minimised."""
        return self.model.sign * self._flows[0]

    @cached_property
    def cash(self) -> Array:
        """Money of every scenario by the year in which it is paid, not discounted, shape ``(T + 1, leaves)``."""
        sheet, years = self._sheet, self.model.years
        along: list[Index] = [np.arange(self.tree.n_nodes, dtype=np.int64)[self.tree.leaves]]
        for _ in years[1:]:
            along.append(self.tree.parent[along[-1]].astype(np.int64))
        total = np.zeros((len(years), self.tree.n_leaves))
        for part in self.model.columns:
            for t, nodes in enumerate(reversed(along)):
                here = self.tree.at(t)
                place, money = nodes - here.start, sheet.worth[part.name][t] * self.columns[part.name][here]
                if not isinstance(part, Decision):
                    total[t] += money[place] / self.model.discount[t]
                    continue
                bill = (money / sheet.paid(part, t) - self._beyond(part, t))[place]
                for when, share in part.pays_in(t).items():
                    total[when] += share * bill
        return self.model.sign * total

    def _beyond(self, part: Decision, year: int) -> Array:
        """What the amounts at the nodes of a year cost that is not in proportion to them, $ of when they are paid."""
        amount = self.columns[part.name][self.tree.at(year)]
        cost: Array = np.asarray(self._sheet.numbers(part, "fixed_cost")[year] * (amount > 0), dtype=float)
        return cost if part.curve is None else cost + part.curve(np.maximum(amount, 0.0))

    @cached_property
    def scenarios(self) -> Array:
        """Discounted money of every scenario, shape ``(leaves,)``; on paths, of every path."""
        along = self.money.copy()
        for t in range(1, self.tree.horizon + 1):
            here = self.tree.at(t)
            along[here] += along[self.tree.parent[here]]
        return along[self.tree.leaves]

    @cached_property
    def value(self) -> float:
        """Expectation of `scenarios`, or the model's risk-adjusted worth of them."""
        if self.model.risk is not None:
            sign, leaves = self.model.sign, self.tree.probability[self.tree.leaves]
            return sign * self.model.risk.worth(leaves, sign * self.scenarios)
        return float(self.tree.probability @ self.money)

    @cached_property
    def flows(self) -> float:
        """Size of the sums of money that `value` is a difference of."""
        return float(self.tree.probability @ self._flows[1])

    # ------------------------------------------------------- as methods and results see it

    @property
    def case(self) -> Model:
        """The problem."""
        return self.model

    @property
    def first_stage(self) -> dict[str, float]:
        """Decisions that are taken at the root, by name and year of effect."""
        return {
            f"{part.name}{t}": float(self.columns[part.name][self.tree.offsets[t]])
            for part in self.model.decisions
            for t in self.model.years
            if self.information.decided_at(t, part.lead, self.model.horizon) == 0 and self._sheet.is_open(part, t)
        }

    @property
    def root(self) -> tuple[float, ...]:
        """Amounts of `first_stage`."""
        return tuple(self.first_stage.values())

    @property
    def size(self) -> dict[str, int]:
        """Nodes and leaves of the tree."""
        return {"nodes": self.tree.n_nodes, "leaves": self.tree.n_leaves}

    @property
    def details(self) -> dict[str, Any]:
        """Process that the tree was made from, None for one's own numbers; the table has the rest."""
        return {"origin": self.tree.origin and self.tree.origin.to_dict()}

    def policy(self, name: str, mapping: str | None = None) -> AtNodes:
        """The plan on paths between its nodes: `stochisru.problem.policies.AtNodes`."""
        from stochisru.problem.policies.at_nodes import AtNodes

        if mapping is not None:
            raise InputError(f"mapping: a plan of {self.model.name} acts as at the nearest node and takes none")
        return AtNodes(self, name)

    def to_frame(self) -> pd.DataFrame:
        """Tidy table: node, year, probability, and a column per quantity."""
        import pandas as pd

        columns = {"year": self.tree.stage, "probability": self.tree.probability, **self.quantities}
        return pd.DataFrame(columns, index=pd.RangeIndex(self.tree.n_nodes, name="node"))
