"""The contract of a data set."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from ffprobe.data.normalize import normalize
from ffprobe.data.sample_statistics import statistics
from ffprobe.data.samples import Samples
from ffprobe.errors import FileError, UsageError
from ffprobe.testing.contract import Skip, check, expect
from ffprobe.testing.contracts.component import ComponentContract
from ffprobe.testing.materials import describe
from ffprobe.testing.randomness import global_states, moved


class DatasetContract(ComponentContract):
    """The checks of a data set; checks that need its files are skipped if the files are missing."""

    kind = "dataset"

    def make(self, data_dir: Path | None) -> Any:
        """The data set with the folder ``data_dir``, without permission to download."""
        return self.subject.component(self.subject.params, data_dir, False)  # type: ignore[call-arg]

    @cached_property
    def _loaded(self) -> dict[str, Samples] | str:
        made = self.make(self.subject.data_dir)
        try:
            with offline():
                return {"train": made.load("train"), "test": made.load("test")}
        except (FileError, UsageError) as error:
            return f"its files are missing: {error.what}"
        except Reached:
            return "it needs the network"

    def splits(self) -> dict[str, Samples]:
        """Both splits; raises Skip if the files are missing."""
        if isinstance(self._loaded, str):
            raise Skip(self._loaded)
        return self._loaded

    @check("Loader, augmentation and run file depend on this format.")
    def gives_samples(self) -> None:
        """load("train") and load("test") return ffprobe.Images or ffprobe.Samples with one label for each sample."""
        for split, samples in self.splits().items():
            expect(isinstance(samples, Samples), f"ffprobe.Images or ffprobe.Samples for {split}", describe(samples))
            good = samples.labels.dtype == torch.int64 and len(samples.labels) == len(samples)
            expect(good, f"int64 [{len(samples)}] for {split}", describe(samples.labels))

    @check("The network is trained on one split and tested on the other, so both must have the same form.")
    def splits_share_classes_shape_mean_and_std(self) -> None:
        """Both splits have the same classes in the same order, one shape, one mean and one std."""
        train, test = self.splits().values()
        for name in ("classes", "kind", "shape", "mean", "std"):
            first, second = getattr(train, name), getattr(test, name)
            expect(first == second, f"the same {name} in both splits", f"{first!r} and {second!r}"[:200])

    @check("A mean on the scale 0 to 255 makes every image nearly constant, and the run continues without an error.")
    def mean_and_std_are_on_the_scale_0_to_1(self) -> None:
        """Normalized training samples have mean about 0 and standard deviation about 1 in every channel."""
        train = self.splits()["train"]
        if train.kind == "tokens":
            raise Skip("tokens are not normalized")
        mean, std = (train.mean, train.std) if train.mean else statistics(train)
        normalized = normalize(train.inputs[:2000], mean, std, torch.float64)
        for channel, x in enumerate(normalized.unbind(1)):
            center, spread = float(x.mean()), float(x.std())
            got = f"{center:.2f} and {spread:.2f} in channel {channel}"
            expect(abs(center) < 2 and 0.2 < spread < 5, "a mean near 0 and a standard deviation near 1", got)

    @check("The network cannot learn a class without samples, but tables and accuracies count it.")
    def every_class_occurs(self) -> None:
        """Class names are different non-empty strings, and each class has a sample in both splits."""
        for split, samples in self.splits().items():
            names = samples.classes
            good = all(isinstance(n, str) and n for n in names) and len(set(names)) == len(names)
            expect(good, "different names", repr(names)[:200])
            missing = sorted(set(range(len(names))) - set(samples.labels.tolist()))
            expect(not missing, f"a sample of every class in {split}", f"none of {[names[i] for i in missing][:5]}")

    @check("A test sample that is also a training sample makes the test accuracy too high.")
    def splits_do_not_overlap(self) -> None:
        """At most one test sample in a hundred is also in the training split."""
        train, test = self.splits().values()
        known = {row.tobytes() for row in train.inputs[:].flatten(1).numpy()}
        same = sum(row.tobytes() in known for row in test.inputs[:].flatten(1).numpy())
        expect(same <= len(test) / 100, "splits of different samples", f"{same} of {len(test)} test samples in both")

    @check("The run file identifies the training samples by a hash; only seeds may make runs differ.")
    def is_deterministic(self) -> None:
        """Loading twice gives the same samples in the same order, without draws from a global generator."""
        kept = {split: samples.sha256() for split, samples in self.splits().items()}
        before, made = global_states(), self.make(self.subject.data_dir)
        for split in ("test", "train"):
            again = made.load(split).sha256()
            expect(again == kept[split], f"the same samples for {split} from another instance", "other samples")
        drawn = moved(before)
        expect(not drawn, "no draws from global generators", f"draws from {', '.join(drawn)}")

    @check("The error for a wrong --data-dir must name the missing file and how to get it.")
    def missing_files_are_a_file_error(self) -> None:
        """With an empty or missing folder it loads without files, or raises a FileError with a hint."""
        for folder in (self.scratch / "empty", self.scratch / "missing"):
            if folder.name == "empty":
                folder.mkdir(exist_ok=True)
            try:
                with offline():
                    self.make(folder).load("train")
            except (FileError, UsageError) as error:
                message = f"{error.what} {error.hint}".strip()
                expect(error.hint or "--" in message, "an error with a hint", repr(message))
            except Reached:
                expect(False, "no use of the network", "a connection, although download is False")
            except Exception as error:
                expect(False, f"FileError for a data folder that is {folder.name}", self.describe_error(error))

    @check("Nothing may be downloaded without --download.")
    def downloads_only_on_request(self) -> None:
        """Without download it opens no connection, whether its files exist or not."""
        for folder in (self.subject.data_dir, self.scratch):
            try:
                with offline():
                    self.make(folder).load("test")
            except (FileError, UsageError):
                continue
            except Reached:
                expect(False, "no use of the network", "a connection, although download is False")


class Reached(BaseException):
    """The data set tried to use the network; not an Exception, so that no data set can catch it."""


@contextmanager
def offline() -> Iterator[None]:
    """Any use of the network inside the block raises ``Reached``."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise Reached

    kept = socket.socket.connect, socket.getaddrinfo
    socket.socket.connect = refuse  # type: ignore[method-assign]
    socket.getaddrinfo = refuse
    try:
        yield
    finally:
        socket.socket.connect, socket.getaddrinfo = kept  # type: ignore[method-assign]
