"""Water and power of Saudi Arabia (thesis, Case Study II)."""
