"""The contract of a goodness."""

from __future__ import annotations

import torch

from ffprobe.testing.contract import check, expect
from ffprobe.testing.contracts.module import Case, ModuleContract
from ffprobe.testing.materials import SHAPES, activations, describe, is_finite

CLASSES = 5


class GoodnessContract(ModuleContract):
    """The checks of a goodness: its module maps ``[B, *shape]`` to ``[B]`` (form pair) or ``[B, K]`` (form class)."""

    kind = "goodness"

    def candidates(self) -> list[Case]:
        """Images, feature maps, signals and vectors, with five classes."""
        made = self.subject.build()

        def case(what: str, shape: tuple[int, ...]) -> Case:
            return Case(f"{what} {list(shape)}", lambda: made.build(shape, CLASSES), (activations(8, shape),))

        return [case(what, shape) for what, shape in SHAPES.items()]

    @check("A loss supports one form; a run refuses a goodness and a loss of different forms.")
    def form_is_known(self) -> None:
        """The class attribute form is pair or class."""
        form = self.subject.component.form  # type: ignore[attr-defined]
        expect(form in ("pair", "class"), "pair or class", repr(form))

    @check("A loss expects one value per image, or one value per image and class.")
    def has_the_shape_of_its_form(self) -> None:
        """The shape is [B] for form pair and [B, K] for form class, for any number of rows."""
        shape = (CLASSES,) if self.subject.component.form == "class" else ()  # type: ignore[attr-defined]
        for case in self.cases():
            module = case.built()
            for rows in (8, 1):
                out = self.call(module.train(rows == 8), (case.inputs[0][:rows],))[0]
                good = isinstance(out, torch.Tensor) and tuple(out.shape) == (rows, *shape)
                expect(good, f"{[rows, *shape]} for {case.what}", describe(out))

    @check("A sum of many squares in bfloat16 has two significant digits; losses need float32.")
    def is_float32_even_under_bf16(self) -> None:
        """The result is float32 for float32 and for bfloat16 activations."""
        for case in self.cases():
            for x in (case.inputs[0], case.inputs[0].bfloat16()):
                with torch.autocast("cpu", torch.bfloat16, enabled=x.dtype == torch.bfloat16):
                    out = self.call(case.built(), (x,))[0]
                expect(out.dtype == torch.float32, f"float32 from {describe(x)}", describe(out))

    @check("A dead layer (all zeros) or very large activations must not end the run.")
    def is_finite_for_any_activation(self) -> None:
        """Goodness is finite for zero, constant, tiny and large activations."""
        for case in self.cases():
            x = case.inputs[0]
            for name, value in {"zeros": x * 0, "ones": x * 0 + 1, "1e-8": x * 1e-8, "1e4": x * 1e4}.items():
                out = self.call(case.built(), (value,))[0]
                expect(is_finite(out), f"finite goodness for activations of {name}, {case.what}", "NaN or infinity")

    @check("Goodness that is the same for every activation contains no information about the label.")
    def distinguishes_activations(self) -> None:
        """Different activations have different goodness."""
        for case in self.cases():
            out = self.call(case.built().eval(), case.inputs)[0]
            spread = float((out - out[:1]).detach().abs().max())
            expect(spread > 0, f"goodness that differs between rows, for {case.what}", "one value for all")

    @check("It is the only path from the loss to the layer's weights.")
    def gradient_reaches_the_activation(self) -> None:
        """The activation's gradient is finite and not zero, also if one row is all zeros."""
        for case in self.cases():
            x = case.inputs[0].clone()
            x[2] = 0
            x.requires_grad_()
            out = self.call(case.built().train(), (x,))[0]
            expect(
                out.requires_grad, f"a graph from activation to goodness, for {case.what}", "a value without a graph"
            )
            (out * torch.linspace(-1, 2, out.numel()).view_as(out)).sum().backward()
            good = x.grad is not None and is_finite(x.grad) and float(x.grad.abs().max()) > 0
            got = "no gradient" if x.grad is None else "zeros" if is_finite(x.grad) else "NaN or infinity"
            expect(good, f"a finite nonzero gradient, for {case.what}", got)

    @check("A parameter without a gradient is never trained, and there is no error.")
    def parameters_learn(self) -> None:
        """Every parameter of the module (a local head) gets a gradient."""
        for case in self.cases():
            module = case.built().train()
            out = self.call(module, case.inputs)[0]
            if out.requires_grad:
                (out * torch.linspace(-1, 2, out.numel()).view_as(out)).sum().backward()
            missing = [name for name, p in module.named_parameters() if p.requires_grad and p.grad is None]
            expect(not missing, f"a gradient for every parameter, for {case.what}", f"none for {', '.join(missing)}")
