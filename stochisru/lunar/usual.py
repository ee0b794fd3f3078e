"""Values that are allowed but unusual for their symbol: most often another unit was meant.

The ranges are wide: studies of lunar oxygen and of other investments lie well inside. A value outside is used as given;
commands say so in one line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stochisru.lunar.tables.case import is_general

if TYPE_CHECKING:
    from stochisru.lunar.case import DeploymentCase
    from stochisru.lunar.tables.case import GeneralCase

#: Usual range of each symbol, in its unit; symbols that are not named have none.
USUAL: dict[str, tuple[float, float]] = {
    "T": (1, 100),
    "lead_time": (0, 15),
    "r": (0, 0.5),
    "P_m": (0, 1e7),
    "eta": (0.01, 500),
    "alpha": (1, 100),
    "beta": (0, 5),
    "M0": (0, 1e8),
    "degradation": (0, 0.3),
    "c_L": (50, 1e6),
    "c_dev": (0, 1e7),
    "c_op": (0, 1e7),
    "c_bu": (0, 1e7),
    "c_S": (0, 1e7),
    "c_by": (0, 1e7),
    "c_E": (0, 1e7),
    "D0": (0.1, 1e9),
    "mu": (-0.5, 1),
    "sigma": (0, 1.5),
    "lot": (1e-3, 1e6),
    "fixed_cost": (0, 1e11),
    "reference": (1e-3, 1e8),
    "c_dev_exponent": (0.3, 1.2),
    "eta_exponent": (0.8, 2),
}
#: Shares and rates that people also write in per cent.
_RATES = ("r", "degradation", "mu", "sigma")


def unusual(case: DeploymentCase | GeneralCase) -> list[str]:
    """A line for every value outside its usual range: symbol, value, range, and what may have been meant.

    Examples
    --------
    >>> from stochisru import load_case
    >>> from stochisru.lunar.usual import unusual
    >>> unusual(load_case("lunar-reference").replace(r=8))
    ['r: 8 is unusual, usually 0 to 0.5 1/yr; 8 % is written 0.08']
    """
    if is_general(case):  # numbers that move have no one range
        return []
    units = case.to_frame()["unit"]
    lines = []
    for symbol, (low, high) in USUAL.items():
        value = case.values[symbol]
        if value is None or value == 0 or low <= value <= high:  # 0 is none of it, in any unit
            continue
        unit = "" if units[symbol] == "-" else f" {units[symbol]}"
        line = f"{symbol}: {value:g} is unusual, usually {low:g} to {high:g}{unit}"
        if symbol in _RATES and low <= value / 100 <= high:
            line += f"; {value:g} % is written {value / 100:g}"
        lines.append(line)
    return lines
