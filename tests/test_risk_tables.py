"""Measures of the table [risk], against the same measures handed to a base case, and what the table refuses."""

from __future__ import annotations

import itertools
import tomllib

import pytest

from stochisru import load_case
from stochisru.errors import InputError
from stochisru.lunar.case import problem_from_dict
from stochisru.lunar.exact.nested_dp import nested_dp
from stochisru.methods.registry import method_named
from stochisru.methods.risk import ChiSquareBall, Entropic, MeanCVaR, WassersteinBall, WorstCase

BASE = load_case("contested-market").replace(T=3)
SDDP = method_named("sddp")

MEASURES = [
    ({"measure": "entropic", "aversion": 2e-7}, Entropic(2e-7)),
    ({"measure": "worst-case"}, WorstCase()),
    ({"measure": "chi-square", "radius": 0.2}, ChiSquareBall(0.2)),
    ({"measure": "wasserstein", "radius": 0.3}, WassersteinBall(0.3)),
    ({"weight": 0.4, "tail": 0.2}, MeanCVaR(0.4, 0.2)),
]


def with_risk(**risk):
    return problem_from_dict(tomllib.loads(BASE.to_toml()) | {"risk": {"kind": "nested", **risk}})


def solved(case):
    return SDDP.solve(case, case.lattice(4), SDDP.options(rel_gap=1e-3))


@pytest.mark.parametrize(("risk", "measure"), MEASURES)
def test_a_table_is_the_measure_that_it_names(risk, measure):
    case = with_risk(**risk)
    found, bounds = solved(case), nested_dp(BASE, case.lattice(4), risk=measure).bounds
    assert found.bounds.certified
    assert found.bounds.lower <= bounds.upper + 1e-9 * abs(bounds.upper)
    assert bounds.lower <= found.bounds.upper + 1e-9 * abs(bounds.upper)
    assert found.bounds.gap <= 2e-3


def test_a_larger_ball_is_worth_less_down_to_the_worst_case():
    found = [solved(with_risk(measure="chi-square", radius=radius)).bounds for radius in (0.0, 0.1, 1.0, 1e6)]
    assert all(b.lower < a.upper for a, b in itertools.pairwise(found))
    worst, mean = solved(with_risk(measure="worst-case")).bounds, solved(with_risk(weight=0.0, tail=0.1)).bounds
    assert found[-1].lower <= worst.upper
    assert worst.lower <= found[-1].upper
    assert found[0].lower <= mean.upper
    assert mean.lower <= found[0].upper


@pytest.mark.parametrize(
    ("risk", "words"),
    [
        ({"measure": "entropic"}, "aversion: must be given with the measure entropic"),
        ({"measure": "entropic", "aversion": 1e-7, "weight": 0.5}, "weight: belongs to the measure mean-cvar"),
        ({"measure": "worst-case", "tail": 0.1}, "tail: belongs to the measure mean-cvar"),
        ({"weight": 0.5}, "tail: must be given with the measure mean-cvar"),
        ({"tail": 0.5}, "weight: must be given with the measure mean-cvar"),
        ({"measure": "chi-square", "radius": -1.0}, "radius"),
        ({"measure": "worst-case", "kind": "total"}, 'measure: kind = "total" takes mean-cvar'),
    ],
)
def test_numbers_of_another_measure_are_refused(risk, words):
    with pytest.raises(InputError, match="risk") as caught:
        with_risk(**risk)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
