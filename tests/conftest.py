import io
import os
import shutil
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import matplotlib as mpl
import pytest
from hypothesis import HealthCheck, Phase, settings

from stochisru import load_case
from stochisru.cli.main import main
from stochisru.cli.start import SIGNALS
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
def run_cli(tmp_path, monkeypatch):
    """Run a command in an empty folder: in this process, or in one of its own with another environment (``env``)."""

    def call(*arguments, check=None, cwd=tmp_path, env=None):
        words = [str(argument) for argument in arguments]
        if env is None:
            outcome = run_here(words, cwd, monkeypatch)
        else:
            command = [sys.executable, "-m", "stochisru", *words]
            outcome = subprocess.run(
                command, cwd=cwd, capture_output=True, text=True, timeout=300, env={**os.environ, **env}
            )
        if check is not None:
            assert outcome.returncode == check, outcome.stderr
        return outcome

    return call


def run_here(words, cwd, monkeypatch):
    """Outcome of a command, as of a process, without the seconds that one takes to start."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        with monkeypatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.chdir(cwd)
            patch.setattr(sys, "argv", ["stochisru", *words])
            with pytest.raises(SystemExit) as ended:
                main()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    said = (stream.buffer.getvalue().decode() for stream in (out, err))
    return subprocess.CompletedProcess(words, ended.value.code or 0, *said)


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
