"""My own scenario tree of demand: what to order, and what is it worth?"""

from stochisru import load_case, value_table
from stochisru.lunar.own_uncertainty import read_tree

tree = read_tree("docs/own-tree.csv", "hold")
case = load_case("lunar-reference").replace(T=tree.horizon, D0=float(tree.value[0]))
values = value_table(case, tree)
print({name: f"{kg:.0f} kg" for name, kg in values.recourse.first_stage.items()})
print((values.to_frame().loc[["rp", "evpi", "vss"], ["value", "lower", "upper"]] / 1e6).round(2).to_string())
