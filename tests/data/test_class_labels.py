"""Labels of any type as numbers from 0."""

import numpy as np
import pytest

from ffprobe.data.class_labels import class_labels
from ffprobe.errors import FileError


@pytest.mark.parametrize(
    ("values", "labels", "classes"),
    [
        (["b", "a", "b"], [1, 0, 1], ("a", "b")),
        (np.array(["b", "a", "b"], dtype=object), [1, 0, 1], ("a", "b")),
        (["10", "2", "2"], [1, 0, 0], ("2", "10")),  # as numbers: as texts, 10 comes first
        (np.array([7, 255, 7], dtype=np.uint8), [0, 1, 0], ("7", "255")),
        ([1.0, 3.0], [0, 1], ("1", "3")),
        ([True, False], [1, 0], ("False", "True")),
        (["10", "2", "x"], [0, 1, 2], ("10", "2", "x")),
    ],
)
def test_classes_are_sorted_and_numbered(values, labels, classes):
    found, names = class_labels(values)
    assert (found.tolist(), names) == (labels, classes)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, 2.5], r"Label 2 is 2\.5.*a text or a whole number"),
        (["1", "2.5"], r"Label 2 is 2\.5"),
        ([1.0, float("nan")], "Label 2 is nan"),
        (["a", " "], "Label 2 is empty"),
        ([None, "a"], "not object"),
        ([[1, 0]], r"not int64 \[1, 2\]"),
        (np.arange(10_001), "10001 different values"),
    ],
)
def test_what_is_no_class_is_refused(values, message):
    with pytest.raises(FileError, match=message) as caught:
        class_labels(values)
    assert caught.value.hint
