"""Which stage to build: against campaigns solved one by one, and by orders that must hold."""

import json

import pytest

from stochisru.errors import InputError
from stochisru.worked.cislunar.campaign import solve_campaign
from stochisru.worked.cislunar.parameters import Campaign
from stochisru.worked.cislunar.stages import StageDesign, choose_stage

CASE = Campaign(years=1, demand={("Moon", "oxygen"): 10_000.0})
PAPER = StageDesign(65_000, 6_000, 150e6)


def test_the_catalogue_holds_the_paper_and_what_must_be_dearer_or_cheaper():
    heavier = StageDesign(65_000, 8_000, 150e6)
    cheaper = StageDesign(65_000, 6_000, 90e6)
    found = choose_stage([heavier, PAPER, cheaper], CASE, rel_gap=1e-3, time_limit=20)
    alone = solve_campaign(CASE, rel_gap=1e-3, time_limit=20)
    paper = found.results[1]
    assert paper.bounds.lower <= alone.cost * (1 + 1e-9)
    assert alone.bounds.lower <= paper.cost * (1 + 1e-9)
    assert found.results[0].cost >= paper.bounds.lower
    # A plan with the paper's stages can be flown with the cheaper ones: each stage saves its 60 million $.
    assert found.results[2].bounds.lower <= paper.cost - 60e6
    assert found.best == 2
    assert found.possible == (2,)
    assert found.lower == min(r.bounds.lower for r in found.results)
    assert found.to_frame()["verdict"].tolist() == ["dearer", "dearer", "best"]


def test_equal_designs_are_undecided():
    found = choose_stage([PAPER, PAPER], CASE, rel_gap=0.05, time_limit=10)
    first, second = found.results
    assert max(first.bounds.lower, second.bounds.lower) <= found.results[found.best].cost * (1 + 1e-9)
    open_ones = [i for i, r in enumerate(found.results) if r.bounds.lower < min(first.cost, second.cost)]
    assert open_ones == list(found.possible) == [0, 1]
    assert found.to_frame()["verdict"].tolist() == ["undecided", "undecided"]


def test_bad_designs_are_refused(run_cli):
    with pytest.raises(InputError, match="stages: must be at least one design"):
        choose_stage([], CASE)
    with pytest.raises(InputError, match=r"stage_propellant: must be in \[1, 1e\+06\] kg, got -5"):
        choose_stage([StageDesign(-5, 6_000, 1e6)], CASE)
    bad = run_cli("campaign-stages", "--stage", "65000:6000", check=2)
    assert bad.stderr.startswith("error: stage: must be PROPELLANT:DRY_MASS:PRICE")


def test_command(run_cli):
    arguments = ["--stage", "65000:6000:150e6", "--stage", "65000:6000:120e6", "--years", "1", "--rel-gap", "0.2"]
    data = json.loads(run_cli("campaign-stages", *arguments, "--time-limit", "5", "--json", "-", check=0).stdout)
    assert len(data["designs"]) == 2
    assert data["lower"] <= data["cost"]
    assert data["cost"] == min(row["cost"] for row in data["designs"])
