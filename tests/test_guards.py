"""Each file of the library is guarded by test files that can be named."""

import re
from fnmatch import fnmatch
from pathlib import Path

import scenario_trees
import stochisru
from tests.guards import GUARDS, guards
from tests.slow import DAILY, slow_tests


def files():
    for package in (scenario_trees, stochisru):
        folder = Path(package.__file__).parent
        yield from (path.relative_to(folder.parent).as_posix() for path in folder.rglob("*.py"))


def test_every_file_has_guards_that_exist(root):
    found = {file: guards(file) for file in files()}
    assert [file for file, names in found.items() if not names] == []
    missing = {name for names in found.values() for name in names if not (root / "tests" / f"{name}.py").is_file()}
    assert missing == set()


def test_no_pattern_is_dead():
    used = {next(pattern for pattern in GUARDS if fnmatch(file, pattern)) for file in files()}
    assert set(GUARDS) - used == set()


def test_slow_tests_are_tests(root):
    """A function that has another name now would run by day again, unseen."""
    names = {name.partition("[")[0] for name in (*slow_tests(), *DAILY)}
    missing = [
        name
        for name in names
        if not re.search(
            rf"^def {name.rpartition('::')[2]}\(", (root / name.partition("::")[0]).read_text(), re.MULTILINE
        )
    ]
    assert missing == []
