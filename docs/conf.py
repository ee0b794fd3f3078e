"""Configuration of the Sphinx site: sphinx-build -W -b html docs docs/_build/html."""

import re
import sys
from importlib.metadata import version as _installed
from pathlib import Path

from pydantic import BaseModel

project = "stochisru"
author = "The stochisru developers"
project_copyright = author
release = version = _installed("stochisru")
language = "en"

sys.path.insert(0, str(Path(__file__).parent))
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "formulas"]
html_math_renderer = "mathml"
#: Pieces that pages include. Notebooks become pages of their own in `_made`.
exclude_patterns = [
    "_build",
    *(
        f"_made/{name}.md"
        for name in (
            "methods",
            "takes",
            "options",
            "citation",
            "literature",
            "mars",
            "toy",
        )
    ),
]
default_role = "py:obj"

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_type_aliases = {name: name for name in ("Array", "ArrayLike", "Index", "Mask", "Sense")}
autodoc_default_options = {"members": True, "exclude-members": "model_config"}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_google_docstring = False
napoleon_use_ivar = True

# Attributes in field lists are looked up by name alone, and several classes share one.
suppress_warnings = ["ref.python"]

html_theme = "furo"
html_title = f"stochisru {release}"


def _absolute_values(app, what, name, obj, options, lines):
    """Let |x| in a docstring mean an absolute value, not a reStructuredText substitution."""
    for i, line in enumerate(lines):
        parts = re.split(r"(``.*?``)", line)
        parts[::2] = [re.sub(r"\|(\w+)\|", r"\\|\1\\|", part) for part in parts[::2]]
        lines[i] = "".join(parts)


def _plain_signature(app, what, name, obj, options, signature, returns):
    """Leave out the signatures of pydantic models: the page on cases has their keys and ranges."""
    if what == "class" and issubclass(obj, BaseModel):
        return "", None
    return None


def _make_pages(app):
    """Make the pages that are made, before the documents are read; other sources with this configuration need none."""
    if Path(app.srcdir) != Path(__file__).parent:
        return
    import house
    import notebook_pages
    import printed

    for module in (house, printed, notebook_pages):
        module.write(Path(__file__).parent / "_made")


def setup(app):
    app.connect("builder-inited", _make_pages)
    app.connect("autodoc-process-signature", _plain_signature)
    app.connect("autodoc-process-docstring", _absolute_values)
