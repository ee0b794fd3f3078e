"""What is it worth to be allowed more mass to orbit a year?"""

from stochisru import ScenarioTree, extensive_form, load_case

case = load_case("lunar-reference").replace(T=4)
tree = ScenarioTree.from_process(case.process, [3, 3, 3, 3])
free = extensive_form(case, tree)
print(f"without a limit {sum(free.first_stage.values()):.0f} kg at the root, {free.objective / 1e6:.1f} million $")
for limit in (250.0, 500.0, 1000.0):
    tight = extensive_form(case.with_tables(launch={"mass_limit": limit}), tree)
    ordered, lost = sum(tight.first_stage.values()), free.objective - tight.objective
    print(f"{limit:5.0f} kg a year: {ordered:.0f} kg at the root, {lost / 1e6:.1f} million $ less (of the tree)")
