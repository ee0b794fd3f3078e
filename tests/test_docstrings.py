"""Examples in docstrings run, and every public name of the packages has a docstring."""

import doctest
import importlib
import pkgutil

import pytest

import scenario_trees
import stochisru


def modules():
    for package in (scenario_trees, stochisru):
        yield package.__name__
        for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not info.name.endswith("__main__"):
                yield info.name


@pytest.mark.filterwarnings("ignore:.*is an old path:DeprecationWarning")
@pytest.mark.parametrize("name", sorted(modules()))
def test_docstring_examples(name):
    outcome = doctest.testmod(importlib.import_module(name), verbose=False)
    assert outcome.failed == 0


def test_public_names_exist_and_are_documented():
    for package in (scenario_trees, stochisru):
        for name in package.__all__:
            thing = getattr(package, name)
            assert thing.__doc__, name
