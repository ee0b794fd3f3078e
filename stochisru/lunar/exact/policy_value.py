"""What an order-up-to policy is worth on a demand process that it was not made for, without sampling.

With given positions k_t in place of the best, the recursion of `stochisru.lunar.exact.threshold_recursion` still gives
the worth of every kilogram: ordered up to k_t at the price p, later or never beyond,

    F'_t(y) = d^L·[η·a·P(D_{t+L} > η·y·D_t) − h] + d·κ·E[u_{t+1}(κ·y/G)],      u_t(y) = p for y < k_t, else F'_t(y).

u_t now jumps at k_t; the constant part is a normal tail, so the quadrature meets no jump.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.root_plan import LastYear, Tail, plan_gain
from stochisru.lunar.exact.threshold import Continuation
from stochisru.lunar.exact.threshold_recursion import COARSE, FINE, RecursionStage, Rule, ThresholdRecursion, fits
from stochisru.lunar.exact.unit_value import UnitValue
from stochisru.lunar.simulation import npv_on_paths
from stochisru.lunar.strategies.order_up_to import OrderUpTo


class GivenRecursion(ThresholdRecursion):
    """Worth of plant under given positions k_1..k_{T−L}, kg per kg/yr; 0 orders nothing."""

    def __init__(self, unit: UnitValue, lead_time: int, position: Sequence[float] | Array, rule: Rule = FINE) -> None:
        with np.errstate(divide="ignore"):
            self._given = np.log(np.asarray(position, dtype=float))
        super().__init__(unit, lead_time, rule)

    def _reach(self, t: int) -> tuple[float, float]:
        """Ends of the range in which demand or a later order decides, logarithms of y."""
        low, high = super()._reach(t)
        later = self._given[t:]  # positions of t + 1, t + 2, …
        ahead = np.arange(1, later.size + 1)
        some = np.isfinite(later)
        least, most = self.unit.log_ends(ahead)
        middle = later - ahead * np.log(self.unit.kept)
        return min([low, *(middle + least)[some]]), max([high, *(middle + most)[some]])

    def _solve(self, t: int) -> RecursionStage:
        low, high = self._reach(t)
        log_position = float(self._given[t - 1])
        option, orders = self.option(t), np.isfinite(log_position)
        if orders:
            option += self.integral(t, log_position) - self.price * float(np.exp(log_position))
        start = log_position if orders else low
        high = max(high, start)
        nodes, weights = self.rule.nodes(self._breaks(start, high), self._sigma)
        idle = -(self.unit.discount**self.lead_time) * self.unit.holding
        after = idle + (self.unit.discount * self.unit.kept * self.stages[t + 1].after if t < self.last else 0.0)
        return RecursionStage(
            log_position=log_position,
            option=option,
            start=start,
            stop=high,
            before=self.price if orders else self._at_zero(t),
            after=after,
            nodes=nodes,
            weights=weights,
            values=self.marginal(t, nodes),
        )


def policy_value(case: DeploymentCase, policy: OrderUpTo) -> tuple[float, float]:
    """Expected NPV of a policy on the case's demand process, and the estimated error of integration, $.

    Raises
    ------
    InputError
        If the case has no exact policy, the policy is for another horizon or lead time, or volatility is positive but
        too small for tables.

    Examples
    --------
    >>> from stochisru import load_case, threshold
    >>> from stochisru.lunar.exact.policy_value import policy_value
    >>> case = load_case("contested-market")
    >>> bold = threshold(case.replace(mu=0.3)).policy().as_belief()
    >>> policy_value(case, bold)[0] < threshold(case).objective
    True
    """
    unit = UnitValue.of(case)
    lead = case.horizon.lead_time
    policy.start(case)
    if unit.process.volatility == 0:
        mean = unit.process.mean(np.arange(unit.years + 1))
        return float(npv_on_paths(case, policy, mean[:, None])[0]), 0.0
    if lead <= unit.years and not fits(unit, lead):
        raise InputError(
            f"sigma: must be 0 or large enough for tables of a policy's value, got {unit.process.volatility:g}"
        )
    fine, coarse = (value_on(case, unit, np.array(policy.root), policy.position, rule) for rule in (FINE, COARSE))
    return fine, abs(fine - coarse) + 1e-13 * (abs(fine) + unit.without_plants())


def value_on(
    case: DeploymentCase, unit: UnitValue, root: Array, position: Sequence[float] | Array, rule: Rule
) -> float:
    """Expected NPV of root deployments and positions on the process of ``unit``, by one rule of integration, $."""
    tail: Tail = LastYear(unit)
    later, lead = 0.0, case.horizon.lead_time
    if lead <= unit.years:
        recursion = GivenRecursion(unit, lead, position, rule)
        tail = Continuation(unit, lead, recursion)
        later = unit.process.initial * recursion.option(0)
    return plan_gain(unit, root, case.technology.M0, tail) + later - unit.without_plants()
