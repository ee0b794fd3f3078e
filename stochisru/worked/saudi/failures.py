"""Failures in the Saudi network, and whether a line across the peninsula appears when the Gulf can fail.

Riyadh lives on water from the Gulf, which comes by the trunk pipeline from Jubail. Water from the Red Sea reaches it
by Medina, Ar-Rass and the existing pipelines of Al-Qassim; the missing link is Medina–Ar-Rass (446 km). A failure state
has a probability, which is the share of the time that it lasts, and unmet demand has a price.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stochisru.errors import InputError
from stochisru.files import plainly
from stochisru.networks.network import Network, position
from stochisru.networks.recourse import Failure, RecourseSolution, solve_with_failures
from stochisru.networks.solution import bracket_of
from stochisru.worked.saudi.infrastructure import DAYS_PER_YEAR
from stochisru.worked.saudi.network import SaudiOptions, pipeline, saudi_network
from stochisru.worked.saudi.places import sites
from stochisru.worked.saudi.study import published_scales

if TYPE_CHECKING:
    import pandas as pd

#: The trunk pipelines from the Gulf to Riyadh, and the missing link of a line across the peninsula.
TRUNK = ("Jubail MSF DP SWCC", "Riyadh")
SECOND_TRUNK = ("Ras Al-Khair DP SWCC", "Riyadh")
LINK = ("Medina", "Ar-Rass")
#: Desalination plants east of this longitude lie on the Gulf.
_GULF = 48.0
#: What may fail, by name.
STATES = ("trunk", "trunks", "gulf")


@dataclass(frozen=True, eq=False)
class SaudiFailureResult:
    """A plan for the normal and the failed state."""

    state: str
    probability: float
    unmet_price: float
    solution: RecourseSolution

    @property
    def table(self) -> pd.DataFrame:
        """What a state costs and how Riyadh gets its water.

        Probability, capex and opex (billion USD/yr), CO2 (Mt/yr), water to Riyadh, on the link and unmet
        (1000 m³/day).
        """
        frame = self.solution.to_frame()
        network = self.solution.network
        water = network.commodity("potable water")
        link = pipeline(network, *LINK)
        riyadh = np.flatnonzero((network.head == network.node("Riyadh")) & ~network.loops)
        gulf = {pipeline(network, *ends) for ends in (TRUNK, SECOND_TRUNK)}
        flows = [self.solution.flows[name] for name in frame["scenario"]]
        frame["by gulf trunks"] = [float(f.in_[[a for a in riyadh if a in gulf], water].sum()) for f in flows]
        frame["by other lines"] = [float(f.in_[[a for a in riyadh if a not in gulf], water].sum()) for f in flows]
        frame["Medina to Ar-Rass"] = [float(f.out[link, water]) for f in flows]
        frame["unmet"] = [float(self.solution.unmet[name].sum()) for name in frame["scenario"]]
        return frame.drop(columns=[c for c in frame.columns if c.startswith("unmet ")])

    @property
    def new_lines(self) -> pd.DataFrame:
        """Pipelines that the plan builds: tail, head, capex (million USD/yr), dearest first."""
        import pandas as pd

        network = self.solution.network
        water = network.commodity("potable water")
        cost = network.criterion("capex").use[:, water] * (self.solution.plan.use[:, water] > 0.5)
        arcs = np.flatnonzero((cost > 0) & ~network.loops)
        frame = pd.DataFrame(
            {
                "tail": [network.nodes[i] for i in network.tail[arcs]],
                "head": [network.nodes[i] for i in network.head[arcs]],
                "capex": 1000 * cost[arcs],
            }
        )
        return frame.sort_values("capex", ascending=False, ignore_index=True)

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        found = self.solution
        return {
            "state": self.state,
            "probability": self.probability,
            "unmet_price": self.unmet_price,
            "sense": "minimise",
            "objective": found.objective,
            "bounds": bracket_of(found.bounds),
            "termination": found.termination,
            "scenarios": self.table,
            "new_lines": self.new_lines,
            "size": found.size,
            "seconds": found.seconds,
        }


def failure_state(network: Network, state: str, probability: float) -> Failure:
    """The trunk pipeline or both trunks without water (powerlines stay), or no desalination on the Gulf."""
    position(STATES, state, "state")
    if state == "gulf":
        plants = (s for s in sites() if s.kind == "desalination" and s.longitude > _GULF)
        return Failure(state, probability, tuple(f"processes {s.name}" for s in plants), ("raw water",))
    pairs = (TRUNK,) if state == "trunk" else (TRUNK, SECOND_TRUNK)
    arcs = tuple(network.arcs[pipeline(network, *ends)] for pair in pairs for ends in (pair, pair[::-1]))
    return Failure(state, probability, arcs, ("potable water",))


def solve_failures(
    state: str = "trunk",
    probability: float = 0.05,
    unmet_price: float = 10.0,
    weight: float = 0.5,
    options: SaudiOptions | None = None,
    *,
    rel_gap: float = 0.02,
    time_limit: float | None = 120.0,
    solver: str = "highs",
) -> SaudiFailureResult:
    """Plan for a state of failure that lasts a share of the time.

    Parameters
    ----------
    state
        ``trunk``, ``trunks`` or ``gulf``; see `failure_state`.
    probability
        Share of the time that it lasts.
    unmet_price
        Of water that is not delivered, USD/m³.
    weight
        Weight of cost in the objective of `stochisru.worked.saudi.study`.
    """
    if not 0 < probability < 1:
        raise InputError(f"probability: must be in (0, 1), got {probability}")
    if not 0 <= unmet_price < float("inf"):
        raise InputError(f"unmet_price: must be >= 0, got {unmet_price}")
    options = options or SaudiOptions()
    network = saudi_network(options)
    weights = published_scales(options.year).weights(weight)
    price = unmet_price * 1000 * DAYS_PER_YEAR / 1e9 * weights["opex"]
    failures = [Failure("normal", 1 - probability), failure_state(network, state, probability)]
    solution = solve_with_failures(
        network,
        failures,
        weights,
        unmet_price={"potable water": price, "non-potable water": price},
        rel_gap=rel_gap,
        time_limit=time_limit,
        solver=solver,
    )
    return SaudiFailureResult(state, probability, unmet_price, solution)
