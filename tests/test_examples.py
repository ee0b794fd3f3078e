"""The scripts of the documents are short, run, and print what the page says."""

import contextlib
import io
import re
import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "questions.md").read_text(encoding="utf-8")
#: Script, and what the page says that it prints.
SHOWN = dict(re.findall(r"```\{literalinclude\} examples/(\w+\.py)\n.*?```text\n(.*?)```", PAGE, flags=re.DOTALL))


def test_the_page_shows_all_scripts():
    assert sorted(SHOWN) == sorted(path.name for path in (DOCS / "examples").glob("*.py"))
    assert len(SHOWN) >= 10


@pytest.mark.parametrize("name", SHOWN)
def test_a_script_is_short_and_prints_what_the_page_says(name, monkeypatch):
    path = DOCS / "examples" / name
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 20
    monkeypatch.chdir(DOCS.parent)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        runpy.run_path(str(path), run_name="__main__")
    assert [line.rstrip() for line in printed.getvalue().splitlines()] == [
        line.rstrip() for line in SHOWN[name].splitlines()
    ]
