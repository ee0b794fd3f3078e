"""Numbers that are given stand in their source: the thesis' tables, transcribed a second time here."""

from __future__ import annotations

import pytest

from stochisru import load_case
from stochisru.worked.mars.network import mars_data, parameters
from stochisru.worked.mars.study import SWEEPS
from stochisru.worked.saudi.infrastructure import assumptions, power_use, text_parameters
from stochisru.worked.saudi.study import published_lines
from tests.cases import BASE_CASES

#: Tables 4.1 and A.1 to A.2 and Section 4.2.5 of the thesis.
MARS = {
    "scope_years": 5, "crew_mass": 600, "n_crew": 6, "mth_cev": 37_540, "cev": 10_000, "habitat_demand": 51_700,
    "isp_lox": 450, "isp_ntr": 900, "mixture_lox": 6, "finert_lox": 0.08, "finert_lox_surface": 0.15,
    "finert_ntr": 0.30, "boil_h2": 0.00127, "boil_o2": 0.00016, "theta": 0.15, "o2_use": 0.88, "water_use": 2.90,
    "food_use": 1.83, "waste_gen": 5.61, "leak_rate": 0.000123, "isru_rate": 10, "maint_rate": 0.1, "stay_days": 500,
    "m_h": 1.00794, "m_o": 15.9994, "m_h2o": 18.01528,
}  # fmt: skip
#: Table 4.7: mass at KSC, and plants at LSP, DEIM, PHOB and GC, kg.
TABLE_4_7 = {
    "baseline": (2_377_746, 4_821, 4_856, 2_504, 1_057),
    "1": (2_378_368, 4_822, 4_857, 2_510, 1_057),
    "2": (3_797_386, 0, 27_088, 12_711, 208),
    "3": (5_232_681, 27_794, 52_315, 8_272, 806),
    "4": (2_721_529, 21_138, 0, 0, 1_057),
    "5": (2_912_353, 27_161, 0, 0, 0),
    "6": (5_562_650, 0, 0, 0, 910),
    "7": (6_564_098, 0, 0, 0, 0),
    "8": (2_331_486, 0, 6_796, 4_174, 1_057),
}
#: Table B.1: CAPEX, OPEX, CO2.
ASSUMPTIONS = {
    ("capex", "desalination"): 2000, ("capex", "groundwater"): 5000, ("capex", "wastewater_treatment"): 2500,
    ("capex", "electricity_generation"): 500_000, ("capex", "pipeline"): 1_000_000, ("capex", "powerline"): 2_000_000,
    ("opex", "desalination"): 1.5, ("opex", "groundwater"): 5.0, ("opex", "wastewater_treatment"): 0.5,
    ("opex", "electricity_generation"): 0.1, ("opex", "pipeline"): 36_500, ("opex", "powerline"): 36_500,
    ("co2", "SWRO"): 1.78, ("co2", "BWRO"): 1.0, ("co2", "MSF"): 23.41, ("co2", "MED"): 18.05,
    ("co2", "groundwater"): 0.5, ("co2", "wastewater_treatment"): 1.5, ("co2", "natural_gas"): 0.443,
    ("co2", "oil"): 0.778,
}  # fmt: skip
#: Numbers in the text of Chapter 5.
TEXT = {
    "loss_water_per_km": 5e-4, "loss_electricity_per_km": 3e-5, "friction_coefficient": 0.01, "flow_velocity": 2,
    "lifetime": 25, "ww_recovery": 0.9, "ww_fraction": 0.8, "nonpotable_fraction": 0.3,
    "population_kingdom_2010": 27_136_977, "population_kingdom_2030": 42_000_000, "population_kingdom_2050": 54_000_000,
    "demand_total_2030": 8.03, "demand_potable_2030": 5.62, "demand_nonpotable_2030": 2.41, "demand_total_2050": 10.32,
    "demand_potable_2050": 7.22, "demand_nonpotable_2050": 3.1, "n_nodes": 208, "n_connections": 302, "n_edges": 812,
}  # fmt: skip
#: Cost (billion USD/yr) and CO2 (Mt/yr) at both ends of Tables 5.3 and 5.5.
FRONTS = {
    2030: {0.999: (6.68, 17.82), 0.001: (11.00, 11.99)},
    2050: {0.999: (8.47, 22.61), 0.001: (14.07, 15.42)},
}
#: What shipped cases say is given: the outline's Section 6.2, and Table 4 and Eq. 40 of Gkaravela et al. (2025).
GIVEN = {"D0": 1000.0, "mu": 0.2, "sigma": 0.2, "c_L": 5000.0, "c_dev": 10_000.0}
#: The numbers in derivation rules of the shipped cases that stand in Gkaravela et al. (2025) and the thesis' Fig. A-1.
RULES = {
    "alpha": {"delta_v_km_s": (4.04, 1.87), "isp_s": 420.0},
    "eta": {"water_per_extraction_kg": 10.5, "water_per_electrolysis_kg": 35.0},
    "c_op": {"fraction_per_year": 0.05},
    "c_E": {"oxygen_per_tank_kg": 1.478, "oxygen_price": 0.15, "tank_price": 1869.0},
}


def test_mars_parameters_are_the_thesis():
    known = parameters()
    assert {key: known[key] for key in MARS} == MARS
    inferred = {row["name"] for row in mars_data("parameters") if row["source"].startswith("NOT in the text")}
    assert set(known) - set(MARS) == inferred | {"g0"}


def test_mars_optima_are_table_4_7():
    rows = {row["scenario"]: tuple(float(row[c]) for c in ("objective", "LSP", "DEIM", "PHOB", "GC"))
            for row in mars_data("table_4_7")}  # fmt: skip
    assert rows == TABLE_4_7


def test_saudi_numbers_are_the_thesis():
    assert assumptions() == ASSUMPTIONS
    assert {key: text_parameters()[key] for key in TEXT} == TEXT
    assert all(value > 0 for value in power_use().values())
    for year, ends in FRONTS.items():
        lines = published_lines(year)
        assert {w: (lines[w]["cost"], lines[w]["co2"]) for w in ends} == ends


@pytest.mark.parametrize("name", sorted(set(BASE_CASES) - {"predecessor"}))
def test_given_numbers_of_cases_stand_in_their_source(name):
    case = load_case(name)
    frame = case.to_frame()
    given = {symbol: case.values[symbol] for symbol in frame.index[frame["status"] == "given"]}
    assert given == GIVEN
    for symbol, rule in case.derivation.items():
        known = {key: value for key, value in rule.model_dump().items() if key in RULES.get(symbol, {})}
        assert known == RULES.get(symbol, {})


def test_sweeps_name_their_own_figures(run_cli):
    """Figure 4-16 is against the lifetime of plants, Figure 4-17 against their production rate."""
    assert set(SWEEPS) == {"rate", "lifetime"}
    text = " ".join(run_cli("network", "mars-sweep", "--help", check=0).stdout.split())
    assert "rate (Figure 4-17)" in text
    assert "lifetime (Figure 4-16)" in text
