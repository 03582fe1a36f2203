"""The checks shared by all components that build a module: normalizers, goodness and encoders."""

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
from ffprobe.testing.materials import describe, distance, is_finite
from ffprobe.testing.randomness import undisturbed

Tensors = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class Case:
    """A module to build, and its inputs.

    Attributes:
        what: description for messages.
        make: builds the module.
        inputs: inputs for a batch of eight; the first is the one that must not be changed and may need a gradient.
    """

    what: str
    make: Callable[[], nn.Module]
    inputs: Tensors

    def built(self, seed: int = 0) -> nn.Module:
        """A new module; the seed determines its initial parameters."""
        with undisturbed(seed):
            return self.make()


class ModuleContract(ComponentContract):
    """The checks of a component that builds an ``nn.Module``; each kind defines the shapes and the call."""

    def candidates(self) -> list[Case]:
        """Every case to try; the component does not support a case whose ``make`` raises UsageError."""
        raise NotImplementedError

    def call(self, module: Any, inputs: Tensors) -> Tensors:
        """The module's outputs, as a tuple of tensors."""
        return (module(*inputs),)

    @cached_property
    def _sorted(self) -> tuple[list[Case], list[str]]:
        kept, refused = [], []
        for case in self.candidates():
            try:
                case.built()
                kept.append(case)
            except UsageError as error:
                refused.append(f"{case.what}: {error}")
        return kept, refused

    def cases(self) -> list[Case]:
        """The cases that the component supports, at least one."""
        kept, refused = self._sorted
        expect(kept, "a module for at least one shape", f"UsageError for every shape: {'; '.join(refused)}")
        return kept

    def seeded_call(self, module: nn.Module, inputs: Tensors, seed: int = 1) -> Tensors:
        """Call the module with torch's global generator seeded, as in a run."""
        with undisturbed(seed):
            return self.call(module, inputs)

    @check("One component serves layers of many shapes; an unsupported shape must be refused with a message.")
    def builds_a_module_or_raises_usage_error(self) -> None:
        """It builds an nn.Module for images, signals and vectors, or raises UsageError for some of them."""
        for case in self.cases():
            module = case.built()
            expect(isinstance(module, nn.Module), f"an nn.Module for {case.what}", describe(module))

    @check("Two runs with one seed must be identical.")
    def is_deterministic(self) -> None:
        """The same seed gives the same values, and evaluation draws no random numbers."""
        for case in self.cases():
            for mode in (True, False):
                first, second = (self.seeded_call(case.built().train(mode), case.inputs) for _ in range(2))
                phase = "training" if mode else "evaluation"
                expect(_equal(first, second), f"equal values twice in {phase}, for {case.what}", "different values")
            module = case.built().eval()
            with undisturbed(2):
                first, second = self.call(module, case.inputs), self.call(module, case.inputs)
            expected = f"equal values from two calls in evaluation, for {case.what}"
            expect(_equal(first, second), expected, "different values")

    @check("Other layers and probes use the same tensor; a change in place gives wrong results without an error.")
    def does_not_change_its_input(self) -> None:
        """It does not change its input in place."""
        for case in self.cases():
            for mode in (True, False):
                inputs = tuple(value.clone() for value in case.inputs)
                self.call(case.built().train(mode), inputs)
                same = _equal(inputs, case.inputs)
                expect(same, f"an unchanged input, for {case.what}", "an input changed in place")

    @check("A prediction must not depend on the other images of its batch, nor on the batch size.")
    def treats_rows_independently_in_evaluation(self) -> None:
        """In evaluation each row depends only on itself, and a batch of one works."""
        for case in self.cases():
            module = case.built().eval()
            whole = self.call(module, case.inputs)
            for row in (0, 3):
                alone = self.call(module, tuple(value[row : row + 1] for value in case.inputs))
                far = max(distance(a, b[row : row + 1]) for a, b in zip(alone, whole, strict=True))
                got = f"a relative difference of {far:.2g}, for {case.what}"
                expect(far < 1e-4, "the same values for a single row and in a batch of eight", got)

    @check("Images are in channels-last memory format on every device, since convolutions are faster with it.")
    def takes_channels_last(self) -> None:
        """It accepts images in channels-last memory format, with the same result (use flatten, not view)."""
        images = False
        for case in self.cases():
            if case.inputs[0].dim() != 4:
                continue
            images = True
            channels_last = (case.inputs[0].contiguous(memory_format=torch.channels_last), *case.inputs[1:])
            for mode in (True, False):
                plain = self.seeded_call(case.built().train(mode), case.inputs)
                other = self.seeded_call(case.built().train(mode), channels_last)
                far = max(distance(a, b) for a, b in zip(other, plain, strict=True))
                expect(far < 1e-4, f"the same values for both layouts, for {case.what}", f"a difference of {far:.2g}")
        if not images:
            raise Skip("it does not support images")

    @check("Runs use bf16 if the hardware supports it natively; results must stay finite and close to float32.")
    def works_in_bf16(self) -> None:
        """Under autocast it accepts bfloat16, and the result is close to float32."""
        for case in self.cases():
            half = (case.inputs[0].bfloat16(), *case.inputs[1:])
            exact = (half[0].float(), *case.inputs[1:])
            for mode in (True, False):
                with torch.autocast("cpu", torch.bfloat16):
                    narrow = self.seeded_call(case.built().train(mode), half)
                wide = self.seeded_call(case.built().train(mode), exact)
                for value, reference in zip(narrow, wide, strict=True):
                    expect(value.is_floating_point(), f"floating-point values, for {case.what}", describe(value))
                    expect(is_finite(value), f"finite values in bf16, for {case.what}", "NaN or infinity")
                    far = distance(value, reference)
                    expect(far < 0.05, f"within 5 % of float32, for {case.what}", f"a difference of {far:.0%}")

    @check("`--precision fp64` is for comparisons with a reference; one float32 operation makes them meaningless.")
    def works_in_float64(self) -> None:
        """In double precision the result has double precision."""
        for case in self.cases():
            double = (case.inputs[0].double(), *case.inputs[1:])
            for value in self.seeded_call(case.built().double(), double):
                expect(value.dtype == torch.float64, f"float64 from float64, for {case.what}", describe(value))

    @check("A resumed run, and a network rebuilt from its run file, have only the contents of state_dict().")
    def state_survives_saving(self) -> None:
        """A new module with the saved state_dict continues with the same values."""
        for case in self.cases():
            module = case.built(seed=0).train()
            for step in range(3):
                moved = (case.inputs[0] * (step + 1) + step, *case.inputs[1:])
                self.seeded_call(module, moved, seed=step)
            state = {name: value.clone() for name, value in module.state_dict().items()}
            other = case.built(seed=1)
            other.load_state_dict(state)
            for mode in (False, True):
                first, second = (self.seeded_call(m.train(mode), case.inputs) for m in (module, other))
                phase = "training" if mode else "evaluation"
                got = "different values: the module has state that state_dict() does not contain"
                expect(_equal(first, second), f"equal values in {phase} after loading, for {case.what}", got)

    @check("A tensor that `.to(device)` does not move fails on every GPU, although it works on the CPU.")
    def moves_with_its_device(self) -> None:
        """All its tensors are parameters or buffers, and forward creates no tensors on the CPU."""
        for case in self.cases():
            module = case.built()
            for owner in module.modules():
                for name, value in vars(owner).items():
                    items = value if isinstance(value, list | tuple) else [value]
                    if any(isinstance(item, torch.Tensor) and not isinstance(item, nn.Parameter) for item in items):
                        got = f"the plain attribute {name!r} of {type(owner).__name__}"
                        expect(False, "tensors as nn.Parameter or register_buffer", got)
            inputs = tuple(value.to("meta") for value in case.inputs)
            with Elsewhere(case.what):
                out = self.call(module.to("meta"), inputs)
            for value in out:
                got = f"{describe(value)} on the device {value.device.type!r}"
                expect(value.device.type == "meta", f"an output on the input's device, for {case.what}", got)


class Elsewhere:
    """Context for tensors on torch's meta device, which has shapes but no values: a substitute for a GPU.

    An operation that needs values cannot be checked and is skipped; two devices in one operation are a failure.
    """

    NEEDS_NUMBERS = ("Cannot copy out of meta", "cannot be called on meta", "register_meta", "convert meta device")

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RuntimeError | TypeError):  # NotImplementedError is a RuntimeError
            if any(text in str(error) for text in self.NEEDS_NUMBERS):
                raise Skip(f"it depends on values, which cannot be checked without a GPU, for {self.what}")
            text = " ".join(str(error).split())[:200]
            expect(False, f"one device in every operation, for {self.what}", f"{type(error).__name__}: {text}")


def _equal(first: Tensors, second: Tensors) -> bool:
    return all(torch.equal(a, b) or _same_nan(a, b) for a, b in zip(first, second, strict=True))


def _same_nan(first: torch.Tensor, second: torch.Tensor) -> bool:
    same = first.shape == second.shape and first.is_floating_point() and second.is_floating_point()
    return same and torch.equal(first.nan_to_num(7e9), second.nan_to_num(7e9))
