"""Which stage to build: one design for the whole fleet, chosen from a catalogue together with the campaign.

E. Gkaravela, H. W. Lee and H. Chen (arXiv 2504.16385) size spacecraft by their Eqs 33-37: the capacity C of a
spacecraft is a variable, and its product with the flights is made linear with a large M. Here C takes the values of a
catalogue, so that no product is left: every design has its own campaign, and the least of their bounds is a bound of
the choice. The paper's case has one design and prints no curve of dry mass or price, so the catalogue is the user's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stochisru.errors import InputError
from stochisru.worked.cislunar.campaign import REL_GAP, TIME_LIMIT, CampaignResult, solve_campaign
from stochisru.worked.cislunar.parameters import Campaign

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class StageDesign:
    """A stage: propellant it holds and dry mass, kg; price, $."""

    propellant: float
    dry_mass: float
    price: float

    def of(self, campaign: Campaign) -> Campaign:
        """The campaign flown with such stages."""
        return campaign.with_values(
            stage_propellant=self.propellant, stage_dry_mass=self.dry_mass, stage_price=self.price
        )


@dataclass(frozen=True)
class StageChoice:
    """Campaigns of the designs, in their order.

    Attributes
    ----------
    designs, results
        Designs and the least cost of the campaign with each.
    """

    designs: tuple[StageDesign, ...]
    results: tuple[CampaignResult, ...]

    @property
    def best(self) -> int:
        """Number of the design whose plan costs least."""
        return min(range(len(self.results)), key=lambda i: self.results[i].cost)

    @property
    def lower(self) -> float:
        """What no plan with any of the designs can undercut, $."""
        return min(r.bounds.lower for r in self.results)

    @property
    def possible(self) -> tuple[int, ...]:
        """Designs that may be best: their bound is below the cost of the best plan."""
        least = self.results[self.best].cost
        return tuple(i for i, r in enumerate(self.results) if i == self.best or r.bounds.lower < least)

    def to_frame(self) -> pd.DataFrame:
        """One row per design: numbers in kg and $, the bracket of its cost, whether it may be best."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "propellant": d.propellant,
                    "dry_mass": d.dry_mass,
                    "price": d.price,
                    "lower": r.bounds.lower,
                    "cost": r.cost,
                    "isru_mass": r.isru_mass,
                    "verdict": "best" if self.possible == (i,) else "undecided" if i in self.possible else "dearer",
                }
                for i, (d, r) in enumerate(zip(self.designs, self.results, strict=True))
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain numbers, $ and kg."""
        cost = self.results[self.best].cost
        return {"best": self.best, "cost": cost, "lower": self.lower, "designs": self.to_frame().to_dict("records")}


def choose_stage(
    designs: Sequence[StageDesign],
    campaign: Campaign | None = None,
    *,
    rel_gap: float = REL_GAP,
    time_limit: float = TIME_LIMIT,
    solver: str = "highs",
    progress: Callable[[str], None] = lambda _: None,
) -> StageChoice:
    """The design with which the campaign costs least.

    Parameters
    ----------
    designs
        The catalogue, at least one.
    campaign
        The case; its own stage is not in the catalogue unless it is named there.
    rel_gap, time_limit, solver, progress
        As in `solve_campaign`, for each design.

    Raises
    ------
    InputError
        If there is no design, or a number of one is out of range.
    """
    if not designs:
        raise InputError("stages: must be at least one design")
    base = campaign or Campaign()
    cases = [design.of(base) for design in designs]  # refuses what is out of range before anything is solved
    results = [
        solve_campaign(case, rel_gap=rel_gap, time_limit=time_limit, solver=solver, progress=progress) for case in cases
    ]
    return StageChoice(tuple(designs), tuple(results))
