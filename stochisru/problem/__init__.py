"""A problem, stated once: parts, model, information, and the programs that follow from them."""

from stochisru.problem.coefficients import Coefficient, Factor, Factors
from stochisru.problem.evaluate import Evaluation, evaluate
from stochisru.problem.information import Fixed, Held, Information, Recourse, Static, WaitAndSee, held
from stochisru.problem.model import Model
from stochisru.problem.on_tree import TreeProgram, on_tree
from stochisru.problem.parts import Decision, Expression, Operation, Part, Row, State
from stochisru.problem.paths import chain, fan, mean_path

__all__ = [
    "Coefficient",
    "Decision",
    "Evaluation",
    "Expression",
    "Factor",
    "Factors",
    "Fixed",
    "Held",
    "Information",
    "Model",
    "Operation",
    "Part",
    "Recourse",
    "Row",
    "State",
    "Static",
    "TreeProgram",
    "WaitAndSee",
    "chain",
    "evaluate",
    "fan",
    "held",
    "mean_path",
    "on_tree",
]
