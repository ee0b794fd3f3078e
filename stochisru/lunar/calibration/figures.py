"""Figures of a calibration: the series and what comes next, the increments' quantiles and autocorrelation, bands."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from scenario_trees.arrays import Array
from stochisru.lunar.calibration.fitted import Calibration, scaled
from stochisru.report.style import PALETTE, new_figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from stochisru.lunar.calibration.bands import Bands

#: Quantile levels of the fan.
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
#: Draws of the parameters, and paths of each, behind the fan of unknown parameters.
_DRAWS, _PATHS = 400, 50
#: Bins of the histograms of bands.
_BINS = 24


def fan_table(found: Calibration, horizon: int, seed: int) -> pd.DataFrame:
    """Quantiles of demand by year from D0 on.

    Returns
    -------
    pandas.DataFrame
        Index ``t``; columns ``mean``, one per level of `LEVELS` as text; and ``unknown_0.05``, ``unknown_0.95``, the
        quantiles where parameters are drawn too, NaN where no errors are known.
    """
    table = found.process.fan(horizon, LEVELS).rename(columns=str)
    ends = np.full((2, horizon + 1), np.nan)
    if found.kind in found.fits and found.fit.identified:
        first, *children = np.random.SeedSequence(seed).spawn(_DRAWS + 1)
        paths = [
            scaled(process, found.D0).sample(_PATHS, horizon, seed=int(child.generate_state(1)[0]))
            for process, child in zip(found.fit.draws(_DRAWS, first), children, strict=True)
        ]
        ends = np.quantile(np.hstack(paths), (LEVELS[0], LEVELS[-1]), axis=1)
    table["unknown_0.05"], table["unknown_0.95"] = ends
    return table


def series_and_fan(found: Calibration, fan: pd.DataFrame) -> Figure:
    """The series, its gaps, and the fan of what comes next; where year 0 is not the last value, in its unit."""
    years, values = found.series.years, found.series.values * found.D0 / found.series.values[-1]
    ahead = years[-1] + fan.index.to_numpy(dtype=float)
    with new_figure(6.4, 4.0) as (figure, ax):
        for low, high, alpha in (("0.05", "0.95", 0.15), ("0.25", "0.75", 0.25)):
            label = f"{float(low):.0%}–{float(high):.0%}, parameters as estimated"
            ax.fill_between(ahead, fan[low], fan[high], color=PALETTE[0], alpha=alpha, lw=0, label=label)
        if fan["unknown_0.05"].notna().all():
            own = "5%–95%, parameters as the series leaves them"
            ax.plot(ahead, fan["unknown_0.05"], color=PALETTE[1], lw=1.2, ls="--", label=own)
            ax.plot(ahead, fan["unknown_0.95"], color=PALETTE[1], lw=1.2, ls="--")
        ax.plot(ahead, fan["mean"], color=PALETTE[0], lw=1.6, label="mean")
        usual = float(np.median(np.diff(years)))
        parts = np.split(np.arange(years.size), 1 + np.flatnonzero(np.diff(years) > 1.5 * usual))
        for part in parts:
            ax.plot(years[part], values[part], color="black", lw=1.0)
        for before, after in pairwise(parts):
            gap = [before[-1], after[0]]
            ax.plot(years[gap], values[gap], color="0.5", lw=0.8, ls=":")
        ax.plot(years, values, "o", color="black", ms=3, label="series (dotted: gaps)")
        ax.set_yscale("log")
        unit = found.series.column if found.series.values[-1] == found.D0 else "demand (kg/yr)"
        ax.set(xlabel="year", ylabel=unit)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2)
        return figure


def increments_checked(found: Calibration) -> Figure:
    """Quantiles of the standardised increments against the normal law, and their autocorrelation."""
    z = found.fit.standardised
    low, high, expected = order_ranges(z.size)
    rho = autocorrelations(z)
    with new_figure(7.0, 3.2, 2) as (figure, (left, right)):
        left.fill_between(expected, low, high, color=PALETTE[0], alpha=0.15, lw=0, label="95 % of normal samples")
        left.plot(expected, expected, color=PALETTE[0], lw=1.0)
        left.plot(expected, np.sort(z), "o", color="black", ms=3, label="increments")
        left.set(xlabel="normal quantile", ylabel="standardised increment")
        left.legend(loc="upper left")
        lags = np.arange(1, rho.size + 1)
        edge = 1.96 / np.sqrt(z.size)
        right.axhspan(-edge, edge, color=PALETTE[0], alpha=0.15, lw=0, label="95 % of independent samples")
        right.vlines(lags, 0, rho, color="black", lw=1.2)
        right.plot(lags, rho, "o", color="black", ms=3)
        right.axhline(0, color="0.3", lw=0.8)
        right.set(xlabel="lag (steps)", ylabel="autocorrelation of increments", ylim=(-1.05, 1.05))
        right.xaxis.get_major_locator().set_params(integer=True)
        right.legend(loc="upper right")
        return figure


def bands_drawn(found: Bands) -> Figure:
    """Histograms of RP, flexibility and the orders over the draws; lines at the estimate and at the band's ends.

    What is the same at every draw is left out.
    """
    shown = ["rp", "flexibility", *(name for name in found.quantities if name.startswith("dM"))]
    names = [name for name in shown if np.ptp(found.sample(name)) > 1e-9 * abs(found.estimate[name])][:4] or ["rp"]
    with new_figure(2.3 * len(names), 2.6, len(names)) as (figure, axes):
        for ax, name in zip(np.atleast_1d(axes), names, strict=True):
            band, money = found.band(name), found.quantities[name] == "$"
            size = 1e6 if money else 1.0
            ax.hist(found.sample(name) / size, bins=_BINS, color=PALETTE[0], alpha=0.5)
            ax.axvline(band.estimate / size, color="black", lw=1.4, label="estimate")
            for k, end in enumerate((band.lower, band.upper)):
                label = None if k else f"{100 * found.confidence:.6g} % band"
                ax.axvline(end / size, color=PALETTE[1], lw=1.2, ls="--", label=label)
            ax.set_xlabel(f"{_LABELS.get(name, name)} ({'$ million' if money else 'kg'})")
            ax.xaxis.get_major_locator().set_params(nbins=4)
        np.atleast_1d(axes)[0].set_ylabel("draws")
        np.atleast_1d(axes)[0].legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, fontsize=7)
        return figure


_LABELS = {"rp": "RP", "flexibility": "flexibility"}


def order_ranges(count: int) -> tuple[Array, Array, Array]:
    """Of every place in an ordered normal sample the 2.5 % and 97.5 % quantile and the median."""
    from scipy.special import betaincinv, ndtri

    place = np.arange(1, count + 1)
    low, high, middle = (ndtri(betaincinv(place, count + 1 - place, level)) for level in (0.025, 0.975, 0.5))
    return np.asarray(low), np.asarray(high), np.asarray(middle)


def autocorrelations(z: Array) -> Array:
    """Autocorrelation at lags 1 to min(10, n/2), at least one; zeros where nothing varies."""
    off = z - z.mean()
    power = float(off @ off)
    lags = range(1, max(1, min(10, z.size // 2)) + 1)
    return np.array([off[k:] @ off[:-k] / power if power > 0 else 0.0 for k in lags])
