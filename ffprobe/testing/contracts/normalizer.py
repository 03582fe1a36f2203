"""What a normalizer must obey."""

from __future__ import annotations

import torch
from torch import nn

from ffprobe.errors import UsageError
from ffprobe.testing.contract import Skip, check, expect
from ffprobe.testing.contracts.module import Case, ModuleContract
from ffprobe.testing.materials import SHAPES, activations, distance, is_finite, told

POSITIONS = ("input", "preactivation", "activation", "output")


class NormalizerContract(ModuleContract):
    """The checks of a normalizer: ``build(shape)`` gives a module from ``[B, *shape]`` to ``[B, *shape]``."""

    kind = "normalizer"

    def candidates(self) -> list[Case]:
        """Images, feature maps and vectors."""
        made = self.subject.build()

        def case(what: str, shape: tuple[int, ...]) -> Case:
            return Case(f"{what} {list(shape)}", lambda: made.build(shape), (activations(8, shape),))

        return [case(what, shape) for what, shape in SHAPES.items()]

    @check("It decides on which side of the layer the module stands; any other word is silently none.")
    def position_is_known(self) -> None:
        """Its position is one of input, preactivation, activation and output."""
        position = self.subject.build().position
        expect(position in POSITIONS, f"one of {', '.join(POSITIONS)}", repr(position))

    @check("The layer was built for this shape.")
    def keeps_the_shape(self) -> None:
        """[B, *shape] goes in, floating-point [B, *shape] comes out, in training and in evaluation."""
        for case in self.cases():
            for mode in (True, False):
                out = self.call(case.built().train(mode), case.inputs)[0]
                good = isinstance(out, torch.Tensor) and out.shape == case.inputs[0].shape
                expect(good, f"float32 {list(case.inputs[0].shape)} for {case.what}", told(out))
                expect(out.dtype == torch.float32, f"float32 for {case.what}", told(out))

    @check("A dead image (all zeros after a ReLU) or a bright one must not end the run.")
    def is_finite_for_any_input(self) -> None:
        """Zeros, constants, tiny and large numbers give finite numbers."""
        for case in self.cases():
            x = case.inputs[0]
            extremes = {"zeros": x * 0, "ones": x * 0 + 1, "1e-8": x * 1e-8, "1e4": x * 1e4}
            for name, value in extremes.items():
                for mode in (True, False):
                    out = self.call(case.built().train(mode), (value,))[0]
                    expect(is_finite(out), f"finite values for an input of {name}, {case.what}", "NaN or infinity")

    @check("When layers learn together, the gradient reaches the lower one through the normalizer.")
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
            expect(good, f"a finite gradient other than zero, for {case.what}", _gradient(gradient))

    @check("One dead image (all zeros after a ReLU) would turn every weight into NaN.")
    def gradient_is_finite_at_zero(self) -> None:
        """The gradient is finite too where one row of the batch is all zeros."""
        for case in self.cases():
            x = case.inputs[0].clone()
            x[2] = 0
            x.requires_grad_()
            out = self.call(case.built().train(), (x,))[0]
            (out * torch.linspace(-1, 2, out.numel()).view_as(out)).sum().backward()
            good = x.grad is not None and is_finite(x.grad)
            expect(good, f"finite gradients, for {case.what}", _gradient(x.grad))

    @check("Whoever reads goodness in evaluation must know whether it is what training saw.")
    def training_differs_only_as_declared(self) -> None:
        """Training changes no buffer and gives what evaluation gives, unless keeps_statistics is declared."""
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
                came = "the same in training and in evaluation, and no buffer that moves"
                expect(moved or far > 1e-6, f"a difference, as keeps_statistics = True says, for {case.what}", came)
            else:
                came = f"a difference of {far:.2g}; if it is meant, declare keeps_statistics = True"
                expect(far < 1e-5, f"the same in training and in evaluation, for {case.what}", came)
                came = f"a change of {', '.join(moved)}; if it is meant, declare keeps_statistics = True"
                expect(not moved, f"buffers that training leaves alone, for {case.what}", came)

    @check("Where it is declared, the first layer of a label sweep is computed in parts that are added up.")
    def is_affine_if_declared(self) -> None:
        """With affine = True, f(u + v) = f(u) + f(v) - f(0) in evaluation, after training on a batch."""
        if not self.subject.build().affine:
            raise Skip("affine is not declared")
        for case in self.cases():
            module = case.built().train()
            u, v = case.inputs[0], case.inputs[0].flip(0) * 0.5 + 1
            self.seeded_call(module, (u * 3 + 1,))
            module.eval()
            both, one, other, none = (self.seeded_call(module, (x,))[0] for x in (u + v, u, v, u * 0))
            far = distance(both, one + other - none)
            expect(far < 1e-5, f"a sum of parts, for {case.what}", f"a difference of {far:.2g}")

    @check("A batch of one is rare but allowed; NaN there would go unnoticed until the weights are gone.")
    def takes_one_image_or_says_that_it_cannot(self) -> None:
        """In training a batch of one gives finite values, or raises UsageError or ValueError."""
        for case in self.cases():
            try:
                out = self.call(case.built().train(), (case.inputs[0][:1],))[0]
            except (UsageError, ValueError):
                continue
            expect(is_finite(out), f"finite values or an error in words, for {case.what}", "NaN or infinity")

    @check("A parameter that no gradient reaches is never trained, and nobody is told.")
    def parameters_learn(self) -> None:
        """Every parameter that it holds gets a gradient."""
        for case in self.cases():
            module: nn.Module = case.built().train()
            out = self.call(module, case.inputs)[0]
            if out.requires_grad:
                (out * torch.linspace(-1, 2, out.numel()).view_as(out)).sum().backward()
            bare = [name for name, p in module.named_parameters() if p.requires_grad and p.grad is None]
            expect(not bare, f"a gradient for every parameter, for {case.what}", f"none for {', '.join(bare)}")


def _gradient(gradient: torch.Tensor | None) -> str:
    if gradient is None:
        return "no gradient"
    bad = int((~torch.isfinite(gradient)).sum())
    return f"{bad} of {gradient.numel()} numbers NaN or infinite" if bad else "zeros"
