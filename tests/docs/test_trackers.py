"""The command of docs/plugins/trackers.md, with those trackers whose libraries are installed."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from docs.page_blocks import ROOT, blocks

from ffprobe.plugin.registry import Registry
from ffprobe.testing import toy_run

(COMMAND,) = [b.text for b in blocks(ROOT / "docs/plugins/trackers.md") if b.what == "tests/docs/test_trackers.py"]
WORDS = [
    word for before, word in zip(shlex.split(COMMAND), shlex.split(COMMAND)[1:], strict=False) if before == "--plugin"
]
EXTRAS = ("wandb", "mlflow", "tensorboard")


def test_the_page_has_every_tracker() -> None:
    offered = [o.name for p in Registry().plugins for o in p.offers if o.kind == "observer" and "trackers" in p.target]
    assert [word.partition(":")[0] for word in WORDS] == sorted(offered, key=EXTRAS.index)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("word", WORDS)
def test_the_command(word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = word.partition(":")[0]
    for library in Registry().component("observer", name).libraries:  # type: ignore[attr-defined]
        pytest.importorskip(library, reason="not a dependency; this test runs where it is installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert toy_run(word, out=tmp_path / "run.h5").messages == ()
    where = {"wandb": "wandb", "mlflow": "mlflow.db", "tensorboard": "runs"}[name]
    assert (tmp_path / where).exists()
