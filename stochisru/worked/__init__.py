"""Worked cases: each with its data, network or case, study, figures and commands, built on public names."""

#: The worked cases; each may have commands, a table ``COMMANDS`` in its module ``command``.
WORKED = ("mars", "saudi", "toy", "cislunar", "deployment", "scale", "literature")
