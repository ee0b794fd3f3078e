import os
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest
from hypothesis import HealthCheck, Phase, settings

from stochisru import load_case
from tests.slow import slow_tests

mpl.use("Agg")
# Pyomo hands models to HiGHS through deprecated names of highspy; that is between the two of them.
settings.register_profile(
    "ci", deadline=None, max_examples=25, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("nightly", settings.get_profile("ci"), max_examples=100)
# A mutant that is found need not be made small.
settings.register_profile("mutants", settings.get_profile("ci"), phases=[Phase.explicit, Phase.generate])
settings.load_profile("ci")


@pytest.hookimpl(tryfirst=True)  # before -m is looked at
def pytest_collection_modifyitems(items):
    slow = slow_tests()
    for item in items:
        if item.nodeid in slow:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def reference():
    return load_case("lunar-reference")


@pytest.fixture
def run_cli(tmp_path):
    """Run the installed command in a process of its own, in an empty folder."""

    def call(*arguments, check=None, cwd=tmp_path, env=None):
        outcome = subprocess.run(
            [sys.executable, "-m", "stochisru", *map(str, arguments)],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, **(env or {})},
        )
        if check is not None:
            assert outcome.returncode == check, outcome.stderr
        return outcome

    return call


@pytest.fixture(scope="session")
def root():
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def browser():
    found = shutil.which("chromium")
    if not found and not os.environ.get("CI"):
        pytest.skip("the tests of the page need chromium on the path: apt-get install chromium")
    assert found
    return found
