"""Results beside the paper's Table 5 and beside one another: brackets are compared, never a cost alone.

A campaign's least cost lies in its bracket [bound, cost]. Two brackets that overlap are *undecided*.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stochisru.programs.sparse import ProgramBuilder
from stochisru.worked.cislunar.parameters import Campaign, published
from stochisru.worked.cislunar.program import with_flights_of
from stochisru.worked.cislunar.units import solve_campaign_program

if TYPE_CHECKING:
    import pandas as pd

    from stochisru.worked.cislunar.campaign import CampaignResult

#: Costs within this share of the paper's count as the paper's.
NEAR = 0.05
#: Rounding of costs that are equal, as a share.
_SAME = 1e-6


def published_cell(campaign: Campaign) -> tuple[float, float] | None:
    """Cost ($) and ISRU mass (kg) of Table 5 where it has this campaign: three years, nothing changed."""
    same = Campaign(architecture=campaign.architecture, setup=campaign.setup)
    return published().get((campaign.architecture, campaign.setup)) if campaign == same else None


def verdict(result: CampaignResult) -> str | None:
    """What a bracket says about the paper's cost, or None where the paper has no such campaign.

    ``meets`` if some cost within 5 % of the paper's lies in the bracket; ``improvement`` if the plan costs less than
    that and its replay holds; ``below, not flown`` if its replay fails; ``above`` if its bound is higher.
    """
    paper = published_cell(result.campaign)
    if paper is None:
        return None
    if result.cost < (1 - NEAR) * paper[0]:
        return "improvement" if result.replay.holds else "below, not flown"
    return "above" if result.bounds.lower > (1 + NEAR) * paper[0] else "meets"


def cheaper(one: CampaignResult, other: CampaignResult) -> CampaignResult | None:
    """Which of two campaigns is proven to cost less, or None where their brackets overlap."""
    if one.cost < other.bounds.lower * (1 - _SAME):
        return one
    return other if other.cost < one.bounds.lower * (1 - _SAME) else None


def in_words(results: Sequence[CampaignResult]) -> list[str]:
    """A line per pair of architectures of one campaign: which is proven cheaper, and by how much at least."""
    found = []
    for i, one in enumerate(results):
        for other in results[i + 1 :]:
            if one.campaign.replace(architecture=other.campaign.architecture) != other.campaign:
                continue
            names = f"{one.campaign.title} [{one.bounds.lower / 1e9:.3f}, {one.cost / 1e9:.3f}]"
            names += f" and {other.campaign.title} [{other.bounds.lower / 1e9:.3f}, {other.cost / 1e9:.3f}] billion $"
            less = cheaper(one, other)
            if less is None:
                found.append(f"undecided, brackets overlap: {names}")
            else:
                more = other if less is one else one
                least = (more.bounds.lower - less.cost) / 1e6
                found.append(f"{less.campaign.title} is cheaper by at least {least:,.0f} million $: {names}")
    return found


def table_5(results: Sequence[CampaignResult]) -> pd.DataFrame:
    """Cost (billion $) and ISRU mass (kg) beside Table 5, with the bound from below and the gap in per cent."""
    import pandas as pd

    rows = []
    for result in results:
        paper = published_cell(result.campaign) or (np.nan, np.nan)
        rows.append(
            {
                "campaign": result.campaign.title,
                "bound": result.bounds.lower / 1e9,
                "cost": result.cost / 1e9,
                "gap %": 100 * result.bounds.gap,
                "Table 5": paper[0] / 1e9,
                "verdict": verdict(result),
                "ISRU": result.isru_mass,
                "Table 5 ISRU": paper[1],
                "seconds": result.seconds,
            }
        )
    return pd.DataFrame(rows)


def cost_at_mass(result: CampaignResult, masses: Sequence[float], solver: str = "highs") -> list[dict[str, Any]]:
    """Cost of the plan's own flights with plants of other masses, $: how flat the optimum is.

    Whole numbers of stages and flights stay; plants, cargo and propellant are chosen anew for a total mass of the
    plants (kg, the initial one included). A cost is an upper bound of the least one at that mass, None where these
    flights cannot serve it.
    """
    from stochisru.errors import SolverError

    program = result.program
    found: list[dict[str, Any]] = []
    for mass in masses:
        builder = ProgramBuilder.extending(with_flights_of(program, result.x))
        size = program.size.ravel()
        one = np.zeros(size.size, dtype=np.int64)
        builder.rows("total mass", np.array([float(mass)]), float(mass), (one, size, 1.0))
        try:
            cost = solve_campaign_program(builder.build(), rel_gap=1e-4, time_limit=20.0, solver=solver).objective
        except SolverError:
            cost = None
        found.append({"isru_mass": float(mass), "cost": cost})
    return found
