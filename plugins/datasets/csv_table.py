"""Your own table: a CSV or Parquet file with a column that names the class."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
import torch
from ffprobe_plugins.datasets.csv_file import read_csv
from ffprobe_plugins.datasets.joint_labels import joint_labels
from ffprobe_plugins.datasets.missing_values import without_missing
from ffprobe_plugins.datasets.parquet_file import read_parquet
from ffprobe_plugins.datasets.table import Table
from ffprobe_plugins.datasets.table_features import TableFeatures
from ffprobe_plugins.datasets.user_files import user_file
from pydantic import BeforeValidator, Field

import ffprobe

SUFFIXES = (".csv", ".tsv", ".txt", ".data", ".csv.gz", ".tsv.gz", ".parquet")


def _names(value: Any) -> Any:
    """Names from the command line, where ``[a,b]`` is text, as a list."""
    if isinstance(value, str):
        value = [part.strip(" \"'") for part in value.strip("[]").split(",") if part.strip()]
    return [str(part) for part in value] if isinstance(value, list | tuple) else value


Column = Annotated[str, BeforeValidator(str)]  # a column may be named by a number
Columns = Annotated[tuple[str, ...], BeforeValidator(_names)]


class CsvTable(ffprobe.Dataset):
    """Your own table, read from a CSV or Parquet file in ``--data-dir``, with a target column that names the class.

    ``--data-dir`` is the file itself, or its folder together with ``file``. Classes are the values of the target,
    sorted. Columns of numbers are features as they are, standardized by the run. A column of texts becomes one feature
    for each text that the training rows have, 1 or 0. Missing values (empty cells, ``?``, NA, N/A, NaN, null, None) are
    refused unless ``missing`` says what to do. Without ``test_file``, the test samples are a fixed part of each class,
    the same for every seed; with ``group``, a group is in one part only.

    Text files are UTF-8, with a line for each sample, plain or as .gz; Parquet needs pyarrow (``ffprobe-nn[tables]``).
    """

    name = "csv"
    source = "the user"
    defaults = {"network": {"name": "mlp"}, "encoder": {"name": "label-features"}}

    class Params(ffprobe.Params):
        """The files, the columns and the test samples."""

        target: Column = Field("", description="name of the column that has the class of each sample; required")
        file: str = Field("", description="name of the file in --data-dir; empty if --data-dir is the file")
        test_file: str = Field(
            "", description="name of a file in the same folder with the test samples; empty: a part of the file is used"
        )
        test_fraction: float = Field(
            0.2,
            gt=0,
            lt=1,
            description="fraction of each class that is used for testing, in (0, 1), without a test_file",
        )
        drop: Columns = Field((), description="names of columns that are not used, such as an identifier of the sample")
        group: Column = Field(
            "",
            description="name of a column whose values are groups, such as a patient: a group is never in two parts",
        )
        weight: Column = Field(
            "", description="name of a column with the weight of each training sample, which is drawn in proportion"
        )
        missing: Literal["error", "mean", "drop"] = Field(
            "error",
            description="what to do with a missing feature: refuse it, fill in the mean of the training rows (a text "
            "is then in no category), or drop its row",
        )
        max_categories: int = Field(
            50, ge=1, description="maximum number of different texts in a column; more are an error, not features"
        )
        separator: Literal["auto", "comma", "semicolon", "tab", "space", "bar"] = Field(
            "auto",
            description="character between cells; auto is the one of comma, semicolon and tab that is most frequent in "
            "the first line",
        )
        decimal: Literal["point", "comma"] = Field("point", description="character before the decimals of a number")
        header: bool = Field(
            True, description="whether the first line names the columns; if not, their names are 1, 2 and so on"
        )

    def load(self, split: Literal["train", "test"]) -> ffprobe.Samples:
        """Load one split: float32 ``[N, F]``.

        Raises:
            UsageError: ``--data-dir`` or the target is missing, or a named column does not exist.
            FileError: a file cannot be read, or it has a value that cannot be used; the message names column and line.
        """
        return self._splits[split]

    @cached_property
    def _splits(self) -> dict[Literal["train", "test"], ffprobe.Samples]:
        params = self.params
        train, names = self._table(params.file, "file")
        targets = [train.columns[params.target]]
        if params.test_file:
            test, _ = self._table(params.test_file, "test_file", names)
            targets.append(test.columns[params.target])
        labels, classes = joint_labels(targets, f"column {params.target!r} of {train.path}")
        if not params.test_file:
            groups = self._groups(train)
            rows = ffprobe.train_test_indices(labels, params.test_fraction, groups=groups, classes=classes)
            labels = torch.cat([labels[part] for part in rows])
            train, test = (train.rows(part.numpy()) for part in rows)
        features = TableFeatures.of(train, names, params.max_categories)
        return {
            "train": ffprobe.Samples(
                torch.from_numpy(features.inputs(train)),
                labels[: len(train)],
                classes,
                weights=self._weights(train),
                groups=self._groups(train),
                features=features.features,
            ),
            "test": ffprobe.Samples(
                torch.from_numpy(features.inputs(test)), labels[len(train) :], classes, features=features.features
            ),
        }

    def _table(self, file: str, setting: str, names: Sequence[str] = ()) -> tuple[Table, list[str]]:
        """A table without the rows that cannot be used, and the names of its features: ``names``, or all others."""
        params = self.params
        path = user_file(self.name, self.data_dir, file, SUFFIXES, setting)
        if path.suffix == ".parquet":
            table = read_parquet(path)
        else:
            table = read_csv(path, params.separator, params.decimal, params.header)
        if not params.target:
            what = "The data set 'csv' needs the name of the column that has the class of each sample."
            raise ffprobe.UsageError(
                what, hint=f"Add --set dataset.target=COLUMN; {path} has the columns {table.listed()}."
            )
        needed = {"target": params.target}
        if setting == "file":
            needed |= {key: getattr(params, key) for key in ("group", "weight") if getattr(params, key)}
            for name in params.drop:
                table.column(name, "drop")
        for key, name in needed.items():
            table.column(name, key)
        others = {*needed.values(), *params.drop}
        features = [name for name in names or table.columns if name not in others]
        for name in features:
            table.column(name, setting)
        if not features:
            hint = "A sample needs at least one column of features."
            raise ffprobe.FileError(f"{path} has no column beside {', '.join(map(repr, sorted(others)))}.", hint=hint)
        return without_missing(table, features, params.missing, list(needed.values())), features

    def _groups(self, table: Table) -> torch.Tensor | None:
        if not self.params.group:
            return None
        return torch.from_numpy(np.unique(table.columns[self.params.group], return_inverse=True)[1].reshape(-1))

    def _weights(self, table: Table) -> torch.Tensor | None:
        if not self.params.weight:
            return None
        weights = table.columns[self.params.weight]
        if weights.dtype.kind != "f":
            because = table.no_number.get(self.params.weight, "text")
            hint = "A weight is a number that is not negative."
            raise ffprobe.FileError(f"Weights in {table.path} must be numbers, not {because}.", hint=hint)
        return torch.from_numpy(weights)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    """Return the data set."""
    return [CsvTable]
