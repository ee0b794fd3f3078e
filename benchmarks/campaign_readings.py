"""What each open reading and each parameter of Figures 9-13 does to the relaxations of the four cells, billion $.

Relaxations are exact and repeat to the digit, so an effect of a few million dollars shows; searches with gaps of per
cents would hide it. The relaxation is that without cuts and levels, the same for every reading.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np

from stochisru.programs.sparse import solve
from stochisru.worked.cislunar.parameters import ARCHITECTURES, Campaign, Reading
from stochisru.worked.cislunar.program import campaign_program
from stochisru.worked.cislunar.sweep import SWEEPS, Sweep

READINGS: dict[str, dict[str, Any]] = {
    "the default reading": {},
    "ΔV LEO–EML1 0.2 km/s less": {"changes": {"delta_v_leo_eml1": 3.57}},
    "ΔV LEO–EML1 0.2 km/s more": {"changes": {"delta_v_leo_eml1": 3.97}},
    "electrolysis half a year after extraction": {"reading": Reading(same_half_year=False)},
    "plants in any window": {"reading": Reading(plants_in_any_window=True)},
    "initial plant DWE": {"reading": Reading(initial="DWE")},
    "no initial plant": {"reading": Reading(initial="none")},
    "launch of a stage not paid": {"reading": Reading(launch_of_stage_paid=False)},
    "stages do not return to LEO": {"reading": Reading(return_to_leo=False)},
    "stages deliver their own propellant": {"reading": Reading(delivers_own_propellant=True)},
    "what waits needs tanks": {"reading": Reading(storage_in_tanks=True)},
    "at most 40 t of cargo per stage": {"changes": {"stage_payload": 40_000.0}},
    "one new stage per window": {"changes": {"new_stages": 1.0}},
    "no price of a first tonne": {"changes": {"first_plant_price": 0.0}},
}


def relaxation(campaign: Campaign) -> float:
    """Optimum of the linear relaxation, billion $."""
    program = campaign_program(campaign, counts=False).program
    return solve(replace(program, integer=np.zeros_like(program.integer))).objective / 1e9


def sweeps() -> None:
    """Print a line per parameter and value of Figures 9-13, without and with a set-up year."""
    for name, axis in SWEEPS.items():
        for value in axis.values:
            sweep = Sweep(parameters=(name,), values=(value,))
            base = sweep.campaign(sweep.point(name, value))
            found = [
                relaxation(base.replace(architecture=a, setup=setup)) if base.years > 1 or not setup else float("nan")
                for setup in (False, True)
                for a in ARCHITECTURES
            ]
            shown = " | ".join(f"{v:.3f}" for v in found)
            sys.stdout.write(f"| Figure {axis.figure}: {name} {value:g} | {shown} |\n")
            sys.stdout.flush()


def main() -> None:
    """Print a line per reading."""
    cells = [(a, setup) for setup in (False, True) for a in ARCHITECTURES]
    sys.stdout.write("| reading | " + " | ".join(f"{a}{', set-up' if s else ''}" for a, s in cells) + " |\n")
    sys.stdout.write("|---|" + "---|" * len(cells) + "\n")
    base: list[float] = []
    for name, given in READINGS.items():
        found = [relaxation(Campaign(architecture=a, setup=s, **given)) for a, s in cells]
        base = base or found
        shown = [
            f"{value:.3f}" if not given else f"{100 * (value / first - 1) + 0.0:+.1f} %".replace("-0.0", "0.0")
            for value, first in zip(found, base, strict=True)
        ]
        sys.stdout.write(f"| {name} | " + " | ".join(shown) + " |\n")
        sys.stdout.flush()
    sweeps()


if __name__ == "__main__":
    main()
