"""The first part of a run's page: what to commit, what it is worth, what other orders lose, the rule, what turns it."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from stochisru.report.elements import data_block, dollars, inline, significant, table
from stochisru.report.words import leading, named

if TYPE_CHECKING:
    import pandas as pd

    from stochisru.report.chart import Chart

Tables = Mapping[str, "pd.DataFrame"]
#: Mass below which an order is none, as a share of the largest.
_NOTHING = 1e-6
#: Share of the plan's worth, or of the largest loss, up to which a loss is called small.
_SMALL_OF_WORTH, _SMALL_OF_LOSS = 5e-4, 0.02


def kilograms(mass: float) -> str:
    """A mass in words."""
    return f"{significant(mass, 3) if mass < 1000 else significant(mass, 4)} kg"


# ------------------------------------------------------------------ sentence


def orders_of(decision: Mapping[str, Any]) -> list[tuple[str, int, float]]:
    """Technology (nothing where there is one), year of arrival and mass (kg) of what is committed."""
    found: list[tuple[str, int, float]] = []
    for name, mass in decision.items():
        if isinstance(mass, Mapping):
            found += [(name, int(year[2:]), float(kg)) for year, kg in mass.items()]
        elif name.startswith("dM"):
            found.append(("", int(name[2:]), float(mass)))
    most = max((kg for *_, kg in found), default=0.0)
    return [one for one in found if one[2] > max(_NOTHING * most, 0.0)]


def commitment(decision: Mapping[str, Any]) -> str:
    """What to commit this year, by year of arrival and technology, in one sentence."""
    placed = orders_of(decision)
    if not placed:
        return "Commit no plant this year."
    total = sum(kg for *_, kg in placed)
    if len(placed) == 1:
        ((name, year, kg),) = placed
        return f"Commit {kilograms(kg)} of {name or 'plant'} this year, to arrive in year {year}."
    words = [f"{kilograms(kg)}{f' of {name}' if name else ''} for year {year}" for name, year, kg in placed]
    return f"Commit {kilograms(total)} of plant this year: {', '.join(words[:-1])} and {words[-1]}."


def rule_after(decision: Mapping[str, Any], tables: Tables) -> str:
    """The rule of later years, in one sentence."""
    if "rule" not in tables:
        return f"Then: {decision['rule']}"
    rule = tables["rule"]
    ordering = rule[rule["k"] > 0]
    if ordering.empty:
        return "Then order nothing, whatever demand does."
    k = significant(ordering["k"].iloc[0], 3)
    others = ordering["k"].iloc[1:]
    low, high = (significant(x, 3) for x in (others.min(), others.max())) if len(others) else (k, k)
    later = "" if low == high == k else f" ({low if low == high else f'{low} to {high}'} in later years)"
    end = rule[rule["year"] > ordering["year"].max()]
    stop = f"; nothing from year {end['year'].min():.0f} on" if len(end) else ""
    return f"Then each year order up to {k} kg of plant per kg/yr of that year's demand{later}{stop}."


def sentence(manifest: Mapping[str, Any], tables: Tables) -> str:
    """The answer, as HTML."""
    both = f"{commitment(manifest['decision'])} {rule_after(manifest['decision'], tables)}"
    return f'<p class="answer">{html.escape(both)}</p>'


# --------------------------------------------------------------------- facts


class Worth:
    """Values of a run: of the process where there are any, else of the tree."""

    def __init__(self, tables: Tables) -> None:
        shown = tables["values"] if "values" in tables else tables["tree_values"]
        self.of = "demand process" if "values" in tables else "tree"
        self._at = {str(row["quantity"]): row for row in shown.to_dict("records")}

    def known(self, name: str) -> bool:
        """Whether a value is there; one that is infeasible is NaN or infinite."""
        return name in self._at and bool(np.isfinite(self._at[name]["value"]))

    def value(self, name: str) -> float:
        """A value, $."""
        return float(self._at[name]["value"])

    def ends(self, name: str) -> tuple[float, float]:
        """Its bracket, $."""
        return float(self._at[name]["lower"]), float(self._at[name]["upper"])

    def kind(self, name: str) -> str:
        """What its bracket is."""
        return str(self._at[name]["kind"])

    def ranged(self, name: str) -> str:
        """A bracket that is wider than what is said of the value, in words; nothing where it is not."""
        low, high = self.ends(name)
        value = self.value(name)
        if not np.isfinite([low, high]).all() or high - low < 5e-4 * max(abs(value), 1.0):
            return ""
        digits = max(3, min(6, 2 + int(np.ceil(np.log10(max(abs(low), abs(high), 1.0) / (high - low))))))
        return f"between {dollars(low, digits)} and {dollars(high, digits)} ({self.kind(name)})"


def facts(manifest: Mapping[str, Any], tables: Tables) -> str:
    """What the plan is worth, how sure the order is, what reacting and a perfect forecast are worth."""
    worth = Worth(tables)
    told = [_plan(manifest, tables, worth), _sure(manifest, tables, worth), _reacting(worth), _forecast(worth)]
    cells = "".join(
        f"<div><dt>{html.escape(what)}</dt><dd>{html.escape(head)}<small>{html.escape(more)}</small></dd></div>"
        for what, head, more in told
    )
    of = (
        ""
        if worth.of == "demand process"
        else '<p class="note">Values are of the scenario tree: those of the demand process are not known here.</p>'
    )
    return f'<dl class="facts">{cells}</dl>{of}'


def _plan(manifest: Mapping[str, Any], tables: Tables, worth: Worth) -> tuple[str, str, str]:
    said = [worth.ranged("rp")]
    if worth.known("nothing"):
        said.append(f"{dollars(worth.value('rp') - worth.value('nothing'))} more than building nothing")
    at: Any = tables["metrics"].set_index(["strategy", "metric"])
    plan = leading(list(dict.fromkeys(tables["metrics"]["strategy"])))
    if plan is not None and (plan, "npv_p5") in at.index and (plan, "npv_p95") in at.index:
        low, high = (float(at.loc[(plan, name), "value"]) for name in ("npv_p5", "npv_p95"))
        if np.isfinite([low, high]).all() and high > low:
            said.append(f"90% of futures: {dollars(low)} to {dollars(high)}")
    if plan is not None and (plan, "p_positive") in at.index:
        said.append(_losing(at.loc[(plan, "p_positive")], int(manifest["paths"]), float(manifest["confidence"])))
    measure = str(manifest.get("measure", "expected NPV"))
    return "Worth", f"{dollars(worth.value('rp'))} {measure}", "; ".join(part for part in said if part)


def _losing(positive: Any, paths: int, confidence: float) -> str:
    share, lower = 1 - float(positive["value"]), float(positive["lower"])
    if share == 0 and lower == lower:
        return f"none of {paths:,} loses money ({confidence:.0%} sure: under {significant(100 * (1 - lower), 2)}%)"
    return f"{significant(100 * share, 2)}% lose money" if share == share else ""


def _sure(manifest: Mapping[str, Any], tables: Tables, worth: Worth) -> tuple[str, str, str]:
    around = manifest["answer"]
    what = "How sure is the order?"
    if "regret" not in tables:
        return what, "not known", around["refused"]
    nothing = around["nothing"]
    waiting = f"ordering nothing this year costs {dollars(nothing)}" if nothing is not None else (
        "with nothing ordered this year there is no plan at all"
    )  # fmt: skip
    spans = list(_spans(tables["regret"], worth.value("rp")))
    if not spans:
        return what, "ordering nothing is best", "any order loses more than it brings"
    order, low, high, lost = spans[-1]
    _, arrival = order
    head = f"{significant(low)} to {kilograms(high)} costs at most {dollars(lost, 2)}"
    own = tables["regret"][(tables["regret"]["technology"] == order[0]) & (tables["regret"]["arrival"] == arrival)]
    none = own[own["kg"] == 0]["regret"]
    without = f"none of it costs {dollars(float(none.iloc[0]))}; " if len(none) and none.iloc[0] == none.iloc[0] else ""
    of = f"{order[0]}, " if order[0] else ""
    return f"How sure is the order for {of}year {arrival}?", head, without + waiting


def _spans(regret: pd.DataFrame, worth: float) -> Iterator[tuple[tuple[str, int], float, float, float]]:
    """Amounts between which each order loses little: order, from, to, and how little, $."""
    for technology, arrival, rows in by_order(regret):
        part = rows[rows["regret"].notna()].sort_values("kg")
        best = part[part["best"]]
        if not len(best) or float(best["kg"].iloc[0]) <= 0:
            continue
        kg, lost = part["kg"].to_numpy(dtype=float), part["regret"].to_numpy(dtype=float)
        at = int(np.flatnonzero(part["best"].to_numpy())[0])
        small = max(min(_SMALL_OF_WORTH * abs(worth), _SMALL_OF_LOSS * float(lost.max())), float(lost[at]))
        if bool(part["lot"].iloc[0]):
            inside = kg[lost <= small]
            yield (technology, arrival), float(inside.min()), float(inside.max()), small
            continue
        # Losses between two amounts are at most those on the line between them: they are convex.
        left = np.interp(small, lost[: at + 1][::-1], kg[: at + 1][::-1])
        right = np.interp(small, lost[at:], kg[at:])
        yield (technology, arrival), float(left), float(right), small


def _reacting(worth: Worth) -> tuple[str, str, str]:
    what = "Being able to react"
    if not worth.known("vms"):
        return what, "not known", "a plan fixed today, with which to compare, is not feasible"
    more = [f"against a plan for all years fixed today{_dash(worth.ranged('vms'))}"]
    if worth.known("flexibility"):
        more.append(f"{dollars(worth.value('flexibility'))} against building once")
    if worth.known("defer"):
        more.append(f"deferring the start adds {dollars(worth.value('defer'))}")
    return what, dollars(worth.value("vms")), "; ".join(more)


def _dash(text: str) -> str:
    return f", {text}" if text else ""


def _forecast(worth: Worth) -> tuple[str, str, str]:
    what = "A perfect forecast of all years"
    if not worth.known("evpi"):
        return what, "not known", ""
    top = worth.ends("evpi")[1]
    top = top if np.isfinite(top) else worth.value("evpi")
    return what, f"{dollars(top)} at most", f"do not pay more for studies of demand{_dash(worth.ranged('evpi'))}"


# -------------------------------------------------------------------- regret


def by_order(regret: pd.DataFrame) -> Iterator[tuple[str, int, pd.DataFrame]]:
    """Technology (nothing where there is one), year of arrival and rows of each order."""
    for key, rows in regret.groupby(["technology", "arrival"], sort=False):
        technology, arrival = cast("tuple[str, int]", key)
        yield str(technology), int(arrival), rows


def regret_section(manifest: Mapping[str, Any], tables: Tables, charts: Mapping[str, Chart]) -> str:
    """What other amounts of this year's orders lose."""
    head = '<h2 id="regret">What another order this year would cost</h2>'
    around = manifest["answer"]
    if "regret" not in tables:
        return f"{head}\n<p>Not known: {html.escape(around['refused'])}.</p>"
    made, without = [], []
    for technology, arrival, rows in by_order(tables["regret"]):
        chart = charts.get(regret_name(technology, arrival))
        if chart is not None:
            made.append(inline(chart, ""))
        else:
            without.append(_nothing_ordered(technology, arrival, rows))
    listed = f"<ul>{''.join(without)}</ul>" if without else ""
    error = around["error"]
    known = f" Losses are known to {dollars(error)}." if error is not None and error >= 1 else ""
    note = (
        f"Expected NPV that is lost by ordering another amount, the other orders of this year as they are and later "
        f"ones decided again ({html.escape(around['method'])}, of the {html.escape(around['of'])}).{known}"
    )
    left = tables["regret"][tables["regret"]["best"]]["regret"].max()
    if left > 0:
        note += (
            f" There the orders of this page lose {dollars(float(left))} against the best: they are of another ground."
        )
    return f'{head}\n<p class="note">{note}</p>\n<div class="two">{"".join(made)}</div>{listed}'


def _nothing_ordered(technology: str, arrival: int, rows: pd.DataFrame) -> str:
    """An order that is not placed, and what it would lose."""
    of = f"{html.escape(technology)}, " if technology else ""
    most = rows.sort_values("kg").iloc[-1]
    if most["regret"] != most["regret"]:
        return f"<li>{of}year {arrival}: nothing; {kilograms(float(most['kg']))} is not possible.</li>"
    lost = dollars(float(most["regret"]))
    return f"<li>{of}year {arrival}: nothing; {kilograms(float(most['kg']))} would lose {lost}.</li>"


def regret_name(technology: str, arrival: int) -> str:
    """Name of the figure of an order."""
    kept = "".join(sign if sign.isalnum() and sign.isascii() else "_" for sign in technology)
    return f"regret_{kept}_dM{arrival}" if kept else f"regret_dM{arrival}"


# ---------------------------------------------------------------- next years


def next_years(manifest: Mapping[str, Any], tables: Tables) -> str:
    """A calculator where the rule is one number a year, else what the policy orders on average."""
    head = '<h2 id="next">The coming years: what to order</h2>'
    if "rule" in tables:
        seen = float(tables["fan"]["mean"].iloc[1]) if "fan" in tables else float(manifest["answer"]["demand"])
        return f"{head}\n{_calculator(manifest['answer'], tables['rule'], seen)}"
    orders = _mean_orders(tables)
    rule = html.escape(str(manifest["decision"]["rule"]))
    return f"{head}\n<p>{rule}</p>\n{orders}"


def _calculator(around: Mapping[str, Any], rule: pd.DataFrame, seen: float) -> str:
    rows = [[f"{r['year']:.0f}", f"{r['arrival']:.0f}", significant(r["k"], 4)] for r in rule.to_dict("records")]
    years = "".join(f'<option value="{r["year"]:.0f}">{r["year"]:.0f}</option>' for r in rule.to_dict("records"))
    data = {
        "years": [
            {"year": int(r["year"]), "arrival": int(r["arrival"]), "k": float(r["k"])} for r in rule.to_dict("records")
        ]
    }
    there = around["projected"]
    form = f"""<div><form id="rule-form" class="needs-script only-screen" aria-label="Order of a coming year">
<label>year <select id="rule-year">{years}</select></label>
<label>demand seen, kg/yr <input id="rule-demand" type="number" min="0" step="any" value="{_round(seen, 4)}"></label>
<label>plant there will be without this order, kg
<input id="rule-plant" type="number" min="0" step="any" value="{_round(there or 0.0, 6)}"></label>
</form>
<p class="needs-script only-screen">Order
<output id="rule-order" class="ordered" for="rule-year rule-demand rule-plant"></output></p>
<p class="note needs-script only-screen" id="rule-why" aria-live="polite"></p></div>"""
    caption = "Order up to k times the demand that is seen: k in kg of plant per kg/yr"
    shown = table(["year", "arrives in year", "k"], rows, caption=caption)
    return f'<div class="two">{form}\n{shown}</div>\n{data_block("rule-data", data)}'


def _round(value: float, digits: int) -> str:
    """A number for a field: so many digits, never a power of ten."""
    return f"{float(f'{value:.{digits}g}'):.15g}"


def _mean_orders(tables: Tables) -> str:
    """Mean orders by year of arrival under the plan."""
    operations = tables["operations"]
    if "group" in operations:
        own = operations[(operations["strategy"] == "policy") & (operations["group"] == "deployment")]
        rows = [
            [html.escape(str(r["of"])), f"{r['year']:.0f}", *(significant(r[c], 3) for c in ("mean", "p5", "p95"))]
            for r in own[own["p95"] > _NOTHING * own["p95"].max()].to_dict("records")
        ]
        head = ["plant", "arrives in year", "mean, kg", "5% of futures below", "95% below"]
        return table(head, rows, caption="What the plan orders, over simulated futures; nothing in other years")
    times = tables["deployment_times"]
    plan = leading(list(dict.fromkeys(times["strategy"])))
    own = times[times["strategy"] == plan]
    rows = [[f"{r['year']:.0f}", significant(r["mass"], 3), f"{r['deploying']:.0%}"] for r in own.to_dict("records")]
    return table(
        ["arrives in year", "mean, kg", "share of futures with an order"],
        rows,
        caption=f"What the {named(str(plan))} orders",
    )


# ------------------------------------------------------------------- changes


def changes_section(manifest: Mapping[str, Any], tables: Tables, charts: Mapping[str, Chart]) -> str:
    """What would change the answer: one number at a time in words, and the map of two prices."""
    head = '<h2 id="changes">What would change the answer</h2>'
    if "changes" not in tables or len(tables["changes"]) < 2:
        why = manifest["answer"]["refused"] or "each change takes as long to solve as the case; run it with the change"
        return f"{head}\n<p>Not known: {html.escape(why)}.</p>"
    frame = tables["changes"]
    base = frame.iloc[0]
    names = [c for c in frame.columns if c not in ("symbol", "meaning", "change", "value", "moves", "unit", "worth")]
    swings = frame.iloc[1:].groupby("symbol", sort=False)["worth"].agg(lambda w: float(np.abs(w - base["worth"]).max()))
    told = []
    for symbol in swings.sort_values(ascending=False, kind="stable").index:
        told.append(_in_words(frame[frame["symbol"] == symbol], base, names))
    change = float(frame["change"].max())
    intro = f"One number at a time, {change:.0%} lower and higher; {_steadiest(frame, names, base)}"
    lines = "".join(f"<li>{line}</li>" for line in told)
    plotted = charts.get("break_even")
    mapped = "" if plotted is None else inline(plotted, _map_caption(manifest))
    return f"{head}\n<p>{intro}</p>\n<ul>{lines}</ul>\n{mapped}"


def _steadiest(frame: pd.DataFrame, names: list[str], base: Any) -> str:
    orders = frame[names].fillna(0.0)
    total, now = orders.sum(axis=1), float(orders.iloc[0].sum())
    if now <= 0:
        started = frame[total > 0]
        return (
            "with none of them anything is ordered this year."
            if started.empty
            else "some of them start an order this year."
        )
    low, high = float(total.iloc[1:].min()), float(total.iloc[1:].max())
    return f"this year's order stays between {kilograms(low)} and {kilograms(high)} (it is {kilograms(now)})."


def _in_words(rows: pd.DataFrame, base: Any, names: list[str]) -> str:
    meaning = html.escape(str(rows["meaning"].iloc[0]))
    parts = []
    for row in rows.sort_values("change").to_dict("records"):
        side = "lower" if row["change"] < 0 else "higher"
        at = f" ({_amount(row['value'], str(row['unit']))})" if row["value"] == row["value"] else ""
        off = row["worth"] - base["worth"]
        sign = "+" if off >= 0 else "−"
        parts.append(f"{side}{at}: {dollars(row['worth'])} ({sign}{dollars(abs(off))}){_moved(row, base, names)}")
    moves = str(rows["moves"].iloc[0])
    along = f" <small>(with it {html.escape(moves)})</small>" if moves else ""
    return f"<b>{meaning[:1].upper()}{meaning[1:]}</b>{along} {'; '.join(parts)}."


def _amount(value: float, unit: str) -> str:
    """A number with its unit."""
    text = f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"${text}{unit[1:]}" if unit.startswith("$") else f"{text} {unit}"


def _moved(row: Mapping[Any, Any], base: Any, names: list[str]) -> str:
    """Orders that are another by a per cent or more."""
    said = []
    most = max((float(base[n]) for n in names if base[n] == base[n]), default=0.0)
    for name in names:
        then, now = (float(x) if x == x else 0.0 for x in (row[name], base[name]))
        if abs(then - now) > 0.01 * max(now, 0.01 * most):
            technology, _, year = name.rpartition("dM")
            of = f"{html.escape(technology.strip())}, " if technology else ""
            said.append(f"{of}year {year}: {kilograms(then) if then > _NOTHING * most else 'nothing'}")
    return f", order {', '.join(said)}" if said else ""


def _map_caption(manifest: Mapping[str, Any]) -> str:
    text = "Expected NPV over the prices of oxygen and launch, all else as it is; lines run between computed points."
    even, price = manifest["answer"]["break_even"], manifest["answer"]["price"]
    if even is None:
        return f"{text} At the case's price of launch no price of oxygen near its own breaks even."
    at = "" if price is None else f", ${significant(price, 2)} per kg"
    return f"{text} At the case's price of launch it breaks even at about {significant(even, 2)} times its price{at}."
