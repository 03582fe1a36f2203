"""What a choice of negatives must obey."""

from __future__ import annotations

import itertools
from typing import Any

import torch

from ffprobe.testing.contract import Skip, check, expect
from ffprobe.testing.contracts.component import ComponentContract
from ffprobe.testing.contracts.module import Elsewhere
from ffprobe.testing.materials import IMAGES, generator, is_finite, labels, numbers, told
from ffprobe.testing.randomness import global_states, moved, undisturbed

ROWS = 400


class NegativesContract(ComponentContract):
    """The checks of negatives that give labels, for 2, 10 and 1000 classes, or of negatives that give images."""

    kind = "negatives"

    @property
    def gives(self) -> str:
        """What the negatives say that they give."""
        return str(self.subject.component.gives)  # type: ignore[attr-defined]

    def labels_only(self) -> None:
        """Skip where it gives images."""
        if self.gives == "images":
            raise Skip('it gives images, as gives = "images" says')

    def draw(self, classes: int, source: torch.Generator, made: Any = None, rows: int = ROWS, seed: int = 0) -> Any:
        """What it gives for ``rows`` labels, every class in turn."""
        made = made or self.subject.build()
        goodness = numbers(rows, (classes,), seed) if made.needs_goodness else None
        return made(numbers(rows, (1, 8, 8)), labels(rows, classes), classes, source, goodness)

    @check("It decides what becomes of them, and which encoders and evaluators they go with.")
    def what_it_gives_is_known(self) -> None:
        """The class attribute gives is labels or images."""
        expect(self.gives in ("labels", "images"), "labels or images", repr(self.gives))

    @check("They are stacked beside the images of the batch, and go through the network with them.")
    def gives_images(self) -> None:
        """Finite images of the same shape and dtype, float32 and float64, for images of 1x8x8 and 3x6x10."""
        if self.gives != "images":
            raise Skip("it gives labels")
        for shape, dtype in itertools.product(((1, 8, 8), (3, 6, 10)), (torch.float32, torch.float64)):
            made = self.subject.build()
            images = made(numbers(16, shape).to(dtype), labels(16, 10), 10, generator())
            good = isinstance(images, torch.Tensor) and images.dtype == dtype and tuple(images.shape) == (16, *shape)
            expect(good and is_finite(images), f"finite {dtype} {[16, *shape]}", told(images))

    @check("A negative that is its positive pushes down what the same step pushes up.")
    def never_the_same_image(self) -> None:
        """In many draws hardly a negative is the image in its own place: at most one in a hundred."""
        if self.gives != "images":
            raise Skip("it gives labels")
        source, made, same = generator(), self.subject.build(), 0
        for turn in range(20):
            images = numbers(50, (1, 8, 8), turn)
            same += int((made(images, labels(50, 10), 10, source) == images).flatten(1).all(dim=1).sum())
        expect(same <= 10, "other images, of 1000", f"{same} of 1000 are the image in their place")

    @check("What is learned without labels must not look at them.")
    def images_do_not_depend_on_labels(self) -> None:
        """Other labels give the same images."""
        if self.gives != "images":
            raise Skip("it gives labels")
        one, two = (
            self.subject.build()(numbers(16, (1, 8, 8)), truth, 10, generator(5))
            for truth in (labels(16, 10), (labels(16, 10) + 3) % 10)
        )
        expect(torch.equal(one, two), "the same images whatever the labels", "other images")

    @check("They are used as an index, and stacked beside the true labels.")
    def gives_labels(self) -> None:
        """Int64 [B], from 0 to the number of classes less one."""
        self.labels_only()
        for classes in (2, 10, 1000):
            wrong = self.draw(classes, generator())
            good = isinstance(wrong, torch.Tensor) and wrong.dtype == torch.int64 and tuple(wrong.shape) == (ROWS,)
            expect(good, f"int64 [{ROWS}] for {classes} classes", told(wrong))
            low, high = int(wrong.min()), int(wrong.max())
            inside = low >= 0 and high < classes
            expect(inside, f"labels from 0 to {classes - 1}", f"labels from {low} to {high}")

    @check("A negative with the true label pushes down what the same step pushes up.")
    def never_the_true_label(self) -> None:
        """In many draws no negative has the true label, for 2, 10 and 1000 classes."""
        self.labels_only()
        for classes in (2, 10, 1000):
            source, made = generator(), self.subject.build()
            for turn in range(20):
                wrong = self.draw(classes, source, made, seed=turn)
                same = int((wrong == labels(ROWS, classes)).sum())
                came = f"{same} of {ROWS} true labels in draw {turn + 1}"
                expect(same == 0, f"wrong labels only, of {classes} classes", came)

    @check("A run's negatives are a stream of their own; another generator would make the run unrepeatable.")
    def draws_from_its_generator_only(self) -> None:
        """The same state of the given generator gives the same negatives, and no global generator moves."""
        for classes in (2, 10):
            before = global_states()
            first = self.draw(classes, generator(5))
            drawn = moved(before)
            expect(not drawn, "draws from the given generator only", f"draws from {', '.join(drawn)}")
            with undisturbed(99):
                second = self.draw(classes, generator(5))
            same = torch.equal(first, second)
            expect(same, f"the same {self.gives} from the same state of the generator", f"other {self.gives}")

    @check("A wrong label that never comes up is one that the network never learns to refuse.")
    def covers_the_wrong_labels(self) -> None:
        """Over many draws every wrong label comes up for every true one, of five classes."""
        self.labels_only()
        source, made, seen = generator(), self.subject.build(), set()
        for turn in range(20):
            wrong = self.draw(5, source, made, seed=turn)
            seen |= set(zip(labels(ROWS, 5).tolist(), wrong.tolist(), strict=True))
        never = [(a, b) for a in range(5) for b in range(5) if a != b and (a, b) not in seen]
        came = f"never {never[0][1]} for the true label {never[0][0]}, and {len(never) - 1} more" if never else ""
        expect(not never, "all 20 pairs of a true and a wrong label in 8000 draws", came)

    @check("Positives are made from the same images and labels, after this call.")
    def leaves_its_input_alone(self) -> None:
        """It changes neither images nor labels nor goodness."""
        made = self.subject.build()
        given = [numbers(ROWS, IMAGES), labels(ROWS, 10), numbers(ROWS, (10,))]
        kept = [value.clone() for value in given]
        made(given[0], given[1], 10, generator(), given[2] if made.needs_goodness else None)
        expect(all(map(torch.equal, kept, given)), "the input as it was", "a tensor changed in place")

    @check("On a graphics card a label on the CPU is an error at the first step.")
    def stays_on_its_device(self) -> None:
        """They lie on the device of images and labels given, though the generator is always the CPU's."""
        made = self.subject.build()
        goodness = numbers(8, (10,)).to("meta") if made.needs_goodness else None
        with Elsewhere("labels on another device"):
            wrong = made(numbers(8, IMAGES).to("meta"), labels(8, 10).to("meta"), 10, generator(), goodness)
        expect(wrong.device.type == "meta", f"{self.gives} on the device of those given", f"on {wrong.device.type!r}")

    @check("A resumed run must go on as if it had not stopped.")
    def state_survives_saving(self) -> None:
        """With state_dict() loaded and the generator as it was, the next draws are the same."""
        made, source = self.subject.build(), generator()
        self.draw(10, source, made)
        state, place = made.state_dict(), source.get_state()
        first = self.draw(10, source, made, seed=1)
        again, other = self.subject.build(), torch.Generator()
        again.load_state_dict(state)
        other.set_state(place)
        second = self.draw(10, other, again, seed=1)
        expect(torch.equal(first, second), f"the same {self.gives} after loading", f"other {self.gives}")
