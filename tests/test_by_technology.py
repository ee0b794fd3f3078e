"""The heuristic strategies by technology: those of the base case where there is one, and limits of every kind kept."""

import re
from pathlib import Path

import numpy as np
import pytest

from stochisru import InputError, load_case
from stochisru.lunar.general_policies import simulate_general
from stochisru.lunar.simulation.monte_carlo import npv_on_paths
from stochisru.lunar.strategies import STRATEGIES
from stochisru.lunar.strategies.by_technology import heuristic
from stochisru.lunar.tables.fleet import Fleet
from stochisru.lunar.tables.merit_order import best_of
from stochisru.problem.policies import follow
from stochisru.simulation.of_model import drawn_paths
from stochisru.simulation.sampling import Sampling
from stochisru.testing import check_policy


@pytest.mark.parametrize(
    "symbols",
    [
        {},
        {"lead_time": 0},
        {"lead_time": 2},
        {"degradation": 0.1, "M0": 30.0},
        {"earth_limit": 300.0, "c_bu": 30e3},
        {"initial_deployment": "fixed", "lead_time": 2},
        {"lot": 25.0},
        {"c_S": 100.0, "lot": 10.0, "fixed_cost": 1e6},
    ],
)
def test_one_technology_and_customer_are_the_base_case(reference, tmp_path, symbols):
    case = reference.replace(T=6, **symbols)
    path = tmp_path / "case.toml"
    path.write_text(case.to_toml() + "\n[[customers]]\nshare = 1.0\n")
    general = load_case(path)
    paths = drawn_paths(case.model, case.process, Sampling(100, 3)).values[:, :, 0]
    model = general.model_on(paths)
    for name, strategy in STRATEGIES.items():
        found = follow(model, heuristic(name, general), paths, best_of(general))
        assert not found.broken.any()
        assert found.values == pytest.approx(npv_on_paths(case, strategy, paths.T), rel=1e-9), name


def two(tmp_path, *texts, **lines):
    """The documented case with two technologies, with lines replaced and tables added."""
    text = Path("docs/two-technologies.toml").read_text()
    for key, value in lines.items():
        text = re.sub(rf"^{key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
    path = tmp_path / "case.toml"
    path.write_text(text + "".join(texts))
    return load_case(path)


CASES = {
    "plain": ((), {}),
    "long": ((), {"T": "8"}),
    "build limit": ((), {"eta": "6.0\nbuild_limit = 40.0"}),
    "lots": ((), {"eta": "6.0\nlot = 30.0"}),
    "lifetime": ((), {"T": "6", "eta": "6.0\nlifetime = 3"}),
    "fixed": (("initial_deployment",), {"T": '4\ninitial_deployment = "fixed"'}),
    "campaigns": ((), {"mass_limit": "900.0\nfixed_cost = 1e5\nlot = 5.0"}),
    "tiers": (("[[customers]]\nshare = 0.5\n[[customers]]\nquantity = 200.0\nfirm = true\nprice = 2000.0\n",), {}),
    "store": (("[storage]\ncapacity = 300.0\nboil_off = 0.1\nholding_cost = 10.0\ninitial = 50.0\n",), {}),
    "factor": (('[[factors]]\nsymbol = "eta"\ntechnology = "ice"\ninitial = 7.0\nmu = 0.0\nsigma = 0.2\n',), {}),
}


def case_named(tmp_path, name):
    texts, lines = CASES[name]
    if name == "factor":
        case = Path("docs/two-technologies.toml").read_text().replace("eta = 7.0\n", "")
        (tmp_path / "case.toml").write_text(case + texts[0])
        return load_case(tmp_path / "case.toml")
    return two(tmp_path, *(text for text in texts if text != "initial_deployment"), **lines)


@pytest.mark.parametrize("name", list(CASES))
def test_limits_are_kept_on_every_path(tmp_path, name):
    case = case_named(tmp_path, name)
    sample = Sampling(60, 5)
    found = simulate_general(case, list(STRATEGIES), sample)
    assert np.isfinite(found.values).all()
    for policy in found.policies:
        plan = follow(found.model, policy, drawn_paths(found.model, case.process, sample), best_of(case)).plan
        assert plan.value == pytest.approx(found.values[found.names.index(policy.name)].mean())
        ordered = sum(plan.quantities[f"dM_{kind}"].max() for kind in ("ice", "regolith"))
        assert ordered > 0, policy.name


@pytest.mark.parametrize("rule", list(STRATEGIES))
def test_nothing_later_is_looked_at(tmp_path, rule):
    case = case_named(tmp_path, "long")
    model = case.model_on(drawn_paths(case.model_on(np.zeros((1, 9))), case.process, Sampling(50, 1)).values[:, :, 0])
    check_policy(heuristic(rule, case), model)


def test_orders_go_to_the_cheapest_technology_and_what_it_refuses_to_the_next(tmp_path):
    case = two(tmp_path, T="6", mass_limit="1e6", eta="6.0\nbuild_limit = 40.0")
    fleet = Fleet(case, case.model)
    orders = {"dM_ice": np.zeros((7, 1)), "dM_regolith": np.zeros((7, 1))}
    cheap, dear = np.argsort(fleet.unit_costs[:, 2])
    names = [f"dM{kind.suffix}" for kind in fleet.kinds]
    fleet.spread(orders, np.array([300.0]), dict.fromkeys(names, 2), fleet.mean(0))
    assert orders[names[cheap]][2] == pytest.approx([40.0])
    assert orders[names[dear]][2] == pytest.approx([10.0])
    # A kilogram of oxygen costs the bill and what plant costs to hold, over all that it makes while it lasts.
    d, kind = 1.08 ** -np.arange(7.0), fleet.kinds[0]
    launch = 5000.0 * 0.9 ** np.arange(7)
    bill = launch[2] * 5.5 + kind.c_dev.known(6)[2]
    cost = (bill * d[2] + kind.c_op.known(6)[0] * d[2:].sum()) / (6.0 * d[2:].sum())
    assert fleet.unit_costs[0, 2] == pytest.approx(cost)


def test_a_technology_given_twice_earns_what_it_earns_once(tmp_path):
    text = Path("docs/two-technologies.toml").read_text()
    head, ice, _ = re.split(r"(?=\[\[technologies\]\])", text)
    _, launch = text.split("[launch]")
    (tmp_path / "once.toml").write_text(head + ice + "[launch]" + launch)
    (tmp_path / "twice.toml").write_text(head + ice + ice.replace('"ice"', '"ice again"') + "[launch]" + launch)
    once, twice = (
        simulate_general(load_case(tmp_path / f), list(STRATEGIES), Sampling(40, 2))
        for f in ("once.toml", "twice.toml")
    )
    assert once.values == pytest.approx(twice.values, rel=1e-9)


def test_names_that_a_case_lacks_are_refused(tmp_path):
    with pytest.raises(InputError, match="strategies: must be among tree, nothing, conservative"):
        simulate_general(case_named(tmp_path, "factor"), ["policy"], Sampling(10, 1))
    with pytest.raises(InputError, match="got 'rolling'"):
        simulate_general(case_named(tmp_path, "plain"), ["rolling"], Sampling(10, 1))
