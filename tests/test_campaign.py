"""The cislunar campaign: hand-computed flights, balances of the plan, orders of optima, sweep, command line."""

import json
from dataclasses import replace
from math import exp

import numpy as np
import pytest

from stochisru.errors import InfeasibleError, InputError, TimeLimitError
from stochisru.lunar.derivation import STANDARD_GRAVITY
from stochisru.networks.events import Burn
from stochisru.networks.solution import violation
from stochisru.programs.sparse import ProgramBuilder, solve, solve_mixed
from stochisru.studies.store import Execution
from stochisru.worked.cislunar.campaign import solve_campaign
from stochisru.worked.cislunar.comparison import published_cell, table_5
from stochisru.worked.cislunar.network import campaign_network
from stochisru.worked.cislunar.parameters import Campaign, Reading, assumptions, demands, parameters, published
from stochisru.worked.cislunar.program import campaign_program, output_curve, price_curve
from stochisru.worked.cislunar.scenarios import Scenario, extensive_form, parse_scenarios, solve_scenarios, under
from stochisru.worked.cislunar.sweep import SWEEPS, Sweep, run_sweep

NO_PLANT = Reading(initial="none")
LAUNCH, STAGE, FLIGHT = 5000.0, 150e6 + 6000 * 5000.0, 0.5e6
TANK = 1 / 40 * (800 + LAUNCH)  # $ per kg of water
PROPELLANT = LAUNCH + (5.5 * 0.15 + 5.97) / 6.5
#: Small ones that are solved to the end in a second or two.
SMALL = {"new_stages": 1.0, "most_stages": 2.0}


def small(demand, **changes):
    return Campaign(years=1, demand=demand, changes=SMALL, **{"reading": NO_PLANT} | changes)


def burnt(dry_and_cargo, delta_v):
    return dry_and_cargo * (exp(delta_v * 1000 / (STANDARD_GRAVITY * 420)) - 1)


def test_water_in_leo_costs_its_launch_and_tank():
    result = solve_campaign(small({("LEO", "water"): 8000.0}), rel_gap=0)
    assert result.cost == pytest.approx(8000 * (LAUNCH + TANK), rel=1e-9)
    assert result.isru_mass == 0
    assert result.costs["launch"] == pytest.approx(8200 * LAUNCH)
    assert sum(result.costs.values()) == pytest.approx(result.cost)
    assert result.bounds.kind == "solver"  # branch and cut holds to its tolerances
    assert result.bounds.gap < 1e-6


@pytest.mark.parametrize(
    ("place", "kg", "delta_v", "flights"),
    [("GEO", 5000.0, 4.33, 1), ("EML1", 5000.0, 3.77, 1), ("Moon", 1000.0, 3.77 + 2.51, 2)],
)
def test_one_stage_flies_by_the_rocket_equation(place, kg, delta_v, flights):
    campaign = small({(place, "water"): kg}).with_values(first_plant_price=1e9)
    result = solve_campaign(campaign, rel_gap=0)
    propellant = burnt(6000 + kg * (1 + 1 / 40), delta_v)
    assert result.cost == pytest.approx(
        STAGE + flights * FLIGHT + kg * (LAUNCH + TANK) + propellant * PROPELLANT, rel=1e-6
    )
    moves = result.flights
    assert moves.groupby("launch")["stages"].sum().tolist() == [flights, 1]
    assert moves.loc[moves["launch"], "propellant"].sum() == pytest.approx(propellant, rel=1e-6)


def test_gases_fly_in_tanks_and_own_propellant_is_an_option():
    demand = {("EML1", "oxygen"): 5500.0, ("EML1", "hydrogen"): 1000.0}
    cargo = solve_campaign(small(demand), rel_gap=0)
    mass = 6500 * (1 + 1 / 1.478)
    goods = 5500 * 0.15 + 1000 * 5.97 + 6500 / 1.478 * 1869
    expected = STAGE + FLIGHT + mass * LAUNCH + goods + burnt(6000 + mass, 3.77) * PROPELLANT
    assert cargo.cost == pytest.approx(expected, rel=1e-6)
    own = solve_campaign(small(demand, reading=Reading(initial="none", delivers_own_propellant=True)), rel_gap=0)
    without = STAGE + FLIGHT + (6500 + burnt(6000 + 6500, 3.77)) * PROPELLANT
    assert own.cost == pytest.approx(without, rel=1e-6)


def test_who_pays_for_the_launch_of_a_stage():
    demand = {("GEO", "water"): 1000.0}
    paid, free = (
        solve_campaign(small(demand, reading=Reading(initial="none", launch_of_stage_paid=p)), rel_gap=0).cost
        for p in (True, False)
    )
    assert paid - free == pytest.approx(6000 * LAUNCH)


def test_the_initial_plant_is_paid_and_kept_up():
    demand = {("LEO", "water"): 1.0}
    kept = solve_campaign(small(demand, reading=Reading()), rel_gap=0)
    mass = 50.0  # 5 % of 1,000 kg in a year; it flies to the Moon
    moved = STAGE + 2 * FLIGHT + burnt(6000 + mass, 3.77 + 2.51) * PROPELLANT
    assert kept.cost == pytest.approx(10e6 + mass * (10_000 + LAUNCH) + moved + LAUNCH + TANK, rel=1e-6)
    assert kept.isru_mass == 1000
    uncounted = solve_campaign(small(demand, reading=Reading(initial_counts=False)), rel_gap=0)
    assert uncounted.isru_mass == 0


def test_curves_by_hand():
    campaign = Campaign(changes={"volume_discount": 0.1, "cost_discount": 0.2, "interval": 1000.0})
    makes, price = output_curve(campaign, "SWE"), price_curve(campaign, "SWE")
    np.testing.assert_allclose(makes([1000, 1500, 2000]), [10_500, 10_500 + 5775, 10_500 + 11_550])
    np.testing.assert_allclose(price([1, 1000, 2000, 2500]), [10e6, 10e6, 18e6, 18e6 + 500 * 6400])
    assert output_curve(campaign, "DWE")(1000) == 35_000
    assert makes.is_convex
    wide = price_curve(campaign.with_values(interval=3000.0), "SWE")
    np.testing.assert_allclose(wide([1000, 3000, 4000]), [10e6, 30e6, 30e6 + 8e6])


@pytest.fixture(scope="module")
def plant_pays():
    """Two years of water on the Moon with stages so dear that a plant pays."""
    campaign = Campaign(
        years=2, setup=True, demand={("Moon", "water"): 30_000.0}, changes={"new_stages": 2.0, "most_stages": 3.0}
    )
    return solve_campaign(campaign, rel_gap=0.02, time_limit=20)


def test_the_plan_keeps_every_rule(plant_pays):
    result, out = plant_pays, plant_pays.flows.out
    network = result.program.expanded.network
    for block, excess in violation(network, out).items():
        assert excess.max(initial=0) < 1e-2, block
    assert result.sizes["SWE", "Moon"] > 1000
    makes = float(output_curve(result.campaign, "SWE")(result.sizes["SWE", "Moon"]))
    work = result.work
    assert (work["feed"] <= makes / 2 * (1 + 1e-6)).all()
    delivered = result.flights.query("head == 'Moon'")["extraction plant"].sum()
    assert delivered == pytest.approx(result.sizes["SWE", "Moon"] - 1000, abs=0.1)
    landed = result.flights.query("head == 'Moon'")["water"].sum()
    assert work["feed"].sum() + landed >= 30_000 - 0.1
    flown = result.flights.query("~launch")
    assert (flown["propellant"] <= 65_000 * flown["stages"] + 0.1).all()
    assert result.bounds.lower <= result.cost == result.bounds.upper


def test_distributed_is_never_above_concentrated_and_contains_it(plant_pays):
    distributed = solve_campaign(
        plant_pays.campaign.replace(architecture="distributed"), rel_gap=0.02, time_limit=5, starts=[plant_pays]
    )
    assert distributed.cost <= plant_pays.cost * (1 + 1e-9)
    assert distributed.bounds.lower <= distributed.cost
    assert distributed.concentrated is plant_pays
    assert set(distributed.sizes) == {("SWE", "Moon"), ("DWE", "Moon"), ("DWE", "EML1")}
    carried = distributed.program.carried(plant_pays.program, plant_pays.x)
    assert carried @ distributed.program.program.objective == pytest.approx(plant_pays.cost, rel=1e-9)


def test_relaxations_and_optima_are_ordered():
    base = small({("GEO", "water"): 4000.0})
    forms = ("interval", "convex-combination", "incremental")
    relaxed = {}
    for form in forms:
        program = campaign_program(base.replace(reading=Reading()), formulation=form).program
        relaxed[form] = solve(program.__class__(**{**program.__dict__, "integer": np.zeros_like(program.integer)}))
    values = [relaxed[form].objective for form in forms]
    np.testing.assert_allclose(values, values[0], rtol=1e-6)
    loose = campaign_program(base.replace(reading=Reading()), common_bound=50_000.0).program
    assert solve(loose.__class__(**{**loose.__dict__, "integer": np.zeros_like(loose.integer)})).objective <= values[0]
    optima = [solve_campaign(base, rel_gap=1e-4, formulation=form).cost for form in forms[:2]]
    np.testing.assert_allclose(optima, optima[0], rtol=2e-4)
    more = {key: 1.2 * kg for key, kg in base.yearly.items()}
    assert solve_campaign(base.replace(demand=more), rel_gap=1e-4).cost > optima[0]


def test_network_over_time():
    campaign = Campaign(years=3, setup=True)
    expanded = campaign_network(campaign)
    assert expanded.steps == 7 * 4
    demand = np.minimum(expanded.network.supply, 0.0).sum(axis=1).reshape(expanded.steps, -1).sum(axis=1)
    assert np.flatnonzero(demand).tolist() == [2 * 2 * 4 + 3, 3 * 2 * 4 + 3]
    assert demand.sum() == pytest.approx(-2 * sum(demands().values()))
    with_first = campaign_network(campaign.replace(setup=False))
    assert np.minimum(with_first.network.supply, 0.0).sum() == pytest.approx(-3 * sum(demands().values()))


#: What each number that the paper gives is called in the transcription of its Table 4 and Eqs 38-40.
TRANSCRIBED = {
    "isp": "Isp",
    "mixture": "propellant mixture",
    "stage_propellant": "spacecraft propellant capacity",
    "stage_dry_mass": "spacecraft structure mass",
    "new_stages": "spacecraft available on Earth",
    "water_per_tank": "water tank",
    "cryo_per_tank": "propellant tank",
    "spares": "ISRU maintenance",
    "launch_price": "launch to LEO",
    "stage_price": "spacecraft manufacturing",
    "flight_price": "spaceflight operation",
    "water_tank_price": "water tank cost",
    "cryo_tank_price": "propellant tank cost",
    "oxygen_price": "oxygen on Earth",
    "hydrogen_price": "hydrogen on Earth",
    "spares_price": "spares",
    "extraction_rate": "SWE rate",
    "electrolysis_rate": "DWE rate",
    "volume_discount": "productivity gain per interval",
    "interval": "productivity interval",
    "plant_price": "manufacturing cost",
    "cost_discount": "cost loss per interval",
    "initial_plant": "initial plant",
}


def test_every_number_is_the_papers_or_says_that_it_is_a_reading():
    lines = {row["parameter"]: row for row in assumptions()}
    given = {key: one for key, one in parameters().items() if one.status == "given"}
    for one in parameters().values():
        assert one.status in {"given", "reading", "search"}
        assert one.lower <= one.value <= one.upper, one.key
        assert one.unit
        assert one.source
    for key, name in TRANSCRIBED.items():
        assert given.pop(key).value == pytest.approx(float(lines[name]["value"]), rel=1e-12), key
    # The first breakpoint of Eq 40, where the curve of costs begins to rise.
    assert given.pop("first_plant_mass").value == float(lines["cost intervals"]["value"].split(",")[0])
    assert not given, "every number that is called the paper's stands in the transcription"
    assert lines["time window"]["value"] == "6"


def test_demands_and_results_are_those_of_tables_3_and_5():
    assert demands() == {
        ("GEO", "payload"): 25_000,
        ("GEO", "oxygen"): 5_000,
        ("EML1", "oxygen"): 5_000,
        ("Moon", "payload"): 15_000,
    }
    assert published() == {
        ("concentrated", False): (2.922e9, 11_028),
        ("distributed", False): (2.916e9, 11_601),
        ("concentrated", True): (2.147e9, 6_300),
        ("distributed", True): (2.083e9, 9_295),
    }


def relaxed(program):
    return solve(replace(program, integer=np.zeros_like(program.integer))).objective


def test_a_lag_of_half_a_year_puts_the_relaxation_above_the_papers_cost():
    lagged = campaign_program(Campaign(reading=Reading(same_half_year=False)), counts=False).program
    assert relaxed(lagged) / 1e9 == pytest.approx(2.954, abs=6e-4)
    assert relaxed(lagged) > published()["concentrated", False][0]


def test_plants_in_any_window_can_only_help():
    campaign = Campaign(years=2, demand={("Moon", "oxygen"): 20_000.0})
    any_window = campaign.replace(reading=Reading(plants_in_any_window=True))
    assert len(any_window.builds) == 2 * 4
    first, more = (relaxed(campaign_program(c, counts=False).program) for c in (campaign, any_window))
    assert more <= first * (1 + 1e-9)


@pytest.mark.parametrize(
    ("architecture", "setup", "billion"),
    [
        ("concentrated", False, 2.587),
        ("distributed", False, 2.455),
        ("concentrated", True, 1.689),
        ("distributed", True, 1.557),
    ],
)
def test_relaxations_are_those_of_another_model_of_the_same_reading(architecture, setup, billion):
    plain = campaign_program(Campaign(architecture=architecture, setup=setup), counts=False).program
    assert relaxed(plain) / 1e9 == pytest.approx(billion, abs=6e-4)
    cut = campaign_program(Campaign(architecture=architecture, setup=setup)).program
    assert relaxed(cut) >= relaxed(plain)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "both"}, "architecture: must be one of concentrated, distributed, got 'both'"),
        ({"years": 0}, "years: must be an integer >= 1 and <= 10, got 0"),
        ({"years": 1, "setup": True}, "years: must be >= 2 with a set-up year, got 1"),
        ({"changes": {"isp": 1.0}}, r"isp: must be in \[100, 2000\] s, got 1.0"),
        ({"changes": {"ispp": 1.0}}, "parameter: must be one of isp"),
        ({"changes": {"new_stages": 1.5}}, "new_stages: must be a whole number of stages"),
        ({"demand": {("Mars", "water"): 1.0}}, "demand place: must be one of"),
        ({"demand": {("GEO", "water"): -1.0}}, r"demand of water at GEO: must be in \[0, 1e9\) kg/yr"),
    ],
)
def test_bad_campaigns(changes, message):
    with pytest.raises(InputError, match=message):
        Campaign(**changes)


def test_demand_that_cannot_be_met_is_named():
    with pytest.raises(InputError, match="demand: cannot be met in time"):
        solve_campaign(small({("Moon", "water"): 1e7}))


def tiny_sweep(**changes):
    base = small({("LEO", "water"): 2000.0})
    return Sweep(**{"base": base, "parameters": ("productivity",), "values": (1.0, 2.0), "phases": (False,)} | changes)


def test_sweep_is_resumed_where_it_stopped(tmp_path):
    sweep = tiny_sweep()
    done = run_sweep(sweep, Execution(checkpoint=tmp_path / "s"))
    assert [(r["value"], r["architecture"]) for r in done] == [
        (v, a) for v in (1.0, 2.0) for a in ("concentrated", "distributed")
    ]
    lines = (tmp_path / "s" / "points.jsonl").read_text().splitlines()
    (tmp_path / "s" / "points.jsonl").write_text(lines[0] + "\n" + lines[1][:20])
    again = run_sweep(sweep, Execution(checkpoint=tmp_path / "s", resume=True))
    drop = [{k: v for k, v in r.items() if k != "seconds"} for r in (*done, *again)]
    assert drop[:4] == drop[4:]
    with pytest.raises(InputError, match="belongs to another study"):
        run_sweep(tiny_sweep(rel_gap=0.5), Execution(checkpoint=tmp_path / "s", resume=True))


def test_sweep_shares_points_and_leaves_out_what_is_not_possible():
    sweep = Sweep(parameters=tuple(SWEEPS))
    assert len(sweep.cells) > len(sweep.points)
    assert sweep.phases_of({"years": 1}) == [False]
    assert sweep.phases_of({"years": 2}) == [False, True]
    assert sweep.campaign(sweep.point("productivity", 2.0))["extraction_rate"] == 21.0
    with pytest.raises(InputError, match="years: must be whole years"):
        Sweep(values=(1.5,))
    with pytest.raises(InputError, match="parameter: must be one of"):
        Sweep(parameters=("weather",))


def test_command(run_cli, tmp_path):
    tiny = ("--years", "1", "--demand", "LEO:water=2000", "--set", "new_stages=1", "--set", "most_stages=2")
    out = run_cli("campaign", "--architecture", "distributed", *tiny, "--initial", "none", "--json", "-",
                  "--figure", "plan.png", check=0)  # fmt: skip
    data = json.loads(out.stdout)
    assert {"cost", "isru_mass", "bounds", "size"} <= set(data)
    assert set(data["bounds"]) == {"lower", "upper", "gap", "certified", "kind", "of"}
    assert data["bounds"]["lower"] <= data["cost"] <= data["concentrated"]["cost"] * (1 + 1e-9)
    assert "brackets that do not overlap" in data["note"]
    assert out.stderr == ""
    assert (tmp_path / "plan.png").stat().st_size > 1000
    text = run_cli("campaign", "--architecture", "both", *tiny, "--initial", "none", check=0).stdout
    assert "brackets that do not overlap" in " ".join(text.split())
    for call, message in (
        (("campaign", "--architecture", "scattered"), "architecture: must be one of"),
        (("campaign", "--set", "isp"), "set: must be PARAMETER=VALUE"),
        (("campaign", "--demand", "GEO=1"), "demand: must be PLACE:COMMODITY=KG"),
        (("campaign", "--formulation", "big-m"), "formulation: must be one of"),
        (("campaign-sweep", "--parameter", "weather"), "parameter: must be one of"),
    ):
        bad = run_cli(*call, check=2)
        assert message in bad.stderr
        assert len(bad.stderr.strip().splitlines()) == 1


def test_sweep_command_draws(run_cli, tmp_path):
    run_cli("campaign-sweep", "--parameter", "productivity", "--values", "1", "--phases", "without",
            "--demand", "LEO:water=2000", "--set", "new_stages=1", "--set", "initial_plant=0", "--out", "s",
            check=0)  # fmt: skip
    assert (tmp_path / "s" / "figures" / "productivity.png").exists()
    assert len((tmp_path / "s" / "tables" / "sweep.csv").read_text().splitlines()) == 3


def test_table_5_leaves_published_empty_for_other_horizons():
    result = solve_campaign(small({("LEO", "water"): 1.0}))
    assert table_5([result])["Table 5"].isna().all()


def test_plan_is_drawn_with_its_flights(plant_pays):
    from stochisru.worked.cislunar.figures import campaign_plan

    figure = campaign_plan(plant_pays)
    text = " ".join(t.get_text() for t in figure.axes[0].texts)
    assert all(place in text for place in ("Earth", "LEO", "GEO", "EML1", "Moon"))
    assert "SWE" in text
    arrows = [patch for patch in figure.axes[0].patches if type(patch).__name__ == "FancyArrowPatch"]
    assert len(arrows) == (~plant_pays.flights["launch"]).sum()
    renderer = figure.canvas.get_renderer()
    for ax in figure.axes:
        boxes = [t.get_window_extent(renderer) for t in ax.texts if t.get_text()]
        assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[i + 1 :])


WATER = Campaign(years=1, demand={("Moon", "water"): 10_000.0})
TWO = parse_scenarios("0.5:0.5,1.5:0.5")


def test_two_stages_lie_between_perfect_information_and_the_means_plan():
    result = solve_scenarios(WATER, TWO, rel_gap=0.1, time_limit=10)
    assert result.ws.lower <= result.rp.lower <= result.rp.upper <= result.eev.upper * (1 + 1e-9)
    assert result.ws.upper <= result.rp.upper
    assert 0 <= result.vss[0] <= result.vss[1]
    assert 0 <= result.evpi[0] <= result.evpi[1]
    assert np.dot([s.probability for s in TWO], result.costs) == pytest.approx(result.rp.upper, rel=1e-6)
    data = result.to_dict()
    assert data["cost"] == data["bounds"]["upper"]


def test_one_scenario_is_the_campaign_itself():
    single = campaign_program(WATER, counts=False)
    joint = extensive_form(single, [Scenario(1.0, 1.0)]).joint
    assert joint.program.shape == single.program.shape
    relaxed = [
        solve(p.__class__(**{**p.__dict__, "integer": np.zeros_like(p.integer)})).objective
        for p in (single.program, joint.program)
    ]
    assert relaxed[0] == pytest.approx(relaxed[1], rel=1e-9)


def test_launches_that_slip_cost_more_and_are_planned_for():
    """Two years of water on the Moon, the second window without a launch."""
    single = campaign_program(WATER, counts=False)
    late = under(single, Scenario(1.0, 1.0, 1))
    closed = np.flatnonzero(late.upper < single.program.upper)
    launches = {
        single.expanded.base.arcs[a] for a in single.expanded.arc[np.isin(single.assembly.x_out, closed).any(1)]
    }
    assert launches == {"launch", "propellant launch"}
    assert solve(replace(late, integer=np.zeros_like(late.integer))).objective >= relaxed(single.program) * (1 - 1e-9)
    result = solve_scenarios(WATER, parse_scenarios("1:0.7,1:0.3@1"), rel_gap=0.02, time_limit=10)
    assert result.ws.lower <= result.rp.lower <= result.rp.upper <= result.eev.upper * (1 + 1e-9)
    assert result.costs[1] >= result.costs[0] * (1 - 0.02)
    with pytest.raises(InputError, match="a window whose launches slip or fail must be <= 2, got 3"):
        solve_scenarios(WATER, parse_scenarios("1:0.7,1:0.3@3"))


def test_launches_that_fail_are_known_when_they_have_left():
    """Two windows of launches to LEO: what the second brings is lost with probability 0.25, the third makes up for it.

    Nobody launches in the second window then: by hand, all leaves in the first or the third at the same price. Where
    the first window must not launch, the second is tried in vain, at the price of what it carries.
    """
    case = Campaign(years=1, demand={("LEO", "payload"): 1000.0}, reading=NO_PLANT)
    cases = parse_scenarios("1:0.75,1:0.25!1")
    assert cases[1].lost == 1
    single = campaign_program(case, counts=False)
    extensive = extensive_form(single, cases)
    paid = 1000.0 * LAUNCH
    assert solve(relaxation_of(extensive.joint.program)).objective == pytest.approx(paid)
    expanded, x_out = single.expanded, single.assembly.x_out
    payload = x_out[:, expanded.network.commodity("payload")]
    leaves = expanded.arc == expanded.base.arc("launch")
    at = dict(zip(expanded.departure[leaves] // 4, payload[leaves], strict=True))
    assert extensive.common[1][at[1]]
    assert not extensive.common[1][at[2]]
    joint = extensive.joint
    lower, upper = joint.program.lower.copy(), joint.program.upper.copy()
    upper[joint.columns[0][at[0]]] = 0.0
    upper[joint.columns[0][at[2]]] = 0.0  # no more waiting where all goes well
    forced = joint.program.with_bounds(lower, upper)
    assert solve(relaxation_of(forced)).objective == pytest.approx(paid + 0.25 * paid)
    result = solve_scenarios(case, cases, time_limit=20)
    assert result.rp.upper == pytest.approx(paid)
    assert result.ws.upper == pytest.approx(paid)
    assert paid * (1 - 1e-9) <= result.eev.upper <= 1.25 * paid * (1 + 1e-9)


def relaxation_of(program):
    return replace(program, integer=np.zeros_like(program.integer))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1", "must be FACTOR:PROBABILITY"),
        ("1:0.5,2:0.4", "must sum to 1, got 0.9"),
        ("1:0.5,1:0.5", "must be different factors"),
        ("1:1@x", r"must be FACTOR:PROBABILITY\[@WINDOW or !WINDOW\]"),
        ("1:0.5,1:0.5!-1", "slip or fail must be >= 1, got -1"),
        ("1:0.5@1,1:0.5@1", "must be different factors of demand or windows"),
        ("-1:1", r"a factor of demand must be in \(0, 10\]"),
    ],
)
def test_bad_scenarios(text, message):
    with pytest.raises(InputError, match=message):
        parse_scenarios(text)


def knapsack():
    builder = ProgramBuilder("knapsack", "maximise")
    x = builder.variables("x", 3, lower=0, upper=1, objective=[5, 4, 3], integer=True)
    builder.rows("weight", -np.inf, 5.0, (np.zeros(3, int), x.index, np.array([2.0, 3.0, 1.0])))
    return builder.build()


def test_programs_can_be_extended_and_started():
    program = knapsack()
    same = ProgramBuilder.extending(program).build()
    assert (same.matrix != program.matrix).nnz == 0
    assert same.columns == program.columns
    assert same.rows == program.rows
    builder = ProgramBuilder.extending(program)
    more = builder.variables("y", 1, lower=0, upper=1, objective=10, integer=True)
    builder.rows("either", -np.inf, 1.0, (np.zeros(2, int), np.array([0, more.start]), np.ones(2)))
    longer = builder.build()
    assert solve_mixed(longer, rel_gap=0).objective == 17
    assert solve_mixed(program, rel_gap=0, start=np.array([1.0, 0.0, 0.0])).objective == 9
    with pytest.raises(InputError, match="start: must be 3 numbers, one per variable, got 2"):
        solve_mixed(program, rel_gap=0, start=np.zeros(2))


def test_burns_count_the_mass_of_what_is_no_kilogram():
    matrix = Burn(3.77, 420, {"fuel": 1.0}, {"stage": 6000.0}).matrix(["stage", "fuel", "cargo"])
    phi = 1 - exp(-3770 / (STANDARD_GRAVITY * 420))
    np.testing.assert_allclose(matrix[1], [-6000 * phi, 1 - phi, -phi])
    np.testing.assert_allclose(matrix[0], [1, 0, 0])


def test_sweep_over_both_phases_and_architectures(run_cli):
    arguments = ["--parameter", "duration", "--values", "2", "--demand", "Moon:water=9999", "--time-limit", "2"]
    outcome = run_cli("campaign-sweep", *arguments, "--rel-gap", "0.05", "--json", "-", check=0)
    rows = json.loads(outcome.stdout)["rows"]
    cost = {(row["architecture"], row["setup"]): row["cost"] for row in rows}
    assert len(cost) == 4
    for setup in (False, True):
        assert cost["distributed", setup] <= cost["concentrated", setup] * (1 + 1e-9)
    for architecture in ("concentrated", "distributed"):
        assert cost[architecture, True] <= cost[architecture, False] * (1 + 1e-9)
    assert all(0 <= row["lower"] <= row["cost"] for row in rows)


def test_table_5_is_beside_its_own_campaign_only():
    assert published_cell(Campaign()) is not None
    assert published_cell(Campaign(demand={("Moon", "water"): 1.0})) is None
    assert published_cell(Campaign().with_values(isp=450)) is None
    assert published_cell(Campaign(years=2)) is None


@pytest.mark.parametrize("solver", ["highs", "gurobi"])
@pytest.mark.parametrize("integer", [False, True])
def test_programs_without_a_solution_say_so_by_their_error(solver, integer):
    if solver == "gurobi":
        pytest.importorskip("gurobipy")
    builder = ProgramBuilder("nothing", "minimise")
    x = builder.variables("x", 1, lower=0, upper=1, objective=1.0, integer=integer)
    builder.rows("too much", 2.0, np.inf, (np.zeros(1, dtype=int), x.index, np.ones(1)))
    with pytest.raises(InfeasibleError, match=f"nothing: {solver} ended with status"):
        solve_mixed(builder.build(), rel_gap=0.0, solver=solver) if integer else solve(builder.build(), solver)


def test_a_search_without_time_says_so_by_its_error():
    with pytest.raises(TimeLimitError, match="highs ended with status 'Time limit reached'"):
        solve_mixed(campaign_program(Campaign()).program, rel_gap=0.0, time_limit=1e-3)
