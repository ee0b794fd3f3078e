"""Flows that a network does not need: what cannot be there, and what can serve nothing any more.

In a network over time most combinations of arc and commodity are idle for want of time: payload cannot leave a place
before it could have come there, and a tank is of no use after the last flight that could carry something to a demand.
`pruned` closes them. No solution is lost that another one without these flows does not match at the same cost or less,
as long as no flow is paid for.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scenario_trees.arrays import Mask
from stochisru.networks.network import End, Network


def present(network: Network) -> Mask:
    """What can be at each node, (nodes, k): supplied there, or brought by arcs all of whose needs can be there."""
    reached = network.supply > 0
    open_ = (network.out.limit > 0) & (network.use_upper > 0)
    brings = _brings(network)
    while True:
        departs = open_ & _departs(network, reached)
        arrives = (brings & departs[:, None, :]).any(axis=2)
        after = reached.copy()
        np.logical_or.at(after, network.head, arrives)
        if (after == reached).all():
            return reached
        reached = after


def useful(network: Network, ends: Mask) -> Mask:
    """Flows that can still serve a demand or an end in itself, (arcs, k).

    A flow serves if what it becomes is wanted at its head, or if another flow of its arc that serves needs it: as
    propellant that a burn takes, as the tank or stage of a concurrency row.

    Parameters
    ----------
    ends
        Flows that are wanted for themselves, (arcs, k): what wears off on its arc while it does its work.
    """
    open_ = (network.out.limit > 0) & (network.use_upper > 0) & _departs(network, present(network))
    brings, needs = _brings(network), network.out.requirement > 0
    helps = network.transformation < 0  # [arc, helper, helped]
    for end in (network.out, network.in_):
        np.logical_or.at(helps, end.concurrency_arc, _helpers(end))
    wanted = network.supply < 0
    serves = open_ & (ends | (network.out.lower > 0))
    while True:
        after = serves | (open_ & (brings & wanted[network.head][:, :, None]).any(axis=1))
        after |= open_ & (helps & after[:, None, :]).any(axis=2)
        taken = (needs & after[:, None, :]).any(axis=2)
        asked = wanted.copy()
        np.logical_or.at(asked, network.tail, taken)
        if (after == serves).all() and (asked == wanted).all():
            return serves
        serves, wanted = after, asked


def pruned(network: Network, ends: Mask) -> Network:
    """The network without the flows that cannot be there or are not `useful`."""
    limit = np.where(useful(network, ends), network.out.limit, 0.0)
    return network.replace(out=replace(network.out, limit=limit))


def _departs(network: Network, reached: Mask) -> Mask:
    """Flows all of whose needs can be at the tail, (arcs, k)."""
    needs = network.out.requirement > 0
    return np.asarray(~(needs & ~reached[network.tail][:, :, None]).any(axis=1))


def _brings(network: Network) -> Mask:
    """What an arc gives to its head per commodity that departs, (arcs, arriving, departing)."""
    found: Mask = (
        np.einsum("aij,ajl->ail", np.maximum(network.in_.requirement, 0), np.maximum(network.transformation, 0)) > 0
    )
    return found


def _helpers(end: End) -> Mask:
    """Which commodity a concurrency row asks for and for which, (rows, helper, helped)."""
    found: Mask = (end.concurrency < 0)[:, :, None] & (end.concurrency > 0)[:, None, :]
    return found
