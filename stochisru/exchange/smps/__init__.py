"""SMPS, the format of core, time and stoch file."""

from stochisru.exchange.smps.reading import read_smps
from stochisru.exchange.smps.writing import write_smps

__all__ = ["read_smps", "write_smps"]
