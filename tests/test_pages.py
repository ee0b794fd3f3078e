"""Pages of the documents: formulas are MathML, and nothing is fetched from elsewhere."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("sphinx")
pytest.importorskip("latex2mathml")

DOCS = Path(__file__).parents[1] / "docs"
#: Attributes whose address a browser fetches by itself. `href` of an `a` is followed by the reader alone.
FETCHED = {"src", "srcset", "data", "poster", "action"}
ELSEWHERE = re.compile(r"^\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)


class Fetched(HTMLParser):
    """Collects what a page asks for from another place."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            asked = name in FETCHED or (tag == "link" and name == "href")
            if asked and ELSEWHERE.match(value or ""):
                self.found.append(f"{tag} {name}={value}")


def fetched(page: str) -> list[str]:
    reader = Fetched()
    reader.feed(page)
    return [*reader.found, *re.findall(r"@import[^;]*//[^;]*", page)]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The page of the formulation, by the configuration of the documents."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("out")
    (source / "index.md").write_text((DOCS / "formulation.md").read_text(encoding="utf-8"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-b", "html", "-c", str(DOCS), str(source), str(out)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return out


def test_a_page_from_elsewhere_is_noticed():
    assert fetched('<script src="https://cdn.example/x.js"></script><a href="https://example.org">x</a>') == [
        "script src=https://cdn.example/x.js"
    ]
    assert fetched('<link rel="stylesheet" href="//cdn.example/x.css"><img src="_static/x.png">') == [
        "link href=//cdn.example/x.css"
    ]


def test_formulas_are_mathml_and_nothing_is_fetched(built):
    page = (built / "index.html").read_text(encoding="utf-8")
    formulas = re.findall(r"<math.*?</math>", page, re.DOTALL)
    source = (DOCS / "formulation.md").read_text(encoding="utf-8")
    assert len(formulas) >= source.count("$$") // 2 > 0
    for formula in formulas:
        text = "".join(ElementTree.fromstring(formula).itertext())
        assert "\\" not in text, text  # a command of TeX that was not understood
    assert not fetched(page)
    for sheet in (built / "_static").rglob("*.css"):
        css = sheet.read_text(encoding="utf-8")
        assert not re.findall(r"(?:@import|url\()\s*['\"]?(?:https?:)?//", css), sheet


def test_no_page_of_the_whole_site_fetches():
    pages = sorted((DOCS / "_build" / "html").glob("*.html"))
    if not pages:
        pytest.skip("the site is not built here")
    found = {page.name: fetched(page.read_text(encoding="utf-8")) for page in pages}
    assert not {name: what for name, what in found.items() if what}
