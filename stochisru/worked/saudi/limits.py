"""Bounds of the flows of the Saudi network, which make its mixed-integer program solvable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from scenario_trees.arrays import Array
from stochisru.networks.network import Network
from stochisru.worked.saudi.infrastructure import power_use, text_parameters
from stochisru.worked.saudi.places import connections, sites


class FlowLimits:
    """A bound for every flow, instead of one large M.

    What goes from i to j serves the part of the network that hangs on j when i is taken out (water that came back
    through i would only have been lost on the way): the demand there, grossed up by the least losses, times a headroom
    for detours.
    """

    def __init__(self, growth: float, headroom: float, factors: Mapping[str, float] | None = None) -> None:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components, dijkstra

        number = {site.name: i for i, site in enumerate(sites())}
        n = len(sites())
        ends = np.array([(number[c.first], number[c.second]) for c in connections()])
        km = np.array([c.km for c in connections()])
        demand = growth * np.array(
            [(factors or {}).get(s.name, 1.0) * (s.potable_demand + s.nonpotable_demand) for s in sites()]
        )
        loss = -np.log1p(-text_parameters()["loss_water_per_km"] * km) + 1e-12
        graph = coo_array((np.tile(loss, 2), (ends.T.ravel(), ends[:, ::-1].T.ravel())), shape=(n, n)).tocsr()
        grossed: Array = demand * np.exp(np.asarray(dijkstra(graph)))
        uses = np.array([s.kind != "power" for s in sites()])
        self.all_water = headroom * float(grossed.sum(axis=1).max())
        # Nothing uses more electricity per water than multi-stage flash.
        self.all_electricity = self.all_water * power_use()["MSF"]
        self._water: dict[tuple[int, int], float] = {}
        self._electricity: dict[tuple[int, int], float] = {}
        for i in range(n):
            rest = np.flatnonzero(np.arange(n) != i)
            _, part = connected_components(graph[rest][:, rest], directed=False)
            label = np.full(n, -1)
            label[rest] = part
            for j in graph.indices[graph.indptr[i] : graph.indptr[i + 1]]:
                there = label == label[j]
                gain = np.exp(-graph[i, j])
                self._water[i, int(j)] = headroom * float(grossed[j, there].sum()) / gain
                self._electricity[i, int(j)] = self.all_electricity * float(uses[there].any())

    def fitted(self, network: Network) -> Network:
        """The network with these bounds on its connections; arcs between sites are as in `connections`, each way."""
        limit = network.out.limit.copy()
        water, electricity = network.commodity("potable water"), network.commodity("electricity")
        for arc in np.flatnonzero(~network.loops):
            ends = int(network.tail[arc]), int(network.head[arc])
            limit[arc, water], limit[arc, electricity] = self._water[ends], self._electricity[ends]
        return network.replace(out=replace(network.out, limit=limit))
