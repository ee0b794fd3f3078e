"""Size and numbers of the stage programs, to look at before a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.lattice import MarkovLattice
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.stage_program import StagePrograms
from stochisru.lunar.storage import StoredCase
from stochisru.methods.sddp.method import STATES


@dataclass(frozen=True)
class ProblemReport:
    """What a run of SDDP is about to solve; ranges are smallest and largest absolute value that is not 0.

    Attributes
    ----------
    stages, states, models
        Stages 0..T, states in all, and programs: one per state.
    state_entries
        Entries of the state of a program, at most.
    rows, columns
        Of all programs together, before the first cut.
    matrix, objective, right_side, bounds
        Ranges of coefficients in the units of the programs.
    """

    stages: int
    states: int
    models: int
    state_entries: int
    rows: int
    columns: int
    matrix: tuple[float, float]
    objective: tuple[float, float]
    right_side: tuple[float, float]
    bounds: tuple[float, float]

    def __str__(self) -> str:
        def span(name: str, values: tuple[float, float]) -> str:
            return f"{name} {values[0]:.1e} to {values[1]:.1e}"

        ranges = ("matrix", "objective", "right_side", "bounds")
        return "\n".join(
            [
                f"stages {self.stages:,}, states {self.states:,}, programs {self.models:,}",
                f"rows {self.rows:,}, columns {self.columns:,}, entries of the state up to {self.state_entries}",
                "coefficients: " + ", ".join(span(name.replace("_", " "), getattr(self, name)) for name in ranges),
            ]
        )


def report_of(programs: StagePrograms) -> ProblemReport:
    """Report of stage programs."""
    stages, sizes = programs.stages, programs.lattice.sizes
    return ProblemReport(
        stages=len(stages),
        states=sum(sizes),
        models=sum(sizes),
        state_entries=max(stage.dimensions for stage in stages),
        rows=sum(n * stage.rows.shape[1] for n, stage in zip(sizes, stages, strict=True)),
        columns=sum(n * stage.columns for n, stage in zip(sizes, stages, strict=True)),
        matrix=_span([part for stage in stages for part in (stage.rows, stage.carry)]),
        objective=_span([stage.cost for stage in stages]),
        right_side=_span([side[np.isfinite(side)] for stage in stages for side in (stage.low, stage.high)]),
        bounds=_span([part for stage in stages for part in (stage.upper, stage.ceiling)]),
    )


def problem_report(
    case: DeploymentCase | StoredCase, lattice: MarkovLattice | None = None, *, states: int = STATES
) -> ProblemReport:
    """Report of the programs that `stochisru.methods.sddp.method.sddp` would solve with these arguments.

    Examples
    --------
    >>> from stochisru import load_case
    >>> from stochisru.lunar.stage_report import problem_report
    >>> print(str(problem_report(load_case("lunar-reference"), states=30)).splitlines()[0])
    stages 11, states 301, programs 301
    """
    return report_of(case.on_lattice(states if lattice is None else lattice))


def _span(parts: list[Array]) -> tuple[float, float]:
    sizes = np.abs(np.concatenate([part.ravel() for part in parts]))
    sizes = sizes[sizes > 0]
    return (float(sizes.min()), float(sizes.max())) if sizes.size else (0.0, 0.0)
