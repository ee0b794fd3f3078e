"""Problems on trees out to files and back in; the suffix says the format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from scenario_trees.lattice import MarkovLattice
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError, require_path
from stochisru.exchange.staged import StagedProgram, staged
from stochisru.files import require_writable
from stochisru.methods.problems import stated_on_trees
from stochisru.programs.names import once_each, plain_name
from stochisru.programs.solvers.highs import read_program
from stochisru.programs.sparse import LinearProgram

#: Formats by suffix, with what reads them.
FORMATS = {
    ".smps": "SMPS: core, time and stoch file, listed in this one",
    ".sof.json": "StochOptFormat 1.0, a policy graph",
    ".mps": "one program of the whole tree",
    ".lp": "one program of the whole tree, to read",
}


def suffix_of(path: str | Path, *, reading: bool = False) -> str:
    """The suffix that names the format of a file; `InputError` for others."""
    require_path("file", path)
    known: list[str] = [*FORMATS, *((".cor", ".tim", ".sto") if reading else ())]
    for suffix in known:
        if Path(path).name.endswith(suffix):
            return suffix
    raise InputError(f"file: must end in {', '.join(known)}, got {Path(path).name!r}")


def write_problem(problem: Any, on: ScenarioTree | MarkovLattice | None, target: str | Path) -> tuple[Path, ...]:
    """Write a problem for another tool; the suffix of the file says the format.

    Parameters
    ----------
    problem
        A case, a `Model`, or a `StagedProgram`, which needs no tree.
    on
        Scenario tree with one stage per year; a lattice for ``.sof.json``.
    target
        ``.smps`` (writes ``.cor``, ``.tim`` and ``.sto`` beside it), ``.sof.json``, ``.mps`` or ``.lp``.

    Returns
    -------
    tuple of Path
        The files, that of ``target`` first.

    Raises
    ------
    InputError
        If the suffix is another, the file cannot be written, problem and tree do not match, or the format cannot state
        the problem.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from stochisru import ScenarioTree, load_case
    >>> from stochisru.exchange import read_problem, write_problem
    >>> case = load_case("lunar-reference").replace(T=3)
    >>> tree = ScenarioTree.from_process(case.process, [3, 3, 3])
    >>> with TemporaryDirectory() as folder:
    ...     names = [path.name for path in write_problem(case, tree, Path(folder) / "oxygen.smps")]
    ...     again = read_problem(Path(folder) / "oxygen.smps")
    >>> names, round(again.solve().objective / 1e6, 2)
    (['oxygen.smps', 'oxygen.cor', 'oxygen.tim', 'oxygen.sto'], 100.28)
    """
    suffix, path = suffix_of(target), Path(target)
    require_writable(path, "file")
    if isinstance(on, MarkovLattice):
        if suffix != ".sof.json":
            raise InputError(f"file: a problem on a lattice is written as .sof.json, got {path.name!r}")
        from stochisru.exchange.policy_graph import write_lattice_problem

        return (write_lattice_problem(problem, on, path),)
    if suffix in (".mps", ".lp"):
        return (_write_program(problem, on, path),)
    stated = staged(problem, on)
    if suffix == ".smps":
        from stochisru.exchange.smps import write_smps

        return write_smps(stated, path)
    from stochisru.exchange.policy_graph import write_stochoptformat

    return (write_stochoptformat(stated, path),)


def _write_program(problem: Any, tree: ScenarioTree | None, path: Path) -> Path:
    """The whole program; a measure of risk is part of it, in columns without a node."""
    if not isinstance(problem, StagedProgram):
        if not isinstance(tree, ScenarioTree):
            raise InputError(f"tree: must be a ScenarioTree, got {type(tree).__name__}")
        stated = stated_on_trees(problem).on_tree(tree)
        if stated.model.risk is not None:
            program: LinearProgram = stated.program
            return program.write(path)
    found = staged(problem, tree)
    return found.program.write(path, found.full_names())


def read_problem(path: str | Path) -> StagedProgram:
    """Read a problem that another tool, or `write_problem`, has written; the suffix says the format.

    Parameters
    ----------
    path
        ``.smps``, one of ``.cor``, ``.tim`` and ``.sto`` beside the others, ``.sof.json``, ``.mps`` or ``.lp``. An MPS
        or LP file tells no tree: its program stands at a root alone.

    Returns
    -------
    StagedProgram
        The program with its tree; `StagedProgram.solve` solves it, `write_problem` writes it in another format.

    Raises
    ------
    InputError
        One line that names the file, the place in it and what is expected.
    """
    suffix, file = suffix_of(path, reading=True), Path(path)
    if not file.is_file():
        raise InputError(f"file: {file} is not there, or no file")
    if suffix == ".sof.json":
        from stochisru.exchange.policy_graph import read_stochoptformat

        return read_stochoptformat(file)
    if suffix in (".mps", ".lp"):
        program, names = read_program(file)
        tree = ScenarioTree(parent=[-1], stage=[0], probability=[1.0], value=[0.0])  # type: ignore[arg-type]
        columns, rows = (once_each(map(plain_name, each)) for each in names)
        at_root = (np.zeros(len(each), dtype=np.int64) for each in names)
        return StagedProgram(tree, program, columns, next(at_root), rows, next(at_root))
    from stochisru.exchange.smps import read_smps

    return read_smps(file)
