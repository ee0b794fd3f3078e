"""Formulas as MathML, which browsers show by themselves: pages fetch no script and can be read offline."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx

#: A wide formula scrolls by itself, and the limits of sums are not cut off.
_ROOM = "overflow-x: auto; overflow-y: hidden; padding: 0.6em 0"


def mathml(formula: str, display: bool = False) -> str:
    """A formula of TeX as a MathML element."""
    return convert(formula.strip(), display="block" if display else "inline")


def _inline(writer: Any, node: nodes.math) -> None:
    writer.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def _display(writer: Any, node: nodes.math_block) -> None:
    writer.body.append(f'<div style="{_ROOM}">{mathml(node.astext(), display=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Name the renderer `mathml`."""
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
