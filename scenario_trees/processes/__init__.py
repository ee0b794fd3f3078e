"""Stochastic processes of the factors, one module per process."""
