"""The linear problem below one with lots, fixed costs and curves: no plan earns less in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stochisru.problem.coefficients import Coefficient
from stochisru.problem.model import Model
from stochisru.problem.parts import Decision
from stochisru.programs.curves.curve import Curve


def relaxed(model: Model) -> Model:
    """A model in which any amount may be decided and costs in proportion no more than in the model itself.

    The cost of a curve is that of its cheapest unit, f(x) ≥ x·min f/x.

    Examples
    --------
    >>> from stochisru.problem import Decision, Model
    >>> from stochisru.problem.relaxed import relaxed
    >>> from stochisru.programs.curves import Curve
    >>> build = Decision("build", upper=30, lot=10, curve=Curve([0, 10, 30], [0, 50, 90], fixed=15))
    >>> relaxed(Model("scale", horizon=1, parts=[build])).decisions[0].cost
    3.5
    """
    return model.with_part(*(_linear(part) for part in model.decisions if not part.is_linear))


def _linear(part: Decision) -> Decision:
    cost: Coefficient = part.cost
    if part.curve is not None:
        assert isinstance(cost, float)  # costs beside a curve are numbers
        most = max(part.upper) if isinstance(part.upper, tuple) else part.upper
        cost = cost + _cheapest(part.curve, most if isinstance(most, float) else np.inf)
    return replace(part, lot=None, fixed_cost=0.0, curve=None, cost=cost)


def _cheapest(curve: Curve, most: float) -> float:
    """Least cost per unit up to a size: at a breakpoint, or far beyond the last."""
    sizes = curve.breakpoints[1:]
    least = float(np.min(curve(sizes) / sizes))
    return least if most <= sizes[-1] else min(least, float(curve.slopes[-1]))
