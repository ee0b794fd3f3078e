"""What every study shares: points computed in parallel and remembered on disk, searches over them."""
