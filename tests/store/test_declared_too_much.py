"""A small file that declares too much is refused at once, in little memory; the largest honest files open."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import h5py
import hostile
import numpy as np
import pytest
import small_run

from ffprobe.errors import FileError, UsageError
from ffprobe.store.caps import MAX_GROWING, MAX_OBJECTS, VIEW_LIMIT, most_output
from ffprobe.store.overview import LAST_MESSAGES, overview, terminal_view
from ffprobe.store.reader import open_run
from ffprobe.store.repair import repair
from ffprobe.store.rewrite import CHECK_EVERY
from ffprobe.store.writer import RunWriter

CHILD = """
import resource, sys, time
from pathlib import Path
from ffprobe.errors import FileError, UsageError
from ffprobe.store.overview import overview
from ffprobe.store.reader import open_run
from ffprobe.store.repair import repair
action, path = sys.argv[1], Path(sys.argv[2])
before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
try:
    if action == "show":
        with open_run(path) as run:
            overview(run)
    else:
        repair(path)
except FileError as error:
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(time.process_time() - began, (after - before) / 1024, str(error).replace(chr(10), " "))
    sys.exit(error.exit_code)
"""


def refused(action: str, path: Path) -> str:
    """Run the action in a process with 8 GiB; assert exit 4, at most 1 s and 200 MB, and return the message."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))"
    done = subprocess.run(
        [sys.executable, "-c", limit + CHILD, action, str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 4, (done.stdout, done.stderr)
    seconds, megabytes, message = done.stdout.split(" ", 2)
    assert float(seconds) < 1
    assert float(megabytes) < 200
    return message


@pytest.mark.parametrize("kind", hostile.REFUSED)
def test_show_refuses_a_file_that_declares_too_much(kind: str, partial: Path) -> None:
    hostile.REFUSED[kind](partial)
    assert str(partial) in refused("show", partial)


@pytest.mark.parametrize("kind", hostile.NOT_REWRITTEN)
def test_repair_refuses_a_file_that_declares_too_much_and_leaves_nothing(kind: str, partial: Path) -> None:
    hostile.NOT_REWRITTEN[kind](partial)
    before = partial.read_bytes()
    assert str(partial) in refused("repair", partial)
    assert os.listdir(partial.parent) == [partial.name]
    assert partial.read_bytes() == before


def test_repair_writes_no_row_that_was_never_written(partial: Path) -> None:
    hostile.wide_rows(partial)  # 2,000 rows of 4 MB
    size = partial.stat().st_size
    began = time.process_time()
    repair(partial)
    assert time.process_time() - began < 5
    assert partial.stat().st_size < most_output(size)
    with open_run(partial) as run:
        assert run.variable("metrics/bomb").shape == (2000, 1 << 20)
        assert np.isnan(run["metrics/bomb"][1999]).all()
        np.testing.assert_array_equal(
            run["metrics/loss"][:2], [small_run.epoch_rows(e)["metrics/loss"] for e in (0, 1)]
        )


def test_repair_keeps_the_written_part_of_an_array_with_gaps(run_path: Path) -> None:
    with RunWriter.create(run_path, small_run.schema()) as writer:
        for epoch in range(5):
            row = {"epoch": epoch + 1}
            writer.append("evaluation", {**row, "goodness": np.full((2, 20, 3), epoch, "f4")} if epoch % 2 else row)
            writer.commit()
    with open_run(writer.partial) as run:
        before = run.read("evaluation/goodness")
        assert len(run.variable("evaluation/goodness").written_regions() or ()) == 2
    repair(writer.partial)
    with open_run(writer.partial) as run:
        np.testing.assert_array_equal(run.read("evaluation/goodness"), before)
        assert len(run.variable("evaluation/goodness").written_regions() or ()) == 2


def test_repair_stops_before_the_new_file_is_a_large_multiple_of_the_old_one(partial: Path) -> None:
    with h5py.File(partial, "r+") as file:  # tiny chunks far apart, each in another large chunk of the new file
        group, count = file["final"], 1 << 20
        scale = group.create_dataset("far", data=np.arange(count, dtype="i4"))
        scale.make_scale("far")
        few = group.create_dataset("few", data=np.arange(100 * CHECK_EVERY, dtype="i4"))
        few.make_scale("few")
        array = group.create_dataset(
            "spread", (100 * CHECK_EVERY, count), "f4", chunks=(1, 64), compression="gzip", fillvalue=np.nan
        )
        array.dims[0].attach_scale(few)
        array.dims[1].attach_scale(scale)
        for row in range(0, 100 * CHECK_EVERY, 16):
            array[row, :1] = 1
    size = partial.stat().st_size
    repair(partial)
    assert partial.stat().st_size < most_output(size)


def test_show_reads_only_the_last_messages(run_path: Path) -> None:
    with RunWriter.create(run_path, small_run.schema()) as writer:
        small_run.write_epoch(writer, 0)
        for number in range(1000):
            writer.log(number, f"message {number}")
        writer.finish()
    with open_run(run_path) as run:
        document = overview(run)
        assert [entry["message"] for entry in document["messages"]] == [
            f"message {n}" for n in range(1000 - LAST_MESSAGES, 1000)
        ]
        assert document["messages_total"] == 1001
        assert len(run.messages()) == 1001
        assert run.messages(last=0) == []
    assert any("earlier messages" in str(part) for part in terminal_view(document).renderables)


@pytest.mark.slow
def test_an_honest_large_file_opens(run_path: Path) -> None:
    # 20 layers with three recorded stages of 60,000 images and 2,048 features, 5,000 epochs, a million steps
    records = [
        small_run.ActivationRecord(f"layer{n}", stage, 2048, (2048,), "none")
        for n in range(20)
        for stage in ("pre", "post", "random")
    ]
    layers = tuple(f"layer{n}" for n in range(20))
    weights = {f"layer{n}.{name}": ((64, 64), "f4") for n in range(20) for name in ("weight", "bias", "gain")}
    facts = small_run.facts(
        layers=layers, validation=10_000, activations=records, activation_samples=(50_000, 10_000), weights=weights
    )
    with RunWriter.create(run_path, small_run.run_schema(facts)) as writer:
        writer.extend("steps", {"loss": np.ones((1_000_000, 20), "f4")})
        for epoch in range(5000):
            writer.append("metrics", {"epoch": epoch + 1})
            writer.commit() if epoch % 50 == 0 else None
        writer.commit()
        assert len(writer._columns) < MAX_GROWING
    with open_run(writer.partial, limit=VIEW_LIMIT) as run:
        assert (run.epochs, run.variable("steps/loss").shape) == (5000, (1_000_000, 20))
        assert len(overview(run)["contents"]) < MAX_OBJECTS
    size = writer.partial.stat().st_size
    repair(writer.partial)
    assert writer.partial.stat().st_size < 1.2 * size


def test_long_lists_of_labels_are_read_whole(finished: Path) -> None:
    names = [f"class {n}" for n in range(1000)]
    with h5py.File(finished, "r+") as file:
        scale = file["metrics"].create_dataset("class", data=names, dtype=h5py.string_dtype())
        scale.make_scale("class")
    with open_run(finished) as run:
        array = run["metrics/class"]
        assert array[...].tolist() == names
        assert array[5:900:7].tolist() == names[5:900:7]
        assert array[::-1].tolist() == names[::-1]
        assert array[[3, 999, 3]].tolist() == [names[3], names[999], names[3]]
        assert array[2] == names[2]


def test_the_largest_commit_record_is_checked_in_a_second(finished: Path) -> None:
    from ffprobe.store.caps import MAX_COMMITS
    from ffprobe.store.commits import CHECKSUM, COMMIT, LENGTH, row_checksum

    with h5py.File(finished, "r+") as file:
        row = file[LENGTH][-1]
        for name, value in ((LENGTH, row), (CHECKSUM, row_checksum(row)), (COMMIT, 0)):
            file[name].resize(MAX_COMMITS // 8, axis=0)
            file[name][:] = value
    began = time.process_time()
    with open_run(finished) as run:
        assert run.epochs == 3
    assert time.process_time() - began < 1
    with h5py.File(finished, "r+") as file:
        for name in (LENGTH, CHECKSUM, COMMIT):
            file[name].resize(MAX_COMMITS + 1, axis=0)
    with pytest.raises(FileError, match="commit record is too long"):
        open_run(finished)


def test_a_run_that_no_reader_would_open_is_refused_before_it_starts(run_path: Path) -> None:
    weights = {f"layer{n}.weight": ((1, 1), "f4") for n in range(MAX_OBJECTS // 3)}
    with pytest.raises(UsageError, match="groups and arrays"):
        RunWriter.create(run_path, small_run.run_schema(small_run.facts(weights=weights)))
    assert os.listdir(run_path.parent) == []
