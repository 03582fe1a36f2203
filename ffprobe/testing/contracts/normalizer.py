"""The contract of a normalizer."""

from __future__ import annotations

import torch
from torch import nn

from ffprobe.errors import UsageError
from ffprobe.testing.contract import Skip, check, expect
from ffprobe.testing.contracts.module import Case, ModuleContract
from ffprobe.testing.materials import SHAPES, activations, describe, distance, is_finite

POSITIONS = ("input", "preactivation", "activation", "output")


class NormalizerContract(ModuleContract):
    """The checks of a normalizer: ``build(shape)`` returns a module from ``[B, *shape]`` to ``[B, *shape]``."""

    kind = "normalizer"

    def candidates(self) -> list[Case]:
        """Images, feature maps, signals and vectors."""
        made = self.subject.build()

        def case(what: str, shape: tuple[int, ...]) -> Case:
            return Case(f"{what} {list(shape)}", lambda: made.build(shape), (activations(8, shape),))

        return [case(what, shape) for what, shape in SHAPES.items()]

    @check("It determines where in the layer the module is applied; any other value silently disables it.")
    def position_is_known(self) -> None:
        """The position is input, preactivation, activation or output."""
        position = self.subject.build().position
        expect(position in POSITIONS, f"one of {', '.join(POSITIONS)}", repr(position))

    @check("The layer is built for this shape.")
    def keeps_the_shape(self) -> None:
        """The output is float32 [B, *shape] for an input [B, *shape], in training and in evaluation."""
        for case in self.cases():
            for mode in (True, False):
                out = self.call(case.built().train(mode), case.inputs)[0]
                good = isinstance(out, torch.Tensor) and out.shape == case.inputs[0].shape
                expect(good, f"float32 {list(case.inputs[0].shape)} for {case.what}", describe(out))
                expect(out.dtype == torch.float32, f"float32 for {case.what}", describe(out))

    @check("A dead image (all zeros after a ReLU) or very large activations must not end the run.")
    def is_finite_for_any_input(self) -> None:
        """The output is finite for zero, constant, tiny and large inputs."""
        for case in self.cases():
            x = case.inputs[0]
            extremes = {"zeros": x * 0, "ones": x * 0 + 1, "1e-8": x * 1e-8, "1e4": x * 1e4}
            for name, value in extremes.items():
                for mode in (True, False):
                    out = self.call(case.built().train(mode), (value,))[0]
                    expect(is_finite(out), f"finite values for an input of {name}, {case.what}", "NaN or infinity")

    @check("If layers are trained together, the gradient reaches the lower layer through the normalizer.")
    def gradient_flows(self) -> None:
        """The input's gradient is finite and not zero."""
        for case in self.cases():
            x = case.inputs[0].clone().requires_grad_()
            out = self.call(case.built().train(), (x,))[0]
            weight = torch.linspace(-1, 2, out.numel()).view_as(out)
            expect(out.requires_grad, f"a graph from input to output, for {case.what}", "a value without a graph")
            (out * weight).sum().backward()
            gradient = x.grad
            good = gradient is not None and is_finite(gradient) and float(gradient.abs().max()) > 0
            expect(good, f"a finite nonzero gradient, for {case.what}", _gradient(gradient))

    @check("Otherwise one dead image (all zeros after a ReLU) turns every weight into NaN.")
    def gradient_is_finite_at_zero(self) -> None:
        """The gradient is finite if one row of the batch is all zeros."""
        for case in self.cases():
            x = case.inputs[0].clone()
            x[2] = 0
            x.requires_grad_()
            out = self.call(case.built().train(), (x,))[0]
            (out * torch.linspace(-1, 2, out.numel()).view_as(out)).sum().backward()
            good = x.grad is not None and is_finite(x.grad)
            expect(good, f"finite gradients, for {case.what}", _gradient(x.grad))

    @check("A reader of goodness in evaluation must know whether it equals the goodness in training.")
    def training_differs_only_as_declared(self) -> None:
        """Unless keeps_statistics is True, training changes no buffer and gives the same output as evaluation."""
        declared = bool(self.subject.build().keeps_statistics)
        for case in self.cases():
            module = case.built().train()
            before = {name: value.clone() for name, value in module.named_buffers()}
            for step in range(2):
                self.seeded_call(module, (case.inputs[0] * 3 + step,))
            training = self.seeded_call(module, case.inputs)[0]
            moved = [name for name, value in module.named_buffers() if not torch.equal(value, before[name])]
            far = distance(training, self.seeded_call(module.eval(), case.inputs)[0])
            if declared:
                got = "the same output in training and in evaluation, and no change of a buffer"
                expect(moved or far > 1e-6, f"a difference, since keeps_statistics is True, for {case.what}", got)
            else:
                got = f"a difference of {far:.2g}; if it is intended, set keeps_statistics = True"
                expect(far < 1e-5, f"the same output in training and in evaluation, for {case.what}", got)
                got = f"a change of {', '.join(moved)}; if it is intended, set keeps_statistics = True"
                expect(not moved, f"buffers that training does not change, for {case.what}", got)

    @check("If it is declared, a label scan computes the first layer as a sum of an image part and a label part.")
    def is_affine_if_declared(self) -> None:
        """If affine is True, f(u + v) = f(u) + f(v) - f(0) in evaluation, after training on a batch."""
        if not self.subject.build().affine:
            raise Skip("affine is not declared")
        for case in self.cases():
            module = case.built().train()
            u, v = case.inputs[0], case.inputs[0].flip(0) * 0.5 + 1
            self.seeded_call(module, (u * 3 + 1,))
            module.eval()
            both, first, second, zero = (self.seeded_call(module, (x,))[0] for x in (u + v, u, v, u * 0))
            far = distance(both, first + second - zero)
            expect(far < 1e-5, f"f(u + v) = f(u) + f(v) - f(0), for {case.what}", f"a difference of {far:.2g}")

    @check("A batch of one is rare but allowed; NaN would not be noticed until all weights are NaN.")
    def takes_one_image_or_raises(self) -> None:
        """In training a batch of one gives finite values, or raises UsageError or ValueError."""
        for case in self.cases():
            try:
                out = self.call(case.built().train(), (case.inputs[0][:1],))[0]
            except (UsageError, ValueError):
                continue
            expect(is_finite(out), f"finite values or an error, for {case.what}", "NaN or infinity")

    @check("A parameter without a gradient is never trained, and there is no error.")
    def parameters_learn(self) -> None:
        """Every parameter of the module gets a gradient."""
        for case in self.cases():
            module: nn.Module = case.built().train()
            out = self.call(module, case.inputs)[0]
            if out.requires_grad:
                (out * torch.linspace(-1, 2, out.numel()).view_as(out)).sum().backward()
            missing = [name for name, p in module.named_parameters() if p.requires_grad and p.grad is None]
            expect(not missing, f"a gradient for every parameter, for {case.what}", f"none for {', '.join(missing)}")


def _gradient(gradient: torch.Tensor | None) -> str:
    if gradient is None:
        return "no gradient"
    bad = int((~torch.isfinite(gradient)).sum())
    return f"{bad} of {gradient.numel()} values NaN or infinite" if bad else "zeros"
