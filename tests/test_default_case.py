"""The default case: what was asked of it, that one variant alone has it, and that the main job takes it."""

import json
from pathlib import Path

import pytest

from stochisru import load_case
from stochisru.lunar.exact.by_year import exact_in_advance, exact_policy, exact_single
from stochisru.lunar.shipped import DEFAULT
from stochisru.studies.folder import default_folder
from stochisru.worked.literature.sources import LAUNCH_YEARS, launch_markets
from stochisru.worked.literature.variants import HORIZONS, Variant, judged, plants, variants

CHOSEN = Variant("Gkaravela et al. 2025", 0.9008, "Moon", "small", 20)


def test_the_default_is_worth_deciding():
    """Its first order is interior, waiting and reacting have a value, plant is paid back in years, and not by luck."""
    case = load_case(DEFAULT)
    for sigma in (0.15, 0.2, 0.4):
        at = case.replace(sigma=sigma)
        found, fixed = exact_policy(at), exact_in_advance(at, fixed=True)[0]
        wanted = at.demand.D0 / CHOSEN.eta
        assert 0.2 * wanted < sum(found.first_stage.values()) < 0.8 * wanted
        assert exact_single(at).value - fixed > 0.01 * found.objective
        assert found.objective - exact_in_advance(at)[0] > 0.2 * found.objective
    assert CHOSEN.payback > 1


def test_the_shipped_case_is_the_chosen_variant():
    shipped, chosen = load_case(DEFAULT), CHOSEN.case
    assert exact_policy(shipped).objective == pytest.approx(exact_policy(chosen).objective, rel=1e-4)
    ours, theirs = shipped.to_dict(), chosen.to_dict()
    for head, symbol in (("economics", "r"), ("horizon", "T"), ("costs", "c_dev"), ("demand", "D0"), ("demand", "mu")):
        assert ours[head][symbol] == pytest.approx(theirs[head][symbol], rel=1e-4)
    assert ours["costs"]["c_L"]["growth"] == pytest.approx(theirs["costs"]["c_L"]["growth"], rel=1e-4)
    assert ours["technology"]["eta"] == pytest.approx(1 / 1.1101, rel=1e-5)


def test_among_its_neighbours_it_alone_meets_the_criteria():
    """Of its plant's costs and its market in twenty years, every productivity and customer."""
    rows = [judged(v) for v in variants([20], [CHOSEN.plant], [CHOSEN.market])]
    assert len(rows) == 30
    passed = [row for row in rows if row["fails"] is None]
    assert [(row["eta"], row["customer"]) for row in passed] == [(CHOSEN.eta, CHOSEN.customer)]
    assert {row["fails"] for row in rows} == {None, "payback", "interior", "deferring"}
    paid = [row for row in rows if row["fails"] == "payback"]
    assert all(not 1 < row["payback"] < float("inf") and row["rp"] is None for row in paid)


@pytest.mark.parametrize("market", ["middle", "large"])
def test_demand_that_outgrows_the_discount_rate_is_no_default(market):
    assert judged(Variant(CHOSEN.plant, CHOSEN.eta, CHOSEN.customer, market, 20))["fails"] == "growth"


def test_launch_markets_are_metzgers():
    markets = launch_markets()
    today, *rest = markets.values()
    assert (today.fall, today.growth) == (0, 0)
    for market in rest:
        assert today.price * (1 + market.fall) ** LAUNCH_YEARS == pytest.approx(market.price)
    assert [market.price for market in rest] == sorted((market.price for market in rest), reverse=True)
    assert [market.traffic for market in rest] == sorted(market.traffic for market in rest)
    assert all(1 + market.growth > 1 > 1 + market.fall for market in rest)


def test_all_variants_are_of_named_studies():
    found = variants()
    assert len(found) == len(set(found)) == len(HORIZONS) * len(plants()) * 3 * 10 * 4
    assert CHOSEN in found


def test_the_main_job_takes_it(run_cli, tmp_path):
    small = ("--horizon", "3", "--branching", "2,2,2", "--paths", "256")
    told = json.loads(run_cli("run", *small, "--out", "r", "--json", "-", check=0).stdout)
    assert told["case"].startswith(DEFAULT)
    assert {"single", "defer", "staging"} <= set(told["values"]["brackets"])
    assert (tmp_path / "r" / "report.html").stat().st_size > 10_000


def test_a_shipped_case_with_tables_has_a_folder_of_its_name():
    case = load_case(DEFAULT)
    assert default_folder(case) == Path("runs") / DEFAULT
    changed = case.replace(T=5)
    assert not changed.is_shipped
    assert changed.title == f"{DEFAULT} (changed, {changed.digest()[:8]})"
    assert default_folder(changed) == Path("runs") / f"{DEFAULT}-{changed.digest()[:8]}"
