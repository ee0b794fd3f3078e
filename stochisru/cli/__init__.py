"""The command line: ``stochisru …``."""
