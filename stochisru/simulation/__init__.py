"""What simulated values say: metrics with intervals."""
