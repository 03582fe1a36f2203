"""The checks that all modules share which a component builds: of normalizers, goodness and encoders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import nn

from ffprobe.errors import UsageError
from ffprobe.testing.contract import Skip, check, expect
from ffprobe.testing.contracts.component import ComponentContract
from ffprobe.testing.materials import distance, is_finite, told
from ffprobe.testing.randomness import undisturbed

Tensors = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class Case:
    """A module to be built, and what to feed it.

    Attributes:
        what: in words, for messages.
        make: builds the module.
        inputs: of a batch of eight; the first is the one that must not be changed and may need a gradient.
    """

    what: str
    make: Callable[[], nn.Module]
    inputs: Tensors

    def built(self, seed: int = 0) -> nn.Module:
        """A fresh module; what it draws for its parameters is decided by the seed."""
        with undisturbed(seed):
            return self.make()


class ModuleContract(ComponentContract):
    """The checks of whatever builds an ``nn.Module``; each kind says for what shapes, and how it is called."""

    def candidates(self) -> list[Case]:
        """Every case to be tried; one whose ``make`` raises UsageError is one that the component refuses."""
        raise NotImplementedError

    def call(self, module: Any, inputs: Tensors) -> Tensors:
        """What the module gives, as a tuple of tensors."""
        return (module(*inputs),)

    @cached_property
    def _found(self) -> tuple[list[Case], list[str]]:
        kept, refused = [], []
        for case in self.candidates():
            try:
                case.built()
                kept.append(case)
            except UsageError as error:
                refused.append(f"{case.what}: {error}")
        return kept, refused

    def cases(self) -> list[Case]:
        """The cases that the component does not refuse, at least one."""
        kept, refused = self._found
        expect(kept, "a module for images or for vectors", f"a refusal of every shape; {'; '.join(refused)}")
        return kept

    def seeded_call(self, module: nn.Module, inputs: Tensors, seed: int = 1) -> Tensors:
        """Call it with torch's global generator seeded, as a run does."""
        with undisturbed(seed):
            return self.call(module, inputs)

    @check("One component serves layers of many shapes; a shape it cannot serve must be refused in words.")
    def builds_a_module_or_refuses_in_words(self) -> None:
        """It builds an nn.Module for images and for vectors, or raises UsageError for one of them."""
        for case in self.cases():
            module = case.built()
            expect(isinstance(module, nn.Module), f"an nn.Module for {case.what}", told(module))

    @check("Two runs of one seed must end in the same numbers.")
    def is_deterministic(self) -> None:
        """The same seed gives the same numbers, and evaluation draws none."""
        for case in self.cases():
            for mode in (True, False):
                one, two = (self.seeded_call(case.built().train(mode), case.inputs) for _ in range(2))
                said = "training" if mode else "evaluation"
                expect(_equal(one, two), f"equal values twice in {said}, for {case.what}", "values that differ")
            module = case.built().eval()
            with undisturbed(2):
                one, two = self.call(module, case.inputs), self.call(module, case.inputs)
            expect(
                _equal(one, two), f"equal values from two calls in evaluation, for {case.what}", "values that differ"
            )

    @check("Other layers and probes read the same tensor; a change in place spoils their numbers without a word.")
    def leaves_its_input_alone(self) -> None:
        """It does not change what it is given."""
        for case in self.cases():
            for mode in (True, False):
                inputs = tuple(value.clone() for value in case.inputs)
                self.call(case.built().train(mode), inputs)
                expect(
                    _equal(inputs, case.inputs), f"the input as it was, for {case.what}", "an input changed in place"
                )

    @check("A prediction must not depend on which other images are in its batch, nor on the batch's size.")
    def keeps_rows_apart_in_evaluation(self) -> None:
        """In evaluation each row depends on itself alone, and a batch of one is served."""
        for case in self.cases():
            module = case.built().eval()
            whole = self.call(module, case.inputs)
            for row in (0, 3):
                alone = self.call(module, tuple(value[row : row + 1] for value in case.inputs))
                far = max(distance(a, b[row : row + 1]) for a, b in zip(alone, whole, strict=True))
                came = f"values that differ by {far:.2g} of the largest, for {case.what}"
                expect(far < 1e-4, "the same values for a row alone and in a batch of eight", came)

    @check("Loaders hand out channels-last images on every device, since convolutions are faster so.")
    def takes_channels_last(self) -> None:
        """It takes images whose memory is laid out channels last, with the same result (use flatten, not view)."""
        some = False
        for case in self.cases():
            if case.inputs[0].dim() != 4:
                continue
            some = True
            laid = (case.inputs[0].contiguous(memory_format=torch.channels_last), *case.inputs[1:])
            for mode in (True, False):
                plain = self.seeded_call(case.built().train(mode), case.inputs)
                other = self.seeded_call(case.built().train(mode), laid)
                far = max(distance(a, b) for a, b in zip(other, plain, strict=True))
                expect(far < 1e-4, f"the same values for both layouts, for {case.what}", f"a difference of {far:.2g}")
        if not some:
            raise Skip("it serves no images")

    @check(
        "A run is bf16 where the hardware multiplies that natively; what comes of it must still be finite and close."
    )
    def works_in_bf16(self) -> None:
        """Under autocast it takes bfloat16 and gives nearly the float32 values."""
        for case in self.cases():
            half = (case.inputs[0].bfloat16(), *case.inputs[1:])
            exact = (half[0].float(), *case.inputs[1:])
            for mode in (True, False):
                with torch.autocast("cpu", torch.bfloat16):
                    narrow = self.seeded_call(case.built().train(mode), half)
                wide = self.seeded_call(case.built().train(mode), exact)
                for value, reference in zip(narrow, wide, strict=True):
                    expect(value.is_floating_point(), f"floating-point values, for {case.what}", told(value))
                    expect(is_finite(value), f"finite values in bf16, for {case.what}", "NaN or infinity")
                    far = distance(value, reference)
                    expect(far < 0.05, f"within 5 % of float32, for {case.what}", f"a difference of {far:.0%}")

    @check("`--precision fp64` is how a run is held against a reference; one float32 in between spoils that.")
    def works_in_float64(self) -> None:
        """In double precision it gives double precision."""
        for case in self.cases():
            double = (case.inputs[0].double(), *case.inputs[1:])
            for value in self.seeded_call(case.built().double(), double):
                expect(value.dtype == torch.float64, f"float64 from float64, for {case.what}", told(value))

    @check("A run that is resumed, and a network rebuilt from its run file, have only what state_dict() gives.")
    def state_survives_saving(self) -> None:
        """A new module with the saved state_dict goes on with the same numbers."""
        for case in self.cases():
            module = case.built(seed=0).train()
            for step in range(3):
                moved = (case.inputs[0] * (step + 1) + step, *case.inputs[1:])
                self.seeded_call(module, moved, seed=step)
            state = {name: value.clone() for name, value in module.state_dict().items()}
            other = case.built(seed=1)
            other.load_state_dict(state)
            for mode in (False, True):
                one, two = (self.seeded_call(m.train(mode), case.inputs) for m in (module, other))
                said = "training" if mode else "evaluation"
                came = "other values: something is kept that state_dict() does not have"
                expect(_equal(one, two), f"equal values in {said} after loading, for {case.what}", came)

    @check("What `.to(device)` does not move fails on every graphics card, though all is well on the CPU.")
    def moves_with_its_device(self) -> None:
        """All its tensors are parameters or buffers, and none is made on the CPU in between."""
        for case in self.cases():
            module = case.built()
            for owner in module.modules():
                for name, value in vars(owner).items():
                    held = value if isinstance(value, list | tuple) else [value]
                    if any(isinstance(part, torch.Tensor) and not isinstance(part, nn.Parameter) for part in held):
                        came = f"the plain attribute {name!r} of {type(owner).__name__}"
                        expect(False, "tensors as nn.Parameter or register_buffer", came)
            far = tuple(value.to("meta") for value in case.inputs)
            with Elsewhere(case.what):
                out = self.call(module.to("meta"), far)
            for value in out:
                came = f"{told(value)} on the device {value.device.type!r}"
                expect(value.device.type == "meta", f"a value on its input's device, for {case.what}", came)


class Elsewhere:
    """Inside, tensors are on torch's meta device, which has shapes but no numbers: a stand-in for a graphics card.

    What needs a number there cannot be tried, which is a skip; two devices in one operation is a failure.
    """

    NEEDS_NUMBERS = ("Cannot copy out of meta", "cannot be called on meta", "register_meta", "convert meta device")

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RuntimeError | TypeError):  # NotImplementedError is a RuntimeError
            if any(text in str(error) for text in self.NEEDS_NUMBERS):
                raise Skip(f"it looks at numbers, which cannot be tried without a second device, for {self.what}")
            text = " ".join(str(error).split())[:200]
            expect(False, f"one device in every operation, for {self.what}", f"{type(error).__name__}: {text}")


def _equal(first: Tensors, second: Tensors) -> bool:
    return all(torch.equal(a, b) or _same_nan(a, b) for a, b in zip(first, second, strict=True))


def _same_nan(first: torch.Tensor, second: torch.Tensor) -> bool:
    same = first.shape == second.shape and first.is_floating_point() and second.is_floating_point()
    return same and torch.equal(first.nan_to_num(7e9), second.nan_to_num(7e9))
