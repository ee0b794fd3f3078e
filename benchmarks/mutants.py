"""Do the tests notice? Mutants of a module: one comparison, sign, number or statement is another, and its tests run.

    python benchmarks/mutants.py stochisru/simulation/metrics.py [MODULE ...] [--sample 60] [--seed 1]

The tests of a module are those that ``tests/guards.py`` names, so this is also a test of that table. They are collected
once. Each mutant is a child of that process in which the code of functions is swapped. Only tests that come to its line
run, quick ones first, up to the first that fails. Mutants of what runs on import (constants, defaults, decorators), of
messages and of annotations are not made. What survives is printed with its line.
"""

from __future__ import annotations

import argparse
import ast
import copy
import gc
import os
import random
import signal
import sys
import time
import types
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
COMPARED = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
COMPUTED = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.MatMult: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
NAMED = {
    "min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "any": "all", "all": "any", "floor": "ceil",
    "ceil": "floor", "sum": "max", "argmin": "argmax", "argmax": "argmin", "cumsum": "cumprod", "sorted": "list",
}  # fmt: skip
#: Calls whose arguments are words for people.
SAID = ("Error", "warn", "Warning", "require")


class Mutant:
    """A place in a module and what stands there instead."""

    def __init__(self, path: tuple[tuple[str, int | None], ...], new: ast.AST, line: int, what: str) -> None:
        self.path, self.new, self.line, self.what = path, new, line, what

    def applied(self, tree: ast.Module) -> ast.Module:
        """Copy of the tree with the place changed."""
        tree = copy.deepcopy(tree)
        holder: object = tree
        for field, index in self.path[:-1]:
            holder = getattr(holder, field)
            holder = holder if index is None else holder[index]
        field, index = self.path[-1]
        if index is None:
            setattr(holder, field, self.new)
        else:
            getattr(holder, field)[index] = self.new
        return ast.fix_missing_locations(tree)


def others(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """What may stand in the place of a node, with what to call it."""
    if isinstance(node, ast.Compare):
        for i, operator in enumerate(node.ops):
            new = copy.deepcopy(node)
            new.ops[i] = COMPARED[type(operator)]()
            yield new, ast.unparse(new)
    elif isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in COMPUTED:
        new = copy.deepcopy(node)
        new.op = COMPUTED[type(node.op)]()
        yield new, ast.unparse(new)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Not, ast.Invert)):
        yield node.operand, ast.unparse(node.operand)
    elif isinstance(node, ast.BoolOp):
        new = copy.deepcopy(node)
        new.op = ast.And() if isinstance(node.op, ast.Or) else ast.Or()
        yield new, ast.unparse(new)
    elif isinstance(node, ast.IfExp):
        yield node.body, f"{ast.unparse(node.body)} always"
        yield node.orelse, f"{ast.unparse(node.orelse)} always"
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float, bool):
        value = not node.value if isinstance(node.value, bool) else node.value + 1
        yield ast.Constant(value), f"{value} for {node.value}"
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in NAMED:
        yield ast.Name(NAMED[node.id], ast.Load()), f"{NAMED[node.id]} for {node.id}"
    elif isinstance(node, ast.Attribute) and node.attr in NAMED:
        new = copy.deepcopy(node)
        new.attr = NAMED[node.attr]
        yield new, ast.unparse(new)
    elif isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        yield ast.Pass(), f"nothing for {ast.unparse(node)[:60]}"
    elif isinstance(node, ast.Continue):
        yield ast.Break(), "break for continue"
    elif isinstance(node, ast.Break):
        yield ast.Continue(), "continue for break"


def is_said(node: ast.AST) -> bool:
    """Whether a node is words for people, or types for a checker."""
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func).rpartition(".")[2]
        return any(word in name for word in SAID)
    return isinstance(node, (ast.JoinedStr, ast.Assert))


def mutants(tree: ast.Module) -> Iterator[Mutant]:
    """All mutants of the functions of a module."""

    def walk(node: ast.AST, path: tuple[tuple[str, int | None], ...], within: bool) -> Iterator[Mutant]:
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "decorator_list", "bases", "type_params"):
                continue
            inside = within or (isinstance(node, (ast.FunctionDef, ast.Lambda)) and field == "body")
            for index, child in enumerate(value) if isinstance(value, list) else ((None, value),):
                if not isinstance(child, ast.AST) or is_said(child):
                    continue
                place = (*path, (field, index))
                if inside and hasattr(child, "lineno"):
                    for new, what in others(child):
                        yield Mutant(place, ast.copy_location(new, child), child.lineno, what)
                yield from walk(child, place, inside)

    return walk(tree, (), False)


def codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """A code object and all within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from codes(constant)


def swap(file: str, tree: ast.Module) -> int:
    """Give the functions of a module that is imported the code of a changed one; return how many are changed."""
    new = {(c.co_qualname, c.co_firstlineno): c for c in codes(compile(tree, file, "exec"))}
    changed = 0
    for function in gc.get_objects():
        if isinstance(function, types.FunctionType) and function.__code__.co_filename == file:
            code = new.get((function.__code__.co_qualname, function.__code__.co_firstlineno))
            if code is not None and code != function.__code__ and code.co_freevars == function.__code__.co_freevars:
                function.__code__ = code
                changed += 1
    return changed


class Session:
    """Plugin of pytest: in place of the tests, mutants of the modules."""

    def __init__(self, module: Path, sample: int, seed: int, most: float) -> None:
        self.module, self.sample, self.seed, self.most = module, sample, seed, most
        self.failed = False
        self.survivors: list[str] = []
        self.made = self.killed = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a failure."""
        self.failed |= report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Find which tests come to which lines, then make the mutants."""
        file, source = str(self.module), self.module.read_text(encoding="utf-8")
        tree = ast.parse(source)
        items = session.items
        comes, seconds = self.traced(items, file)
        found = list(mutants(tree))
        whole = len(found)
        if self.sample and whole > self.sample:
            found = sorted(random.Random(self.seed).sample(found, self.sample), key=lambda m: m.line)
        for mutant in found:
            tests = sorted(comes[mutant.line], key=lambda i: seconds[i])
            if self.outcome(mutant, tree, file, [items[i] for i in tests], sum(seconds[i] for i in tests)):
                self.killed += 1
            else:
                none = "" if tests else "  (no test comes here)"
                self.survivors.append(f"{self.module.relative_to(ROOT)}:{mutant.line}: {mutant.what}{none}")
        self.made = len(found)
        rate = 100 * self.killed / max(self.made, 1)
        out = sys.__stdout__
        print(
            f"{self.module.relative_to(ROOT)}: {self.killed} of {self.made} killed ({rate:.0f} %; {whole} in all)",
            *self.survivors, sep="\n  ", file=out, flush=True,
        )  # fmt: skip
        return True

    def traced(self, items: list[pytest.Item], file: str) -> tuple[dict[int, set[int]], list[float]]:
        """Tests by line, and the seconds of each, from a child that runs them all."""
        reader, writer = os.pipe()
        if (child := os.fork()) == 0:
            with os.fdopen(writer, "w") as out:
                for number, item in enumerate(items):
                    lines: set[int] = set()

                    def local(frame: types.FrameType, event: str, _: object, lines: set[int] = lines) -> object:
                        lines.add(frame.f_lineno)
                        return local

                    def trace(frame: types.FrameType, event: str, _: object, local: object = local) -> object:
                        return local(frame, event, None) if frame.f_code.co_filename == file else None  # type: ignore[operator]

                    start = time.perf_counter()
                    sys.settrace(trace)
                    item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
                    sys.settrace(None)
                    if self.failed:
                        print(f"{item.nodeid} fails without a mutant", file=sys.__stderr__, flush=True)
                        lines, self.failed = set(), False
                    out.write(f"{number} {time.perf_counter() - start} {' '.join(map(str, sorted(lines)))}\n")
            os._exit(0)
        os.close(writer)
        comes: dict[int, set[int]] = defaultdict(set)
        seconds = [0.0] * len(items)
        with os.fdopen(reader) as told:
            for row in told:
                number, took, *lines_of = row.split()
                seconds[int(number)] = float(took)
                for line in lines_of:
                    comes[int(line)].add(int(number))
        os.waitpid(child, 0)
        return comes, seconds

    def outcome(self, mutant: Mutant, tree: ast.Module, file: str, items: list[pytest.Item], seconds: float) -> bool:
        """Whether a test fails on a mutant, or does not end."""
        if not items:
            return False
        if (child := os.fork()) == 0:
            signal.alarm(int(min(10 + 5 * seconds, self.most)) + 1)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(1, 2)
            swapped = swap(file, mutant.applied(tree))
            for item in items if swapped else []:
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
                if self.failed:
                    break
            os._exit(1 if self.failed else 0)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0


def main() -> int:
    """Mutants of each module in a process of its own; exit code 1 where fewer than the goal are killed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("modules", nargs="+", type=Path)
    parser.add_argument("--sample", type=int, default=0, help="mutants of each module, drawn; all if 0")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most", type=float, default=120.0, help="seconds after which a mutant is taken for killed")
    parser.add_argument("--tests", nargs="*", help="test files, in place of those of tests/guards.py")
    asked = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from tests.guards import guards

    made = killed = 0
    for module in (path.resolve() for path in asked.modules):
        reader, writer = os.pipe()
        if (child := os.fork()) == 0:
            plugin = Session(module, asked.sample, asked.seed, asked.most)
            tests = asked.tests or [f"tests/{name}.py" for name in guards(module.relative_to(ROOT).as_posix())]
            words = ["-p", "no:cacheprovider", "-p", "no:terminal", "--hypothesis-profile", "mutants"]
            code = pytest.main([*words, *(str(ROOT / test) for test in tests)], plugins=[plugin])
            os.write(writer, f"{plugin.made} {plugin.killed} {int(code)}".encode())
            os._exit(0)
        os.close(writer)
        told = os.fdopen(reader).read().split()
        os.waitpid(child, 0)
        if len(told) != 3 or told[0] == "0":
            print(f"{module}: no mutant was made: {told}")
            return 1
        made, killed = made + int(told[0]), killed + int(told[1])
    print(f"{killed} of {made} killed, {100 * killed / made:.0f} %")
    return 0 if killed >= 0.9 * made else 1


if __name__ == "__main__":
    sys.exit(main())
