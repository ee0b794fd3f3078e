"""The table of the values of information and of flexibility of a tree, `stochisru.value_table`.

For maximisation (Birge and Louveaux 2011, ch. 4; Escudero et al. 2007)::

    EEV ≤ static ≤ RP ≤ WS        nothing ≤ fixed ≤ static
    EVPI = WS − RP    VSS = RP − EEV    VMS = RP − static    flexibility = RP − fixed

Flexibility has two parts, ``static − fixed``, which is *scheduling*: plants may come in several years, though nothing
is learned, and ``RP − static = VMS``, which is *reacting*: what is deployed may depend on demand seen. Without
uncertainty nothing can be reacted to, and all flexibility is scheduling.

All values are net present values of whoever bears all flows of the source formulation: sales of lunar oxygen less
plants, launch, operation, by-product, shortage and supply from Earth. Oxygen from Earth is a cost and earns nothing, so
doing nothing (``nothing``) is dear where demand must be served, and a plan is worth what it adds to that.

``EEV_t`` holds what the expected-value plan decides at stages 0..t, the deployments of years 0..t + L, and leaves
later decisions free, so ``EEV = EEV_{T−L} ≤ … ≤ EEV_0 ≤ RP``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError, require_kind
from stochisru.files import plainly
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.wait_and_see import WaitAndSeeValues
from stochisru.lunar.information import plan_value
from stochisru.lunar.solving import quickest_on_tree
from stochisru.lunar.tree_program import TreePlan
from stochisru.methods.extensive_form import bettered
from stochisru.methods.options import options_of
from stochisru.methods.registry import options_for, takers
from stochisru.methods.result import ROUNDING, Bounds, Kind, Of, Result, require_order, versions
from stochisru.problem.information import Held
from stochisru.protocols import HoldsPlans
from stochisru.shown import Shown
from stochisru.values import entries

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

#: The values of a case and what each means.
MEANING = {
    "ws": "wait-and-see: every path known in advance",
    "rp": "recourse problem: the multistage optimum",
    "static": "best plan decided at the root",
    "fixed": "best single deployment in year 0 (none where the case fixes it at 0)",
    "nothing": "no deployment at all: Earth serves demand, or nobody does",
    "ev": "optimum of the mean path",
    "eev": "expected result of the mean path's plan",
    "evpi": "value of perfect information, WS − RP",
    "vss": "value of the stochastic solution, RP − EEV",
    "vms": "value of the multistage solution, RP − static: reacting",
    "scheduling": "value of deploying in several years that are fixed in advance, static − fixed",
    "flexibility": "value of flexibility, RP − fixed: scheduling and reacting",
}
#: Differences and the two values each is made of: high less low.
DIFFERENCES = {
    "evpi": ("ws", "rp"),
    "vss": ("rp", "eev"),
    "vms": ("rp", "static"),
    "scheduling": ("static", "fixed"),
    "flexibility": ("rp", "fixed"),
}


class Differences(ABC):
    """Differences of the values that a class has as attributes, each a `Bounds`, by the names of `DIFFERENCES`."""

    @property
    def evpi(self) -> Bounds:
        """WS − RP: what a perfect forecast is worth."""
        return self.bracket("evpi")

    @property
    def vss(self) -> Bounds:
        """RP − EEV."""
        return self.bracket("vss")

    @property
    def vms(self) -> Bounds:
        """RP − static plan: what reacting is worth."""
        return self.bracket("vms")

    @property
    def scheduling(self) -> Bounds:
        """Static plan − fixed design."""
        return self.bracket("scheduling")

    @property
    def flexibility(self) -> Bounds:
        """RP − fixed design."""
        return self.bracket("flexibility")

    def bracket(self, name: str) -> Bounds:
        """Bracket of a value or of a difference."""
        require_kind("name", name, str, f"one of {', '.join((*MEANING, *DIFFERENCES))}")
        if name in DIFFERENCES:
            high, low = (self.bracket(part) for part in DIFFERENCES[name])
            return high.minus(low)
        if name not in MEANING and not hasattr(type(self), name) and name not in vars(self):
            raise InputError(f"name: must be one of {', '.join(MEANING)}, got {name!r}")
        bounds: Bounds = getattr(self, name)
        return bounds

    @abstractmethod
    def point(self, name: str) -> float:
        """One value, $."""

    def _apart(self, high: str, low: str, flows: float) -> float:
        """Difference of two points, $; 0 where it is rounding of sums of money as large as ``flows``."""
        difference = self.point(high) - self.point(low)
        return difference if abs(difference) > ROUNDING * flows else 0.0

    def entries(self, of: Of) -> dict[str, Any]:
        """Entries of all values for JSON; ``of`` is what they are values of."""
        brackets = {name: self.bracket(name) for name in MEANING}
        return {
            "unit": "$",
            **entries(of, "maximise", {name: self.point(name) for name in MEANING}, brackets),
            "reacting": self.point("vms"),
            "certified": all(b.certified for b in brackets.values()),
        }


def values_frame(entries: Iterable[tuple[str, float, Bounds, str]]) -> pd.DataFrame:
    """Table of values, each with its name, number, bracket and meaning, by name."""
    import pandas as pd

    rows = [
        {
            "quantity": name,
            "value": value,
            "lower": bounds.lower,
            "upper": bounds.upper,
            "kind": bounds.label,
            "of": bounds.of.value,
            "unit": "$",
            "sense": "maximise",
            "meaning": meaning,
        }
        for name, value, bounds, meaning in entries
    ]
    return pd.DataFrame(rows).set_index("quantity")


@dataclass(frozen=True, eq=False, repr=False)
class ValueTable(Differences, Shown):
    """Values of a case on a tree, each with its bracket, in $ (maximised).

    They are the tree's: `stochisru.lunar.values.process` has those of the process that the tree stands for.

    Raises
    ------
    BoundsError
        If the values are out of their order by more than rounding.
    """

    case: DeploymentCase
    tree: ScenarioTree
    ws: Bounds
    rp: Bounds
    static: Bounds
    fixed: Bounds
    nothing: Bounds
    ev: Bounds
    eev: Bounds
    eev_t: tuple[Bounds, ...]
    recourse: Result[TreePlan]
    wait_and_see: WaitAndSeeValues
    expected: Result[TreePlan]
    static_result: Result[TreePlan]
    fixed_result: Result[TreePlan]

    def __post_init__(self) -> None:
        ladder = {f"eev_t[{t}]": b for t, b in reversed(list(enumerate(self.eev_t)))}
        for chain in (
            {"eev": self.eev, "static": self.static, "rp": self.rp, "ws": self.ws},
            {"nothing": self.nothing, "fixed": self.fixed, "static": self.static},
            {"eev": self.eev, **ladder, "rp": self.rp},
        ):
            for low, high in pairwise(chain):
                require_order(low, chain[low].lower, high, chain[high].upper, chain[low].flows)
                # The plans in hand as well: each is feasible for all that stand above it.
                require_order(
                    f"plan of {low}", chain[low].lower, f"plan of {high}", chain[high].lower, chain[low].flows
                )

    def plot(self) -> Figure:
        """The values as a ladder, from doing nothing to perfect information."""
        from stochisru.report.figures import value_ladder

        return value_ladder(self.to_frame().reset_index()).figure()

    def point(self, name: str) -> float:
        """Value of one entry: what the plan in hand is worth, or the difference of two such values (0 if rounding)."""
        if isinstance(name, str) and name in DIFFERENCES:
            return self._apart(*DIFFERENCES[name], self.rp.flows)
        return self.bracket(name).lower

    def __repr__(self) -> str:
        values = ", ".join(f"{name} {self.point(name):,.0f}" for name in MEANING)
        return f"ValueTable({self.case.name}, {self.tree!r}, $ of the tree, maximised: {values})"

    def to_frame(self) -> pd.DataFrame:
        """One row per value: value, lower, upper ($), kind, of, unit, sense, meaning."""
        entries = [(name, self.point(name), self.bracket(name), meaning) for name, meaning in MEANING.items()]
        for t, bounds in enumerate(self.eev_t):
            entries.append((f"eev_{t}", bounds.lower, bounds, f"decisions of stages 0..{t} as in the mean path's plan"))
        return values_frame(entries)

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON: the keys of ``docs/cli.md``, brackets beside them."""
        return {
            "case": self.case.name,
            **self.entries(Of.TREE),
            "eev_t": [b.lower for b in self.eev_t],
            "branching": self.tree.branching,
            "nodes": self.tree.n_nodes,
            "leaves": self.tree.n_leaves,
            "solver": self.recourse.solver,
            "versions": versions(),
        }


@dataclass(frozen=True, eq=False)
class InAdvance:
    """What is known in advance of a case on a tree: perfect information, and plans that do not react.

    Attributes
    ----------
    ev, mean_plan
        Optimum of the mean path, and its plan ΔM_0..ΔM_T, kg.
    """

    wait_and_see: WaitAndSeeValues
    static: Result[TreePlan]
    fixed: Result[TreePlan]
    expected: Result[TreePlan]
    ev: Bounds
    mean_plan: Array


def table_of(
    case: DeploymentCase,
    tree: ScenarioTree,
    known: InAdvance,
    wishes: Mapping[str, Any],
    recourse: Result[TreePlan] | None,
    say: Callable[[str], None],
) -> ValueTable:
    """The table of values where what is known in advance is known: RP and EEV_t are solved.

    Parameters
    ----------
    wishes
        Options of the method that solves them; those that it does not have are left out.
    recourse
        As in `stochisru.value_table`.
    """
    if recourse is not None and (recourse.plan.case != case or recourse.plan.tree != tree):
        raise InputError("recourse: must be a result for this case and tree")
    ws, static, fixed, eev, ev = known.wait_and_see, known.static, known.fixed, known.expected, known.mean_plan
    idle = plan_value(case, tree, np.zeros(tree.n_nodes))
    nothing = Bounds.point(idle, Kind.CERTIFIED, Of.TREE, ws.bounds.flows)
    say("rp")
    T, lead = case.horizon.T, case.horizon.lead_time
    stages = range(max(T - lead, 0))  # at stage T − L the last decision is taken and EEV is reached
    wanted = [Held()] if recourse is None else []
    wanted += [Held({"dM": ev}, through=t) for t in stages]
    ways = (quickest_on_tree(case, tree), *takers(case, Of.TREE))
    method = next(way for way in ways if isinstance(way, HoldsPlans))
    given = {name: wish for name, wish in wishes.items() if name in options_of(method.options)}
    solved = method.holding(case, tree, wanted, options_for(method, given))
    rp = next(solved) if recourse is None else recourse
    later = []
    for t in stages:
        say(f"eev_{t}")
        later.append(next(solved))
    # A plan that holds more in advance is feasible where less is held, and nothing is worth more than to know.
    floor = eev
    eev_t: list[Bounds] = []
    for result in reversed(later):
        floor = bettered(result, [floor], ws.bounds.upper)
        eev_t.insert(0, floor.bounds)
    rp = bettered(rp, [static, fixed, floor], ws.bounds.upper)
    if ws.bounds.upper > ws.bounds.lower:  # a bracket, not a point: who knows all can do what RP does
        ws = replace(ws, bounds=replace(ws.bounds, lower=max(ws.bounds.lower, rp.bounds.lower)))
    return ValueTable(
        case=case,
        tree=tree,
        ws=ws.bounds,
        rp=rp.bounds,
        static=static.bounds,
        fixed=fixed.bounds,
        nothing=nothing,
        ev=known.ev,
        eev=eev.bounds,
        eev_t=(*eev_t, eev.bounds),
        recourse=rp,
        wait_and_see=ws,
        expected=eev,
        static_result=static,
        fixed_result=fixed,
    )
