"""Every command in a new interpreter, as a user starts it; the other tests fork a warm one (``warm/server.py``)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli.program import ffprobe
from reference.plain_forward_forward import HERE
from toy import WORDS

from ffprobe.plugin.discovery import installed

ANALYSES = {offer.name for plugin in installed() for offer in plugin.offers if offer.kind == "probe"}
LEFT_OUT = [word for name in sorted(ANALYSES - {"layers", "curves"}) for word in ("--without", name)]
"""All analyses except ``layers`` and ``curves``, which would take a minute."""
GRID = "[each]\nepochs = 1\n[axes]\nseed = [0, 1]\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run, an unfinished copy of it, a plan and a trajectory."""
    folder = tmp_path_factory.mktemp("processes")
    done = ffprobe("run", *WORDS, cwd=folder, cold=True)
    assert done.code == 0, done.err
    assert done.out.splitlines()[0].split() == ["layer", "validation", "test"]
    shutil.copy(folder / "run.h5", folder / "left.h5.partial")
    shutil.copy(HERE / "symba-batchnorm-olu.npz", folder / "symba.npz")
    (folder / "grid.toml").write_text(GRID)
    return folder


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--version"], "ffprobe-nn"),
        (["sweep", "grid.toml", "--dry-run"], "--seed 1"),
        (["analyze", "layers", "run.h5", "--plot", "layers.png"], "test"),
        (["compare", "run.h5"], "digits"),
        (["predict", "run.h5", "--images", "20"], "accuracy"),
        (["report", "run.h5", *LEFT_OUT], "report.html"),
        (["show", "run.h5"], "finished"),
        (["repair", "left.h5.partial"], "left.h5"),
        (["replay", "symba.npz"], "passed"),
        (["plugins", "info", "symba"], "alpha"),
        (["doctor"], "torch"),
    ],
    ids=lambda words: words[0] if isinstance(words, list) else "",
)
def test_a_command_starts_cold(folder: Path, words: list[str], text: str) -> None:
    done = ffprobe(*words, cwd=folder, cold=True)
    assert done.code == 0, done.err
    assert text in done.out + done.err
    assert "Traceback" not in done.err


def test_an_error_ends_a_cold_process_with_its_code(folder: Path) -> None:
    done = ffprobe("run", "--plugin", "batchnrm", cwd=folder, cold=True)
    assert (done.code, done.out) == (3, "")
    assert "Did you mean 'batchnorm'" in done.err
