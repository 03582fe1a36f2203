"""Keeps the machine's own data sets and caches out of the tests."""

import pytest


@pytest.fixture(autouse=True)
def empty_home(tmp_path, monkeypatch):
    """The default data folder and cache, both inside the test's folder."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FFPROBE_DATA_DIR", str(tmp_path / "default-data"))
    monkeypatch.setenv("FFPROBE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path
