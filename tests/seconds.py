"""Plugin of pytest (``-p tests.seconds``): processor seconds of every test and its processes, into seconds.tsv."""

import resource

import pytest

from tests.slow import SECONDS


def used():
    """Processor seconds of this process and of those that it waited for."""
    return sum(
        part.ru_utime + part.ru_stime
        for part in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def pytest_configure(config):
    """Begin the table anew, in the process that others report to."""
    if not hasattr(config, "workerinput"):
        SECONDS.write_text("", encoding="utf-8")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Add a line; it is short enough to be written whole beside those of other workers."""
    before = used()
    try:
        return (yield)
    finally:
        with SECONDS.open("a", encoding="utf-8") as table:
            table.write(f"{used() - before:.2f}\t{item.nodeid}\n")
