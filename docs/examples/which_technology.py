"""Which technology first, and what is it worth to have the other as well?"""

from stochisru import ScenarioTree, extensive_form, load_case
from stochisru.lunar.tables.worth_of_each import worth_of_each

case = load_case("docs/two-technologies.toml")
tree = ScenarioTree.from_process(case.process, [3, 3, 3])
plan = extensive_form(case, tree)
for technology, masses in case.first_stage(plan.first_stage).items():
    print(technology, {arrival: f"{kg:.0f} kg" for arrival, kg in masses.items()})
for worth in worth_of_each(case, tree):
    print(f"having {worth.name} as well is worth {worth.value / 1e6:.2f} million $ (of the tree)")
