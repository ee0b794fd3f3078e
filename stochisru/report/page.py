"""One self-contained page per run: no script, no network, figures inlined."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenario_trees.files import MISSHAPEN, replacing
from stochisru.errors import InputError
from stochisru.files import MANIFEST, read_manifest, relist_files, write_text
from stochisru.methods.registry import METHODS, method_named
from stochisru.report.elements import inline, manifest_table, number, table, whole_page
from stochisru.report.general_page import MAY, MUST
from stochisru.report.general_page import body as body_of
from stochisru.report.manifest import require_entries
from stochisru.report.metrics_table import metrics_table

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_TABLES = (
    "parameters",
    "values",
    "schedule",
    "tree",
    "tree_check",
    "fan",
    "strategies",
    "metrics",
    "differences",
    "operations",
    "distributions",
    "deployment_times",
    "deployment_numbers",
    "npv",
)


def read_tables(folder: Path) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """Manifest and tables of a run folder.

    Raises
    ------
    InputError
        If the folder is not a run folder or a table cannot be read.
    """
    import pandas as pd

    manifest = read_manifest(folder)
    if manifest is None:
        raise InputError(f"RUN_DIR: {folder} is not a run folder (no {MANIFEST} of this version of stochisru)")
    if "study" in manifest:
        raise InputError(f"RUN_DIR: {folder} holds a {manifest['study']} study; make it again with its own command")
    require_entries(manifest, folder, tables=_has_tables(manifest))
    try:
        names, may = (
            [*(MUST if _has_tables(manifest) else _TABLES)],
            [*(MAY if _has_tables(manifest) else ["iterations"])],
        )
        if manifest["method"] is not None and "tree_values" not in names:
            names.append("tree_values")
        names += [name for name in may if (folder / "tables" / f"{name}.parquet").exists()]
        tables = {name: pd.read_parquet(folder / "tables" / f"{name}.parquet") for name in names}
    except Exception as error:  # pandas and pyarrow have errors of their own for what is damaged
        raise InputError(f"RUN_DIR: cannot read {folder}: {error}") from error
    return manifest, tables


def _has_tables(manifest: dict[str, Any]) -> bool:
    """Whether the run is of a case with tables beyond the base problem."""
    return manifest.get("page") == "tables"


def build_report(folder: Path) -> list[Path]:
    """Make figures and page of a run folder from its tables; return the files written."""
    from stochisru.report.figures import all_figures
    from stochisru.report.general_figures import general_figures

    manifest, tables = read_tables(folder)
    figures = general_figures(tables) if _has_tables(manifest) else all_figures(tables)
    text = render(manifest, tables, figures)
    target = folder / "figures"
    try:
        target.mkdir(exist_ok=True)
        written = []
        for name, (figure, _) in figures.items():
            for suffix in ("png", "pdf"):
                metadata = {"CreationDate": None} if suffix == "pdf" else None
                path = target / f"{name}.{suffix}"
                with replacing(path) as part:
                    figure.savefig(part, format=suffix, metadata=metadata)
                written.append(path)
    except OSError as error:
        raise InputError(f"RUN_DIR: cannot write to {target}: {error.strerror}") from error
    page = folder / "report.html"
    write_text(page, text)
    relist_files(folder, [*written, page])
    return [*written, page]


def rebuild_report(folder: Path) -> list[Path]:
    """`build_report` of a folder that may have been changed since its run; `InputError` where it cannot be read."""
    try:
        return build_report(folder)
    except InputError:
        raise
    except MISSHAPEN as error:
        said = f"{type(error).__name__}: {error}"
        raise InputError(
            f"RUN_DIR: {folder}: its tables are not those of a run ({said}); make the run again"
        ) from error


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


def _beside(values: pd.DataFrame, tree: pd.DataFrame) -> str:
    """Values of the process and of the tree, and their difference."""
    there, here = values.set_index("quantity")["value"], tree.set_index("quantity")["value"]
    rows = [
        [html.escape(name), number(there[name], "$"), number(here[name], "$"), number(here[name] - there[name], "$")]
        for name in there.index.intersection(here.index)
    ]
    head = ["value", "process, $ million", "tree, $ million", "tree less process"]
    return table(head, rows, caption="The tree beside the process (NPV, maximised)")


def _solved(manifest: dict[str, Any]) -> str:
    """By what the tree was solved, or why it was not."""
    if manifest["method"] is None:
        return f"not solved ({html.escape(manifest['no_tree_values'])})"
    method, solver = str(manifest["method"]), html.escape(str(manifest["solver"]))
    what = method_named(method).summary if method in METHODS else method
    return f"solved by <code>{html.escape(method)}</code>, {html.escape(what)} ({solver})"


def _tree_values(tables: dict[str, pd.DataFrame]) -> str:
    """The values of the tree beside those of the process, where there are any."""
    if "tree_values" not in tables:
        return ""
    own = _values(tables["tree_values"], "Values of the tree (NPV, maximised)")
    return f"{_beside(tables['values'], tables['tree_values'])}\n{own}"


def _decision(decision: dict[str, Any]) -> str:
    orders = ", ".join(
        f"<b>{number(mass)}&nbsp;kg</b> to arrive in year {html.escape(name[2:])}"
        for name, mass in decision.items()
        if name.startswith("dM")
    )
    return f"Commit now {orders}. Then: {html.escape(str(decision['rule']))}"


def _differences(differences: pd.DataFrame, metrics: pd.DataFrame) -> str:
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


def _parameters(parameters: pd.DataFrame) -> str:
    columns = ("symbol", "value", "unit", "description", "status", "source")
    rows = [[html.escape(str(r[c])) for c in columns] for r in parameters.to_dict("records")]
    return table(list(columns), rows, numeric=False, caption="Every parameter with its source")


#: Errors of a tree that the page shows.
_CHECKED = {
    "mean_error": "mean, relative error",
    "variance_error": "variance, relative error",
    "wasserstein": "Wasserstein-1 distance / mean",
    "conditional_mean_error": "mean given the node before, largest relative error",
    "conditional_mean_error_average": "the same on average",
    "foresight": "share of the next step's variance that nodes tell in advance",
}


def _tree_check(check: pd.DataFrame) -> str:
    rows = [[f"{r['stage']:.0f}", *(f"{r[column]:.2g}" for column in _CHECKED)] for r in check.to_dict("records")]
    return table(
        ["stage", *_CHECKED.values()],
        rows,
        caption=(
            "The tree against the process; where the mean given the node before is off, nodes know what comes next"
        ),
    )


def render(manifest: dict[str, Any], tables: dict[str, pd.DataFrame], figures: dict[str, tuple[Figure, str]]) -> str:
    """Text of the page."""
    if _has_tables(manifest):
        picture = {name: inline(figure, caption) for name, (figure, caption) in figures.items()}
        return whole_page(f"stochisru: {manifest.get('title', manifest['case'])}", body_of(manifest, tables, picture))
    records = tables["values"].to_dict("records")
    at = {str(r["quantity"]): {k: float(r[k]) for k in ("value", "lower", "upper")} for r in records}
    kinds = {str(r["quantity"]): html.escape(str(r["kind"])) for r in records}
    picture = {name: inline(figure, caption) for name, (figure, caption) in figures.items()}
    rules = "".join(
        f"<dt>{html.escape(r['strategy'])}</dt><dd>{html.escape(r['rule'])}</dd>"
        for r in tables["strategies"].to_dict("records")
    )

    def money(name: str) -> str:
        return f"<b>$&nbsp;{number(at[name]['value'], '$')}&nbsp;million</b>"

    def between(name: str) -> str:
        return f"{number(at[name]['lower'], '$')} to {number(at[name]['upper'], '$')}"

    gain = number(at["rp"]["value"] - at["nothing"]["value"], "$")
    worth = (
        f"The best plan is worth {money('rp')} of expected NPV"
        if manifest["exact"]
        else f"The plan is worth {money('rp')} of expected NPV, and no plan more than "
        f"$&nbsp;{number(at['rp']['upper'], '$')}&nbsp;million (bracket {between('rp')}, {kinds['rp']})"
    )
    summary = (
        f"{worth}, $&nbsp;{gain}&nbsp;million more than doing nothing ({money('nothing')}: Earth serves demand, or "
        f"nobody does). A perfect forecast would add at most {money('evpi')} (EVPI, {between('evpi')})."
    )
    if "flexibility" in at:
        summary += (
            f" Deploying in several years instead of once adds {money('scheduling')} even if all is fixed in advance "
            f"(scheduling), and letting deployments depend on demand adds {money('vms')} more (reacting): together the "
            f"value of flexibility, {money('flexibility')}."
        )
    caveat = (
        "These are values of the demand process. <b>exact</b> means a closed form or recursion with its error of "
        "integration, <b>bounded</b> that the value lies between two such, a share such as <b>95 %</b> an interval "
        "from simulated paths, <b>certified</b> a proof by arithmetic, which here only the tree's values have. NPV is "
        "that of whoever bears every flow: sales of lunar oxygen less plants, launches, operation, shortage and supply "
        "from Earth. Oxygen from Earth earns nothing in the source formulation: it is only a cost."
    )
    if manifest["foresight"] != "case":
        caveat += (
            f" Perfect information is solved for the {html.escape(manifest['foresight'])} alone: it bounds WS and EVPI "
            "from above, and their values are RP and what perfect information adds there."
        )
    distance = manifest["distance"]
    off = (
        f"The variance of demand is off by {distance['variance_error']:+.1%} at worst, the Wasserstein distance is at "
        f"most {distance['wasserstein']:.1%} of the mean. A tree has fewer extremes than the process: what information "
        "and flexibility are worth differs most."
    )
    shape = f"{manifest['leaves']:,} scenarios, {manifest['nodes']:,} nodes"
    if manifest.get("tree_origin", {}) is None:
        shape += ", of one's own numbers (a belief, not made from the case's process)"
    body = f"""<h1>{html.escape(str(manifest.get("title", manifest["case"])))}</h1>
<p class="lead">{_decision(manifest["decision"])}</p>
<p class="lead">{summary}</p>
<p>{caveat}</p>
<h2 id="values">Values of information and flexibility</h2>
<p>Of the demand process, years 0 to {manifest["horizon"]}; simulated ones on {manifest["foresight_paths"]:,} paths.</p>
{picture["value_ladder"]}
{_values(tables["values"], "Values of the process (NPV, maximised)")}
<h2 id="deployment">Demand and deployment</h2>
{picture["demand_fan"]}
{picture["deployment_schedule"]}
<h2 id="strategies">Strategies on fresh paths</h2>
{picture["target_curves"]}
{metrics_table(tables["metrics"], manifest)}
{_differences(tables["differences"], tables["metrics"])}
{picture["operations"]}
{picture["distributions"]}
{picture["deployment_times"]}
<h3>The rules</h3>
<dl>{rules}</dl>
<h2 id="parameters">Parameters and sources</h2>
{_parameters(tables["parameters"])}
<h2 id="tree">The tree beside the process</h2>
<p>Tree of {shape}, {_solved(manifest)}. {off}</p>
{_tree_values(tables)}
{picture.get("convergence", "")}
{_tree_check(tables["tree_check"])}
<h2 id="manifest">How this was made</h2>
{manifest_table(manifest)}"""
    return whole_page(f"stochisru: {manifest.get('title', manifest['case'])}", body)
