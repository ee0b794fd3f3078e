"""The parts of a deployment case: tables of a case file, each symbol with unit and range."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from stochisru.errors import InputError
from stochisru.programs.curves.curve import Curve, power_curve

#: Largest number of a case in its unit; programs take no coefficients beyond, and nobody means one.
LARGEST = 1e15


def not_too_large(number: float) -> float:
    """The number, if it is at most `LARGEST`."""
    if number > LARGEST:
        raise PydanticCustomError("too_large", "must be at most {limit}", {"limit": f"{LARGEST:g}"})
    return number


Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True), AfterValidator(not_too_large)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True), AfterValidator(not_too_large)]
Finite = Annotated[float, Field(allow_inf_nan=False, strict=True)]


def symbol(description: str, unit: str, default: Any = ...) -> Any:
    """A field of a part with its unit."""
    return Field(default, description=description, json_schema_extra={"unit": unit})


class Part(BaseModel):
    """A table of a case file: immutable, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __getstate__(self) -> dict[Any, Any]:
        """What is pickled: the fields. What was made of them is made again; some of it, as functions, cannot travel."""
        state = super().__getstate__()
        return state | {"__dict__": {name: state["__dict__"][name] for name in type(self).model_fields}}

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Itself: it never changes."""
        return self


class Horizon(Part):
    """Years and the rules of time."""

    T: Annotated[int, Field(ge=1, le=200, strict=True)] = symbol("last year of the horizon", "yr")
    lead_time: Annotated[int, Field(ge=0, le=200, strict=True)] = symbol(
        "years between commitment and arrival of a plant (L)", "yr", 1
    )
    initial_deployment: Literal["free", "fixed"] = symbol("whether ΔM_0 is a decision (free) or 0 (fixed)", "-", "free")


class Economics(Part):
    """Discounting and price."""

    r: Annotated[float, Field(ge=0, lt=10, allow_inf_nan=False, strict=True)] = symbol("discount rate", "1/yr")
    P_m: NonNegative = symbol("price of delivered oxygen", "$/kg")


class Technology(Part):
    """The plant."""

    eta: Positive = symbol("oxygen per year and kilogram of plant", "kg/(kg yr)")
    alpha: Positive = symbol("mass in LEO per landed kilogram", "kg/kg")
    beta: NonNegative = symbol("by-product per kilogram of oxygen", "kg/kg")
    M0: NonNegative = symbol("plant mass in place before year 0", "kg")
    degradation: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False, strict=True)] = symbol(
        "share of the plant lost per year (δ)", "1/yr", 0.0
    )


class Costs(Part):
    """Unit costs, in dollars of year 0."""

    c_L: NonNegative = symbol("launch to LEO", "$/kg")
    c_dev: NonNegative = symbol("development and manufacture of plant", "$/kg")
    c_op: NonNegative = symbol("operation of plant", "$/(kg yr)")
    c_bu: NonNegative = symbol("shortage (back-up)", "$/kg")
    c_S: NonNegative = symbol("excess oxygen", "$/kg")
    c_by: NonNegative = symbol("by-product", "$/kg")
    c_E: NonNegative = symbol("oxygen supplied from Earth", "$/kg")
    earth_limit: NonNegative | None = symbol("most oxygen supplied from Earth per year (none: no limit)", "kg/yr", None)


class Launch(Part):
    """What a launch campaign costs and carries beyond its mass."""

    lot: Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False, strict=True)] | None = symbol(
        "mass of a module: ΔM is a whole number of them (none: any mass)", "kg", None
    )
    fixed_cost: Annotated[float, Field(ge=0, le=1e15, allow_inf_nan=False, strict=True)] = symbol(
        "cost of a campaign, in every year in which plant arrives", "$", 0.0
    )


class Points(Part):
    """A curve as a case file gives it: ascending breakpoints from 0, and the values there; or made of a `Curve`."""

    breakpoints: tuple[Finite, ...]
    values: tuple[Finite, ...]

    @model_validator(mode="before")
    @classmethod
    def _from_curve(cls, given: Any) -> Any:
        if not isinstance(given, Curve):
            return given
        if given.fixed:
            raise ValueError("fixed: must be 0; a cost of any size belongs to launch.fixed_cost")
        return {"breakpoints": tuple(map(float, given.breakpoints)), "values": tuple(map(float, given.values))}

    @model_validator(mode="after")
    def _is_a_rising_curve(self) -> Points:
        try:
            rising = self.curve.is_increasing
        except InputError as error:
            raise ValueError(str(error)) from error
        if not rising:
            raise ValueError(f"values: must ascend, got {list(self.values)}")
        return self

    @property
    def curve(self) -> Curve:
        """The curve."""
        return Curve(self.breakpoints, self.values)


#: Breakpoints of a power law, as multiples of the reference size.
_POWERS = (0.0, *(2.0**k for k in range(-4, 11)))


class Scale(Part):
    """How cost and output of one deployment depend on its size; without this table they are proportional to it."""

    reference: Positive | None = symbol("size of a deployment at which c_dev and eta hold", "kg", None)
    c_dev_exponent: Annotated[float, Field(gt=0, le=3, allow_inf_nan=False, strict=True)] = symbol(
        "scale exponent of development and manufacture", "-", 1.0
    )
    eta_exponent: Annotated[float, Field(gt=0, le=3, allow_inf_nan=False, strict=True)] = symbol(
        "scale exponent of output", "-", 1.0
    )
    c_dev_curve: Points | None = symbol("development and manufacture of a deployment, by its mass", "$", None)
    eta_curve: Points | None = symbol("output of a deployment, by its mass", "kg/yr", None)

    @model_validator(mode="after")
    def _one_form_each(self) -> Scale:
        for name in ("c_dev", "eta"):
            power = getattr(self, f"{name}_exponent") != 1
            if power and getattr(self, f"{name}_curve") is not None:
                raise ValueError(f"{name}_exponent: {name}_curve is given as well; keep one of the two")
            if power and self.reference is None:
                raise ValueError(f"reference: needed by {name}_exponent, in kg")
        return self

    def by_mass(self, name: Literal["c_dev", "eta"], unit: float) -> Curve:
        """Cost ($) or output (kg/yr) of a deployment by its mass (kg), ``unit`` per kilogram where nothing is said."""
        points: Points | None = getattr(self, f"{name}_curve")
        exponent: float = getattr(self, f"{name}_exponent")
        if points is not None:
            return points.curve
        if exponent == 1 or self.reference is None or unit == 0:  # nothing at any size
            return Curve.linear(unit, 1.0)
        return power_curve(self.reference, unit * self.reference, exponent, np.multiply(self.reference, _POWERS))
