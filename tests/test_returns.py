"""Internal rates of return and undiscounted payback, against roots of polynomials and every path's own cash."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stochisru import load_case, simulate, simulate_panel
from stochisru.simulation.returns import HIGHEST, LOWEST, internal_rates, payback_years, return_metrics


def roots(cash):
    """Real rates in range at which the cash of one path is worth nothing, by the eigenvalues of its polynomial."""
    found = np.roots(cash)  # Σ cash_t·g^(T−t) in g = 1 + rate
    real = found.real[np.abs(found.imag) < 1e-9] - 1
    return np.sort(real[(real > LOWEST) & (real < HIGHEST)])


def test_known_rates():
    annuity = np.r_[-1000.0, np.full(30, 80.0)][:, None]
    bond = np.r_[-100.0, np.full(9, 5.0), 105.0][:, None]
    assert internal_rates(bond) == pytest.approx([0.05], abs=1e-9)
    rate = internal_rates(annuity)[0]
    assert 80 * (1 - (1 + rate) ** -30) / rate == pytest.approx(1000, rel=1e-8)


def test_what_has_no_rate():
    earns, loses, several, never = [5.0, 5, 5], [-5.0, -5, -5], [-100.0, 230, -132], [0.0, 0, 0]
    lends = [100.0, -60, -60]
    assert np.isnan(internal_rates(np.array([earns, loses, several, never, lends]).T)).all()
    assert roots(several) == pytest.approx([0.1, 0.2])


def test_early_cash_that_is_small_beside_a_century_of_growth_counts():
    cash = np.r_[-1.0, 0.0, 1.1 * 1.2 ** np.arange(98)][:, None] * 1e-3
    expected = roots(cash[:, 0])
    assert expected.size == 1
    assert internal_rates(cash) == pytest.approx(expected, rel=1e-8)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=8), st.floats(1, 1000))
def test_one_rate_where_orders_come_first(flows, outlay):
    cash = np.r_[-outlay, np.abs(flows)]
    found = internal_rates(cash[:, None])
    expected = roots(cash)
    if expected.size == 1 and LOWEST + 1e-6 < expected[0] < HIGHEST - 1e-3:
        assert found == pytest.approx(expected, rel=1e-7, abs=1e-9)
    if not np.isnan(found[0]):
        worth = (cash * (1 + found[0]) ** -np.arange(cash.size)).sum()
        assert abs(worth) <= 1e-6 * np.abs(cash * (1 + found[0]) ** -np.arange(cash.size)).sum()


def test_payback():
    cash = np.array([[-3.0, 1, 1, 1, 5], [-3.0, 1, 1, 0.5, 0], [2.0, -5, 1, 1, 1]]).T
    years = payback_years(cash)
    assert years[[0, 2]].tolist() == [3, 0]
    assert np.isnan(years[1])


def test_metrics_are_of_the_cash_of_every_path(reference):
    case = reference.replace(T=6, M0=5.0, lead_time=2, initial_deployment="fixed")
    names = ["moderate", "upfront"]
    run = simulate(case, names, paths=300, seed=4)
    panel = simulate_panel(case, names, paths=300, seed=4)
    discount = (1 + case.economics.r) ** -np.arange(7.0)
    assert np.einsum("t,stn->sn", discount, run.cash) == pytest.approx(run.npv)
    for i, name in enumerate(names):
        cash = panel.sel(strategy=name)["cash"].to_numpy()
        assert pytest.approx(cash, rel=1e-9, abs=1e-3) == run.cash[i].T
        m = run.metrics[name]
        years = payback_years(cash.T)
        assert m["undiscounted_payback_year"].value == pytest.approx(np.nanmean(years))
        assert m["never_pays_back_undiscounted"].value == pytest.approx(np.isnan(years).mean())
        rates = internal_rates(cash.T)
        for rate, row in zip(rates, cash, strict=True):
            if (np.diff(np.sign(row[row != 0])) != 0).sum() == 1 and row[row != 0][0] < 0:
                assert rate == pytest.approx(roots(row)[0])
        assert m["no_irr"].value == pytest.approx(np.isnan(rates).mean())


def test_paths_beyond_those_kept_and_workers_do_not_matter(reference):
    case = reference.replace(T=4)
    one, two = (simulate(case, ["upfront"], paths=17_000, seed=2, workers=w) for w in (1, 2))
    assert one.cash.shape == (1, 5, 5_000)
    assert one.cash.tobytes() == two.cash.tobytes()


def test_groups_of_paths_are_not_cut(reference):
    case = reference.replace(T=4, initial_deployment="fixed")
    run = simulate(case, ["moderate"], paths=17_000, seed=2, sampler="sobol")
    found = run.metrics["moderate"]["undiscounted_payback_year"]
    assert found.lower <= found.value <= found.upper


@pytest.mark.parametrize("group", [1, 4])
def test_intervals_hold_the_truth(group):
    """A median of 400 rates and a mean payback, whose truth is known, in 400 samples; groups share their rate."""
    rng = np.random.default_rng(5)
    held = np.zeros(2)
    units = np.full(400 // group, group)
    for _ in range(400):
        rate = np.repeat(rng.lognormal(-2, 0.5, units.size), group)
        cash = np.vstack([np.full(400, -100.0), 100 * (1 + rate) * (rng.random(400) < 0.8)])
        m = return_metrics(cash, units)
        held += [m["irr_p50"].lower <= np.exp(-2) <= m["irr_p50"].upper, m["no_irr"].lower <= 0.2 <= m["no_irr"].upper]
    assert (held >= 0.92 * 400).all()


def test_a_case_without_outlay_has_no_rate():
    run = simulate(load_case("lunar-reference").replace(T=3), ["aggressive"], paths=50, seed=1)
    m = run.metrics["aggressive"]
    assert m["no_irr"].value == 1.0
    assert np.isnan(m["irr_p50"].value)
    assert m["irr_p50"].reason == "no path has one"
