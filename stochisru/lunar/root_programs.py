"""Plans that are fixed in advance, on the demand process itself, where no exact method takes the case: by programs.

What such a plan earns in a year depends on the law of that year's demand alone, not on how years hang together. So the
law may be a `fan` whose scenario i is in bin i of every year, bins being equally likely and worth their conditional
mean, and the static plan is the case's `Model` on it with all decisions at the root: one small program for any curve,
module and loss. Profit is concave in demand, so what the program cannot exceed bounds the process from above (Jensen).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.tree import ScenarioTree
from stochisru.errors import SolverError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.layers import OpenLoopPlan
from stochisru.lunar.information import flows, plan_value
from stochisru.lunar.trees import year_laws
from stochisru.methods.result import MIXED_ROUNDING
from stochisru.problem.information import Fixed, Information, Static
from stochisru.problem.paths import chain, fan
from stochisru.programs.effort import SolverLimits
from stochisru.values import optimum

#: Bins of a year: the bracket of the reference case with modules that degrade is 0.01 % wide.
_BINS = 300
#: Gap at which a program is left, and seconds after which it is left with the gap that it has.
_LIMITS = SolverLimits(1e-4, 30.0)


def program_optima(case: DeploymentCase) -> dict[str, OpenLoopPlan]:
    """``static``, ``fixed`` and ``ev``: see `stochisru.lunar.policies.open_loop_optima`.

    ``value`` is what the plan earns on the bins or the mean path, ``bound`` what no plan exceeds.
    """
    bins = _bins(case)
    law, mean = fan(bins), chain(case.process.mean(np.arange(case.horizon.T + 1)))
    asked: list[tuple[str, ScenarioTree, Information]] = [
        ("static", law, Static()),
        ("fixed", law, Fixed()),
        ("ev", mean, Static()),
    ]
    return {name: _optimum(name, case, on, information) for name, on, information in asked}


def _bins(case: DeploymentCase) -> Array:
    """Conditional means of equally likely bins of demand in every year, shape ``(bins, T + 1)``."""
    values, _ = year_laws(case, _BINS, tilt=0.0)
    return np.stack([np.broadcast_to(year, values[-1].shape) for year in values], axis=1)


def _optimum(name: str, case: DeploymentCase, on: ScenarioTree, information: Information) -> OpenLoopPlan:
    found = optimum(case.model, on, information, "highs", _LIMITS)
    if found is None or found.plan is None:
        raise SolverError(f"{name}: the solver found no plan, though doing nothing is one")
    nodes = np.maximum(found.plan["dM"], 0.0)
    bound = found.bounds.upper + MIXED_ROUNDING * flows(case, on)  # the solver's bound holds to its tolerances
    plan = OpenLoopPlan(plan_value(case, on, nodes), nodes[on.offsets[:-1]])
    return replace(plan, bound=max(bound, plan.value))
