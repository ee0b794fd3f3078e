"""Print the lowest versions that pyproject.toml states, as constraints for pip."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path


def lowest() -> list[str]:
    """``name==version`` of every requirement, those of extras too; stubs are for checkers of types alone."""
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    stated = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    found = [re.match(r"([\w.-]+)(?:\[[\w,]+\])?>=([\d.]+)", requirement) for requirement in stated]
    missing = [requirement for requirement, match in zip(stated, found, strict=True) if match is None]
    if missing:
        raise SystemExit(f"no lowest version: {', '.join(missing)}")
    lines = [f"{match[1]}=={match[2]}" for match in found if match and not match[1].endswith("-stubs")]
    return list(dict.fromkeys(lines))


if __name__ == "__main__":
    print(*lowest(), sep="\n")
