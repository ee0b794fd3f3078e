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
_NEEDED = {
    "mean-cvar": "risk_weight",
    "entropic": "risk_aversion",
    "worst-case": None,
    "chi-square": "risk_radius",
    "wasserstein": "risk_radius",
}


@dataclass(frozen=True)
class RiskOptions(Options):
    """A measure, and its number."""

    risk_measure: str | None = option(
        None, "nested risk measure", default="mean-cvar if it has a weight", choices=tuple(_NEEDED), poses=True
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
        needed = _NEEDED[word] if word is not None else None
        for name in ("risk_weight", "risk_radius", "risk_aversion"):
            given = getattr(self, name) is not None
            if given and name != needed:
                takers = " or ".join(measure for measure, number in _NEEDED.items() if number == name)
                raise InputError(f"{name}: belongs to the risk_measure {takers}, got {word or 'none'}")
            if name == needed and not given:
                raise InputError(f"{name}: must be given with the risk_measure {word}")
        if self.risk_tail is not None and word != "mean-cvar":
            raise InputError(f"risk_tail: belongs to the risk_measure mean-cvar, got {word}")
        if word is None:
            return Expectation()
        if word == "worst-case":
            return WorstCase()
        if word == "mean-cvar":
            assert self.risk_weight is not None
            return MeanCVaR(self.risk_weight, 0.05 if self.risk_tail is None else self.risk_tail)
        if word == "entropic":
            assert self.risk_aversion is not None
            return Entropic(self.risk_aversion)
        assert self.risk_radius is not None
        return BALLS[word](self.risk_radius)
