"""Published studies of lunar propellant and oxygen: rerun, and what they say once demand is uncertain."""
