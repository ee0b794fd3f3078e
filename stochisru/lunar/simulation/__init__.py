"""Monte Carlo simulation of strategies: the public names of this folder."""

from stochisru.lunar.simulation.following import follow
from stochisru.lunar.simulation.monte_carlo import npv_on_paths, simulate
from stochisru.lunar.simulation.outcome import Simulation
from stochisru.lunar.simulation.panel import simulate_panel

__all__ = ["Simulation", "follow", "npv_on_paths", "simulate", "simulate_panel"]
