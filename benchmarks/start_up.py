"""Wall time of ``import stochisru`` and ``stochisru --help`` in a new process, on a warm cache.

Median of five after one run that is not counted. Goal: 0.6 s each.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

GOAL = 0.6
SCRIPT = Path(sys.executable).with_name("stochisru")
COMMANDS = {
    "python -c 'import stochisru'": [sys.executable, "-c", "import stochisru"],
    "stochisru --help": [*([str(SCRIPT)] if SCRIPT.exists() else [sys.executable, "-m", "stochisru"]), "--help"],
}


def seconds(command: list[str]) -> float:
    """Wall time of one run."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> int:
    """Print the table; return the exit code."""
    met = True
    print("seconds, median of 5")
    for name, command in COMMANDS.items():
        seconds(command)
        median = statistics.median(seconds(command) for _ in range(5))
        met &= median <= GOAL
        print(f"{name:<30}{median:.3f}  ({median / GOAL:.2f} of the goal of {GOAL} s)")
    print("goals met" if met else "GOAL MISSED")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
