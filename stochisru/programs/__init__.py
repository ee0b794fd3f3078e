"""Sparse linear and mixed-integer programs, piecewise linear curves in them, and the solvers that solve them."""
