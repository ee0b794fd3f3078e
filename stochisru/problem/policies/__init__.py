"""Policies of any model: what they see, some of them, and what they come to on paths of the factor."""

from stochisru.problem.policies.at_nodes import AtNodes
from stochisru.problem.policies.by_cuts import ByCuts
from stochisru.problem.policies.by_growth import ByGrowth
from stochisru.problem.policies.follow import Followed, follow
from stochisru.problem.policies.planned import Planned
from stochisru.problem.policies.protocol import Policy, Seen

__all__ = ["AtNodes", "ByCuts", "ByGrowth", "Followed", "Planned", "Policy", "Seen", "follow"]
