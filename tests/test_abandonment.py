"""Plant that is scrapped before the end: against a linear program of one's own, closed forms, and what must hold."""

import json
import tomllib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from scenario_trees import ScenarioTree
from stochisru import InputError, extensive_form, load_case, sddp, value_table
from stochisru.cli.main import main
from stochisru.lunar.case import problem_from_dict
from stochisru.lunar.exact.by_year import why_no_exact_policy
from stochisru.lunar.general_policies import simulate_general
from stochisru.lunar.tables.worth_of_each import staying, worth_of_abandoning
from stochisru.problem import Decision, Factor, Model, Operation, Row, State, on_tree
from stochisru.problem.paths import fan
from stochisru.programs.sparse import solve

CONTESTED = load_case("contested-market")


def base_of(**symbols):
    return CONTESTED.replace(**{"T": 3, "mu": -0.1, "sigma": 0.5, "M0": 80.0} | symbols)


def case_of(scrap, *, technology=None, **symbols):
    data = tomllib.loads(base_of(**symbols).to_toml())
    data["technology"] |= (technology or {}) | ({} if scrap is None else {"scrap": scrap})
    if scrap is None and not technology:
        data["technology"]["availability"] = 1.0  # the same problem, stated by tables
    return problem_from_dict(data)


def program_by_hand(case, tree, scrap):
    """Optimum on a tree with L = 1 as a linear program from the formulation: node variables, arrivals by parent."""
    c, tech, econ = case.costs, case.technology, case.economics
    bill, eta, keep = c.c_L * tech.alpha + c.c_dev, tech.eta, 1 - tech.degradation
    margin = econ.P_m - c.c_by * tech.beta
    n = tree.n_nodes
    d = (1 + econ.r) ** -tree.stage.astype(float) * tree.probability
    # dM (by node, equal among siblings), R, M, Q, E_earth, S
    dM, R, M, Q, earth, S = (np.arange(n) + k * n for k in range(6))
    cost = np.zeros(6 * n)
    cost[dM], cost[R], cost[M] = d * bill, -d * scrap * bill, d * (c.c_op + eta * c.c_S)
    cost[Q], cost[earth], cost[S] = -d * (margin + c.c_S), d * c.c_E, d * c.c_bu
    A, b, up, ub = [], [], [], []
    for i in range(n):
        row = np.zeros(6 * n)
        row[[M[i], dM[i], R[i]]] = 1.0, -1.0, 1.0
        if i:
            row[M[tree.parent[i]]] = -keep
        A.append(row)
        b.append(tech.M0 if i == 0 else 0.0)
        row = np.zeros(6 * n)
        row[[Q[i], earth[i], S[i]]] = 1.0
        A.append(row)
        b.append(tree.value[i])
        row = np.zeros(6 * n)
        row[[Q[i], M[i]]] = 1.0, -eta
        up.append(row)
        ub.append(0.0)
        if i and i != tree.first_child[tree.parent[i]]:  # ordered a year before, by the parent
            row = np.zeros(6 * n)
            row[[dM[i], dM[tree.first_child[tree.parent[i]]]]] = 1.0, -1.0
            A.append(row)
            b.append(0.0)
    found = linprog(cost, up, ub, A, b, method="highs")
    return -found.fun


@pytest.mark.parametrize(
    ("scrap", "symbols"),
    [
        (0.0, {}),
        (0.3, {}),
        (0.9, {"degradation": 0.1}),
        (0.5, {"c_S": 200.0, "mu": 0.1}),
        (0.6, {"M0": 0.0, "mu": 0.05, "sigma": 0.7}),
    ],
)
def test_a_program_of_ones_own(scrap, symbols):
    case = case_of(scrap, **symbols)
    tree = ScenarioTree.from_process(case.process, [3, 2, 2])
    result = extensive_form(case, tree)
    assert result.objective == pytest.approx(program_by_hand(base_of(**symbols), tree, scrap), rel=1e-7)
    assert result.bounds.gap < 1e-9
    assert result.plan.columns["M"].min() >= -1e-7
    stays = extensive_form(staying(case), tree).objective
    worth = worth_of_abandoning(case, tree)
    assert worth.value == pytest.approx(result.objective - stays, abs=1e-6 * abs(stays) + 10)
    assert worth.bounds.lower <= worth.value <= worth.bounds.upper


def test_bounds_are_those_of_a_program_with_wide_ones():
    """What is enough bounds orders and scrap; ten times as much plant changes nothing."""
    for scrap in (0.0, 0.95):
        case = case_of(scrap, sigma=0.8, degradation=0.15)
        tree = ScenarioTree.from_process(case.process, [3, 3, 2])
        model = case.model_on(tree)
        ours = solve(on_tree(model, tree).program).objective
        wide = [
            Decision(p.name, lead=p.lead, years=p.years, cost=p.cost, payment=p.payment, upper=1e5)
            for p in model.decisions
        ]
        free = model.with_part(*wide)
        assert solve(on_tree(free, tree).program).objective == pytest.approx(ours, rel=1e-9)


def test_without_scrap_and_holding_cost_there_is_nothing_in_it():
    case = case_of(0.0, c_op=0.0, c_S=0.0)
    tree = ScenarioTree.from_process(case.process, [3, 3, 3])
    worth = worth_of_abandoning(case, tree)
    assert worth.value == pytest.approx(0.0, abs=1e-7 * abs(extensive_form(case, tree).objective))
    assert worth_of_abandoning(staying(case), tree) is None


def test_falling_demand_without_risk_has_a_closed_form():
    """Each kilogram goes when it is idle for good, or earns less than its scrap's interest: year by year, by hand."""
    share, rate = 0.4, 0.08
    case = case_of(share, sigma=0.0, mu=-0.3, M0=130.0, T=5, technology={})
    tree = ScenarioTree.from_process(case.process, [1] * 5)
    base = base_of(sigma=0.0, mu=-0.3, M0=130.0, T=5)
    c, eta, bill = base.costs, base.technology.eta, base.investment_cost
    gain = base.economics.P_m + min(c.c_E, c.c_bu) - c.c_by * base.technology.beta
    demand = 1000.0 * np.exp(-0.3 * np.arange(6))
    ends = np.unique(np.concatenate([[0.0], demand / eta, [130.0]]))
    d = (1 + rate) ** -np.arange(6.0)
    total = -float(d @ (demand * min(c.c_E, c.c_bu)))
    for low, high in pairwise(ends):
        used = demand / eta > (low + high) / 2
        yearly = d * (eta * gain * used - c.c_op - eta * c.c_S * ~used)
        best = max([yearly[:t].sum() + d[t] * share * bill for t in range(6)] + [yearly.sum()])
        total += (high - low) * (best if low < 130.0 else max(best - bill, 0.0))  # beyond what is there it is bought
    plan = extensive_form(case, tree)
    assert plan.first_stage["dM0"] == pytest.approx(max(demand[0] / eta - 130.0, 0.0), abs=1e-6)
    assert plan.objective == pytest.approx(total, rel=1e-9)


@settings(max_examples=6, deadline=None)
@given(
    shares=st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0)),
    c_op=st.floats(0.0, 6000.0),
    sigma=st.floats(0.05, 0.8),
    lead=st.sampled_from([0, 1, 2]),
)
def test_more_scrap_is_never_worth_less(shares, c_op, sigma, lead):
    low, high = (case_of(s, c_op=c_op, sigma=sigma, lead_time=lead) for s in sorted(shares))
    tree = ScenarioTree.from_process(low.process, [2, 2, 2])
    base, *worth = (extensive_form(each, tree) for each in (staying(low), low, high))
    slack = 1e-6 * (abs(base.objective) + 1e6)
    assert base.objective <= worth[0].objective + slack
    assert worth[0].objective <= worth[1].objective + slack
    assert all(each.bounds.gap < 1e-5 for each in worth)


def test_values_keep_their_order_and_plans_may_be_held():
    case = case_of(0.3)
    tree = ScenarioTree.from_process(case.process, [3, 3, 3])
    values = value_table(case, tree)
    order = [values.point(name) for name in ("eev", "eev_1", "eev_0", "rp", "ws")]
    assert order == sorted(order)
    assert values.point("fixed") <= values.point("static") <= values.point("rp")
    # Who must decide everything now abandons less well.
    stays = value_table(staying(case), tree)
    assert values.point("vms") > 0
    assert values.point("rp") - stays.point("rp") >= values.point("static") - stays.point("static") - 1.0


def test_sddp_and_the_tree_agree_on_a_lattice_that_is_a_tree():
    from scenario_trees import MarkovLattice

    case = case_of(0.5, lead_time=1)
    lattice = MarkovLattice.from_growth(case.process, [2, 2, 2])
    whole = extensive_form(case, lattice.to_tree())
    found = sddp(case, lattice, rel_gap=1e-4)
    assert found.bounds.upper >= whole.objective - 1.0
    assert found.bounds.upper == pytest.approx(whole.objective, rel=1e-4)


def test_two_technologies_of_which_one_may_go():
    data = tomllib.loads(Path("docs/two-technologies.toml").read_text())
    data["technologies"][1] |= {"M0": 60.0, "scrap": 0.5}
    case = problem_from_dict(data)
    tree = ScenarioTree.from_process(case.process, [3, 3, 3])
    result = extensive_form(case, tree)
    told = case.first_stage(result.first_stage)
    assert set(told["regolith"]) >= {"dM0", "scrap0"}
    assert "scrap0" not in told["ice"]
    assert worth_of_abandoning(case, tree).value > 0


def test_policies_may_abandon_and_those_that_do_not_still_work():
    case = case_of(0.5, mu=-0.3, M0=200.0)
    found = simulate_general(case, ["abandoning", "moderate", "nothing", "tree"])
    metrics = {name: found.metrics[name]["npv_mean"].value for name in found.names}
    assert np.isfinite(found.values).all()
    assert metrics["abandoning"] > metrics["moderate"]  # far too much plant for a market that shrinks
    assert metrics["tree"] > metrics["moderate"]
    with pytest.raises(InputError, match="abandoning takes a case"):
        simulate_general(staying(case), ["abandoning"])


def test_the_rule_scraps_what_is_idle_below_its_threshold():
    from stochisru.lunar.strategies.by_technology import abandoning
    from stochisru.problem.policies.follow import follow

    case = case_of(0.5, M0=300.0)
    eta = CONTESTED.technology.eta
    paths = np.array([[1000.0, 1900.0, 1900.0, 200.0], [1000.0, 400.0, 400.0, 400.0]])
    model = case.model_on(paths)
    plan = follow(model, abandoning(case), paths).plan
    scrap, plant = plan.columns["scrap"], plan.columns["M"]
    assert scrap[0] == pytest.approx(300.0 - 1000.0 / eta)  # year 0: 300 kg make 2,152 kg, 1,000 are wanted
    assert plant[0] == pytest.approx(1000.0 / eta)
    # Path 2: 400 of 1,000 kg are wanted in year 1, below half: what is idle goes, and stays away.
    assert scrap[2] == pytest.approx(plant[0] - 400.0 / eta)
    assert scrap[4] == 0.0


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("technology", "symbols", "extra", "message"),
    [
        ({"scrap": 1.2}, {}, {}, "technology.scrap: must be a finite number >= 0 and <= 1, got 1.2"),
        ({"scrap": 0.5, "lifetime": 5}, {}, {}, "technology.scrap: takes plant without a lifetime"),
        (
            {"scrap": 0.5},
            {"reference": 100.0, "c_dev_exponent": 0.7},
            {},
            "technology.scrap: takes costs in proportion",
        ),
        ({"scrap": 0.9}, {}, {"support": {"dev_share": 0.5}}, "buying plant to scrap it would pay in year 0"),
        (
            {"scrap": [0.0, 0.0, 0.0, 1.0]},
            {"r": 0.0},
            {"costs": {"c_L": [1.0, 1.0, 1.0, 9e4]}},
            "to scrap it would pay",
        ),
    ],
)
def test_what_cannot_be(technology, symbols, extra, message):
    data = tomllib.loads(CONTESTED.replace(T=3, **symbols).to_toml())
    data["technology"] |= technology
    for table, values in extra.items():
        data[table] = data.get(table, {}) | values
    with pytest.raises(InputError, match="scrap") as error:
        problem_from_dict(data)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_the_exact_policy_refuses_it_by_name():
    assert why_no_exact_policy(case_of(0.2)).startswith("technology.scrap")


def test_states_with_enough_may_be_taken_from_but_not_for_gain():
    def model(price, **more):
        parts = [
            Decision("buy", lead=1, cost=10.0),
            Decision("sell", cost=-price, **more),
            State("stock", gains={"buy": 1.0, "sell": -1.0}, initial=3.0, cost=0.1, enough=Factor("demand")),
            Operation("use", value=9.0, upper=Factor("demand")),
            Row("there", {"use": 1.0, "stock": -1.0}, upper=0.0),
        ]
        return Model("stock", horizon=2, parts=parts, discount_rate=0.1)

    tree = fan(np.array([[2.0, 5.0, 1.0], [2.0, 1.0, 4.0]]))
    assert solve(on_tree(model(8.0), tree).program).objective > 0
    with pytest.raises(InputError, match="buy"):  # buying to sell has no end
        on_tree(model(12.0), tree)
    with pytest.raises(InputError, match="bound"):  # what is sold in lots cannot be a little less
        on_tree(model(8.0, lot=2.0), tree)
    with pytest.raises(InputError, match="only add or only take"):
        Model(
            "stock",
            horizon=1,
            parts=[Decision("y"), State("x", gains={"y": (1.0, -1.0)}, enough=Factor("demand"))],
        )


def test_commands(tmp_path, capsys):
    file, out = tmp_path / "case.toml", tmp_path / "out.json"
    file.write_text(case_of(0.3).to_toml())
    for words in (
        ["solve", file, "--branching", "3,2,2"],
        ["value", file, "--branching", "3,2,2"],
        ["simulate", file, "--paths", "64", "--strategies", "abandoning,moderate"],
        ["evaluate", file, "--plan", tmp_path / "plan.csv", "--branching", "3,2,2"],
    ):
        (tmp_path / "plan.csv").write_text("year,kg\n0,60\n")
        with pytest.raises(SystemExit) as end:
            main([*map(str, words), "--json", str(out)])
        assert end.value.code == 0, capsys.readouterr().err
        data = json.loads(out.read_text())
        if words[0] == "solve":
            assert "scrap0" in data["first_stage"]
        if words[0] == "value":
            assert data["abandonment"]["value"] > 0
            assert "to be able to abandon plant is worth" in capsys.readouterr().out
