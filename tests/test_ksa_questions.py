"""The research questions of Section 5.1.3 and the evolution: orders that must hold, and sums by hand."""

import json

import numpy as np
import pytest

from stochisru.errors import InputError
from stochisru.networks import solve_network
from stochisru.worked.saudi.drivers import drivers, held_lines, key_drivers
from stochisru.worked.saudi.evolution import counted_years, evolution
from stochisru.worked.saudi.network import SaudiOptions, saudi_network
from stochisru.worked.saudi.places import sites
from stochisru.worked.saudi.questions import Search, change, helped, investment, loss, today, unmet
from stochisru.worked.saudi.study import published_scales, solve_ksa

CLEAN = 0.001  # nearly CO2 alone: small gaps in a moment
CLOSE = Search(1e-3, 60.0)


def test_todays_flow_is_not_optimal():
    answer = today(CLEAN, search=CLOSE)
    used, best, built = (answer.plans[n].solution for n in ("as used", "best use", "with building"))
    assert used.objective >= best.bounds.lower
    assert best.objective >= built.bounds.lower
    low, high = answer.more("as used", "best use")
    assert 0 < low <= high  # MSF plants that run as much as the others
    for plan in (used, best):  # nothing is built: no expansion, no new line
        network = plan.network
        assert plan.criteria["capex"] == 0
        assert (plan.flows.out <= network.out.capacity + 1e-6).all()
    # All desalination plants make the same share of their capacity.
    network, raw = used.network, used.network.commodity("raw water")
    loops = [int(network.between(s.name, s.name)[0]) for s in sites() if s.kind == "desalination" and s.water_capacity]
    share = [used.flows.out[i, raw] / network.out.capacity[i, raw] for i in loops]
    assert max(share) - min(share) < 1e-6


def test_outputs_of_plants_may_be_given():
    plant, most = "Jubail RO D SWCC", 261.809
    answer = today(CLEAN, outputs={plant: most}, search=CLOSE)
    assert answer.plans["as used"].solution.outflow(f"processes {plant}", "raw water") == pytest.approx(most)
    with pytest.raises(InputError, match=r"outputs of Jubail RO D SWCC: must be in \[0, 261.809\]"):
        today(CLEAN, outputs={plant: 300.0})
    with pytest.raises(InputError, match="outputs: must name desalination plants, got 'Riyadh'"):
        today(CLEAN, outputs={"Riyadh": 1.0})


def test_a_change_moves_flows_the_right_way():
    answer = change(CLEAN, demand={"Riyadh": 1.2}, search=CLOSE)
    low, high = answer.more("after", "before")
    assert 0 < low <= high
    before, after = (answer.plans[n].solution.network for n in ("before", "after"))
    row, water = before.node("Riyadh"), before.commodity("potable water")
    assert after.supply[row, water] == pytest.approx(1.2 * before.supply[row, water])
    moved = answer.moved("after", "before")
    assert (moved["arc"] == "processes Riyadh").any()
    spans = (moved["after"] - moved["before"]).abs()
    assert (spans.diff().dropna() <= 1e-9).all()
    with pytest.raises(InputError, match="change: must be a factor of a demand or capacity, got none"):
        change(CLEAN)
    with pytest.raises(InputError, match="demand_factors: must be >= 0, got -1"):
        change(CLEAN, demand={"Riyadh": -1.0})


def test_all_demands_up_by_a_factor_is_growth():
    cities = dict.fromkeys(_cities(), 54 / 42)
    by_city = saudi_network(SaudiOptions(demand_factors=cities))
    by_year = saudi_network(SaudiOptions(year=2050))
    wanted = by_year.supply < 0
    np.testing.assert_allclose(by_city.supply[wanted], by_year.supply[wanted], rtol=1e-12)


def _cities():
    return {s.name for s in sites() if s.kind == "city"}


def test_an_investment_is_worth_what_the_plan_without_it_costs_more():
    site = "Umluj MED D SWCC"
    answer = investment(CLEAN, site=site, search=CLOSE)
    without, with_ = (answer.plans[n].solution for n in ("without", "with"))
    assert with_.objective <= without.objective
    network = without.network
    assert network.out.expansion[network.between(site, site)].max() == 0
    line = investment(CLEAN, line=("Medina", "Ar-Rass"), search=CLOSE).plans["without"].solution
    arcs = [*line.network.between("Medina", "Ar-Rass"), *line.network.between("Ar-Rass", "Medina")]
    assert line.flows.out[arcs, line.network.commodity("potable water")].max() == 0
    with pytest.raises(InputError, match="line: must be one that can be built, got Riyadh:Jubail MSF DP SWCC"):
        investment(CLEAN, line=("Riyadh", "Jubail MSF DP SWCC"))
    with pytest.raises(InputError, match="investment: must be at a site or in a line, got both or none"):
        investment(CLEAN)


def test_an_outage_is_worse_than_retirement_that_was_planned_for():
    answer = loss(0.3, line=("Jubail MSF DP SWCC", "Riyadh"), search=Search(0.02, 60.0))
    plan, outage, replanned = (answer.plans[n].solution for n in ("plan", "outage", "replanned"))
    assert outage.objective >= replanned.bounds.lower
    assert outage.objective >= plan.bounds.lower
    assert unmet(outage) > unmet(plan) + 100
    # What the plan built stands and is paid for.
    assert outage.criteria["capex"] == pytest.approx(plan.criteria["capex"], rel=1e-6)
    with pytest.raises(InputError, match="loss: must be of a site or a line, got both or none"):
        loss(0.3)


@pytest.fixture(scope="module")
def driven():
    return key_drivers(0.5, names=["demand", "opex desalination", "capex pipeline"], search=Search(0.05, 60.0))


def test_swings_are_programs_of_their_own(driven):
    """Held lines: a cost that enters linearly moves the objective by no more than its own share, on either side."""
    swings = driven.swings.set_index("number")
    base = driven.base
    assert driven.swings["number"].iloc[0] == "demand"
    opex = swings.loc["opex desalination"]
    assert opex["objective lower"] < base.objective < opex["objective higher"]
    # The optimum is concave in a price: a fall saves at least what a rise costs.
    assert base.objective - opex["objective lower"] >= opex["objective higher"] - base.objective - 1e-9
    made = base.flows.out[base.network.loops][:, base.network.commodity("raw water")]
    desalinated = made[97:139].sum()
    part = 0.2 * 1.5 * desalinated * 1000 * 365 / 1e9 * published_scales(2030).weights(0.5)["opex"]
    assert opex["objective higher"] - base.objective <= part * (1 + 1e-6)
    assert base.objective - opex["objective lower"] >= part * (1 - 1e-6)
    # The pipelines stay, so their capital is proportional.
    water = base.network.commodity("potable water")
    capital = (base.network.criterion("capex").use * base.flows.use)[:, water].sum()
    weight = published_scales(2030).weights(0.5)["capex"]
    assert swings.loc["capex pipeline", "swing"] == pytest.approx(0.4 * capital * weight, rel=1e-6)


def test_elements_and_prices_are_those_of_other_programs(driven):
    base = driven.base
    sites = driven.elements[driven.elements["kind"] == "site"]
    first = sites.iloc[0]
    network = base.network.closed(base.network.between(first["element"], first["element"]))
    again = solve_network(network, base.weights)
    assert again.objective - base.objective == pytest.approx(first["loss"], rel=1e-6)
    assert (driven.elements["loss"] >= -1e-9).all()
    city = driven.prices.iloc[40]
    step = 1e-3
    more = base.network.with_supply({(city["city"], "potable water"): -city["demand"] - step})
    dearer = solve_network(more, base.weights)
    assert (dearer.objective - base.objective) / step == pytest.approx(city["price"], rel=0.05)
    assert driven.prices["usd_per_m3"].max() <= 10.0 + 1e-6  # never above the price of what stays unmet


def test_bad_drivers():
    with pytest.raises(InputError, match="names: must be of demand, "):
        key_drivers(0.5, names=["weather"])
    with pytest.raises(InputError, match=r"change: must be in \(0, 1\), got 1"):
        key_drivers(0.5, change=1)


def test_every_driver_changes_the_network():
    base = saudi_network()
    for name, vary in drivers(SaudiOptions()).items():
        other = saudi_network(vary(SaudiOptions(), 1.1))
        same = all(
            np.array_equal(getattr(a, f), getattr(b, f))
            for a, b in zip(base.criteria, other.criteria, strict=True)
            for f in ("out", "expansion_out", "use")
        )
        same &= np.array_equal(base.transformation, other.transformation)
        same &= np.array_equal(base.supply, other.supply)
        same &= np.array_equal(base.out.requirement, other.out.requirement)
        assert not same, name


def test_held_lines_are_the_plan_again():
    plan = solve_ksa(CLEAN, rel_gap=1e-3)
    again = solve_network(held_lines(plan.solution.network, plan.solution), plan.solution.weights)
    assert again.objective == pytest.approx(plan.solution.objective, rel=1e-7)
    relieved = solve_network(
        held_lines(helped(plan.solution.network, 1e4), plan.solution), {**plan.solution.weights, "relief": 1.0}
    )
    assert relieved.objective == pytest.approx(plan.solution.objective, rel=1e-7)


def test_one_plan_for_all_years_stands_between_plans_for_each_alone():
    found = evolution(CLEAN, years=(2010, 2030), search=CLOSE)
    alone = [r.solution for r in found.alone]
    weighted = sum(c * r.bounds.lower for c, r in zip(found.counts, alone, strict=True))
    assert found.plan.objective >= weighted * (1 - 1e-9)  # each year alone is a relaxation
    built = [found.plan.built[n] for n in (0, 1)]
    assert (built[1] >= built[0] - 1e-9).all()
    grown = [found.plan.flows[n].expansion_out for n in (0, 1)]
    assert (grown[1] >= grown[0] - 1e-6).all()
    total = sum(
        c * sum(w * found.plan.criteria(n)[k] for k, w in published_scales(2030).weights(CLEAN).items())
        for n, c in enumerate(found.counts)
    )
    assert total == pytest.approx(found.plan.objective, rel=1e-9)
    lines = found.lines
    first = lines[lines["year"] == 2010]["capex"].sum()
    assert found.table["new pipelines"].tolist() == pytest.approx([first, lines["capex"].sum()])


def test_years_are_counted_until_the_next():
    assert counted_years((2010, 2030, 2050), 0.0) == (20.0, 20.0, 20.0)
    q = 1 / 1.05
    assert counted_years((2010, 2030), 0.05)[0] == pytest.approx((1 - q**20) / (1 - q))
    assert counted_years((2010, 2030), 0.05)[1] == pytest.approx(q**20 * (1 - q**20) / (1 - q))
    with pytest.raises(InputError, match="years: must ascend, got 2030, 2010"):
        evolution(years=(2030, 2010))
    with pytest.raises(InputError, match=r"discount: must be in \[0, 1\), got -0.1"):
        evolution(discount=-0.1)


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (["ksa-today"], {"plans", "optimality_gap", "optimal", "unmet_price"}),
        (["ksa-change", "--demand", "Riyadh=1.1"], {"plans", "difference", "flows"}),
        (["ksa-invest", "--line", "Medina:Ar-Rass"], {"plans", "worth", "verdict", "built"}),
        (["ksa-loss", "--site", "Jubail RO D SWCC"], {"plans", "outage_cost", "retirement_cost"}),
        (
            ["ksa-drivers", "--numbers", "demand", "--figure", "tornado.png"],
            {"swings", "elements", "prices", "objective", "bounds"},
        ),
        (["ksa-evolution", "--years", "2010,2030"], {"stages", "lines", "objective", "bounds", "regretted"}),
    ],
)
def test_each_question_is_one_command(run_cli, tmp_path, arguments, keys):
    out = run_cli("network", *arguments, "--weight", "0.001", "--json", "answer.json", check=0)
    data = json.loads((tmp_path / "answer.json").read_text())
    assert keys <= set(data)
    assert data["sense"] == "minimise"
    assert "bounds" in out.stdout
    if "--figure" in arguments:
        assert (tmp_path / "tornado.png").stat().st_size > 20_000
