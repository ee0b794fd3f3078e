"""Progressive hedging on subtrees: mpi-sppy's engine, hub and spokes, bounds."""
