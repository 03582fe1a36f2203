"""Clusters of one machine, for as long as the tests need them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.test_cli_sweep import GRID

HERE = Path(__file__).parent


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    """Four runs of a few seconds."""
    path = tmp_path / "grid.toml"
    path.write_text(GRID)
    return path


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """SLURM on this machine, started by ``slurm-here.sh``."""
    pytest.importorskip("submitit")
    lacking = [name for name in ("slurmctld", "slurmd", "sbatch", "munged") if shutil.which(name) is None]
    if lacking or not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip(f"needs root and Debian's slurmctld, slurmd, slurm-client and munge; not here: {lacking}")
    folder = tmp_path_factory.mktemp("slurm")
    for parent in (folder, *folder.parents):  # munge must reach its log
        if parent.is_relative_to("/tmp") and parent != Path("/tmp"):
            parent.chmod(0o755)
    subprocess.run([HERE / "slurm-here.sh", "start", folder], check=True)
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    try:
        yield
    finally:
        subprocess.run([HERE / "slurm-here.sh", "stop", folder], check=True)
        os.environ.pop("SLURM_CONF") if before is None else os.environ.__setitem__("SLURM_CONF", before)


@pytest.fixture(scope="session")
def ray() -> None:
    """Ray's library; each sweep starts and ends a cluster of its own."""
    if sys.platform != "linux":
        pytest.skip("tried on Linux only")
    pytest.importorskip("ray")
