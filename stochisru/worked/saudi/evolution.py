"""The Saudi network from 2010 to 2050: one plan for all years, beside a plan for each year alone.

The thesis plans from the capacities of 2010 to one target year. Here the network of every year stands on a tree without
branches (`stochisru.networks.on_tree`): what is built stays and is paid for in every year from then on, lines may stand
idle, and a year of the plan counts for the years until the next one, discounted. What is built for 2030 therefore knows
2050; a plan for each year alone does not, and what it builds may not fit together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import InputError
from stochisru.networks.network import Network
from stochisru.networks.on_tree import Stages, TreeSolution, solve_on_tree
from stochisru.networks.solution import bracket_of
from stochisru.networks.tree_values import line_tree
from stochisru.worked.saudi.network import YEARS, SaudiOptions, saudi_network
from stochisru.worked.saudi.questions import Search
from stochisru.worked.saudi.study import SaudiResult, published_scales, solve_ksa

if TYPE_CHECKING:
    import pandas as pd

#: The year from which the factors cost* and CO2* of the objective are taken for all years.
SCALES_OF = 2030
#: Years that the last stage counts for.
LAST_STAGE_YEARS = 20


@dataclass(frozen=True, eq=False)
class Evolution:
    """A plan over years.

    Attributes
    ----------
    years
        The years at which the network is planned.
    counts
        Discounted years that each of them counts for.
    plan
        The plan for all of them.
    alone
        Plans for each year by itself, from the capacities of 2010.
    """

    weight: float
    years: tuple[int, ...]
    counts: tuple[float, ...]
    plan: TreeSolution
    alone: tuple[SaudiResult, ...]

    @property
    def table(self) -> pd.DataFrame:
        """A row per year: cost, capex, opex (billion USD/yr), co2 (Mt/yr), new pipelines and desalination.

        New pipelines in million USD/yr, desalination in 1000 m³/day; ``alone`` are the plans for each year by itself.
        """
        import pandas as pd

        rows = []
        for node, (year, single) in enumerate(zip(self.years, self.alone, strict=True)):
            criteria, network = self.plan.criteria(node), self.plan.networks[node]
            flows = self.plan.flows[node]
            row: dict[str, float] = {"year": year, "counts": self.counts[node]}
            row["cost"] = criteria["capex"] + criteria["opex"]
            row |= {name: criteria[name] for name in ("capex", "opex", "co2")}
            row["new pipelines"] = _new_lines(network, self.plan.built[node])
            row["new desalination"] = _desalination(network, flows.expansion_out)
            alone = single.solution
            row["cost alone"] = single.values["cost"]
            row["co2 alone"] = single.values["co2"]
            row["new pipelines alone"] = _new_lines(alone.network, alone.flows.use)
            row["new desalination alone"] = _desalination(alone.network, alone.flows.expansion_out)
            rows.append(row)
        return pd.DataFrame(rows)

    @property
    def lines(self) -> pd.DataFrame:
        """New pipelines and the year in which each stands first: tail, head, capex (million USD/yr), year."""
        import pandas as pd

        network = self.plan.networks[0]
        water = network.commodity("potable water")
        cost = network.criterion("capex").use[:, water]
        rows = []
        for arc in np.flatnonzero(cost > 0):
            since = [year for node, year in enumerate(self.years) if self.plan.built[node][arc, water] > 0.5]
            if since:
                rows.append(
                    {
                        "tail": network.nodes[network.tail[arc]],
                        "head": network.nodes[network.head[arc]],
                        "capex": 1000 * cost[arc],
                        "year": since[0],
                    }
                )
        frame = pd.DataFrame(rows, columns=["tail", "head", "capex", "year"])
        return frame.sort_values(["year", "capex"], ascending=[True, False], ignore_index=True)

    @property
    def regretted(self) -> float:
        """Capital of pipelines that a plan for one year alone builds and the next one does without, million USD/yr."""
        total = 0.0
        for before, after in zip(self.alone, self.alone[1:], strict=False):
            network = before.solution.network
            water = network.commodity("potable water")
            cost = network.criterion("capex").use[:, water]
            gone = (before.solution.flows.use[:, water] > 0.5) & (after.solution.flows.use[:, water] < 0.5)
            total += 1000.0 * float(cost[gone].sum())
        return total

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        found = self.plan
        return {
            "weight": self.weight,
            "years": list(self.years),
            "counts": list(self.counts),
            "sense": "minimise",
            "objective": found.objective,
            "bounds": bracket_of(found.bounds),
            "termination": found.termination.to_dict(),
            "stages": self.table.to_dict("records"),
            "lines": self.lines.to_dict("records"),
            "regretted": self.regretted,
            "size": found.size,
            "seconds": found.seconds,
        }


def _new_lines(network: Network, use: Array) -> float:
    """Capital of new pipelines, million USD/yr."""
    water = network.commodity("potable water")
    return 1000.0 * float((network.criterion("capex").use[:, water] * (use[:, water] > 0.5)).sum())


def _desalination(network: Network, expansion: Array) -> float:
    """New capacity of desalination plants, 1000 m³/day."""
    from stochisru.worked.saudi.places import sites

    loops = [int(network.between(s.name, s.name)[0]) for s in sites() if s.kind == "desalination"]
    return float(expansion[loops, network.commodity("raw water")].sum())


def counted_years(years: Sequence[int], discount: float) -> tuple[float, ...]:
    """Discounted years that each year stands for: until the next one, the last for `LAST_STAGE_YEARS`.

    Examples
    --------
    >>> counted_years((2010, 2030), 0.0)
    (20.0, 20.0)
    """
    ends = [*years[1:], years[-1] + LAST_STAGE_YEARS]
    return tuple(
        float(sum((1 + discount) ** -(y - years[0]) for y in range(start, end)))
        for start, end in zip(years, ends, strict=True)
    )


def evolution(
    weight: float = 0.5,
    *,
    years: Sequence[int] = tuple(YEARS),
    discount: float = 0.05,
    options: SaudiOptions | None = None,
    search: Search | None = None,
) -> Evolution:
    """Plan the network over years.

    Parameters
    ----------
    weight
        Weight of cost in the objective; the factors are the published ones of 2030 in all years.
    years
        Of 2010, 2030 and 2050, ascending.
    discount
        Rate per year.
    """
    options, search = options or SaudiOptions(), search or Search()
    chosen = tuple(int(y) for y in years)
    if list(chosen) != sorted(set(chosen)) or not chosen:
        raise InputError(f"years: must ascend, got {', '.join(map(str, chosen)) or 'none'}")
    if not 0 <= discount < 1:
        raise InputError(f"discount: must be in [0, 1), got {discount}")
    networks = [saudi_network(options.replace(year=y)) for y in chosen]
    # One bound of expansions for all years, the last one's: what is built early may be for later.
    room = networks[-1].out.expansion
    networks = [n.replace(out=replace(n.out, expansion=room)) for n in networks]
    counts = counted_years(chosen, discount)
    scales = published_scales(SCALES_OF)
    alone = tuple(
        solve_ksa(
            weight, options.replace(year=y), scales=scales, rel_gap=search.rel_gap, time_limit=search.time_limit,
            solver=search.solver,
        )
        for y in chosen
    )  # fmt: skip
    plan = solve_on_tree(
        line_tree(np.arange(1.0, len(chosen) + 1)),
        lambda stage, _: networks[stage],
        scales.weights(weight),
        Stages(weights=counts, built=("capex",)),
        rel_gap=search.rel_gap,
        time_limit=search.time_limit,
        solver=search.solver,
    )
    return Evolution(weight, chosen, counts, plan, alone)
