"""Conformance checks for what users write: strategies, policies, methods, processes and problems."""

from stochisru.testing.methods import check_method
from stochisru.testing.policies import check_policy
from stochisru.testing.problems import check_problem
from stochisru.testing.processes import check_process
from stochisru.testing.strategies import check_strategy

__all__ = ["check_method", "check_policy", "check_problem", "check_process", "check_strategy"]
