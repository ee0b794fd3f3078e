"""What coherent measures have in common."""

from __future__ import annotations

import numpy as np

from scenario_trees.arrays import Array


class Coherent:
    """The smallest expectation over a set of probabilities (Artzner et al. 1999)."""

    def penalty(self, probability: Array, weights: Array) -> Array:
        """Nothing is added to that expectation, shape ``(n,)``."""
        return np.zeros(probability.shape[0])
