"""Studies of the literature: their published numbers, where every number comes from, and the study of them."""

from __future__ import annotations

import json
import re

import pytest

from stochisru.worked.literature.certain import QUANTITIES, best
from stochisru.worked.literature.sources import DATA, cases, published, study_case, study_plan, table
from tests.cases import LITERATURE

#: How near ours is to a number whose study says all that it depends on: M$, percentage points (of whole per cent).
NEAR = {"npv": 5.0, "irr": 0.5, "cost": 0.5, "cost_of_nothing": 0.5}
#: Ours less what is published where a study leaves open what it depends on: the years of its payments.
OPEN = {
    ("sowers-2020-commercial", "irr"): -0.40,
    ("sowers-2020-lunar", "irr"): -0.88,
    ("sowers-2020-mars", "irr"): -0.98,
    ("sowers-2020-commercial", "break_even"): 47.3,
    ("charania-2007-surface", "break_even"): 8434.7,
    ("charania-2007-llo", "break_even"): 28_993.9,
    ("charania-2007-geo", "break_even"): 1_171_310.7,
    ("roxy-2026-oxygen", "irr"): 2.02,
    ("roxy-2026-metals", "irr"): 1.63,
}


def test_every_case_has_its_study():
    assert list(cases()) == LITERATURE
    assert {row.case for row in published()} == set(LITERATURE) - {"metzger-2023"}  # prints nothing of its baseline


@pytest.mark.parametrize("row", published(), ids=lambda row: f"{row.case} {row.quantity}")
def test_published_numbers(row):
    """Within rounding, or by as much off as what the study leaves open makes it, within the range of that."""
    ours = QUANTITIES[row.quantity](study_case(row.case), study_plan(row.case))
    if row.lower is not None:
        assert row.lower <= ours <= row.upper
    if row.value is None:
        return
    off = OPEN.get((row.case, row.quantity))
    assert ours - row.value == (
        pytest.approx(0, abs=NEAR[row.quantity]) if off is None else pytest.approx(off, rel=0.02)
    )


def test_a_published_plan_is_evaluated_by_command(run_cli):
    plan = DATA / "plans" / "kornuta-2019-moon.csv"
    told = json.loads(
        run_cli("evaluate", "kornuta-2019-moon", "--plan", plan, "--paths", 2, "--json", "-", check=0).stdout
    )
    assert told["value"] == pytest.approx(-234e6, abs=5e6)
    assert best(study_case("kornuta-2019-moon"))[0] == pytest.approx(0, abs=1)  # a published loss is no optimum


def test_scenarios_of_a_study_differ_in_their_customers_alone():
    known = [study_case(name).to_dict() for name in LITERATURE if name.startswith("kornuta")]
    for data in known:
        for name in ("name", "customers", "sources"):
            del data[name]
        del data["demand"]["D0"]
    assert all(data == known[0] for data in known)


@pytest.mark.parametrize("name", LITERATURE)
def test_every_number_says_where_it_comes_from(name):
    data = study_case(name).to_dict()
    sources = data.pop("sources")
    needed = set()
    for head, symbols in data.items():
        if head == "customers":
            needed |= {f"customers.{c['name']}.{key}" for c in symbols for key in c if key not in ("name", "firm")}
        elif head in ("payment", "support"):
            needed |= {head} if head == "payment" else {f"{head}.{key}" for key in symbols}
        elif head != "name":
            needed |= set(symbols)
    assert needed == set(sources)
    assert all(re.match(r"(given|derived|assumed): \S", text) for text in sources.values())
    money = ("c_L", "c_dev", "c_op")
    assert all(re.search(r"price year not stated|\$ of |€", sources[symbol]) for symbol in money)


def test_tables_of_the_data_are_whole():
    for row in table("parameters"):
        assert float(row["value"]) > 0
        assert re.match(r"(given|derived)", row["source"])
        assert row["quantity"] in ("eta", "c_dev", "landed", "demand", "price", "r")
    assert all(row.quantity in QUANTITIES for row in published())
