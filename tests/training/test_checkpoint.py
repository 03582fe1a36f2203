"""A checkpoint contains plain containers of tensors; damaged files are refused, and no code from a file is run."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from ffprobe.errors import FileError
from ffprobe.training.checkpoint import read_checkpoint, write_checkpoint


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return type(a) is type(b) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and (a == b or (a != a and b != b))


STATE = {
    "a": torch.arange(3),
    0: [1, 2.5, float("nan"), None, True, "x", {"b": torch.zeros(())}],
    "c": float("inf"),
    "betas": (0.9, 0.999),
    "half": torch.tensor([1.0, -2.5], dtype=torch.bfloat16),
    "state": {0: {"step": torch.tensor(4.0)}, 1: {}},
}


def test_a_state_comes_back_with_its_types(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "c", STATE)
    assert same(read_checkpoint(tmp_path / "c"), STATE)


def test_an_optimizer_in_bfloat16_comes_back(tmp_path: Path) -> None:
    parameter = torch.nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
    optimizer = torch.optim.Adam([parameter])
    parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    write_checkpoint(tmp_path / "c", {"optimizer": optimizer.state_dict()})
    assert same(read_checkpoint(tmp_path / "c")["optimizer"], optimizer.state_dict())


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", 1j, {(1, 2): 3}, {"deep": [{"er": object()}]}])
def test_values_that_could_not_be_read_back_are_not_written(tmp_path: Path, value: Any) -> None:
    write_checkpoint(tmp_path / "c", STATE)
    with pytest.raises(TypeError, match=r"a checkpoint cannot contain .* at state\.a"):
        write_checkpoint(tmp_path / "c", {"a": value})
    assert same(read_checkpoint(tmp_path / "c"), STATE)


def test_damaged_checkpoints_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c"
    write_checkpoint(path, {"a": torch.arange(1000)})
    whole = path.read_bytes()
    at = whole.index(torch.arange(1000).numpy().tobytes()[8:64])
    flipped = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
    for damage in (whole[:100], whole[:-10], b"", b"x" * 1000, flipped):
        path.write_bytes(damage)
        with pytest.raises(FileError, match="not a readable checkpoint"):
            read_checkpoint(path)
    path.write_bytes(whole)
    with pytest.raises(FileError, match="declares"):
        read_checkpoint(path, limit=10)
    os.unlink(path)
    with pytest.raises(FileError, match="There is no checkpoint"):
        read_checkpoint(path)


class Hostile:
    """Pickles to a call."""

    def __init__(self, trap: Path) -> None:
        self.trap = trap

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trap,)


def test_a_hostile_checkpoint_runs_nothing(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    torch.save({"a": Hostile(trap)}, tmp_path / "c")
    assert not trap.exists()
    with pytest.raises(FileError, match="not a readable checkpoint"):
        read_checkpoint(tmp_path / "c")
    plain = tmp_path / "plain"
    plain.write_bytes(pickle.dumps({"a": Hostile(trap)}))  # no archive at all: torch would unpickle an old format
    with pytest.raises(FileError, match="not a readable checkpoint"):
        read_checkpoint(plain)
    assert not trap.exists()


def test_an_archive_with_other_contents_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "c", "w") as archive:
        archive.writestr("hello.txt", "hello")
    with pytest.raises(FileError, match="not a readable checkpoint"):
        read_checkpoint(tmp_path / "c")
    torch.save([1, 2], tmp_path / "list")
    with pytest.raises(FileError, match="contains no state"):
        read_checkpoint(tmp_path / "list")


def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "c.new").symlink_to(victim)
    write_checkpoint(tmp_path / "c", STATE)
    assert victim.read_text() == "precious"
    assert same(read_checkpoint(tmp_path / "c"), STATE)
