"""The research questions of the thesis' Section 5.1.3, one function each.

1. With the infrastructure that is there, is today's flow optimal, and if not, by how much? (`today`)
2. Given a change in supply or demand, what is the next optimal flow? (`change`)
3. Is it worth investing at a specific place? (`investment`)
4. What is the impact of losing a specific infrastructure? (`loss`)
5. What infrastructure element, or which number, is the key driver? (`stochisru.worked.saudi.drivers`)

Objectives are those of `stochisru.worked.saudi.study`, minimised. Where nothing is built demand may stay unmet, at a
price that counts in full, whatever the weight of cost. A difference of two optima is a bracket: each is known to its
gap only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from stochisru.errors import InputError
from stochisru.networks.additions import RELIEF, with_arcs, with_relief
from stochisru.networks.network import Network
from stochisru.networks.solution import NetworkSolution, bracket_of, improved, solve_network
from stochisru.worked.saudi.infrastructure import DAYS_PER_YEAR
from stochisru.worked.saudi.network import SaudiOptions, pipeline, saudi_network
from stochisru.worked.saudi.places import sites
from stochisru.worked.saudi.study import SaudiResult, Scales, published_scales

if TYPE_CHECKING:
    import pandas as pd

#: Commodities of demand.
WANTED = ("potable water", "non-potable water")
#: Flows that differ by less are alike, 1000 m³/day or MWh/day.
_ALIKE = 0.05


@dataclass(frozen=True)
class Search:
    """How far each program is solved: gap, seconds, and by which solver."""

    rel_gap: float = 0.02
    time_limit: float | None = 60.0
    solver: str = "highs"


@dataclass(frozen=True, eq=False)
class Answer:
    """Plans side by side, by what they are, the first one to compare with.

    Attributes
    ----------
    plans
        Results by name.
    unmet_price
        Price of water that stays unmet, USD/m³, where it may; over cost*, whatever the weight.
    """

    plans: dict[str, SaudiResult]
    unmet_price: float | None = None

    @property
    def table(self) -> pd.DataFrame:
        """A row per plan: objective and its bound, cost, capex, opex (billion USD/yr), co2 (Mt/yr), unmet water."""
        import pandas as pd

        rows = []
        for name, plan in self.plans.items():
            values = plan.values
            row = {"plan": name, "objective": plan.solution.objective, "bound": plan.solution.bounds.lower}
            row |= {key: values[key] for key in ("cost", "capex", "opex", "co2", "water", "electricity")}
            rows.append(row | ({} if self.unmet_price is None else {"unmet": unmet(plan.solution)}))
        return pd.DataFrame(rows)

    def more(self, name: str, than: str) -> tuple[float, float]:
        """By how much the optimum of a plan exceeds that of another, least and most."""
        one, other = (self.plans[n].solution.bounds for n in (name, than))
        return one.lower - other.upper, one.upper - other.lower

    def moved(self, name: str, than: str) -> pd.DataFrame:
        """Flows that differ between two plans, largest first: arc, commodity, unit, before, after."""
        import pandas as pd

        one, other = (self.plans[n].solution for n in (name, than))
        network, n = one.network, min(one.network.n_arcs, other.network.n_arcs)
        before, after = other.flows.out[:n], one.flows.out[:n]
        arc, commodity = np.nonzero(np.abs(after - before) > _ALIKE)
        frame = pd.DataFrame(
            {
                "arc": [network.arcs[a] for a in arc],
                "commodity": [network.commodities[c] for c in commodity],
                "unit": [network.units[c] for c in commodity],
                "before": before[arc, commodity],
                "after": after[arc, commodity],
            }
        )
        order = (frame["after"] - frame["before"]).abs().sort_values(ascending=False).index
        return frame.loc[order].reset_index(drop=True)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plans = {}
        for name, plan in self.plans.items():
            found = plan.solution
            plans[name] = {
                "objective": found.objective,
                "bounds": bracket_of(found.bounds),
                "termination": found.termination.to_dict(),
                **plan.values,
                **({} if self.unmet_price is None else {"unmet": unmet(found)}),
                "seconds": found.seconds,
            }
        first = next(iter(self.plans.values()))
        return {
            "sense": "minimise",
            "year": first.options.year,
            "weight": first.weight,
            "unmet_price": self.unmet_price,
            "plans": plans,
        }


def unmet(solution: NetworkSolution) -> float:
    """Water that help from outside brings, 1000 m³/day."""
    network = solution.network
    if RELIEF not in network.nodes:
        return 0.0
    brought = (network.tail == network.node(RELIEF)) & ~network.loops
    return float(solution.flows.out[brought].sum())


def helped(network: Network, unmet_price: float) -> Network:
    """The network in which water may stay unmet, USD/m³."""
    if not 0 < unmet_price < np.inf:
        raise InputError(f"unmet_price: must be > 0, got {unmet_price}")
    per_unit = unmet_price * 1000 * DAYS_PER_YEAR / 1e9
    return with_relief(network, dict.fromkeys(WANTED, per_unit), "billion USD/yr")


def without_building(network: Network, plan: NetworkSolution | None = None) -> Network:
    """The network with the capacities and lines that it has and no others.

    Those of a plan stand too and are paid for, at work or idle; the network must then have help from outside.
    """
    n, water = network.n_arcs, network.commodity("potable water")
    use_lower, use_upper = network.use_lower.copy(), network.use_upper.copy()
    new = network.criterion("capex").use[:, water] > 0
    capacity, standing, sunk = network.out.capacity.copy(), np.zeros(n, dtype=bool), 0.0
    if plan is not None:
        grown = plan.flows.expansion_out[:n]
        capacity, standing = capacity + grown, new & (plan.flows.use[:n, water] > 0.5)
        sunk = float((network.criterion("capex").expansion_out * grown).sum())
    use_upper[new & ~standing, water] = 0.0
    use_lower[standing, water] = 1.0
    nothing = np.zeros_like(network.out.expansion)
    found = network.replace(
        use_lower=use_lower, use_upper=use_upper, out=replace(network.out, expansion=nothing, capacity=capacity)
    )
    return found if plan is None else _charged(found, sunk)


def _charged(network: Network, capex: float) -> Network:
    """The network with capital that is paid for whatever flows: a loop at the helper's node where one unit must go."""
    water, node = network.commodity("potable water"), np.array([network.node(RELIEF)])
    one, price = np.zeros((1, network.k)), np.zeros((1, network.k))
    one[0, water], price[0, water] = 1.0, capex
    found = with_arcs(
        network, ["standing capacity"], node, node, transformation=np.eye(network.k)[None], limit=one,
        cost={"capex": price},
    )  # fmt: skip
    lower = found.out.lower.copy()
    lower[-1, water] = 1.0
    return found.replace(out=replace(found.out, lower=lower))


class _Study:
    """Programs of one weight and year."""

    def __init__(self, weight: float, options: SaudiOptions, search: Search) -> None:
        self.weight, self.options, self.search = weight, options, search
        self.scales: Scales = published_scales(options.year)
        self.weights = self.scales.weights(weight)

    def solve(self, network: Network, options: SaudiOptions | None = None) -> SaudiResult:
        weights = self.weights | ({RELIEF: 1 / self.scales.cost} if RELIEF in network.nodes else {})
        solution = solve_network(
            network, weights, rel_gap=self.search.rel_gap, time_limit=self.search.time_limit,
            solver=self.search.solver,
        )  # fmt: skip
        return SaudiResult(options or self.options, self.weight, self.scales, solution)

    def better(self, plan: SaudiResult, other: SaudiResult) -> SaudiResult:
        """The plan, or with the lines of another that is one of its own."""
        return replace(plan, solution=improved(plan.solution, other.solution, self.search.solver))


def today(
    weight: float = 0.5,
    *,
    year: int = 2010,
    outputs: Mapping[str, float] | None = None,
    unmet_price: float = 10.0,
    options: SaudiOptions | None = None,
    search: Search | None = None,
) -> Answer:
    """Is today's flow optimal? Today's use of the plants, the best use of the same infrastructure, and with building.

    Parameters
    ----------
    year
        Year of the demand; the infrastructure is that of 2010.
    outputs
        Water that plants make today, 1000 m³/day by site; the other plants, or all if not given, are used evenly: each
        the same share of its capacity. What flows where is as good as these outputs allow.
    """
    options = (options or SaudiOptions()).replace(year=year)
    study = _Study(weight, options, search or Search())
    free = helped(saudi_network(options), unmet_price)
    standing = without_building(free)
    best = study.solve(standing)
    used = study.solve(_operated(standing, outputs or {}, best.solution))
    best = study.better(best, used)
    built = study.better(study.solve(free), best)
    return Answer({"as used": used, "best use": best, "with building": built}, unmet_price)


def _operated(network: Network, outputs: Mapping[str, float], best: NetworkSolution) -> Network:
    """Desalination plants that make given outputs, the rest evenly as much as in the best use."""
    raw = network.commodity("raw water")
    loops = {s.name: int(network.between(s.name, s.name)[0]) for s in sites() if s.kind == "desalination"}
    lower, limit = network.out.lower.copy(), network.out.limit.copy()
    for site, output in outputs.items():
        if site not in loops:
            raise InputError(f"outputs: must name desalination plants, got {site!r}")
        most = float(network.out.capacity[loops[site], raw])
        if not 0 <= output <= most * (1 + 1e-9):
            raise InputError(f"outputs of {site}: must be in [0, {most:g}], its capacity in 1000 m3/day, got {output}")
        lower[loops[site], raw] = limit[loops[site], raw] = min(output, most)
    rest = np.array([arc for site, arc in loops.items() if site not in outputs], dtype=np.int64)
    capacity = network.out.capacity[rest, raw]
    made = float(best.flows.out[list(loops.values()), raw].sum()) - sum(outputs.values())
    share = min(max(made, 0.0) / capacity.sum(), 1.0) if capacity.sum() > 0 else 0.0
    lower[rest, raw] = limit[rest, raw] = share * capacity
    return network.replace(out=replace(network.out, lower=lower, limit=limit))


def change(
    weight: float = 0.5,
    *,
    demand: Mapping[str, float] | None = None,
    capacity: Mapping[str, float] | None = None,
    options: SaudiOptions | None = None,
    search: Search | None = None,
) -> Answer:
    """The next optimal flow when demands of cities or capacities of sites are multiplied by factors."""
    options = options or SaudiOptions()
    if not demand and not capacity:
        raise InputError("change: must be a factor of a demand or capacity, got none")
    after = options.replace(
        demand_factors={**options.demand_factors, **(demand or {})},
        capacity_factors={**options.capacity_factors, **(capacity or {})},
    )
    study = _Study(weight, options, search or Search())
    return Answer({"before": study.solve(saudi_network(options)), "after": study.solve(saudi_network(after), after)})


def investment(
    weight: float = 0.5,
    *,
    site: str | None = None,
    line: tuple[str, str] | None = None,
    options: SaudiOptions | None = None,
    search: Search | None = None,
) -> Answer:
    """Is it worth investing at a site, or in a pipeline? The plan that may not build there beside the one that may."""
    options = options or SaudiOptions()
    if (site is None) == (line is None):
        raise InputError("investment: must be at a site or in a line, got both or none")
    closed = options.replace(
        closed_to_building=(*options.closed_to_building, *([site] if site else [])),
        closed_pipelines=(*options.closed_pipelines, *([line] if line else [])),
    )
    network = saudi_network(options)
    if line is not None and not network.criterion("capex").use[
        pipeline(network, *line), network.commodity("potable water")
    ] > 0:  # fmt: skip
        raise InputError(f"line: must be one that can be built, got {line[0]}:{line[1]}, which exists")
    study = _Study(weight, options, search or Search())
    without = study.solve(saudi_network(closed), closed)
    return Answer({"without": without, "with": study.better(study.solve(network), without)})


def loss(
    weight: float = 0.5,
    *,
    site: str | None = None,
    line: tuple[str, str] | None = None,
    unmet_price: float = 10.0,
    options: SaudiOptions | None = None,
    search: Search | None = None,
) -> Answer:
    """What it means to lose a site or a pipeline: at once, with what the plan has built, and after replanning."""
    options = options or SaudiOptions()
    if (site is None) == (line is None):
        raise InputError("loss: must be of a site or a line, got both or none")
    lost = options.replace(
        lost=(*options.lost, *([site] if site else [])),
        lost_pipelines=(*options.lost_pipelines, *([line] if line else [])),
    )
    study = _Study(weight, options, search or Search())
    plan = study.solve(helped(saudi_network(options), unmet_price))
    outage = study.solve(without_building(helped(saudi_network(lost), unmet_price), plan.solution), lost)
    replanned = study.solve(helped(saudi_network(lost), unmet_price), lost)
    return Answer({"plan": plan, "outage": outage, "replanned": replanned}, unmet_price)
