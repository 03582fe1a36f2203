"""A kill between any two steps of the run file's protocol loses nothing."""

from __future__ import annotations

import shutil

import pytest
from stress.kill_every_call import main


@pytest.mark.stress
@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
@pytest.mark.parametrize("begin", [None, 7])
def test_a_kill_at_any_call_loses_nothing(begin: int | None) -> None:
    count = main(begin)
    assert count["a file with commits"] > 4
    assert begin or (count["no file"] and count["a file without a commit"])
