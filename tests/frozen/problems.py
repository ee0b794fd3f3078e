"""From a row of the table to case, tree and lattice: plain data in, public objects out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from scenario_trees import QUANTIZATIONS, MarkovLattice, ScenarioTree
from stochisru import DeploymentCase, load_case

#: Values of all symbols that a row does not give. Every symbol of the shipped case is overruled, derived ones as well:
#: the table does not move when that case does.
BASE: dict[str, Any] = {
    "T": 3,
    "lead_time": 1,
    "initial_deployment": "free",
    "r": 0.08,
    "P_m": 9000.0,
    "eta": 4.0,
    "alpha": 5.0,
    "beta": 0.125,
    "M0": 0.0,
    "degradation": 0.0,
    "c_L": 4000.0,
    "c_dev": 9000.0,
    "c_op": 1500.0,
    "c_bu": 30_000.0,
    "c_S": 0.0,
    "c_by": 0.0,
    "c_E": 15_000.0,
    "earth_limit": None,
    "D0": 1000.0,
    "mu": 0.15,
    "sigma": 0.25,
    "process": None,
    "lot": None,
    "fixed_cost": 0.0,
    "reference": None,
    "c_dev_exponent": 1.0,
    "eta_exponent": 1.0,
    "c_dev_curve": None,
    "eta_curve": None,
}


def case_of(symbols: dict[str, Any]) -> DeploymentCase:
    """The case with the symbols that differ from `BASE`."""
    return load_case("lunar-reference").replace(name="frozen", **(BASE | symbols))


def tree_arrays(parent: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Parent and stage of every node; parents come before their children."""
    stage = np.zeros(len(parent), dtype=int)
    for node in range(1, len(parent)):
        stage[node] = stage[parent[node]] + 1
    return np.array(parent), stage


@dataclass(frozen=True)
class Problem:
    """One row of the table.

    Attributes
    ----------
    symbols
        What differs from `BASE`.
    tree
        ``{"branching", "quantization"}`` of the case's process, or ``{"parent", "probability", "value"}``.
    lattice
        ``{"states"}`` of the case's process, or ``{"values", "transitions"}``.
    """

    symbols: dict[str, Any]
    tree_data: dict[str, Any]
    lattice_data: dict[str, Any]

    @cached_property
    def case(self) -> DeploymentCase:
        return case_of(self.symbols)

    @cached_property
    def tree(self) -> ScenarioTree:
        data = self.tree_data
        if "parent" in data:
            parent, stage = tree_arrays(data["parent"])
            return ScenarioTree(parent, stage, np.array(data["probability"]), np.array(data["value"]))
        return ScenarioTree.from_process(self.case.process, data["branching"], QUANTIZATIONS[data["quantization"]])

    @cached_property
    def lattice(self) -> MarkovLattice:
        data = self.lattice_data
        if "values" in data:
            return MarkovLattice(
                tuple(np.array(v) for v in data["values"]), tuple(np.array(m) for m in data["transitions"])
            )
        return MarkovLattice.from_process(self.case.process, self.case.horizon.T, data["states"], tilt=0.5)

    def with_symbols(self, **symbols: Any) -> Problem:
        """The same tree and lattice with other symbols; they may belong to another process."""
        return Problem(self.symbols | symbols, self.tree_data, self.lattice_data)
