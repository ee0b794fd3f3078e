"""Cases: schema, derived parameters against published numbers, messages."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stochisru import InputError, case_from_dict, load_case, shipped_cases
from stochisru.lunar.derivation import (
    earth_supply_cost,
    landed_mass_ratio,
    oxygen_productivity,
    spares_cost,
    stage_mass_ratio,
)
from stochisru.lunar.shipped import case_text
from stochisru.lunar.usual import unusual
from tests.cases import BASE_CASES, deployment_cases


def test_shipped_cases_and_their_derived_numbers(reference):
    assert BASE_CASES == ["contested-market", "lunar-reference", "predecessor"]
    assert set(BASE_CASES) < set(shipped_cases())
    v = reference.values
    assert v["alpha"] == pytest.approx(5.465, abs=5e-4)
    assert v["eta"] == pytest.approx(7.173, abs=5e-4)
    assert v["c_op"] == pytest.approx(1866, abs=0.5)
    assert v["c_E"] == pytest.approx(47_079, abs=1)
    assert v["P_m"] == pytest.approx(v["c_E"] / 2)
    assert v["c_bu"] == pytest.approx(2 * v["c_E"])
    contested = load_case("contested-market").values
    assert (contested["P_m"], contested["c_E"], contested["c_bu"]) == (3000, 3000, 6000)
    assert contested["alpha"] == v["alpha"]
    assert load_case("predecessor").horizon.lead_time == 0


def test_derivation_functions_have_their_limits():
    assert stage_mass_ratio(0, 420, 0.1) == pytest.approx(1)
    assert landed_mass_ratio([4.04, 1.87], 420, [0.08, 0.15]) == pytest.approx(5.465, abs=5e-4)
    assert oxygen_productivity(10.5, 35) == pytest.approx(7.173, abs=5e-4)
    assert oxygen_productivity(10.5, 1e12) == pytest.approx(10.5 * 0.888102)
    assert spares_cost(0.05, 5.465, 5000, 10_000) == pytest.approx(1866, abs=0.5)
    assert earth_supply_cost(1 / 1.478, 0.15, 1869, 5.465, 5000) == pytest.approx(47_079, abs=2)
    with pytest.raises(ValueError, match="cannot reach"):
        stage_mass_ratio(20, 300, 0.2)


def test_every_parameter_has_unit_status_and_source():
    for name in BASE_CASES:
        frame = load_case(name).to_frame()
        assert set(frame["status"]) <= {"given", "derived", "assumed", "default"}
        assert (frame["source"].str.len() > 5).all()
        assert (frame["unit"].str.len() > 0).all()


def test_cases_are_frozen_hashable_and_replaceable(reference):
    changed = reference.replace(sigma=0.3, name="mine")
    assert (changed.name, changed.demand.sigma, reference.demand.sigma) == ("mine", 0.3, 0.2)
    assert "changed by the user" in changed.sources["sigma"]
    assert hash(reference) == hash(load_case("lunar-reference"))
    assert reference.digest() != changed.digest()
    with pytest.raises(Exception, match="frozen"):
        reference.name = "x"


@pytest.mark.parametrize(
    "symbols, message",
    [
        ({"sigma": -0.1}, r"demand\.sigma: must be a finite number >= 0 and <= 5, got -0\.1"),
        ({"sigma": float("nan")}, r"demand\.sigma: must be a finite number >= 0 and <= 5, got nan"),
        ({"D0": 0}, r"demand\.D0: must be a finite number > 0"),
        ({"mu": float("inf")}, r"demand\.mu: must be a finite number >= -5 and <= 5, got inf"),
        ({"sigma": 100}, r"demand\.sigma: must be a finite number >= 0 and <= 5, got 100"),
        ({"T": 0}, r"horizon\.T: must be an integer >= 1"),
        ({"T": 2.5}, r"horizon\.T: must be an integer"),
        ({"T": True}, r"horizon\.T: must be an integer"),
        ({"lead_time": -1}, r"horizon\.lead_time: must be an integer >= 0"),
        ({"eta": "7"}, r"technology\.eta: must be a finite number > 0, got '7'"),
        ({"degradation": 1.0}, r"technology\.degradation: must be a finite number >= 0 and < 1"),
        ({"earth_limit": -5}, r"costs\.earth_limit: must be a finite number >= 0"),
        ({"initial_deployment": "maybe"}, r"horizon\.initial_deployment: must be one of 'free' or 'fixed'"),
        ({"c_X": 1}, "c_X: unknown symbol"),
        ({"name": "../x"}, "name: must be 1 to 100 characters without slashes"),
        ({"name": ""}, "name: must be 1 to 100 characters"),
        ({"T": 10**400}, r"horizon\.T: must be an integer"),
        ({"D0": 10**400}, r"demand\.D0"),
    ],
)
def test_bad_values_name_field_and_range(reference, symbols, message):
    with pytest.raises(InputError, match=message):
        reference.replace(**symbols)


def test_case_files(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(case_text("predecessor").replace("sigma = 0.2", "sigma = 0.4"), encoding="utf-8")
    assert load_case(file).demand.sigma == 0.4
    defaults = """
name = "short"
[horizon]
T = 2
[economics]
r = 0.1
P_m = 10
[technology]
eta = 1
alpha = 2
beta = 0
M0 = 0
[costs]
c_L = 1
c_dev = 1
c_op = 1
c_bu = 30
c_S = 0
c_by = 0
c_E = 20
[demand]
D0 = 5
mu = 0
sigma = 0.1
"""
    file.write_text(defaults)
    case = load_case(str(file))
    assert (case.horizon.lead_time, case.horizon.initial_deployment) == (1, "free")
    assert (case.technology.degradation, case.costs.earth_limit) == (0, None)
    for text, message in [
        (defaults.replace("T = 2", "T = 2\nfoo = 1"), r"horizon\.foo: unknown key"),
        (defaults.replace("D0 = 5", ""), r"demand\.D0: missing"),
        (defaults + "\n[extra]\na = 1", "extra: unknown key"),
        (defaults + '\n[sources]\nQ = "x"', r"sources\.Q: unknown symbol"),
        (defaults.replace("mu = 0", "mu = "), "is not TOML"),
        (defaults.replace("eta = 1", "eta = nan"), r"technology\.eta: must be a finite number > 0"),
        (defaults + '\n[derivation.eta]\nrule = "multiple_of"\nsymbol = "c_E"\nfactor = 1', "given as well"),
        (defaults + '\n[derivation.zeta]\nrule = "multiple_of"\nsymbol = "c_E"\nfactor = 1', "unknown symbol"),
        (defaults.replace("eta = 1\n", "") + '\n[derivation.eta]\nrule = "magic"', "must be one of"),
        (
            defaults.replace("alpha = 2\n", "")
            + '\n[derivation.alpha]\nrule = "landed_mass_ratio"\ndelta_v_km_s = [1]\nisp_s = "420"'
            + "\ninert_fraction = [0]",
            "isp_s",
        ),
    ]:
        file.write_text(text)
        with pytest.raises(InputError, match=message) as caught:
            load_case(file)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"no file .* and no shipped case"):
        load_case(tmp_path / "missing.toml")
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="UTF-8"):
        load_case(file)
    with pytest.raises(InputError, match="cannot read"):
        load_case(tmp_path)


def test_derived_symbols_follow_what_they_are_derived_from(reference):
    cheaper = reference.replace(c_L=1000.0)
    assert cheaper.costs.c_op == pytest.approx(spares_cost(0.05, cheaper.technology.alpha, 1000, 10_000))
    assert cheaper.costs.c_bu == pytest.approx(2 * cheaper.costs.c_E)
    assert cheaper.costs.c_E < reference.costs.c_E
    given_now = cheaper.replace(c_E=7000.0)
    assert (given_now.costs.c_E, given_now.costs.c_bu) == (7000.0, 14_000.0)
    assert given_now.to_frame().loc["c_E", "status"] == "given"
    assert load_case("lunar-reference").replace(name="x").digest() == reference.digest()
    assert reference.replace(T=np.int64(5), sigma=np.float64(0.1)).horizon.T == 5
    assert reference.replace(c_E=reference.costs.c_E).to_frame().loc["c_E", "status"] == "given"


@given(case=deployment_cases(max_T=9), name=st.from_regex(r"[^./\\\x00-\x1f][^/\\\x00-\x1f]{0,20}", fullmatch=True))
def test_written_cases_load_as_the_same_case(case, name, tmp_path_factory):
    case = case.replace(name=name)
    file = tmp_path_factory.mktemp("toml") / "case.toml"
    file.write_text(case.to_toml(), encoding="utf-8")
    assert load_case(file) == case
    file.write_text(load_case("lunar-reference").to_toml(), encoding="utf-8")
    assert load_case(file) == load_case("lunar-reference")


def test_derivations_that_cannot_be_resolved():
    base = {"name": "x", "derivation": {"c_E": {"rule": "multiple_of", "symbol": "c_bu", "factor": 1}}}
    with pytest.raises(InputError, match="needs c_bu, which the case does not give"):
        case_from_dict(base)
    loop = {
        **base,
        "derivation": {**base["derivation"], "c_bu": {"rule": "multiple_of", "symbol": "c_E", "factor": 1}},
    }
    with pytest.raises(InputError, match="depends on itself"):
        case_from_dict(loop)


@pytest.mark.parametrize(("symbol", "value"), [("c_L", 5.0), ("degradation", 0.5), ("r", 8.0)])
def test_other_units_are_unusual(symbol, value):
    case = load_case("lunar-reference")
    assert unusual(case) == []
    assert [line.split(":")[0] for line in unusual(case.replace(**{symbol: value}))] == [symbol]
    assert unusual(case.replace(c_L=0.0, degradation=0.0)) == []
