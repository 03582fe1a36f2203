"""The contract of a choice of negatives."""

from __future__ import annotations

import itertools
from typing import Any

import torch

from ffprobe.errors import UsageError
from ffprobe.testing.contract import Skip, check, expect
from ffprobe.testing.contracts.component import ComponentContract
from ffprobe.testing.contracts.module import Elsewhere
from ffprobe.testing.materials import IMAGES, describe, generator, is_finite, labels, numbers
from ffprobe.testing.randomness import global_states, moved, undisturbed

ROWS, LAYERS = 400, 3


class NegativesContract(ComponentContract):
    """The checks of negatives: labels for 2, 10 and 1000 classes, or images."""

    kind = "negatives"

    @property
    def gives(self) -> str:
        """The declared output: ``labels`` or ``images``."""
        return str(self.subject.component.gives)  # type: ignore[attr-defined]

    def labels_only(self) -> None:
        """Raise Skip if the negatives are images."""
        if self.gives == "images":
            raise Skip("its negatives are images")

    def draw(self, classes: int, source: torch.Generator, made: Any = None, rows: int = ROWS, seed: int = 0) -> Any:
        """The negatives for ``rows`` labels, the classes in turn."""
        made = made or self.subject.build()
        goodness = _goodness(made, rows, classes, seed)
        return made(numbers(rows, (1, 8, 8)), labels(rows, classes), classes, source, goodness)

    @check("It determines how negatives are used, and with which encoders and evaluators.")
    def gives_is_valid(self) -> None:
        """The class attribute gives is labels or images."""
        expect(self.gives in ("labels", "images"), "labels or images", repr(self.gives))

    @check("It determines which goodness is computed for every batch; any other value would be taken for True.")
    def needs_goodness_is_valid(self) -> None:
        """The class attribute needs_goodness is False, True or "all"."""
        needed = self.subject.component.needs_goodness  # type: ignore[attr-defined]
        expect(needed in (False, True, "all"), 'False, True or "all"', repr(needed))

    @check("They are concatenated with the images of the batch and passed through the network.")
    def gives_images(self) -> None:
        """Images are finite and have the same shape and dtype as the input, for images of 1x8x8 and 3x6x10, a signal
        and a table; signals and tables may also raise UsageError.
        """
        if self.gives != "images":
            raise Skip("its negatives are labels")
        shapes = ((1, 8, 8), (3, 6, 10), (3, 20), (24,))
        for shape, dtype in itertools.product(shapes, (torch.float32, torch.float64)):
            made = self.subject.build()
            try:
                images = made(numbers(16, shape).to(dtype), labels(16, 10), 10, generator())
            except UsageError as refusal:
                expect(len(shape) < 3, f"negatives for images {list(shape)}", f"UsageError: {refusal}")
                continue
            good = isinstance(images, torch.Tensor) and images.dtype == dtype and tuple(images.shape) == (16, *shape)
            expect(good and is_finite(images), f"finite {dtype} {[16, *shape]}", describe(images))

    @check("A negative that equals its positive cancels the gradient of the positive.")
    def never_the_same_image(self) -> None:
        """In many draws at most one negative in a hundred equals its positive image."""
        if self.gives != "images":
            raise Skip("its negatives are labels")
        source, made, same = generator(), self.subject.build(), 0
        for turn in range(20):
            images = numbers(50, (1, 8, 8), turn)
            same += int((made(images, labels(50, 10), 10, source) == images).flatten(1).all(dim=1).sum())
        expect(same <= 10, "other images in at least 990 of 1000 cases", f"{same} of 1000 equal their positive")

    @check("Learning without labels must not use labels.")
    def images_do_not_depend_on_labels(self) -> None:
        """Different labels give the same images."""
        if self.gives != "images":
            raise Skip("its negatives are labels")
        first, second = (
            self.subject.build()(numbers(16, (1, 8, 8)), truth, 10, generator(5))
            for truth in (labels(16, 10), (labels(16, 10) + 3) % 10)
        )
        expect(torch.equal(first, second), "the same images for different labels", "different images")

    @check("They are used as indices, and concatenated with the true labels.")
    def gives_labels(self) -> None:
        """Labels are int64 [B], from 0 to the number of classes minus 1."""
        self.labels_only()
        for classes in (2, 10, 1000):
            wrong = self.draw(classes, generator())
            good = isinstance(wrong, torch.Tensor) and wrong.dtype == torch.int64 and tuple(wrong.shape) == (ROWS,)
            expect(good, f"int64 [{ROWS}] for {classes} classes", describe(wrong))
            low, high = int(wrong.min()), int(wrong.max())
            inside = low >= 0 and high < classes
            expect(inside, f"labels from 0 to {classes - 1}", f"labels from {low} to {high}")

    @check("A negative with the true label cancels the gradient of the positive.")
    def never_the_true_label(self) -> None:
        """In many draws no negative has the true label, for 2, 10 and 1000 classes."""
        self.labels_only()
        for classes in (2, 10, 1000):
            source, made = generator(), self.subject.build()
            for turn in range(20):
                wrong = self.draw(classes, source, made, seed=turn)
                same = int((wrong == labels(ROWS, classes)).sum())
                got = f"{same} of {ROWS} true labels in draw {turn + 1}"
                expect(same == 0, f"wrong labels only, with {classes} classes", got)

    @check("Negatives have their own random stream; draws from another generator make a run irreproducible.")
    def draws_from_its_generator_only(self) -> None:
        """The same state of the given generator gives the same negatives, and no global generator is used."""
        for classes in (2, 10):
            before = global_states()
            first = self.draw(classes, generator(5))
            drawn = moved(before)
            expect(not drawn, "draws from the given generator only", f"draws from {', '.join(drawn)}")
            with undisturbed(99):
                second = self.draw(classes, generator(5))
            same = torch.equal(first, second)
            expect(same, f"the same {self.gives} from the same state of the generator", f"different {self.gives}")

    @check("The network never learns to reject a wrong label that is never drawn.")
    def covers_the_wrong_labels(self) -> None:
        """In many draws with five classes every wrong label is drawn for every true label."""
        self.labels_only()
        source, made, seen = generator(), self.subject.build(), set()
        for turn in range(20):
            wrong = self.draw(5, source, made, seed=turn)
            seen |= set(zip(labels(ROWS, 5).tolist(), wrong.tolist(), strict=True))
        never = [(a, b) for a in range(5) for b in range(5) if a != b and (a, b) not in seen]
        got = f"never {never[0][1]} for the true label {never[0][0]}, and {len(never) - 1} more" if never else ""
        expect(not never, "all 20 pairs of a true and a wrong label in 8000 draws", got)

    @check("Positives are built from the same images and labels after this call.")
    def does_not_change_its_input(self) -> None:
        """Images, labels and goodness are not changed in place."""
        made = self.subject.build()
        goodness = _goodness(made, ROWS, 10)
        given = [numbers(ROWS, IMAGES), labels(ROWS, 10), torch.zeros(()) if goodness is None else goodness]
        kept = [value.clone() for value in given]
        made(given[0], given[1], 10, generator(), goodness)
        expect(all(map(torch.equal, kept, given)), "unchanged arguments", "a tensor changed in place")

    @check("On a GPU, a label on the CPU is an error at the first step.")
    def stays_on_its_device(self) -> None:
        """Negatives are on the device of images and labels, although the generator is always on the CPU."""
        made = self.subject.build()
        goodness = _goodness(made, 8, 10)
        goodness = None if goodness is None else goodness.to("meta")
        with Elsewhere("labels on another device"):
            wrong = made(numbers(8, IMAGES).to("meta"), labels(8, 10).to("meta"), 10, generator(), goodness)
        expect(wrong.device.type == "meta", f"{self.gives} on the device of the input", f"on {wrong.device.type!r}")

    @check("A resumed run must equal a run that never stopped.")
    def state_survives_saving(self) -> None:
        """With the loaded state_dict() and the same state of the generator, the next draws are the same."""
        made, source = self.subject.build(), generator()
        self.draw(10, source, made)
        state, generator_state = made.state_dict(), source.get_state()
        first = self.draw(10, source, made, seed=1)
        again, other = self.subject.build(), torch.Generator()
        again.load_state_dict(state)
        other.set_state(generator_state)
        second = self.draw(10, other, again, seed=1)
        expect(torch.equal(first, second), f"the same {self.gives} after loading", f"different {self.gives}")


def _goodness(made: Any, rows: int, classes: int, seed: int = 0) -> torch.Tensor | None:
    """The goodness that the negatives need: ``[rows, classes]``, or ``[LAYERS, rows, classes]`` of every layer."""
    if not made.needs_goodness:
        return None
    if made.needs_goodness == "all":
        return numbers(LAYERS * rows, (classes,), seed).view(LAYERS, rows, classes)
    return numbers(rows, (classes,), seed)
