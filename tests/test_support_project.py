"""A project of given size: closed forms of perpetual investments, trees, and the sides of a subsidy."""

import json
from typing import Any

import numpy as np
import pytest

from scenario_trees import ScenarioTree
from scenario_trees.quantization import EqualProbability
from stochisru import InputError, load_case
from stochisru.cli.main import main
from stochisru.lunar.case import problem_from_dict
from stochisru.lunar.project import Project, hurdle_rate, project, value_to_cost
from stochisru.lunar.studies.support import implied_volatility, support_lines
from stochisru.values import values
from tests.test_by_year import BASE, case_of


@pytest.mark.parametrize(("sigma", "percent"), [(0.2, 15.6), (0.3, 19.3), (0.424, 25.0), (0.5, 29.1)])
def test_hurdles_of_dixit(sigma: float, percent: float) -> None:
    assert 100 * hurdle_rate(0.10, 0.0, sigma) == pytest.approx(percent, abs=0.05)


def test_the_multiple_of_mcdonald_and_siegel() -> None:
    assert value_to_cost(0.04, 0.0, 0.2) == pytest.approx(2.0, rel=1e-12)
    with pytest.raises(InputError, match="mu: must be < rho"):
        value_to_cost(0.04, 0.04, 0.2)


def perpetual(rho: float, sigma: float, per_year: int, years: int, cost: float = 1.0) -> Any:
    """A plant that sells all that is wanted, at once and for long."""
    return problem_from_dict(
        {
            "name": "perpetual",
            "horizon": {"T": years * per_year, "lead_time": 0, "step": 1 / per_year},
            "economics": {"r": float(np.expm1(rho)), "P_m": 1.0},
            "technology": {"eta": 1.0, "alpha": 1.0},
            "costs": {"c_L": 0.0, "c_dev": cost, "c_op": 0.0, "c_bu": 0.0, "c_S": 0.0, "c_by": 0.0, "c_E": 0.0},
            "demand": {"D0": 1.0, "mu": 0.0, "sigma": sigma},
        }
    )


@pytest.mark.parametrize(("rho", "sigma"), [(0.10, 0.3), (0.10, 0.2)])
def test_a_perpetual_flow_is_built_at_the_multiple_in_continuous_time(rho: float, sigma: float) -> None:
    """Who decides once a year builds at a lower multiple, by exp(−0.5826·σ·√dt) (Broadie, Glasserman and Kou 1997)."""
    plant = 1e4
    worth = Project(perpetual(rho, sigma, 1, 60), plant).value
    found = Project(perpetual(rho, sigma, 1, 60, worth / plant), plant)
    assert found.value == pytest.approx(found.bill)
    assert found.to_earn == pytest.approx(0.0, abs=1e-9)
    share = found.to_build_now
    assert share is not None
    multiple = 1 / (1 - share) * np.exp(0.5826 * sigma)
    assert multiple == pytest.approx(value_to_cost(rho, 0.0, sigma), rel=0.01)
    assert found.to_dict()["perpetual_hurdle"] == pytest.approx(np.expm1(hurdle_rate(rho, 0.0, sigma)))
    assert found.hurdle == pytest.approx(np.expm1(hurdle_rate(rho, 0.0, sigma)), rel=0.15)


def test_building_now_or_later_is_that_of_a_tree_with_one_module() -> None:
    """The lot is the project and the limit allows one: a tree of means of bins is near the recursion."""
    lot = 60.0
    tables = {"costs": {"c_L": 120000.0}, "launch": {"lot": lot}}
    found = project(case_of(**tables))
    assert found.plant == lot
    one = case_of(**tables, technology={"build_limit": lot})
    tree = ScenarioTree.from_process(one.process, [30, 30], EqualProbability())
    model = one.model_on(tree)
    near = values(model, tree, rel_gap=1e-6)
    # Two modules may be built in years 0 and 1; here the second never pays.
    nothing = values(case_of(**tables, technology={"build_limit": 0.0}).model_on(tree), tree).point("rp")
    rp = near.point("rp")
    assert rp is not None
    assert nothing is not None
    best = max(0.0, found.value - found.bill, found.waiting()[0])
    assert rp - nothing >= best * (1 - 1e-3)
    assert near.point("fixed") - nothing == pytest.approx(max(0.0, found.value - found.bill), rel=5e-3, abs=2e3)  # type: ignore[operator]


@pytest.mark.parametrize("mu", [-0.02, 0.0, 0.05])
def test_without_uncertainty_the_hurdle_is_that_of_the_best_year(mu: float) -> None:
    """Jorgenson: build when the first year's yield is ρ, or ρ − μ where it grows no more; the return is then μ more."""
    assert hurdle_rate(0.1, mu, 1e-4) == pytest.approx(mu + max(0.1, 0.1 - mu), abs=1e-4)


def test_what_is_ordered_now_may_arrive_later() -> None:
    """The bill falls after year 0, and the order of year 1 is placed at the root: it was left out."""
    tables = {"costs": {"c_L": [120000.0, 5000.0, 5000.0]}, "launch": {"lot": 60.0}}
    found = project(case_of(load_case("contested-market").replace(T=2), **tables))
    unit = found._unit
    money, _ = found.gains(unit, 0, np.array([unit.process.initial]), 1)
    ordered = float(money.sum() - found._bills(unit)[1])
    assert ordered > 2e6
    assert found.waiting()[0] == pytest.approx(ordered)
    assert found.to_dict()["best"] == "later"


def test_support_between_earning_and_building_now() -> None:
    dear = case_of(load_case("contested-market").replace(T=8), costs={"c_L": 30000.0})
    found = project(dear, 300.0)
    data = found.to_dict()
    assert data["to_earn"]["firm"] >= -1e-6
    now = data["to_build_now"]
    assert now is not None
    assert data["support_to_earn"] <= data["support_to_build_now"] < 1
    assert now["government"] == pytest.approx(-now["share"] * found.bill)
    assert now["firm"] + now["government"] == pytest.approx(now["both"])
    assert now["firm"] == pytest.approx(found.waiting(now["share"])[0], rel=1e-4)
    assert data["option"] > 0
    assert now["per_kg"] > 0
    assert data["hurdle"] > dear.economics.r + 0.01
    small = project(dear, 10.0)  # always used: there is nothing to wait for
    assert small.to_build_now == pytest.approx(small.to_earn, abs=1e-8)
    assert small.hurdle == pytest.approx(dear.economics.r, rel=1e-6)


def test_the_tables_of_support_are_the_governments() -> None:
    plain = case_of(economics={"earth_sold": False})
    helped = case_of(support={"launch_share": 0.25, "premium": 100.0, "equity": 0.1})
    there, here = Project(plain, 50.0).supported(0.0), Project(helped, 50.0).supported(0.0)
    assert there.government == pytest.approx(0.0, abs=1e-6)
    assert here.both == pytest.approx(there.firm)
    assert here.firm + here.government == pytest.approx(here.both)


def test_default_sizes_and_refusals() -> None:
    assert project(case_of(launch={"lot": 40.0})).plant == 40.0
    assert project(case_of(economics={"earth_sold": False})).plant > 100
    with pytest.raises(InputError, match="plant: must be a finite number > 0"):
        project(case_of(economics={"earth_sold": False}), -1.0)
    with pytest.raises(InputError, match="storage"):
        project(case_of(storage={"capacity": 10.0}), 50.0)


def test_on_the_command_line(tmp_path, capsys) -> None:
    out = tmp_path / "support.json"
    with pytest.raises(SystemExit) as ended:
        main(["support", "contested-market", "--horizon", "4", "--plant", "50", "--json", str(out)])
    assert ended.value.code == 0
    assert {"support_to_earn", "support_to_build_now", "hurdle", "option"} <= json.loads(out.read_text()).keys()
    assert "support that makes building now the best" in capsys.readouterr().out
    assert BASE.horizon.T == 2


def test_lines_of_support_are_those_of_projects_and_rise() -> None:
    dear = case_of(load_case("contested-market").replace(T=8), costs={"c_L": 30000.0})
    lines = support_lines(dear, 300.0, [0.1, 0.3, 0.5])
    alone = project(dear.replace(sigma=0.3), 300.0)
    assert lines.rows[1]["to_earn"] == alone.to_earn
    assert lines.rows[1]["to_build_now"] == alone.to_build_now
    frame = lines.to_frame()
    assert frame["to_earn"].is_monotonic_increasing
    assert (frame["to_build_now"] > frame["to_earn"]).all()
    assert frame["to_build_now"].is_monotonic_increasing
    axes = lines.figure().axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["loses", "earns, and waits", "built now"]


def test_the_lines_of_a_perpetual_flow_are_a_multiple_apart() -> None:
    """Between the lines lies β₁/(β₁ − 1), of who decides once a year (Broadie, Glasserman and Kou 1997)."""
    lines = support_lines(perpetual(0.10, 0.3, 1, 50, 12.0), 1e4, [0.2, 0.3])
    for row in lines.rows:
        multiple = (1 - row["to_earn"]) / (1 - row["to_build_now"])
        expected = value_to_cost(0.10, 0.0, row["sigma"]) * np.exp(-0.5826 * row["sigma"])
        assert multiple == pytest.approx(expected, rel=0.02)


def test_a_stated_hurdle_is_a_volatility() -> None:
    for sigma in (0.2, 0.3, 0.424, 0.5):
        assert implied_volatility(0.10, 0.0, hurdle_rate(0.10, 0.0, sigma)) == pytest.approx(sigma, rel=1e-6)
    assert implied_volatility(0.10, 0.0, 0.25) == pytest.approx(0.424, abs=5e-4)
    with pytest.raises(InputError, match="hurdle: must lie between"):
        implied_volatility(0.10, 0.0, 0.09)


@pytest.mark.parametrize("grid", [[], [0.3, 0.2], [0.0, 0.2], [0.2, 3.0]])
def test_volatilities_of_lines_rise(grid: list[float]) -> None:
    with pytest.raises(InputError, match="volatilities: must"):
        support_lines(BASE, 50.0, grid)


def test_the_command_tells_the_lines(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("support", "contested-market", "--horizon", "3", "--plant", "100", "--volatilities", "0.1,0.3")
    with pytest.raises(SystemExit) as ended:
        main([*words, "--json", "-"])
    assert ended.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["sigma"] for row in told["lines"]] == [0.1, 0.3]
    with pytest.raises(SystemExit) as ended:
        main([*words[:-1], "0.3,0.1"])
    assert ended.value.code == 2
    assert "volatilities: must rise" in capsys.readouterr().err
