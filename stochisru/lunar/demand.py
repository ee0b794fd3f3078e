"""Demand of a case: what it is in year 0, and the process that it follows.

Without a table ``process`` demand is a geometric Brownian motion with ``mu`` and ``sigma``. Each other kind says in
`uses` which of the two it takes, and has keys of its own; equations and sources are in ``docs/processes.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field, model_validator

from scenario_trees.errors import TreeError
from scenario_trees.origin import plain
from scenario_trees.processes import (
    DatedStep,
    DiscreteDrift,
    GeometricBrownianMotion,
    HiddenRegimes,
    HistoricalIncrements,
    Jump,
    JumpDiffusion,
    MeanReverting,
    OneFactor,
    RegimeSwitching,
    SaturatingGrowth,
    UnknownDrift,
)
from stochisru.lunar.parts import Finite, Part, Positive, symbol

Numbers = tuple[Finite, ...]


class _Kind(Part):
    """A process of demand; ``make`` is given what `Demand` says of year 0, growth and volatility."""

    uses: ClassVar[tuple[str, ...]] = ("mu", "sigma")

    def make(self, D0: float, mu: float, sigma: float) -> OneFactor:
        """The process."""
        raise NotImplementedError


class Brownian(_Kind):
    """Geometric Brownian motion, as without a table."""

    kind: Literal["gbm"]

    def make(self, D0: float, mu: float, sigma: float) -> GeometricBrownianMotion:
        """The process."""
        return GeometricBrownianMotion(D0, mu, sigma)


class JumpTable(Part):
    """A kind of jump: see `scenario_trees.Jump`."""

    rate: Finite
    size: Finite
    spread: Finite = 0.0


class Jumps(_Kind):
    """With jumps: see `scenario_trees.JumpDiffusion`."""

    kind: Literal["jumps"]
    jumps: Annotated[tuple[JumpTable, ...], Field(min_length=1)]

    def make(self, D0: float, mu: float, sigma: float) -> JumpDiffusion:
        """The process."""
        return JumpDiffusion(D0, mu, sigma, tuple(Jump(j.rate, j.size, j.spread) for j in self.jumps))


class Reverting(_Kind):
    """Mean-reverting, ``mu`` the trend of the level: see `scenario_trees.MeanReverting`."""

    kind: Literal["mean-reverting"]
    level: Finite
    reversion: Finite

    def make(self, D0: float, mu: float, sigma: float) -> MeanReverting:
        """The process."""
        return MeanReverting(D0, self.level, self.reversion, sigma, mu)


class Regimes(_Kind):
    """Regimes that are seen: see `scenario_trees.RegimeSwitching`."""

    uses: ClassVar[tuple[str, ...]] = ()
    kind: Literal["regimes"]
    drifts: Numbers
    volatilities: Numbers
    switching: tuple[Numbers, ...]
    regime: Annotated[int, Field(strict=True)] = 0

    def make(self, D0: float, mu: float, sigma: float) -> RegimeSwitching:
        """The process."""
        return RegimeSwitching(D0, self.drifts, self.volatilities, self.switching, self.regime)


class Unseen(_Kind):
    """Regimes that nobody sees: see `scenario_trees.HiddenRegimes`."""

    uses: ClassVar[tuple[str, ...]] = ()
    kind: Literal["hidden-regimes"]
    drifts: Numbers
    volatilities: Numbers
    switching: tuple[Numbers, ...]
    prior: Numbers

    def make(self, D0: float, mu: float, sigma: float) -> HiddenRegimes:
        """The process."""
        return HiddenRegimes(D0, self.drifts, self.volatilities, self.switching, self.prior)


class Unknown(_Kind):
    """Unknown drift with a normal prior of mean ``mu``, cut off where ``low`` and ``high`` are given."""

    kind: Literal["unknown-drift"]
    prior_sd: Finite
    low: Finite | None = None
    high: Finite | None = None

    def make(self, D0: float, mu: float, sigma: float) -> UnknownDrift | DiscreteDrift:
        """The process."""
        if self.low is None and self.high is None:
            return UnknownDrift(D0, mu, self.prior_sd, sigma)
        if self.low is None or self.high is None:
            raise TreeError("low, high: a prior is cut off at both ends; give both")
        return DiscreteDrift.truncated_normal(D0, mu, self.prior_sd, self.low, self.high, sigma)


class Discrete(_Kind):
    """Unknown drift, one of several: see `scenario_trees.DiscreteDrift`."""

    uses: ClassVar[tuple[str, ...]] = ("sigma",)
    kind: Literal["discrete-drift"]
    drifts: Numbers
    weights: Numbers

    def make(self, D0: float, mu: float, sigma: float) -> DiscreteDrift:
        """The process."""
        return DiscreteDrift(D0, self.drifts, self.weights, sigma)


class Saturating(_Kind):
    """Logistic or Bass growth: see `scenario_trees.SaturatingGrowth`."""

    uses: ClassVar[tuple[str, ...]] = ("sigma",)
    kind: Literal["saturating"]
    capacity: Annotated[float, Field(strict=True)]
    imitation: Finite
    innovation: Finite = 0.0

    def make(self, D0: float, mu: float, sigma: float) -> SaturatingGrowth:
        """The process."""
        return SaturatingGrowth(D0, self.capacity, self.imitation, sigma, self.innovation)


class Step(_Kind):
    """A step of known or random date: see `scenario_trees.DatedStep`."""

    kind: Literal["step"]
    size: Finite
    dates: Numbers
    probabilities: Numbers = (1.0,)

    def make(self, D0: float, mu: float, sigma: float) -> DatedStep:
        """The process."""
        return DatedStep(D0, mu, sigma, self.size, self.dates, self.probabilities)


class Historical(_Kind):
    """Growth as it was, for simulation: see `scenario_trees.HistoricalIncrements`."""

    uses: ClassVar[tuple[str, ...]] = ()
    kind: Literal["historical"]
    factors: Numbers
    block: Finite = 1.0

    def make(self, D0: float, mu: float, sigma: float) -> HistoricalIncrements:
        """The process."""
        return HistoricalIncrements(D0, self.factors, self.block)


ProcessTable = Annotated[
    Brownian | Jumps | Reverting | Regimes | Unseen | Unknown | Discrete | Saturating | Step | Historical,
    Field(discriminator="kind"),
]


_KINDS = (Brownian, Jumps, Reverting, Regimes, Unseen, Unknown, Discrete, Saturating, Step, Historical)


def unused(table: object) -> tuple[str, ...]:
    """Which of ``mu`` and ``sigma`` a process table, or plain values of one, does not take."""
    kind = table.get("kind") if isinstance(table, Mapping) else getattr(table, "kind", None)
    for own in _KINDS:
        if kind in get_args(own.model_fields["kind"].annotation):
            return tuple(name for name in _Kind.uses if name not in own.uses)
    return ()


class Demand(Part):
    """Yearly demand and its process."""

    D0: Positive = symbol("demand in year 0", "kg/yr")
    mu: Annotated[float, Field(ge=-5, le=5, allow_inf_nan=False, strict=True)] = symbol(
        "growth rate of mean demand", "1/yr", 0.0
    )
    sigma: Annotated[float, Field(ge=0, le=5, allow_inf_nan=False, strict=True)] = symbol(
        "volatility of demand", "1/√yr", 0.0
    )
    process: ProcessTable | None = symbol("process of demand (none: a geometric Brownian motion)", "-", None)

    @model_validator(mode="after")
    def _is_a_process(self) -> Demand:
        given, uses = self.model_fields_set, _Kind.uses if self.process is None else self.process.uses
        missing = [name for name in uses if name not in given]
        if missing:
            raise ValueError("; demand.".join(f"{name}: missing" for name in missing))
        if self.process is None:
            return self
        surplus = [name for name in unused(self.process) if name in given]
        if surplus:
            raise ValueError(f"{surplus[0]}: kind {self.process.kind} does not take it; leave it out")
        try:
            self.made()
        except TreeError as error:
            raise ValueError(f"process.{error}") from error
        return self

    def made(self) -> OneFactor:
        """The process of demand; where it is a geometric Brownian motion for its parameters, that one."""
        return made(self.process, self.D0, *self.numbers)

    @property
    def numbers(self) -> tuple[float, float]:
        """Growth and volatility."""
        return self.mu, self.sigma


def made(table: _Kind | None, initial: float, mu: float, sigma: float) -> OneFactor:
    """The process of a table, or without one a geometric Brownian motion; a special case as what it is."""
    if table is None:
        return GeometricBrownianMotion(initial, mu, sigma)
    found: Any = plain(table.make(initial, mu, sigma))
    return found  # type: ignore[no-any-return]
