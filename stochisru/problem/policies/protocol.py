"""What a policy of a model sees, and what it must say.

A policy acts on all paths at once: arrays in, arrays out. It sees what happened up to today and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array
from stochisru.errors import InputError
from stochisru.problem.model import Model


def require_suits(policy: str, own: Model, model: Model) -> None:
    """Refuse a policy that was made of another problem: other decisions, leads or years."""
    has, needs = ({d.name: d.lead for d in each.decisions} for each in (own, model))
    if has != needs or own.horizon != model.horizon:
        raise InputError(
            f"policy {policy}: is one of {own.name} with {', '.join(has) or 'no decisions'} in years 0..{own.horizon}, "
            f"{model.name} has {', '.join(needs) or 'none'} in years 0..{model.horizon}"
        )


@dataclass(frozen=True, eq=False)
class Seen:
    """What is known in a year, for ``n`` paths.

    Attributes
    ----------
    model
        The problem.
    year
        Today, 0 ≤ year ≤ T.
    factors
        Factors of the model of years 0..year by name, each of shape ``(year + 1, n)``.
    due
        Years of effect of what is decided today, by decision: year + lead, in year 0 all of 0..lead; without those in
        which there is nothing to decide.
    beside
        What else is seen of the process, such as its regime, by name, each of shape ``(year + 1, n)``; nothing on paths
        that do not tell it.
    """

    model: Model
    year: int
    factors: Mapping[str, Array]
    due: Mapping[str, tuple[int, ...]]
    _known: Mapping[str, Array]
    beside: Mapping[str, Array] = field(default_factory=dict)

    @property
    def paths(self) -> int:
        """Number of paths n."""
        return int(next(iter(self._known.values())).shape[1])

    def amount(self, name: str, year: int) -> Array:
        """What is known of a decision, state or operation of a year, shape ``(n,)``.

        Decisions are known once they are taken, a state once all that feeds it is: what arrives next year under a lead
        of one is known today. Year −1 of a state is its initial amount.

        Raises
        ------
        InputError
            If it is not known yet, or there is no such quantity.
        """
        if name not in self._known:
            raise InputError(f"seen: must name one of {', '.join(self._known)}, got {name!r}")
        if not -1 <= year <= self.model.horizon:
            raise InputError(f"seen: year of {name!r} must lie in -1..{self.model.horizon}, got {year}")
        if year < 0:
            return np.full(self.paths, getattr(self.model[name], "initial", 0.0))
        found: Array = self._known[name][year]
        if np.isnan(found).any():
            raise InputError(f"seen: {name!r} of year {year} is not known in year {self.year}")
        return found

    @property
    def states(self) -> dict[str, Array]:
        """States at the end of last year, each of shape ``(n,)``; those that are known, see `amount`."""
        found = {}
        for state in self.model.states:
            if self.year == 0 or not np.isnan(self._known[state.name][self.year - 1]).any():
                found[state.name] = self.amount(state.name, self.year - 1)
        return found


class BestOperations(Protocol):
    """A way to the best operations of a year that is faster than a program, for a model without stores."""

    def year(self, t: int, factors: Mapping[str, Array], amounts: Mapping[str, Array]) -> Mapping[str, Array]:
        """Operations that are best for the cash of a year, each of shape ``(n,)``, by name.

        All of the year but those whose bounds leave no choice.

        Parameters
        ----------
        factors
            Factors of the year by name, each of shape ``(n,)``.
        amounts
            Decisions and states by name, each of shape ``(T + 1, n)``.
        """


class Policy(Protocol):
    """A rule for a model."""

    @property
    def name(self) -> str:
        """Short name, unique within a comparison."""

    def decide(self, seen: Seen) -> Mapping[str, ArrayLike]:
        """What is decided today, by name.

        Amounts of every decision with a year in ``seen.due``: shape ``(years due, n)``, or ``(n,)`` or a number where
        one year is due. Operations then follow that are best for the cash of the year. A policy may give the operations
        of today too, each of shape ``(n,)``, then all of them in all years. Where they are carried over
        (`Model.stores`) it must, or give the level of every store at the end of the year, each of shape ``(n,)``:
        operations then follow that leave the stores nearest to it, and of these the best for the cash of the year.
        """

    def describe(self) -> str:
        """The rule as one sentence."""
