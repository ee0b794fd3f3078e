"""The thesis' small network of water and power, with what its text says of it as oracle."""
