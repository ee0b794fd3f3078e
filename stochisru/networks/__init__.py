"""Generalised multi-commodity network flows: a library, and the Mars, toy and Saudi cases on it."""
