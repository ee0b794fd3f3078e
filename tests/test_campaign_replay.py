"""Plans flown again: by hand, of the search, and with an event spoilt; brackets compared."""

from dataclasses import replace
from math import exp
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stochisru.lunar.derivation import STANDARD_GRAVITY
from stochisru.worked.cislunar.campaign import solve_campaign
from stochisru.worked.cislunar.comparison import cheaper, cost_at_mass, in_words, verdict
from stochisru.worked.cislunar.parameters import Campaign, Reading
from stochisru.worked.cislunar.program import output_curve, price_curve
from stochisru.worked.cislunar.replay import Happening, fly, happenings, output_of_plant, price_of_plant


@pytest.fixture(scope="module")
def result():
    """Water and oxygen at EML1 in a year: extraction, flights with water, electrolysis, fuelling."""
    campaign = Campaign(years=1, architecture="distributed", demand={("EML1", "oxygen"): 5000.0})
    return solve_campaign(campaign, rel_gap=0.1, time_limit=20)


def test_a_plan_by_hand():
    """A stage takes 1 t of water from LEO to EML1: five events, every number by the rocket equation."""
    campaign = Campaign(years=1, demand={("EML1", "water"): 1000.0}, reading=Reading(initial="none"))
    tank = 1000 / 40
    burnt = (6000 + 1000 + tank) * (exp(3770 / (STANDARD_GRAVITY * 420)) - 1)
    cargo = {"stage": 1.0, "propellant": burnt, "water": 1000.0, "water tank": tank}
    events = [
        Happening(0, "launch", "Earth", cargo, "LEO"),
        Happening(0, "flight", "LEO", cargo, "EML1"),
        *(Happening(t, "waiting", "EML1", {"water": 1000.0}) for t in range(1, 11)),
    ]
    mixed = (5.5 * 0.15 + 5.97) / 6.5
    bill = 150e6 + 0.5e6 + 5000 * (6000 + 1000 + tank + burnt) + mixed * burnt + 800 * tank
    flown = fly(campaign, events, {}, bill)
    assert flown.cost == pytest.approx(bill, rel=1e-12)
    assert flown.holds
    assert flown.delivered == {("EML1", "water"): 1000.0}

    def spoilt(**changes):
        amounts = {**cargo, **changes}
        return fly(
            campaign, [replace(events[0], amounts=amounts), replace(events[1], amounts=amounts), *events[2:]], {}
        )

    assert spoilt(propellant=burnt - 50).shortages["propellant for the burn"] == pytest.approx(
        50 * exp(-3770 / (STANDARD_GRAVITY * 420)), rel=1e-6
    )
    assert spoilt(**{"water tank": 20.0}).shortages["tanks for water in flight"] == pytest.approx(200)
    assert spoilt(water=900.0).shortages["demand of water at EML1"] == 0  # what waits is short already
    assert spoilt(water=900.0).shortages["what waits"] == pytest.approx(100)
    late = [replace(events[0], step=1), replace(events[1], step=1)]
    assert fly(campaign, late, {}).shortages["launches at the first point of a window"] == 1
    assert fly(campaign, events[:2], {}).shortages["demand of water at EML1"] == pytest.approx(1000)


def test_a_plan_of_the_search_holds_and_costs_what_it_claims(result):
    flown = result.replay
    assert flown.holds, flown.shortages
    assert flown.cost == pytest.approx(result.cost, rel=1e-6)
    assert flown.delivered["EML1", "oxygen"] == pytest.approx(5000)


@pytest.mark.parametrize(
    "reading",
    [
        Reading(delivers_own_propellant=True),
        Reading(storage_in_tanks=True),
        Reading(same_half_year=False),
        Reading(plants_in_any_window=True, initial="DWE"),
    ],
)
def test_plans_under_other_readings_hold(reading):
    campaign = Campaign(years=1, demand={("Moon", "oxygen"): 9000.0}, reading=reading)
    found = solve_campaign(campaign, rel_gap=0.1, time_limit=15)
    assert found.replay.holds, found.replay.shortages
    assert found.replay.cost == pytest.approx(found.cost, rel=1e-6)


def test_a_spoilt_plan_does_not_hold(result):
    events = happenings(result)
    assert {e.kind for e in events} >= {"launch", "flight", "work", "waiting"}
    for number, event in enumerate(events):
        if event.kind not in ("flight", "work"):
            continue
        most = max(event.amounts, key=lambda c: event.amounts[c])
        less = {**event.amounts, most: 0.8 * event.amounts[most]}
        spoilt = [*events[:number], replace(event, amounts=less), *events[number + 1 :]]
        assert not fly(result.campaign, spoilt, result.builds, result.cost).holds, event
    assert not fly(result.campaign, events, {b: 1.5 * kg for b, kg in result.builds.items()}, result.cost).holds
    assert not fly(result.campaign, events, result.builds, result.cost * 1.01).holds


@given(st.floats(1.0, 15_000.0), st.sampled_from(("SWE", "DWE")), st.sampled_from((500.0, 1000.0, 3000.0)))
@settings(max_examples=60)
def test_two_ways_to_size_a_plant_agree(kg, kind, interval):
    campaign = Campaign(changes={"interval": interval})
    assert output_of_plant(campaign, kind, kg) == pytest.approx(float(output_curve(campaign, kind)(kg)), rel=1e-9)
    assert price_of_plant(campaign, kg) == pytest.approx(float(price_curve(campaign, kind)(kg)), rel=1e-9)


def test_equation_40_by_hand():
    campaign = Campaign()
    assert price_of_plant(campaign, 0.0) == 0
    assert price_of_plant(campaign, 500.0) == 10e6
    assert price_of_plant(campaign, 7000.0) == pytest.approx(30e6 + 27e6 + 8.1e6)
    assert output_of_plant(campaign, "SWE", 7000.0) == pytest.approx(31_500 + 34_650 + 12_705)
    assert output_of_plant(campaign, "DWE", 4000.0) == pytest.approx(105_000 + 38_500)


def bracket(architecture, lower, cost, setup=False, holds=True):
    return SimpleNamespace(
        campaign=Campaign(architecture=architecture, setup=setup),
        bounds=SimpleNamespace(lower=lower * 1e9),
        cost=cost * 1e9,
        replay=SimpleNamespace(holds=holds),
    )


@pytest.mark.parametrize(
    ("lower", "cost", "holds", "said"),
    [
        (2.8, 2.92, True, "meets"),
        (2.5, 3.3, True, "meets"),  # an open gap: some cost near the paper's is possible
        (3.08, 3.3, True, "above"),
        (2.5, 2.7, True, "improvement"),
        (2.5, 2.7, False, "below, not flown"),
    ],
)
def test_verdicts_on_the_papers_cost(lower, cost, holds, said):
    assert verdict(bracket("concentrated", lower, cost, holds=holds)) == said


def test_brackets_that_overlap_are_undecided():
    dear, overlapping, cheap = (bracket("concentrated", 2.86, 2.92), bracket("distributed", 2.7, 2.88),
                                bracket("distributed", 2.7, 2.82))  # fmt: skip
    assert cheaper(dear, overlapping) is None
    assert cheaper(dear, cheap) is cheap
    assert cheaper(cheap, dear) is cheap
    (line,) = in_words([dear, overlapping])
    assert line.startswith("undecided")
    assert "[2.700, 2.880]" in line
    (line,) = in_words([dear, cheap])
    assert "distributed, 3 years is cheaper by at least 40 million $" in line
    assert in_words([dear, bracket("distributed", 1.0, 1.1, setup=True)]) == []


def test_cost_against_mass_has_its_least_at_the_plan(result):
    own = result.isru_mass
    curve = cost_at_mass(result, [own, own + 500, own + 1000, 100_000])
    costs = [row["cost"] for row in curve]
    assert costs[0] == pytest.approx(result.cost, rel=1e-3)
    assert costs[3] is None  # larger than any plant
    known = [c for c in costs[:3] if c is not None]
    assert np.all(np.diff(known) > 0)
