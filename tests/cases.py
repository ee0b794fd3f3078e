"""Random deployment cases for property tests."""

from hypothesis import strategies as st

from stochisru import load_case, shipped_cases
from stochisru.lunar.shipped import DEFAULT
from stochisru.lunar.tables.case import is_general

#: Shipped cases without tables beyond the base problem, and the studies of the literature.
BASE_CASES = [name for name in shipped_cases() if not is_general(load_case(name))]
LITERATURE = [name for name in shipped_cases() if name not in (*BASE_CASES, DEFAULT)]


@st.composite
def deployment_cases(draw, max_T=3, linear_only=False):
    T = draw(st.integers(1, max_T))
    number = lambda low, high: draw(st.floats(low, high, allow_nan=False).map(lambda x: round(x, 3)))  # noqa: E731
    c_E = number(100, 20_000)
    return load_case("lunar-reference").replace(
        T=T,
        lead_time=draw(st.integers(0, T + 1)),
        initial_deployment=draw(st.sampled_from(["free", "fixed"])),
        r=number(0, 0.3),
        P_m=number(0, 20_000),
        eta=number(0.5, 10),
        alpha=number(1, 10),
        beta=number(0, 0.5),
        M0=draw(st.sampled_from([0.0, 50.0, 300.0])),
        degradation=0.0 if linear_only else draw(st.sampled_from([0.0, 0.1, 0.4])),
        c_L=number(0, 5000),
        c_dev=number(10, 20_000),
        c_op=number(0, 5000),
        c_E=c_E,
        c_bu=round(c_E * draw(st.sampled_from([0.5, 1.0, 2.0])), 3),
        c_S=number(0, 1000),
        c_by=number(0, 1000),
        earth_limit=None if linear_only else draw(st.sampled_from([None, 0.0, 400.0, 1500.0])),
        D0=number(100, 2000),
        mu=number(-0.2, 0.4),
        sigma=number(0, 0.6),
    )
