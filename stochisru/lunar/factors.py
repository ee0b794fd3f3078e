"""The deployment problem with more than demand uncertain: the price of launch, the yield of the deposit.

``launch`` is c_L in $/kg to LEO; what plants cost is known when they arrive, and paid then. ``yield`` is what η is
multiplied by, and known in its year: Qcap_t = η·Y_t·M_t.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from scenario_trees.arrays import Array
from scenario_trees.processes import CorrelatedFactors, GeometricBrownianMotion, MarkovProcess
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase, require_case
from stochisru.problem.coefficients import Factor, Factors
from stochisru.problem.model import Model
from stochisru.problem.parts import Expression, Part, State

#: Factors beside demand, and what they are.
FACTORS = {"launch": "launch price c_L, $/kg", "yield": "yield of the deposit, a multiple of eta"}


def with_factors(
    case: DeploymentCase,
    processes: Mapping[str, GeometricBrownianMotion | MarkovProcess],
    correlation: Sequence[Sequence[float]] | None = None,
) -> Model:
    """The model of a case with further factors.

    Parameters
    ----------
    case
        Linear costs.
    processes
        By name of the factor: ``launch``, ``yield``, or both.
    correlation
        Of the normal numbers of demand and the factors in the order given; independent if not given.

    Returns
    -------
    Model
        Its process is that of all factors, demand first.

    Raises
    ------
    InputError
        If a factor is none of those, or costs are not linear.
    TreeError
        If the correlation is none.

    Examples
    --------
    >>> from scenario_trees import GeometricBrownianMotion, ScenarioTree
    >>> from stochisru import load_case
    >>> from stochisru.lunar.factors import with_factors
    >>> case = load_case("contested-market").replace(T=3)
    >>> model = with_factors(case, {"launch": GeometricBrownianMotion(case.costs.c_L, -0.05, 0.15)})
    >>> model.factors, ScenarioTree.from_process(model.process, [(3, 2)] * 3).n_leaves
    (('demand', 'launch'), 216)
    """
    require_case(case)
    case.require_linear("a model of several factors")
    for name in processes:
        if name not in FACTORS:
            raise InputError(f"factors: must be of {', '.join(FACTORS)}, got {name!r}")
    if not processes:
        raise InputError(f"factors: needs one or more of {', '.join(FACTORS)}")
    names = ("demand", *processes)
    rows = None if correlation is None else tuple(tuple(map(float, row)) for row in correlation)
    process = CorrelatedFactors(names, (_stepping(case), *processes.values()), rows)
    model, eta = case.model, case.technology.eta

    def enough(year: int, seen: Factors) -> Array:
        return seen["demand"] / (eta * seen["yield"])

    changed: list[Part] = []
    for part in model.parts:
        if "launch" in processes and isinstance(part, Expression) and part.name == "M_leo":
            changed.append(replace(part, cost=Factor("launch")))
        if "yield" in processes and isinstance(part, Expression) and part.name == "Qcap":
            changed.append(replace(part, terms={"M": Factor("yield") * eta}))
        if "yield" in processes and isinstance(part, State) and part.name == "M":
            changed.append(replace(part, enough=enough))
    return replace(model, process=process, factors=names).with_part(*changed)


def _stepping(case: DeploymentCase) -> GeometricBrownianMotion | MarkovProcess:
    process = case.process
    if not isinstance(process, (GeometricBrownianMotion, MarkovProcess)):
        raise InputError(f"demand.process: must have steps to be one of several factors, got {process}")
    return process
