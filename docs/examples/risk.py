"""How does the first order change when the worst tenth of the futures counts for more?"""

from stochisru import ScenarioTree, extensive_form, load_case

case = load_case("docs/two-technologies.toml")
tree = ScenarioTree.from_process(case.process, [3, 3, 3])
for weight in (0.0, 0.5, 0.9):
    careful = case.with_tables(risk={"kind": "total", "weight": weight, "tail": 0.1})
    plan = extensive_form(careful, tree)
    ordered, worth = sum(plan.first_stage.values()), plan.objective / 1e6
    print(f"weight {weight:.1f} on CVaR: {ordered:.0f} kg at the root, worth {worth:.2f} million $ (of the tree)")
