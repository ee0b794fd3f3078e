"""A case whose plant becomes cheaper as more of it is built: `LearningCase`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field, ValidationError

from scenario_trees.arrays import Array
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase, case_from_dict
from stochisru.lunar.explained import explained
from stochisru.lunar.learning.rate import Learning
from stochisru.lunar.operations import discount_factors
from stochisru.lunar.parts import Part, Positive
from stochisru.lunar.toml import toml_value

if TYPE_CHECKING:
    from typing_extensions import TypeIs


class LearningTable(Part):
    """What a case file says in ``[learning]``."""

    rate: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False, strict=True)]
    reference_mass: Positive | None = None


@dataclass(frozen=True)
class LearningCase:
    """A base case with learning by doing: development costs c_dev·max(X/m_ref, 1)^log2(1 − λ) after X kg were built.

    The dynamic programmes over levels of plant take it (`stochisru.lunar.learning.solving`), values on a tree,
    `evaluate` and `simulate`; what else asks for a case refuses it by name.

    Attributes
    ----------
    base
        The case without learning.
    learning
        The learning curve; X begins with the plant in place, M0.

    Raises
    ------
    InputError
        If plant degrades: what stands would not tell what was built.

    Examples
    --------
    >>> import tomllib
    >>> from stochisru import load_case
    >>> from stochisru.lunar.case import problem_from_dict
    >>> data = tomllib.loads(load_case("lunar-reference").to_toml())
    >>> case = problem_from_dict(data | {"learning": {"rate": 0.2, "reference_mass": 100.0}})
    >>> round(float(case.learning.factor(400.0)), 3)  # two doublings
    0.64
    """

    base: DeploymentCase
    learning: Learning

    def __post_init__(self) -> None:
        if self.base.technology.degradation > 0:
            raise InputError(
                "learning: takes plant that does not degrade, as what stands has to tell what was built; "
                f"technology.degradation must be 0, got {self.base.technology.degradation:g}"
            )

    @property
    def name(self) -> str:
        """Name of the case."""
        return self.base.name

    @property
    def title(self) -> str:
        """The name, and the rate."""
        return f"{self.base.name} (learning {self.learning.rate:.3g})"

    @property
    def horizon(self) -> Any:
        """Years and the rules of time."""
        return self.base.horizon

    @property
    def process(self) -> Any:
        """The demand process."""
        return self.base.process

    @property
    def beyond(self) -> str:
        """What it says beyond the base problem, and who takes it, in one sentence."""
        return (
            f"learning: {self.name} has plant that becomes cheaper as more is built; solve --method dp or lattice-dp, "
            "value --branching, simulate and evaluate take that, this does not"
        )

    def saved(self, deployment: Array) -> float:
        """What learning saves of deployments ΔM_0..ΔM_T (kg) that are fixed in advance, $ of year 0."""
        built = self.base.technology.M0 + np.cumsum(deployment) - deployment
        return float(discount_factors(self.base) @ self.learning.saving(self.base, deployment, built))

    def replace(self, **symbols: Any) -> LearningCase:
        """A copy with some symbols of the base case, ``rate`` or ``reference_mass`` changed."""
        own = {"rate": "rate", "reference_mass": "reference"}
        told = {own[name]: symbols.pop(name) for name in list(symbols) if name in own}
        return LearningCase(self.base.replace(**symbols), replace(self.learning, **told))

    def to_toml(self) -> str:
        """Text of a case file that loads as this case."""
        table = {"rate": self.learning.rate, "reference_mass": self.learning.reference}
        lines = ["", "[learning]", *(f"{key} = {toml_value(value)}" for key, value in table.items())]
        return self.base.to_toml() + "\n".join(lines) + "\n"

    def digest(self) -> str:
        """Hash of everything that the results depend on."""
        return f"{self.base.digest()}-{self.learning.rate!r}-{self.learning.reference!r}"


def is_learning(case: object) -> TypeIs[LearningCase]:
    """Whether plant of a case becomes cheaper as more of it is built."""
    return isinstance(case, LearningCase)


def learning_case(data: Mapping[str, Any], beyond: list[str]) -> LearningCase | DeploymentCase:
    """Validate a case with a table ``[learning]``; without a rate it is the base case.

    Parameters
    ----------
    beyond
        Tables and keys that the base problem does not have.

    Raises
    ------
    InputError
        One line: table and key, allowed range, or what learning cannot be combined with.
    """
    if beyond:
        raise InputError(f"learning: takes a case without further tables; leave out {beyond[0]}, or learning")
    try:
        table = LearningTable.model_validate(data["learning"])
    except ValidationError as error:
        at = {"learning": LearningTable}
        errors = [{**item, "loc": ("learning", *item["loc"])} for item in error.errors()]
        raise InputError(explained(ValidationError.from_exception_data("case", _plain(errors)), at)) from error
    base = case_from_dict({name: part for name, part in data.items() if name != "learning"})
    if table.rate == 0:
        return base
    reference = table.reference_mass if table.reference_mass is not None else base.scale.reference
    if reference is None:
        raise InputError("learning.reference_mass: missing; the mass from which on cost falls, in kg")
    return LearningCase(base, Learning(table.rate, reference))


def _plain(errors: list[dict[str, Any]]) -> Any:
    """Errors of a table as those of the case that it is in."""
    return [{key: item[key] for key in ("type", "loc", "input", "ctx") if key in item} for item in errors]
