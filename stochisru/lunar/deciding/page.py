"""The folder of a decision: its tables, figures, case and one self-contained page."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stochisru.files import drawing, keeping, plainly, replacing_folder, require_replaceable, write_text
from stochisru.lunar.deciding.decide import Advice
from stochisru.lunar.deciding.figures import history_and_fan, order_by_demand, regret_curve, regret_name
from stochisru.lunar.deciding.words import amount, shown
from stochisru.methods.result import versions
from stochisru.placing import files_of
from stochisru.report.elements import inline, manifest_table, table, whole_page
from stochisru.studies.folder import write_case, write_figures, write_manifest, write_tables

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

#: Kind of folder.
KIND = "decision"


@dataclass(frozen=True, eq=False)
class WrittenAdvice:
    """Advice in its folder."""

    advice: Advice
    folder: Path
    files: tuple[str, ...]

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the keys of ``docs/cli.md``."""
        return {**self.advice.to_dict(), "folder": str(self.folder), "files": list(self.files)}


def identity(advice: Advice) -> dict[str, str]:
    """Entries of the manifest in which a decision must agree with the one that it replaces."""
    return {"series_hash": advice.history.digest(), "case_hash": advice.case.digest()}


def require_folder(out: Path) -> None:
    """Refuse a folder that holds anything but a decision, before any work is done."""
    require_replaceable(out, KIND, {})


def write_advice(advice: Advice, out: Path) -> WrittenAdvice:
    """Write a decision into a folder: it appears when all is done, and replaces an earlier one of the same case only.

    Raises
    ------
    InputError
        If the folder holds anything else, or cannot be written.
    FigureError
        If a figure or the page cannot be made; tables and manifest are in the folder.
    OutputError
        If the folder cannot be written; ``kept`` is the advice.
    """
    with keeping() as keep, replacing_folder(out, KIND, identity(advice)) as folder:
        keep(advice)
        fan = (
            None if advice.has_factors else advice.case.process.fan(advice.case.horizon.T, _LEVELS).rename(columns=str)
        )
        write_tables(folder, _tables(advice, fan))
        write_case(folder, advice.case)
        entries = {**identity(advice), "history": advice.history.file, "order": advice.order, "rule": advice.rule}
        entries |= {"method": advice.method, "of": advice.of, "belief": advice.belief.describe()}
        write_manifest(folder, KIND, entries, advice.case)
        written = WrittenAdvice(advice, out, files_of(folder))
        figures = _figures(advice, fan)
        write_figures(folder, lambda: figures, written)
        with drawing(written):
            write_text(folder / "report.html", render(advice, figures, {**entries, "versions": versions()}))
        files = files_of(folder)
    return WrittenAdvice(advice, out, files)


#: Quantile levels of the fan.
_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def _tables(advice: Advice, fan: pd.DataFrame | None) -> dict[str, pd.DataFrame]:
    import pandas as pd

    series = advice.history
    made = {
        "history": pd.DataFrame({"date": series.labels, "year": series.years, "demand": series.values}),
        "regret": advice.to_frame(),
        "demand": advice.leaning_table(),
    }
    if advice.positions:
        made["rule"] = pd.DataFrame({"year": list(advice.positions), "k": list(advice.positions.values())})
    return made if fan is None else {**made, "fan": fan.reset_index()}


def _figures(advice: Advice, fan: pd.DataFrame | None) -> dict[str, Figure]:
    with drawing():
        made = {regret_name(order): regret_curve(advice, order) for order in advice.best.orders}
        made["demand"] = order_by_demand(advice)
        return made if fan is None else {**made, "history": history_and_fan(advice, fan)}


def render(advice: Advice, figures: Mapping[str, Figure], manifest: Mapping[str, Any]) -> str:
    """The page."""
    title = f"What to order in {advice.when(0)}: {advice.case.name}"
    turning = " ".join(f"{html.escape(line[:1].upper() + line[1:])}." for line in advice.turning_lines)
    history = figures.get("history")
    shown_history = "" if history is None else inline(history, "Demand so far, and what is believed to come.")
    body = f"""<h1>{html.escape(title)}</h1>
<p class="lead"><b>{html.escape(advice.sentence)}</b></p>
<p class="lead">Then: {html.escape(advice.rule)}</p>
<p>With these orders the plan is {html.escape(advice.worth)}. {_standing(advice)}</p>
<h2 id="regret">What other orders lose</h2>
<p>Expected NPV that is lost by ordering another amount this year, all else decided again.</p>
{_regret(advice, figures)}
<h2 id="demand">Which demand would change it</h2>
<p>{turning} Had this year's demand been another, the belief would be another too; parameters stay.</p>
{inline(figures["demand"], "This year's orders by this year's demand, in terms of what it is.")}
{_leaning(advice)}
<h2 id="belief">The belief</h2>
<p>{html.escape(advice.belief.describe())}.</p>
{_process(advice)}
{shown_history}
{_rule(advice)}
<h2 id="manifest">How this was made</h2>
{manifest_table(dict(manifest))}"""
    return whole_page(f"stochisru: {title}", body)


def _process(advice: Advice) -> str:
    """The process in full, where the belief says but a part of it."""
    process = html.escape(advice.belief.process)
    return f"<p><code>{process}</code></p>" if advice.belief.facts else ""


def _standing(advice: Advice) -> str:
    """Plant that is there and on its way."""
    told = advice.to_dict()
    plant, pipeline = told["plant"], told["pipeline"]
    if isinstance(plant, dict):
        words = ", ".join(f"{amount(kg)} kg of {html.escape(name)}" for name, kg in plant.items())
    else:
        words = f"{amount(plant)} kg"
    coming = [
        f"{amount(kg)} kg{f' of {html.escape(name)}' if isinstance(plant, dict) else ''} in {advice.when(year)}"
        for name, amounts in pipeline.items()
        for year, kg in enumerate(amounts)
        if kg > 0
    ]
    return f"In place: {words}. On its way: {', '.join(coming) or 'nothing'}."


def _regret(advice: Advice, figures: Mapping[str, Figure]) -> str:
    made = []
    for order, best in advice.best.orders.items():
        rows = shown(advice.regret_of(order))
        digits = advice.money_digits(order)
        cells = [
            [
                f'<span class="best">{amount(row.kg)}</span>' if row.kg == best else amount(row.kg),
                f"{row.lost / 1e6:,.{digits}f}",
            ]
            for row in rows
        ]
        what = f"{order.name}, to arrive in {advice.when(order.arrival)}"
        made.append(
            inline(figures[regret_name(order)], f"{what}: what is lost by other amounts; the dot is the order.")
        )
        caption = f"{what}; the order is marked"
        made.append(table(["kg", "loses, $ million"], cells, caption=caption))
    return "\n".join(made)


def _leaning(advice: Advice) -> str:
    frame = advice.leaning_table()
    rows = [
        [amount(row["demand"]), html.escape(row["change"]), *(amount(row[order.name]) for order in advice.best.orders)]
        for row in frame.to_dict("records")
    ]
    head = ["demand, kg/yr", "change", *(f"{order.name}, kg" for order in advice.best.orders)]
    return table(head, rows, caption="This year's orders by this year's demand")


def _rule(advice: Advice) -> str:
    if not advice.positions:
        return ""
    lead = len(next(iter(advice.arriving.values()))) - 1
    rows = [
        [advice.when(t), advice.when(t + lead), f"{k:.4f}" if k > 0 else "orders nothing"]
        for t, k in advice.positions.items()
    ]
    head = ["year of the order", "arrives in", "k_t, kg of plant per kg/yr of that year's demand"]
    return f'<h2 id="rule">The rule by year</h2>\n{table(head, rows, caption="Order up to k_t times demand")}'
