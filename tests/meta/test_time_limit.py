"""A test that takes too long fails unless it is marked slow."""

from __future__ import annotations

from pathlib import Path

import pytest
import time_limit

TESTS = """
import subprocess, sys, time
import pytest

BUSY = "import time\\nwhile time.process_time() < 0.5: pass"

def work():
    until = time.process_time() + 0.5
    while time.process_time() < until:
        pass

@pytest.fixture
def prepared():
    work()

def test_quick(): pass
def test_waiting(): time.sleep(0.6)
def test_long_call(): work()
def test_long_setup(prepared): pass
def test_long_child(): subprocess.run([sys.executable, "-ISc", BUSY], check=True)
@pytest.mark.slow
def test_marked(): work()
def test_wrong():
    work()
    assert False, "its own error"
"""


def test_a_test_that_takes_long_fails_unless_it_is_marked(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(TESTS)
    pytester.makeini("[pytest]\nmarkers = slow\ntime_limit = 0.4")
    monkeypatch.setenv("PYTHONPATH", str(Path(time_limit.__file__).parent))
    # a process of its own: in this one pytester would take out of sys.modules what was imported meanwhile
    result = pytester.runpytest_subprocess("-p", "time_limit", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=3, failed=4)
    message = "The test took 0.* s of CPU; more than 0.4 s need the marker slow."
    names = ("long_call", "long_setup", "long_child")
    expected = [line for name in names for line in (f"*_ test_{name} _*", message)]
    result.stdout.fnmatch_lines([*expected, "*_ test_wrong _*", "E * AssertionError: its own error"])
