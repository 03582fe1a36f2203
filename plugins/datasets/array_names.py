"""Finds the arrays of inputs and labels by their names."""

from __future__ import annotations

from collections.abc import Mapping

from ffprobe_plugins.datasets.array_file import ArrayFile

import ffprobe

USUAL = {
    "inputs": ("xtrain", "trainx", "trainimages", "x"),
    "labels": ("ytrain", "trainy", "trainlabels", "y"),
    "test_inputs": ("xtest", "testx", "testimages"),
    "test_labels": ("ytest", "testy", "testlabels"),
}
"""Names of arrays that are found without a setting, in lower case and without underscores."""


def array_names(file: ArrayFile, given: Mapping[str, str], another_file: bool) -> dict[str, str]:
    """The name of each array, by the keys of ``USUAL``; empty for the test arrays if there are none.

    Args:
        file: the file of the training samples.
        given: names that the user gave, by the same keys.
        another_file: whether the test samples are in another file, under the same names unless the user gave others.

    Raises:
        UsageError: the array of inputs or labels is not known, or one of the test arrays.
    """
    usual = {name.lower().replace("_", ""): name for name in file.names}
    found = {key: next((usual[name] for name in known if name in usual), "") for key, known in USUAL.items()}
    names = {key: given[key] or found[key] for key in USUAL}
    if another_file:
        names |= {f"test_{key}": given[f"test_{key}"] or names[key] for key in ("inputs", "labels")}
    both = bool(names["test_inputs"]) == bool(names["test_labels"])
    for key in ("inputs", "labels", *(() if both else ("test_inputs", "test_labels"))):
        if not names[key]:
            raise ffprobe.UsageError(
                f"It is not known which array of {file.path} has the {key.replace('_', ' ')}.",
                hint=f"Add --set dataset.{key}=NAME. It has {', '.join(file.names) or 'no array'}.",
            )
    return names
