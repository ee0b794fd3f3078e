"""Commands on what knowledge is worth: learning, survey, resolve; see ``docs/learning.md``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from stochisru.errors import InputError
from stochisru.lunar.terminal import CaseArg, HorizonOpt, named_case, named_problem
from stochisru.studies.terminal import numbers
from stochisru.terminal import (
    JsonOpt,
    OutOpt,
    SolverOpt,
    emit_outcome,
    json_target,
    money_unit,
    number,
    print_frame,
    progress,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from matplotlib.figure import Figure

    from scenario_trees import CorrelatedFactors, ScenarioTree
    from stochisru.lunar.case import DeploymentCase
    from stochisru.lunar.studies.drift import DriftValues
    from stochisru.lunar.studies.prospecting import Prospecting
    from stochisru.lunar.tables.case import GeneralCase
    from stochisru.problem.model import Model
    from stochisru.studies.store import Row

    S = TypeVar("S")


def _into_folder(
    kind: str,
    case: DeploymentCase | GeneralCase,
    compute: Callable[[], S],
    rows: Callable[[S], list[Row]],
    draw: Callable[[S], Figure],
    settings: dict[str, Any],
    out: Path | None,
) -> S:
    """Compute under a spinner, into a folder where asked."""
    from stochisru.files import keeping
    from stochisru.studies.folder import case_entry, fill, study_folder

    with keeping() as keep, study_folder(out, kind, case_entry(case)) as folder:
        with progress(f"{kind} of {case.name}"):
            study = compute()
        keep(study)
        if folder is not None:
            fill(folder, kind, case, {kind: rows(study)}, lambda: {kind: draw(study)}, settings, study)
    return study


def learning(
    case: CaseArg,
    drifts: Annotated[
        str | None, typer.Option(help="Rates of growth that may be true, as in 0,0.3; instead of the case's process.")
    ] = None,
    weights: Annotated[str | None, typer.Option(help="Their probabilities [default: equal].")] = None,
    prior_sd: Annotated[
        float | None, typer.Option("--prior-sd", help="Or standard deviation of a normal prior around mu.")
    ] = None,
    low: Annotated[float | None, typer.Option(help="Where that prior is cut off below.")] = None,
    high: Annotated[float | None, typer.Option(help="Where it is cut off above.")] = None,
    study: Annotated[
        str | None, typer.Option(help="Years' worth of observation of market studies [default: 0.5 to 20].")
    ] = None,
    horizon: HorizonOpt = None,
    out: OutOpt = None,
    json: JsonOpt = None,
) -> None:
    """What it is worth to learn the drift of demand: on the way, from a study, from the start."""
    from stochisru.lunar.studies.drift import STUDIES, DriftValues
    from stochisru.lunar.studies.drift import learning as learnt

    json_target(json, case)
    problem = _with_prior(named_case(case, horizon), drifts, weights, prior_sd, low, high)
    lengths = STUDIES if study is None else tuple(numbers(study, "study"))

    def draw(found: DriftValues) -> Figure:
        from stochisru.lunar.studies.knowledge_figures import learning_figure

        return learning_figure(found)

    settings = {"process": str(problem.process), "studies": list(lengths)}
    emit_outcome(
        lambda: _into_folder(
            "learning", problem, lambda: learnt(problem, studies=lengths), DriftValues.to_rows, draw, settings, out
        ),
        DriftValues.to_dict,
        json,
        _show_learning,
    )


def _with_prior(
    case: DeploymentCase,
    drifts: str | None,
    weights: str | None,
    prior_sd: float | None,
    low: float | None,
    high: float | None,
) -> DeploymentCase:
    """The case with a prior on its drift, where one is given."""
    if drifts is not None:
        if prior_sd is not None or low is not None or high is not None:
            raise InputError("drifts: a prior is discrete (--drifts) or normal (--prior-sd), not both")
        rates = numbers(drifts, "drifts")
        shares = [1 / len(rates)] * len(rates) if weights is None else numbers(weights, "weights")
        return case.replace(process={"kind": "discrete-drift", "drifts": rates, "weights": shares})
    if weights is not None:
        raise InputError("weights: belong to --drifts")
    if prior_sd is None:
        if low is not None or high is not None:
            raise InputError("low, high: belong to --prior-sd")
        return case
    ends = {name: end for name, end in (("low", low), ("high", high)) if end is not None}
    return case.replace(process={"kind": "unknown-drift", "prior_sd": prior_sd, **ends})


def _show_learning(found: DriftValues) -> None:
    import pandas as pd

    worth, evpi = found.worth, found.evpi
    unit, size = money_unit([found.ignoring.value, found.known.value])
    small, part = money_unit([worth.value, evpi.value])
    typer.echo(f"{found.case.title}, T = {found.case.horizon.T}: {found.case.process}")
    rows = [
        ("prior mean", found.prior_rate, found.at_prior),
        ("mean-matched", found.matched_rate, found.at_matched),
        ("best one rate", found.best_rate, found.ignoring.value),
        ("learning", None, found.learning.value),
        ("drift known", None, found.known.value),
    ]
    frame = pd.DataFrame(
        {
            "who plans": [name for name, _, _ in rows],
            "believed rate": ["–" if rate is None else f"{rate:.4f}" for _, rate, _ in rows],
            "expected NPV": [value / size for *_, value in rows],
        }
    )
    typer.echo(f"value of the process ({unit}, maximised)")
    print_frame(frame.round(3), "", right=["believed rate"])
    typer.echo(f"learning on the way is worth {worth.value / part:,.3f} {small}")
    typer.echo(f"knowing the drift from the start {evpi.value / part:,.3f} {small} more (EVPI of the drift)")
    if found.studies:
        told = found.evsi
        table = pd.DataFrame(
            {
                "years": list(told),
                "sd of drift": [f"{found.case.demand.sigma / n**0.5:.3f}" for n in told],
                "EVSI": [v.value / part for v in told.values()],
                "of EVPI": [f"{v.value / evpi.value:.0%}" if evpi.value > 0 else "–" for v in told.values()],
            }
        )
        typer.echo(f"market studies before the first decision ({small})")
        print_frame(table.round(4), "", right=["sd of drift", "of EVPI"])
    plans = pd.DataFrame(
        [{"who plans": who, **{f"dM{t}": m for t, m in enumerate(plan)}} for who, plan in found.first.items()]
    )
    typer.echo("to commit now (kg)")
    print_frame(plans.round(1), "")
    typer.echo(f"exact on the process, within {found.learning.error:,.2g} $")


def survey(
    case: CaseArg,
    spread: Annotated[float, typer.Option(help="Standard deviation of the logarithm of the yield.")] = 0.4,
    accuracy: Annotated[
        str | None, typer.Option(help="Shares of that variance that surveys tell [default: 0.25,0.5,0.75,0.9,1].")
    ] = None,
    cost: Annotated[float, typer.Option(help="What a survey costs, $.")] = 0.0,
    pilot: Annotated[
        float | None, typer.Option(help="Deployment in year 0 that shows the yield, kg [default: 1 % of demand].")
    ] = None,
    horizon: HorizonOpt = None,
    out: OutOpt = None,
    json: JsonOpt = None,
) -> None:
    """What a survey of the deposit is worth before anything is committed, and the cut-off grade."""
    from stochisru.lunar.studies.prospecting import ACCURACIES, Prospecting
    from stochisru.lunar.studies.prospecting import survey as surveyed

    json_target(json, case)
    problem = named_case(case, horizon)
    told = ACCURACIES if accuracy is None else tuple(numbers(accuracy, "accuracy"))

    def draw(found: Prospecting) -> Figure:
        from stochisru.lunar.studies.knowledge_figures import survey_figure

        return survey_figure(found)

    def compute() -> Prospecting:
        return surveyed(problem, spread, accuracies=told, cost=cost, pilot=pilot)

    settings = {"spread": spread, "accuracies": list(told), "cost": cost, "pilot": pilot}
    emit_outcome(
        lambda: _into_folder("survey", problem, compute, Prospecting.to_rows, draw, settings, out),
        Prospecting.to_dict,
        json,
        _show_survey,
    )


def _show_survey(found: Prospecting) -> None:
    import pandas as pd

    choice = found.unsurveyed
    unit, size = money_unit([choice.value, found.known])
    part, small = money_unit([found.evpi])
    typer.echo(f"{found.case.title}, T = {found.case.horizon.T}: yield known to a factor e^±{found.spread:g}")
    told = [
        ("nothing deployed in year 0, yield never seen", choice.without_pilot),
        (f"{found.pilot:,.3g} kg or more in year 0, yield seen after it", choice.with_pilot),
        ("yield known from the start", found.known),
    ]
    for words, value in told:
        typer.echo(f"{words}: {value / size:,.2f} {unit}" if np.isfinite(value) else f"{words}: not allowed")
    frame = pd.DataFrame(found.to_rows())[["accuracy", "worth", "cost", "net"]]
    frame[["worth", "cost", "net"]] /= small
    typer.echo(f"surveys at the root ({part}, exact on the process)")
    print_frame(frame, "")
    typer.echo(f"cut-off grade: below {found.cut_off:.3g} times eta nothing is ever deployed")
    typer.echo(f"below {found.cut_off_now:.3g} times eta nothing is committed now")


def resolve(
    case: CaseArg,
    launch: Annotated[
        str | None, typer.Option(help="Drift and volatility of the launch price c_L, as in -0.05:0.2.")
    ] = None,
    yields: Annotated[
        str | None, typer.Option("--yield", help="Drift and volatility of the yield of the deposit, 1 in year 0.")
    ] = None,
    correlation: Annotated[
        str | None, typer.Option(help="Of the two factors, each with demand or another, as in demand:launch:-0.3,….")
    ] = None,
    branching: Annotated[
        str | None, typer.Option(help="Branches of each factor per year [default: 3 in the first years, then 2 or 1].")
    ] = None,
    solver: SolverOpt = "highs",
    horizon: HorizonOpt = None,
    out: OutOpt = None,
    json: JsonOpt = None,
) -> None:
    """Which uncertainty is worth resolving: partial EVPI of demand and further factors, on trees.

    The factors are those of the case's tables [[factors]], or launch price and yield given here.
    """
    from stochisru.lunar.trees import parse_branching
    from stochisru.partial_evpi import PartialEvpi, partial_evpi_of_process

    json_target(json, case)
    problem = named_problem(case, horizon)
    model, process = _of_several(problem, launch, yields, correlation)
    T = problem.horizon.T
    factors = _branches(process, T) if branching is None else parse_branching(branching)
    if len(factors) != T:
        raise InputError(f"branching: needs one factor per year, {T} for T = {T}, got {len(factors)}")
    leaves = float(np.prod([float(_children(process, b)) for b in factors]))
    if leaves > _LEAVES:
        raise InputError(f"branching: the tree has {leaves:,.0f} scenarios, at most {_LEAVES:,} are allowed")

    def draw(found: PartialEvpi) -> Figure:
        from stochisru.lunar.studies.knowledge_figures import partial_evpi_figure

        return partial_evpi_figure(found)

    def rows(found: PartialEvpi) -> list[Row]:
        return found.to_frame().to_dict("records")  # type: ignore[return-value]

    def data(found: PartialEvpi) -> dict[str, Any]:
        return {"case": problem.name, "horizon": T, "branching": list(factors), "unit": "$", **found.to_dict()}

    def show(found: PartialEvpi) -> None:
        unit, size = money_unit([found.evpi.value])
        frame = found.to_frame()[["known", "value", "share", "paths"]]
        frame["value"] /= size
        frame["share"] = ["–" if x != x else f"{x:.0%}" for x in frame["share"]]
        typer.echo(f"{problem.title}, T = {T}: {found.on!r}")
        typer.echo(f"value of knowing one factor's path from the start ({unit}, of the tree)")
        print_frame(frame, "", right=["share"])
        typer.echo("parts need not add up to all")

    def compute() -> PartialEvpi:
        return partial_evpi_of_process(model, process, factors, solver=solver)

    given = {"launch": launch, "yield": yields, "correlation": correlation}
    settings = {**given, "process": str(process), "branching": list(factors)}
    emit_outcome(
        lambda: _into_folder("resolve", problem, compute, rows, draw, settings, out),
        data,
        json,
        show,
    )


#: Scenarios of a tree of several factors at most, and what the default is kept to.
_LEAVES, _USUAL = 200_000, 6_561


def _of_several(
    problem: DeploymentCase | GeneralCase, launch: str | None, yields: str | None, correlation: str | None
) -> tuple[Model | Callable[[ScenarioTree], Model], CorrelatedFactors]:
    """The problem with its factors, and their process: those of the case, or those given."""
    from scenario_trees import CorrelatedFactors, GeometricBrownianMotion
    from stochisru.lunar.factors import with_factors
    from stochisru.lunar.tables.case import is_general

    texts = {"launch": launch, "yield": yields}
    said = [name for name, text in {**texts, "correlation": correlation}.items() if text is not None]
    if is_general(problem):
        if said:
            raise InputError(f"{said[0]}: {problem.name} has tables, and says its factors in [[factors]]; leave it out")
        if not problem.factors:
            raise InputError(f"factors: {problem.name} has tables, and needs one or more [[factors]] beside demand")
        assert isinstance(problem.process, CorrelatedFactors)
        return problem.model_on, problem.process
    start = {"launch": problem.costs.c_L, "yield": 1.0}
    processes = {
        name: GeometricBrownianMotion(start[name], *_pair(text, name))
        for name, text in texts.items()
        if text is not None
    }
    model = with_factors(problem, processes, _correlations(("demand", *processes), correlation))
    return model, model.process


def _correlations(names: tuple[str, ...], text: str | None) -> list[list[float]] | None:
    """Correlation matrix given as ``demand:launch:-0.3,launch:yield:0.2``."""
    if text is None:
        return None
    found = np.eye(len(names))
    for item in text.split(","):
        parts = [part.strip() for part in item.split(":")]
        if len(parts) != 3 or parts[0] == parts[1] or not set(parts[:2]) <= set(names):
            raise InputError(
                f"correlation: must be FACTOR:FACTOR:NUMBER, …, of {', '.join(names)}, as in "
                f"demand:{names[-1]}:-0.3, got {item!r}"
            )
        i, j = (names.index(part) for part in parts[:2])
        found[i, j] = found[j, i] = number(parts[2], "correlation")
    rows: list[list[float]] = found.tolist()
    return rows


def _pair(text: str, field: str) -> tuple[float, float]:
    """Drift and volatility given as text."""
    parts = text.split(":")
    if len(parts) != 2:
        raise InputError(f"{field}: must be DRIFT:VOLATILITY, as in -0.05:0.2, got {text!r}")
    return number(parts[0], field), number(parts[1], field)


def _children(process: CorrelatedFactors, branches: int) -> int:
    """Children of a node with so many branches of each factor."""
    return int(process.step(process.start[None], branches)[1].shape[1])


def _branches(process: CorrelatedFactors, T: int) -> tuple[int, ...]:
    """Threefold, then twofold, then certain, as far as `_USUAL` scenarios go."""
    children = {b: _children(process, b) for b in (3, 2, 1)}
    found, room = [], float(_USUAL)
    for _ in range(T):
        b = next(b for b in children if b == 1 or children[b] <= room)
        found.append(b)
        room /= children[b]
    return tuple(found)
