"""The last part of a run's page, which is opened when wanted: values, metrics, tree, parameters, files."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stochisru.methods.registry import METHODS, method_named
from stochisru.report.elements import download, fold, inline, manifest_table, number, table
from stochisru.report.figures import OPERATIONS_CAPTION, TIMING_CAPTION
from stochisru.report.general_page import abandonment_in_words, support_in_words, technologies_in_words, yearly
from stochisru.report.indicator_figures import distributions_caption
from stochisru.report.metrics_table import metrics_table

if TYPE_CHECKING:
    import pandas as pd

    from stochisru.report.chart import Chart


def details(manifest: dict[str, Any], tables: Mapping[str, pd.DataFrame], figures: Mapping[str, Chart]) -> str:
    """All that a run found, folded."""
    return "\n".join(
        [
            '<h2 id="details">All results</h2>',
            fold("Values of information and flexibility", _all_values(manifest, tables, figures), "values"),
            fold("All metrics of ways to decide", _all_metrics(manifest, tables, figures), "metrics"),
            fold("The scenario tree beside the process", _tree(manifest, tables, figures), "tree"),
            fold("Parameters and sources", _parameters(manifest, tables), "parameters"),
            fold("Tables as CSV", _downloads(tables), "tables"),
            fold("How this was made", manifest_table(manifest), "manifest"),
        ]
    )


def _picture(figures: Mapping[str, Chart], name: str, caption: str) -> str:
    return inline(figures[name], caption) if name in figures else ""


def _all_values(manifest: dict[str, Any], tables: Mapping[str, pd.DataFrame], figures: Mapping[str, Chart]) -> str:
    of = "demand process" if "values" in tables else "scenario tree"
    ladder = _picture(
        figures, "value_ladder", f"Expected NPV of ways to decide, of the {of}; beside it the difference to the plan."
    )
    words = technologies_in_words(tables) + abandonment_in_words(manifest.get("abandonment"))
    words += support_in_words(manifest.get("support"))
    more = f"<p>{words}</p>" if words else ""
    refused = f"<p>{html.escape(manifest['no_values'])}.</p>" if manifest.get("no_values") else ""
    said = manifest.get("commitment") or ""
    committed = f"<p>{html.escape(said)}</p>" if said else ""
    shown = values_table(tables["values"], "Values of the process (NPV, maximised)") if "values" in tables else ""
    return f"<p>{_caveat(manifest, tables)}</p>{refused}{committed}{more}{ladder}{shown}"


def _caveat(manifest: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> str:
    text = (
        "<b>exact</b> means a closed form or recursion with its error of integration, <b>bounded</b> that the value "
        "lies between two such, a share such as <b>95 %</b> an interval from simulated paths, <b>certified</b> a proof "
        "by arithmetic. NPV is that of whoever bears every flow: sales of lunar oxygen less plants, launch, running "
        "them, shortage and supply from Earth, which earns nothing unless the case says so: it is only a cost."
    )
    if "values" in tables and manifest.get("foresight_paths"):
        text = f"Simulated values are on {manifest['foresight_paths']:,} paths. {text}"
    if manifest.get("foresight") not in (None, "case"):
        text += (
            f" Perfect information is solved for the {html.escape(str(manifest['foresight']))} alone: it bounds WS and "
            "EVPI from above, and their values are RP and what perfect information adds there."
        )
    return text


def values_table(values: pd.DataFrame, caption: str) -> str:
    """Values with brackets, what these are and what they mean."""
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


def _all_metrics(manifest: dict[str, Any], tables: Mapping[str, pd.DataFrame], figures: Mapping[str, Chart]) -> str:
    rules = "".join(
        f"<dt>{html.escape(r['strategy'])}</dt><dd>{html.escape(r['rule'])}</dd>"
        for r in tables["strategies"].to_dict("records")
    )
    parts = [metrics_table(tables["metrics"], manifest), differences_table(tables["differences"], tables["metrics"])]
    if "distributions" in tables:
        parts.append(_picture(figures, "operations", OPERATIONS_CAPTION))
        parts.append(_picture(figures, "distributions", distributions_caption(tables["distributions"])))
        parts.append(_picture(figures, "deployment_times", TIMING_CAPTION))
    else:
        parts.append(yearly(tables["operations"]))
    parts.append(f'<h3>The rules</h3><dl class="rules">{rules}</dl>')
    return "\n".join(parts)


def differences_table(differences: pd.DataFrame, metrics: pd.DataFrame) -> str:
    """Paired differences of the best on these paths to all others."""
    mean = metrics[metrics["metric"] == "npv_mean"].set_index("strategy")["value"]
    best = str(mean.idxmax())
    rows = []
    for r in differences.to_dict("records"):
        if best not in (r["first"], r["second"]):
            continue
        sign = 1 if r["first"] == best else -1
        low, high = sorted((sign * r["lower"], sign * r["upper"]))
        other = r["second"] if sign == 1 else r["first"]
        interval = f"{number(low, '$')} to {number(high, '$')}"
        rows.append([f"{html.escape(best)} − {html.escape(str(other))}", number(sign * r["value"], "$"), interval])
    caption = f"Paired differences of mean NPV against {best}, the best on these paths ($ million)"
    return table(["difference", "mean", "confidence interval"], rows, caption=caption)


#: Errors of a tree that the page shows.
_CHECKED = {
    "mean_error": "mean, relative error",
    "variance_error": "variance, relative error",
    "wasserstein": "Wasserstein-1 distance / mean",
    "conditional_mean_error": "mean given the node before, largest relative error",
    "conditional_mean_error_average": "the same on average",
    "foresight": "share of the next step's variance that nodes tell in advance",
}


def _tree(manifest: dict[str, Any], tables: Mapping[str, pd.DataFrame], figures: Mapping[str, Chart]) -> str:
    distance = manifest["distance"]
    shape = f"{manifest['leaves']:,} scenarios, {manifest['nodes']:,} nodes"
    if manifest.get("tree_origin", {}) is None:
        shape += ", of one's own numbers (a belief, not made from the case's process)"
    text = (
        f"Tree of {shape}, {_solved(manifest)}. The variance of demand is off by {distance['variance_error']:+.1%} at "
        f"worst, the Wasserstein distance is at most {distance['wasserstein']:.1%} of the mean. A tree has fewer "
        "extremes than the process: what information and flexibility are worth differs most."
    )
    parts = [f"<p>{text}</p>"]
    if "tree_values" in tables:
        if "values" in tables:
            parts.append(_beside(tables["values"], tables["tree_values"]))
        parts.append(values_table(tables["tree_values"], "Values of the tree (NPV, maximised)"))
    if "convergence" in figures:
        last = tables["iterations"].iloc[-1]
        caption = f"Bounds and gap on the tree by iteration; {last['number']:.0f} to a gap of {last['gap']:.2g}."
        parts.append(inline(figures["convergence"], caption))
    parts.append(_tree_check(tables["tree_check"]))
    return "\n".join(parts)


def _solved(manifest: dict[str, Any]) -> str:
    """By what the tree was solved, or why it was not."""
    if manifest["method"] is None:
        return f"not solved ({html.escape(manifest['no_tree_values'])})"
    method, solver = str(manifest["method"]), html.escape(str(manifest["solver"]))
    what = method_named(method).summary if method in METHODS else method
    return f"solved by <code>{html.escape(method)}</code>, {html.escape(what)} ({solver})"


def _beside(values: pd.DataFrame, tree: pd.DataFrame) -> str:
    """Values of the process and of the tree, and their difference."""
    there, here = values.set_index("quantity")["value"], tree.set_index("quantity")["value"]
    rows = [
        [html.escape(name), number(there[name], "$"), number(here[name], "$"), number(here[name] - there[name], "$")]
        for name in there.index.intersection(here.index)
    ]
    head = ["value", "process, $ million", "tree, $ million", "tree less process"]
    return table(head, rows, caption="The tree beside the process (NPV, maximised)")


def _tree_check(check: pd.DataFrame) -> str:
    rows = [[f"{r['stage']:.0f}", *(f"{r[column]:.2g}" for column in _CHECKED)] for r in check.to_dict("records")]
    caption = "The tree against the process; where the mean given the node before is off, nodes know what comes next"
    return table(["stage", *_CHECKED.values()], rows, caption=caption)


def _parameters(manifest: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> str:
    if "parameters" not in tables:
        said = html.escape(str(manifest.get("tables", "")))
        return (
            f"<p>The case says {said}; its numbers and their sources are in <code>case.toml</code> of the folder.</p>"
        )
    columns = ("symbol", "value", "unit", "description", "status", "source")
    rows = [[html.escape(str(r[c])) for c in columns] for r in tables["parameters"].to_dict("records")]
    return table(list(columns), rows, numeric=False, caption="Every parameter with its source")


def _downloads(tables: Mapping[str, pd.DataFrame]) -> str:
    items = "".join(download(name, frame) for name, frame in tables.items())
    return f"<p>Plain numbers in $, kg and years, out of this page.</p><ul>{items}</ul>"
