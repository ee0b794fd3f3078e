"""Methods are found by a word, chosen by what they refuse and what their bracket rests on, and added by one line."""

import importlib.util
import re
import textwrap

import pytest

from scenario_trees import MarkovLattice, ScenarioTree
from stochisru import InputError, load_case, value_table
from stochisru.cli.main import main
from stochisru.lunar.run import run_case
from stochisru.lunar.solving import made_for
from stochisru.lunar.trees import case_tree
from stochisru.lunar.values.programs import MOST_SCENARIOS
from stochisru.methods.extensive_form import ExtensiveForm
from stochisru.methods.registry import METHODS, method_for, method_named, methods, methods_on, taken_by, takers
from stochisru.methods.result import Kind, Of
from stochisru.protocols import HoldsPlans, OnLattices
from stochisru.testing import check_method
from stochisru.values import values

BASE = load_case("lunar-reference").replace(T=3)
CASES = {
    "linear": BASE,
    "limited": BASE.replace(earth_limit=500.0),
    "modules": BASE.replace(lot=50.0, fixed_cost=1e6),
    "concave": BASE.replace(reference=1000.0, c_dev_exponent=0.8),
    "convex": BASE.replace(reference=1000.0, c_dev_exponent=1.3),
    "worn": BASE.replace(lot=50.0, degradation=0.05),
}
#: The strongest method on tree, lattice and process, by hand from docs/methods.md; None where all refuse.
STRONGEST = {
    "linear": ("ef", "lattice-dp", "threshold"),
    "limited": ("ef", "lattice-dp", None),
    "modules": ("dp", "lattice-dp", "threshold"),
    "concave": ("dp", "lattice-dp", "threshold"),
    "convex": ("ef", "sddp", "threshold"),
    "worn": ("ef", "sddp", "threshold"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_strongest_method_that_takes_a_case_comes_first(name):
    for of, expected in zip((Of.TREE, Of.LATTICE, Of.PROCESS), STRONGEST[name], strict=True):
        found = takers(CASES[name], of)
        assert (found[0].name if found else None) == expected
        strengths = [list(Kind).index(Kind(method.kind(CASES[name]))) for method in found]
        assert strengths == sorted(strengths)


def test_only_linear_costs_without_a_limit_have_an_exact_policy():
    assert [name for name, case in CASES.items() if takers(case, Of.PROCESS, Kind.EXACT)] == ["linear"]


#: Few steps: the kind of a bracket does not depend on its width.
_FEW = {"ph": {"iterations": 2}, "sddp": {"iterations": 2}}


@pytest.mark.parametrize("name", CASES)
def test_a_bracket_rests_on_what_its_method_said_or_more(name):
    case = CASES[name]
    for word, method in methods().items():
        if method.refuses(case) is not None:
            with pytest.raises(InputError) as refusal:
                method_for(word, case)
            assert str(refusal.value) == method.refuses(case)
            continue
        on = case_tree(case, [2, 2, 1]) if method.on is Of.TREE else made_for(case, method, 4)
        check_method(method, case, on, **_FEW.get(word, {}))


def test_check_method_names_what_is_broken():
    """Each rule broken in turn, as by one who follows the recipe and forgets it."""
    tree = case_tree(BASE, [2, 2, 1])

    class Copy(ExtensiveForm):
        name = "copy"

    class Elsewhere(ExtensiveForm):
        def solve(self, case, on, options, progress=None):
            return super().solve(case.replace(lead_time=3), on, options)

    class Boast(ExtensiveForm):
        def kind(self, case):
            return Kind.CERTIFIED

    with pytest.raises(AssertionError, match="copy: its result is called 'ef'"):
        check_method(Copy(), BASE, tree)
    with pytest.raises(AssertionError, match="ef: its plan is of another case"):
        check_method(Elsewhere(), BASE, tree)
    with pytest.raises(AssertionError, match="ef: says that its bracket is certified at the least, and it is solver"):
        check_method(Boast(), CASES["modules"], tree)
    with pytest.raises(InputError, match="scale: the cost of a deployment must be concave"):
        check_method(method_named("dp"), CASES["convex"], tree)


def test_what_a_method_works_on_is_made_for_it():
    for method in methods().values():
        kind = {"tree": ScenarioTree, "lattice": MarkovLattice, "process": type(None)}[method.on]
        assert isinstance(made_for(BASE.replace(T=1), method), kind)
        assert isinstance(method, OnLattices) == (method.on == "lattice")
    holding = [method.name for method in methods_on(Of.TREE) if isinstance(method, HoldsPlans)]
    assert {"ef", "dp"} <= set(holding)
    states = {name: max(made_for(CASES[name], method_named("lattice-dp")).sizes) for name in ("linear", "modules")}
    assert states == {"linear": 100, "modules": 30}


def test_ef_is_the_extensive_form_in_run_as_in_solve(tmp_path):
    """It was a mixed-integer program in one and a dynamic programme in the other."""
    case, tree = CASES["modules"], case_tree(CASES["modules"], [2, 2, 1])
    solved = method_named("ef").solve(case, tree, method_named("ef").options())
    for word in ("ef", "dp"):
        recourse = run_case(case, tmp_path / word, tree=tree, paths=20, method=word).tree_values.recourse
        assert recourse.method == word
        assert recourse.bounds.kind is Kind(method_named(word).kind(case))
    assert recourse.objective == pytest.approx(solved.objective, rel=1e-3)


# ------------------------------------------- values of a tree where no exact method takes the case


@pytest.mark.parametrize("changed", [{}, {"lead_time": 0}, {"initial_deployment": "fixed", "lead_time": 2}])
@pytest.mark.parametrize("name", ["convex", "worn"])
def test_values_by_programs_are_those_of_the_model(name, changed):
    case = CASES[name].replace(**changed)
    tree = case_tree(case, [3, 2, 2])
    found, own = value_table(case, tree), values(case, tree, rel_gap=1e-7)
    names = ["ws", "rp", "static", "fixed", "ev", "eev", *(f"eev_{t}" for t in range(len(found.eev_t)))]
    for value in names:
        bounds = found.eev_t[int(value[4:])] if value.startswith("eev_") else found.bracket(value)
        slack = 1e-9 * found.rp.flows
        assert bounds.lower - slack <= own.point(value) <= bounds.upper + slack, value
        assert bounds.upper - bounds.lower <= 2e-3 * abs(bounds.upper), value
    assert found.wait_and_see.leaf_deployment.shape == (case.horizon.T + 1, tree.n_leaves)


def test_values_by_programs_are_exact_where_those_are_known():
    """Where both take a case, programs and dynamic programme agree."""
    from stochisru.lunar.values import programs

    case, tree = CASES["concave"], case_tree(CASES["concave"], [3, 2, 1])
    exact = value_table(case, tree)
    assert exact.rp.kind is Kind.CERTIFIED
    leaf, size = programs._foresight(case, tree, "highs"), exact.rp.flows
    assert leaf.bounds.lower - 1e-9 * size <= exact.ws.lower <= leaf.bounds.upper + 1e-9 * size


def test_a_tree_too_large_for_programs_is_refused_and_a_run_goes_on(tmp_path):
    case = BASE.replace(T=1, reference=100.0, c_dev_exponent=1.3)
    tree = case_tree(case, [MOST_SCENARIOS + 1])
    with pytest.raises(InputError, match=r"branching: must leave at most 1,000 scenarios .*, got 1,001; .* concave"):
        value_table(case, tree)
    outcome = run_case(case, tmp_path / "run", tree=tree, paths=60)
    assert outcome.tree_values is None
    assert "tables/tree_values.csv" not in outcome.files
    data = outcome.to_dict()["tree"]
    assert data["values"] is None
    assert "at most 1,000 scenarios" in data["no_values"]
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "not solved" in page
    assert "Values of the tree" not in page


# ------------------------------------------------------- a method is one file and one line

TOY = '''
"""Deploy nothing: a bracket between that and the mean path."""
from dataclasses import dataclass

import numpy as np

from stochisru.lunar.tree_program import TreePlan
from stochisru.methods.extensive_form import extensive_form
from stochisru.methods.options import Options, option
from stochisru.methods.result import Bounds, Kind, Of, Reason, Result, Termination
from stochisru.problem.paths import mean_path


@dataclass(frozen=True)
class IdleOptions(Options):
    patience: float = option(2.5, "how long to idle", unit="s", low=0.0, high=9.0)
    rel_gap: float = option(10.0, "relative gap to reach", low=0.0)


class Idle:
    name, summary, on, options = "idle", "deploys nothing at all", Of.TREE, IdleOptions

    def refuses(self, case):
        return "sigma: must be > 0, or idling is no option" if case.demand.sigma == 0 else None

    def kind(self, case):
        return Kind.BOUNDED

    def solve(self, case, on, options, progress=None):
        plan = TreePlan(case, on, np.zeros(on.n_nodes))
        ceiling = extensive_form(case.replace(lead_time=0), mean_path(on)).bounds
        bounds = Bounds(plan.value, ceiling.upper, Kind.BOUNDED, Of.TREE, ceiling.flows)
        return Result("idle", plan.value, bounds, Termination(Reason.OPTIMAL, detail="idled"), plan, {}, "none")
'''


@pytest.fixture
def idle(tmp_path, monkeypatch):
    """The file, and the line."""
    (tmp_path / "idle_method.py").write_text(textwrap.dedent(TOY), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(METHODS, "idle", "idle_method:Idle")


def command(capsys, *words):
    """Exit code and what was said by a command, in this process: it knows the temporary entry."""
    with pytest.raises(SystemExit) as end:
        main(list(words))
    said = capsys.readouterr()
    return end.value.code, said.out, " ".join(said.err.split())


def words_on(of, between):
    """The methods on a tree or a lattice, the temporary one among them."""
    found = between.join(method.name for method in methods_on(of))
    assert ("idle" in found) == (of is Of.TREE)
    return found


def flat(text):
    return re.sub(r"\s+", " ", text)


SMALL = ("lunar-reference", "--horizon", "2", "--branching", "2,2")


@pytest.mark.usefixtures("idle")
def test_a_new_method_is_in_the_help_of_solve(capsys):
    code, out, _ = command(capsys, "solve", "--help")
    assert (code, "idle: deploys nothing at all" in flat(out)) == (0, True)
    assert "--patience" in out
    code, out, _ = command(capsys, "solve", "--method", "idle", "--help")
    assert (code, "how long to idle [default: 2.5]" in flat(out)) == (0, True)
    assert "--cut-stage" not in out


def test_a_method_that_is_gone_is_in_no_help(capsys):
    assert "idle" not in command(capsys, "solve", "--help")[1]
    code, _, err = command(capsys, "solve", *SMALL, "--method", "idle")
    assert (code, err) == (2, f"error: method: must be one of {', '.join(METHODS)}, got 'idle'")


@pytest.mark.usefixtures("idle")
def test_a_new_method_solves_and_its_errors_name_it(capsys):
    code, out, err = command(capsys, "solve", *SMALL, "--method", "idle", "--patience", "3")
    assert (code, err) == (0, "")
    assert "idle" in out
    assert "bounded" in out
    gaps, trees, lattices = " and ".join(taken_by("rel_gap")), words_on(Of.TREE, " and "), words_on(Of.LATTICE, " and ")
    for words, expected in (
        (("--method", "idle", "--patience", "12"), "patience: must be a finite number >= 0 and <= 9, got 12.0"),
        (("--method", "ef", "--patience", "1"), "patience: is an option of --method idle"),
        (
            ("--method", "dp", "--rel-gap", "1"),
            f"rel_gap: is an option of --method {gaps}",
        ),
        (("--method", "idle", "--states", "3"), f"states: is an option of --method {lattices}"),
        (
            ("--method", "threshold", "--quantization", "binomial"),
            f"is an option of --method {trees}",
        ),
        (("--method", "magic"), f"must be one of {', '.join(METHODS)}, got 'magic'"),
    ):
        tree = SMALL if "threshold" not in words else SMALL[:3]
        code, _, err = command(capsys, "solve", *tree, *words)
        assert (code, expected in err) == (2, True), err


@pytest.mark.usefixtures("idle")
def test_a_new_method_refuses_in_its_own_words(capsys, tmp_path):
    (tmp_path / "certain.toml").write_text(load_case("lunar-reference").replace(sigma=0.0, T=2).to_toml())
    file = str(tmp_path / "certain.toml")
    code, _, err = command(capsys, "solve", file, "--branching", "1,1", "--method", "idle")
    assert (code, "sigma: must be > 0, or idling is no option" in err) == (2, True), err


@pytest.mark.usefixtures("idle")
def test_a_new_method_is_in_the_tables_of_the_docs(root):
    spec = importlib.util.spec_from_file_location("house", root / "docs" / "house.py")
    house = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(house)
    row = "| `idle` | deploys nothing at all | tree | `--branching`, `--quantization`, `--patience`, `--rel-gap` |"
    assert row in house.methods_table()
    assert f"| `idle` |{' bounded |' * 6}" in house.takes_table()
    assert "| `--patience` | how long to idle (s) | >= 0 and <= 9 | 2.5 |" in house.options_table()


@pytest.mark.usefixtures("idle")
def test_a_new_method_is_in_run_and_on_its_page(tmp_path):
    case = BASE.replace(T=2)
    outcome = run_case(case, tmp_path / "run", tree=case_tree(case, [2, 2]), paths=20, method="idle")
    assert outcome.tree_values.recourse.method == "idle"
    assert outcome.tree_values.rp.upper <= outcome.tree_values.ws.upper
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "solved by <code>idle</code>, deploys nothing at all (none)" in page
    with pytest.raises(InputError, match=f"method: must be one of {words_on(Of.TREE, ', ')}, which"):
        run_case(case, tmp_path / "two", tree=case_tree(case, [2, 2]), paths=20, method="sddp")


@pytest.mark.usefixtures("idle")
def test_a_weaker_method_is_not_chosen():
    assert takers(BASE, Of.TREE)[-1].name == "idle"
    assert takers(CASES["convex"], Of.TREE)[0].name == "idle"  # bounded comes before solver
