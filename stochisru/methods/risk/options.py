"""Options that name a nested risk measure."""

from __future__ import annotations

from dataclasses import dataclass

from stochisru.errors import InputError
from stochisru.methods.options import Options, option
from stochisru.methods.risk.chi_square import ChiSquareBall
from stochisru.methods.risk.entropic import Entropic
from stochisru.methods.risk.expectation import Expectation
from stochisru.methods.risk.mean_cvar import MeanCVaR
from stochisru.methods.risk.wasserstein import WassersteinBall
from stochisru.methods.risk.worst_case import WorstCase
from stochisru.protocols import RiskMeasure

#: Balls by the words that name them.
BALLS: dict[str, type[ChiSquareBall | WassersteinBall]] = {"chi-square": ChiSquareBall, "wasserstein": WassersteinBall}
#: Measures by the words that name them, each with the number that it cannot do without.
NEEDED = {
    "mean-cvar": "weight",
    "entropic": "aversion",
    "worst-case": None,
    "chi-square": "radius",
    "wasserstein": "radius",
}


def measure_named(
    word: str | None,
    *,
    weight: float | None = None,
    tail: float | None = None,
    radius: float | None = None,
    aversion: float | None = None,
    prefix: str = "",
) -> RiskMeasure:
    """The measure that a word and its numbers say; the expectation where nothing is said.

    Parameters
    ----------
    word
        One of `NEEDED`, or None.
    weight, tail
        Of CVaR in the mean-CVaR, and the worst share that it averages.
    radius
        Of the ball of probabilities.
    aversion
        Of the entropic measure, 1/$.
    prefix
        What stands before these names where they were given, for messages.

    Raises
    ------
    InputError
        If a number is missing or belongs to another measure.
    """
    needed = NEEDED[word] if word is not None else None
    numbers = {"weight": weight, "radius": radius, "aversion": aversion}
    for name, number in numbers.items():
        if number is not None and name != needed:
            takers = " or ".join(measure for measure, other in NEEDED.items() if other == name)
            raise InputError(f"{prefix}{name}: belongs to the {prefix}measure {takers}, got {word or 'none'}")
        if name == needed and number is None:
            raise InputError(f"{prefix}{name}: must be given with the {prefix}measure {word}")
    if tail is not None and word != "mean-cvar":
        raise InputError(f"{prefix}tail: belongs to the {prefix}measure mean-cvar, got {word}")
    if word is None:
        return Expectation()
    if word == "worst-case":
        return WorstCase()
    if word == "mean-cvar":
        assert weight is not None
        return MeanCVaR(weight, 0.05 if tail is None else tail)
    if word == "entropic":
        assert aversion is not None
        return Entropic(aversion)
    assert radius is not None
    return BALLS[word](radius)


@dataclass(frozen=True)
class RiskOptions(Options):
    """A measure, and its number."""

    risk_measure: str | None = option(
        None, "nested risk measure", default="mean-cvar if it has a weight", choices=tuple(NEEDED), poses=True
    )
    risk_weight: float | None = option(
        None, "weight of CVaR in the nested mean-CVaR", default="0", low=0.0, high=1.0, poses=True
    )
    risk_tail: float | None = option(
        None, "worst share that CVaR averages", default="0.05", low=0.0, high=1.0, strict=True, poses=True
    )
    risk_radius: float | None = option(None, "radius of the chi-square or Wasserstein ball", low=0.0, poses=True)
    risk_aversion: float | None = option(None, "aversion of the entropic measure", unit="1/$", low=0.0, poses=True)

    @property
    def risk(self) -> RiskMeasure:
        """The risk measure."""
        word = self.risk_measure or ("mean-cvar" if self.risk_weight is not None else None)
        if word is None and self.risk_tail is not None:
            raise InputError("risk_tail: belongs to a risk_weight > 0")
        return measure_named(
            word,
            weight=self.risk_weight,
            tail=self.risk_tail,
            radius=self.risk_radius,
            aversion=self.risk_aversion,
            prefix="risk_",
        )
