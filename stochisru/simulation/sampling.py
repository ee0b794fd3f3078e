"""Fresh paths of a process: how many, from which seed, drawn how, and how sure is what is said of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from scenario_trees.protocols import Sampler
from scenario_trees.sampling import SAMPLERS
from stochisru.errors import InputError, require_confidence, require_integer


@dataclass(frozen=True)
class Sampling:
    """The sample of a simulation.

    Attributes
    ----------
    paths
        Number of paths, >= 1; what makes an interval of them asks for `at_least` 2.
    seed
        Seed of all random streams, >= 0.
    sampler
        ``pseudo-random``, ``antithetic``, ``sobol``, or a `Sampler`.
    workers
        Processes, >= 1; no result depends on it.
    confidence
        Level of all intervals, in (0, 1).

    Raises
    ------
    InputError
        If a number is out of range or the sampler is none.
    """

    paths: int = 1000
    seed: int = 0
    sampler: Sampler | str = "pseudo-random"
    workers: int = 1
    confidence: float = 0.95

    def __post_init__(self) -> None:
        for name, low in (("paths", 1), ("seed", 0), ("workers", 1)):
            require_integer(name, getattr(self, name), low)
        require_confidence(self.confidence)
        if not isinstance(self.sampler, str):
            if not all(callable(getattr(self.sampler, part, None)) for part in ("block_size", "block", "units")):
                raise InputError(f"sampler: must be a Sampler or one of {', '.join(SAMPLERS)}, got {self.sampler!r}")
        elif self.sampler not in SAMPLERS:
            raise InputError(f"sampler: must be one of {', '.join(SAMPLERS)}, got {self.sampler!r}")

    @cached_property
    def source(self) -> Sampler:
        """The sampler itself."""
        return SAMPLERS[self.sampler] if isinstance(self.sampler, str) else self.sampler

    def at_least(self, paths: int) -> Sampling:
        """The sample itself; `InputError` if its paths are too few for what is made of them: one has no interval."""
        require_integer("paths", self.paths, paths)
        return self
