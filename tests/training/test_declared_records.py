"""What a probe declares is refused with its name before the run file exists."""

from __future__ import annotations

from pathlib import Path

import pytest

import ffprobe
from ffprobe.testing import toy_run

PLUGIN = '''
"""Declares something."""

import ffprobe

ROW, OTHER = ffprobe.Dimension("row", None), ffprobe.Dimension("other", None)


class Declares(ffprobe.Probe):
    """Declares something."""

    name = "declares"
    source = "a test"

    def variables(self, run):
        return [{variables}]

    def analyze(self, runs):
        raise NotImplementedError


@ffprobe.hookimpl
def ffprobe_components():
    return [Declares]
'''


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            'ffprobe.Variable("a", ("row",), dimensions=(ROW,)), '
            'ffprobe.Variable("b", ("other",), dimensions=(OTHER,))',
            "both grow; only one dimension of a group may grow",
        ),
        ('ffprobe.Variable("a", ("nowhere",))', "dimension 'nowhere' is not declared"),
        ('"a"', "has no attribute"),
    ],
)
def test_the_probe_is_named_and_no_file_is_left(variables: str, message: str, tmp_path: Path) -> None:
    plugin = tmp_path / "declares.py"
    plugin.write_text(PLUGIN.replace("{variables}", variables))
    with pytest.raises(ffprobe.PluginError, match=f"probe 'declares' declares what a run file cannot hold.*{message}"):
        toy_run(plugin, out=tmp_path / "run.h5")
    assert not list(tmp_path.glob("run.h5*"))
