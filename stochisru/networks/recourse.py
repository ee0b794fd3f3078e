"""Failures of arcs as scenarios with recourse: build first, see what fails, then route.

Two stages. Expansions ``y`` and uses ``z`` are decided before it is known which scenario comes; flows are chosen in
each scenario, where the arcs that failed carry nothing, and demands may stay unmet at a price. Everything is one sparse
program, the extensive form: the first-stage columns once, the flows and the rows once per scenario.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scenario_trees.arrays import Array, Index, Mask
from stochisru.errors import InputError
from stochisru.methods.result import Bounds, Termination
from stochisru.networks.assembly import Assembly, Flows, assemble
from stochisru.networks.network import Network
from stochisru.networks.solution import bracket, value_of, with_integers_fixed
from stochisru.programs.sparse import LinearProgram, ProgramBuilder, solve, solve_mixed

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Failure:
    """A scenario.

    Attributes
    ----------
    name
        Name.
    probability
        Probability.
    lost
        Arcs that fail.
    commodities
        What they no longer carry; nothing at all if not given.
    """

    name: str
    probability: float
    lost: tuple[str, ...] = ()
    commodities: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False)
class RecourseSolution:
    """A plan for all scenarios.

    Attributes
    ----------
    failures
        The scenarios.
    objective
        Expected weighted sum of the criteria and of the price of what stays unmet (minimised).
    bounds
        Bracket of its optimum.
    flows
        Values of the variables in each scenario, by its name; expansions and uses are the same in all.
    unmet
        (nodes, k) by scenario: demand that stays unmet.
    """

    network: Network
    failures: tuple[Failure, ...]
    objective: float
    bounds: Bounds
    termination: Termination
    flows: dict[str, Flows]
    unmet: dict[str, Array]
    size: dict[str, int]
    seconds: float

    @property
    def plan(self) -> Flows:
        """The first scenario's variables; its expansions and uses are everyone's."""
        return self.flows[self.failures[0].name]

    def to_frame(self) -> pd.DataFrame:
        """A row per scenario: name, probability, every criterion, and unmet demand per commodity."""
        import pandas as pd

        rows = []
        for failure in self.failures:
            flows, unmet = self.flows[failure.name], self.unmet[failure.name].sum(axis=0)
            rows.append(
                {
                    "scenario": failure.name,
                    "probability": failure.probability,
                    **{c.name: value_of(c, flows) for c in self.network.criteria},
                    **{f"unmet {c}": u for c, u in zip(self.network.commodities, unmet, strict=True) if u > 0},
                }
            )
        return pd.DataFrame(rows).fillna(0.0)


def solve_with_failures(
    network: Network,
    failures: Sequence[Failure],
    weights: Mapping[str, float] | None = None,
    *,
    unmet_price: Mapping[str, float],
    rel_gap: float = 0.02,
    time_limit: float | None = 120.0,
    solver: str = "highs",
) -> RecourseSolution:
    """Minimise the expected weighted criteria over scenarios of failed arcs.

    Parameters
    ----------
    failures
        Scenarios whose probabilities sum to 1; one without lost arcs is the normal state.
    unmet_price
        ``{commodity: price}`` per unit of demand that stays unmet, in units of the objective. Demands of other
        commodities must be met in every scenario.

    Raises
    ------
    InputError
        If probabilities do not sum to 1, names are not unique, or an arc is unknown.
    """
    _check(failures)
    assembly = assemble(network, weights)
    program, columns = _extensive_form(assembly, failures, unmet_price)
    if program.integer.any():
        found = solve_mixed(program, rel_gap=rel_gap, time_limit=time_limit, solver=solver)
    else:
        found = solve(program, solver)
    at = with_integers_fixed(program, found.x, solver) if program.integer.any() else found
    flows, unmet = {}, {}
    for failure, (place, short) in zip(failures, columns, strict=True):
        flows[failure.name] = assembly.flows(at.x[place])
        unmet[failure.name] = np.zeros_like(network.supply)
        unmet[failure.name][_elastic(assembly, unmet_price)] = at.x[short]
    bounds, termination = bracket(program, at.x, found.bound, found.limit)
    return RecourseSolution(
        network=network,
        failures=tuple(failures),
        objective=at.objective,
        bounds=bounds,
        termination=termination,
        flows=flows,
        unmet=unmet,
        size={"variables": program.shape[1], "rows": program.shape[0], "binaries": int(program.integer.sum())},
        seconds=found.seconds + (0.0 if at is found else at.seconds),
    )


def _elastic(assembly: Assembly, unmet_price: Mapping[str, float]) -> Mask:
    """Where demand may stay unmet, (nodes, k)."""
    network = assembly.network
    priced = np.zeros(network.k, dtype=bool)
    for commodity, price in unmet_price.items():
        if not price >= 0:
            raise InputError(f"unmet_price of {commodity}: must be >= 0, got {price}")
        priced[network.commodity(commodity)] = True
    return np.asarray((network.supply < 0) & priced)


def _extensive_form(
    assembly: Assembly, failures: Sequence[Failure], unmet_price: Mapping[str, float]
) -> tuple[LinearProgram, list[tuple[Index, Index]]]:
    """The program, and per scenario where each column of the assembly is in it, and the unmet demands."""
    network, base = assembly.network, assembly.program
    flow = np.zeros(base.shape[1], dtype=bool)
    flow[assembly.x_out[assembly.x_out >= 0]] = True
    first, second = np.flatnonzero(~flow), np.flatnonzero(flow)
    node, commodity = np.nonzero(_elastic(assembly, unmet_price))
    price = np.array([unmet_price[network.commodities[c]] for c in commodity])
    amount = -network.supply[node, commodity]
    matrix = base.matrix.tocoo()
    row, column = (c.astype(np.int64) for c in matrix.coords)

    builder = ProgramBuilder(f"{network.name}, {len(failures)} scenarios", "minimise")
    place = np.full(base.shape[1], -1, dtype=np.int64)
    for whole in (False, True):
        part = first[base.integer[first] == whole]
        block = builder.variables(
            "z" if whole else "y", part.size, lower=base.lower[part], upper=base.upper[part],
            objective=base.objective[part], integer=whole,
        )  # fmt: skip
        place[part] = block.index
    columns = []
    for s, failure in enumerate(failures):
        carried = network.commodities if failure.commodities is None else failure.commodities
        arcs = np.array([network.arc(a) for a in failure.lost], dtype=np.int64)
        which = np.array([network.commodity(c) for c in carried], dtype=np.int64)
        lost = assembly.x_out[np.ix_(arcs, which)].ravel()
        lower, upper = base.lower.copy(), base.upper.copy()
        lower[lost[lost >= 0]] = upper[lost[lost >= 0]] = 0.0
        cost = failure.probability * base.objective[second]
        block = builder.variables(
            f"x_{s}", second.size, lower=lower[second], upper=upper[second], objective=cost,
            integer=base.integer[second],
        )  # fmt: skip
        short = builder.variables(
            f"unmet_{s}", amount.size, lower=0.0, upper=amount, objective=failure.probability * price
        )
        here = place.copy()
        here[second] = block.index
        builder.rows(
            f"rows_{s}", base.row_lower, base.row_upper, (row, here[column], matrix.data),
            (assembly.balance[node, commodity], short.index, -1.0),
        )  # fmt: skip
        columns.append((here, short.index))
    return builder.build(), columns


def _check(failures: Sequence[Failure]) -> None:
    names = [f.name for f in failures]
    if len(set(names)) < len(names) or not names:
        raise InputError(f"failures: must be scenarios of different names, got {', '.join(names) or 'none'}")
    total = sum(f.probability for f in failures)
    if abs(total - 1) > 1e-9 or any(f.probability < 0 for f in failures):
        raise InputError(f"failures: must have probabilities >= 0 that sum to 1, got a sum of {total:g}")
