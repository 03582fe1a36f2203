"""Keeps the machine's own data sets and caches out of the tests."""

import lzma

import pytest
from picture_files import write_folder, write_tar, write_zip


@pytest.fixture(autouse=True)
def empty_home(tmp_path, monkeypatch):
    """The default data folder and cache, both inside the test's folder."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FFPROBE_DATA_DIR", str(tmp_path / "default-data"))
    monkeypatch.setenv("FFPROBE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture(params=["folder", "tar", "tar.xz", "zip"])
def write(request, tmp_path):
    """Writes names and contents as a folder, a tar, a packed tar or a zip, and returns its path."""

    def make(files):
        if request.param == "folder":
            return write_folder(tmp_path / "pictures", files)
        if request.param == "zip":
            return write_zip(tmp_path / "zip", files)
        return write_tar(tmp_path / request.param, files, lzma.compress if "xz" in request.param else bytes)

    return make
