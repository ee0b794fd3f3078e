"""Curves, and the programs that hold them: every formulation has the value of the curve at every size."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stochisru.linear_program import ProgramBuilder, solve_mixed
from stochisru.scale import Curve, add_curves

FORMULATIONS = ("interval", "convex-combination", "incremental")


@st.composite
def curves(draw, *, shape=None, fixed=None):
    """Curves of one to five pieces of sizes and values around 1 to 100."""
    n = draw(st.integers(1, 5))
    lengths = draw(st.lists(st.integers(1, 20), min_size=n, max_size=n))
    slopes = draw(st.lists(st.integers(-20 if shape is None else 0, 40), min_size=n, max_size=n))
    if shape == "convex":
        slopes.sort()
    if shape == "concave":
        slopes.sort(reverse=True)
    jump = draw(st.integers(0, 50)) if fixed is None else fixed
    return Curve.from_slopes(np.cumsum([0, *lengths]), np.array(slopes) / 4, fixed=jump)


def program(pairs, upper, formulation, *, weights, size=None, least=0.0):
    """A program of structures whose sizes are free below ``upper`` or given, and the terms of its curves."""
    upper = np.atleast_1d(np.asarray(upper, float))
    builder = ProgramBuilder("p", "minimise")
    low, high = (0.0, upper) if size is None else (size, size)
    x = builder.variables("x", upper.size, lower=0, upper=upper)
    builder.rows("given", np.full(upper.size, low), high, (np.arange(upper.size), x.index, 1.0))
    terms = add_curves(builder, "c", pairs, x.index, least=least, formulation=formulation)
    for part, weight in zip(terms, weights, strict=True):
        part.in_objective(builder, weight)
    return builder.build(), terms


def optimum(pairs, upper, formulation, **options):
    p, _ = program(pairs, upper, formulation, **options)
    return solve_mixed(p, rel_gap=0).objective


SENSE = {"small": 1.0, "large": -1.0}


@pytest.mark.parametrize("formulation", FORMULATIONS)
@given(curve=curves(), share=st.floats(0, 1), factor=st.sampled_from([0.3, 0.8, 1.0, 1.7]))
def test_value_of_the_program_is_the_curve_at_any_size(formulation, curve, share, factor):
    upper = curve.upper * factor
    size = round(share * upper, 3)
    assume(size <= upper)
    for direction, weight in SENSE.items():
        if direction == "large" and curve.fixed:
            continue
        for pair, sign in (((curve, direction), weight), ((curve, "either"), 1.0), ((curve, "either"), -1.0)):
            if pair[1] == "either" and curve.fixed:
                continue
            found = optimum([pair], upper, formulation, weights=[sign], size=size)
            assert sign * found == pytest.approx(float(curve(size)), abs=1e-5)
