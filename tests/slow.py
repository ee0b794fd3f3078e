"""Which tests are slow, by measurement: `slow.txt` names them, and they run at night.

    pytest -m "" -n 2 -p tests.seconds && python tests/slow.py

measures every test (`tests/seconds.py`) and writes the table again. A test is slow that takes more than `MOST` seconds
of processor time; of a test with parameters the quickest stays, unless that takes more than `ALONE`. So almost all that
is tested at night is tested by day too, on fewer cases.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

MOST, ALONE = 1.5, 4.0
#: What alone guards a page, a command or a method as a whole stays by day, whatever it takes.
DAILY = (
    "tests/test_calibrate.py::test_page_is_self_contained_and_fits",
    "tests/test_campaign.py::test_the_plan_keeps_every_rule",
    "tests/test_cli.py::test_run_folder_and_report",
    "tests/test_decide.py::test_the_folder_and_its_page",
    "tests/test_deployment_study.py::test_folder_has_every_table_figure_and_page",
    "tests/test_general_run.py::test_run_of_the_command_line_and_its_page_again",
    "tests/test_hedging.py::test_bounds_enclose_the_optimum_of_the_tree_program",
    "tests/test_ksa.py::test_ksa_command",
    "tests/test_literature.py::test_the_command_writes_tables_figures_and_findings",
    "tests/test_mars.py::test_mars_command",
    "tests/test_model.py::test_tree_program_equals_scenario_form",
)
TABLE = Path(__file__).with_name("slow.txt")
SECONDS = Path(__file__).resolve().parent.parent / "seconds.tsv"


def slow_tests() -> frozenset[str]:
    """Names of the slow tests, with their parameters."""
    return frozenset(TABLE.read_text(encoding="utf-8").splitlines())


def chosen(seconds: dict[str, float]) -> list[str]:
    """Slow tests among those that were measured."""
    of_function = defaultdict(list)
    for name in seconds:
        of_function[name.partition("[")[0]].append(name)
    slow = []
    for function, names in of_function.items():
        if function in DAILY:
            continue
        quickest = min(names, key=lambda name: (seconds[name], name))
        slow += [name for name in names if seconds[name] > (ALONE if name == quickest else MOST)]
    return sorted(slow)


def main() -> None:
    """Write the table from what was measured; print what is left for the day."""
    seconds: dict[str, float] = defaultdict(float)
    for line in SECONDS.read_text(encoding="utf-8").splitlines():
        took, name = line.split("\t")
        seconds[name] += float(took)
    slow = chosen(seconds)
    TABLE.write_text("".join(f"{name}\n" for name in slow), encoding="utf-8")
    day = sum(took for name, took in seconds.items() if name not in set(slow))
    print(
        f"{len(slow)} of {len(seconds)} tests are slow; {day:.0f} of {sum(seconds.values()):.0f} s are left for the day"
    )


if __name__ == "__main__":
    main()
