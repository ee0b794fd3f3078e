"""What is left open once the path of one factor is known: conditional trees and lattices, path by path.

Who knows the whole path of a factor still sees the other factors year by year. On a tree that leaves the scenarios on
which the factor takes that path, with their probabilities given it. On a lattice it leaves, stage by stage, the states
of the path; with ``β_t(i)`` the probability that the factor goes on as known from state i of stage t, transitions are
``P_t(i, j) β_{t+1}(j)/β_t(i)`` (the backward recursion of hidden Markov models, Rabiner 1989).

Values that differ by less than a share of 1e-9 are one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from scenario_trees.arrays import Array, Index, Mask
from scenario_trees.errors import TreeError
from scenario_trees.lattice import MarkovLattice
from scenario_trees.tree import ScenarioTree

#: Share by which values of one factor may differ and be one.
_SAME = 1e-9


def known_paths(tree: ScenarioTree, factor: str) -> Iterator[tuple[float, ScenarioTree]]:
    """Every path of a factor on a tree: its probability, and the tree of what is left open once it is known.

    Parameters
    ----------
    factor
        One of the tree's names.

    Yields
    ------
    probability
        Of the path, > 0.
    left
        Tree of the same horizon.

    Raises
    ------
    TreeError
        If there is no factor of that name.

    Examples
    --------
    >>> from scenario_trees import CorrelatedFactors, GeometricBrownianMotion, ScenarioTree
    >>> demand, price = GeometricBrownianMotion(1.0, 0.1, 0.2), GeometricBrownianMotion(5.0, 0.0, 0.1)
    >>> tree = ScenarioTree.from_process(CorrelatedFactors(("demand", "price"), (demand, price)), [(2, 3), (2, 3)])
    >>> [(round(p, 3), left.n_leaves) for p, left in known_paths(tree, "demand")]
    [(0.25, 9), (0.25, 9), (0.25, 9), (0.25, 9)]
    """
    values, nodes = tree.factor(factor), tree.node_paths()
    codes = np.stack([_codes(values[tree.at(t)])[nodes[:, t] - tree.offsets[t]] for t in range(tree.horizon + 1)])
    _, path = np.unique(codes, axis=1, return_inverse=True)
    path = path.reshape(-1)
    chance = tree.probability[tree.leaves]
    total = np.bincount(path, weights=chance)
    for p in np.flatnonzero(total > 0):
        yield float(total[p]), _among(tree, nodes, (path == p) & (chance > 0))


def _among(tree: ScenarioTree, nodes: Index, chosen: Mask) -> ScenarioTree:
    """The tree of the chosen leaves, with their probabilities given that it is one of them."""
    paths = nodes[chosen]
    chance = tree.probability[paths[:, -1]]
    share = np.repeat(chance / chance.sum(), paths.shape[1])
    weight = np.asarray(np.bincount(paths.ravel(), weights=share), dtype=float)
    kept = np.unique(paths)
    place = np.zeros(tree.n_nodes, dtype=np.int64)
    place[kept] = np.arange(kept.size)
    parent = place[tree.parent[kept]]
    parent[0] = -1
    probability = weight[kept]
    probability[0] = 1.0
    return ScenarioTree(
        parent=parent.astype(np.int32),
        stage=tree.stage[kept],
        probability=probability,
        value=tree.value[kept],
        others=None if tree.others is None else tree.others[kept],
        names=tree.names,
    )


def known_path(
    lattice: MarkovLattice, factor: str, states: Sequence[int] | Index
) -> tuple[MarkovLattice, tuple[Index, ...]]:
    """What is left open on a lattice once a factor is known to be what it is on a path of states.

    Parameters
    ----------
    factor
        One of the lattice's names.
    states
        State of every stage, shape ``(T + 1,)``; only the factor's values there are known.

    Returns
    -------
    left
        The lattice of what is left open.
    kept
        Which states of each stage its states are.

    Raises
    ------
    TreeError
        If there is no factor of that name, or the path is none.
    """
    path = np.asarray(states)
    if path.shape != (lattice.horizon + 1,):
        raise TreeError(f"states: must be one per stage, {lattice.horizon + 1}, got shape {path.shape}")
    labels = lattice_codes(lattice, factor)
    alive = [label == label[i] for label, i in zip(labels, path, strict=True)]
    onward: list[Array] = [alive[-1].astype(float)]
    for matrix, here in zip(lattice.transitions[::-1], alive[-2::-1], strict=True):
        onward.append(np.where(here, matrix @ onward[-1], 0.0))
    onward.reverse()
    if onward[0][0] <= 0:
        raise TreeError(f"states: the lattice has no path on which {factor} is so")
    kept = [np.flatnonzero(beta > 0) for beta in onward]
    transitions = []
    for t, matrix in enumerate(lattice.transitions):
        moved = matrix[np.ix_(kept[t], kept[t + 1])] * onward[t + 1][kept[t + 1]]
        transitions.append(moved / moved.sum(axis=1, keepdims=True))
    others = lattice.others
    left = MarkovLattice(
        tuple(value[k] for value, k in zip(lattice.values, kept, strict=True)),
        tuple(transitions),
        None if others is None else tuple(other[k] for other, k in zip(others, kept, strict=True)),
        lattice.names,
    )
    return left, tuple(kept)


def lattice_codes(lattice: MarkovLattice, factor: str) -> tuple[Index, ...]:
    """Which states of every stage have one value of a factor: the same number."""
    if factor not in lattice.names:
        raise TreeError(f"factor: must be one of {', '.join(lattice.names)}, got {factor!r}")
    at = lattice.names.index(factor)
    values = lattice.values if at == 0 or lattice.others is None else tuple(o[:, at - 1] for o in lattice.others)
    return tuple(map(_codes, values))


def _codes(values: Array) -> Index:
    """Numbers of values, those that differ by rounding being one."""
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    new = np.diff(ascending) > _SAME * np.abs(ascending[1:])
    out = np.empty(values.size, dtype=np.int64)
    out[order] = np.concatenate([[0], np.cumsum(new)])
    return out


def together(first: MarkovLattice, second: MarkovLattice, names: tuple[str, str]) -> MarkovLattice:
    """The lattice of two independent factors, each with a lattice of its own.

    Unlike cells of paths of both (`MarkovLattice.from_process`), states here share the values of a factor, so that its
    path can be known while the other stays open.

    Parameters
    ----------
    first, second
        Lattices of one factor and horizon.
    names
        Names of the factors.

    Raises
    ------
    TreeError
        If horizons differ or a lattice has several factors.

    Examples
    --------
    >>> from scenario_trees import GeometricBrownianMotion, MarkovLattice
    >>> demand = MarkovLattice.from_process(GeometricBrownianMotion(1.0, 0.1, 0.2), 4, 5)
    >>> price = MarkovLattice.from_process(GeometricBrownianMotion(5.0, 0.0, 0.1), 4, 3)
    >>> together(demand, price, ("demand", "price")).sizes
    (1, 15, 15, 15, 15)
    """
    if first.horizon != second.horizon:
        raise TreeError(f"horizon: must be one of both lattices, got {first.horizon} and {second.horizon}")
    for name, part in (("first", first), ("second", second)):
        if part.others is not None:
            raise TreeError(f"{name}: must be a lattice of one factor, got {', '.join(part.names)}")
    return MarkovLattice(
        tuple(np.repeat(a, b.size) for a, b in zip(first.values, second.values, strict=True)),
        tuple(
            np.asarray(np.kron(a, b), dtype=float) for a, b in zip(first.transitions, second.transitions, strict=True)
        ),
        tuple(np.tile(b, a.size)[:, None] for a, b in zip(first.values, second.values, strict=True)),
        names,
    )
