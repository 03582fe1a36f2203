"""The contract of an encoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ffprobe.components.base import Shape
from ffprobe.errors import UsageError
from ffprobe.testing.contract import Skip, check, expect
from ffprobe.testing.contracts.module import Case, ModuleContract, Tensors
from ffprobe.testing.materials import IMAGES, VECTORS, describe, is_finite, labels, numbers

GREY, SIGNAL = (1, 8, 8), (2, 64)


class EncoderContract(ModuleContract):
    """The checks of an encoder: ``build(shape, classes)`` returns a module with ``forward`` and ``neutral``."""

    kind = "encoder"

    def candidates(self) -> list[Case]:
        """Grey and colour images, signals and tables, with two and with ten classes."""
        made = self.subject.build()

        def case(what: str, shape: tuple[int, ...], classes: int) -> Case:
            inputs = (numbers(8, shape), labels(8, classes))
            return Case(f"{what} {list(shape)} of {classes} classes", lambda: made.build(shape, classes), inputs)

        pictures = [case("images", GREY, 10), case("images", IMAGES, 10), case("images", IMAGES, 2)]
        signals = [case("signals", SIGNAL, 10), case("signals", SIGNAL, 2)]
        return [*pictures, *signals, case("tables", VECTORS, 10), case("tables", VECTORS, 2)]

    def call(self, module: Any, inputs: Tensors) -> Tensors:
        """The encoding with the labels, and with the neutral label."""
        return module(*inputs), module.neutral(inputs[0])

    @check("The first layer is built for this shape, and processes both with the same weights.")
    def neutral_has_the_shape_of_the_encoding(self) -> None:
        """Both forward and neutral return finite float32 of the same shape [B, ...]."""
        for case in self.cases():
            module: Any = case.built()
            has_neutral = callable(getattr(module, "neutral", None))
            expect(has_neutral, "a method neutral(images)", f"none for {case.what}")
            encoded, neutral = self.call(module, case.inputs)
            good = isinstance(encoded, torch.Tensor) and encoded.dtype == torch.float32 and len(encoded) == 8
            expect(good, f"float32 [8, ...] for {case.what}", describe(encoded))
            same = isinstance(neutral, torch.Tensor) and neutral.shape == encoded.shape
            expect(
                same and neutral.dtype == encoded.dtype,
                f"neutral as {describe(encoded)}, for {case.what}",
                describe(neutral),
            )
            expect(is_finite(encoded) and is_finite(neutral), f"finite values, for {case.what}", "NaN or infinity")

    @check("The network cannot learn from labels that its input does not distinguish.")
    def labels_are_distinguishable(self) -> None:
        """An image with two different labels has two different encodings, unless shows_label is False."""
        for case in self.cases():
            rows = self._every_label(case)[0]
            if not self.subject.build().shows_label:
                same = bool((rows == rows[:1]).all())
                expect(same, f"one encoding for all labels, since shows_label is False, {case.what}", "several")
                continue
            for a in range(len(rows)):
                for b in range(a):
                    far = float((rows[a] - rows[b]).abs().max())
                    got = f"the same encoding for {case.what}"
                    expect(far > 1e-6, f"different encodings of labels {b} and {a}", got)

    @check("The neutral label means an unknown label; activations and class goodness are computed with it.")
    def neutral_favours_no_label(self) -> None:
        """The neutral encoding has about the same distance to the encodings of all labels, and equals none."""
        if not self.subject.build().shows_label:
            raise Skip("it shows no label (shows_label is False)")
        for case in self.cases():
            rows, neutral = self._every_label(case)
            far = (rows - neutral).flatten(1).norm(dim=1)
            nearest, farthest = int(far.argmin()), int(far.argmax())
            got = f"label {nearest} at a distance of {far[nearest]:.3g}, {farthest} at {far[farthest]:.3g}, {case.what}"
            expect(far.min() > far.max() / 2, "no label at less than half the distance of another", got)

    @check("The run trains or freezes its parameters as declared, and records it in the file.")
    def is_learned_as_declared(self) -> None:
        """If learned is True, it has parameters, and each gets a gradient from the encoding."""
        learned = self.subject.build().learned
        expect(learned is None or isinstance(learned, bool), "True, False or None", repr(learned))
        for case in self.cases():
            module = case.built().requires_grad_(True)
            names = [name for name, _ in module.named_parameters()]
            expect(names or not learned, f"trainable parameters, for {case.what}", "none, although learned is True")
            if not names or learned is False:
                continue
            module(*case.inputs).square().sum().backward()
            missing = [name for name, p in module.named_parameters() if p.grad is None]
            expect(not missing, f"a gradient for every parameter, for {case.what}", f"none for {', '.join(missing)}")

    @check("A frozen encoder that still requires gradients keeps a graph in memory and may be trained unnoticed.")
    def gradient_only_if_learned(self) -> None:
        """If its parameters are frozen, the encoding has no graph."""
        for case in self.cases():
            module: nn.Module = case.built().requires_grad_(False)
            for name, out in zip(("forward", "neutral"), self.call(module, case.inputs), strict=True):
                got = f"a graph from {name}, for {case.what}"
                expect(not out.requires_grad, "no graph with frozen parameters", got)

    @check("A label scan computes the first layer from the parts; an error would change every goodness.")
    def parts_add_up_to_the_encoding(self) -> None:
        """If it has parts, common + scale * labels[y] equals the encoding of every image with every label y."""
        for case in self.cases():
            module: Any = case.built().eval()
            if not hasattr(module, "parts"):
                raise Skip("it has no parts")
            rows, classes = len(case.inputs[0]), int(case.what.split()[-2])
            with torch.no_grad():
                common, by_label, scale = module.parts(case.inputs[0])
                factor = 1.0 if scale is None else scale.view(-1, *([1] * (common.dim() - 1)))
                for label in range(classes):
                    encoded = module(case.inputs[0], torch.full((rows,), label))
                    far = float((common + factor * by_label[label] - encoded).abs().max())
                    got = f"a difference of {far:.2g} for label {label}, {case.what}"
                    expect(far < 1e-5, "the encoding", got)

    @check("Data sets may have a hundred or a thousand classes.")
    def serves_many_classes_or_refuses(self) -> None:
        """For a hundred classes it distinguishes all labels, or raises UsageError."""
        made = self.subject.build()
        if not made.shows_label:
            raise Skip("it shows no label (shows_label is False)")
        kind = len(self.cases()[0].inputs[0].shape[1:])
        shape: Shape = {1: (256,), 2: (2, 128), 3: (1, 16, 16)}[kind]
        case = Case("inputs of 100 classes", lambda: made.build(shape, 100), (numbers(8, shape), labels(8, 100)))
        try:
            rows = self._every_label(case, 100)[0]
        except UsageError as refusal:
            raise Skip(f"it refuses 100 classes: {refusal}") from None
        count = len({row.numpy().tobytes() for row in rows})
        expect(count == 100, "100 different encodings", f"{count}")

    def _every_label(self, case: Case, classes: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
        # one image with every label: [K, ...], and its neutral encoding [1, ...]
        classes = classes or int(case.what.split()[-2])
        module: Any = case.built().eval()
        image = case.inputs[0][:1]
        with torch.no_grad():
            rows = module(image.expand(classes, *image.shape[1:]).contiguous(), torch.arange(classes))
            return rows, module.neutral(image)
