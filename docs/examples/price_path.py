"""What if launch gets cheaper by 10 % a year: is it better to wait?"""

from stochisru import load_case, process_values

case = load_case("contested-market")
for growth in (0.0, -0.05, -0.10):
    falling = case.with_tables(costs={"c_L": {"start": case.costs.c_L, "growth": growth}})
    values = process_values(falling)
    masses = ", ".join(f"{name} {kg:.0f} kg" for name, kg in values.recourse.first_stage.items())
    print(f"{growth:+.0%} a year: {masses}; RP {values.point('rp') / 1e6:.2f} million $ ({values.values['rp'].kind})")
