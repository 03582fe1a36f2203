"""A pytest plugin: a test that takes longer than ten seconds and is not marked ``slow`` fails.

Seconds are CPU seconds of the test's setup and call: of this process, of the children that it waited for, and of warm
calls of ``ffprobe``. On an idle machine they are the time that the test takes; on a busy one they do not grow.
"""

from __future__ import annotations

import resource
from collections.abc import Generator

import pytest
from warm import start

EXEMPT = ("slow", "stress")
_setup = pytest.StashKey[float]()


def cpu_seconds() -> float:
    """CPU seconds so far of this process, of its children that have ended, and of warm calls."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages) + start.seconds()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("time_limit", "CPU seconds for a test that is not marked slow", default="10")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    before = cpu_seconds()
    yield
    item.stash[_setup] = cpu_seconds() - before


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    before = cpu_seconds()
    yield
    spent, limit = item.stash[_setup] + cpu_seconds() - before, float(item.config.getini("time_limit"))
    if spent > limit and not any(item.get_closest_marker(name) for name in EXEMPT):
        pytest.fail(f"The test took {spent:.1f} s of CPU; more than {limit:g} s need the marker slow.", pytrace=False)
