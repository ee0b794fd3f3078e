"""What every study shares: points computed in parallel and remembered on disk, and searches over them."""

from stochisru.studies.store import Execution, Study, run_study

__all__ = ["Execution", "Study", "run_study"]
