"""The pieces of curves that a program needs, per structure, and which of them need a binary.

Curves that share binaries are cut at the union of their breakpoints. Between them a structure keeps the pieces that
lie within its own bounds. Neighbouring pieces along which no curve bends the wrong way for its direction form a *run*:
inside a run the program picks the right piece by itself, so a run needs one binary, not one per piece, and a structure
with a single run and no jump needs none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from scenario_trees.arrays import Array, Index, Mask
from stochisru.errors import InputError
from stochisru.programs.curves.curve import Curve, bends

#: What the program wants of a value: small as of a cost, large as of an output, or now one, now the other.
Direction = Literal["small", "large", "either"]

#: Relative distance of two breakpoints that is rounding and no piece.
_SAME = 1e-9


@dataclass(frozen=True, eq=False)
class Pieces:
    """Pieces of C curves over n structures, structure by structure and ascending.

    Attributes
    ----------
    structures
        Number of structures n.
    structure
        Structure of each of the P pieces, shape ``(P,)``.
    lower, upper
        Ends of each piece, shape ``(P,)``.
    slope, intercept
        On its piece a curve is ``slope·x + intercept``, the jump at zero included, shape ``(C, P)``.
    run
        Run of each piece, shape ``(P,)``.
    owner
        Structure of each of the R runs, shape ``(R,)``.
    jumps
        Whether a structure pays something, or has a least size, as soon as it is there, shape ``(n,)``.
    """

    structures: int
    structure: Index
    lower: Array
    upper: Array
    slope: Array
    intercept: Array
    run: Index
    owner: Index
    jumps: Mask

    @property
    def curves(self) -> int:
        """Number of curves C."""
        return int(self.slope.shape[0])

    @property
    def runs(self) -> Index:
        """Number of runs of each structure, shape ``(n,)``."""
        return np.bincount(self.owner, minlength=self.structures)

    @property
    def first(self) -> Index:
        """First piece of each run, shape ``(R,)``."""
        return np.flatnonzero(np.diff(self.run, prepend=-1))

    @property
    def last(self) -> Index:
        """Last piece of each run, shape ``(R,)``."""
        return np.append(self.first[1:], self.run.size)[: self.owner.size] - 1

    @property
    def leads(self) -> Mask:
        """Whether a run is the first of its structure, shape ``(R,)``."""
        return np.asarray(np.diff(self.owner, prepend=-1) > 0)

    @property
    def alone(self) -> Mask:
        """Whether a run is the only one of its structure, shape ``(R,)``."""
        return np.asarray(self.runs[self.owner] == 1)

    @property
    def free(self) -> Mask:
        """Whether a run starts at zero with all its curves, shape ``(R,)``: it needs no binary of its own."""
        return np.asarray(self.leads & ~self.jumps[self.owner])

    def end_values(self, end: Array) -> Array:
        """Curves at one end of each piece, shape ``(C, P)``."""
        return np.asarray(self.slope * end + self.intercept)


def cut(curves: Sequence[tuple[Curve, Direction]], upper: Array, least: Array) -> Pieces:
    """Pieces of curves with their directions for structures of at most ``upper``, and at least ``least`` if any.

    Raises
    ------
    InputError
        If a direction is unknown, or a jump at zero would be gained by a structure of no size.
    """
    if not curves:
        raise InputError("curves: must be at least one pair of a curve and a direction")
    for curve, direction in curves:
        if direction not in get_args(Direction):
            raise InputError(f"direction: must be one of {', '.join(get_args(Direction))}, got {direction!r}")
        if curve.fixed > 0 and direction != "small" and (least <= 0).any():
            raise InputError(
                f"least: must be > 0 where direction is {direction!r} and the curve has fixed > 0, "
                "or a structure of no size would have the jump too"
            )
    mesh, slope, intercept = _common(curves)
    wrong = np.zeros(mesh.size, dtype=bool)
    for (_, direction), step in zip(curves, bends(slope), strict=True):
        wrong[1:] |= {"small": step < 0, "large": step > 0, "either": step != 0}[direction]
    ends = np.append(mesh[1:], np.inf)
    low, high = np.maximum(mesh, least[:, None]), np.minimum(ends, upper[:, None])
    point = (least > 0) & (least == upper)
    kept = (low < high) | (point[:, None] & (mesh <= upper[:, None]) & (upper[:, None] < ends))
    structure, piece = np.nonzero(kept)
    starts = (np.diff(structure, prepend=-1) > 0) | wrong[piece]
    jump = any(curve.fixed > 0 for curve, _ in curves)
    return Pieces(
        structures=upper.size,
        structure=structure,
        lower=low[kept],
        upper=high[kept],
        slope=slope[:, piece],
        intercept=intercept[:, piece],
        run=np.cumsum(starts) - 1,
        owner=structure[starts],
        jumps=(least > 0) | jump,
    )


def _common(curves: Sequence[tuple[Curve, Direction]]) -> tuple[Array, Array, Array]:
    """Starts of the pieces on which every curve is straight, with slopes and intercepts, shape ``(C, pieces)``."""
    points = np.unique(np.concatenate([curve.breakpoints[:-1] for curve, _ in curves]))
    mesh = points[np.diff(points, prepend=-np.inf) > _SAME * points]
    middle = (mesh + np.append(mesh[1:], np.inf)) / 2
    slope, intercept = np.empty((2, len(curves), mesh.size))
    for c, (curve, _) in enumerate(curves):
        at = np.clip(np.searchsorted(curve.breakpoints, middle) - 1, 0, curve.pieces - 1)
        slope[c] = curve.slopes[at]
        intercept[c] = curve.fixed + curve.values[at] - slope[c] * curve.breakpoints[at]
    bent = np.append(True, (bends(slope) != 0).any(axis=0))
    return mesh[bent], slope[:, bent], intercept[:, bent]
