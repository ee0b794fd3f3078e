"""Lines over subsidy and volatility for a project of given size: from where on it earns, and is best built now.

At a volatility σ two shares of the bill matter (`stochisru.lunar.project`): the one that makes NPV ≥ 0, and the larger
one that makes building now the best. Over σ they are two lines, between which a firm that is paid enough to earn still
waits. The rate of return at which it builds rises with σ as well; a firm that states a hurdle acts as if σ were the
volatility at which that is its implied hurdle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from stochisru.errors import InputError, require_number
from stochisru.lunar.project import Project, hurdle_rate, project
from stochisru.studies.store import Row

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from stochisru.lunar.case import DeploymentCase
    from stochisru.lunar.tables.case import GeneralCase

#: Volatilities at which the lines are told where none are given, 1/√yr.
VOLATILITIES = (0.1, 0.2, 0.3, 0.4, 0.5)
#: The largest that is taken.
_MOST = 2.0


@dataclass(frozen=True, eq=False)
class SupportLines:
    """What a project asks for, by volatility of demand.

    Attributes
    ----------
    plant
        Size, kg.
    rows
        One per volatility: ``sigma``; ``to_earn`` and ``to_build_now``, shares of the bill (the latter None where no
        share ≤ 1 does); ``npv_now``, ``waiting``, ``option`` ($ of year 0, maximised); ``hurdle``, the rate of return
        at which it is built now, and ``perpetual_hurdle`` of a perpetual flow in proportion to demand (1/yr), each None
        where there is none; ``per_kg``, what the government pays per additional kilogram where it pays ``to_build_now``
        ($/kg).
    """

    case: GeneralCase
    plant: float
    rows: tuple[Row, ...]

    def to_frame(self) -> pd.DataFrame:
        """The rows as a table."""
        import pandas as pd

        return pd.DataFrame(list(self.rows))

    def figure(self) -> Figure:
        """Subsidy over volatility: where it loses, where it earns and waits, and where it is built now."""
        import numpy as np

        from stochisru.report.style import PALETTE, new_figure

        sigma = np.array([row["sigma"] for row in self.rows])
        earns = np.array([row["to_earn"] for row in self.rows])
        now = np.array([1.0 if row["to_build_now"] is None else row["to_build_now"] for row in self.rows])
        top = min(1.0, 1.15 * float(now.max()) + 0.02)
        with new_figure(5.6, 3.6) as (figure, ax):
            ax.fill_between(sigma, 0.0, earns, color="0.88", label="loses")
            ax.fill_between(sigma, earns, now, color=PALETTE[1], alpha=0.25, label="earns, and waits")
            ax.fill_between(sigma, now, top, color=PALETTE[2], alpha=0.25, label="built now")
            ax.plot(sigma, earns, color="0.3", lw=1.2)
            ax.plot(sigma, now, color=PALETTE[2], lw=1.6)
            ax.set_xlim(sigma[0], sigma[-1])
            ax.set_ylim(0.0, top)
            ax.set_xlabel("volatility of demand σ (1/√yr)")
            ax.set_ylabel("share of the bill that is paid (-)")
            ax.set_title(f"{self.case.name}, {self.plant:,.0f} kg", fontsize=8)
            ax.legend(loc="upper left")
            return figure

    def __repr__(self) -> str:
        first, last = self.rows[0], self.rows[-1]
        return (
            f"SupportLines({self.case.name}, {self.plant:,.0f} kg, σ = {first['sigma']:g} to {last['sigma']:g}; shares "
            f"of the bill to earn: {first['to_earn']:.3f} to {last['to_earn']:.3f})"
        )


def support_lines(
    case: DeploymentCase | GeneralCase, plant: float | None = None, volatilities: Sequence[float] = VOLATILITIES
) -> SupportLines:
    """Lines of support over volatility.

    Parameters
    ----------
    case
        As `stochisru.lunar.project.project` takes it.
    plant
        Size, kg; as there if not given, and the same at every volatility.
    volatilities
        σ of demand, rising, each > 0 and <= 2, 1/√yr.

    Raises
    ------
    InputError
        If volatilities do not rise or are out of range, or the case is none that a project takes.

    Examples
    --------
    >>> from stochisru import load_case
    >>> from stochisru.lunar.studies.support import support_lines
    >>> lines = support_lines(load_case("regolith-oxygen"), 90_000.0, [0.1, 0.3])
    >>> [(round(row["to_earn"], 3), round(row["to_build_now"], 3)) for row in lines.rows]
    [(0.0, 0.0), (0.0, 0.036)]
    """
    grid = [require_number("volatilities", sigma, low=0.0, strict=True) for sigma in volatilities]
    if not grid or grid[-1] > _MOST or any(later <= sooner for sooner, later in pairwise(grid)):
        given = ", ".join(f"{sigma:g}" for sigma in grid) or "none"
        raise InputError(f"volatilities: must rise, each > 0 and <= {_MOST:g}, got {given}")
    first = project(case, plant)
    rows: list[Row] = []
    for sigma in grid:
        found = Project(first.case.replace(sigma=sigma), first.plant)
        told = found.to_dict()
        now = told["to_build_now"]
        rows.append(
            {
                "sigma": sigma,
                "to_earn": told["support_to_earn"],
                "to_build_now": told["support_to_build_now"],
                **{name: told[name] for name in ("npv_now", "waiting", "option", "hurdle", "perpetual_hurdle")},
                "per_kg": None if now is None else now["per_kg"],
            }
        )
    return SupportLines(first.case, first.plant, tuple(rows))


def implied_volatility(rho: float, mu: float, hurdle: float) -> float:
    """Volatility at which a hurdle is the implied one of a perpetual flow (Dixit 1992), 1/√yr.

    Parameters
    ----------
    rho, hurdle
        Discount rate and hurdle, per year, continuous.
    mu
        Drift of what is earned, < ρ.

    Raises
    ------
    InputError
        If the hurdle is not above that without uncertainty, or above that of σ = 5.

    Examples
    --------
    >>> round(implied_volatility(0.10, 0.0, 0.25), 3)
    0.424
    """
    from scipy.optimize import brentq

    low, high = 1e-3, 5.0
    least, most = hurdle_rate(rho, mu, low), hurdle_rate(rho, mu, high)
    if not least < hurdle < most:
        raise InputError(f"hurdle: must lie between {least:.4g} and {most:.4g}, got {hurdle!r}")
    return float(brentq(lambda sigma: hurdle_rate(rho, mu, sigma) - hurdle, low, high, xtol=1e-12))
