"""What to order this year, from a history of demand."""

from stochisru.lunar.deciding.belief import Belief
from stochisru.lunar.deciding.decide import Advice, decide

__all__ = ["Advice", "Belief", "decide"]
