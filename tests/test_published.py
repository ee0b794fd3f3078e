"""Published parameters: ranges of symbols, and the tornado over them."""

import json

import pytest

from stochisru import InputError, load_case
from stochisru.lunar.published import UNITS, published_parameters, published_ranges, published_values
from stochisru.lunar.studies import tornado


def test_ranges_are_the_ends_of_the_table():
    case = load_case("lunar-reference")
    ranges = published_ranges(case)
    assert set(ranges) == {"eta", "c_dev", "c_L", "D0", "P_m", "r"}
    assert ranges["eta"] == (published_values("eta")[0], published_values("eta")[-1]) == (0.9008, 54.7)
    assert ranges["D0"] == (450.0, 1_882_000.0)  # kg/yr of t/yr
    assert ranges["c_L"] == pytest.approx((10_000 / case.technology.alpha, 35_000 / case.technology.alpha))
    assert ranges["P_m"] == (500, 35_000)
    assert {row["quantity"] for row in published_parameters()} == set(UNITS)
    euros = [float(row["value"]) for row in published_parameters() if "€" in row["unit"]]
    assert euros
    assert not set(euros) & {end for ends in ranges.values() for end in ends}
    with pytest.raises(InputError, match="quantity: must be one of eta"):
        published_values("mass")


def test_the_tornado_takes_them():
    case = load_case("contested-market").replace(T=4)
    study = tornado(case, {name: published_ranges(case)[name] for name in ("eta", "r")})
    values = {(row["symbol"], row["level"]): row["value"] for row in study.rows}
    assert (values["eta", "low"], values["eta", "high"]) == (0.9008, 54.7)
    assert study.ranked()[0] == "eta"


def test_on_the_command_line(run_cli):
    words = ("sensitivity", "contested-market", "--horizon", "3", "--symbols", "published", "--json", "-")
    rows = json.loads(run_cli(*words, check=0).stdout)
    assert {row["symbol"] for row in rows} == {"eta", "c_dev", "c_L", "D0", "P_m", "r"}
    assert {row["value"] for row in rows if row["symbol"] == "r"} == {0.1, 0.08, 0.25}
