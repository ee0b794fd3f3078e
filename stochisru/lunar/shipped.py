"""The cases that come with the package: their names and their texts."""

from __future__ import annotations

from importlib import resources
from typing import Literal

#: Shipped cases of the base problem.
Base = Literal["contested-market", "lunar-reference", "predecessor"]
#: Shipped cases with tables beyond the base problem: the default, and those of the literature.
General = Literal[
    "charania-2007-geo",
    "charania-2007-llo",
    "charania-2007-surface",
    "jones-hw-2021-100",
    "jones-hw-2021-300",
    "kornuta-2019-all",
    "kornuta-2019-eml1",
    "kornuta-2019-eml1-leo",
    "kornuta-2019-leo",
    "kornuta-2019-leo-moon",
    "kornuta-2019-moon",
    "kornuta-2019-moon-eml1",
    "metzger-2023",
    "regolith-oxygen",
    "roxy-2026-metals",
    "roxy-2026-oxygen",
    "sowers-2020-commercial",
    "sowers-2020-lunar",
    "sowers-2020-mars",
]
#: The case of the main job where none is named.
DEFAULT: General = "regolith-oxygen"


def shipped_cases() -> list[str]:
    """Names of the cases that come with the package."""
    folder = resources.files("stochisru.lunar") / "cases"
    return sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))


def described(name: str) -> str:
    """What a shipped case is, in one sentence: the comment on top of its file."""
    told: list[str] = []
    for line in case_text(name).splitlines():
        if not line.startswith("#"):
            break
        told.append(line.lstrip("# ").strip())
        if told[-1].endswith("."):
            break
    return " ".join(told)


def case_text(name: str) -> str:
    """TOML text of a shipped case."""
    return (resources.files("stochisru.lunar") / "cases" / f"{name}.toml").read_text(encoding="utf-8")
