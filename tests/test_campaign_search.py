"""The search for campaigns: cutoffs against optima, proofs against whole programs, time by a clock of its own."""

import json
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from stochisru.errors import InfeasibleError, InputError, TimeLimitError
from stochisru.limits import Limit
from stochisru.programs.effort import Budget
from stochisru.programs.sparse import ProgramBuilder, solve, solve_mixed
from stochisru.worked.cislunar import campaign as campaigns
from stochisru.worked.cislunar import levels, plans, search
from stochisru.worked.cislunar.campaign import solve_campaign
from stochisru.worked.cislunar.parameters import Campaign, Reading
from stochisru.worked.cislunar.program import campaign_program
from stochisru.worked.cislunar.signs import signs
from stochisru.worked.cislunar.units import solve_campaign_program

SMALL = Campaign(
    years=1,
    demand={("EML1", "water"): 40_000.0},
    changes={"new_stages": 1.0, "most_stages": 2.0},
    reading=Reading(initial="none", return_to_leo=False),
)


@pytest.mark.parametrize("solver", ["highs", "gurobi"])
@pytest.mark.parametrize("sense", ["minimise", "maximise"])
@pytest.mark.parametrize("constant", [0.0, 100.0])
def test_a_cutoff_excludes_what_is_not_better(solver, sense, constant):
    if solver == "gurobi":
        pytest.importorskip("gurobipy")
    least = sense == "minimise"
    builder = ProgramBuilder("lots", sense, constant)
    x = builder.variables("x", 3, lower=0, upper=5, objective=[3.0, 5.0, 5.5], integer=True)
    weight = (np.zeros(3, int), x.index, np.array([2.0, 3.0, 4.0]))
    builder.rows("weight", 7.5 if least else -np.inf, np.inf if least else 7.5, weight)
    program = builder.build()
    best = solve_mixed(program, rel_gap=0, solver=solver).objective
    assert best == pytest.approx(11 + constant)  # 2·3 + 5 with 7 or 8 of weight, by hand
    worse, better = (best + 0.3, best - 0.3) if least else (best - 0.3, best + 0.3)
    assert solve_mixed(program, rel_gap=0, cutoff=worse, solver=solver).objective == pytest.approx(best)
    with pytest.raises(InfeasibleError, match="no solution is better than"):
        solve_mixed(program, rel_gap=0, cutoff=better, solver=solver)


def test_bad_limits_are_refused():
    with pytest.raises(InputError, match="cutoff: must be a finite number"):
        solve_mixed(campaign_program(SMALL).program, rel_gap=0.1, cutoff=math.inf)
    with pytest.raises(InputError, match="time_limit: must be > 0 seconds"):
        Budget(0.0)


def test_a_clock_divides_its_time():
    time = iter([10.0, 12.0, 13.0, 13.0, 30.0])
    clock = Budget(8.0, lambda: next(time))
    assert clock.spent == 2.0
    assert clock.until(0.5) == 1.0
    assert clock.left == 5.0
    assert clock.left == 0.0


def test_stages_bought_early_cost_no_more():
    program = campaign_program(SMALL)
    level = levels.levels_of(program, -np.inf, Budget(5.0), "highs")[1]
    both = [solve_campaign_program(part, rel_gap=0).objective for part in (level.program, level.proof)]
    assert both[1] == pytest.approx(both[0], rel=1e-6)
    assert level.bound <= both[0] * (1 + 1e-6)
    bought = program.program.columns["bought"].index
    assert level.stages == 2
    assert level.proof.lower[bought].tolist() == [1, 2, 2]


@pytest.mark.parametrize(
    ("campaign", "fleet"),
    [
        (SMALL, 2),
        pytest.param(
            SMALL.replace(demand={("GEO", "payload"): 12_000.0, ("EML1", "oxygen"): 2000.0}, reading=Reading("none")),
            1,
            marks=pytest.mark.slow,
        ),
        pytest.param(
            SMALL.replace(demand={("EML1", "oxygen"): 9000.0}, architecture="distributed", reading=Reading()),
            1,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_cuts_leave_a_best_plan(campaign, fleet):
    """Of all plans with so many stages, which the program without cuts is told by bounds."""
    plain, cut = campaign_program(campaign, counts=False), campaign_program(campaign, fleet=fleet)
    launch = plain.expanded.arc == plain.expanded.base.arc("launch")
    stages = plain.assembly.x_out[launch, plain.expanded.network.commodity("stage")]
    builder = ProgramBuilder.extending(plain.program)
    there = stages[stages >= 0]
    builder.rows("fleet", -np.inf, np.array([float(fleet)]), (np.zeros(there.size, int), there, 1.0))
    least = solve_campaign_program(builder.build(), rel_gap=1e-6)
    upper = cut.program.upper.copy()
    bought = cut.program.columns["bought"].index
    upper[bought] = np.minimum(upper[bought], fleet)
    other = solve_campaign_program(cut.program.with_bounds(cut.program.lower, upper), rel_gap=1e-6)
    assert other.objective == pytest.approx(least.objective, rel=1e-5)
    linear = [solve(replace(p, integer=np.zeros_like(p.integer))).objective for p in (plain.program, cut.program)]
    assert linear[0] <= linear[1] * (1 + 1e-9)


@pytest.fixture(scope="module")
def optimum():
    return solve_campaign_program(campaign_program(SMALL).program, rel_gap=0)


def test_the_bound_holds_and_the_gap_is_kept(optimum):
    result = solve_campaign(SMALL, rel_gap=0.01, time_limit=60)
    assert result.bounds.lower <= optimum.objective * (1 + 1e-9) <= result.cost * (1 + 2e-9)
    assert result.bounds.gap <= 0.01


class Slow:
    """A solver that needs all the time it is given, and finds nothing but what it was started from."""

    def __init__(self):
        self.now, self.calls = 0.0, []

    def clock(self):
        return self.now

    def __call__(self, program, *, rel_gap, time_limit, start=None, cutoff=None, solver="highs"):
        self.now += 1.01 * time_limit
        self.calls.append(cutoff)
        if start is None:
            raise TimeLimitError("no time", bound=1.0)
        return replace(search._plan_at(program, start, solver), limit=Limit.TIME)


@pytest.fixture
def slow(monkeypatch):
    found = Slow()
    for module in (search, levels, plans):
        monkeypatch.setattr(module, "solve_campaign_program", found)
    monkeypatch.setattr(campaigns, "Budget", partial(Budget, now=found.clock))
    return found


def test_time_limits_are_those_of_the_whole(slow, optimum):
    start = campaigns._result(campaign_program(SMALL), optimum, optimum, 0.0, None)
    for architecture in ("concentrated", "distributed"):
        case = SMALL.replace(architecture=architecture, changes={**SMALL.changes, "flight_price": 0.6e6})
        began = slow.now
        result = solve_campaign(case, rel_gap=0.0, time_limit=150.0, starts=[start])
        assert 0.3 * 150 < slow.now - began <= 1.1 * 150
        assert result.seconds == pytest.approx(slow.now - began)
    assert any(cutoff is not None for cutoff in slow.calls)


def test_a_rough_start_takes_no_more_than_its_share(slow):
    case = SMALL.replace(years=2, setup=True)
    found = campaigns._without_setup(case, [], Budget(30.0, slow.clock), "interval", "highs", lambda _: None)
    assert found == []
    assert slow.now <= 1.1 * 30


def test_proofs_go_half_way_each_time(monkeypatch):
    """A solver that can prove 90 % of the cost and no more: steps double up to half of the gap, then they narrow."""
    program = campaign_program(SMALL).program
    asked = []

    def prover(program, *, rel_gap, time_limit, start=None, cutoff=None, solver="highs"):
        asked.append(cutoff)
        if cutoff <= 90.0:
            raise InfeasibleError("none")
        raise TimeLimitError("no time", bound=85.0)

    monkeypatch.setattr(search, "solve_campaign_program", prover)
    plan = replace(search._plan_at(program, np.zeros(program.shape[1]), "highs"), objective=100.0)
    found = [levels.Level(1, program, program, 20.0), levels.Level(2, program, program, 70.0)]
    effort = search._Effort(Budget(1e6), 0.01, "highs", lambda _: None)
    search._proven(found, plan, effort)
    assert asked[:5] == pytest.approx([24.0, 32.0, 48.0, 74.0, 85.0], rel=1e-6)
    least = min(one.bound for one in found)
    assert 89.9 <= least <= 90.0 + 1e-9
    assert max(asked) < 100


def _row(parameter, value, architecture, lower, cost, *, setup=False):
    return {
        "parameter": parameter, "value": value, "architecture": architecture, "setup": setup, "lower": lower,
        "cost": cost,
    }  # fmt: skip


def test_signs_are_read_off_brackets():
    rows = [
        _row("interval", 1000, "concentrated", 10.0, 11.0),
        _row("interval", 1000, "distributed", 8.0, 9.5),
        _row("interval", 6000, "concentrated", 15.0, 16.0),
        _row("interval", 6000, "distributed", 9.0, 10.0),
        _row("cost-discount", 0.0, "concentrated", 5.0, 6.0),
        _row("cost-discount", 0.2, "concentrated", 6.0, 7.0),
        _row("productivity", 0.5, "distributed", 10.0, 10.0),
        _row("productivity", 2.0, "distributed", 6.0, 7.0),
        _row("productivity", 0.5, "distributed", 10.0, 10.0, setup=True),
        _row("productivity", 2.0, "distributed", 5.0, 6.5, setup=True),
        _row("duration", 3.0, "distributed", 5.0, 6.5),
    ]
    found = {(s.figure, s.statement.split(" ")[0], s.of): s.verdict for s in signs(rows)}
    assert found[13, "distributed", "without set-up, at 1000"] == "holds"
    assert found[13, "cost", "concentrated, without set-up, 1000 to 6000"] == "holds"
    assert found[13, "cost", "distributed, without set-up, 1000 to 6000"] == "undecided"
    assert found[13, "the", "without set-up, 1000 to 6000"] == "holds"  # from at most 3 to at least 5
    assert found[12, "cost", "concentrated, without set-up, 0 to 0.2"] == "contradicted"
    assert found[10, "cost", "distributed, with set-up, 0.5 to 2"] == "holds"
    assert found[10, "distributed", "last cost over the first"] == "undecided"
    assert not [key for key in found if key[0] in (9, 11)]


def test_cost_at_other_masses(run_cli):
    arguments = ["--demand", "LEO:water=2000", "--years", "1", "--set", "new_stages=1", "--masses", "1000,900"]
    outcome = run_cli("campaign", *arguments, "--json", "-", check=0)
    data = json.loads(outcome.stdout)
    own, other = data["cost_at_mass"]
    assert data["isru_mass"] == own["isru_mass"] == 1000
    assert own["cost"] == pytest.approx(data["cost"], rel=1e-6)
    assert other["cost"] is None  # the initial plant cannot be less
    bad = run_cli("campaign", "--masses", "1", "--scenarios", "1:1", check=2)
    assert "masses: is of one plan, must not be given with --scenarios" in bad.stderr
