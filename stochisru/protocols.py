"""Signatures that rooms share, and what one needs of a room above it (``docs/maintainers.md``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from scenario_trees.arrays import Array, Index, Mask

if TYPE_CHECKING:
    import pandas as pd

    from scenario_trees.lattice import MarkovLattice
    from scenario_trees.tree import ScenarioTree
    from stochisru.estimate import Estimate
    from stochisru.limits import Limit
    from stochisru.programs.sparse import LinearProgram, Solution
    from stochisru.programs.stage import Stage


# ------------------------------------------------------------------ problems


class HasFlows(Protocol):
    """What is about money."""

    @property
    def flows(self) -> float:
        """Size of the sums of money that values are differences of, before anything is solved where it is a problem."""


class Horizon(Protocol):
    """Years of a problem."""

    @property
    def T(self) -> int:  # noqa: N802  (symbol of the source)
        """Last year."""


class Case(Protocol):
    """A problem that is read from a file: what folders, manifests and results need of it."""

    @property
    def name(self) -> str:
        """Short name, part of file names."""

    @property
    def title(self) -> str:
        """Name for people."""

    @property
    def is_shipped(self) -> bool:
        """Whether it is a case of the package, unchanged."""

    @property
    def horizon(self) -> Horizon:
        """Its years."""

    def digest(self) -> str:
        """Hash of all of its numbers."""

    def to_toml(self) -> str:
        """Text of a case file from which it can be loaded."""


# ------------------------------------------------------------ policies, plans


class Policy(Protocol):
    """A rule that decides from what is known: a lunar ``Strategy``, or one of `stochisru.problem.policies`."""

    @property
    def name(self) -> str:
        """Short name, unique within a comparison."""


class Plan(Protocol):
    """What a method found: decisions at the root, and what to do later."""

    @property
    def case(self) -> Any:
        """The problem, a `Case`."""

    @property
    def root(self) -> Sequence[float] | Array:
        """What is decided at the root: of the lunar problem ΔM_0..ΔM_min(L, T), kg."""

    @property
    def first_stage(self) -> dict[str, float]:
        """`root` by the names of decisions, each with its year of effect: ``dM0``."""

    @property
    def size(self) -> dict[str, int]:
        """Sizes worth reporting, by name."""

    @property
    def details(self) -> dict[str, Any]:
        """What JSON carries of the plan beyond root and size, plain values by name."""

    def to_frame(self) -> pd.DataFrame:
        """Tidy table of the plan."""

    def policy(self, name: str, mapping: str | None) -> Any:
        """The plan as a policy, of the problem's kind."""


PolicyT_co = TypeVar("PolicyT_co", bound=Policy, covariant=True)


class PlanOf(Plan, Protocol[PolicyT_co]):
    """A plan that is known to give policies of a kind."""

    def policy(self, name: str, mapping: str | None) -> PolicyT_co:
        """The plan as a policy."""


class PlanOnTree(Plan, HasFlows, Protocol):
    """A plan with decisions at all nodes of a tree."""

    @property
    def value(self) -> float:
        """Its expected value on the tree, by arithmetic that asks no solver."""


class PlanOnLattice(Plan, Protocol):
    """A plan that is read off the cuts of a lattice."""

    @property
    def simulated(self) -> Estimate | None:
        """Its mean value on fresh paths of the lattice, $, once that is known."""

    def exact_value(self) -> float:
        """Its expected value on the lattice, $; only where `StagePrograms.orders_up_to`."""

    def simulate(self, paths: int = ..., *, seed: int = ..., confidence: float = ...) -> Estimate:
        """Its mean value on fresh paths of the lattice, $."""


# --------------------------------------------------- problems as methods see them

TreePlanT = TypeVar("TreePlanT", bound=PlanOnTree)
TreePlanT_co = TypeVar("TreePlanT_co", bound=PlanOnTree, covariant=True)
LatticePlanT = TypeVar("LatticePlanT", bound=PlanOnLattice)


class TreeProblem(HasFlows, Protocol[TreePlanT_co]):
    """A problem on a tree: one program, and how its solutions are read."""

    @property
    def model(self) -> Any:
        """The `stochisru.problem.Model` that it is a program of."""

    @property
    def program(self) -> LinearProgram:
        """The sparse program in node form."""

    @property
    def exact(self) -> bool:
        """Whether plans are feasible to the last digit, and worth what they say without a solver."""

    def holding(self, held: Any) -> LinearProgram:
        """The program where some decisions are as in a plan, a `stochisru.problem.Held`."""

    def plan(self, solution: Solution) -> TreePlanT_co:
        """The plan that a solution is, feasible to the last digit."""

    def bound(self, program: LinearProgram, row_dual: Array) -> float:
        """Bound on a linear program that holds for any row duals, in its own sense."""


class SubtreeProgram(Protocol):
    """The program of one subtree of a cut tree; see `stochisru.problem.subtrees.SubtreeProgram`."""

    @property
    def branch(self) -> ScenarioTree:
        """The subtree, with the way from the root to it."""

    @property
    def program(self) -> LinearProgram:
        """Its program, maximised; the objective is the conditional expectation given the subtree's node."""

    @property
    def coordinated(self) -> Index:
        """Columns of the coordinated quantities."""

    @property
    def held(self) -> Index:
        """Columns by which a plan above the cut is fixed."""

    @property
    def origin(self) -> Index:
        """Node of the whole tree that each node of the branch is."""

    @property
    def mixed(self) -> bool:
        """Whether the program has whole numbers."""

    def settled(self, x: Array, value: float) -> tuple[Array, float]:
        """A solution as it can be carried out, and its value."""

    def on_nodes(self, x: Array) -> Array:
        """What a plan is made of at the nodes of the branch, shape ``(parts, nodes)``."""


class Candidates(Protocol):
    """Plans above the cut that are worth trying: held quantities, shape ``(subtrees, held)``."""

    def near(self, wanted: Array, number: int) -> Iterator[Array]:
        """Those near what the subtrees want of the coordinated quantities; a new ``number`` gives others."""

    def neighbours(self, plan: Array) -> Iterator[Array]:
        """Those that differ from a given one in one decision."""


class Subtrees(HasFlows, Protocol[TreePlanT_co]):
    """A problem on a cut tree, as if it were maximised; see `stochisru.problem.subtrees.Subtrees`."""

    @property
    def sign(self) -> float:
        """1 where the problem is maximised, −1 where it is minimised."""

    @property
    def exact(self) -> bool:
        """Whether plans are feasible to the last digit."""

    @property
    def tree(self) -> ScenarioTree:
        """The whole tree."""

    @property
    def cut_stage(self) -> int:
        """Stage at which it is cut."""

    @property
    def identity(self) -> dict[str, Any]:
        """What a checkpoint must agree in."""

    @property
    def linear(self) -> bool:
        """Whether costs are linear."""

    @property
    def mixed(self) -> bool:
        """Whether programs have whole numbers."""

    @property
    def count(self) -> int:
        """Number of subtrees."""

    @property
    def stages(self) -> Sequence[int]:
        """Stage at which each coordinated quantity is decided, ascending."""

    @property
    def nodes(self) -> range:
        """Nodes at which the subtrees hang."""

    @property
    def way(self) -> Index:
        """Nodes on the way to each subtree, shape ``(count, cut_stage + 1)``."""

    def first_above(self, i: int) -> Mask:
        """Whether a subtree is the first below each node on its way, shape ``(cut_stage + 1,)``."""

    @property
    def shared(self) -> Index:
        """What is one quantity for several subtrees has one number, shape ``(count, quantities)``."""

    @property
    def node_probability(self) -> Array:
        """Probability of each node down to the cut, positive."""

    @property
    def probability(self) -> Array:
        """Probability of each subtree, positive."""

    @property
    def lower(self) -> Array:
        """Lower bound on the coordinated quantities, shape ``(count, quantities)``."""

    @property
    def upper(self) -> Array:
        """Upper bound on the coordinated quantities, shape ``(count, quantities)``."""

    @property
    def largest(self) -> Array:
        """Size of the coordinated quantities, > 0, shape ``(quantities,)``."""

    @property
    def unit_cost(self) -> Array:
        """Discounted cost of one unit of each, shape ``(quantities,)``."""

    @property
    def candidates(self) -> Candidates:
        """Plans above the cut that are worth trying."""

    def program(self, i: int) -> SubtreeProgram:
        """Program of subtree ``i``."""

    def node_mean(self, values: Array) -> Array:
        """Mean of ``values`` (count, quantities) over the subtrees that share each quantity."""

    def plan(self, table: Array) -> TreePlanT_co:
        """The plan of what `SubtreeProgram.on_nodes` says at all nodes of the tree."""


class StagePrograms(HasFlows, Protocol[LatticePlanT]):
    """A problem on a lattice, a program per stage and state; see `stochisru.problem.on_lattice.ModelStages`."""

    @property
    def lattice(self) -> MarkovLattice:
        """The lattice."""

    @property
    def horizon(self) -> int:
        """Last stage."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Programs of all stages."""

    @property
    def identity(self) -> dict[str, Any]:
        """What a checkpoint must agree in."""

    @property
    def sign(self) -> float:
        """1 where the problem is maximised, −1 where it is minimised; programs maximise worth either way."""

    @property
    def orders_up_to(self) -> bool:
        """Whether plans whose value is known exactly are optimal under expectation."""

    @property
    def one_level(self) -> bool:
        """Whether such a plan does not depend on what is on order."""

    def root(self, columns: Array) -> Array:
        """What is decided at the root, from the columns of its program, in the units of the problem."""

    def state_unit(self, t: int) -> Array:
        """Units of that state."""

    def spread(self, t: int, place: Array, store: Array) -> Array:
        """States leaving stage t that are spread over their range, in their units."""

    def plan(self, root: Array, intercept: Sequence[Array], slope: Sequence[Array], neutral: bool) -> LatticePlanT:
        """The plan that cuts describe."""

    def with_simulated(self, plan: LatticePlanT, mean: Estimate) -> LatticePlanT:
        """A plan with its simulated mean."""


class ProblemOnTrees(Protocol[TreePlanT_co]):
    """A problem that can be stated on a scenario tree."""

    def on_tree(self, tree: ScenarioTree) -> TreeProblem[TreePlanT_co]:
        """The problem on a tree; `InputError` if they do not match."""

    def subtrees(self, tree: ScenarioTree, cut_stage: int) -> Subtrees[TreePlanT_co]:
        """The problem on a tree that is cut at a stage."""


class ProblemOnLattices(Protocol[LatticePlanT]):
    """A problem that can be stated on a Markov lattice."""

    def on_lattice(self, lattice: MarkovLattice | int) -> StagePrograms[LatticePlanT]:
        """The problem on a lattice, given or made with so many states per stage; `InputError` if they do not match."""


# -------------------------------------------------------------------- methods

ResultT_co = TypeVar("ResultT_co", covariant=True)


class Method(Protocol[ResultT_co]):
    """A way to solve a problem; see `stochisru.methods.registry`."""

    @property
    def name(self) -> str:
        """The word that names it everywhere."""

    @property
    def summary(self) -> str:
        """What it is, in a few words."""

    @property
    def on(self) -> str:
        """What it works on, a `stochisru.methods.result.Of`: a tree, a lattice or the process."""

    @property
    def options(self) -> type[Any]:
        """Frozen dataclass of its options; see `stochisru.methods.options`."""

    def refuses(self, case: Any) -> str | None:
        """Why it cannot solve a problem, in one sentence that names the field, or None."""

    def kind(self, case: Any) -> str:
        """What its bracket of a problem that it takes rests on at the least, a `stochisru.methods.result.Kind`."""

    def solve(self, case: Any, on: Any, options: Any, progress: Callable[[Any], None] | None = None) -> ResultT_co:
        """Solve a problem on a tree or a lattice (None for the process); ``progress`` takes the lines of a log."""


@runtime_checkable
class HoldsPlans(Method[ResultT_co], Protocol[ResultT_co]):
    """A method on trees that can hold the start of a plan: the values EEV_t are made by one."""

    def holding(self, case: Any, on: ScenarioTree, held: Sequence[Any], options: Any) -> Iterator[ResultT_co]:
        """Solve once for every start of one plan, each a `stochisru.problem.Held`; later decisions are free."""


@runtime_checkable
class OnLattices(Method[ResultT_co], Protocol[ResultT_co]):
    """A method on lattices, which says how fine a lattice suits it."""

    def states(self, case: Any) -> int:
        """States per stage of the lattice that is made where none is given."""


class LogLine(Protocol):
    """A line of an iteration log: a dataclass of numbers."""

    @property
    def gap(self) -> float:
        """Relative gap of the bounds so far."""


class BoundsLine(Protocol):
    """What rules read of a line of a log."""

    @property
    def number(self) -> int:
        """Iteration."""

    @property
    def lower(self) -> float:
        """Best lower bound so far, $."""

    @property
    def upper(self) -> float:
        """Best upper bound so far, $."""

    @property
    def gap(self) -> float:
        """Relative gap of the bounds."""


class RunStatus(HasFlows, Protocol):
    """A run so far, as stopping rules see it."""

    @property
    def log(self) -> Sequence[BoundsLine]:
        """Lines of the log, the last one of the present iteration; not empty."""

    @property
    def seconds(self) -> float:
        """Time of this part of the run."""

    @property
    def simulate(self) -> Callable[[int, float], Estimate]:
        """Mean value of the present plan on so many fresh paths, at a confidence level."""


class StoppingRule(Protocol):
    """When to stop."""

    def met(self, status: RunStatus) -> Limit | None:
        """The limit that was hit (``Limit.RULE`` for a rule of one's own), or None to go on."""


class RiskMeasure(Protocol):
    """A risk measure of net present value: the least of expectations, each with a penalty ≥ 0 (more is better)."""

    @property
    def label(self) -> str:
        """Name and parameters in a few words, also the identity in checkpoints."""

    @property
    def neutral(self) -> bool:
        """Whether it is the expectation."""

    def weights(self, probability: Array, value: Array, states: Array | None = None) -> Array:
        """Probabilities under which the expectation of ``value``, with `penalty`, is its risk-adjusted worth.

        Of probabilities ``(n, m)``, a row per condition, values ``(m,)`` in $ of year 0 and, for measures of distance,
        the outcomes' states ``(m, k)``. Shape ``(n, m)``; ≥ 0, rows sum to 1, 0 where the probability is.
        """

    def penalty(self, probability: Array, weights: Array) -> Array:
        """What is added to the expectation under such weights, $ of year 0, ≥ 0, shape ``(n,)``; 0 if coherent."""
