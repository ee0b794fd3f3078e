"""Launch price, yield or demand: which is worth knowing in advance?"""

from scenario_trees import GeometricBrownianMotion, ScenarioTree
from stochisru import load_case
from stochisru.lunar.factors import with_factors
from stochisru.partial_evpi import partial_evpi

case = load_case("contested-market").replace(T=3)
factors = {"launch": GeometricBrownianMotion(5000.0, -0.05, 0.2), "yield": GeometricBrownianMotion(1.0, 0.0, 0.1)}
model = with_factors(case, factors)
found = partial_evpi(model, ScenarioTree.from_process(model.process, [2, 2, 2]))
for row in found.to_frame().itertuples():
    print(f"knowing {row.known}: {row.value / 1e3:.0f} thousand $ (of the tree)")
