"""A network on a scenario tree: what is built stays, demands, costs and failures are those of each node.

At every node of a tree stands the network of its stage and value; flows are chosen when the node is reached. Expansions
``y`` and uses ``z`` are capacities that stay: stage t has those that were decided ``lead`` stages before. A lead of 1
on a tree of two stages is "build, see, then route"; a tree without branches is the evolution of a network over the
stages. Everything is one sparse program, the extensive form::

    minimise   Σ_n p_n w_n [ c_n x_n + e_n Y_n + f_n Z_n ]
    subject to the rows of the network of node n, with x_n, Y_n, Z_n          at every node n
               Y_n ≥ Y_parent,  Z_n ≥ Z_parent                                what is built stays

Coefficients are per stage, or per year where ``w`` counts years; ``w`` says how much a stage counts (years, discount).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from scenario_trees.arrays import Array, Index, Mask
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.methods.result import Bounds, Termination
from stochisru.networks.assembly import Flows, assemble, weighted, weights_of
from stochisru.networks.network import Criterion, Network, position
from stochisru.networks.solution import bracket, solve_linear, value_of, with_integers_fixed
from stochisru.problem.information import Information, Recourse
from stochisru.programs.extensive import JointProgram, join
from stochisru.programs.sparse import LinearProgram, ProgramBuilder, solve_mixed

#: The network of a stage and a value of the tree.
NetworkAt = Callable[[int, float], Network]


@dataclass(frozen=True)
class Stages:
    """What the stages of a tree mean to a network.

    Attributes
    ----------
    weights
        How much a stage counts in the objective, one per stage; 0: nothing flows at it. All 1 if not given.
    lead
        Stages from a decision to build until it is there.
    built
        Criteria whose cost of use is for building: paid from then on whether there is flow or not. The cost of use in
        other criteria is for operating, and what is built may stand idle. All criteria if not given.
    unmet_price
        ``{commodity: price}`` per unit of demand that stays unmet, in units of the objective. Demands of other
        commodities must be met at every node.
    """

    weights: Sequence[float] | None = None
    lead: int = 0
    built: Sequence[str] | None = None
    unmet_price: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.lead < 0:
            raise InputError(f"lead: must be >= 0 stages, got {self.lead}")
        if self.weights is not None and not (all(w >= 0 for w in self.weights) and any(self.weights)):
            raise InputError(f"weights of stages: must be >= 0 and one of them > 0, got {list(self.weights)}")
        for commodity, price in self.unmet_price.items():
            if not price >= 0:
                raise InputError(f"unmet_price of {commodity}: must be >= 0, got {price}")

    def of(self, tree: ScenarioTree) -> Array:
        """Weight of every stage of a tree, (T + 1,)."""
        if self.weights is None:
            return np.ones(tree.horizon + 1)
        if len(self.weights) != tree.horizon + 1:
            raise InputError(f"weights of stages: must be {tree.horizon + 1} numbers, got {len(self.weights)}")
        return np.asarray(self.weights, dtype=float)


@dataclass(frozen=True, eq=False)
class TreeSolution:
    """A plan on a tree.

    Attributes
    ----------
    tree, networks
        The tree, and the network of every node, by node.
    objective
        Expected weighted sum of the criteria and of the price of what stays unmet (minimised).
    bounds
        Bracket of its optimum.
    flows
        Values of the variables by node, where something flows at it.
    built
        (arcs, k) by node: uses that are built, at work or idle.
    building
        Criteria whose cost of use is paid for what stands idle too.
    unmet
        (nodes of the network, k) by node of the tree: demand that stays unmet.
    """

    tree: ScenarioTree
    networks: dict[int, Network]
    objective: float
    bounds: Bounds
    termination: Termination
    flows: dict[int, Flows]
    built: dict[int, Array]
    building: tuple[str, ...]
    unmet: dict[int, Array]
    size: dict[str, int]
    seconds: float

    def criteria(self, node: int) -> dict[str, float]:
        """Value of every criterion at a node, per stage, what stands idle included."""
        flows = self.flows[node]
        idle = np.maximum(self.built[node] - flows.use, 0.0)
        return {
            c.name: value_of(c, flows) + float((c.use * idle).sum() if c.name in self.building else 0.0)
            for c in self.networks[node].criteria
        }


def solve_on_tree(
    tree: ScenarioTree,
    at: NetworkAt,
    weights: Mapping[str, float] | None = None,
    stages: Stages | None = None,
    *,
    information: Information | None = None,
    root: TreeSolution | None = None,
    rel_gap: float = 1e-4,
    time_limit: float | None = None,
    solver: str = "highs",
) -> TreeSolution:
    """Minimise the expected weighted criteria of a network on a tree.

    Parameters
    ----------
    at
        Network of a stage and a value: same nodes, commodities, arcs and expansions, other supplies, costs or limits.
    weights
        ``{criterion: weight}``; the first criterion alone if not given.
    stages
        What the stages mean; see `Stages`.
    information
        When it is decided what is built: `Recourse` (the default) or `Static`; of `stochisru.problem.information`.
    root
        A plan on another tree of as many stages: what is decided at the root is as there (EEV).

    Raises
    ------
    InputError
        If networks differ in more than their numbers, or an argument is out of range.
    SolverError
        If there is no plan; prices of unmet demand make one possible.
    """
    stages, information = stages or Stages(), information or Recourse()
    form = _ExtensiveForm(tree, at, weights, stages, information, root)
    joint = form.build()
    program = joint.program
    if program.integer.any():
        found = solve_mixed(program, rel_gap=rel_gap, time_limit=time_limit, solver=solver)
        best = with_integers_fixed(program, found.x, solver)
    else:
        found = best = solve_linear(program, solver)
    bounds, termination = bracket(program, best.x, found.bound, found.limit)
    flows, built, unmet = form.read(joint, best.x)
    return TreeSolution(
        tree=tree,
        networks=form.networks,
        objective=best.objective,
        bounds=bounds,
        termination=termination,
        flows=flows,
        built=built,
        building=form.building_names,
        unmet=unmet,
        size={"variables": program.shape[1], "rows": program.shape[0], "binaries": int(program.integer.sum())},
        seconds=found.seconds + (0.0 if best is found else best.seconds),
    )


@dataclass(frozen=True, eq=False)
class _Standing:
    """Columns of what stands at a stage by one decision, (arcs, k) each, −1 where there is none."""

    out: Index
    in_: Index
    use: Index


class _ExtensiveForm:
    """The programs of the nodes and of what stands, and what is shared between them."""

    def __init__(
        self,
        tree: ScenarioTree,
        at: NetworkAt,
        weights: Mapping[str, float] | None,
        stages: Stages,
        information: Information,
        root: TreeSolution | None,
    ) -> None:
        self.tree, self.stages, self.information, self.root = tree, stages, information, root
        weight = stages.of(tree)[tree.stage] * tree.probability
        self.served = [int(n) for n in np.flatnonzero(stages.of(tree)[tree.stage] > 0)]
        self.networks = {n: at(int(tree.stage[n]), float(tree.value[n])) for n in self.served}
        self.weight = {n: float(weight[n]) for n in self.served}
        self.first = self.networks[self.served[0]]
        self._require_alike()
        self.assemblies = {n: assemble(network, weights) for n, network in self.networks.items()}
        mixed = weights_of(self.first, weights)
        self.target = {n: weighted(network, mixed) for n, network in self.networks.items()}
        names = [c.name for c in self.first.criteria]
        self.building_names = tuple(names if stages.built is None else stages.built)
        for name in self.building_names:
            position(names, name, "built")
        part = {name: w if name in self.building_names else 0.0 for name, w in mixed.items()}
        self.building = {n: weighted(network, part) for n, network in self.networks.items()}
        self.standing: dict[tuple[int, int], _Standing] = {}

    def build(self) -> JointProgram:
        """Join the programs of the nodes, and last that of what stands, in which all that is shared has its column."""
        builder = ProgramBuilder("what stands", "minimise")
        self._stand(builder)
        self._stay(builder)
        standing = builder.build()
        programs, shared = zip(*(self._serve(node) for node in self.served), strict=True)
        return join(
            f"{self.first.name}, {len(self.served)} nodes of a tree",
            [*programs, standing],
            [*(self.weight[node] for node in self.served), 1.0],
            [*shared, np.arange(standing.shape[1])],
            [*(f"node {node}" for node in self.served), "stays"],
        )

    def decision(self, node: int) -> tuple[int, int]:
        """Stage of a node, and the node at which it is decided what stands there."""
        stage = int(self.tree.stage[node])
        decided = self.information.decided_at(stage, self.stages.lead, self.tree.horizon)
        if decided > stage:
            raise InputError(
                "information: must not look ahead of the stage; for wait-and-see solve each path of the tree"
            )
        up = node
        while self.tree.stage[up] > decided:
            up = int(self.tree.parent[up])
        return stage, up

    def read(self, joint: JointProgram, x: Array) -> tuple[dict[int, Flows], dict[int, Array], dict[int, Array]]:
        """Flows, built uses and unmet demands by node."""
        stands = np.append(joint.of(x, -1), 0.0)
        flows, built, unmet = {}, {}, {}
        for number, node in enumerate(self.served):
            assembly, standing = self.assemblies[node], self.standing[self.decision(node)]
            own = joint.of(x, number)
            columns = assembly.program.shape[1]
            found = assembly.flows(own[:columns])
            built[node] = stands[standing.use]
            # What stands is there although nothing can flow.
            shared = (standing.use >= 0) & ~self._operated
            flows[node] = replace(
                found,
                expansion_out=stands[standing.out],
                expansion_in=stands[standing.in_],
                use=np.where(shared, built[node], found.use),
            )
            unmet[node] = np.zeros_like(assembly.network.supply)
            elastic = self._elastic(assembly.network)
            unmet[node][elastic] = own[columns : columns + int(elastic.sum())]
        return flows, built, unmet

    def _require_alike(self) -> None:
        for node, network in self.networks.items():
            for name in ("nodes", "commodities", "arcs"):
                if getattr(network, name) != getattr(self.first, name):
                    raise InputError(f"network of node {node}: must have the {name} of the others")
            for end, other in ((network.out, self.first.out), (network.in_, self.first.in_)):
                if not np.array_equal(end.expansion, other.expansion):
                    raise InputError(f"network of node {node}: must have the expansions of the others")

    @cached_property
    def _operated(self) -> Mask:
        """Uses that cost something beside building, at some node."""
        found: Mask = np.any(
            [(self.target[n].use != self.building[n].use) & (self.assemblies[n].z >= 0) for n in self.served], axis=0
        )
        return found

    def _stand(self, builder: ProgramBuilder) -> None:
        """Columns of what stands, one block for all expansions and one for all uses, with its costs."""
        operated = self._operated
        paid: Mask = np.any([self.building[n].use != 0 for n in self.served], axis=0)
        masks = {
            "out": np.any([a.y_out >= 0 for a in self.assemblies.values()], axis=0),
            "in_": np.any([a.y_in >= 0 for a in self.assemblies.values()], axis=0),
            "use": np.any([a.z >= 0 for a in self.assemblies.values()], axis=0) & (paid | ~operated),
        }
        keys = sorted({self.decision(n) for n in self.served})
        columns: dict[tuple[int, int], dict[str, Index]] = {key: {} for key in keys}
        for name, mask in masks.items():
            cost = {key: np.zeros(mask.shape) for key in keys}
            for node in self.served:
                cost[self.decision(node)] += self.weight[node] * self._cost(name, self.target[node], node)
            lower, upper = self._bounds(name)
            for stage, decided in keys:
                low, high = lower, upper
                if self.root is not None and decided == 0:
                    low = high = self._held(name, stage, self.root)
                block = builder.variables(
                    f"{name.rstrip('_')} of stage {stage} by node {decided}", int(mask.sum()), lower=low[mask],
                    upper=high[mask], objective=cost[stage, decided][mask], integer=name == "use",
                )  # fmt: skip
                index = np.full(mask.shape, -1, dtype=np.int64)
                index[mask] = block.index
                columns[stage, decided][name] = index
        self.standing = {key: _Standing(**found) for key, found in columns.items()}

    def _cost(self, name: str, target: Criterion, node: int) -> Array:
        return {
            "out": target.expansion_out,
            "in_": target.expansion_in,
            "use": np.where(self._operated, self.building[node].use, target.use),
        }[name]

    def _bounds(self, name: str) -> tuple[Array, Array]:
        if name == "use":
            networks = self.networks.values()
            return (
                np.max([n.use_lower for n in networks], axis=0),
                np.max([n.use_upper for n in networks], axis=0),
            )  # fmt: skip
        expansion = self.first.out.expansion if name == "out" else self.first.in_.expansion
        return np.zeros_like(expansion), expansion

    def _held(self, name: str, stage: int, plan: TreeSolution) -> Array:
        """What another plan has at a stage, at its first node of that stage."""
        node = min(n for n in plan.flows if plan.tree.stage[n] == stage)
        flows = plan.flows[node]
        return {"out": flows.expansion_out, "in_": flows.expansion_in, "use": np.round(plan.built[node])}[name]

    def _elastic(self, network: Network) -> Mask:
        """Where demand may stay unmet, (nodes, k)."""
        priced = np.zeros(network.k, dtype=bool)
        for commodity in self.stages.unmet_price:
            priced[network.commodity(commodity)] = True
        return np.asarray((network.supply < 0) & priced)

    def _serve(self, node: int) -> tuple[LinearProgram, Index]:
        """The program of a node, and what of its columns is which column of what stands, −1 elsewhere.

        Its columns are those of the node's network, unmet demands, and once more what stands where a use is the node's
        own.
        """
        assembly, network = self.assemblies[node], self.networks[node]
        standing = self.standing[self.decision(node)]
        for scale in self.target[node].scales:
            at = scale.arc, scale.commodity
            if scale.of == "expansion" and assembly.y_out[at] < 0 <= standing.out[at]:
                raise InputError(
                    f"network of node {node}: arc {network.arcs[scale.arc]!r}: an expansion with a cost of scale must "
                    "be open at every node"
                )
        shared = np.full(assembly.program.shape[1], -1, dtype=np.int64)
        for mine, theirs in ((assembly.y_out, standing.out), (assembly.y_in, standing.in_)):
            shared[mine[mine >= 0]] = theirs[mine >= 0]
        stands = (assembly.z >= 0) & (standing.use >= 0) & ~self._operated
        shared[assembly.z[stands]] = standing.use[stands]
        operated = (assembly.z >= 0) & ~stands
        objective = assembly.program.objective.copy()
        # Building is paid where it stands; the use costs what is left.
        objective[assembly.z[operated]] -= self.building[node].use[operated]
        objective[shared >= 0] = 0.0
        base = replace(
            assembly.program,
            objective=objective,
            lower=np.where(shared >= 0, -np.inf, assembly.program.lower),
            upper=np.where(shared >= 0, np.inf, assembly.program.upper),
        )
        builder = ProgramBuilder.extending(base)
        where, commodity = np.nonzero(self._elastic(network))
        price = np.array([self.stages.unmet_price[network.commodities[c]] for c in commodity])
        unmet = builder.variables(
            "unmet", where.size, lower=0.0, upper=-network.supply[where, commodity], objective=price
        )
        builder.add_terms(assembly.balance[where, commodity], unmet.index, -1.0)
        tied = operated & (standing.use >= 0)
        there = builder.variables("stands", int(tied.sum()), lower=-np.inf, upper=np.inf)
        each = np.arange(there.size)
        terms = (each, assembly.z[tied], 1.0), (each, there.index, -1.0)
        builder.rows("built", -np.inf, np.zeros(there.size), *terms)
        return builder.build(), np.concatenate([shared, np.full(unmet.size, -1), standing.use[tied]])

    def _stay(self, builder: ProgramBuilder) -> None:
        """Rows: what stands at a stage stands at the next."""
        steps = {
            (self.decision(int(self.tree.parent[node])), self.decision(node))
            for node in self.served
            if int(self.tree.parent[node]) in self.networks
        }
        for before, now in sorted(steps):
            name = f"stays from stage {before[0]} by node {before[1]} to stage {now[0]} by node {now[1]}"
            later, earlier = self.standing[now], self.standing[before]
            pairs = [(getattr(later, f), getattr(earlier, f)) for f in ("out", "in_", "use")]
            there = np.concatenate([a[a >= 0] for a, _ in pairs])
            then = np.concatenate([b[a >= 0] for a, b in pairs])
            each = np.arange(there.size)
            if each.size:
                builder.rows(name, np.zeros(each.size), np.inf, (each, there, 1.0), (each, then, -1.0))
