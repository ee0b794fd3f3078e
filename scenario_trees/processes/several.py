"""Several factors that move together: demand and launch price, demand and yield.

Every factor is a process of its own; the normal numbers behind the sizes of their steps are correlated, those behind
kinds of steps (regimes, dates, whether a jump comes) are independent. For two geometric Brownian motions with
correlation ρ, ``E[X_t Y_t] = E[X_t] E[Y_t] e^{ρ σ_X σ_Y t}`` (Dixit and Pindyck 1994, section 6.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array
from scenario_trees.errors import TreeError, numbers, require_integer, require_number
from scenario_trees.law import Mixture, StepLaw
from scenario_trees.processes.gbm import GeometricBrownianMotion, draw_paths
from scenario_trees.processes.markov import MarkovProcess
from scenario_trees.protocols import Quantization, Sampler


@dataclass(frozen=True)
class CorrelatedFactors:
    """Several processes with correlated steps; the first is what the names of one process mean.

    Parameters
    ----------
    factors
        Names of the factors, the first the main one (demand).
    processes
        One process per factor: of this package, with steps.
    correlation
        Correlation matrix of the factors' normal numbers; independent if not given.

    Examples
    --------
    >>> from scenario_trees import CorrelatedFactors, GeometricBrownianMotion, ScenarioTree
    >>> demand = GeometricBrownianMotion(1000.0, 0.1, 0.2)
    >>> price = GeometricBrownianMotion(3000.0, -0.05, 0.15)
    >>> both = CorrelatedFactors(("demand", "price"), (demand, price), ((1.0, 0.5), (0.5, 1.0)))
    >>> ScenarioTree.from_process(both, [(3, 2), 2]).names
    ('demand', 'price')
    """

    factors: tuple[str, ...]
    processes: tuple[GeometricBrownianMotion | MarkovProcess, ...]
    correlation: tuple[tuple[float, ...], ...] | None = None

    def __post_init__(self) -> None:
        names, parts = tuple(self.factors), tuple(self.processes)
        if not names or len(set(names)) < len(names) or not all(isinstance(name, str) and name for name in names):
            raise TreeError(f"factors: must be one or more different names, got {', '.join(map(str, names)) or 'none'}")
        if len(parts) != len(names):
            raise TreeError(f"processes: must be {len(names)}, one per factor, got {len(parts)}")
        for part in parts:
            if type(part) is not GeometricBrownianMotion and not isinstance(part, MarkovProcess):
                raise TreeError(f"processes: must be processes with steps and one value, got {type(part).__name__}")
        object.__setattr__(self, "factors", names)
        object.__setattr__(self, "processes", parts)
        given = np.eye(len(names)) if self.correlation is None else numbers("correlation", self.correlation)
        object.__setattr__(self, "correlation", tuple(map(tuple, require_correlation(given, len(names)).tolist())))

    @classmethod
    def example(cls) -> CorrelatedFactors:
        """Demand that may end, and a price that falls to its level."""
        from scenario_trees.processes.jumps import JumpDiffusion
        from scenario_trees.processes.mean_reverting import MeanReverting

        parts = (JumpDiffusion.example(), MeanReverting(3000.0, 1000.0, 0.3, 0.15))
        return cls(("demand", "price"), parts, ((1.0, -0.4), (-0.4, 1.0)))

    # ----------------------------------------------------------------- states

    @property
    def initial(self) -> float:
        """Value of the first factor at time 0."""
        return self.processes[0].initial

    @property
    def names(self) -> tuple[str, ...]:
        """Factors, and then what else is seen of each, as ``factor.name``."""
        parts = zip(self.factors, self.processes, strict=True)
        return (*self.factors, *(f"{name}.{more}" for name, part in parts for more in part.names[1:]))

    @property
    def beliefs(self) -> tuple[str, ...]:
        """Those of `names` that follow from the path of a factor."""
        found: list[str] = []
        for name, part in zip(self.factors, self.processes, strict=True):
            if isinstance(part, MarkovProcess):
                found += (f"{name}.{belief}" for belief in part.beliefs)
        return tuple(found)

    @property
    def start(self) -> Array:
        """State at time 0."""
        return np.asarray(self._joined([part.start[None, :] for part in self.processes])[0])

    @cached_property
    def _columns(self) -> list[list[int]]:
        """Columns of the state of each factor."""
        k = len(self.factors)
        found, first = [], k
        for i, part in enumerate(self.processes):
            more = len(part.names) - 1
            found.append([i, *range(first, first + more)])
            first += more
        return found

    def _joined(self, states: list[Array]) -> Array:
        """States of the factors, shape ``(…, k_i)`` each, side by side."""
        return np.concatenate([*(s[..., :1] for s in states), *(s[..., 1:] for s in states)], axis=-1)

    @property
    def draws(self) -> int:
        """Standard normal numbers per step, of all factors."""
        return sum(part.draws if isinstance(part, MarkovProcess) else 1 for part in self.processes)

    @cached_property
    def _root(self) -> Array:
        """L with L L′ the correlation; its first row is that of the identity."""
        return np.asarray(np.linalg.cholesky(np.array(self.correlation, dtype=float)))

    def leading(self, name: str) -> CorrelatedFactors:
        """The same law with one factor first.

        On trees the first factor has values of its own, whatever the others are; a later one that is correlated with
        it has one for each of them. Who asks what knowing a factor is worth lets it lead.

        Raises
        ------
        TreeError
            If there is no factor of that name.

        Examples
        --------
        >>> from scenario_trees import CorrelatedFactors, GeometricBrownianMotion
        >>> parts = GeometricBrownianMotion(1000.0, 0.1, 0.2), GeometricBrownianMotion(3000.0, -0.05, 0.15)
        >>> CorrelatedFactors(("demand", "price"), parts, ((1.0, 0.5), (0.5, 1.0))).leading("price").factors
        ('price', 'demand')
        """
        order = self._order(name)
        matrix = np.array(self.correlation, dtype=float)[np.ix_(order, order)]
        names, parts = tuple(self.factors[i] for i in order), tuple(self.processes[i] for i in order)
        return CorrelatedFactors(names, parts, tuple(map(tuple, matrix.tolist())))

    def led(self, name: str, branches: int | tuple[int, ...]) -> int | tuple[int, ...]:
        """Numbers of branches, one for each factor or for all, in the order of `leading`."""
        if isinstance(branches, (int, np.integer)):
            return branches
        counts = self._counts(branches)
        return tuple(counts[i] for i in self._order(name))

    def _order(self, name: str) -> list[int]:
        if name not in self.factors:
            raise TreeError(f"factor: must be one of {', '.join(self.factors)}, got {name!r}")
        first = self.factors.index(name)
        return [first, *(i for i in range(len(self.factors)) if i != first)]

    def follows(self, name: str) -> bool:
        """Whether the values of a factor on a tree depend on those of factors before it."""
        i = self._order(name)[0]
        return bool(np.any(self._root[i, :i]))

    # ---------------------------------------------------------------- moments

    def mean(self, t: ArrayLike) -> Array:
        """Mean of the first factor."""
        return self.processes[0].mean(t)

    def means(self, t: ArrayLike) -> Array:
        """Means of all factors, of the shape of ``t`` with one axis more."""
        return np.stack([part.mean(t) for part in self.processes], axis=-1)

    def variance(self, t: ArrayLike) -> Array:
        """Variance of the first factor."""
        return self.processes[0].variance(t)

    def quantile(self, q: ArrayLike, t: ArrayLike) -> Array:
        """Quantile of the first factor."""
        return self.processes[0].quantile(q, t)

    def expected(self, states: Array, *, t: float = 0.0, dt: float = 1.0) -> Array:
        """Mean of the first factor ``dt`` after each state, shape ``(n,)``."""
        return self.processes[0].expected(states[:, self._columns[0]], t=t, dt=dt)

    def spread(self, states: Array, *, t: float = 0.0, dt: float = 1.0) -> Array:
        """Standard deviation of the first factor ``dt`` after each state, shape ``(n,)``."""
        return self.processes[0].spread(states[:, self._columns[0]], t=t, dt=dt)

    # --------------------------------------------------------------- sampling

    def paths(self, normals: Array, dt: float = 1.0) -> Array:
        """Paths of the first factor, shape ``(steps + 1, n)``, from ``draws`` rows of normal numbers per step."""
        return self.state_paths(normals, dt)[:, :, 0]

    def state_paths(self, normals: Array, dt: float = 1.0) -> Array:
        """Paths of the whole state, shape ``(steps + 1, n, k)``; the first columns are the factors."""
        normals = numbers("normals", normals)
        if normals.ndim != 2 or normals.shape[0] % self.draws:
            raise TreeError(f"normals: must have shape ({self.draws} per step, paths), got {normals.shape}")
        rows = normals.reshape(-1, self.draws, normals.shape[1])
        first, own = [], 0
        for part in self.processes:
            first.append(own)
            own += part.draws if isinstance(part, MarkovProcess) else 1
        found = []
        for i, part in enumerate(self.processes):
            count = part.draws if isinstance(part, MarkovProcess) else 1
            mine = rows[:, first[i] : first[i] + count, :].copy()
            if i:
                mine[:, 0, :] = np.einsum("j,sjn->sn", self._root[i, : i + 1], rows[:, first[: i + 1], :])
            found.append(part.state_paths(mine.reshape(-1, normals.shape[1]), dt))
        return self._joined(found)

    def sample(self, paths: int, horizon: int, *, seed: int, sampler: Sampler | None = None, dt: float = 1.0) -> Array:
        """Draw paths of the first factor, shape ``(horizon + 1, paths)``."""
        return draw_paths(self, paths, horizon, seed, sampler, dt)

    # ----------------------------------------------------------- quantisation

    def step(
        self,
        states: Array,
        branches: int | tuple[int, ...],
        quantization: Quantization | None = None,
        *,
        t: float = 0.0,
        dt: float = 1.0,
    ) -> tuple[Array, Array]:
        """Successors of states and their probabilities.

        Normal numbers of the factors are quantised one by one, correlated, and mapped to each factor's law by its
        quantile function; the values of a factor are then scaled by one number per kind of future so that its mean is
        exact.

        Parameters
        ----------
        branches
            Values per kind of future of each factor, or of all.
        quantization
            Gauss–Hermite (if not given) or equal-probability.

        Returns
        -------
        successors
            Shape ``(n, b, k)``.
        probability
            Shape ``(n, b)``.
        """
        from scipy.special import ndtr

        counts = self._counts(branches)
        node, weight = zip(*(_nodes(quantization, b) for b in counts), strict=True)
        z = np.array(list(product(*node))) @ self._root.T
        share = np.array([np.prod(w) for w in product(*weight)])
        level = ndtr(z)
        laws = [self._law(i, states, t, dt) for i in range(len(self.factors))]
        n, successors, probability = states.shape[0], [], []
        for kinds in product(*(range(len(law.kinds)) for law in laws)):
            parts, chance = [], np.ones(n)
            for i, (law, kind) in enumerate(zip(laws, kinds, strict=True)):
                own = states[:, self._columns[i]]
                value = _at_levels(law.kinds[kind], level[:, i], share, z[:, i])
                value[own[:, 0] == 0] = 0.0
                seen = own[:, 1:][:, None, :].repeat(share.size, axis=1)
                part = self.processes[i]
                if isinstance(part, MarkovProcess) and not part.limit:
                    likely = np.broadcast_to(share, value.shape)
                    seen = part.after_step(own, np.full(value.shape, kind), value, likely, t, dt)
                parts.append(np.concatenate([value[:, :, None], seen], axis=2))
                chance = chance * law.probability[:, kind]
            successors.append(self._joined(parts))
            probability.append(chance[:, None] * share)
        return np.concatenate(successors, axis=1), np.concatenate(probability, axis=1)

    def _counts(self, branches: int | tuple[int, ...]) -> tuple[int, ...]:
        counts = (branches,) * len(self.factors) if isinstance(branches, (int, np.integer)) else tuple(branches)
        if len(counts) != len(self.factors):
            raise TreeError(f"branching: needs one number per factor, {len(self.factors)}, got {branches!r}")
        for count in counts:
            require_integer("branching", count, 1)
        return counts

    def _law(self, i: int, states: Array, t: float, dt: float) -> StepLaw:
        """Law of a factor; what is 0 stays there, in the first kind of future."""
        own, part = states[:, self._columns[i]], self.processes[i]
        if isinstance(part, MarkovProcess):
            part = part.limit or part
        if isinstance(part, MarkovProcess):
            part.require_step(dt)
        else:
            require_number("dt", dt, low=0.0, strict=True)
        alive = own[:, 0] > 0
        law = part.law(np.column_stack([np.where(alive, own[:, 0], 1.0), own[:, 1:]]), t, dt)
        certain = np.eye(1, law.probability.shape[1])
        return StepLaw(np.where(alive[:, None], law.probability, certain), law.kinds)

    def __str__(self) -> str:
        """The process in one line."""
        shown = "; ".join(f"{name} {part}" for name, part in zip(self.factors, self.processes, strict=True))
        rows = " | ".join("/".join(f"{x:.10g}" for x in row) for row in self.correlation or ())
        return f"{shown}; correlation {rows}"


def require_correlation(matrix: Array, size: int) -> Array:
    """The matrix, if it is a correlation matrix of so many factors; raise `TreeError` otherwise."""
    if matrix.shape != (size, size):
        raise TreeError(f"correlation: must have shape {(size, size)}, got {matrix.shape}")
    if not np.isfinite(matrix).all() or not np.allclose(matrix, matrix.T, atol=1e-9):
        raise TreeError(f"correlation: must be symmetric and finite, got {matrix.tolist()}")
    if not np.allclose(np.diag(matrix), 1.0, atol=1e-9) or np.abs(matrix).max() > 1 + 1e-9:
        raise TreeError(f"correlation: must be 1 on the diagonal and in [-1, 1], got {matrix.tolist()}")
    smallest = float(np.linalg.eigvalsh(matrix).min())
    if smallest <= 1e-12:
        raise TreeError(f"correlation: must be positive definite, its smallest eigenvalue is {smallest:.3g}")
    return matrix


def _nodes(rule: Quantization | None, branches: int) -> tuple[Array, Array]:
    """Values of a standard normal number and their probabilities."""
    from scipy.special import ndtri, roots_hermitenorm

    if rule is None or rule.name == "gauss-hermite":
        z, weight = roots_hermitenorm(branches)
        return z, weight / weight.sum()
    if rule.name == "equal-probability":
        density = np.exp(-0.5 * ndtri(np.arange(branches + 1) / branches) ** 2) / np.sqrt(2 * np.pi)
        return -np.diff(density) * branches, np.full(branches, 1 / branches)
    raise TreeError(f"quantization: several factors take gauss-hermite or equal-probability, got {rule.name}")


def _at_levels(law: Mixture, level: Array, share: Array, z: Array) -> Array:
    """Values of n laws at levels of a normal number, scaled to the laws' means; shape ``(n, levels)``."""
    if law.is_nothing:
        return np.zeros((law.n, level.size))
    if law.weight.shape[1] == 1:
        log = law.log_mean + law.log_sd * z
    else:
        distinct, place = np.unique(level, return_inverse=True)
        log = law.log_quantile(np.tile(distinct, (law.n, 1)))[:, place]
    top = log.max(axis=1, keepdims=True)
    factor = np.exp(log - top)
    return np.asarray(factor * (law.moment() / (factor @ share))[:, None])
