"""What the command line shows: tables and JSON on standard output, progress on standard error.

Progress is silent where standard error is not a terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stochisru.terminal import money_unit, print_frame, print_words

if TYPE_CHECKING:
    import pandas as pd

    from stochisru.lunar.comparison import Comparison
    from stochisru.lunar.general_run import GeneralRun
    from stochisru.lunar.simulation import Simulation
    from stochisru.lunar.simulation.of_tables import OutcomesOfTables
    from stochisru.lunar.tables.worth_of_each import WorthOfTechnology
    from stochisru.lunar.values.distance import Distance
    from stochisru.lunar.values.lattice import LatticeValues
    from stochisru.lunar.values.process import ProcessValues
    from stochisru.lunar.values.table import ValueTable
    from stochisru.methods.result import Result
    from stochisru.protocols import Plan


#: Width from which a table has room for what each value means.
_ROOM = 120


def print_values(table: pd.DataFrame, title: str) -> None:
    """The table of values, in millions where they are as large; what each means where there is room."""
    from rich.console import Console

    unit, scale = money_unit(table[["value", "lower", "upper"]])
    shown = table[["quantity"]].assign(
        **{column: [f"{x / scale:,.3f}" for x in table[column]] for column in ("value", "lower", "upper")},
        kind=table["kind"],
    )
    console = Console()
    if not console.is_terminal or console.width >= _ROOM:
        shown = shown.assign(meaning=table["meaning"])
    print_frame(shown, f"{title} ({unit}, NPV maximised)", right=("value", "lower", "upper"))


def print_decision(decision: Mapping[str, Any]) -> None:
    """What to commit now, and the rule after it."""
    from stochisru.lunar.orders import flat

    first = flat({name: mass for name, mass in decision.items() if not isinstance(mass, str)})
    orders = ", ".join(f"{name} {kg:,.1f} kg" for name, kg in first.items())
    rule = str(decision["rule"])
    print_words(f"decision: {orders}; then {rule[:1].lower()}{rule[1:]}")


def print_process_values(values: ProcessValues) -> None:
    """The values of the process."""
    case = values.case
    print_values(values.to_frame().reset_index(), f"{case.title}, T = {case.horizon.T}: values of the process")
    if not values.exact:
        sys.stdout.write("no exact policy exists for this case: rp is a policy's value and an upper bound\n")
    if values.foresight != "case":
        sys.stdout.write(
            f"perfect information is solved for the {values.foresight} alone: it bounds ws and evpi from above, and "
            "their values are rp and what perfect information adds there\n"
        )


def print_tree_values(values: ValueTable, away: Distance) -> None:
    """Values of the tree, and how far it is from the process."""
    case, plan = values.case, values.recourse
    frame = values.to_frame().reset_index()
    held = frame["quantity"].str.match(r"eev_\d+$")
    print_values(frame[~held], f"{case.title}: values of the tree, {values.tree!r}")
    sys.stdout.write(f"{away.describe(plan.objective, plan.first_stage)}\n")


def print_general_run(run: GeneralRun) -> None:
    """Values of the tree, what technologies are worth, and the policies of a run of a case with tables."""
    case = run.case
    frame = run.tree_values.to_frame().reset_index()
    print_values(frame[~frame["quantity"].str.match(r"eev_\d+$")], f"{case.title}: values of the tree")
    sys.stdout.write(f"{run.distance.describe(run.plan.objective, run.plan.first_stage)}\n")
    for worth in run.technologies:
        unit, scale = money_unit([worth.value])
        sys.stdout.write(f"having {worth.name} as well is worth {worth.value / scale:,.3f} {unit} (of the tree)\n")
    if run.abandonment is not None:
        print_abandonment(run.abandonment)
    if run.support is not None:
        money = [run.support.firm, run.support.government, run.support.both]
        unit, scale = money_unit(money)
        firm, government, both = (f"{x / scale:,.3f}" for x in money)
        sys.stdout.write(
            f"with support, less doing nothing ({unit}, of the tree): firm {firm}, government {government}, "
            f"both {both}\n"
        )
    print_strategies(run.simulation)


def print_abandonment(worth: WorthOfTechnology) -> None:
    """What the option to abandon plant is worth."""
    unit, scale = money_unit([worth.value])
    low, high = worth.bounds.lower / scale, worth.bounds.upper / scale
    sys.stdout.write(
        f"to be able to abandon plant is worth {worth.value / scale:,.3f} {unit} (of the tree; {low:,.3f} to "
        f"{high:,.3f}, {worth.bounds.label})\n"
    )


def print_lattice_values(values: LatticeValues, away: Distance) -> None:
    """Values of the lattice, and how far it is from the process."""
    plan = values.recourse
    print_values(values.to_frame().reset_index(), f"{values.case.title}: values of the lattice, {values.lattice!r}")
    sys.stdout.write(f"{away.describe(plan.objective, plan.first_stage)}\n")


def warn_of_gap(result: Result[Plan]) -> None:
    """A line on standard error where a method ended at a limit, so that its gap is wider than asked for."""
    if result.termination.limit is not None:
        sys.stderr.write(f"warning: {result.method} of the {result.bounds.of}: {result.termination.detail}\n")


#: Metrics of the table of strategies that are shares, not money.
_SHARES = ("p_positive", "self_sufficiency", "utilization")


def print_strategies(outcome: Simulation | OutcomesOfTables) -> None:
    """The main metrics of every strategy."""
    columns = (
        "npv_mean",
        "npv_sd",
        "npv_p5",
        "npv_p95",
        "cvar95",
        *_SHARES,
    )
    frame = outcome.to_frame()
    wide = frame.pivot(index="strategy", columns="metric", values="value").loc[outcome.names, list(columns)]
    mean = frame[frame["metric"] == "npv_mean"].set_index("strategy").loc[outcome.names]
    wide.insert(1, "± (CI)", (mean["upper"] - mean["lower"]).to_numpy() / 2)
    money = [name for name in wide.columns if name not in _SHARES]
    unit, size = money_unit(wide[money])
    wide[money] /= size
    title = f"{outcome.case.title}: {outcome.paths:,} paths, T = {outcome.case.horizon.T} ({unit}, NPV maximised)"
    print_frame(wide.reset_index(), title)


def print_comparison(outcome: Comparison) -> None:
    """The main metrics of every policy, and how far each is from the optimum."""
    print_strategies(outcome.simulation)
    ws = outcome.wait_and_see
    if outcome.optimum is not None:
        frame = outcome.to_frame()
        money = ["npv_mean", "lower", "upper", "gap", "gap_lower", "gap_upper"]
        unit, size = money_unit(frame[money])
        frame[money] /= size
        print_frame(frame, f"Gap to the exact optimum ({unit}, paired on common paths)")
        sys.stdout.write(f"exact optimum RP {outcome.optimum.lower:,.0f} $\n")
    top = outcome.ceiling
    if top is not None and not top.reason:
        sure = f"{outcome.simulation.confidence:.0%}".replace("%", " %")
        sys.stdout.write(f"no policy earns more than {top.upper:,.0f} $ ({sure}; estimate {top.value:,.0f})\n")
    if ws is not None:
        sample = f"({outcome.foresight_paths:,} paths)"
        between = f"no interval: {ws.reason}" if ws.reason else f"{ws.lower:,.0f} to {ws.upper:,.0f}"
        sys.stdout.write(f"wait-and-see WS {ws.value:,.0f} $, {between} {sample}\n")
