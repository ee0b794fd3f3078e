"""What it is worth to have each of several technologies, or to be able to abandon plant: RP with, less RP without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scenario_trees.tree import ScenarioTree
from stochisru.errors import InfeasibleError
from stochisru.files import plainly
from stochisru.lunar.tables.case import GeneralCase, general_case
from stochisru.lunar.values.programs import TIME_LIMIT
from stochisru.methods.extensive_form import MIXED_GAP
from stochisru.methods.result import Bounds
from stochisru.problem.information import Recourse
from stochisru.programs.effort import SolverLimits
from stochisru.values import optimum


@dataclass(frozen=True)
class WorthOfTechnology:
    """What one technology, or an option, adds to all else, $ (maximised).

    Attributes
    ----------
    value
        What the plans in hand earn with it and without it.
    bounds
        Bracket of the difference, of the tree.
    """

    name: str
    value: float
    bounds: Bounds

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "value": self.value,
            "lower": self.bounds.lower,
            "upper": self.bounds.upper,
            "kind": self.bounds.label,
            "of": self.bounds.of.value,
        }


def worth_of_each(
    case: GeneralCase,
    tree: ScenarioTree,
    *,
    solver: str = "highs",
    progress: Callable[[str], None] | None = None,
) -> tuple[WorthOfTechnology, ...]:
    """Worth of each of several technologies; of one there is none.

    Raises
    ------
    InfeasibleError
        If a case has no plan.

    Examples
    --------
    >>> from stochisru import ScenarioTree, load_case
    >>> from stochisru.lunar.tables.worth_of_each import worth_of_each
    >>> case = load_case("docs/two-technologies.toml")
    >>> found = worth_of_each(case, ScenarioTree.from_process(case.process, [3, 3, 3]))
    >>> [(each.name, round(each.value / 1e6, 2)) for each in found]
    [('ice', 1.16), ('regolith', 1.31)]
    """
    if len(case.technologies) < 2:
        return ()
    say = progress or (lambda _: None)
    say("rp with all technologies")
    whole = _recourse(case, tree, solver)
    found = []
    for technology in case.technologies:
        say(f"rp without {technology.name}")
        less = _recourse(without(case, technology.name), tree, solver)
        worth = whole.minus(less)
        value = min(max(whole.lower - less.lower, worth.lower), worth.upper)
        found.append(WorthOfTechnology(technology.name, value, worth))
    return tuple(found)


def worth_of_abandoning(
    case: GeneralCase, tree: ScenarioTree, *, solver: str = "highs", with_it: Bounds | None = None
) -> WorthOfTechnology | None:
    """Worth of the option to abandon plant: RP of a tree with it, less RP where plant stays; None without the option.

    Parameters
    ----------
    with_it
        RP with it, solved if not given.

    Raises
    ------
    InfeasibleError
        If the case has no plan.

    Examples
    --------
    >>> import tomllib
    >>> from stochisru import ScenarioTree, load_case
    >>> from stochisru.lunar.case import problem_from_dict
    >>> from stochisru.lunar.tables.worth_of_each import worth_of_abandoning
    >>> data = tomllib.loads(load_case("contested-market").replace(T=3, mu=-0.2, sigma=0.4, M0=100.0).to_toml())
    >>> data["technology"]["scrap"] = 0.2
    >>> case = problem_from_dict(data)
    >>> found = worth_of_abandoning(case, ScenarioTree.from_process(case.process, [3, 3, 3]))
    >>> 0 < found.bounds.lower <= found.value
    True
    """
    if not case.can_abandon:
        return None
    whole = with_it or _recourse(case, tree, solver)
    less = _recourse(staying(case), tree, solver)
    worth = whole.minus(less)
    return WorthOfTechnology("abandoning plant", min(max(whole.lower - less.lower, worth.lower), worth.upper), worth)


def staying(case: GeneralCase) -> GeneralCase:
    """The case in which plant stays to the end."""
    data = case.to_dict()
    for table in (data.get("technology", {}), *data.get("technologies", ())):
        table.pop("scrap", None)
    return general_case(data)


def without(case: GeneralCase, name: str) -> GeneralCase:
    """The case without a technology and the factors that are its own."""
    data = case.to_dict()
    data["technologies"] = [each for each in data["technologies"] if each["name"] != name]
    data["factors"] = [each for each in data.get("factors", []) if each.get("technology") != name]
    return general_case({key: value for key, value in data.items() if value != []})


def _recourse(case: GeneralCase, tree: ScenarioTree, solver: str) -> Bounds:
    found = optimum(case.model_on(tree), tree, Recourse(), solver, SolverLimits(MIXED_GAP, TIME_LIMIT))
    if found is None:
        raise InfeasibleError(f"{case.name}: no plan keeps all rows")
    return found.bounds
