"""Commands of the frozen table, run as ``python -m stochisru`` runs them, in this process."""

from __future__ import annotations

import contextlib
import io
import json
import runpy
import shlex
import signal
import sys
from collections.abc import Iterator
from typing import Any

from tests.frozen.methods import number

#: Command lines; those that succeed write JSON to standard output.
COMMANDS: tuple[str, ...] = (
    "solve lunar-reference --horizon 2 --branching 3,2 --json -",
    "solve lunar-reference --horizon 2 --branching 3,2 --method dp --json -",
    "solve lunar-reference --horizon 2 --branching 3,2 --method ph --json -",
    "solve lunar-reference --horizon 2 --method sddp --states 3 --rel-gap 1e-7 --json -",
    "solve lunar-reference --horizon 2 --method sddp --states 3 --risk-weight 0.3 --risk-tail 0.2 --json -",
    "solve lunar-reference --horizon 2 --method sddp --states 3 --boil-off 0.05 --store-capacity 200 --json -",
    "solve lunar-reference --horizon 2 --method threshold --json -",
    "solve lunar-reference --horizon 2 --branching 3,2 --lot 50 --fixed-cost 2e6 --rel-gap 1e-6 --json -",
    "solve lunar-reference --horizon 2 --branching 3,2 --lot 50 --fixed-cost 2e6 --method dp --json -",
    "solve lunar-reference --horizon 2 --lot 50 --fixed-cost 2e6 --method threshold --json -",
    "solve lunar-reference --horizon 2 --lot 50 --fixed-cost 2e6 --method sddp --states 3 --rel-gap 1e-7 --json -",
    "solve lunar-reference --horizon 4 --branching 3,2,2,2 --method ph --iterations 1 --rel-gap 1e-9 --json -",
    "value predecessor --horizon 2 --branching 3,2 --json -",
    "value predecessor --horizon 2 --on tree --quantization equal-probability --branching 2,2 --json -",
    "value contested-market --horizon 3 --on lattice --states 5 --paths 256 --json -",
    "value contested-market --horizon 3 --on process --paths 256 --json -",
    "simulate lunar-reference --horizon 3 --strategies reactive,threshold,static --paths 64 --seed 7 --json -",
    "solve",
    "solve no-such-case",
    "solve lunar-reference --method simplex",
    "solve lunar-reference --horizon 0",
    "solve lunar-reference --horizon 2 --branching 3,x",
    "solve lunar-reference --horizon 2 --branching 3,2,2",
    "solve lunar-reference --horizon 2 --branching 3,0",
    "solve lunar-reference --horizon 2 --branching 3,2 --quantization gauss",
    "solve lunar-reference --horizon 2 --branching 3,2 --solver cplex",
    "solve lunar-reference --horizon 2 --branching 3,2 --lot 0",
    "solve lunar-reference --horizon 2 --branching 3,2 --fixed-cost -1",
    "solve lunar-reference --horizon 2 --branching 3,2 --lot 50 --rel-gap 1",
    "solve lunar-reference --horizon 2 --branching 3,2 --lot 50 --time-limit 0",
    "solve lunar-reference --horizon 2 --branching 3,2 --method dp --rel-gap 1e-3",
    "solve lunar-reference --horizon 2 --branching 3,2 --method ph --rel-gap -1",
    "solve lunar-reference --horizon 2 --branching 3,2 --method ph --iterations 0",
    "solve lunar-reference --horizon 2 --branching 3,2 --method ph --cut-stage 5",
    "solve lunar-reference --horizon 2 --branching 3,2 --method ph --proximal cubic",
    "solve lunar-reference --horizon 2 --branching 3,2 --method ph --resume",
    "solve lunar-reference --horizon 2 --branching 3,2 --method sddp",
    "solve lunar-reference --horizon 2 --branching 3,2 --states 4",
    "solve lunar-reference --horizon 2 --method threshold --seed 1",
    "solve lunar-reference --horizon 2 --method threshold --solver highs",
    "solve lunar-reference --horizon 2 --method sddp --states 0",
    "solve lunar-reference --horizon 2 --method sddp --passes 0",
    "solve lunar-reference --horizon 2 --method sddp --workers 0",
    "solve lunar-reference --horizon 2 --method sddp --seed -1",
    "solve lunar-reference --horizon 2 --method sddp --risk-tail 0.2",
    "solve lunar-reference --horizon 2 --method sddp --risk-weight 2",
    "solve lunar-reference --horizon 2 --method sddp --store-capacity 10",
    "solve lunar-reference --horizon 2 --method sddp --boil-off 1",
    "solve lunar-reference --horizon 2 --method sddp --lot 50 --boil-off 0.1",
    "solve lunar-reference --horizon 2 --method sddp --lot 50 --risk-weight 0.5",
    "value lunar-reference --on forest",
    "value lunar-reference --on lattice --branching 2,2",
    "value lunar-reference --on tree --paths 10",
    "value lunar-reference --on process --states 10",
    "value lunar-reference --horizon 2 --paths 0",
    "value lunar-reference --horizon 2 --sampler random",
    "value lunar-reference --horizon 2 --on lattice --states -1",
    "value lunar-reference --horizon 2 --branching 2",
    "simulate lunar-reference --strategies clairvoyant",
    "simulate lunar-reference --paths 0",
    "simulate lunar-reference --strategies reactive --branching 2,2",
    "case check no-such-file.toml",
    "no-such-command",
)
#: Numbers of the answer that are kept, where a command has them.
_KEPT = (
    "objective", "horizon", "nodes", "leaves", "ws", "rp", "ev", "eev", "static", "fixed", "evpi", "vss", "vms",
    "flexibility", "method", "of", "paths",
)  # fmt: skip


def run_command(line: str) -> dict[str, Any]:
    """Exit code, and the numbers of the JSON that was written."""
    out, err = io.StringIO(), io.StringIO()
    code: Any = 0
    with _as_command(line), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            runpy.run_module("stochisru", run_name="__main__")
        except SystemExit as left:
            code = left.code
    answer: dict[str, Any] = {"exit": code or 0}
    if code == 2:
        return answer | {"lines": len(err.getvalue().splitlines())}
    told = json.loads(out.getvalue())
    answer |= {key: number(v) if isinstance(v := told[key], float) else v for key in _KEPT if key in told}
    if "bounds" in told:
        answer |= {key: number(told["bounds"][key]) for key in ("lower", "upper")}
        answer |= {"kind": told["bounds"]["kind"], "of": told["bounds"]["of"]}
        answer |= {key: told["termination"][key] for key in ("reason", "limit")}
    for name, metrics in told.get("strategies", {}).items():
        answer[f"{name} npv_mean"] = number(metrics["npv_mean"])
    return answer


@contextlib.contextmanager
def _as_command(line: str) -> Iterator[None]:
    """The arguments of a command, and the handler of signals that it sets taken back."""
    arguments, handler = sys.argv, signal.getsignal(signal.SIGTERM)
    sys.argv = ["stochisru", *shlex.split(line)]
    try:
        yield
    finally:
        sys.argv = arguments
        signal.signal(signal.SIGTERM, handler)
