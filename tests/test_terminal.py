"""What a terminal of 80 columns shows: words may fold, numbers are whole."""

from __future__ import annotations

import os
import pty
import re
import struct
import sys

import pandas as pd
import pytest

from stochisru.terminal import money_unit, print_frame


def _on_a_terminal(columns: int, *command: str) -> str:
    """What a command prints on a terminal of that width, without colours and progress."""
    fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
    child, descriptor = pty.fork()
    if child == 0:
        os.environ.pop("COLUMNS", None)
        os.execv(sys.executable, [sys.executable, *command])
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    seen = b""
    while True:
        try:
            part = os.read(descriptor, 4096)
        except OSError:  # the end of a pseudo-terminal on Linux
            break
        if not part:
            break
        seen += part
    os.waitpid(child, 0)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode())
    return plain.replace("\r\n", "\n")


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_no_number_is_cut_at_eighty_columns() -> None:
    text = _on_a_terminal(80, "-m", "stochisru", "simulate", "lunar-reference", "--horizon", "3", "--paths", "300")
    table = text[text.index("lunar-reference (changed") :]
    assert "…" not in table
    assert "$ million" in table
    for metric in ("npv_mean", "cvar95", "p_positive", "self_sufficiency", "utilization", "share_upper"):
        assert metric in table
    rows = [line for line in table.splitlines() if line.startswith(("strategy", "moderate"))]
    assert max(map(len, rows)) <= 80
    assert len(rows) >= 6, "two tables, each with more columns than 80 characters hold"


def test_blocks_repeat_the_first_column(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"name": ["a", "b"], **{f"column_{k}": [1234567.0 + k, -0.125] for k in range(9)}})
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    print_frame(frame, "wide")
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().out)
    lines = [line.rstrip() for line in text.splitlines()]
    assert max(map(len, lines)) <= 40
    assert [line.split()[0] for line in lines if line and line != "wide"] == ["name", "a", "b"] * 3
    assert all(f"1,234,{567 + k}" in text for k in range(9))


@pytest.mark.parametrize(
    ("amounts", "unit", "size"),
    [([2e6, -5e7], "$ million", 1e6), ([float("nan"), -2e3], "$ thousand", 1e3), ([0.0], "$", 1.0), ([], "$", 1.0)],
)
def test_money_is_in_the_unit_of_its_largest(amounts: list[float], unit: str, size: float) -> None:
    assert money_unit(amounts) == (unit, size)
