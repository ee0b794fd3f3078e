"""Tables of a case file that says more than the base problem; the meaning of every key is in ``docs/tables.md``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from scenario_trees.errors import TreeError
from scenario_trees.processes import GeometricBrownianMotion, OneFactor, VaryingBrownianMotion
from stochisru.errors import InputError
from stochisru.lunar.demand import Demand, ProcessTable, made, unused
from stochisru.lunar.parts import Finite, NonNegative, Part, Positive, Scale
from stochisru.lunar.tables.series import Series, Within
from stochisru.methods.risk.options import measure_named
from stochisru.problem.tail import TailOfTotal
from stochisru.protocols import RiskMeasure

Amount = Annotated[Series, Within(0.0)]
PositiveAmount = Annotated[Series, Within(0.0, strict=True)]
Share = Annotated[Series, Within(0.0, 1.0)]
Lost = Annotated[Series, Within(0.0, 1.0, open_above=True)]
Years = Annotated[int, Field(ge=0, le=200, strict=True)]
Lot = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False, strict=True)]
FixedCost = Annotated[float, Field(ge=0, le=1e15, allow_inf_nan=False, strict=True)]


class HorizonTable(Part):
    """Stages and the rules of time."""

    T: Annotated[int, Field(ge=1, le=200, strict=True)]
    lead_time: Years = 1
    initial_deployment: Literal["free", "fixed"] = "free"
    step: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False, strict=True)] = 1.0


class EconomicsTable(Part):
    """Discounting and price."""

    r: Annotated[float, Field(ge=0, lt=10, allow_inf_nan=False, strict=True)]
    P_m: Amount | None = None
    earth_sold: Annotated[bool, Field(strict=True)] = False


class PlantTable(Part):
    """What a kind of plant is like; what is left out comes from elsewhere."""

    eta: PositiveAmount | None = None
    alpha: PositiveAmount | None = None
    beta: Amount | None = None
    M0: NonNegative | None = None
    degradation: Lost | None = None
    lifetime: Annotated[int, Field(ge=1, le=200, strict=True)] | None = None
    availability: Share | None = None
    build_limit: Amount | None = None
    scrap: Share | None = None


class PaymentTable(Part):
    """When plant is paid."""

    when: Literal["arrival", "order", "shares"] = "arrival"
    shares: tuple[NonNegative, ...] | Mapping[str, tuple[NonNegative, ...]] | None = None
    price: Literal["arrival", "order"] = "arrival"

    @model_validator(mode="after")
    def _shares_where_asked_for(self) -> PaymentTable:
        if (self.when == "shares") != (self.shares is not None):
            raise ValueError('shares: belong to when = "shares", lead_time + 1 numbers from order to arrival')
        return self


class TechnologyTable(PlantTable):
    """A kind of plant with a name, costs and rules of its own."""

    name: Annotated[str, Field(min_length=1, max_length=60)]
    c_dev: Amount | None = None
    c_op: Amount | None = None
    lead_time: Years | None = None
    lot: Lot | None = None
    fixed_cost: FixedCost = 0.0
    scale: Scale | None = None
    payment: PaymentTable | None = None


class CostsTable(Part):
    """Unit costs, in dollars of year 0; those of plant may be left to the technologies."""

    c_L: Amount | None = None
    c_dev: Amount | None = None
    c_op: Amount | None = None
    c_bu: Amount | None = None
    c_S: Amount | None = None
    c_by: Amount | None = None
    c_E: Amount | None = None
    earth_limit: Amount | None = None


class LaunchTable(Part):
    """What a launch campaign costs and carries."""

    lot: Lot | None = None
    fixed_cost: FixedCost = 0.0
    mass_limit: Amount | None = None


class DemandTable(Demand):
    """Yearly demand; growth and volatility may move with time, those of year t being from year t − 1 to t."""

    mu: Annotated[Series, Within(-5.0, 5.0)] = Series(0.0)  # type: ignore[assignment]
    sigma: Annotated[Series, Within(0.0, 5.0)] = Series(0.0)  # type: ignore[assignment]

    @property
    def moves(self) -> bool:
        """Whether growth or volatility are no single numbers."""
        return not (self.mu.is_steady and self.sigma.is_steady)

    @model_validator(mode="after")
    def _moves_alone(self) -> DemandTable:
        name = "sigma" if self.mu.is_steady else "mu"
        if self.moves and self.process is not None and self.process.kind != "gbm":
            raise ValueError(f"{name}: kind {self.process.kind} takes one number, not one per year")
        return self

    def made(self) -> OneFactor:
        """The process, where growth and volatility are numbers."""
        if self.moves:
            return GeometricBrownianMotion(self.D0, 0.0, 0.0)
        return made(self.process, self.D0, *self.numbers)

    @property
    def numbers(self) -> tuple[float, float]:
        """Growth and volatility, those of year 0 where they move with time."""
        return float(self.mu.over(np.zeros(1))[0]), float(self.sigma.over(np.zeros(1))[0])

    def over(self, stages: int, step: float) -> OneFactor:
        """The process whose unit of time is a stage, where growth or volatility move with time."""
        years = step * np.arange(stages + 1)
        drifts, volatilities = self.mu.over(years)[1:] * step, self.sigma.over(years)[1:] * step**0.5
        found = VaryingBrownianMotion(self.D0, tuple(drifts.tolist()), tuple(volatilities.tolist()))
        return found.limit or found


class CustomerTable(Part):
    """A tier of demand."""

    name: str | None = None
    quantity: Amount | None = None
    share: Share | None = None
    price: Amount | None = None
    first: Years = 0
    last: Years | None = None
    firm: Annotated[bool, Field(strict=True)] = False
    c_bu: Amount | None = None
    earth: Annotated[bool, Field(strict=True)] = True

    @model_validator(mode="after")
    def _one_size(self) -> CustomerTable:
        if (self.quantity is None) == (self.share is None):
            raise ValueError("share: give exactly one of share and quantity (kg/yr)")
        if self.firm and self.quantity is None:
            raise ValueError("firm: a firm contract has a quantity (kg/yr), not a share")
        if self.last is not None and self.last < self.first:
            raise ValueError(f"last: must be >= first = {self.first}, got {self.last}")
        return self


class PurchaseTable(Part):
    """A guaranteed purchase of what capacity is left."""

    quantity: Amount
    price: Amount


class SupportTable(Part):
    """What a government pays, seen from the firm."""

    dev_share: Share = Series(0.0)
    launch_share: Share = Series(0.0)
    grant: Amount = Series(0.0)
    premium: Amount = Series(0.0)
    purchase: PurchaseTable | None = None
    equity: Lost = Series(0.0)


class TerminalTable(Part):
    """Worth of plant at the end."""

    salvage: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=True)] | None = None
    margin_years: NonNegative | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> TerminalTable:
        if (self.salvage is None) == (self.margin_years is None):
            raise ValueError("salvage: give exactly one of salvage (a share) and margin_years")
        return self


class StoreTable(Part):
    """A store of oxygen."""

    capacity: NonNegative | None = None
    boil_off: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False, strict=True)] = 0.0
    holding_cost: NonNegative = 0.0
    initial: NonNegative = 0.0

    @model_validator(mode="after")
    def _has_room(self) -> StoreTable:
        if self.capacity is not None and self.initial > self.capacity:
            raise ValueError(f"initial: must be <= capacity = {self.capacity:g} kg, got {self.initial:g}")
        return self


class RiskTable(Part):
    """What is maximised instead of the expectation."""

    measure: Literal["mean-cvar", "entropic", "worst-case", "chi-square", "wasserstein"] = "mean-cvar"
    kind: Literal["total", "nested"]
    weight: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=True)] | None = None
    tail: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False, strict=True)] | None = None
    radius: NonNegative | None = None
    aversion: NonNegative | None = None

    @model_validator(mode="after")
    def _numbers_of_the_measure(self) -> RiskTable:
        if self.kind == "total" and self.measure != "mean-cvar":
            raise ValueError(f'measure: kind = "total" takes mean-cvar, got {self.measure}; kind = "nested" takes any')
        if self.measure == "mean-cvar" and self.tail is None:
            raise ValueError("tail: must be given with the measure mean-cvar, a share in (0, 1]")
        try:
            self.nested()
        except InputError as error:
            raise ValueError(str(error)) from None
        return self

    def nested(self) -> RiskMeasure:
        """The measure of each next year."""
        return measure_named(
            self.measure, weight=self.weight, tail=self.tail, radius=self.radius, aversion=self.aversion
        )

    def total(self) -> TailOfTotal:
        """The measure of the total."""
        assert self.weight is not None
        assert self.tail is not None
        return TailOfTotal(self.weight, self.tail)

    @property
    def label(self) -> str:
        """What is maximised, in words."""
        if self.kind == "nested":
            return f"nested {self.nested().label}"
        return f"mean-CVaR of {self.kind} NPV (weight {self.weight:g}, worst {self.tail:.0%})"


class FactorTable(Part):
    """A symbol that follows a process of its own beside demand."""

    symbol: Literal["P_m", "c_L", "c_dev", "c_op", "c_bu", "c_S", "c_by", "c_E", "eta", "availability", "earth_limit"]
    technology: str | None = None
    initial: Positive
    mu: Annotated[float, Field(ge=-5, le=5, allow_inf_nan=False, strict=True)] = 0.0
    sigma: Annotated[float, Field(ge=0, le=5, allow_inf_nan=False, strict=True)] = 0.0
    process: ProcessTable | None = None
    correlation: Finite | Mapping[str, Finite] = 0.0

    @model_validator(mode="after")
    def _is_a_process(self) -> FactorTable:
        surplus = [name for name in unused(self.process) if name in self.model_fields_set]
        if surplus and self.process is not None:
            raise ValueError(f"{surplus[0]}: kind {self.process.kind} does not take it; leave it out")
        try:
            self.made()
        except TreeError as error:
            raise ValueError(f"process.{error}") from error
        return self

    def made(self) -> OneFactor:
        """The process that it follows."""
        return made(self.process, self.initial, self.mu, self.sigma)
