"""The page of the run of a case with tables beyond the base problem."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stochisru.report.elements import manifest_table, number, table
from stochisru.report.metrics_table import metrics_table

if TYPE_CHECKING:
    import pandas as pd

#: Tables that such a run may have, beside those that it must have.
MUST = ("tree_values", "plan", "tree", "tree_check", "strategies", "metrics", "differences", "operations", "npv")
MAY = ("values", "fan", "technologies")


#: Share of the largest mean order of a year from which on a technology is being built.
_SOME = 1e-3


def commitment(decision: Mapping[str, Any]) -> str:
    """What to commit now, by technology, in a sentence."""
    words = []
    for name, mass in decision.items():
        if isinstance(mass, Mapping):
            words += [_order(year, kg, f" of {html.escape(name)}") for year, kg in mass.items()]
        elif name.startswith("dM"):
            words.append(_order(name, mass, ""))
    placed = [word for word in words if word]
    first = f"Commit now {', '.join(placed)}." if placed else "Commit nothing now."
    return f"{first} Then: {html.escape(str(decision['rule']))}"


def _order(year: str, mass: float, what: str) -> str:
    return f"<b>{number(mass)}&nbsp;kg</b>{what} to arrive in year {html.escape(year[2:])}" if mass > 0 else ""


def body(manifest: dict[str, Any], tables: dict[str, pd.DataFrame], picture: Mapping[str, str]) -> str:
    """What stands between the title and the end of the page.

    Parameters
    ----------
    picture
        Figures as HTML by name.
    """
    process = tables.get("values")
    shown = tables["tree_values"] if process is None else process
    of = "tree" if process is None else "demand process"
    at = {str(r["quantity"]): {str(k): x for k, x in r.items()} for r in shown.to_dict("records")}

    def known(name: str) -> bool:
        return name in at and at[name]["value"] == at[name]["value"]  # an infeasible value is NaN

    def money(name: str, which: str = "value") -> str:
        return f"<b>$&nbsp;{number(at[name][which], '$')}&nbsp;million</b>"

    rp = at["rp"]
    bracket = f"{number(rp['lower'], '$')} to {number(rp['upper'], '$')}, {html.escape(str(rp['kind']))}"
    measure = html.escape(manifest["measure"])
    summary = f"The plan is worth {money('rp')}, {measure} of the {of} (bracket {bracket})."
    if manifest["commitment"]:
        summary += f" {html.escape(manifest['commitment'])}"
    if known("nothing"):
        gain = number(rp["value"] - at["nothing"]["value"], "$")
        summary += f" That is $&nbsp;{gain}&nbsp;million more than doing nothing."
    if known("evpi"):
        summary += f" A perfect forecast would add at most {money('evpi', 'upper')} (EVPI)."
    if known("vms"):
        ends = f"{number(at['vms']['lower'], '$')} to {number(at['vms']['upper'], '$')}"
        summary += f" Letting decisions depend on what is seen is worth {money('vms')} (reacting; {ends})."
    refused = f"<p>{html.escape(manifest['no_values'])}.</p>" if manifest["no_values"] else ""
    there = "" if process is None else _values(process, "Values of the process (NPV, maximised)")
    distance = manifest["distance"]
    rules = "".join(
        f"<dt>{html.escape(r['strategy'])}</dt><dd>{html.escape(r['rule'])}</dd>"
        for r in tables["strategies"].to_dict("records")
    )
    return f"""<h1>{html.escape(str(manifest.get("title", manifest["case"])))}</h1>
<p class="lead">{commitment(manifest["decision"])}</p>
<p class="lead">{summary}{_technologies(tables)}{_options(manifest)}</p>
<p>The case says {html.escape(manifest["tables"])}.</p>
<h2 id="values">Values of information and flexibility</h2>
{refused}
{picture["value_ladder"]}
{there}
<h2 id="plan">Plant and supply</h2>
{picture["plant"]}
{picture["supply"]}
{picture.get("demand_fan", "")}
{_yearly(tables["operations"])}
<h2 id="strategies">Policies on fresh paths</h2>
{picture["npv"]}
{metrics_table(tables["metrics"], manifest)}
{_differences(tables["differences"])}
<h3>The rules</h3>
<dl>{rules}</dl>
<h2 id="tree">The tree beside the process</h2>
<p>{manifest["leaves"]:,} scenarios, {manifest["nodes"]:,} nodes, solved by
<code>{html.escape(str(manifest["method"]))}</code> ({html.escape(str(manifest["solver"]))}). The variance of demand is
off by {distance["variance_error"]:+.1%} at worst, the Wasserstein distance is at most {distance["wasserstein"]:.1%} of
the mean.</p>
{_values(tables["tree_values"], "Values of the tree (NPV, maximised)")}
<h2 id="manifest">How this was made</h2>
{manifest_table(manifest)}"""


def _values(values: pd.DataFrame, caption: str) -> str:
    rows = [
        [
            html.escape(str(r["quantity"])),
            number(r["value"], "$"),
            f"[{number(r['lower'], '$')}, {number(r['upper'], '$')}]",
            html.escape(str(r["kind"])),
            html.escape(str(r["meaning"])),
        ]
        for r in values.to_dict("records")
    ]
    return table(["value", "$ million", "bracket", "bracket is", "meaning"], rows, caption=caption)


def _technologies(tables: dict[str, pd.DataFrame]) -> str:
    """When each technology comes, and what having it is worth."""
    if "technologies" not in tables:
        return ""
    words = []
    built = tables["operations"][tables["operations"]["group"] == "deployment"]
    built = built[built["strategy"] == built["strategy"].iloc[0]]
    others = "the other" if len(tables["technologies"]) == 2 else "the others"
    for row in tables["technologies"].to_dict("records"):
        own = built[(built["of"] == row["technology"]) & (built["mean"] > _SOME * built["mean"].max())]
        when = f"from year {own['year'].min():.0f}" if len(own) else "never"
        words.append(
            f"{html.escape(str(row['technology']))} is built {when}, and having it adds "
            f"$&nbsp;{number(row['value'], '$')}&nbsp;million to {others}"
        )
    return f" Of the technologies, {'; '.join(words)} (of the tree)."


def _options(manifest: Mapping[str, Any]) -> str:
    """What the option to abandon and support are worth."""
    return _abandonment(manifest["abandonment"]) + _support(manifest["support"])


def _abandonment(worth: float | None) -> str:
    """What the option to abandon plant is worth, in a sentence."""
    if worth is None:
        return ""
    return f" To be able to abandon plant is worth $&nbsp;{number(worth, '$')}&nbsp;million (of the tree)."


def _support(worth: dict[str, Any] | None) -> str:
    """What support is worth to whom, in a sentence."""
    if worth is None:
        return ""
    firm, government, both = (
        f"$&nbsp;{number(worth[who], '$')}&nbsp;million" for who in ("firm", "government", "both")
    )
    cost = ""
    if worth["per_kg"] is not None:
        cost = f"; a kilogram of oxygen more costs the government $&nbsp;{number(worth['per_kg'])}"
    return (
        f" With the support of the case the plan is worth {firm} to the firm, {government} to the government and "
        f"{both} to both (of the tree, less what doing nothing gives{cost})."
    )


def _yearly(operations: pd.DataFrame) -> str:
    """Means of what people look at by year under the committed policy."""
    own = operations[(operations["strategy"] == operations["strategy"].iloc[0]) & (operations["group"] != "other")]
    years = sorted(own["year"].unique())
    rows = []
    for (group, of), part in own.groupby(["group", "of"], sort=False):
        by_year = part.set_index("year")["mean"]
        rows.append([f"{html.escape(group)}: {html.escape(of)}", *(number(round(by_year[t], 6)) for t in years)])
    return table(["mean, kg", *(f"year {t}" for t in years)], rows, caption="What the policy comes to, by year")


def _differences(differences: pd.DataFrame) -> str:
    rows = [
        [
            f"{html.escape(r['first'])} − {html.escape(r['second'])}",
            number(r["value"], "$"),
            f"{number(r['lower'], '$')} to {number(r['upper'], '$')}",
        ]
        for r in differences.to_dict("records")
    ]
    head = ["difference", "mean", "confidence interval"]
    return table(head, rows, caption="Paired differences of mean NPV ($ million)")
