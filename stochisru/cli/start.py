"""The entry of the command line: it imports nothing, so that Ctrl-C is one line from the start."""

from __future__ import annotations

import os
import signal
from types import FrameType

#: What is said when a person or a batch system ends a run.
INTERRUPTED = "interrupted; nothing half-written was left"
#: Ctrl-C; the end of a job; the end of the connection.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def main() -> None:
    """Run a command; before its modules are imported and after it is done an interrupt ends the process at once."""
    listen(_end)
    from stochisru.cli.main import main as run

    try:
        run()
    finally:
        listen(_end)


def listen(handler: object) -> None:
    """Give signals that end a process to a handler, but those that are ignored, as by ``nohup``."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)  # type: ignore[arg-type]


def _end(number: int, frame: FrameType | None) -> None:
    """Nothing is at work: no traceback, whatever is being imported or taken down."""
    os.write(2, f"error: {INTERRUPTED}\n".encode())
    os._exit(130)
