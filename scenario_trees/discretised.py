"""States of a lattice from a process: which way each kind of process goes."""

from __future__ import annotations

from math import prod
from typing import Any

from scenario_trees.arrays import Array
from scenario_trees.chains import chain_states
from scenario_trees.errors import TreeError
from scenario_trees.processes.gbm import GeometricBrownianMotion, require_gbm
from scenario_trees.processes.markov import MarkovProcess
from scenario_trees.processes.several import CorrelatedFactors
from scenario_trees.sampling import Sobol
from scenario_trees.states import normal_states, states_of_paths

#: Sobol paths from which states are made: so many for each state that is asked for, but between these.
#: Transitions are counts of them, and where they are few a plan promises what chance does.
_A_STATE, _FEWEST, _MOST = 256, 2**15, 2**18
#: Cells of one belief within a cell of the value, less one, where one number of states is asked for; they are shared.
_BELIEFS = 4


def states_of_process(
    process: Any, horizon: int, states: int | tuple[int, ...], dt: float, tilt: float
) -> tuple[list[Array], list[Array]]:
    """States, one array of shape ``(states, k)`` per stage, and transitions; see `MarkovLattice.from_process`."""
    way = "use MarkovLattice.from_paths on its paths, or from_growth with a quantization of your own"
    believes = isinstance(process, MarkovProcess) and process.continuous and not process.limit
    if isinstance(process, CorrelatedFactors) or believes:
        counts = states
        if not isinstance(counts, tuple):
            others = len(process.names) - 1
            counts = (counts, *(min(max(2, 1 + _BELIEFS // others), counts) if believes else counts,) * others)
        if len(counts) != len(process.names):
            raise TreeError(f"states: needs one number per factor, {', '.join(process.names)}, got {states!r}")
        normals = Sobol(replicates=1).block(0, 0, _paths(counts), process.draws * horizon)
        return states_of_paths(process.state_paths(normals, dt), counts)
    if isinstance(states, tuple):
        raise TreeError(f"states: must be one number for a process of one factor, got {states!r}")
    if isinstance(process, MarkovProcess):
        return chain_states(process, horizon, states, dt, tilt)
    if not hasattr(process, "volatility") and hasattr(process, "paths"):
        raise TreeError(f"process: {type(process).__name__} is for simulation only; {way}")
    require_gbm(process, way)
    assert isinstance(process, GeometricBrownianMotion)
    values, transitions = normal_states(process, horizon, states, dt, tilt)
    return [value[:, None] for value in values], transitions


def _paths(counts: tuple[int, ...]) -> int:
    """Sobol paths for so many states, a power of 2."""
    wanted = _A_STATE * prod(counts)
    return min(max(_FEWEST, 1 << (wanted - 1).bit_length()), _MOST)
