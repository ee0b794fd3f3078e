"""Problems with published answers, each stated in a few lines by public names: what a problem of one's own looks like.

Every function gives a `Model` and the `MarkovLattice` of its factor; ``lattice.to_tree()`` is the scenario tree.
"""

from stochisru.worked.classics.expansion import generation_expansion
from stochisru.worked.classics.farmer import farmer
from stochisru.worked.classics.finance import financial_planning
from stochisru.worked.classics.garage import garage
from stochisru.worked.classics.hydro import fast_hydro_thermal, reservoir
from stochisru.worked.classics.lands import lands
from stochisru.worked.classics.lot_sizing import wagner_whitin
from stochisru.worked.classics.newsvendor import newsvendor, newsvendor_lognormal

__all__ = [
    "farmer",
    "fast_hydro_thermal",
    "financial_planning",
    "garage",
    "generation_expansion",
    "lands",
    "newsvendor",
    "newsvendor_lognormal",
    "reservoir",
    "wagner_whitin",
]
