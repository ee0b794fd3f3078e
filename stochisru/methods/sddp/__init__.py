"""Stochastic dual dynamic programming on a Markov lattice: cuts, passes, bounds."""
