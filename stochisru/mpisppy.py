"""Any of our problems as a module that mpi-sppy's own tools load.

    python -m mpisppy.generic_cylinders --module-name stochisru.mpisppy --problem my_module:farm --EF …

``--problem`` is the name of a shipped case, the path of a case file, or ``MODULE:FUNCTION``, a function without
arguments that returns a `Model` and its `ScenarioTree` or `MarkovLattice`. Cases take ``--branching-factors``; what a
function returns has its own tree. A scenario is a leaf: its path model in Pyomo, with the nodes that it passes and what
is decided there (`stochisru.problem.on_path.Scenarios`), curves, lots and fixed costs included.

Where mpi-sppy samples (confidence intervals, sequential sampling) or ``--sample-seed`` is given, scenarios are drawn
afresh from the process of the problem (`stochisru.problem.sampled`). See ``docs/mpisppy.md``.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

from scenario_trees import MarkovLattice, ScenarioTree
from stochisru.errors import InputError
from stochisru.mpi import rank, world
from stochisru.problem.model import Model
from stochisru.problem.on_path import Scenarios
from stochisru.problem.sampled import SampledScenarios

#: What the options of this module were last said to be: mpi-sppy's multistage sampling does not hand them on.
_said: dict[str, Any] = {}
#: Options of this module besides the branching factors and the number of scenarios.
_OPTIONS = ("problem", "sample_seed", "as_loss")
#: An option that only mpi-sppy's sequential sampling has.
_SEQUENTIAL = "sample_size_ratio"


def stated(problem: str, branching: Sequence[int] = ()) -> tuple[Model, ScenarioTree]:
    """A problem and its tree by what ``--problem`` says.

    Parameters
    ----------
    branching
        Branches per year of the tree of a case; a function's problem has its own tree.

    Raises
    ------
    InputError
        If there is no such problem, or it has no tree that mpi-sppy's drivers can name the nodes of.
    """
    module, colon, function = problem.rpartition(":")
    if colon and function.isidentifier():
        model, made = _returned(module, function, problem)
        tree = made.to_tree() if isinstance(made, MarkovLattice) else made
    else:
        model, tree = _case(problem, branching)
    if tree.horizon < 1:
        raise InputError(f"{problem}: must have two stages or more")
    if tree.horizon > 1 and tree.branching is None:
        raise InputError(
            f"{problem}: mpi-sppy's drivers know trees of more than two stages by one branching factor per stage; "
            "this one is uneven: give Scenarios(model, tree) to its classes"
        )
    return model, tree


def _returned(module: str, function: str, problem: str) -> tuple[Model, ScenarioTree | MarkovLattice]:
    if str(Path.cwd()) not in sys.path:  # where a user's own module lies
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise InputError(f"problem: {problem!r} cannot be imported: {error}") from error
    given = found()
    if not (
        isinstance(given, tuple)
        and len(given) == 2
        and isinstance(given[0], Model)
        and isinstance(given[1], (ScenarioTree, MarkovLattice))
    ):
        raise InputError(f"problem: {problem} must return a Model and its ScenarioTree or MarkovLattice, got {given!r}")
    return given


def _case(problem: str, branching: Sequence[int]) -> tuple[Model, ScenarioTree]:
    from stochisru.lunar.case import load_case

    case = load_case(problem)
    if not branching:
        raise InputError(f"branching-factors: needed for a case, one per year of 0..T, as in '3 3 2', for {problem}")
    case = case.replace(T=len(branching))
    return case.model, ScenarioTree.from_process(case.process, branching)


# What follows is called by mpi-sppy.


def inparser_adder(cfg: Any) -> None:
    """Add the options that say which problem it is and what its scenarios are."""
    cfg.add_branching_factors()
    cfg.num_scens_optional()
    cfg.add_to_config(
        "problem",
        description="shipped case, case file, or MODULE:FUNCTION that returns a model and its tree or lattice",
        domain=str,
        default="lunar-reference",
    )
    cfg.add_to_config(
        "sample_seed",
        description="draw the scenarios afresh from the problem's process, from this seed (>= 0), instead of its tree",
        domain=int,
        default=None,
    )
    cfg.add_to_config(
        "as_loss",
        description="state a maximised problem as minimising its negative: sequential sampling takes no other",
        domain=bool,
        default=False,
    )


def kw_creator(cfg: Any) -> dict[str, Any]:
    """Arguments of `scenario_creator`; sets what the driver must know of the tree.

    Raises
    ------
    InputError
        If there is no such problem, or mpi-sppy cannot run it as it is asked to; the drivers end with its one line.
    """
    with _one_line():
        # mpi-sppy sets one of these where it samples.
        sampling = any(cfg.get(name) is not None for name in ("start_seed", "_mpisppy_probability", _SEQUENTIAL))
        if "problem" in cfg:
            _said.update({name: cfg.get(name) for name in _OPTIONS})
        elif not _said:
            raise InputError("problem: must be said in the options of mpi-sppy, see inparser_adder")
        drawn = sampling or _said["sample_seed"] is not None
        scenarios = _sampled(cfg, counted=sampling) if drawn else _leaves(cfg)
        _refuse(cfg, scenarios)
        return {"scenarios": scenarios, "as_loss": bool(_said["as_loss"])}


def _leaves(cfg: Any) -> Scenarios:
    # Two stages have scenarios and no branching factors, here and where this is called a second time.
    given, count = list(cfg.get("branching_factors") or ()), cfg.get("num_scens")
    model, tree = stated(_said["problem"], given or [number for number in (count,) if number is not None])
    if (given and tuple(given) != tree.branching) or (count is not None and count != tree.n_leaves):
        what = f"branching-factors: {given}" if given else f"num-scens: {count}"
        has = f"has {tree.n_leaves} leaves, branching {list(tree.branching or ())}"
        raise InputError(f"{what}: the tree of {_said['problem']} {has}; with --sample-seed others are drawn")
    cfg.branching_factors = list(tree.branching or ()) if tree.horizon > 1 else None
    cfg.quick_assign("num_scens", int, tree.n_leaves)
    return Scenarios(model, tree)


def _sampled(cfg: Any, counted: bool) -> Scenarios | SampledScenarios:
    """Scenarios of a sample; ``counted`` where mpi-sppy itself has set their number, and may ask for further ones."""
    seed, given = _said["sample_seed"] or 0, list(cfg.get("branching_factors") or ())
    if seed < 0:
        raise InputError(f"sample-seed: must be an integer >= 0, got {seed}")
    count = cfg.get("num_scens")
    own = ":" in _said["problem"]
    if not own and not given and count is not None:
        given = [int(count)]
    # The tree of a case says no more here than how many stages there are.
    model, tree = stated(_said["problem"], () if own else [1] * len(given))
    if own and not given:
        one = model.horizon == 1 and count is not None
        given = [int(count)] if one else list(tree.branching or (tree.n_leaves,))
    scenarios = SampledScenarios(model, tree, given, [seed, cfg.get("start_seed") or 0])
    if counted:
        return scenarios
    cfg.branching_factors = given if model.horizon > 1 else None
    cfg.quick_assign("num_scens", int, prod(given))
    return Scenarios(model, scenarios.sample_tree())


def _refuse(cfg: Any, scenarios: Scenarios | SampledScenarios) -> None:
    """Refuse in words what mpi-sppy 0.14 cannot run, or runs into a wrong answer."""
    model = scenarios.model
    ranks = 1 if (communicator := world()) is None else int(communicator.size)
    if cfg.get("EF") and ranks > 1:
        raise InputError(f"EF: mpi-sppy solves it in one process; on {ranks} ranks each would leave out scenarios")
    if cfg.get("mmw_num_batches") is not None and ranks > 1:
        raise InputError(
            "mmw-num-batches: mpi-sppy's ranks can wait for each other forever there; write the solution "
            "(--solution-base-name) and ask for its interval in one process (--mmw-xhat-input-file-name)"
        )
    if cfg.get(_SEQUENTIAL) is not None:
        if model.sign > 0 and not _said["as_loss"]:
            raise InputError(
                f"as-loss: mpi-sppy's sequential sampling only minimises and {model.name} is maximised; give it"
            )
        if model.horizon > 1 and not cfg.get("branching_factors"):
            raise InputError(
                f"branching-factors: mpi-sppy's sequential sampling needs one per year for {model.name}, "
                f"{model.horizon} numbers"
            )
    size, count = cfg.get("scenarios_per_bundle"), cfg.get("num_scens")
    if size is not None:
        below = prod((cfg.get("branching_factors") or [1])[1:])
        if size < 2 or size % below or count % size:
            raise InputError(
                f"scenarios-per-bundle: mpi-sppy takes a number >= 2 that divides {count} and is a multiple of "
                f"{below}, the scenarios below a node of the second stage, got {size}"
            )
    solver = str(cfg.get("solver_name") or "")
    if "highs" in solver and not model.is_linear and _is_quadratic(cfg):
        raise InputError(
            f"linearize-proximal-terms: {solver} solves no mixed-integer program with a quadratic term and "
            f"{model.name} has lots, curves or fixed costs; give it"
        )


def _is_quadratic(cfg: Any) -> bool:
    """Whether mpi-sppy will hedge, with a quadratic proximal term."""
    instead = ("linearize_proximal_terms", "EF", "lshaped_hub", "subgradient_hub", "cg_hub", "dualcg_hub")
    samples = cfg.get(_SEQUENTIAL) is not None and cfg.get("xhat_method") != "cylinders"
    return "linearize_proximal_terms" in cfg and not samples and not any(cfg.get(option) for option in instead)


def scenario_names_creator(num_scens: int, start: int | None = None) -> list[str]:
    """Names of leaves in the order of the tree, or of draws."""
    first = start or 0
    return [f"scenario{i}" for i in range(first, first + num_scens)]


def scenario_creator(
    name: str,
    *,
    scenarios: Scenarios | SampledScenarios,
    as_loss: bool = False,
    branching_factors: Sequence[int] | None = None,
) -> Any:
    """Path model of one leaf or draw; mpi-sppy gives ``branching_factors`` for a bundle of more than two stages."""
    with _one_line():
        m = _in_sense(scenarios.creator(name), as_loss)
        return m if branching_factors is None else _bundled(m)


def sample_tree_scen_creator(
    name: str,
    stage: int,
    sample_branching_factors: Sequence[int],
    seed: int,
    given_scenario: Any | None = None,
    *,
    scenarios: SampledScenarios,
    as_loss: bool = False,
) -> Any:
    """Path model of a scenario in a sample tree below a node of ``stage`` that ``given_scenario`` passes."""
    with _one_line():
        return _in_sense(scenarios.below(name, stage, sample_branching_factors, seed, given_scenario), as_loss)


def scenario_denouement(rank: int, name: str, scenario: Any) -> None:
    """mpi-sppy asks for it; nothing to do."""


# ------------------------------------------------------------------------ help


def _in_sense(m: Any, as_loss: bool) -> Any:
    import pyomo.environ as pyo

    if as_loss and m.objective.sense == pyo.maximize:
        m.objective.set_value(-m.total)
        m.objective.sense = pyo.minimize
    return m


def _bundled(m: Any) -> Any:
    """The model with the money of later stages in one variable.

    mpi-sppy reads the costs of a bundle's shared variables off its objective and knows those of the root only: with one
    of a later stage in it, it ends with a KeyError.
    """
    import pyomo.environ as pyo
    from pyomo.repn import generate_standard_repn

    root = {id(variable) for variable in m._mpisppy_node_list[0].nonant_vardata_list}
    found = generate_standard_repn(m.objective.expr, quadratic=False)
    terms = [
        (id(x) in root, coefficient * x) for coefficient, x in zip(found.linear_coefs, found.linear_vars, strict=True)
    ]
    m.later = pyo.Var()
    m.later_rule = pyo.Constraint(expr=m.later == sum(term for first, term in terms if not first) + found.constant)
    m.objective.set_value(m.later + sum(term for first, term in terms if first))
    return m


@contextmanager
def _one_line() -> Iterator[None]:
    """End one of mpi-sppy's programs with the line of an input error; elsewhere the error is raised."""
    try:
        yield
    except InputError as error:
        program = getattr(getattr(sys.modules.get("__main__"), "__spec__", None), "name", "") or ""
        if not program.startswith("mpisppy."):
            raise
        if rank():
            time.sleep(1.0)  # The first rank that ends, ends all: where all are refused alike, one line is enough.
        raise SystemExit(f"error: {error}") from error
