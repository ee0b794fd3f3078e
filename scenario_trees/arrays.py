"""Arrays of the two packages, as types: numbers, whole numbers that count or point at something, and choices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Mask = NDArray[np.bool_]
