"""A user's own table, from a CSV file."""

import gzip

import numpy as np
import pytest
import torch
from ffprobe_plugins.datasets.csv_table import CsvTable

from ffprobe.config.parsing import parse_plugin
from ffprobe.errors import FfprobeError, FileError, UsageError
from ffprobe.testing import check_plugin

ROWS = [f"{i},{'uv'[i % 2]},{'qpp'[i % 3]}" for i in range(12)]


@pytest.fixture
def table(tmp_path):
    """Writes lines as a file and loads a split of it."""

    def load(lines=ROWS, split="train", name="t.csv", names="size,kind,y", pack=str.encode, **params):
        (tmp_path / name).write_bytes(pack("\n".join([*([names] if names else []), *lines]) + "\n"))
        return CsvTable(CsvTable.Params(**{"target": "y", **params}), data_dir=tmp_path / name).load(split)

    return load


def replaced(old, new):
    assert old in ROWS
    return [new if row == old else row for row in ROWS]


def by_size(samples, row):
    """The features of the sample whose first feature is ``row``."""
    return next(features[1:].tolist() for features in samples.inputs if float(features[0]) == row)


def test_numbers_stay_and_each_text_is_a_column(table):
    train, test = table(), table(split="test")
    assert train.classes == test.classes == ("p", "q")
    sizes = torch.cat([train.inputs[:, 0], test.inputs[:, 0]])
    labels = torch.cat([train.labels, test.labels])
    assert sorted(sizes.tolist()) == list(range(12))
    assert [labels[sizes == size].item() for size in (0, 1, 2)] == [1, 0, 0]
    assert torch.equal(train.inputs[:, 1:], torch.nn.functional.one_hot(train.inputs[:, 0].long() % 2, 2).float())
    assert test.labels.bincount().tolist() == [2, 1]  # a fifth of 8 and of 4 rows, rounded
    assert (train.mean, train.weights, train.groups) == ((), None, None)


def test_a_test_file_is_used_whole_whatever_the_order_of_its_columns(table, tmp_path):
    (tmp_path / "other.csv").write_text("y,kind,size\nq,w,3\np,v,1.5\n")
    assert len(table(test_file="other.csv")) == 12
    test = table(split="test", test_file="other.csv")
    assert test.inputs.tolist() == [[3.0, 0.0, 0.0], [1.5, 0.0, 1.0]]  # no training row has the text w
    assert test.labels.tolist() == [1, 0]


def test_groups_and_weights_are_no_features(table):
    rows = [f"{row},{i // 2},{i}" for i, row in enumerate(ROWS)]
    options = {"names": "size,kind,y,who,how", "group": "who", "weight": "how"}
    train, test = table(rows, **options), table(rows, split="test", **options)
    assert train.shape == (3,)
    assert not set((train.inputs[:, 0] // 2).tolist()) & set((test.inputs[:, 0] // 2).tolist())
    assert torch.equal(train.groups[:, None] == train.groups, train.inputs[:, :1] // 2 == train.inputs[:, 0] // 2)
    assert torch.equal(train.weights, train.inputs[:, 0].double())


def test_columns_are_dropped_as_typed_on_the_command_line(table):
    _, typed = parse_plugin("csv:target=y,drop=[size]")
    assert table(**typed).shape == (2,)
    assert CsvTable.Params(drop="[a, b]") == CsvTable.Params(drop=["a", "b"])


def test_a_missing_value_is_refused_with_its_column_and_line(table):
    with pytest.raises(FileError, match=r"Column 'size' of .*t\.csv has 1 missing value in line 5\. .*=drop.*=mean"):
        table(replaced("3,v,q", "?,v,q"))
    with pytest.raises(
        FileError, match=r"Column 'y' .* missing value in line 5\. Use .*drop to leave out such rows\.$"
    ):
        table(replaced("3,v,q", "3,v,NA"), missing="mean")


def test_missing_values_are_filled_in_from_the_training_rows(table, tmp_path):
    (tmp_path / "other.csv").write_text("size,kind,y\n,u,q\n1,?,p\n")
    test = table(split="test", test_file="other.csv", missing="mean")
    assert test.inputs.tolist() == [[5.5, 1.0, 0.0], [1.0, 0.0, 0.0]]


def test_rows_with_missing_values_are_left_out_with_a_warning(table, caplog):
    rows = replaced("3,v,q", ",v,q")
    assert len(table(rows, missing="drop")) + len(table(rows, split="test", missing="drop")) == 11
    assert "1 of 12 rows" in caplog.text


@pytest.mark.parametrize(
    ("lines", "options"),
    [
        (["1,5;a", "2,5;b"] * 3, {"names": "", "params": {"header": False, "target": 2, "decimal": "comma"}}),
        (["1.5\ta", "2.5\tb"] * 3, {"names": "x\ty"}),
        (["1.5 a", "2.5 b"] * 3, {"names": "x y", "params": {"separator": "space"}}),
        (['"1.5", "a"', '2.5 , "b"', ""] * 3, {"names": " x , y "}),
        (["a,1.5", "b,2.5"] * 3, {"names": "\ufeffy,x"}),
        (
            ["1.5,a", "2.5,b"] * 3,
            {"names": "x,y", "name": "t.csv.gz", "pack": lambda text: gzip.compress(text.encode())},
        ),
    ],
    ids=["semicolon", "tab", "space", "quoted", "byte-order mark", "gzip"],
)
def test_the_forms_of_csv(table, lines, options):
    params = options.pop("params", {})
    samples = table(lines, **options, **params)
    assert sorted(samples.inputs.flatten().tolist()) == [1.5, 1.5, 2.5, 2.5]
    assert samples.classes == ("a", "b")


@pytest.mark.parametrize(
    ("change", "params", "error", "message"),
    [
        ({}, {"target": ""}, UsageError, "needs the name of the column.*size, kind, y"),
        ({}, {"target": "z"}, UsageError, r"no column 'z' \(dataset.target\).*size, kind, y"),
        ({}, {"drop": ["z"]}, UsageError, r"no column 'z' \(dataset.drop\)"),
        ({}, {"drop": ["size", "kind"]}, FileError, "no column beside"),
        ({}, {"target": "size"}, FileError, "class '0' has 1 sample"),
        ({}, {"weight": "kind"}, FileError, "must be numbers, not 'u' in line 2"),
        ({"3,v,q": "x,v,q"}, {"max_categories": 5}, FileError, "because of 'x' in line 5.* the maximum is 5"),
        ({"3,v,q": "1_0,v,q"}, {"max_categories": 5}, FileError, "because of '1_0' in line 5"),
        ({"3,v,q": "inf,v,q"}, {}, FileError, "line 5 .* is inf"),
        ({"3,v,q": "3,v,q,7"}, {}, FileError, "Line 5 .* has 4 cells.* has 3"),
        ({"3,v,q": '"3,v,q'}, {}, FileError, "is not CSV"),
        ({"3,v,q": "3,v,1.5"}, {"target": "size", "drop": ["y"]}, FileError, "1 sample"),
    ],
)
def test_what_cannot_be_used_is_a_sentence(table, change, params, error, message):
    rows = ROWS
    for old, new in change.items():
        rows = replaced(old, new)
    with pytest.raises(error, match=message) as caught:
        table(rows, **params)
    assert caught.value.hint


def test_a_target_of_measurements_is_refused_with_its_column(table):
    with pytest.raises(FileError, match=r"Label 2 is 1\.5.*column 'y' of .*t\.csv.*classifies"):
        table(["1,2", "2,1.5"], names="x,y")


def test_a_class_or_a_type_that_only_the_test_file_has_is_named(table, tmp_path):
    (tmp_path / "other.csv").write_text("size,kind,y\n1,u,r\n")
    with pytest.raises(FileError, match=r"The class 'r' has test samples, but no training sample.*column 'y'"):
        table(test_file="other.csv")
    (tmp_path / "other.csv").write_text("size,kind,y\nbig,u,p\n")
    with pytest.raises(FileError, match=r"has text \('big' in line 2\), but numbers in the training file"):
        table(test_file="other.csv")
    (tmp_path / "other.csv").write_text("size,y\n1,p\n")
    with pytest.raises(UsageError, match="has no column 'kind'"):
        table(test_file="other.csv")


@pytest.mark.parametrize("header", ["size,size,y", "size,,y"])
def test_columns_need_different_names(table, header):
    with pytest.raises(FileError, match=r"two columns named 'size'|a column without a name"):
        table(names=header)


@pytest.mark.parametrize("content", [b"", b"a,y\n", b"\xff\xfe\x00"])
def test_files_without_rows_or_text(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(FfprobeError, match=r"has no rows|UTF-8"):
        CsvTable(CsvTable.Params(target="y"), data_dir=tmp_path / "t.csv").load("train")


def test_the_contract(tmp_path):
    rows = [f"{i * 0.37 % 1:.3f},{'uvw'[i % 3]},{'ab'[i % 2]}" for i in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["x,kind,y", *rows]))
    report = check_plugin("csv", settings={"target": "y"}, data_dir=tmp_path / "t.csv")
    report.raise_for_failures()


def test_parquet_gives_the_same_samples(table, tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    kinds = ["uv"[i % 2] for i in range(12)]
    columns = {"size": np.arange(12), "kind": pyarrow.array(kinds).dictionary_encode(), "y": list("qpp") * 4}
    parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    samples = CsvTable(CsvTable.Params(target="y"), data_dir=tmp_path / "t.parquet").load("train")
    assert samples.sha256() == table().sha256()


def test_parquet_without_pyarrow_names_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(FileError, match=r"needs pyarrow.*ffprobe-nn\[tables\]"):
        CsvTable(CsvTable.Params(target="y"), data_dir=tmp_path / "t.parquet").load("train")
