"""What an encoder must obey."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ffprobe.testing.contract import Skip, check, expect
from ffprobe.testing.contracts.module import Case, ModuleContract, Tensors
from ffprobe.testing.materials import IMAGES, is_finite, labels, numbers, told

GREY = (1, 8, 8)


class EncoderContract(ModuleContract):
    """The checks of an encoder: ``build(shape, classes)`` gives a module with ``forward`` and ``neutral``."""

    kind = "encoder"

    def candidates(self) -> list[Case]:
        """Grey and colour images, of two and of ten classes."""
        made = self.subject.build()

        def case(what: str, shape: tuple[int, ...], classes: int) -> Case:
            inputs = (numbers(8, shape), labels(8, classes))
            return Case(f"{what} {list(shape)} of {classes} classes", lambda: made.build(shape, classes), inputs)

        return [case("images", GREY, 10), case("images", IMAGES, 10), case("images", IMAGES, 2)]

    def call(self, module: Any, inputs: Tensors) -> Tensors:
        """The encoding with the labels, and with the neutral one."""
        return module(*inputs), module.neutral(inputs[0])

    @check("The first layer is built for it, and reads both with the same weights.")
    def neutral_has_the_shape_of_the_encoding(self) -> None:
        """Both forward and neutral give finite float32 of one shape [B, ...]."""
        for case in self.cases():
            module: Any = case.built()
            expect(callable(getattr(module, "neutral", None)), "a method neutral(images)", f"none, for {case.what}")
            encoded, neutral = self.call(module, case.inputs)
            good = isinstance(encoded, torch.Tensor) and encoded.dtype == torch.float32 and len(encoded) == 8
            expect(good, f"float32 [8, ...] for {case.what}", told(encoded))
            same = isinstance(neutral, torch.Tensor) and neutral.shape == encoded.shape
            expect(
                same and neutral.dtype == encoded.dtype, f"neutral as {told(encoded)}, for {case.what}", told(neutral)
            )
            expect(is_finite(encoded) and is_finite(neutral), f"finite values, for {case.what}", "NaN or infinity")

    @check("What the network cannot see it cannot learn to tell apart.")
    def labels_can_be_told_apart(self) -> None:
        """The same image with two different labels has two different encodings, unless shows_label = False says so."""
        for case in self.cases():
            rows = self._every_label(case)[0]
            if not self.subject.build().shows_label:
                same = bool((rows == rows[:1]).all())
                expect(same, f"one encoding for all labels, as shows_label = False says, {case.what}", "several")
                continue
            for a in range(len(rows)):
                for b in range(a):
                    far = float((rows[a] - rows[b]).abs().max())
                    came = f"one encoding for both, for {case.what}"
                    expect(far > 1e-6, f"different encodings of labels {b} and {a}", came)

    @check("The neutral input stands for `not known`; activations and class goodness are read with it.")
    def neutral_favours_none(self) -> None:
        """The neutral encoding is about equally far from the encodings of all labels, and is none of them."""
        if not self.subject.build().shows_label:
            raise Skip("it shows no label, as shows_label = False says")
        for case in self.cases():
            rows, neutral = self._every_label(case)
            far = (rows - neutral).flatten(1).norm(dim=1)
            nearest, farthest = int(far.argmin()), int(far.argmax())
            came = (
                f"label {nearest} at a distance of {far[nearest]:.3g}, {farthest} at {far[farthest]:.3g}, {case.what}"
            )
            expect(far.min() > far.max() / 2, "no label less than half as far away as another", came)

    @check("The run trains its parameters or freezes them by what is declared, and says so in the file.")
    def is_learned_as_declared(self) -> None:
        """What declares learned = True has parameters, and the encoding's gradient reaches each of them."""
        learned = self.subject.build().learned
        expect(learned is None or isinstance(learned, bool), "True, False or None", repr(learned))
        for case in self.cases():
            module = case.built().requires_grad_(True)
            names = [name for name, _ in module.named_parameters()]
            expect(names or not learned, f"parameters to learn, for {case.what}", "none, though learned is True")
            if not names or learned is False:
                continue
            module(*case.inputs).square().sum().backward()
            bare = [name for name, p in module.named_parameters() if p.grad is None]
            expect(not bare, f"a gradient for every parameter, for {case.what}", f"none for {', '.join(bare)}")

    @check("A frozen encoder that still asks for gradients keeps a graph alive and learns in secret.")
    def gradient_only_if_learned(self) -> None:
        """With its parameters frozen, the encoding carries no graph."""
        for case in self.cases():
            module: nn.Module = case.built().requires_grad_(False)
            for name, out in zip(("forward", "neutral"), self.call(module, case.inputs), strict=True):
                came = f"a graph from {name}, for {case.what}"
                expect(not out.requires_grad, "no graph when its parameters are frozen", came)

    @check("With it the first layer of a label sweep is computed once for all labels; goodness would be as far off.")
    def parts_add_up_to_the_encoding(self) -> None:
        """If it has parts, common + scale * labels[y] is the encoding of every image with every label y."""
        for case in self.cases():
            module: Any = case.built().eval()
            if not hasattr(module, "parts"):
                raise Skip("it has no parts")
            rows, classes = len(case.inputs[0]), int(case.what.split()[-2])
            with torch.no_grad():
                common, kinds, scale = module.parts(case.inputs[0])
                factor = 1.0 if scale is None else scale.view(-1, *([1] * (common.dim() - 1)))
                for label in range(classes):
                    encoded = module(case.inputs[0], torch.full((rows,), label))
                    far = float((common + factor * kinds[label] - encoded).abs().max())
                    came = f"a difference of {far:.2g} for label {label}, {case.what}"
                    expect(far < 1e-5, "the encoding itself", came)

    @check("Data sets may have a hundred classes or a thousand.")
    def serves_many_classes_or_refuses(self) -> None:
        """For a hundred classes it builds and tells all labels apart, or raises UsageError."""
        made = self.subject.build()
        if not made.shows_label:
            raise Skip("it shows no label, as shows_label = False says")
        shape = (1, 16, 16)
        case = Case("images of 100 classes", lambda: made.build(shape, 100), (numbers(8, shape), labels(8, 100)))
        from ffprobe.errors import UsageError

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
