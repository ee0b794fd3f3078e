"""What drives the Saudi plan: a tornado of its numbers, the worth of each element, and the price of water by city.

Branch and cut leaves gaps that are larger than most effects. Everything here is therefore exact about one program: the
plan's lines stay as they are (their binaries are fixed), capacities and flows are chosen anew, water may stay unmet at
a price. A plan that may also choose its lines anew is never worse.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from stochisru.errors import InputError
from stochisru.networks.additions import RELIEF
from stochisru.networks.assembly import assemble
from stochisru.networks.network import Network
from stochisru.networks.solution import NetworkSolution, bracket_of, solve_network
from stochisru.programs.sparse import solve_family
from stochisru.worked.saudi.infrastructure import assumptions, text_parameters
from stochisru.worked.saudi.network import SaudiOptions, saudi_network
from stochisru.worked.saudi.questions import Search, helped
from stochisru.worked.saudi.study import SaudiResult, published_scales, solve_ksa

if TYPE_CHECKING:
    import pandas as pd

#: Numbers that are varied: label, and the options with the number times a factor.
Vary = Callable[[SaudiOptions, float], SaudiOptions]


def _parameter(name: str, value: float) -> Vary:
    return lambda o, f: o.replace(parameters={**o.parameters, name: f * value})


def drivers(options: SaudiOptions) -> dict[str, Vary]:
    """Numbers that are varied, by name: every cost of Table B.1, losses, pipes, demand."""
    found: dict[str, Vary] = {"demand": lambda o, f: o.replace(parameters={**o.parameters, **_demand(o, f)})}
    for (group, item), value in assumptions().items():
        unused = (group == "capex" and item == "powerline") or (group == "co2" and item in _BY_SITE)
        if not unused and (group, item) != ("opex", "wastewater_treatment"):
            found[f"{group} {item.replace('_', ' ')}"] = _parameter(f"{group}_{item}", value)
    found["opex wastewater treatment"] = lambda o, f: o.replace(treatment_opex=f * options.treatment_opex)
    for name, label in (
        ("loss_water_per_km", "loss of water"),
        ("loss_electricity_per_km", "loss of electricity"),
        ("ww_recovery", "recovery of waste water"),
        ("lifetime", "lifetime"),
    ):
        found[label] = _parameter(name, text_parameters()[name])
    found["diameter of pipes"] = lambda o, f: o.replace(pipe_diameter_m=f * options.pipe_diameter_m)
    return found


#: Emissions that the lists of plants have site by site.
_BY_SITE = ("SWRO", "BWRO", "MSF", "MED")


def _demand(options: SaudiOptions, factor: float) -> dict[str, float]:
    from stochisru.worked.saudi.network import YEARS

    return {"growth": factor * text_parameters()[YEARS[options.year]] / text_parameters()[YEARS[2030]]}


@dataclass(frozen=True, eq=False)
class Drivers:
    """What the plan hangs on.

    Attributes
    ----------
    plan
        The plan whose lines stay.
    base
        Objective with these lines, capacities and flows at their best.
    swings
        A row per number: objective, cost and CO2 with it lower and higher; largest swing of the objective first.
    elements
        A row per site or line at work: what losing it costs (objective and unmet water), largest first.
    prices
        A row per city: cost of 1000 m³/day of potable water more, in the objective and in USD/m³ as if it were all
        cost at a weight of 1; dearest first.
    """

    plan: SaudiResult
    base: NetworkSolution
    change: float
    unmet_price: float
    swings: pd.DataFrame
    elements: pd.DataFrame
    prices: pd.DataFrame

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "sense": "minimise",
            "year": self.plan.options.year,
            "weight": self.plan.weight,
            "objective": self.base.objective,
            "bounds": bracket_of(self.plan.solution.bounds),
            "change": self.change,
            "unmet_price": self.unmet_price,
            "swings": self.swings.to_dict("records"),
            "elements": self.elements.to_dict("records"),
            "prices": self.prices.to_dict("records"),
        }


def key_drivers(
    weight: float = 0.5,
    *,
    change: float = 0.2,
    names: Sequence[str] | None = None,
    unmet_price: float = 10.0,
    options: SaudiOptions | None = None,
    search: Search | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Drivers:
    """A tornado of the plan's numbers, and the worth of its elements.

    Parameters
    ----------
    change
        Share by which a number is lowered and raised.
    names
        Numbers to vary, of `drivers`; all if not given.
    unmet_price
        Of water that is not delivered, USD/m³.
    """
    if not 0 < change < 1:
        raise InputError(f"change: must be in (0, 1), got {change}")
    options, search = options or SaudiOptions(), search or Search()
    known = drivers(options)
    for name in names or ():
        if name not in known:
            raise InputError(f"names: must be of {', '.join(known)}, got {name!r}")
    progress("plan")
    plan = solve_ksa(
        weight, options, rel_gap=search.rel_gap, time_limit=search.time_limit, solver=search.solver
    )  # fmt: skip
    scales = published_scales(options.year)
    weights = {**scales.weights(weight), RELIEF: 1 / scales.cost}

    def with_lines(changed: SaudiOptions) -> NetworkSolution:
        network = held_lines(helped(saudi_network(changed), unmet_price), plan.solution)
        return solve_network(network, weights, solver=search.solver)

    base = with_lines(options)
    swings = _swings(with_lines, options, base, known, names or tuple(known), change, progress)
    progress("elements")
    elements = _elements(base, weights, search.solver)
    return Drivers(plan, base, change, unmet_price, swings, elements, _prices(base, 1 / scales.cost))


def held_lines(network: Network, plan: NetworkSolution) -> Network:
    """The network in which the lines of a plan stand and no others can be built."""
    lower, upper = network.use_lower.copy(), network.use_upper.copy()
    use = np.round(plan.flows.use)
    decided = np.any([c.use != 0 for c in plan.network.criteria], axis=0)
    n = plan.network.n_arcs
    lower[:n] = np.where(decided, use, lower[:n])
    upper[:n] = np.where(decided, use, upper[:n])
    return network.replace(use_lower=lower, use_upper=upper)


def _swings(
    with_lines: Callable[[SaudiOptions], NetworkSolution],
    options: SaudiOptions,
    base: NetworkSolution,
    known: dict[str, Vary],
    names: Sequence[str],
    change: float,
    progress: Callable[[str], None],
) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for name in names:
        progress(name)
        row: dict[str, Any] = {"number": name}
        for side, factor in (("lower", 1 - change), ("higher", 1 + change)):
            found = with_lines(known[name](options, factor))
            criteria = found.criteria
            row[f"objective {side}"] = found.objective
            row[f"cost {side}"] = criteria["capex"] + criteria["opex"]
            row[f"co2 {side}"] = criteria["co2"]
        row["swing"] = abs(row["objective higher"] - row["objective lower"])
        rows.append(row)
    return pd.DataFrame(rows).sort_values("swing", ascending=False, ignore_index=True)


def _elements(base: NetworkSolution, weights: dict[str, float], solver: str) -> pd.DataFrame:
    """What losing each site or line costs that carries something in the base, capacities elsewhere chosen anew."""
    import pandas as pd

    network = base.network
    assembly = assemble(network, weights)
    program = replace(assembly.program, integer=np.zeros_like(assembly.program.integer))
    outside = network.node(RELIEF)
    short = assembly.x_out[network.tail == outside]
    short = short[short >= 0]
    water, power = network.commodity("potable water"), network.commodity("electricity")
    groups: list[tuple[str, str, list[int], list[int]]] = []
    every = list(range(network.k))
    for loop in np.flatnonzero(network.loops):
        if base.flows.out[loop].max() > 1e-6:
            groups.append(("site", network.nodes[network.head[loop]], [int(loop)], every))
    lines = np.flatnonzero(~network.loops & (network.tail != outside))
    both = {(int(network.tail[a]), int(network.head[a])): int(a) for a in lines}
    for (i, j), arc in both.items():
        back = both.get((j, i), arc)
        for what, c in (("pipeline", water), ("powerline", power)):
            if i < j and max(base.flows.out[arc, c], base.flows.out[back, c]) > 1e-6:
                groups.append((what, f"{network.nodes[i]} – {network.nodes[j]}", [arc, back], [c]))

    def bounds() -> Any:
        for _, _, arcs, goods in groups:
            upper = program.upper.copy()
            columns = assembly.x_out[np.ix_(arcs, goods)].ravel()
            upper[columns[columns >= 0]] = 0.0
            yield program.lower, upper

    rows = [
        {"element": name, "kind": kind, "loss": found.objective - base.objective, "unmet": float(found.x[short].sum())}
        for (kind, name, *_), found in zip(groups, solve_family(program, bounds(), solver), strict=True)
    ]
    return pd.DataFrame(rows).sort_values("loss", ascending=False, ignore_index=True)


def _prices(base: NetworkSolution, per_cost: float) -> pd.DataFrame:
    """Dual of potable water at every city."""
    import pandas as pd

    table = base.price_table
    cities = table[(table["commodity"] == "potable water") & (table["supply"] < 0)]
    frame = pd.DataFrame(
        {
            "city": cities["node"],
            "demand": -cities["supply"],
            "price": cities["price"],
            "usd_per_m3": cities["price"] / per_cost * 1e9 / 365.0 / 1000.0,
        }
    )
    return frame.sort_values("price", ascending=False, ignore_index=True)
