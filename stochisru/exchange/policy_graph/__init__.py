"""StochOptFormat (``.sof.json``): a policy graph of subproblems, as SDDP.jl reads and writes it."""

from stochisru.exchange.policy_graph.reading import read_stochoptformat
from stochisru.exchange.policy_graph.writing import write_lattice_problem, write_stochoptformat

__all__ = ["read_stochoptformat", "write_lattice_problem", "write_stochoptformat"]
