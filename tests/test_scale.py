"""Curves, and the programs that hold them: every formulation has the value of the curve at every size."""

import importlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stochisru.errors import InputError
from stochisru.programs.curves import Curve, add_curve, add_curves, curve_block, fit_pieces, fit_scale, power_curve
from stochisru.programs.sparse import ProgramBuilder, solve, solve_mixed

FORMULATIONS = ("interval", "convex-combination", "incremental")
SIGN = {"small": 1.0, "large": -1.0}


@st.composite
def curves(draw, *, shape="mixed", fixed=None):
    """Curves of one to five pieces of sizes and values around 1 to 100; mixed ones may fall."""
    n = draw(st.integers(1, 5))
    lengths = draw(st.lists(st.integers(1, 20), min_size=n, max_size=n))
    slopes = draw(st.lists(st.integers(-20 if shape == "mixed" else 0, 40), min_size=n, max_size=n))
    if shape != "mixed":
        slopes.sort(reverse=shape == "concave")
    jump = draw(st.integers(0, 50)) if fixed is None else fixed
    return Curve.from_slopes(np.cumsum([0, *lengths]), np.array(slopes) / 4, fixed=jump)


def any_curve():
    return st.one_of(curves(), curves(shape="convex", fixed=0), curves(shape="concave", fixed=0))


def program(pairs, upper, formulation, weights=(1.0,), *, size=None, least=0.0, price=0.0):
    """Structures whose sizes are free or given, and the weighted values of their curves (minimised)."""
    upper = np.atleast_1d(np.asarray(upper, float))
    builder = ProgramBuilder("p", "minimise")
    x = builder.variables("x", upper.size, lower=0, upper=upper, objective=price)
    terms = add_curves(builder, "c", pairs, x.index, least=least, formulation=formulation)
    for part, weight in zip(terms, weights, strict=True):
        part.in_objective(builder, weight)
    built = builder.build()
    if size is not None:
        low, high = built.lower.copy(), built.upper.copy()
        low[x.span] = high[x.span] = size
        built = built.with_bounds(low, high)
    return built


def optimum(*args, **options):
    return solve_mixed(program(*args, **options), rel_gap=0).objective


def relaxation(built):
    return solve(replace(built, integer=np.zeros_like(built.integer))).objective


def ways(curve, least=0.0):
    """Directions in which a program can hold a curve, each with the sign of its objective."""
    return [("small", 1.0)] if curve.fixed and not least else [*SIGN.items(), ("either", 1.0), ("either", -1.0)]


@pytest.mark.parametrize("formulation", FORMULATIONS)
@given(curve=any_curve(), share=st.floats(0, 1), factor=st.sampled_from([0.3, 0.8, 1.0, 1.7]))
def test_value_of_the_program_is_the_curve_at_any_size(formulation, curve, share, factor):
    upper = curve.upper * factor
    size = min(round(share * upper, 3), upper)
    for direction, sign in ways(curve):
        found = optimum([(curve, direction)], upper, formulation, [sign], size=size)
        assert sign * found == pytest.approx(float(curve(size)), abs=1e-5)


@pytest.mark.parametrize("formulation", FORMULATIONS)
@given(curve=curves(), share=st.floats(0, 1), least=st.floats(0.5, 5), extra=st.floats(0, 30))
def test_least_size_makes_the_jump_right_in_both_senses(formulation, curve, share, least, extra):
    size = least + share * extra
    for direction, sign in ways(curve, least):
        for x in (0.0, size):
            found = optimum([(curve, direction)], least + extra, formulation, [sign], size=x, least=least)
            assert sign * found == pytest.approx(float(curve(x)), abs=1e-5)


@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_sizes_between_nothing_and_the_least_are_excluded(formulation):
    pairs = [(Curve.linear(-1.0, 10.0), "either")]
    assert optimum(pairs, 10.0, formulation, price=1.5, least=4.0) == pytest.approx(0)
    built = program(pairs, 10.0, formulation, price=0.5, size=3.0, least=4.0)
    with pytest.raises(Exception, match="Infeasible"):
        solve_mixed(built, rel_gap=0)
    nothing = program(pairs, [3.0, 0.0], formulation, price=0.5, least=4.0)
    assert solve_mixed(nothing, rel_gap=0).x[:2] == pytest.approx([0, 0])


@given(
    first=st.one_of(curves(), curves(shape="convex"), curves(shape="concave")),
    second=st.one_of(curves(fixed=0), curves(shape="convex", fixed=0), curves(shape="concave", fixed=0)),
    upper=st.lists(st.integers(0, 120), min_size=1, max_size=3),
    price=st.integers(-15, 15),
)
def test_formulations_agree_and_have_one_relaxation(first, second, upper, price):
    pairs = [(first, "small"), (second, "large")]
    built = [program(pairs, upper, f, (1.0, -0.7), price=price) for f in FORMULATIONS]
    found = [solve_mixed(p, rel_gap=0).objective for p in built]
    relaxed = [relaxation(p) for p in built]
    assert found == pytest.approx([found[0]] * 3, abs=1e-5)
    assert relaxed == pytest.approx([relaxed[0]] * 3, abs=1e-5)
    # The optimum of one structure is at a breakpoint of either curve or at a bound.
    best = 0.0
    for high in upper:
        x = np.array([0, high, *(b for c in (first, second) for b in c.breakpoints if b < high)], float)
        best += (price * x + first(x) - 0.7 * second(x)).min()
    assert found[0] == pytest.approx(best, abs=1e-4)


@pytest.mark.parametrize("formulation", FORMULATIONS)
@given(curve=any_curve(), upper=st.integers(1, 100), share=st.floats(0.01, 1))
def test_relaxation_is_the_convex_envelope(formulation, curve, upper, share):
    size = share * upper
    built = program([(curve, "small")], upper, formulation, size=size)
    # Below: the largest of all lines between two points of the graph; the origin is one of them.
    x = np.array([0, *(b for b in curve.breakpoints if 0 < b < upper), upper], float)
    y = curve(x)
    if curve.fixed:
        x, y = np.append(x, 0.0), np.append(y, curve.fixed)
    left, right = x <= size, x >= size
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(x[right] > x[left][:, None], (size - x[left][:, None]) / (x[right] - x[left][:, None]), 0.0)
    envelope = ((1 - t) * y[left][:, None] + t * y[right]).min()
    assert relaxation(built) == pytest.approx(envelope, abs=1e-5)


def test_big_m_is_weaker_and_one_bound_for_all_too(root, monkeypatch):
    monkeypatch.syspath_prepend(root / "benchmarks")
    benchmark = importlib.import_module("scale")
    weak = [relaxation(benchmark.plants(name, 5, 6, 1)) for name in benchmark.WEAK]
    strong = [relaxation(benchmark.plants(name, 5, 6, 1)) for name in FORMULATIONS]
    assert strong == pytest.approx([strong[0]] * 3)
    best = [solve_mixed(benchmark.plants(name, 5, 6, 1), rel_gap=0).objective for name in ("interval", *benchmark.WEAK)]
    assert best == pytest.approx([best[0]] * 3)
    assert weak[1] < weak[0] < strong[0] < best[0]


BINARIES = [
    (Curve([0, 1, 2, 3], [0, 1, 3, 6]), "small", 0),
    (Curve([0, 1, 2, 3], [0, 1, 3, 6]), "large", 2),
    (Curve([0, 1, 2, 3], [0, 3, 5, 6]), "large", 0),
    (Curve([0, 1, 2, 3], [0, 3, 5, 6]), "small", 2),
    (Curve([0, 1, 2, 3], [0, 3, 5, 6]), "either", 2),
    (Curve([0, 1, 2, 3], [0, 3, 5, 6], fixed=1), "small", 3),
    (Curve([0, 1, 2, 3], [0, 2, 4, 6]), "either", 0),
    (Curve.linear(2, 3, fixed=1), "small", 1),
    (Curve([0, 1, 2, 3], [0, 1, 3, 6], fixed=1), "small", 1),
    (Curve([0, 1, 2, 3], [0, 2, 3, 5]), "small", 1),
]


@pytest.mark.parametrize("formulation", FORMULATIONS)
@pytest.mark.parametrize("curve, direction, binaries", BINARIES)
def test_binaries_only_where_the_direction_needs_them(formulation, curve, direction, binaries):
    built = program([(curve, direction)], [3.0, 3.0], formulation)
    assert built.integer.sum() == 2 * binaries


@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_bounds_belong_to_structures(formulation):
    cost = Curve([0, 1, 2, 3], [0, 3, 5, 6], fixed=1)
    built = program([(cost, "small")], [0.0, 0.5, 1.5, 3.0, 9.0], formulation)
    assert built.integer.sum() == 0 + 1 + 2 + 3 + 3
    assert abs(built.matrix).max() <= 30  # 9 is the largest bound, cost(9) = 13
    assert np.isfinite(built.upper).all()
    values = [optimum([(cost, "small")], u, formulation, size=u) for u in (0.0, 0.5, 1.5, 3.0, 9.0)]
    assert values == pytest.approx([0, 2.5, 5, 7, 13])


def test_no_binaries_and_no_columns_for_a_line():
    built = program([(Curve.linear(2.0, 5.0), "either")], [3.0, 4.0], "incremental")
    assert built.shape == (0, 2)
    assert built.objective.tolist() == [2.0, 2.0]


def test_curves_share_their_binaries():
    x = [0, 1, 2, 3]
    cost, output = Curve(x, [0, 3, 5, 6], fixed=1), Curve(x, [0, 1, 3, 6])
    for formulation in FORMULATIONS:
        alone = program([(cost, "small")], 3.0, formulation).integer.sum()
        both = program([(cost, "small"), (output, "large")], 3.0, formulation, (1, -1)).integer.sum()
        assert both == alone == 3
        other = Curve([0, 1.5, 3], [0, 1, 4])
        union = program([(cost, "small"), (other, "large")], 3.0, formulation, (1, -1)).integer.sum()
        assert union == 4


def test_terms_in_rows_and_read_back():
    builder = ProgramBuilder("p", "minimise")
    x = builder.variables("x", 3, lower=0, upper=[4.0, 2.0, 6.0])
    terms = add_curve(builder, "c", Curve([0, 2, 6], [0, 4, 8]), x.index, direction="small")
    factor = np.array([1.0, 10.0, 2.0])
    terms.in_objective(builder, factor)
    builder.rows("sum", 9.0, 9.0, (np.zeros(3, int), x.index, 1.0))
    budget = builder.rows("budget", -np.inf, 30.0, terms.rows(factor, row=np.zeros(3, int)))
    solution = solve_mixed(builder.build(), rel_gap=0)
    value = terms.values(solution.x, 3)
    assert value == pytest.approx(Curve([0, 2, 6], [0, 4, 8])(solution.values("x")))
    assert solution.objective == pytest.approx(value @ factor)
    assert solution.program.rows["budget"] == budget


@pytest.mark.parametrize("formulation", FORMULATIONS)
@given(curve=curves(), upper=st.integers(1, 60), price=st.integers(-12, 4))
def test_pyomo_holds_the_same_program(formulation, curve, upper, price):
    import pyomo.environ as pyo

    model = pyo.ConcreteModel()
    model.x = pyo.Var(["a", "b"], bounds=(0, upper))
    model.c = curve_block([(curve, "small")], model.x, formulation=formulation)
    model.cost = pyo.Objective(expr=sum(model.c.value[0, k] + price * model.x[k] for k in ("a", "b")))
    solver = pyo.SolverFactory("appsi_highs")
    solver.solve(model)
    expected = optimum([(curve, "small")], [upper, upper], formulation, price=price)
    assert pyo.value(model.cost) == pytest.approx(expected, abs=1e-4)


def test_pyomo_scalar_variables_and_missing_bounds():
    import pyomo.environ as pyo

    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(0, 5))
    model.line = curve_block([(Curve.linear(3.0, 5.0), "large")], model.x)
    model.x.value = 2.0
    assert pyo.value(model.line.value[0, None]) == 6.0
    model.free = pyo.Var()
    with pytest.raises(InputError, match="free must have a finite upper bound"):
        curve_block([(Curve.linear(3.0, 5.0), "large")], model.free)


def test_messages_name_the_field():
    jump = Curve.linear(1.0, 5.0, fixed=2.0)
    with pytest.raises(InputError, match="least: must be > 0 where direction is 'large'"):
        program([(jump, "large")], 5.0, "interval")
    with pytest.raises(InputError, match="direction: must be one of small, large, either"):
        program([(jump, "min")], 5.0, "interval")
    with pytest.raises(InputError, match="formulation: must be one of interval"):
        program([(jump, "small")], 5.0, "sos2")
    with pytest.raises(InputError, match=r"size: bounds must be finite and >= 0, got \[0, inf\] for structure 1"):
        program([(jump, "small")], [5.0, np.inf], "interval")
    with pytest.raises(InputError, match="least: must be finite"):
        program([(jump, "small")], 5.0, "interval", least=-1.0)
    builder = ProgramBuilder("p", "minimise")
    x = builder.variables("x", 1, lower=0, upper=5.0)
    add_curve(builder, "c", jump, x.index, direction="small")
    with pytest.raises(InputError, match="name: must be new in the program, 'c_piece' is there already"):
        add_curve(builder, "c", jump, x.index, direction="small")
    with pytest.raises(InputError, match="curves: must be at least one pair"):
        program([], 5.0, "interval")


@given(curve=curves(shape="convex", fixed=0), other=curves(shape="concave"), share=st.floats(0, 2))
def test_inverse_and_convexity(curve, other, share):
    for c in (curve, other):
        size = share * c.upper
        back = c.inverse(c(size)) if c.slopes[-1] > 0 else np.nan
        assume(np.isfinite(back))
        assert back <= size + 1e-9
        assert float(c(back)) == pytest.approx(float(c(size)), abs=1e-9) or back == 0
        if c.is_increasing:
            assert back == pytest.approx(size, abs=1e-9)
    assert curve.is_convex
    assert other.is_concave
    assert (curve.is_linear, curve.is_concave) == ((len(set(curve.slopes)) == 1,) * 2)
    assert not Curve(other.breakpoints, other.values, fixed=1).is_convex


@given(curve=curves(), x=st.lists(st.floats(0, 150), min_size=3, max_size=3))
def test_convexity_is_what_three_points_say(curve, x):
    a, m, b = sorted(x)
    assume(b > a + 1e-6)
    t = (m - a) / (b - a)
    chord = (1 - t) * curve(a) + t * curve(b)
    if curve.is_convex:
        assert curve(m) <= chord + 1e-9
    if curve.is_concave:
        assert curve(m) >= chord - 1e-9


@given(curve=curves(), other=curves(), upper=st.floats(0.1, 200), factor=st.floats(0.1, 10), size=st.floats(0, 150))
def test_sums_multiples_and_restrictions_of_curves(curve, other, upper, factor, size):
    assert float(curve.plus(other)(size)) == pytest.approx(float(curve(size) + other(size)), abs=1e-9)
    assert float(curve.times(factor)(size)) == pytest.approx(float(factor * curve(size)))
    restricted = curve.restricted(upper)
    assert restricted.upper == upper
    inside = min(size, upper)
    assert float(restricted(inside)) == pytest.approx(float(curve(inside)), abs=1e-9)
    if inside:
        assert curve.lowest_average(upper) <= curve(inside) / inside + 1e-9
    with pytest.raises(InputError, match="factor: must be a finite number > 0"):
        curve.times(-factor)


def test_breakpoints_that_differ_by_rounding_are_one():
    cost = Curve([0, 1000, 3000], [0, 10e6, 26e6])
    for shift in (2.2e-16, 1e-12):
        both = cost.plus(Curve([0, 1000 * (1 + shift), 3000], [0, 1e6, 1.5e6]))
        assert both.is_concave
        assert both.slopes == pytest.approx([11000, 8250])


def test_fit_recovers_a_power_law_and_its_error():
    rng = np.random.default_rng(3)
    x = np.geomspace(10, 10_000, 40)
    exact = fit_scale(x, 5.0 * x**0.63)
    assert (exact.exponent, exact.r_squared) == pytest.approx((0.63, 1.0))
    assert exact.standard_error == pytest.approx(0, abs=1e-12)
    assert exact.max_relative_error == pytest.approx(0, abs=1e-12)
    covered = 0
    for _ in range(200):
        y = 5.0 * x**0.63 * np.exp(0.2 * rng.standard_normal(x.size))
        fit = fit_scale(x, y)
        low, high = fit.interval(0.9)
        covered += low <= 0.63 <= high
        assert fit.max_relative_error == pytest.approx(np.abs(fit(x) / y - 1).max())
    assert 165 <= covered <= 193  # 180 expected, 95 % within 8.3


@pytest.mark.parametrize("exponent", [0.4, 0.6, 0.95, 1.0, 1.2, 1.8])
@pytest.mark.parametrize("balanced", [True, False])
def test_pieces_err_as_much_as_they_say(exponent, balanced):
    for n in (1, 3, 6):
        fit = fit_pieces(100.0, 7.0, exponent, 20.0, 3000.0, pieces=n, balanced=balanced)
        x = np.geomspace(20, 3000, 20_001)
        error = fit.curve(x) / (7.0 * (x / 100) ** exponent) - 1
        assert np.abs(error).max() == pytest.approx(fit.max_relative_error, rel=1e-4, abs=1e-9)
        if balanced:
            assert error.max() == pytest.approx(-error.min(), rel=1e-4, abs=1e-9)
        elif exponent < 1:
            assert error.max() <= 1e-9
        assert fit.curve.is_concave if exponent <= 1 else fit.curve.is_convex
        assert fit.curve.pieces == n + (exponent > 1)
    if exponent != 1:
        few = fit_pieces(100.0, 7.0, exponent, 20.0, 3000.0, max_error=0.01, balanced=balanced)
        inside = few.curve.pieces - (exponent > 1)
        assert few.max_relative_error <= 0.01
        assert inside == 1 or (
            fit_pieces(100.0, 7.0, exponent, 20.0, 3000.0, pieces=inside - 1, balanced=balanced).max_relative_error
            > 0.01
        )


def test_equal_ratios_beat_equal_lengths():
    fit = fit_pieces(100.0, 7.0, 0.6, 20.0, 3000.0, pieces=4, balanced=False)
    x = np.geomspace(20, 3000, 2001)
    even = power_curve(100.0, 7.0, 0.6, [0, *np.linspace(20, 3000, 5)])
    assert np.abs(even(x) / (7.0 * (x / 100) ** 0.6) - 1).max() > 2 * fit.max_relative_error


def test_fit_messages():
    with pytest.raises(InputError, match="sizes: must be at least three numbers"):
        fit_scale([1, 2], [1, 2])
    with pytest.raises(InputError, match="values: must be 3 finite numbers > 0"):
        fit_scale([1, 2, 3], [1, 2, -3])
    with pytest.raises(InputError, match="sizes: must not all be equal"):
        fit_scale([2, 2, 2], [1, 2, 3])
    with pytest.raises(InputError, match="confidence"):
        fit_scale([1, 2, 3], [1, 2, 3]).interval(1.0)
    law = (100.0, 7.0, 0.6)
    with pytest.raises(InputError, match="upper: must be a finite number > lower"):
        fit_pieces(*law, 20.0, 20.0, pieces=2)
    with pytest.raises(InputError, match="give either pieces or max_error"):
        fit_pieces(*law, 20.0, 30.0)
    with pytest.raises(InputError, match="pieces: must be an integer >= 1"):
        fit_pieces(*law, 20.0, 30.0, pieces=0)
    with pytest.raises(InputError, match=r"max_error: must be in \(0, 1\)"):
        fit_pieces(*law, 20.0, 30.0, max_error=2.0)
    with pytest.raises(InputError, match="max_error: must be large enough"):
        fit_pieces(*law, 1.0, 1e9, max_error=1e-9)
