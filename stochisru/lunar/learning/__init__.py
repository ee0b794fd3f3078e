"""Learning by doing: development and manufacture become cheaper with what was built before."""
