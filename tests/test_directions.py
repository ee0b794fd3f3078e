"""Rooms depend on each other one way: every import is read, lazy ones and those of type checkers included."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
#: Rooms from the lowest up; see docs/maintainers.md. Modules beside the rooms are counted to one of them.
ROOMS = (
    *("scenario_trees", "base", "programs", "protocols", "terminal", "problem", "policies", "methods", "simulation"),
    *("values", "networks", "studies", "exchange", "report", "lunar", "worked", "top", "cli"),
)
BESIDE = {"protocols": "protocols", "terminal": "terminal", "partial_evpi": "values", "__main__": "cli"}
#: Old paths of names that scripts import, entry points, checks of users' own parts: they may look at all rooms.
TOP = ("linear_program", "metrics", "mpisppy", "testing")


def room(module: str) -> str:
    """Room of a module, by its dotted name."""
    package, _, rest = module.partition(".")
    first = rest.partition(".")[0]
    if package == "scenario_trees":
        return package
    if not first or first in TOP:
        return "top"
    return BESIDE.get(first, first if first in ROOMS else "base")


def imports(module: str, tree: ast.AST, is_package: bool) -> list[str]:
    """Modules of ours that a module imports, anywhere in it."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return [name for name in found if name.partition(".")[0] in ("scenario_trees", "stochisru")]


def modules() -> dict[str, Path]:
    """All modules of both packages."""
    paths = [*ROOT.glob("scenario_trees/**/*.py"), *ROOT.glob("stochisru/**/*.py")]
    return {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in paths}


def arrows() -> list[tuple[str, str]]:
    """Every import as a pair of modules."""
    known = modules()
    found = []
    for module, path in known.items():
        for name in imports(module, ast.parse(path.read_text(encoding="utf-8")), path.name == "__init__.py"):
            target = name if name in known else name.rpartition(".")[0]
            found.append((module, target))
    return found


def test_no_arrow_turns_back():
    back = [
        f"{module} ({room(module)}) imports {target} ({room(target)})"
        for module, target in arrows()
        if ROOMS.index(room(target)) > ROOMS.index(room(module))
    ]
    assert back == []


def test_rooms_are_rooms():
    beside = {m.split(".")[1] for m in modules() if m.count(".") == 1 and m.startswith("stochisru.")}
    base = {name for name in beside if room(f"stochisru.{name}") == "base"}
    assert base == {"backend", "errors", "estimate", "files", "limits", "locks", "mpi", "placing", "shown", "workers"}


def test_a_worked_case_knows_no_other_but_its_data_and_cli_no_worked_case():
    for module, target in arrows():
        if room(module) == "cli":
            assert room(target) != "worked" or target == "stochisru.worked", f"{module} imports {target}"
    pairs = {
        (module.split(".")[2], target.split(".")[2])
        for module, target in arrows()
        if module.startswith("stochisru.worked.") and target.startswith("stochisru.worked.")
    }
    # The toy problem is of the thesis with the Saudi data; `network chain` compares its prices with Mars' legs.
    assert {(a, b) for a, b in pairs if a != b} == {("toy", "saudi"), ("cislunar", "mars")}


@pytest.mark.parametrize("name", [m for m in modules() if not m.endswith("__main__")])
def test_modules_are_short(name):
    assert len(modules()[name].read_text(encoding="utf-8").splitlines()) <= 500


@pytest.mark.parametrize("name", ["Array", "Index", "Mask"])
def test_types_of_arrays_are_defined_once(name):
    found = [
        module
        for module, path in modules().items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets)
    ]
    assert found == ["scenario_trees.arrays"]


def test_no_two_public_classes_share_a_name():
    """A protocol may have the name of what follows it in the shipped problem: one idea, told twice."""
    where: dict[str, list[str]] = {}
    for module, path in modules().items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and module != "stochisru.protocols":
                where.setdefault(node.name, []).append(module)
    assert {name: found for name, found in where.items() if len(found) > 1} == {}


def test_entries_of_the_registry_are_methods():
    from stochisru.methods.registry import METHODS, methods
    from stochisru.methods.result import Of

    for name, method in methods().items():
        assert method.name == name
        assert isinstance(method.on, Of)
        assert METHODS[name].startswith("stochisru.")


def test_an_arrow_that_turns_back_is_seen():
    tree = ast.parse("def f():\n    from stochisru.lunar.case import load_case\n    import stochisru.cli.main\n")
    seen = imports("stochisru.programs.sparse", tree, False)
    assert [room(name) for name in seen] == ["lunar", "cli"]
