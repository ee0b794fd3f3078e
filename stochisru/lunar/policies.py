"""Every policy that the package can make for a case, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.origin import Origin
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.in_advance import fine_states, open_loop, why_not_in_advance
from stochisru.lunar.exact.layers import OpenLoopPlan
from stochisru.lunar.root_programs import program_optima
from stochisru.lunar.solving import has_exact_policy, optimum_on_lattice, optimum_on_tree, solved
from stochisru.lunar.strategies import STRATEGIES, RollingHorizon, Schedule
from stochisru.lunar.strategies.protocol import Strategy
from stochisru.lunar.strategies.rolling import ROLLING_BRANCHING
from stochisru.lunar.trees import case_tree, year_laws
from stochisru.methods.registry import method_for, method_named


def _threshold(case: DeploymentCase) -> Strategy:
    linear = case.linear_bound
    found: Strategy = solved(linear, method_for("threshold", linear)).policy()
    return found


def _lattice(case: DeploymentCase) -> Strategy:
    found: Strategy = optimum_on_lattice(case).policy(name="lattice")
    return found


def _sddp(case: DeploymentCase) -> Strategy:
    # With a pipeline of orders the last per mille takes minutes: the plan is as good after a few iterations.
    iterations = 500 if case.horizon.lead_time <= 1 else 3
    found: Strategy = solved(case.linear_bound, method_named("sddp"), iterations=iterations).policy(name="sddp")
    return found


def _tree(case: DeploymentCase) -> Strategy:
    found: Strategy = optimum_on_tree(case, case_tree(case)).policy(name="tree")
    return found


def _rolling(case: DeploymentCase) -> Strategy:
    more = max(case.horizon.lead_time - len(ROLLING_BRANCHING), 0)
    return RollingHorizon(ROLLING_BRANCHING + (1,) * more)


def open_loop_optima(case: DeploymentCase) -> dict[str, OpenLoopPlan]:
    """Plans that do not react to demand, ``static``, ``fixed`` and ``ev``, each with the value of its problem.

    ``ev`` has the value of the mean path. The others are exact for lognormal demand; under a limit on supply from
    Earth, or with economies of scale, the law of a year is one of bins, and their values are upper bounds on the
    process: a state is the mean of its bin and a plan that is fixed earns a concave function of demand (Jensen). Where
    no exact method takes the case all three are programs (`stochisru.lunar.root_programs`).
    """
    from stochisru.lunar.exact import root_plan

    if why_not_in_advance(case) is not None:
        return program_optima(case)
    ev = root_plan.expected_value_plan_on_process(case)
    if has_exact_policy(case):
        static, fixed = root_plan.static_plan_on_process(case), root_plan.fixed_design_on_process(case)
    else:
        law = year_laws(case, fine_states(case))
        static = open_loop(case, *law)
        fixed = open_loop(case, *law, allowed=np.arange(case.horizon.T + 1) == 0)
    return {"static": static, "fixed": fixed, "ev": ev}


def open_loop_plans(case: DeploymentCase) -> dict[str, Array]:
    """ΔM_0..ΔM_T, kg, of the plans of `open_loop_optima`."""
    return {name: plan.deployment for name, plan in open_loop_optima(case).items()}


def _open_loop(name: str, case: DeploymentCase) -> Strategy:
    return Schedule(name, tuple(map(float, open_loop_plans(case)[name])), Origin(case.process))


def _heuristic(name: str, case: DeploymentCase) -> Strategy:
    return STRATEGIES[name]


#: How each policy is made for a case.
POLICIES: dict[str, Callable[[DeploymentCase], Strategy]] = {
    **{name: partial(_heuristic, name) for name in STRATEGIES},
    "threshold": _threshold,
    "lattice": _lattice,
    "sddp": _sddp,
    "tree": _tree,
    "rolling": _rolling,
    **{name: partial(_open_loop, name) for name in ("static", "fixed", "ev")},
}


def require_policy(name: str) -> None:
    """Raise `InputError` for an unknown name."""
    if not isinstance(name, str) or name not in POLICIES:
        raise InputError(f"strategies: must be among {', '.join(POLICIES)}, got {name!r}")


def policy_named(name: str, case: DeploymentCase) -> Strategy:
    """Make a policy for a case; raise `InputError` for an unknown name or a case that it is not for."""
    require_policy(name)
    return POLICIES[name](case)
