"""Methods without a solver: layers and levels of plant, threshold; each says when it applies."""
