"""matplotlib, whatever backend the environment names."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from types import ModuleType


def matplotlib() -> ModuleType:
    """The module, imported whatever MPLBACKEND says: figures are drawn without a backend.

    A notebook puts its own backend there, which need not be installed where this process runs; matplotlib then refuses
    to be imported. One that is installed stays chosen, for figures of the user's own.
    """
    backend = None if "matplotlib" in sys.modules else os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib as mpl
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend:
        with suppress(ValueError):
            mpl.rcParams["backend"] = backend
    return mpl
