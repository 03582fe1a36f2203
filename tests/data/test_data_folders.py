"""The default folders."""

from pathlib import Path

import pytest

from ffprobe.data.folders import cache_folder, data_folder


def test_the_users_folder_comes_first(monkeypatch, tmp_path):
    monkeypatch.setenv("FFPROBE_DATA_DIR", str(tmp_path))
    assert data_folder(Path("~/here")) == Path.home() / "here"


@pytest.mark.parametrize(
    ("variable", "folder", "default"),
    [("FFPROBE_DATA_DIR", data_folder, "data"), ("FFPROBE_CACHE_DIR", cache_folder, "")],
)
def test_then_the_variable_then_the_cache(monkeypatch, tmp_path, variable, folder, default):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(variable, str(tmp_path / "named"))
    assert folder() == tmp_path / "named"
    for unset in ("", None):
        monkeypatch.setenv(variable, unset) if unset is not None else monkeypatch.delenv(variable)
        assert folder() == tmp_path / ".cache" / "ffprobe" / default
