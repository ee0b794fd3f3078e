"""Routes to Mars with resources made on the way (thesis, Case Study I), and lunar parameters from the same network."""
