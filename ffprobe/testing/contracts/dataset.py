"""What a data set must obey."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from ffprobe.data.images import Images
from ffprobe.errors import FileError, UsageError
from ffprobe.testing.contract import Skip, check, expect
from ffprobe.testing.contracts.component import ComponentContract
from ffprobe.testing.materials import told
from ffprobe.testing.randomness import global_states, moved


class DatasetContract(ComponentContract):
    """The checks of a data set; those that need its files are skipped where they are not there."""

    kind = "dataset"

    def make(self, data_dir: Path | None) -> Any:
        """The data set, told to look in ``data_dir`` and not to download."""
        return self.subject.component(self.subject.params, data_dir, False)  # type: ignore[call-arg]

    @cached_property
    def _loaded(self) -> dict[str, Images] | str:
        made = self.make(self.subject.data_dir)
        try:
            with offline():
                return {"train": made.load("train"), "test": made.load("test")}
        except (FileError, UsageError) as error:
            return f"its files are not here: {error.what}"
        except Reached:
            return "it wants the network"

    def splits(self) -> dict[str, Images]:
        """Both splits, or Skip where the files are not there."""
        if isinstance(self._loaded, str):
            raise Skip(self._loaded)
        return self._loaded

    @check("Every loader, augmentation and run file is made for it.")
    def gives_images(self) -> None:
        """load("train") and load("test") give ffprobe.Images: uint8 [N, C, H, W] and int64 labels [N]."""
        for split, images in self.splits().items():
            expect(isinstance(images, Images), f"ffprobe.Images for {split}", told(images))
            pixels, labels = images.pixels, images.labels
            good = pixels.dtype == torch.uint8 and pixels.dim() == 4 and labels.dtype == torch.int64
            expect(good, f"uint8 [N, C, H, W] and int64 [N] for {split}", f"{told(pixels)} and {told(labels)}")

    @check("What is learned on one split is tested on the other; other numbers would test something else.")
    def splits_share_classes_shape_mean_and_std(self) -> None:
        """Both splits have the same classes in the same order, one image shape, one mean and one std."""
        train, test = self.splits().values()
        for what in ("classes", "shape", "mean", "std"):
            first, second = getattr(train, what), getattr(test, what)
            expect(first == second, f"the same {what} in both splits", f"{first!r} and {second!r}"[:200])

    @check("A mean on the scale 0 to 255 makes every image a constant, and the run still goes on.")
    def mean_and_std_are_on_the_scale_0_to_1(self) -> None:
        """After normalization the training images have about mean 0 and standard deviation 1 in every channel."""
        train = self.splits()["train"]
        pixels = train.pixels[:2000].double() / 255
        for channel, (mean, std) in enumerate(zip(train.mean, train.std, strict=True)):
            x = (pixels[:, channel] - mean) / std
            at, spread = float(x.mean()), float(x.std())
            came = f"{at:.2f} and {spread:.2f} in channel {channel}"
            expect(abs(at) < 2 and 0.2 < spread < 5, "a mean near 0 and a standard deviation near 1", came)

    @check("A class without an image is one that the network cannot learn, and the tables count it.")
    def every_class_occurs(self) -> None:
        """Class names are texts, all different, and each has an image in both splits."""
        for split, images in self.splits().items():
            names = images.classes
            good = all(isinstance(n, str) and n for n in names) and len(set(names)) == len(names)
            expect(good, "different names", repr(names)[:200])
            bare = sorted(set(range(len(names))) - set(images.labels.tolist()))
            expect(not bare, f"an image of every class in {split}", f"none of {[names[i] for i in bare][:5]}")

    @check("A test image that was learned from makes the test accuracy a lie.")
    def splits_do_not_overlap(self) -> None:
        """At most one test image in a hundred also lies in the training split."""
        train, test = self.splits().values()
        known = {row.tobytes() for row in train.pixels.flatten(1).numpy()}
        same = sum(row.tobytes() in known for row in test.pixels.flatten(1).numpy())
        expect(same <= len(test) / 100, "splits of different images", f"{same} of {len(test)} test images in both")

    @check("The run file says by a hash which images were learned from; seeds decide everything else.")
    def is_deterministic(self) -> None:
        """Loading twice gives the same images in the same order, and draws from no global generator."""
        kept = {split: images.sha256() for split, images in self.splits().items()}
        before, made = global_states(), self.make(self.subject.data_dir)
        for split in ("test", "train"):
            again = made.load(split).sha256()
            expect(again == kept[split], f"the same images for {split} from another instance", "other images")
        drawn = moved(before)
        expect(not drawn, "no draw from a global generator", f"draws from {', '.join(drawn)}")

    @check("A user with a wrong --data-dir must be told which file is missing and how to get it.")
    def missing_files_are_a_file_error(self) -> None:
        """In an empty folder, and in none, it loads without files, or raises FileError that says what to do."""
        for folder in (self.scratch / "empty", self.scratch / "gone"):
            if folder.name == "empty":
                folder.mkdir(exist_ok=True)
            try:
                with offline():
                    self.make(folder).load("train")
            except (FileError, UsageError) as error:
                said = f"{error.what} {error.hint}".strip()
                expect(error.hint or "--" in said, "a sentence that says what to do", repr(said))
            except Reached:
                expect(False, "no use of the network", "a connection, though download is False")
            except Exception as error:
                expect(False, f"FileError for a data folder that is {folder.name}", self.told(error))

    @check("Nothing may be fetched unless the user said --download.")
    def downloads_nothing_unasked(self) -> None:
        """Without download it opens no connection, whether the files are there or not."""
        for folder in (self.subject.data_dir, self.scratch):
            try:
                with offline():
                    self.make(folder).load("test")
            except (FileError, UsageError):
                continue
            except Reached:
                expect(False, "no use of the network", "a connection, though download is False")


class Reached(BaseException):
    """Something wanted the network; not an Exception, so that no data set can swallow it."""


@contextmanager
def offline() -> Iterator[None]:
    """Inside, any use of the network raises."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise Reached

    kept = socket.socket.connect, socket.getaddrinfo
    socket.socket.connect = refuse  # type: ignore[method-assign]
    socket.getaddrinfo = refuse
    try:
        yield
    finally:
        socket.socket.connect, socket.getaddrinfo = kept  # type: ignore[method-assign]
