"""What the commands of studies show: tables on standard output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from stochisru.terminal import money_unit, print_frame

if TYPE_CHECKING:
    from stochisru.lunar.studies.efficiency import Frontier
    from stochisru.lunar.studies.maps import TwoWayMap
    from stochisru.lunar.studies.sensitivity import Tornado
    from stochisru.lunar.studies.tuning import Tuning
    from stochisru.studies.store import Row


def _half_width(row: Row, name: str) -> float | None:
    """Half of the width of an interval; None where the sample gives none."""
    low, high = row[f"{name}_lower"], row[f"{name}_upper"]
    return None if low is None else (high - low) / 2


def show_tornado(study: Tornado, quantity: str) -> None:
    """Symbols by the swing of a quantity."""
    import pandas as pd

    from stochisru.lunar.studies.values import UNITS

    at = {(r["symbol"], r["level"]): r for r in study.rows}
    lines = []
    for symbol in study.ranked(quantity):
        low, high = at[symbol, "low"], at[symbol, "high"]
        line = {"symbol": symbol, "unit": low["unit"], "low": low["value"], "high": high["value"]}
        for name in dict.fromkeys(("rp", "flexibility", quantity)):
            line |= {f"{name} low": low[name], f"{name} high": high[name], f"{name} swing": study.swing(symbol, name)}
        lines.append({**line, "moves along": high["moves"] or low["moves"] or "–"})
    frame = pd.DataFrame(lines)
    numbers = [c for c in frame.columns if c not in ("symbol", "unit", "moves along")]
    frame[numbers] = frame[numbers].astype(float)
    base = next(r for r in study.rows if r["level"] == "base")
    first = f"RP {base['rp']:,.0f} $, flexibility {base['flexibility']:,.0f} $"
    typer.echo(f"{study.case.title}, T = {study.case.horizon.T}: {first} (exact, within {base['error']:.2g} $)")
    print_frame(frame, f"one symbol at a time, $ (NPV maximised); by swing of {quantity} ({UNITS[quantity]})")
    for row in study.rows:
        if row["note"]:
            typer.echo(f"{row['symbol']} = {row['value']:g}: {row['note']}")
    if study.left_out:
        reasons = ", ".join(f"{symbol} {reason}" for symbol, reason in study.left_out.items())
        typer.echo(f"left out: {reasons}; give a range to vary one, as in {next(iter(study.left_out))}=0:1")


def show_map(study: TwoWayMap, quantity: str, level: float | None) -> None:
    """The optimal NPV and one more quantity over the grid, which designs pay where, and the lines between."""
    import pandas as pd

    from stochisru.lunar.studies.maps import PAYS
    from stochisru.lunar.studies.values import UNITS

    x, y = study.x, study.y
    for name in dict.fromkeys(("rp", quantity)):
        frame = pd.DataFrame(study.grid(name), columns=[f"{v:.4g}" for v in study.x_values])
        frame.insert(0, f"{y} \\ {x}", study.y_values)
        title = (
            f"{study.case.title}, T = {study.case.horizon.T}: {name} ({UNITS[name]}) over {x} (across) and {y} (down)"
        )
        print_frame(frame, title)
    pays = [r["pays"] for r in study.rows]
    typer.echo(
        f"of {len(pays)} points the fixed design pays at {pays.count(PAYS[0])}, only the flexible one at "
        f"{pays.count(PAYS[1])}, none at {pays.count(PAYS[2])}"
    )
    for name, at in (("rp", 0.0), ("fixed", 0.0), *([(quantity, level)] if level is not None else [])):
        line = study.contour(name, at)
        if len(line):
            typer.echo(f"line on which {name} = {at:g} {UNITS[name]} (linear between grid points)")
            print_frame(line[[x, y]], "")
    for note in dict.fromkeys(r["note"] for r in study.rows if r["note"]):
        typer.echo(note)


def show_break_evens(rows: Sequence[Row]) -> None:
    """Roots with their brackets, and what the quantity is at the ends where there is none."""
    import pandas as pd

    found = [r for r in rows if r["note"] is None]
    if found:
        first = found[0]
        frame = pd.DataFrame(found)[["symbol", "unit", "base", "value", "lower", "upper"]]
        for column in ("value", "lower", "upper"):
            frame[column] = [f"{x:,.9g}" for x in frame[column]]
        typer.echo(f"{first['case']}, T = {first['horizon']}: where {first['quantity']} = {first['target']:g}")
        print_frame(frame, "")
    for row in rows:
        if row["note"]:
            typer.echo(row["note"])


def show_frontier(study: Frontier, sampled: set[str]) -> None:
    """Strategies by falling mean NPV, without the sampled rules that are dominated in both."""
    import pandas as pd

    dominated = set(study.dominated)
    hidden = dominated & sampled
    lines = []
    for row in sorted(study.rows, key=lambda r: -r["npv_mean"]):
        if row["strategy"] in hidden:
            continue
        efficient = [side for side in ("risk", "capital") if row[f"efficient_{side}"]]
        line = {"strategy": row["strategy"], "mean NPV": row["npv_mean"]}
        line |= {"± (CI)": _half_width(row, "npv_mean"), "sd": row["npv_sd"]}
        line |= {"CVaR95": row["cvar95"], "first-year capital": row["first_year_capital"]}
        line |= {"P(NPV>0)": row["p_positive"], "gap": row["gap"], "not dominated in": " and ".join(efficient) or "–"}
        lines.append(line)
    frame = pd.DataFrame(lines)
    frame[["± (CI)", "gap"]] = frame[["± (CI)", "gap"]].astype(float)
    money = ["mean NPV", "± (CI)", "sd", "CVaR95", "first-year capital", "gap"]
    unit, size = money_unit(frame[money])
    frame[money] /= size
    title = (
        f"{study.case.title}: {study.paths:,} common paths, T = {study.case.horizon.T} "
        f"({unit}; NPV up, CVaR of loss down)"
    )
    print_frame(frame, title)
    if hidden:
        typer.echo(f"dominated in both and not shown: {len(hidden)} of {len(sampled)} sampled rules")
    shown = [r for r in study.rows if r["strategy"] in sampled - hidden]
    for row in shown:
        typer.echo(f"{row['strategy']}: {row['rule']}")


def show_tuning(study: Tuning) -> None:
    """The rule as a sentence, its yardsticks, and how much of the optimum it reaches."""
    import pandas as pd

    typer.echo(study.describe())
    lines = []
    for row in study.rows:
        line = {"strategy": row["strategy"], "objective": row["objective"], "± (CI)": _half_width(row, "objective")}
        line |= {name: row[name] for name in ("gap", "share_of_npv", "share_of_gain", "share_of_flexibility")}
        lines.append(line)
    frame = pd.DataFrame(lines)
    frame[list(frame.columns[1:])] = frame[list(frame.columns[1:])].astype(float)
    sample = study.sample
    money = ["objective", "± (CI)", "gap"]
    unit, size = money_unit(frame[money])
    frame[money] /= size
    print_frame(
        frame,
        f"{study.case.title}: {sample['fresh_paths']:,} fresh paths, T = {study.case.horizon.T} "
        f"({unit}, NPV maximised)",
    )
    gain = study.optimism
    interval = f" [{gain.lower:,.0f}, {gain.upper:,.0f}]" if gain.lower == gain.lower else ""
    typer.echo(
        f"{study.evaluations:,} rules tried on {sample['paths']:,} paths; optimism {gain.value:,.0f} ${interval}"
    )
    row = study.rows[0]
    for name, text in (("share_of_npv", "the optimal NPV"), ("share_of_flexibility", "the value of flexibility")):
        if row[name] is not None:
            low, high = row[f"{name}_lower"], row[f"{name}_upper"]
            interval = f" [{low:.1%}, {high:.1%}]" if low is not None else ""
            typer.echo(f"the rule reaches {row[name]:.1%}{interval} of {text}")
    if study.at_bound:
        typer.echo(f"at an end of their range: {', '.join(study.at_bound)}")
