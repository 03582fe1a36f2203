"""Exceptions of any kind become sentences: memory that ran out, messages that cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from plugin_files import write

from ffprobe.errors import FfprobeError, PluginError, describe, out_of_memory
from ffprobe.plugin.error_attribution import attribute_errors
from ffprobe.plugin.registry import Registry


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


def test_an_exception_is_described_even_if_its_message_cannot_be_read() -> None:
    assert describe(ValueError("odd")) == "ValueError: odd"
    assert describe(ValueError()) == "ValueError"
    assert describe(Mute()) == "Mute (its message cannot be read: __str__ raised ValueError)"
    with (
        pytest.raises(FfprobeError, match=r"Training failed: Mute \(its message"),
        attribute_errors(Registry(), "training"),
    ):
        raise Mute


def allocate_in_torch() -> None:
    torch.empty(1 << 60)


def allocate_in_numpy() -> None:
    np.empty(1 << 60, dtype="u1")


def allocate_in_python() -> None:
    raise MemoryError


def allocate_on_a_gpu() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nmore")


@pytest.mark.parametrize("allocate", [allocate_in_torch, allocate_in_numpy, allocate_in_python, allocate_on_a_gpu])
def test_memory_that_ran_out_is_no_bug_and_has_a_hint(allocate) -> None:  # type: ignore[no-untyped-def]
    with (
        pytest.raises(FfprobeError, match=r"^Out of memory while training: ") as caught,
        attribute_errors(Registry(), "training"),
    ):
        allocate()
    assert type(caught.value) is FfprobeError
    assert "--batch-size" in caught.value.hint
    assert "\n" not in caught.value.what


def test_other_errors_are_not_about_memory() -> None:
    assert out_of_memory(RuntimeError("shapes cannot be multiplied")) is None
    assert out_of_memory(ValueError("out of memory")) is None
    assert out_of_memory(Mute()) is None


def test_a_plugin_whose_import_raises_what_cannot_be_read(tmp_path: Path) -> None:
    text = "class Mute(Exception):\n    def __str__(self): raise ValueError\nraise Mute\n"
    with pytest.raises(PluginError, match="could not be loaded: Mute "):
        Registry().load(write(tmp_path, text))
