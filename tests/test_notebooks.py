"""Notebooks of the documents: their cells run, and give what is stored with them."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))


def text_of(source):
    return source if isinstance(source, str) else "".join(source)


def cells(name):
    book = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    return [cell for cell in book["cells"] if cell["cell_type"] == "code"]


def stored(cell):
    """What a cell printed, and its last value as text."""
    assert all(output["output_type"] in ("stream", "execute_result") for output in cell["outputs"]), cell["source"]
    printed = "".join(text_of(output["text"]) for output in cell["outputs"] if output["output_type"] == "stream")
    shown = [text_of(output["data"]["text/plain"]) for output in cell["outputs"] if "data" in output]
    return printed, shown[0] if shown else None


def test_there_are_two():
    assert len(NOTEBOOKS) >= 2


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_cells_give_what_is_stored(name, monkeypatch, capsys):
    monkeypatch.chdir(FOLDER)
    space = {"__name__": "__main__"}
    counts = []
    for k, cell in enumerate(cells(name)):
        tree = ast.parse(text_of(cell["source"]))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, f"{name}, cell {k}", "exec"), space)
        value = None if last is None else eval(compile(ast.Expression(last.value), f"{name}, cell {k}", "eval"), space)
        printed, shown = stored(cell)
        assert capsys.readouterr().out == printed, f"cell {k}"
        assert (None if value is None else repr(value)) == shown, f"cell {k}"
        counts.append(cell["execution_count"])
    assert counts == list(range(1, len(counts) + 1))  # run from top to bottom


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_kernel_runs_it(name, tmp_path):
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    run = "import sys, nbformat, nbclient; nbclient.NotebookClient(nbformat.read(sys.argv[1], 4)).execute()"
    done = subprocess.run(
        [sys.executable, "-c", run, str(FOLDER / f"{name}.ipynb")],
        cwd=FOLDER,
        env={**os.environ, "IPYTHONDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
