"""The command ``network chain``: from ΔV to a stochastic plan."""

from __future__ import annotations

from typing import Annotated

import typer

from stochisru.terminal import JsonOpt, SolverOpt, emit, json_target, progress

#: Networks from which the parameters may come.
NETWORKS = ("two-legs", "table", "paper")
#: Tree of the plan: branches per year.
_BRANCHING = (3, 3, 3)


def chain(
    network: Annotated[
        str, typer.Option(help="two-legs (LEO-LLO-pole), table (every leg of the ΔV table) or paper (cislunar stages).")
    ] = "paper",
    case: Annotated[str, typer.Option(help="Deployment case that takes the values.")] = "lunar-reference",
    solver: SolverOpt = "highs",
    json: JsonOpt = None,
) -> None:
    """From ΔV to a stochastic plan: alpha, eta and c_E from a network's duals, and the plan with them."""
    from scenario_trees.tree import ScenarioTree
    from stochisru.lunar.case import load_case
    from stochisru.lunar.values.tree import value_table
    from stochisru.networks.network import one_of
    from stochisru.worked.cislunar.chain import PaperChain
    from stochisru.worked.mars.lunar import SupplyChain, table_legs

    json_target(json)
    name = one_of(NETWORKS, network, "network")
    with progress("solving"):
        made = {
            "two-legs": lambda: SupplyChain().values(solver),
            "table": lambda: SupplyChain(legs=table_legs()).values(solver),
            "paper": lambda: PaperChain().values(solver),
        }
        found = made[name]()
        problem = load_case(case).replace(T=len(_BRANCHING), **found.symbols)
        table = value_table(problem, ScenarioTree.from_process(problem.process, list(_BRANCHING)))
    rp, evpi = table.point("rp"), table.point("evpi")
    orders = table.recourse.first_stage
    data = {
        "network": name,
        **found.symbols,
        "case": case,
        "horizon": len(_BRANCHING),
        "branching": list(_BRANCHING),
        "sense": "maximise",
        "rp": rp,
        "evpi": evpi,
        "first_stage": orders,
    }

    def show() -> None:
        typer.echo(f"{name}: alpha {found.alpha:.3f} kg/kg, eta {found.eta:.3f} kg/(kg yr), c_E {found.c_E:,.0f} $/kg")
        first = ", ".join(f"{symbol} {kg:,.1f} kg" for symbol, kg in orders.items())
        typer.echo(
            f"{case} over {len(_BRANCHING)} years on a tree of {' × '.join(map(str, _BRANCHING))} branches: "
            f"RP {rp / 1e6:,.2f} million $ (maximised), EVPI {evpi / 1e6:,.2f}, {first}"
        )

    emit(data, json, show)


#: Commands by the words that call them.
COMMANDS = {"network chain": chain}
