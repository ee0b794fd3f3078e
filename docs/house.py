"""Pages that are made when the docs are built: the table of methods, and the picture of the rooms."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from stochisru.lunar.case import load_case
from stochisru.methods.options import default_in_words, options_of
from stochisru.methods.registry import methods

#: Rooms from the lowest up, as `tests/test_directions.py` has them, with what each is for.
ROOMS = (
    (("scenario_trees", "processes, trees, lattices"),),
    (("programs", "sparse programs, curves, solvers"),),
    (("protocols", "signatures that rooms share"), ("terminal", "what commands share")),
    (("problem", "a problem, stated once: parts, model, information"),),
    (("methods", "registry, extensive form, hedging, SDDP"),),
    (("simulation", "metrics with intervals"), ("values", "WS, RP, EV and differences")),
    (("networks", "commodity networks"), ("studies", "points, folders")),
    (("exchange", "files of other tools"), ("report", "figures, page")),
    (("lunar", "the shipped problem: case, exact methods, strategies, values, studies"),),
    (("worked", "mars, saudi, toy, cislunar, deployment, scale, literature"),),
    (("cli", "the command line"),),
)
_WIDTH, _HEIGHT, _GAP = 720, 46, 14


def picture() -> str:
    """Rooms as SVG: a room may import those that stand below it."""
    rows = list(reversed(ROOMS))
    total = len(rows) * (_HEIGHT + _GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {total}" font-family="sans-serif" '
        f'font-size="13" role="img"><title>Rooms of the package, each above those that it may import</title>'
    ]
    for k, row in enumerate(rows):
        width = (_WIDTH - 2 - _GAP * (len(row) - 1)) / len(row)
        for i, (name, what) in enumerate(row):
            x, y = 1 + i * (width + _GAP), k * (_HEIGHT + _GAP) + 1
            parts.append(
                f'<rect x="{x:.0f}" y="{y}" width="{width:.0f}" height="{_HEIGHT}" rx="4" fill="none" '
                f'stroke="currentColor"/><text x="{x + width / 2:.0f}" y="{y + 19}" text-anchor="middle" '
                f'font-weight="bold" fill="currentColor">{name}</text><text x="{x + width / 2:.0f}" y="{y + 36}" '
                f'text-anchor="middle" font-size="11" fill="currentColor">{escape(what)}</text>'
            )
        if k < len(rows) - 1:
            y = k * (_HEIGHT + _GAP) + _HEIGHT + 2
            parts.append(
                f'<path d="M{_WIDTH / 2:.0f} {y} v{_GAP - 4} m-4 -4 l4 4 l4 -4" fill="none" stroke="currentColor"/>'
            )
    return "".join([*parts, "</svg>\n"])


def methods_table() -> str:
    """What each method is, as a Markdown table."""
    lines = ["| method | what it is | works on | options |", "|---|---|---|---|"]
    made = {"tree": ("branching", "quantization"), "lattice": ("states",)}
    for name, method in methods().items():
        taken = [*made.get(str(method.on), ()), *options_of(method.options)]
        options = ", ".join(f"`--{option.replace('_', '-')}`" for option in taken) or "none"
        lines.append(f"| `{name}` | {method.summary} | {method.on} | {options} |")
    return "\n".join(lines) + "\n"


#: Problems that methods take or refuse, by what is new in each.
_PROBLEMS = {
    "linear costs": {},
    "limit from Earth": {"earth_limit": 500.0},
    "modules": {"lot": 50.0},
    "cost concave in size": {"reference": 1000.0, "c_dev_exponent": 0.8},
    "cost convex in size": {"reference": 1000.0, "c_dev_exponent": 1.3},
    "modules that degrade": {"lot": 50.0, "degradation": 0.05},
}


def takes_table() -> str:
    """What each method takes, and what its bracket rests on at the least, as a Markdown table."""
    base = load_case("lunar-reference")
    cases = {what: base.replace(**changed) for what, changed in _PROBLEMS.items()}
    lines = [f"| method | {' | '.join(cases)} |", "|---" * (len(cases) + 1) + "|"]
    for name, method in methods().items():
        cells = ["no" if method.refuses(case) else str(method.kind(case)) for case in cases.values()]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def options_table() -> str:
    """Every option of every method, as Markdown tables."""
    parts = []
    for name, method in methods().items():
        rows = options_of(method.options)
        if not rows:
            continue
        parts += [f"### {name}", "", "| option | meaning | range | default |", "|---|---|---|---|"]
        for option, (default, about) in rows.items():
            words = default_in_words(default, about) or "off"
            meaning = about.help + (f" ({about.unit})" if about.unit else "")
            parts.append(f"| `--{option.replace('_', '-')}` | {meaning} | {about.allowed or 'any'} | {words} |")
        parts.append("")
    return "\n".join(parts)


def citation() -> str:
    """The citation file as BibTeX in a block of Markdown."""
    lines = (Path(__file__).parent.parent / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    said = {key: text.strip().strip('"') for key, _, text in (line.partition(":") for line in lines)}
    authors = " and ".join(
        "{" + text.strip('"') + "}" for line in lines for _, _, text in [line.partition("- name: ")] if text
    )
    fields = {
        "author": authors,
        "title": said["title"],
        "version": said["version"],
        "year": said["date-released"][:4],
        "note": f"{said['license']} licence",
    }
    entry = "\n".join(f"  {key:<8}= {{{text}}}," for key, text in fields.items())
    return f"```bibtex\n@software{{stochisru,\n{entry}\n}}\n```\n"


def put(path: Path, text: str) -> None:
    """Write a made page, and leave one that says the same already, so that Sphinx does not read it again."""
    path.parent.mkdir(exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def write(folder: Path) -> None:
    """Write all made pages into a folder."""
    for name, text in (
        ("methods.md", methods_table()),
        ("takes.md", takes_table()),
        ("options.md", options_table()),
        ("citation.md", citation()),
        ("house.svg", picture()),
    ):
        put(folder / name, text)
