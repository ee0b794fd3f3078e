"""Streams of standard normal numbers: pseudo-random, antithetic, scrambled Sobol.

Paths are drawn in *blocks*. Block ``i`` of a stream has its own generator, spawned from one
`numpy.random.SeedSequence`, so the numbers of a path depend on the seed, on the total number of paths and
on the path's place, never on how many workers draw them or how many blocks are held in memory at once.

Confidence intervals need independent units. Those of pseudo-random paths are the paths, those of
antithetic paths the pairs, those of Sobol paths the independently scrambled blocks (Owen 1997).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.errors import TreeError
from scenario_trees.protocols import Sampler
from scenario_trees.signals import uninterrupted


def _generator(seed: int, index: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))


def _block_size(paths: int) -> int:
    """Paths per block: few enough to stay in a core's cache, and four blocks or more where that pays."""
    return int(np.clip(2 * (-(-paths // 8)), 4096, 16384))


@dataclass(frozen=True)
class PseudoRandom:
    """Independent paths from numpy's PCG64."""

    name: str = "pseudo-random"

    def block_size(self, paths: int) -> int:
        """Paths per block."""
        return _block_size(paths)

    def block(self, seed: int, index: int, size: int, steps: int) -> Array:
        """Standard normal numbers, shape ``(steps, size)``."""
        return _generator(seed, index).standard_normal((steps, size))

    def units(self, paths: int) -> Index:
        """Every path is its own unit."""
        return np.ones(paths, dtype=np.int64)


@dataclass(frozen=True)
class Antithetic:
    """Pairs of paths driven by Z and −Z; neighbours ``2i`` and ``2i + 1`` are a pair."""

    name: str = "antithetic"

    def block_size(self, paths: int) -> int:
        """Paths per block (even, so that no pair is cut)."""
        return _block_size(paths)

    def block(self, seed: int, index: int, size: int, steps: int) -> Array:
        """Standard normal numbers, shape ``(steps, size)``."""
        half = _generator(seed, index).standard_normal((steps, (size + 1) // 2))
        out = np.empty((steps, 2 * half.shape[1]))
        out[:, 0::2] = half
        out[:, 1::2] = -half
        return out[:, :size]

    def units(self, paths: int) -> Index:
        """Pairs, and one single path when their number is odd."""
        sizes = np.full((paths + 1) // 2, 2, dtype=np.int64)
        if paths % 2:
            sizes[-1] = 1
        return sizes


@dataclass(frozen=True)
class Sobol:
    """Independently scrambled Sobol sets, at least ``replicates`` of them, so that errors can be estimated."""

    replicates: int = 16
    name: str = "sobol"

    def block_size(self, paths: int) -> int:
        """Points per scrambled set."""
        return max(1, min(65536, -(-paths // self.replicates)))

    def block(self, seed: int, index: int, size: int, steps: int) -> Array:
        """Standard normal numbers, shape ``(steps, size)``."""
        from scipy.special import ndtri
        from scipy.stats import qmc

        if steps > qmc.Sobol.MAXDIM:
            raise TreeError(f"horizon: Sobol sampling allows at most {qmc.Sobol.MAXDIM} steps, got {steps}")
        with uninterrupted():  # scipy's compiled tables swallow an interrupt while they are read
            engine = qmc.Sobol(d=steps, scramble=True, bits=32, rng=_generator(seed, index))
        points = engine.random_base2(max(0, int(size - 1).bit_length()))[:size]
        # A scrambled point may round to 0, whose normal quantile is −∞.
        tiny = 2.0**-33
        return np.ascontiguousarray(ndtri(np.clip(points, tiny, 1 - tiny)).T)

    def units(self, paths: int) -> Index:
        """One unit per scrambled set."""
        size = self.block_size(paths)
        full, rest = divmod(paths, size)
        return np.array([size] * full + ([rest] if rest else []), dtype=np.int64)


SAMPLERS: dict[str, Sampler] = {s.name: s for s in (PseudoRandom(), Antithetic(), Sobol())}


def require_sampler(sampler: Sampler | None) -> Sampler:
    """The sampler, pseudo-random if none is given; raise `TreeError` for what is none."""
    if sampler is None:
        return PseudoRandom()
    if not all(callable(getattr(sampler, part, None)) for part in ("block_size", "block", "units")):
        raise TreeError(f"sampler: must be a Sampler such as SAMPLERS[{PseudoRandom().name!r}], got {sampler!r}")
    return sampler
