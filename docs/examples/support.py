"""How much support makes a plant of 300 kg earn, and how much makes building it now the best?"""

from stochisru import load_case
from stochisru.lunar.project import project

case = load_case("contested-market").replace(T=8, c_L=30000.0)
found = project(case, 300.0).to_dict()
print(f"best without support: {found['best']}")
print(f"it earns from {found['support_to_earn']:.1%} of its bill on")
print(f"building now is best from {found['support_to_build_now']:.1%} on: hurdle rate {found['hurdle']:.1%}")
