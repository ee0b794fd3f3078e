"""Notebooks as pages: their text, code and outputs as they are stored, without running them again."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from house import put

NOTEBOOKS = Path(__file__).parent / "notebooks"


def _text(source: str | list[str]) -> str:
    """Text of a notebook, which may be a list of lines."""
    return source if isinstance(source, str) else "".join(source)


def _output(output: dict[str, Any], picture: Path) -> str:
    """What a cell gave, as Markdown; a picture goes to a file."""
    if output["output_type"] == "stream":
        return f"```text\n{_text(output['text']).rstrip()}\n```\n"
    data = output["data"]
    if "image/png" in data:
        picture.write_bytes(base64.b64decode(_text(data["image/png"])))
        return f"![Figure of the cell above]({picture.name})\n"
    if "text/html" in data:
        return f"```{{raw}} html\n{_text(data['text/html'])}\n```\n"
    return f"```text\n{_text(data['text/plain']).rstrip()}\n```\n"


def page(notebook: Path, folder: Path) -> str:
    """A notebook as Markdown, with a link to the file."""
    parts = []
    for k, cell in enumerate(json.loads(notebook.read_text(encoding="utf-8"))["cells"]):
        source = _text(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source + "\n")
            continue
        parts.append(f"```python\n{source}\n```\n")
        for i, output in enumerate(cell["outputs"]):
            parts.append(_output(output, folder / f"{notebook.stem}-{k}-{i}.png"))
    parts.insert(1, f"The notebook itself: {{download}}`{notebook.name} <../notebooks/{notebook.name}>`.\n")
    return "\n".join(parts)


def write(folder: Path) -> None:
    """Write the page of each notebook into a folder."""
    folder.mkdir(exist_ok=True)
    for notebook in sorted(NOTEBOOKS.glob("*.ipynb")):
        put(folder / f"{notebook.stem}.md", page(notebook, folder))
