"""Operations of several kinds of plant and tiers in closed form, against linear programs."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from stochisru import load_case, simulate_policies
from stochisru.lunar.general_policies import model_of_sample
from stochisru.lunar.tables.merit_order import Market, best_of
from stochisru.problem.policies import Planned, follow
from stochisru.simulation.of_model import drawn_paths
from stochisru.simulation.sampling import Sampling

INF = np.inf


def best_by_program(market, path):
    """Most that one path of a year can earn, by a program of its own."""
    column = lambda x: x[..., min(path, x.shape[-1] - 1)]  # noqa: E731
    wanted, capacity, price, shortage, cost, flown, limit = (
        column(getattr(market, name)) for name in ("wanted", "capacity", "price", "shortage", "cost", "flown", "limit")
    )
    buyers, kinds = len(wanted), len(capacity)
    # sold, flown, short by buyer; delivered by kind
    serves = np.isfinite(flown)
    money = np.concatenate([-price, np.where(serves, flown, 0.0), shortage, cost])
    equal = np.zeros((buyers + 1, money.size))
    for i in range(buyers):
        equal[i, [i, buyers + i, 2 * buyers + i]] = 1.0
    equal[-1, :buyers], equal[-1, 3 * buyers :] = 1.0, -1.0
    bounds = [
        *[(0, None)] * buyers,
        *[(0, None if can else 0) for can in serves],
        *[(0, None)] * buyers,
        *[(0, most) for most in capacity],
    ]
    total = None if not np.isfinite(limit) else np.repeat([0.0, 1.0, 0.0, 0.0], [buyers, buyers, buyers, kinds])[None]
    found = linprog(money, total, None if total is None else [limit], equal, [*wanted, 0.0], bounds)
    assert found.status == 0
    return -found.fun


def worth(market, flows):
    short = market.wanted - flows.sold - flows.flown
    flown = np.where(np.isfinite(market.flown), market.flown, 0.0)
    money = (market.price * flows.sold - flown * flows.flown - market.shortage * short).sum(axis=0)
    return money - (market.cost * flows.delivered).sum(axis=0)


def require_kept(market, flows):
    size = 1e-9 * (1 + market.wanted.sum(axis=0))
    assert (flows.sold >= -size).all()
    assert (flows.flown >= -size).all()
    assert (market.wanted - flows.sold - flows.flown >= -size).all()
    assert (flows.delivered <= market.capacity + size).all()
    assert flows.flown[~np.isfinite(np.broadcast_to(market.flown, flows.flown.shape))] == pytest.approx(0.0)
    assert flows.sold.sum(axis=0) == pytest.approx(flows.delivered.sum(axis=0), rel=1e-9, abs=1e-9)
    assert (flows.flown.sum(axis=0) <= market.limit * (1 + 1e-9) + size).all()


@st.composite
def markets(draw):
    """Few round numbers, so that ties, zeros and empty tiers are met; prices alike on all paths, or not."""
    n, buyers, kinds = draw(st.integers(1, 4)), draw(st.integers(1, 5)), draw(st.integers(1, 3))
    alike = draw(st.booleans())
    whole = st.integers(0, 6).map(float)

    def rows(count, many, numbers=whole):
        return np.array([[draw(numbers) for _ in range(n if many else 1)] for _ in range(count)])

    flown = rows(buyers, not alike, st.one_of(st.integers(-2, 6).map(float), st.just(INF)))
    some = np.array([draw(st.booleans()) for _ in range(buyers)])  # Earth serves a tier on all paths or on none
    flown = np.where(some[:, None] & np.isfinite(flown), flown, INF)
    flown[some & ~np.isfinite(flown).all(axis=1)] = INF
    limit = draw(st.one_of(st.just(INF), st.integers(0, 12).map(float)))
    return Market(
        rows(buyers, True),
        rows(kinds, True),
        rows(buyers, not alike),
        rows(buyers, not alike),
        rows(kinds, not alike, st.integers(-2, 4).map(float)),
        flown,
        np.array([limit]),
    )


@given(markets())
@settings(max_examples=300)
def test_equals_the_program(market):
    flows = market.dispatched()
    require_kept(market, flows)
    found = np.broadcast_to(worth(market, flows), (market.wanted.shape[1],))
    expected = [best_by_program(market, path) for path in range(market.wanted.shape[1])]
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-7)


def test_a_sort_by_worth_is_not_optimal_under_a_limit():
    """Two tiers of 1 kg, plant 1 kg, Earth 1 kg at cost 1: A pays 3, penalty 2; B pays 0, penalty 10."""
    one = np.ones((1, 1))
    market = Market(
        np.ones((2, 1)), one, np.array([[3.0], [0.0]]), np.array([[2.0], [10.0]]), 0 * one, np.ones((2, 1)), np.ones(1)
    )
    flows = market.dispatched()
    assert worth(market, flows) == pytest.approx([2.0])
    assert flows.sold[:, 0].tolist() == [1.0, 0.0]
    assert flows.flown[:, 0].tolist() == [0.0, 1.0]


TIERS = """
[[customers]]
share = 0.5
price = 9000.0
[[customers]]
quantity = { start = 150.0, growth = 0.1 }
price = [4000.0, 4500.0, 5000.0, 5500.0]
c_bu = 12000.0
first = 1
[[customers]]
quantity = 80.0
firm = true
price = 2500.0
earth = false
"""
FACTOR = """
[[factors]]
symbol = "c_E"
initial = 3000.0
mu = 0.0
sigma = 0.4
correlation = 0.3
"""


def case_of(tmp_path, *texts, **symbols):
    path = tmp_path / "case.toml"
    base = Path("docs/two-technologies.toml").read_text()
    for key, value in symbols.items():
        line = "" if value is None else value if value[0] == "\n" else f"{key} = {value}"
        base = re.sub(rf"^{key} = .*$", line, base, flags=re.MULTILINE)
    path.write_text(base + "".join(texts))
    return load_case(path)


@pytest.mark.parametrize(
    ("texts", "symbols"),
    [
        ((), {}),
        ((TIERS,), {"c_S": "40.0"}),
        ((TIERS, "[support]\npurchase = { quantity = 200.0, price = 1500.0 }\npremium = 100.0\nequity = 0.3\n"), {}),
        ((TIERS, "[terminal]\nmargin_years = 2.0\n"), {"c_by": "300.0"}),
        ((TIERS,), {"c_E": "3000.0\nearth_limit = 300.0"}),
        ((TIERS, FACTOR), {"c_E": None}),
        ((TIERS, FACTOR), {"c_E": "\nearth_limit = 250.0"}),
        ((TIERS,), {"c_E": "3000.0\nearth_limit = [100.0, 200.0, 300.0, 0.0]", "P_m": "3000.0\nearth_sold = true"}),
    ],
)
def test_policies_earn_what_they_earn_by_programs(tmp_path, texts, symbols):
    case = case_of(tmp_path, *texts, **symbols)
    sample = Sampling(300, 1)
    model = model_of_sample(case, sample)
    plan = {"dM_ice": [0.0, 10.0, 60.0, 20.0], "dM_regolith": [60.0, 10.0, 20.0, 5.0]}
    policy = Planned(plan, "some")
    paths = drawn_paths(model, case.process, sample)
    by_program, closed = follow(model, policy, paths), follow(model, policy, paths, best_of(case))
    assert not closed.broken.any()
    assert closed.values == pytest.approx(by_program.values, rel=1e-9)
    assert closed.values.std() > 1e5
    fast = simulate_policies(model, [policy], sampling=sample, process=case.process, operations=best_of(case))
    assert fast.values[0] == pytest.approx(closed.values, rel=1e-12)


def test_a_store_has_no_closed_form(tmp_path):
    assert best_of(case_of(tmp_path, "[storage]\ncapacity = 100.0\n")) is None
