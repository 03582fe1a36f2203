"""The file that a user names below --data-dir."""

import pytest
from ffprobe_plugins.datasets.user_files import user_file

from ffprobe.errors import FileError, UsageError


@pytest.fixture
def folder(tmp_path):
    for name in ("one.csv", "two.csv", "notes.md", "below/three.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def found(folder, name):
    return user_file("csv", folder, name, (".csv",))


def test_a_file_is_the_data_directory_or_below_it(folder):
    assert found(folder / "one.csv", "") == folder / "one.csv"
    assert found(folder, "two.csv") == found(folder / "one.csv", "two.csv") == folder / "two.csv"
    assert found(folder, "below/three.csv") == folder / "below" / "three.csv"


@pytest.mark.parametrize("name", ["/etc/passwd", "../one.csv", "below/../../one.csv"])
def test_a_name_that_leaves_the_folder_is_refused(folder, name):
    with pytest.raises(UsageError, match=r"'dataset\.file' cannot be .* below --data-dir"):
        found(folder, name)


def test_messages_list_the_files_that_are_there(folder):
    with pytest.raises(UsageError, match=r"needs the name of a file.*has one\.csv, two\.csv\.$"):
        found(folder, "")
    with pytest.raises(FileError, match=r"There is no file .*three\.csv\. The folder has one\.csv, two\.csv\.$"):
        found(folder, "three.csv")
    with pytest.raises(FileError, match=r"no file that ends in \.csv"):
        found(folder / "nowhere", "a.csv")
    with pytest.raises(FileError, match=r"no file .*nowhere\.csv\. Correct --data-dir"):
        found(folder / "nowhere.csv", "")


def test_without_a_data_directory(folder):
    with pytest.raises(UsageError, match=r"'csv' needs --data-dir\. Add --data-dir PATH"):
        found(None, "one.csv")
