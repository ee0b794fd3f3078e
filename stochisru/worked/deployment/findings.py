"""The findings of a deployment study: sentences written from the numbers, and the page that carries them."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stochisru.estimate import Estimate
from stochisru.methods.result import versions
from stochisru.report.elements import inline, manifest_table, number, table, whole_page
from stochisru.report.figures import OPERATIONS_CAPTION, TIMING_CAPTION
from stochisru.report.indicator_figures import distributions_caption
from stochisru.report.metrics_table import metrics_table
from stochisru.simulation.estimators import share_reached
from stochisru.worked.deployment.hypothesis import SCAN_PATHS, state_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stochisru.report.chart import Chart
    from stochisru.studies.store import Row
    from stochisru.worked.deployment.hypothesis import Hypothesis
    from stochisru.worked.deployment.study import HorizonResult

#: Metrics of the three tables.
PROFITABILITY = ("npv_mean", "npv_sd", "npv_p5", "npv_p50", "npv_p95", "sharpe", "sortino", "first_year_capital",
                 "payback_year", "never_pays_back")  # fmt: skip
RISK = ("p_positive", "npv_p5", "cvar95", "npv_sd")
OPERATIONS = ("self_sufficiency", "demand_satisfaction", "shortage", "utilization", "final_capacity", "expansions")
#: The strategies that the study is about.
_STUDIED = ("conservative", "moderate", "aggressive")
_NAMES = {"threshold": "the exact policy", "static": "the static plan", "fixed": "the fixed design"}


def money(value: float) -> str:
    """An amount as a reader wants it."""
    for scale, name in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if abs(value) >= scale:
            return f"{'−' if value < 0 else ''}${abs(value) / scale:,.3g} {name}"
    return f"{'−' if value < 0 else ''}${abs(value):,.0f}"


def _years(results: Sequence[HorizonResult]) -> str:
    years = [str(r.years) for r in results]
    return years[0] if len(years) == 1 else f"{', '.join(years[:-1])} and {years[-1]}"


def findings(results: Sequence[HorizonResult]) -> dict[str, list[str]]:
    """Sentences by heading; every number in them is computed."""
    return {
        "Profitability": [s for r in results for s in _profitability(r)],
        "Risk": [s for r in results for s in _risk(r)],
        "The hypothesis: aggressive riskier, conservative concentrated": [s for r in results for s in _hypothesis(r)],
        "Operations": [s for r in results for s in _operations(r)],
        "Information and flexibility": [s for r in results for s in _flexibility(r)],
        "Sensitivity": [s for r in results for s in _sensitivity(r)],
        "Efficiency and rules": [s for r in results for s in _rules(r)],
    }


def _share(estimate: Estimate, digits: int = 1) -> str:
    """A share with its interval."""
    if estimate.lower != estimate.lower:
        return f"{estimate.value:.{digits}%}"
    return f"{estimate.value:.{digits}%} [{estimate.lower:.{digits}%}, {estimate.upper:.{digits}%}]"


def _amount(estimate: Estimate) -> str:
    """An amount with its interval."""
    if estimate.lower != estimate.lower:
        return money(estimate.value)
    return f"{money(estimate.value)} [{money(estimate.lower)}, {money(estimate.upper)}]"


def _profitability(r: HorizonResult) -> list[str]:
    rp = r.values.point("rp")
    run = r.comparison
    metrics = run.simulation.metrics
    runs = f"{run.simulation.paths:,} runs"
    earned = ", ".join(f"{name} {_amount(metrics[name]['npv_mean'])}" for name in _STUDIED)
    behind = ", ".join(f"{name} {_amount(run.gaps[name])}" for name in _STUDIED)
    best = min(_STUDIED, key=lambda name: run.gaps[name].value)
    last = f"The best of the three over {r.years} years is {best}"
    if rp > 0:
        last += f", with {_share(share_reached(rp, run.gaps[best]))} of the optimum"
    return [
        f"Over {r.years} years the optimum is worth {money(rp)} of expected NPV; mean NPV in {runs}: {earned}.",
        f"Over {r.years} years the strategies leave of the optimum (paired on common runs): {behind}.",
        f"{last}.",
    ]


def _risk(r: HorizonResult) -> list[str]:
    metrics = r.comparison.simulation.metrics
    names = (*_STUDIED, "threshold")
    profits = ", ".join(f"{_NAMES.get(name, name)} {_share(metrics[name]['p_positive'])}" for name in names)
    tails = ", ".join(f"{_NAMES.get(name, name)} {_amount(_worst(metrics[name]['cvar95']))}" for name in names)
    return [
        f"Share of {r.years}-year runs with a profit: {profits}.",
        f"Mean NPV of the worst 5 % of {r.years}-year runs: {tails}.",
    ]


def _worst(loss: Estimate) -> Estimate:
    """CVaR of the loss as an NPV."""
    return Estimate(-loss.value, loss.standard_error, -loss.upper, -loss.lower)


#: Measures of `stochisru.worked.deployment.hypothesis` in words.
_MEASURES = {"sd": "standard deviation", "p5_loss": "P5", "cvar_loss": "mean of the worst 5 %"}
_VERDICTS = {
    "holds": "holds",
    "fails": "fails",
    "holds in part": "holds in part",
    "open": "is open on these runs",
}


def _hypothesis(r: HorizonResult) -> list[str]:
    """Whether the outline's hypothesis holds, why, and where around the case."""
    found = r.hypothesis
    if found is None:
        return [f"Over {r.years} years nothing is uncertain (σ = 0), so no rule is riskier than another."]
    metrics = r.comparison.simulation.metrics
    numbers = "; ".join(
        f"{label} of NPV: "
        + ", ".join(
            f"{rule} {_amount(_worst(metrics[rule][name]) if name == 'cvar95' else metrics[rule][name])}"
            for rule in found.exposure
        )
        for name, label in (("npv_sd", "standard deviation"), ("npv_p5", "P5"), ("cvar95", "mean of the worst 5 %"))
    )
    parts = [
        f"it {word} by {' and '.join(_MEASURES[m] for m in found.by(state))}"
        for state, word in (("holds", "holds"), ("fails", "fails"), ("open", "is open"))
        if found.by(state)
    ]
    mixed = f" ({', '.join(parts)})" if len(parts) > 1 else ""
    return [
        f"Over {r.years} years the hypothesis that aggressive is riskier and conservative more concentrated "
        f"{_VERDICTS[found.verdict]}{mixed}. {numbers[0].upper()}{numbers[1:]}.",
        _exposures(r, found),
        *_where(r, found),
    ]


def _exposures(r: HorizonResult, found: Hypothesis) -> str:
    """Why: what demand does to each rule."""
    metrics = r.comparison.simulation.metrics
    lines = []
    for rule, exposure in found.exposure.items():
        left = 1 - metrics[rule]["self_sufficiency"].value
        short = 1 - metrics[rule]["demand_satisfaction"].value
        lines.append(
            f"{rule} leaves {left:.1%} of demand unserved by plants ({short:.1%} is short), a kilogram more of demand "
            f"changes its NPV by {money(exposure.slope)}, which explains {exposure.explained:.0%} of its variance, and "
            f"its worst 5 % of runs have {exposure.worst_demand:.2g} times the mean demand"
        )
    bold, careful = found.exposure.values()
    more = "aggressive" if abs(bold.slope) > abs(careful.slope) else "conservative"
    return (
        f"The reason over {r.years} years (demand and kilograms discounted): {'; '.join(lines)}. A kilogram that "
        f"plants do not serve costs {money(found.unserved)}, so demand moves the NPV of {more} more."
    )


def _where(r: HorizonResult, found: Hypothesis) -> list[str]:
    """Where it holds: counts over the scan."""
    rows = found.rows
    held = [row for row in rows if row["verdict"] == "holds"]
    wide = [row for row in rows if state_of(row["sd_riskier"]) == "holds"]
    agree = sum(
        (abs(row["slope_aggressive"]) > abs(row["slope_conservative"]))
        == (row["sd_aggressive"] > row["sd_conservative"])
        for row in rows
    )

    def counts(factor: str, chosen: Sequence[Row]) -> str:
        values = dict.fromkeys(row[factor] for row in rows)
        each = sum(row[factor] == next(iter(values)) for row in rows)
        return ", ".join(f"×{x:g} {sum(row[factor] == x for row in chosen)} of {each}" for x in values)

    def spread(chosen: Sequence[Row]) -> str:
        return (
            f"by multiples of c_E and c_bu {counts('unserved_factor', chosen)}; of P_m "
            f"{counts('price_factor', chosen)}; of σ {counts('sigma_factor', chosen)}"
        )

    size = f"{len(rows)} points around the case over {r.years} years ({SCAN_PATHS:,} runs each)"
    sentences = [
        f"Of {size} it holds by all three measures at {len(held)}" + (f": {spread(held)}." if held else "."),
        f"By the standard deviation alone it holds at {len(wide)} of them" + (f": {spread(wide)}." if wide else "."),
        f"At {agree} of the {len(rows)} points the rule whose NPV demand moves more also has the larger standard "
        f"deviation over {r.years} years.",
    ]
    if held:
        dearest = max(held, key=lambda row: float(row["unserved_cost"]))
        sentences.append(
            f"The dearest unserved kilogram at which all three hold over {r.years} years costs "
            f"{money(dearest['unserved_cost'])} (P_m = {money(dearest['P_m'])}, σ = {dearest['sigma']:g})."
        )
    return sentences


def _operations(r: HorizonResult) -> list[str]:
    metrics = r.comparison.simulation.metrics
    names = (*_STUDIED, "threshold")
    satisfied = ", ".join(f"{_NAMES.get(n, n)} {_share(metrics[n]['demand_satisfaction'])}" for n in names)
    served = ", ".join(f"{_NAMES.get(n, n)} {_share(metrics[n]['self_sufficiency'])}" for n in names)
    used = ", ".join(f"{_NAMES.get(n, n)} {_share(metrics[n]['utilization'])}" for n in names)
    return [
        f"Share of demand served from plants over {r.years} years: {served}.",
        f"Share of demand served from plants or from Earth over {r.years} years: {satisfied}.",
        f"Share of capacity in use over {r.years} years: {used}.",
    ]


def _flexibility(r: HorizonResult) -> list[str]:
    v = r.values
    rigid = f"the best single deployment in year 0, which is worth {money(v.point('fixed'))}"
    if r.case.horizon.initial_deployment == "fixed":
        rigid = f"no plants at all, {money(v.point('fixed'))} (the case fixes the deployment of year 0)"
    parts = f"{money(v.point('defer'))} from deferring a single start and {money(v.point('staging'))} from staging"
    gain = v.point("rp") - v.point("nothing")
    evpi = v.values["evpi"]
    policy = r.comparison.simulation.strategies[r.comparison.simulation.names.index("threshold")]
    return [
        f"Over {r.years} years doing nothing, with Earth serving demand or nobody, is worth "
        f"{money(v.point('nothing'))}; the optimal rule earns {money(gain)} more.",
        f"Over {r.years} years flexibility is worth {money(v.point('flexibility'))} over {rigid}: "
        f"{money(v.point('scheduling'))} from scheduling, several deployments that are all fixed in advance, and "
        f"{money(v.point('vms'))} from reacting to demand; or, by options, {parts}. "
        f"Earth supply as a back-up is worth {money(v.point('earth_backup'))}.",
        f"Over {r.years} years perfect information would add {money(evpi.value)} [{money(evpi.lower)}, "
        f"{money(evpi.upper)}] (EVPI). The optimum is worth {money(v.point('vss'))} more than the mean path's plan "
        f"(VSS), and {money(v.point('vms'))} more than the best schedule fixed in advance (VMS: reacting).",
        f"The optimal rule over {r.years} years: {policy.describe(r.case)}",
    ]


def _sensitivity(r: HorizonResult) -> list[str]:
    def top(quantity: str) -> str:
        symbols = [s for s in r.tornado.ranked(quantity) if r.tornado.swing(s, quantity) > 0][:3]
        return (
            "no symbol" if not symbols else ", ".join(f"{s} ({money(r.tornado.swing(s, quantity))})" for s in symbols)
        )

    ranges = "±20 % of each symbol"
    decay = [row["value"] for row in r.tornado.rows if row["symbol"] == "degradation"]
    if r.case.technology.degradation == 0 and decay:
        ranges += f", degradation up to {max(decay):.0%} a year"
    if any(row["moves"] for row in r.tornado.rows):
        ranges += ", with what the case derives from it: " + "; ".join(_moved(r))
    return [
        f"Over {r.years} years ({ranges}) the optimal NPV moves most with {top('rp')}, the value of flexibility with "
        f"{top('flexibility')}."
    ]


def _moved(r: HorizonResult) -> list[str]:
    """Which derived symbols move along with a changed one."""
    moves = {row["symbol"]: row["moves"] for row in r.tornado.rows if row["moves"]}
    return [f"{symbol} moves {along}" for symbol, along in moves.items()]


def _rules(r: HorizonResult) -> list[str]:
    known = set(r.comparison.simulation.names) | {"ev"}
    named = [name for name in r.frontier.efficient("risk") if name in known]
    sampled = len(r.frontier.efficient("risk")) - len(named)
    beside = f" and {sampled} sampled rules" if sampled else ""
    sentences = [
        f"Over {r.years} years not dominated in mean and CVaR: {', '.join(_NAMES.get(n, n) for n in named) or 'none'}"
        f"{beside}, of {len(r.frontier.rows)} strategies."
    ]
    row = r.tuning.rows[0]
    if row["share_of_npv"] is not None:
        share = r.tuning.share("share_of_npv")
        sentences.append(
            f"Over {r.years} years a rule of three numbers, tuned on other runs, reaches {_share(share)} of the "
            f"optimal NPV: {r.tuning.describe()}"
        )
    return sentences


def render_findings(
    results: Sequence[HorizonResult],
    sentences: Mapping[str, Sequence[str]],
    figures: Mapping[str, Figure | Chart],
    settings: Mapping[str, Any],
) -> str:
    """Text of the page."""
    name = html.escape(results[0].case.title)
    listed = "".join(
        f"<h3>{html.escape(head)}</h3><ul>{''.join(f'<li>{html.escape(s)}</li>' for s in group)}</ul>"
        for head, group in sentences.items()
    )
    body = [
        f"<h1>Deployment over {_years(results)} years: {name}</h1>",
        '<h2 id="findings">Findings</h2>',
        "<p>Every sentence is written from the numbers of this study. NPV is maximised. Numbers with brackets "
        "are simulated, and the brackets are their confidence intervals; the others are exact up to the error of "
        "integration.</p>",
        listed,
        '<h2 id="horizons">Over the horizons</h2>',
        inline(
            figures["flexibility"],
            "What flexibility is worth by horizon: by option (deferring, staging), and as scheduling and reacting.",
        ),
    ]
    if "shares" in figures:
        body.append(inline(figures["shares"], "Share of the optimal NPV that each strategy reaches, by horizon."))
    for r in results:
        body.append(_section(r, figures, settings))
    case = results[0].case.to_frame().reset_index()
    cells = [
        [html.escape(str(row[c])) for c in ("symbol", "value", "unit", "description", "status", "source")]
        for row in case.to_dict("records")
    ]
    head = ["symbol", "value", "unit", "description", "status", "source"]
    body += [
        '<h2 id="parameters">Parameters and sources</h2>',
        table(head, cells, numeric=False, caption="Every parameter (T as in the first horizon)"),
        '<h2 id="manifest">How this was made</h2>',
        manifest_table({**settings, "versions": versions()}),
    ]
    return whole_page(f"stochisru study: {results[0].case.title}", "\n".join(body))


def _scan_table(found: Hypothesis) -> str:
    """Where the hypothesis holds: a row per σ and price, a column per cost of unserved demand."""
    costs = sorted({row["unserved_factor"] for row in found.rows})
    lines: dict[tuple[float, float], list[str]] = {}
    for row in sorted(found.rows, key=lambda row: (row["sigma"], row["P_m"], row["unserved_factor"])):
        cell = row["verdict"]
        if cell == "holds in part":
            cell = "by " + ", ".join(_MEASURES[m] for m in _MEASURES if state_of(row[f"{m}_riskier"]) == "holds")
        lines.setdefault((row["sigma"], row["P_m"]), []).append(html.escape(cell))
    return table(
        ["σ, price P_m ($/kg)", *(f"unserved kg costs {money(x * found.unserved)}" for x in costs)],
        [[f"{sigma:g}, {price:,.0f}", *cells] for (sigma, price), cells in lines.items()],
        numeric=False,
        caption="Where aggressive is riskier than conservative: by all three measures (holds), by some, by none "
        f"(fails); open where neither side wins 97.5 % of resamples of {SCAN_PATHS:,} runs",
    )


def _section(r: HorizonResult, figures: Mapping[str, Figure | Chart], settings: Mapping[str, Any]) -> str:
    metrics = r.comparison.simulation.to_frame()
    sampling = dict(settings)
    values = [
        [
            html.escape(name),
            number(v.value, "$"),
            f"[{number(v.lower, '$')}, {number(v.upper, '$')}]",
            v.label,
            html.escape(str(meaning)),
        ]
        for (name, v), meaning in zip(r.values.values.items(), r.values.to_frame()["meaning"], strict=True)
    ]
    gaps = [
        [
            html.escape(row["strategy"]),
            number(row["gap"], "$"),
            f"[{number(row['gap_lower'], '$')}, {number(row['gap_upper'], '$')}]",
            number(row["share"], "%"),
        ]
        for row in r.comparison.to_frame().to_dict("records")
    ]
    ws = r.comparison.wait_and_see
    assert ws is not None  # costs are linear
    parts = [
        f'<h2 id="T{r.years}">{r.years} years</h2>',
        inline(figures[f"target_curves_{r.years}"], f"Target curves on {r.comparison.simulation.paths:,} common runs."),
        "<h3>Profitability</h3>",
        metrics_table(metrics, sampling, PROFITABILITY),
        table(
            ["strategy", "gap ($ million)", "confidence interval", "share of the optimum"],
            gaps,
            caption=f"Gap to the exact optimum, {money(r.values.point('rp'))}; wait-and-see bound {money(ws.value)}",
        ),
        "<h3>Risk</h3>",
        metrics_table(metrics, sampling, RISK),
        *([] if r.hypothesis is None else [_scan_table(r.hypothesis)]),
        "<h3>Operations</h3>",
        metrics_table(metrics, sampling, OPERATIONS),
        inline(figures[f"operations_{r.years}"], OPERATIONS_CAPTION),
        inline(figures[f"distributions_{r.years}"], distributions_caption(r.comparison.simulation.distributions())),
        inline(figures[f"deployment_times_{r.years}"], TIMING_CAPTION),
        "<h3>Information and flexibility</h3>",
        table(
            ["value", "$ million", "bracket", "kind", "meaning"],
            values,
            caption=f"Values on the process (NPV maximised); simulated ones on {r.values.foresight_paths:,} paths",
        ),
        "<h3>Sensitivity</h3>",
        inline(
            figures[f"tornado_{r.years}"],
            "One symbol at a time, ±20 %, derived symbols moving along: optimal NPV and value of flexibility.",
        ),
        "<h3>Efficiency</h3>",
        inline(
            figures[f"frontier_{r.years}"],
            f"Strategies and sampled rules on {r.frontier.paths:,} common paths; the line joins those not dominated.",
        ),
    ]
    return "\n".join(parts)
