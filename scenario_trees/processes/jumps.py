"""Geometric Brownian motion with Poisson jumps, a last one among them: demand is cut, or ends for good.

``dD = μ D dt + σ D dW + D dJ``: jumps of kind i come at rate λ_i and multiply D by ``1 + Y_i``, with ``ln(1 + Y_i) ~
N(ln(1 + y_i) − s_i²/2, s_i²)``, so ``E[Y_i] = y_i`` (Merton 1976); s_i = 0 is a jump of one size, and y_i = −1 ends
demand (Dixit and Pindyck 1994, section 5.5). Then ``E[D_t] = D_0 exp((μ + Σ λ_i y_i) t)``. Given the numbers of
jumps, a step is lognormal; numbers beyond all but 1e-20 of probability are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array
from scenario_trees.errors import TreeError, is_number, numbers, require_number, times
from scenario_trees.law import Mixture, StepLaw
from scenario_trees.processes.gbm import GeometricBrownianMotion
from scenario_trees.processes.markov import MarkovProcess

#: Probability of the numbers of jumps that are left out.
_TAIL = 1e-20
_MAX_COMPONENTS = 5_000


@dataclass(frozen=True)
class Jump:
    """A kind of jump.

    Parameters
    ----------
    rate
        λ ≥ 0, jumps per unit of time.
    size
        Mean relative change, ≥ −1; −1 ends the process at 0.
    spread
        Standard deviation of ``ln(1 + Y)``, ≥ 0; 0 where the process ends.
    """

    rate: float
    size: float
    spread: float = 0.0

    def __post_init__(self) -> None:
        require_number("rate", self.rate, low=0.0)
        require_number("size", self.size, low=-1.0)
        require_number("spread", self.spread, low=0.0)
        if self.size == -1 and self.spread > 0:
            raise TreeError(f"spread: must be 0 for jumps of size -1, after which nothing is left, got {self.spread!r}")

    @property
    def matters(self) -> bool:
        """Whether anything changes by it."""
        return self.rate > 0 and (self.size != 0 or self.spread > 0)


@dataclass(frozen=True)
class JumpDiffusion(MarkovProcess):
    """Geometric Brownian motion with jumps.

    Parameters
    ----------
    initial
        Value at time 0 (> 0).
    drift
        μ, growth rate of the mean between jumps, per unit of time.
    volatility
        σ ≥ 0 between jumps, per square root of the unit of time.
    jumps
        Kinds of jumps, independent of each other.

    Examples
    --------
    A programme that grows by 10 % a year and is cancelled with 5 % a year:

    >>> from scenario_trees import Jump, JumpDiffusion
    >>> demand = JumpDiffusion(1000.0, 0.10, 0.2, (Jump(rate=0.05, size=-1.0),))
    >>> [round(float(x)) for x in demand.mean([1, 10])], float(demand.quantile(0.3, 10))
    ([1051, 1649], 0.0)
    """

    initial: float
    drift: float
    volatility: float
    jumps: tuple[Jump, ...] = ()

    scales = True

    def __post_init__(self) -> None:
        require_number("initial", self.initial, low=0.0, strict=True)
        require_number("drift", self.drift)
        require_number("volatility", self.volatility, low=0.0)
        kinds = tuple(self.jumps) if isinstance(self.jumps, (tuple, list)) else (self.jumps,)
        for jump in kinds:
            if not isinstance(jump, Jump):
                raise TreeError(f"jumps: must be Jump(rate, size, spread), got {jump!r}")
        object.__setattr__(self, "jumps", kinds)

    @classmethod
    def example(cls) -> JumpDiffusion:
        """Dips of a third with some spread, and an end."""
        return cls(1000.0, 0.12, 0.15, (Jump(0.2, -0.3, 0.1), Jump(0.05, -1.0)))

    @property
    def limit(self) -> GeometricBrownianMotion | None:
        """The process without jumps."""
        if any(jump.matters for jump in self.jumps):
            return None
        return GeometricBrownianMotion(self.initial, self.drift, self.volatility)

    def scaled(self, initial: float) -> JumpDiffusion:
        """The same process from another start."""
        return replace(self, initial=initial)

    def law(self, states: Array, t: float, dt: float) -> StepLaw:
        """Lognormal by the numbers of jumps, and 0 where one of size −1 came."""
        n, log = states.shape[0], np.log(states[:, :1])
        weight, middle, variance = self._components(dt)
        alive = Mixture.of(n, weight, log + middle, np.sqrt(variance))
        ends = sum(jump.rate for jump in self.jumps if jump.size == -1)
        if not ends:
            return StepLaw.one(alive)
        share = np.array([np.exp(-ends * dt), -np.expm1(-ends * dt)])
        return StepLaw(np.tile(share, (n, 1)), (alive, Mixture.nothing(n)))

    def log_growth(self, h: float, t: float = 0.0) -> Mixture:
        """Law of D_{t+h}/D_t, for h ≥ 0: the same for all ``t`` and D_t > 0; one component is the end of demand."""
        if h == 0:
            return Mixture.of(1, 1.0, 0.0, 0.0)
        return self.law(np.ones((1, 1)), 0.0, h).merged

    def exceedance(self, level: ArrayLike, t: ArrayLike) -> Array:
        """P(D_t > level) for levels ≥ 0; broadcasts ``level`` against ``t``."""
        return self._at(level, t, lambda law, y: law.above(y))

    def limited_mean(self, level: ArrayLike, t: ArrayLike) -> Array:
        """E[min(D_t, level)] for levels ≥ 0; broadcasts ``level`` against ``t``."""
        return self._at(level, t, lambda law, y: law.limited_mean(np.exp(y)))

    def _at(self, level: ArrayLike, t: ArrayLike, told: Callable[[Mixture, Array], Array]) -> Array:
        """What the law of D_t tells at the logarithms of levels, year by year."""
        levels, years = np.broadcast_arrays(numbers("level", level), times(t))
        found = np.empty(levels.shape)
        for year in np.unique(years):
            here = years == year
            with np.errstate(divide="ignore"):
                y = np.log(levels[here])[None]
            law = self.log_growth(float(year)).shifted(np.log([self.initial]))
            found[here] = told(law, y)[0]
        return found

    def _components(self, dt: float) -> tuple[Array, Array, Array]:
        """Weights, means and variances of the logarithm's growth by the numbers of jumps that end nothing."""
        kinds = [jump for jump in self.jumps if jump.matters and jump.size > -1]
        counts = [_poisson(jump.rate * dt) for jump in kinds]
        size = int(np.prod([float(c.size) for c in counts]))
        if size > _MAX_COMPONENTS:
            raise TreeError(
                f"dt: too many jumps in a step of {dt:g} for these rates; take shorter steps or fewer kinds"
            )
        base = (self.drift - 0.5 * self.volatility**2) * dt
        number = np.indices([c.size for c in counts]).reshape(len(kinds), size)
        weight, log, variance = np.ones(size), np.zeros(size), np.zeros(size)
        for c, k, j in zip(counts, number, kinds, strict=True):
            weight = weight * c[k]
            log = log + k * (np.log1p(j.size) - 0.5 * j.spread**2)
            variance = variance + k * j.spread**2
        return weight / weight.sum(), base + log, self.volatility**2 * dt + variance

    def __str__(self) -> str:
        """The process in one line."""
        kinds = ", ".join(f"{j.size:+.10g} at rate {j.rate:.10g}" for j in self.jumps if is_number(j.size)) or "none"
        return (
            f"GBM with jumps(initial {self.initial:.10g}, drift {self.drift:.10g}, volatility {self.volatility:.10g}, "
            f"jumps {kinds})"
        )


def _poisson(mean: float) -> Array:
    """Probabilities of 0, 1, … events, up to all but `_TAIL`."""
    from scipy.special import gammainc, gammaln

    count = np.arange(int(mean + 12 * np.sqrt(mean) + 40))
    chance = np.exp(count * np.log(mean) - mean - gammaln(count + 1)) if mean > 0 else np.eye(1, count.size)[0]
    beyond = gammainc(count + 1, mean)  # P(more than count)
    few = int(np.argmax(beyond <= _TAIL)) if (beyond <= _TAIL).any() else count.size - 1
    return np.asarray(chance[: few + 1])
