"""How far what is seen on a path is from the nodes of a tree or the states of a lattice.

Distances are summed over what is seen, each in standard deviations, so that units do not matter. What takes whole
numbers only and is no factor of the model, such as a regime, is a kind: it comes first.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import InputError
from stochisru.problem.policies.protocol import Seen

#: Weight of a kind: more than any numbers of standard deviations are apart.
_KIND = 1e6
#: Standard deviations below this share of a value are rounding.
_ROUNDING = 1e-9


def scales(
    who: str, what: str, seen: Seen, names: tuple[str, ...], values: Mapping[str, Array], deviation: Mapping[str, Array]
) -> dict[str, tuple[str, Array]]:
    """What tells nodes or states apart: by its name on the path, that on the tree or lattice, and what a unit weighs.

    Parameters
    ----------
    who, what
        For errors: ``policy tree`` and ``tree``.
    names
        Of what is known on the tree or lattice.
    values, deviation
        Values of all nodes or states by those names, and standard deviations between which there is to be chosen.

    Raises
    ------
    InputError
        If something tells them apart that is not seen on the paths.
    """
    told = {}
    for name, column in seen.model.seen_among(what, names).items():
        known = names[column]
        size = np.abs(values[known]).max(initial=0.0)
        spread = np.where(deviation[known] > _ROUNDING * size, deviation[known], 0.0)
        if not spread.any():
            continue
        if name not in seen.factors and name not in seen.beside:
            raise InputError(f"{who}: its {what} is told apart by {name!r} too, which the paths do not tell")
        kind = name not in seen.factors and bool((values[known] == np.rint(values[known])).all())
        weight = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
        told[name] = known, np.full_like(weight, _KIND) if kind else weight
    if len(told) == 1:
        ((name, (known, weight)),) = told.items()
        return {name: (known, np.ones_like(weight))}
    return told


def at(seen: Seen, name: str, year: int) -> Array:
    """What is seen under a name in a year, shape ``(n,)``."""
    found: Array = (seen.factors if name in seen.factors else seen.beside)[name][year]
    return found
