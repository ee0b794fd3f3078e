"""The paper's network in steady state against closed forms, and the chain from ΔV to a plan."""

import json
from math import exp

import pytest

from stochisru.errors import InputError
from stochisru.networks.solution import solve_network
from stochisru.worked.cislunar.campaign import solve_campaign
from stochisru.worked.cislunar.chain import PaperChain
from stochisru.worked.cislunar.parameters import Campaign, Reading

EXHAUST = 9.80665 * 420 / 1000  # km/s


def stages(delta_v):
    """Stages with full tanks that move a kilogram over one leg: p = (c + 6000 s)(R − 1) = 65000 s."""
    ratio = exp(delta_v / EXHAUST) - 1
    return ratio / (65_000 - 6_000 * ratio)


@pytest.mark.parametrize(("place", "delta_v"), [("EML1", 3.77), ("GEO", 4.33)])
def test_one_leg_is_the_closed_form(place, delta_v):
    values, s = PaperChain(place=place).values(), stages(delta_v)
    assert values.alpha == pytest.approx(1 + 71_000 * s, rel=1e-9)
    tank = 1 / 1.478
    propellant = (5.5 * 0.15 + 5.97) / 6.5 + 5000
    carried = 150e6 + 6000 * 5000 + 0.5e6 + 65_000 * propellant
    assert values.c_E == pytest.approx(0.15 + 5000 + tank * (1869 + 5000) + (1 + tank) * s * carried, rel=1e-9)


def test_two_legs_stage_at_eml1():
    """Never more than one stack for both legs, never less than without any dry mass."""
    alpha = PaperChain().values().alpha
    assert exp(6.28 / EXHAUST) < alpha < 1 + 71_000 * stages(6.28)


def test_eta_is_the_papers_first_interval():
    chain = PaperChain()
    assert chain.plant_per_oxygen() == pytest.approx(9 / 8 * (1 / 10.5 + 1 / 35))
    assert chain.values().eta == pytest.approx(7.179, abs=0.001)


def test_stages_that_come_back_are_worth_their_propellant_and_no_more():
    alone = PaperChain(Campaign(reading=Reading(return_to_leo=False)))
    assert PaperChain().values().c_E == pytest.approx(alone.values().c_E, rel=1e-9)
    cheap = Campaign().with_values(launch_price=500.0)  # propellant becomes cheap, the stage does not
    network = PaperChain(cheap).transport()
    back = solve_network(network, {"cost": 1.0})
    assert back.outflow("EML1→LEO", "stage") > 0.01


def test_the_command_goes_from_delta_v_to_a_plan(run_cli):
    found = {}
    for name in ("two-legs", "paper"):
        found[name] = json.loads(run_cli("network", "chain", "--network", name, "--json", "-", check=0).stdout)
    assert {"alpha", "eta", "c_E", "rp", "evpi", "first_stage", "sense"} <= set(found["paper"])
    assert found["two-legs"]["alpha"] == pytest.approx(5.465, abs=0.001)
    assert found["two-legs"]["rp"] == pytest.approx(100.28e6, rel=1e-4)
    assert found["paper"]["alpha"] == pytest.approx(PaperChain().values().alpha)
    bad = run_cli("network", "chain", "--network", "moon", check=2)
    assert bad.stderr.startswith("error: network: must be one of two-legs, table, paper")
    with pytest.raises(InputError, match=r"place: must be one of GEO, .*got 'LEO'"):
        PaperChain(place="LEO")


def test_a_year_of_oxygen_on_the_moon_costs_410_million():
    """30 t of oxygen at the end of a year: the value of another model of the same reading, plants by hand."""
    campaign = Campaign(years=1, demand={("Moon", "oxygen"): 30_000.0})
    assert campaign["stage_propellant"] == 65_000
    result = solve_campaign(campaign, rel_gap=1e-3, time_limit=30)
    assert result.cost == pytest.approx(410.0e6, abs=0.05e6)
    assert result.bounds.lower >= 409.5e6
    # 33.75 t of water: 3 t of extraction at 10.5 kg/kg, the rest at 11.55; electrolysis at 35 kg/kg.
    assert result.sizes["SWE", "Moon"] == pytest.approx(3000 + (33_750 - 31_500) / 11.55, rel=1e-3)
    assert result.sizes["DWE", "Moon"] == pytest.approx(33_750 / 35, rel=1e-3)
    assert result.replay.holds
