"""What does a purchase guarantee give the firm, and what does it cost the government?"""

from stochisru import ScenarioTree, load_case
from stochisru.lunar.tables.support_worth import support_worth

case = load_case("contested-market").replace(T=4)
tree = ScenarioTree.from_process(case.process, [3, 3, 3, 3])
for quantity in (200.0, 500.0, 1000.0):
    backed = case.with_tables(support={"purchase": {"quantity": quantity, "price": 0.8 * case.economics.P_m}})
    worth = support_worth(backed, tree)
    firm, government = worth.firm / 1e6, worth.government / 1e6
    print(f"{quantity:5.0f} kg/yr guaranteed: firm {firm:+.2f}, government {government:+.2f} million $ (of the tree)")
