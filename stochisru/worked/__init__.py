"""Worked cases: each with its data, network or case, study, figures and commands, built on public names."""
