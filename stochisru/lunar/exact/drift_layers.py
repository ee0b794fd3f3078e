"""The best policy where the drift of demand is unknown and learnt on the way, layer by layer.

Plant is measured before decay, ``M_t = κ^t·m_t``, and each kilogram m is an irreversible investment of its own, as in
`stochisru.lunar.exact.lattice_layers`. What is believed of the drift depends on time and on x, the logarithm of growth
since observation began (`scenario_trees.processes.unknown_drift`). Of a drift μ_j with weight ω_j(x), a kilogram that
is ordered in year t earns

    g_jt = Σ_{s ≥ t+L} (dκ)^s [η·a·P_j(D_s > η·κ^s·m | D_t) − h] − (dκ)^(t+L)·c_I,

normal tails of ``v = ln(D_t/(η·m))``. One that is not yet ordered is worth ``W_t = max(Σ_j ω_j g_jt, E[W_{t+1} | x])``.

Observation may begin n years before year 0: a study that sees growth for so long and so far tells x_0 = z. With
ln(m) + z in place of ln(m) the table W is the same for every outcome z, so that one recursion values them all, and the
expectation over z is that of a mixture of normal laws.

Numerics: x and ln m lie on grids of which one is a multiple of the other, so that g_jt is a table of one number; the
expectation is a trapezoidal rule, which is exact to rounding for smooth W, and corrected for the kink of W where
ordering begins to pay (Euler–Maclaurin with the second Bernoulli polynomial). What is left is estimated by solving with
half as many points.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.processes import GeometricBrownianMotion
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.layers import allowed_years
from stochisru.lunar.exact.root_plan import deployments
from stochisru.lunar.exact.unit_value import UnitValue

#: Standard deviations at which a step's law is cut off, and at which the law of growth is.
_STEP, _SPAN = 8.5, 7.0
#: Grid points of x per point of ln m.
_STRIDE = 4
#: Rows whose transitions are formed at once.
_ROWS = 256
#: Order of the Gauss–Legendre rule between two neighbouring layers of the grid, at the root.
_ORDER = 6
#: Points of the rule over outcomes of a study per standard deviation.
_OUTCOMES = 4
#: Points of both grids that are tabulated at most.
MAX_CELLS = 40_000_000


@dataclass(frozen=True, eq=False)
class DriftLayers:
    """Layers of a case whose demand grows at one of several rates.

    Parameters
    ----------
    case
        Linear costs, no limit on supply from Earth; its own process is not used but for the volatility.
    volatility
        σ > 0.
    drifts, weights
        Prior of μ.
    studied
        n ≥ 0: years of growth that are seen before year 0.
    points
        Points of the grid of x per standard deviation of a year's growth.
    """

    case: DeploymentCase
    volatility: float
    drifts: Array
    weights: Array
    studied: float = 0.0
    points: int = 20

    @cached_property
    def units(self) -> tuple[UnitValue, ...]:
        """Unit values for each drift."""
        return tuple(UnitValue.of(known_drift(self.case, float(mu), self.volatility)) for mu in self.drifts)

    # ------------------------------------------------------------------ grids

    @property
    def _h(self) -> float:
        return self.volatility / self.points

    @cached_property
    def _rates(self) -> Array:
        return np.asarray(self.drifts - 0.5 * self.volatility**2)

    @property
    def _years(self) -> int:
        return self.case.horizon.T

    @property
    def _lead(self) -> int:
        return self.case.horizon.lead_time

    @property
    def _last(self) -> int:
        """Last year of orders."""
        return self._years - self._lead

    def _span(self, clock: float) -> tuple[float, float]:
        """Growth after so many years, but for a probability, and a share of the mean, of 1e-12."""
        spread = self.volatility * np.sqrt(clock)
        low, high = float(self._rates.min()), float(self._rates.max())
        return low * clock - _SPAN * spread, high * clock + (_SPAN + spread) * spread

    def _x(self, t: int) -> Index:
        """Places of x in year t, whole numbers of the grid's width."""
        low, high = self._span(self.studied + t)
        return np.arange(int(np.floor(low / self._h)), int(np.ceil(high / self._h)) + 1)

    def _growth(self, t: int) -> Array:
        """X in year t."""
        return np.asarray(self._x(t) * self._h, dtype=float)

    @cached_property
    def _layer_range(self) -> tuple[float, float]:
        """Logarithms of η·m/D_0 between which demand decides, of any drift."""
        decay = np.log(self.units[0].kept)
        ends = np.array([self._span(s) for s in range(self._years + 1)])
        shift = decay * np.arange(self._years + 1)
        return float((ends[:, 0] - shift).min()) - 1e-3, float((ends[:, 1] - shift).max()) + 1e-3

    @cached_property
    def _layers(self) -> Index:
        """Places of ln m plus what a study tells, in steps of `_STRIDE` widths of the grid."""
        low, high = self._layer_range
        z = self._x(0) * self._h
        width = _STRIDE * self._h
        return np.arange(int(np.floor((low + z[0]) / width)) - 2, int(np.ceil((high + z[-1]) / width)) + 3)

    @property
    def cells(self) -> int:
        """Size of the largest table."""
        return int(self._x(max(self._last, 0)).size * self._layers.size)

    # ----------------------------------------------------------------- belief

    def _log_likelihood(self, clock: float, x: Array) -> tuple[Array, Array]:
        """ω_j(x), shape ``(n, J)``, and the logarithm of the law of x over that of the middle drift."""
        middle = 0.5 * (self._rates.min() + self._rates.max())
        with np.errstate(divide="ignore"):
            log = np.log(self.weights) + (
                (self._rates - middle) * x[:, None] - 0.5 * (self._rates**2 - middle**2) * clock
            ) / (self.volatility**2)
        top = log.max(axis=1, keepdims=True)
        share = np.exp(log - top)
        total = share.sum(axis=1, keepdims=True)
        return share / total, (top + np.log(total))[:, 0]

    def _expected(self, t: int, after: Array) -> Array:
        """E[W_{t+1} | x] at all places of year t."""
        here, there = self._growth(t), self._growth(t + 1)
        clock, middle = self.studied + t, 0.5 * (self._rates.min() + self._rates.max())
        log_here = self._log_likelihood(clock, here)[1]
        log_there = self._log_likelihood(clock + 1, there)[1]
        scale = self._h / (self.volatility * np.sqrt(2 * np.pi))
        out = np.empty((here.size, after.shape[1]))
        for i in range(0, here.size, _ROWS):
            row = slice(i, i + _ROWS)
            first = np.searchsorted(there, here[row][0] + self._rates.min() - _STEP * self.volatility)
            last = np.searchsorted(there, here[row][-1] + self._rates.max() + _STEP * self.volatility)
            step = (there[None, first:last] - here[row, None] - middle) / self.volatility
            kernel = np.exp(-0.5 * step**2 + log_there[None, first:last] - log_here[row, None])
            out[row] = scale * (kernel @ after[first:last])
        return out

    # -------------------------------------------------------------- recursion

    def _gain(self, t: int) -> Array:
        """Worth of ordering in year t, $ of year 0 per kg of year 0, shape ``(places of x, layers)``."""
        x, layers = self._x(t), self._layers * _STRIDE
        v = np.arange(x[0] - layers[-1], x[-1] - layers[0] + 1) * self._h
        worth = self._earned(v, t, self._lead)
        known = self._log_likelihood(self.studied + t, self._growth(t))[0]
        # By place of x and layer the table is read along its diagonals: no copy for each drift.
        by_drift, by_place = worth.strides
        shape = worth.shape[0], x.size, layers.size
        last = worth[:, layers[-1] - layers[0] :]
        view = np.lib.stride_tricks.as_strided(last, shape, (by_drift, by_place, -_STRIDE * by_place), writeable=False)
        return np.asarray(np.einsum("ij,jik->ik", known, view))

    def _earned(self, v: Array, t: int, lead: int) -> Array:
        """g_jt of plant that arrives in year t + lead at v = ln(D_t/(η·m)), shape ``(J, v)``."""
        from scipy.special import ndtr

        unit = self.units[0]
        years = np.arange(t + lead, self._years + 1)
        ahead, scale = years - t, unit.scale(years)
        out = np.zeros((self._rates.size, v.size))
        for s, tau, weight in zip(years, ahead, scale, strict=True):
            level = v - s * np.log(unit.kept)
            for j, rate in enumerate(self._rates):
                if tau > 0:
                    tail = ndtr((level + rate * tau) / (self.volatility * np.sqrt(tau)))
                else:
                    tail = np.where(np.abs(level) < 1e-9, 0.5, level > 0)
                out[j] += weight * (unit.eta * unit.worth * tail - unit.holding)
        return np.asarray(out - unit.price * unit.scale(t + lead))

    @cached_property
    def _waiting(self) -> Array:
        """Worth of a layer that is not ordered at the root, at all outcomes of the study."""
        if self._last < 1:
            return np.zeros((self._x(0).size, self._layers.size))
        cont = np.zeros((self._x(self._last).size, self._layers.size))
        for t in range(self._last, 0, -1):
            gain = self._gain(t)
            after = np.maximum(gain, cont) + _kinks(gain - cont)
            if self._lead == 0:
                after = self._with_jump(t, gain, cont)
            cont = self._expected(t - 1, after)
        return cont

    def _with_jump(self, t: int, gain: Array, cont: Array) -> Array:
        """max(gain, cont) for the trapezoidal rule where demand of today is known, and earned as soon as it is enough.

        ``gain`` then jumps where D_t = η·κ^t·m; the values of the two points around it are corrected by the first
        Bernoulli polynomial, and kinks are sought on either side.
        """
        unit, x, every = self.units[0], self._x(t), np.arange(self._layers.size)
        today = float(unit.scale(t)) * unit.eta * unit.worth
        place = self._layers * _STRIDE + t * np.log(unit.kept) / self._h - x[0]
        seen = np.arange(x.size)[:, None] > place[None, :] + 1e-9
        before = gain - today * np.where(np.abs(np.arange(x.size)[:, None] - place) <= 1e-9, 0.5, seen)
        low, high = before - cont, before + today - cont
        out = cont + np.where(seen, np.maximum(high, 0.0) + _kinks(high), np.maximum(low, 0.0) + _kinks(low))
        i = np.floor(place + 1e-9).astype(np.int64)
        here = (i >= 0) & (i < x.size - 1)
        i, k = i[here], every[here]
        theta = np.clip(place[here] - i, 0.0, 1.0)
        step = np.maximum(high, 0.0) - np.maximum(low, 0.0)
        jump = (1 - theta) * step[i, k] + theta * step[i + 1, k]
        out[i, k] -= (1 - theta) * jump * (theta - 0.5)
        out[i + 1, k] -= theta * jump * (theta - 0.5)
        return np.asarray(out)

    # ------------------------------------------------------------------- root

    @cached_property
    def value(self) -> float:
        """Expected net present value of the best policy, $."""
        from scipy.interpolate import CubicSpline

        existing = self.case.technology.M0
        ell, width = self._root_layers(existing)
        starts = self._starts(ell)
        own = np.array([u.earned(np.arange(self._years + 1), existing).sum() - u.without_plants() for u in self.units])
        total = 0.0
        for i, chance in zip(*self._outcomes(), strict=True):
            z = self._x(0)[i] * self._h
            later = CubicSpline(self._layers * (_STRIDE * self._h), self._waiting[i])(ell + z)
            known = self._log_likelihood(self.studied, np.array([z]))[0][0]
            now = np.einsum("j,tjl->tl", known, starts).max(axis=0)
            total += chance * float(known @ own + np.maximum(np.maximum(now, later), 0.0) @ width)
        return float(total)

    @cached_property
    def deployments(self) -> Array:
        """ΔM_0..ΔM_min(L, T), kg, of the best policy where there is no study."""
        from scipy.interpolate import CubicSpline

        if self.studied > 0:
            raise InputError("studied: what to commit depends on what a study tells")
        waiting = CubicSpline(self._layers * (_STRIDE * self._h), self._waiting[self._outcomes()[0][0]])
        years, size = np.arange(min(self._lead, self._years) + 1), self.case.demand.D0 / self.units[0].eta

        def advantage(ell: Array) -> Array:
            """Best start up to year τ less the best later one, or waiting, one layer per τ."""
            start = np.einsum("j,tjl->tl", self.weights, self._starts(ell))
            early = np.maximum.accumulate(start, axis=0).diagonal()
            rest = np.vstack([start[1:], np.maximum(waiting(ell), 0.0)])
            return np.asarray(early - np.maximum.accumulate(rest[::-1], axis=0)[::-1].diagonal())

        low, high = (np.full(years.size, end) for end in self._layer_range)
        some = advantage(low) > 0
        for _ in range(60):
            middle = 0.5 * (low + high)
            start = advantage(middle) > 0
            low, high = np.where(start, middle, low), np.where(start, high, middle)
        layers = np.maximum(np.where(some, size * np.exp(low), 0.0), self.case.technology.M0)
        return deployments(self.units[0], np.maximum.accumulate(layers), self.case.technology.M0)

    def _starts(self, ell: Array) -> Array:
        """What a layer earns that arrives in each year of the root, of each drift; no study changes that."""
        years = min(self._lead, self._years) + 1
        starts = np.full((years, self._rates.size, ell.size), -np.inf)
        for year in np.flatnonzero(allowed_years(self.case)[:years]):
            starts[year] = self._earned(-ell, 0, int(year))
        return starts

    def _outcomes(self) -> tuple[Index, Array]:
        """Places of what the study may tell, and their probabilities."""
        x = self._x(0)
        if self.studied == 0:
            return np.flatnonzero(x == 0), np.ones(1)
        step = max(1, int(self.volatility * np.sqrt(self.studied) / (_OUTCOMES * self._h)))
        chosen = np.arange(0, x.size, step)
        distance = x[chosen, None] * self._h - self._rates * self.studied
        density = np.exp(-0.5 * distance**2 / (self.volatility**2 * self.studied)) @ self.weights
        return chosen, density / density.sum()

    def _root_layers(self, existing: float) -> tuple[Array, Array]:
        """ln(η·m/D_0) of the layers beyond what exists, and kilograms of each: a Gauss–Legendre rule."""
        low, high = self._layer_range
        width, size = _STRIDE * self._h, self.case.demand.D0 / self.units[0].eta
        edges = np.arange(int(np.floor(low / width)), int(np.ceil(high / width)) + 1) * width
        bottom = 0.0
        if existing > 0:
            start = np.log(existing / size)
            edges = np.concatenate([[start], edges[edges > start + 1e-12]])
        else:
            bottom = size * np.exp(edges[0])  # layers below earn as the lowest does
        node, weight = np.polynomial.legendre.leggauss(_ORDER)
        half = 0.5 * np.diff(edges)[:, None]
        ell = (edges[:-1, None] + half * (1 + node)).ravel()
        mass = (half * weight).ravel() * size * np.exp(ell)
        if bottom:
            ell, mass = np.concatenate([edges[:1], ell]), np.concatenate([[bottom], mass])
        return ell, mass


def _kinks(excess: Array) -> Array:
    """What makes the trapezoidal rule see the kink of max(excess, 0) between two points, added to its values."""
    out = np.zeros_like(excess)
    i, k = np.nonzero((excess[:-1] > 0) != (excess[1:] > 0))
    before, after = excess[i, k], excess[i + 1, k]
    place = before / (before - after)
    weight = 0.5 * np.abs(after - before) * (place**2 - place + 1 / 6)
    np.add.at(out, (i, k), (1 - place) * weight)
    np.add.at(out, (i + 1, k), place * weight)
    return out


def known_drift(case: DeploymentCase, drift: float, volatility: float) -> DeploymentCase:
    """The case whose demand is a geometric Brownian motion of this drift."""
    process = GeometricBrownianMotion(case.demand.D0, drift, volatility)
    if case.demand.process is None and case.process == process:
        return case
    return case.replace(process=None, mu=drift, sigma=volatility)
