"""Monte Carlo evaluation of strategies on common random numbers.

Paths are drawn in the blocks of `scenario_trees.sampling`; every strategy sees the same paths. Blocks are
independent of each other, so they are simulated in any number of processes and added up in their order: the
same seed gives the same bytes. Memory is the net present values (8 bytes per path and strategy), the indicators of
the first paths (`stochisru.lunar.indicators`) and a few blocks.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array, Index
from scenario_trees.protocols import Sampler
from scenario_trees.sampling import SAMPLERS
from stochisru.errors import InputError
from stochisru.estimate import Estimate
from stochisru.files import plain
from stochisru.lunar.case import DeploymentCase, require_case
from stochisru.lunar.indicators import KEPT_PATHS, DeploymentCounts, distributions, indicators_of_paths
from stochisru.lunar.operations import MeritOrder, discount_factors
from stochisru.lunar.policies import policy_named, require_policy
from stochisru.lunar.strategies.protocol import Observation, Strategy, root_years, whole_modules
from stochisru.methods.result import versions
from stochisru.simulation.metrics import (
    UNITS,
    Moments,
    lognormal_kurtosis,
    mean_estimate,
    metrics_frame,
    require_confidence,
    strategy_metrics,
)

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def _checked(orders: Any, shape: tuple[int, ...], who: str, lot: float | None) -> Array:
    """Orders of a strategy, up to whole modules where plants come in modules."""
    array = np.asarray(orders, dtype=float)
    if array.shape != shape:
        raise InputError(f"strategy {who}: must return shape {shape}, got {array.shape}")
    if not array.min() >= 0:  # also refuses NaN; infinity shows in the NPV
        raise InputError(f"strategy {who}: deployments must be >= 0 kg and not NaN")
    return whole_modules(array, lot)


def follow(case: DeploymentCase, strategy: Strategy, demand: Array) -> Iterator[tuple[Array, Array]]:
    """Run a strategy down paths of demand; where plants come in modules, orders are rounded up to whole ones.

    Parameters
    ----------
    demand
        Shape ``(T + 1, n)``, kg/yr.

    Yields
    ------
    deployment, plant
        ΔM_t and M_t, kg, shape ``(n,)``, for t = 0..T; not to be written to.
    """
    T, lead = case.horizon.T, case.horizon.lead_time
    kept, lot = 1 - case.technology.degradation, case.launch.lot
    n = demand.shape[1]
    start = _checked(strategy.start(case), (root_years(case),), strategy.name, lot)
    if case.horizon.initial_deployment == "fixed" and start[0] > 0:
        raise InputError(f"strategy {strategy.name}: ΔM_0 is fixed at 0 in this case, got {start[0]:g} kg")
    arrivals = {t: np.full(n, x) for t, x in enumerate(start)}
    plant = np.full(n, case.technology.M0)
    for t in range(T + 1):
        if t > 0 and kept < 1:
            plant = plant * kept
        if lead > 0 or t == 0:
            arriving = arrivals.pop(t)
            plant = plant + arriving
        if t > 0 and t + lead <= T:
            pipeline = np.stack([arrivals[s] for s in range(t + 1, t + lead)]) if lead > 1 else np.empty((0, n))
            history = demand[: t + 1]
            history.setflags(write=False)
            plant.setflags(write=False)
            seen = Observation(case, t, history, plant, pipeline)
            arrivals[t + lead] = _checked(strategy.order(seen), (n,), strategy.name, lot)
            if lead == 0:
                arriving = arrivals.pop(t)
                plant = plant + arriving
        yield arriving, plant


def _demand(case: DeploymentCase, demand: ArrayLike) -> Array:
    """Given paths of demand as an array; `InputError` where they are none of this case."""
    try:
        paths = np.asarray(demand, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError("demand: must be an array of numbers") from error
    years, initial = case.horizon.T + 1, case.process.initial
    if paths.ndim != 2 or paths.shape[0] != years or not paths.shape[1]:
        raise InputError(f"demand: must have shape (T + 1, paths) with T + 1 = {years}, got {paths.shape}")
    good = np.isfinite(paths) & (paths >= 0)
    if not good.all():
        year, path = np.argwhere(~good)[0]
        raise InputError(f"demand: must be >= 0 and finite, got {paths[year, path]} in year {year} of path {path}")
    other = np.flatnonzero(~np.isclose(paths[0], initial, rtol=1e-9, atol=0.0))
    if other.size:
        raise InputError(
            f"demand: must start at the case's D0 = {initial:g} kg/yr, got {paths[0, other[0]]:g} in year 0 of path "
            f"{other[0]}; give case.replace(D0=…) with paths of another start"
        )
    return paths


def npv_on_paths(case: DeploymentCase, strategy: Strategy, demand: ArrayLike) -> Array:
    """Net present value of a strategy on given paths, $.

    Parameters
    ----------
    demand
        Shape ``(T + 1, n)``, kg/yr, >= 0; the first row is the case's D0.

    Returns
    -------
    numpy.ndarray
        Shape ``(n,)``.

    Raises
    ------
    InputError
        If an argument is no case, no strategy or no such array.
    """
    require_case(case)
    chosen = resolve(case, [strategy])
    demand = _demand(case, demand)
    return np.asarray(_simulate_block(case, chosen, demand, np.array([demand.shape[1]]), keep=0).npv[0])


@dataclass(frozen=True, eq=False)
class _Block:
    """Outcome of one block of paths.

    NPV (strategies, paths), moments per strategy, sums over paths of demand (years), deliveries, shortage and plant
    (strategies, years), counts of deployments, and the indicators of the paths that are kept (strategies, indicators,
    paths).
    """

    npv: Array
    moments: list[Moments]
    demand: Array
    delivered: Array
    shortage: Array
    plant: Array
    counts: DeploymentCounts
    indicators: Array


def _simulate_block(
    case: DeploymentCase, strategies: Sequence[Strategy], demand: Array, units: Index, keep: int
) -> _Block:
    demand.setflags(write=False)  # strategies look, they do not touch: all see the same paths
    merit = MeritOrder.of(case)
    discount = discount_factors(case)
    eta, operate, invest = case.technology.eta, case.costs.c_op, case.investment
    n = demand.shape[1]
    total_demand = demand.sum(axis=0)
    unserved = [d * merit.without_plants(row) for d, row in zip(discount, demand, strict=True)]
    npv = np.empty((len(strategies), n))
    yearly_demand = demand.sum(axis=1)
    yearly_delivered, yearly_shortage, yearly_plant = (np.empty((len(strategies), demand.shape[0])) for _ in range(3))
    counts = DeploymentCounts.empty(len(strategies), demand.shape[0])
    indicators = []
    moments = []
    buffer, mask = np.empty(n), np.empty(n, dtype=bool)
    for s, strategy in enumerate(strategies):
        worth = np.zeros(n)
        delivered, plant_years = np.zeros(n), np.zeros(n)
        # Counts of years in one byte each (T ≤ 200): a fraction of the traffic of floats.
        expansions, unpaid_years = np.zeros(n, dtype=np.uint8), np.zeros(n, dtype=np.uint8)
        unpaid = np.ones(n, dtype=bool)
        waiting = np.ones(n, dtype=bool)
        shortage = np.zeros(n)
        for t, (deployment, plant) in enumerate(follow(case, strategy, demand)):
            capacity = plant * eta
            served = merit.delivered(capacity, demand[t])
            if merit.limited:
                worth += discount[t] * merit.gain(capacity, demand[t])
                holding = operate
                short = merit.alternatives(served, demand[t])[1]
                shortage += short
                yearly_shortage[s, t] = np.add.reduce(short)
            else:
                worth += np.multiply(served, discount[t] * merit.against_alternative, out=buffer)
                holding = operate + merit.idle * eta
            worth -= np.multiply(plant, discount[t] * holding, out=buffer)
            spent = invest(deployment)
            worth -= np.multiply(spent, discount[t], out=buffer)
            worth -= unserved[t]
            delivered += served
            plant_years += plant
            yearly_delivered[s, t], yearly_plant[s, t] = np.add.reduce(served), np.add.reduce(plant)
            expansions += np.greater(deployment, 0.0, out=mask).view(np.uint8)
            counts.deploying[s, t] = np.count_nonzero(mask)
            if t > 0:
                np.greater(waiting, mask, out=waiting)
            counts.waiting[s, t] = np.count_nonzero(waiting)
            unpaid &= np.less(worth, 0.0, out=mask)
            unpaid_years += unpaid.view(np.uint8)
            if t == 0:
                capital = spent
        if not np.isfinite(worth).all():
            raise InputError(f"strategy {strategy.name}: deployments must be finite, the NPV of a path is not")
        if not merit.limited:  # one source serves all that plants do not, so sums over years or paths are enough
            shortage = np.maximum(merit.alternatives(delivered, total_demand)[1], 0.0)
            yearly_shortage[s] = np.maximum(merit.alternatives(yearly_delivered[s], yearly_demand)[1], 0.0)
        npv[s] = worth
        counts.numbers[s] = np.bincount(expansions, minlength=demand.shape[0] + 1)
        sums = (total_demand, delivered, shortage, plant_years, plant)
        indicators.append(indicators_of_paths(case, *(x[:keep] for x in sums)))
        paid = (~unpaid).astype(float)
        outcomes = [
            delivered,
            total_demand,
            shortage,
            (shortage > 1e-9 * total_demand).astype(float),
            plant_years * eta,
            plant * eta,
            expansions.astype(float),
            capital,
            paid,
            unpaid_years * paid,
        ]
        moments.append(Moments.of(outcomes, units))
    return _Block(
        npv,
        moments,
        yearly_demand,
        yearly_delivered,
        yearly_shortage,
        yearly_plant,
        counts,
        np.stack(indicators),
    )


@dataclass(frozen=True, eq=False)
class Simulation:
    """Strategies judged on the same fresh paths.

    Attributes
    ----------
    npv
        Net present value, $, shape ``(strategies, paths)``.
    moments
        Moments of the other outcomes, per strategy.
    demand
        Mean demand per year, kg/yr, shape ``(T + 1,)``.
    delivered, shortage, plant
        Mean deliveries and shortage (kg/yr) and plant (kg) per year, shape ``(strategies, T + 1)``.
    counts
        When the paths deploy.
    indicators
        `stochisru.lunar.indicators.INDICATORS` of the first paths, shape ``(strategies, indicators, paths kept)``.
    units
        Sizes of the independent groups of paths.
    """

    case: DeploymentCase
    strategies: tuple[Strategy, ...]
    npv: Array
    moments: tuple[Moments, ...]
    demand: Array
    delivered: Array
    shortage: Array
    plant: Array
    counts: DeploymentCounts
    indicators: Array
    units: Index
    seed: int
    sampler: str
    confidence: float

    @property
    def names(self) -> list[str]:
        """Names of the strategies."""
        return [s.name for s in self.strategies]

    @property
    def paths(self) -> int:
        """Number of paths."""
        return int(self.npv.shape[1])

    def first(self, count: int) -> Simulation:
        """The first ``count`` strategies alone."""
        return replace(
            self,
            strategies=self.strategies[:count],
            npv=self.npv[:count],
            moments=self.moments[:count],
            delivered=self.delivered[:count],
            shortage=self.shortage[:count],
            plant=self.plant[:count],
            counts=self.counts.first(count),
            indicators=self.indicators[:count],
        )

    @cached_property
    def metrics(self) -> dict[str, dict[str, Estimate]]:
        """All metrics per strategy."""
        kurtosis, merit = demand_kurtosis(self.case), MeritOrder.of(self.case)
        never_short = merit.earth_used and not merit.limited
        return {
            s.name: strategy_metrics(self.npv[i], self.moments[i], self.units, self.confidence, kurtosis, never_short)
            for i, s in enumerate(self.strategies)
        }

    def to_frame(self) -> pd.DataFrame:
        """Tidy table: strategy, metric, value, lower, upper, standard_error, unit."""
        return metrics_frame(self.metrics)

    def yearly(self) -> pd.DataFrame:
        """Operations over time.

        Returns
        -------
        pandas.DataFrame
            ``strategy``, ``year``; means over all paths of ``demand``, ``delivered``, ``shortage`` and ``capacity``,
            kg/yr; ratios of these means: ``utilization`` Q/Qcap, ``self_sufficiency`` Q/D and ``demand_satisfaction``
            (Q + Q_earth)/D.
        """
        import pandas as pd

        n, years = self.delivered.shape
        capacity = self.case.technology.eta * self.plant
        frame = pd.DataFrame(
            {
                "strategy": np.repeat(self.names, years),
                "year": np.tile(np.arange(years), n),
                "demand": np.tile(self.demand, n),
                "delivered": self.delivered.ravel(),
                "shortage": self.shortage.ravel(),
                "capacity": capacity.ravel(),
            }
        )
        frame["utilization"] = frame["delivered"] / frame["capacity"].where(frame["capacity"] > 0)
        frame["self_sufficiency"] = frame["delivered"] / frame["demand"]
        frame["demand_satisfaction"] = 1 - frame["shortage"] / frame["demand"]
        return frame

    def distributions(self) -> pd.DataFrame:
        """Quantiles of the indicators of a path other than NPV.

        Returns
        -------
        pandas.DataFrame
            ``strategy``, ``indicator`` (one of `stochisru.lunar.indicators.INDICATORS`), ``level`` (0, 0.01, …, 1),
            ``value``, ``unit``, and ``paths``: how many of the first paths they are from; paths on which there never is
            capacity have no utilisation.
        """
        return distributions(self.names, self.indicators)

    def deployment_times(self) -> pd.DataFrame:
        """When plant arrives.

        Returns
        -------
        pandas.DataFrame
            ``strategy``, ``year``, ``deploying`` (share of all paths on which plant arrives that year), ``mass`` (mean
            ΔM_t over all paths, kg), ``mass_if_deploying`` (over those, kg), and ``first``: share of all paths whose
            first arrival after year 0 is in that year; what is missing to 1 never deploys after year 0.
        """
        return self.counts.times(self.case, self.names, self.plant)

    def deployment_numbers(self) -> pd.DataFrame:
        """Share of all paths by number of years in which plant arrives: strategy, deployments, share."""
        return self.counts.by_number(self.names)

    def difference(self, first: str, second: str) -> Estimate:
        """Mean of the paired difference NPV(first) − NPV(second), $, with its confidence interval."""
        for name in (first, second):
            if name not in self.names:
                raise InputError(f"strategies: must be among {', '.join(self.names)}, got {name!r}")
        a, b = (self.npv[self.names.index(name)] for name in (first, second))
        return mean_estimate(a - b, self.units, self.confidence, demand_kurtosis(self.case))

    def differences(self) -> pd.DataFrame:
        """Paired differences of every pair of strategies: first, second, value, lower, upper, unit."""
        import pandas as pd

        names = self.names
        rows = [
            {"first": a, "second": b, **vars(self.difference(a, b)), "unit": "$"}
            for i, a in enumerate(names)
            for b in names[i + 1 :]
        ]
        return pd.DataFrame(rows, columns=["first", "second", "value", "lower", "upper", "standard_error", "unit"])

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON; NaN becomes None."""
        strategies: dict[str, Any] = {}
        for s in self.strategies:
            table: dict[str, Any] = {name: e.value for name, e in self.metrics[s.name].items()}
            table["ci"] = {name: [e.lower, e.upper] for name, e in self.metrics[s.name].items()}
            table["no_interval"] = {name: e.reason for name, e in self.metrics[s.name].items() if e.reason}
            table["rule"] = s.describe(self.case)
            strategies[s.name] = table
        data = {
            "case": self.case.name,
            "horizon": self.case.horizon.T,
            "paths": self.paths,
            "seed": self.seed,
            "sampler": self.sampler,
            "confidence": self.confidence,
            "sense": "maximise",
            "units": dict(UNITS),
            "strategies": strategies,
            "differences": self.differences().to_dict("records"),
            "versions": versions(),
        }
        return dict(plain(data))

    def __repr__(self) -> str:
        means = ", ".join(f"{n} {m['npv_mean'].value:,.0f}" for n, m in self.metrics.items())
        return f"Simulation({self.paths:,} paths, T = {self.case.horizon.T}; mean NPV in $, maximise: {means})"


def demand_kurtosis(case: DeploymentCase) -> float:
    """Kurtosis of demand in the last year, which drives the tails of NPV."""
    return lognormal_kurtosis(case.process.volatility**2 * case.horizon.T)


def resolve(case: DeploymentCase, strategies: Sequence[Strategy | str]) -> tuple[Strategy, ...]:
    """Strategies of a comparison, those given by name made for the case.

    Raises
    ------
    InputError
        If a name is unknown or given twice, or a strategy lacks a part of the protocol; before any is made.
    """
    require_case(case)
    if isinstance(strategies, str) or not isinstance(strategies, Sequence):
        raise InputError(f"strategies: must be a list of names or strategies, got {strategies!r}")
    for strategy in strategies:
        if isinstance(strategy, str):
            require_policy(strategy)
        elif not all(hasattr(strategy, part) for part in ("name", "start", "order", "describe")):
            raise InputError(f"strategies: must have name, start, order and describe, got {strategy!r}")
    names = [s if isinstance(s, str) else s.name for s in strategies]
    if not names:
        raise InputError("strategies: needs at least one")
    repeated = {n for n in names if names.count(n) > 1}
    if repeated:
        raise InputError(f"strategies: names must differ, {min(repeated)!r} is given twice")
    return tuple(policy_named(s, case) if isinstance(s, str) else s for s in strategies)


def require_sampling(paths: int, seed: int, sampler: Sampler | str, workers: int = 1, *, least: int = 1) -> Sampler:
    """Sampler of a simulation; raise `InputError` for numbers out of range or an unknown sampler.

    ``least`` is the number of paths that what is made of them needs: one has no interval.
    """
    for name, number, low in (("paths", paths, least), ("seed", seed, 0), ("workers", workers, 1)):
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < low:
            raise InputError(f"{name}: must be an integer >= {low}, got {number!r}")
    if not isinstance(sampler, str):
        if not all(callable(getattr(sampler, part, None)) for part in ("block_size", "block", "units")):
            raise InputError(f"sampler: must be a Sampler or one of {', '.join(SAMPLERS)}, got {sampler!r}")
        return sampler
    if sampler not in SAMPLERS:
        raise InputError(f"sampler: must be one of {', '.join(SAMPLERS)}, got {sampler!r}")
    return SAMPLERS[sampler]


def simulate(
    case: DeploymentCase,
    strategies: Sequence[Strategy | str],
    *,
    paths: int = 1000,
    seed: int = 0,
    sampler: Sampler | str = "pseudo-random",
    workers: int = 1,
    chunk: int | None = None,
    confidence: float = 0.95,
    progress: Callable[[int], None] | None = None,
) -> Simulation:
    """Judge strategies on common fresh paths of the demand process.

    Parameters
    ----------
    strategies
        Strategies, or names of `stochisru.lunar.policies.POLICIES`.
    paths
        Number of paths, ≥ 1.
    seed
        Seed of all random streams, ≥ 0.
    sampler
        ``pseudo-random``, ``antithetic``, ``sobol``, or a `Sampler`.
    workers
        Processes; the result does not depend on it.
    chunk
        Paths simulated in one task (rounded up to whole blocks); the result does not depend on it.
    confidence
        Level of all intervals.
    progress
        Called with the number of paths that were just done.

    Raises
    ------
    InputError
        If an argument is out of range or a strategy misbehaves.

    Examples
    --------
    >>> from stochisru import load_case, simulate
    >>> outcome = simulate(load_case("lunar-reference"), ["moderate", "upfront"], paths=500, seed=7)
    >>> outcome.names
    ['moderate', 'upfront']
    """
    require_case(case)
    require_confidence(confidence)
    chosen = resolve(case, strategies)
    source = require_sampling(paths, seed, sampler, workers)
    if not 0 < confidence < 1:
        raise InputError(f"confidence: must lie in (0, 1), got {confidence!r}")
    if chunk is not None and (isinstance(chunk, bool) or not isinstance(chunk, (int, np.integer)) or chunk < 1):
        raise InputError(f"chunk: must be an integer >= 1, got {chunk!r}")
    size = source.block_size(paths)
    blocks = -(-paths // size)
    per_task = max(1, -(-chunk // size)) if chunk else min(16, -(-blocks // workers))
    units = source.units(paths)
    # Independent units end where blocks end, so each block has its own.
    last_unit = np.searchsorted(np.cumsum(units), np.minimum(np.arange(1, blocks + 1) * size, paths)) + 1
    first_unit = np.concatenate([[0], last_unit[:-1]])

    def task(first: int) -> list[_Block]:
        done = []
        for block in range(first, min(first + per_task, blocks)):
            count = min(size, paths - block * size)
            demand = case.process.paths(source.block(seed, block, count, case.horizon.T))
            own = units[first_unit[block] : last_unit[block]]
            keep = max(0, min(count, KEPT_PATHS - block * size))
            done.append(_simulate_block(case, chosen, demand, own, keep))
        return done

    npv = np.empty((len(chosen), paths))
    parts: list[_Block] = []
    at = 0
    for done in _run(task, range(0, blocks, per_task), workers):
        for block in done:
            count = block.npv.shape[1]
            npv[:, at : at + count] = block.npv
            at += count
            parts.append(replace(block, npv=np.empty(0)))
            if progress:
                progress(count)
    return Simulation(
        case=case,
        strategies=chosen,
        npv=npv,
        moments=tuple(reduce(operator.add, (p.moments[s] for p in parts)) for s in range(len(chosen))),
        demand=reduce(operator.add, (p.demand for p in parts)) / paths,
        delivered=reduce(operator.add, (p.delivered for p in parts)) / paths,
        shortage=reduce(operator.add, (p.shortage for p in parts)) / paths,
        plant=reduce(operator.add, (p.plant for p in parts)) / paths,
        counts=reduce(operator.add, (p.counts for p in parts)),
        indicators=np.concatenate([p.indicators for p in parts], axis=2),
        units=units,
        seed=seed,
        sampler=source.name,
        confidence=confidence,
    )


def _run(task: Callable[[int], Any], starts: range, workers: int) -> Iterator[Any]:
    """Results of the tasks in their order."""
    if workers == 1 or len(starts) == 1:
        yield from map(task, starts)
        return
    from joblib import Parallel, delayed

    yield from Parallel(n_jobs=workers, return_as="generator")(delayed(task)(first) for first in starts)


def simulate_panel(
    case: DeploymentCase,
    strategies: Sequence[Strategy | str],
    *,
    paths: int = 200,
    seed: int = 0,
    sampler: Sampler | str = "pseudo-random",
) -> xr.Dataset:
    """Every quantity of every strategy, path and year, for plots and audits.

    The paths are those of `simulate` with the same number, seed and sampler.

    Returns
    -------
    xarray.Dataset
        ``demand`` (path, year) and ``deployment``, ``plant`` (kg), ``capacity``, ``delivered``, ``earth``,
        ``shortage`` (kg/yr), ``cash`` ($, not discounted) with dimensions (strategy, path, year).
    """
    import xarray as xr

    chosen = resolve(case, strategies)
    source = require_sampling(paths, seed, sampler)
    demand = case.process.sample(paths, case.horizon.T, seed=seed, sampler=source)
    merit = MeritOrder.of(case)
    shape = (len(chosen), *demand.shape)
    deployment, plant = np.empty(shape), np.empty(shape)
    for s, strategy in enumerate(chosen):
        for t, (arriving, standing) in enumerate(follow(case, strategy, demand)):
            deployment[s, t], plant[s, t] = arriving, standing
    capacity = case.technology.eta * plant
    delivered = merit.delivered(capacity, demand)
    earth, shortage = merit.alternatives(delivered, np.broadcast_to(demand, shape))
    cash = merit.profit(capacity, demand) - case.investment(deployment) - case.costs.c_op * plant
    data: dict[str, tuple[tuple[str, ...], Array, dict[str, str]]] = {
        "demand": (("path", "year"), demand.T, {"unit": "kg/yr"})
    }
    for name, values, unit in (
        ("deployment", deployment, "kg"),
        ("plant", plant, "kg"),
        ("capacity", capacity, "kg/yr"),
        ("delivered", delivered, "kg/yr"),
        ("earth", earth, "kg/yr"),
        ("shortage", shortage, "kg/yr"),
        ("cash", cash, "$"),
    ):
        data[name] = (("strategy", "path", "year"), values.transpose(0, 2, 1), {"unit": unit})
    return xr.Dataset(
        data,
        coords={
            "strategy": [s.name for s in chosen],
            "path": np.arange(paths),
            "year": np.arange(case.horizon.T + 1),
        },
        attrs={"case": case.name, "seed": seed},
    )
