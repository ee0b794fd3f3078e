"""What does it cost to wait a year with the first order?"""

from stochisru import decide, load_case

case = load_case("lunar-reference")
advice = decide(case, [900.0, 1000.0])
regret = advice.to_frame().query("kg == 0").set_index("order")["regret"]
for order, lost in regret.items():
    print(f"nothing in {order} in place of {advice.order[order]:.0f} kg loses {lost / 1e6:.2f} million $")
