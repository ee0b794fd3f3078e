"""Problems and results as files of other tools: SMPS, StochOptFormat, MPS, LP, and tables for whatever reads tables."""

from stochisru.exchange.problems import read_problem, write_problem
from stochisru.exchange.results import iamc_table, tables_of, write_results
from stochisru.exchange.staged import StagedProgram, staged

__all__ = ["StagedProgram", "iamc_table", "read_problem", "staged", "tables_of", "write_problem", "write_results"]
