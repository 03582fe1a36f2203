"""The contract of a loss."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from ffprobe.components.base import Shape
from ffprobe.components.loss import LossContext
from ffprobe.errors import UsageError
from ffprobe.testing.contract import Skip, check, expect
from ffprobe.testing.contracts.component import ComponentContract
from ffprobe.testing.materials import MAPS, SHAPES, context, describe, distance, is_finite, labels, numbers
from ffprobe.testing.randomness import undisturbed

ROWS, CLASSES = 8, 10
EXTREMES = (0.0, 1e-8, 1.0, 1e4, 1e8)
"""Goodness from dead layers to sums over wide layers."""


class LossContract(ComponentContract):
    """The checks of a loss, in the form that it declares."""

    kind = "loss"

    @property
    def form(self) -> str:
        """The form that the loss declares."""
        return str(self.subject.component.form)  # type: ignore[attr-defined]

    def batch(self, gap: float = 0.0, seed: int = 0, rows: int = ROWS) -> tuple[torch.Tensor, torch.Tensor]:
        """The arguments of the loss; ``gap`` is the mean difference between right and wrong goodness."""
        if self.form == "pair":
            first, second = (numbers(1, (rows,), seed + part)[0].square() + 1 for part in (0, 1))
            return (first + gap).requires_grad_(), second.requires_grad_()
        truth = labels(rows, CLASSES)
        goodness = numbers(rows, (CLASSES,), seed).square() + 1
        goodness = goodness + gap * torch.nn.functional.one_hot(truth, CLASSES)
        return goodness.requires_grad_(), truth

    def context(self, layer: int = 0, step: int = 0, rows: int = ROWS, at: Shape = MAPS) -> LossContext:
        """The context of one of three layers, with the module that the loss builds for activations of this shape."""
        with undisturbed(layer):
            module = self.subject.build().build(at, CLASSES)
        expect(module is None or isinstance(module, nn.Module), "an nn.Module or None from build()", describe(module))
        return context(layer, 3, step, self.form, rows, CLASSES, module, at)

    def doubled(self) -> LossContext:
        """The context in double precision."""
        given = self.context()
        inner = given.input.double() if given.input is not None else None
        module = given.module.double() if given.module is not None else None
        earlier = tuple(tuple(p.double() for p in e) if isinstance(e, tuple) else e.double() for e in given.earlier)
        images = given.images.double() if given.images is not None else None
        return replace(
            given, activation=given.activation.double(), input=inner, module=module, earlier=earlier, images=images
        )

    def value(self, batch: tuple[torch.Tensor, torch.Tensor], given: LossContext | None = None) -> torch.Tensor:
        """The value of a new loss."""
        return _tensor(self.subject.build()(*batch, given or self.context(rows=len(batch[0]))))

    @check("The form determines which goodness the loss can be used with.")
    def form_is_known(self) -> None:
        """The class attribute form is pair or class."""
        expect(self.form in ("pair", "class"), "pair or class", repr(self.form))

    @check("The trainer calls backward on it, and records it as one number per layer.")
    def is_a_scalar(self) -> None:
        """The loss is a float32 tensor of shape [] for the first, a middle and the last layer, and for one image."""
        for layer, rows in itertools.product(range(3), (ROWS, 1)):
            loss = self.value(self.batch(rows=rows), self.context(layer, rows=rows))
            good = loss.dim() == 0 and loss.dtype == torch.float32
            expect(good, f"float32 [] on layer {layer + 1} for {rows} images", describe(loss))

    @check("Layers of one network differ in shape; a shape that a loss cannot use must be refused with a message.")
    def works_for_every_shape_or_raises_usage_error(self) -> None:
        """For images, feature maps, signals and vectors the loss is a finite scalar with a gradient, or a UsageError is
        raised; at least one shape works.
        """
        refused = []
        for what, shape in SHAPES.items():
            batch = self.batch()
            try:
                loss = self.value(batch, self.context(1, at=shape))
            except UsageError as error:
                refused.append(f"{what}: {error}")
                continue
            expect(loss.dim() == 0 and is_finite(loss), f"a finite scalar for {what} {list(shape)}", describe(loss))
            loss.backward()
            reached = batch[0].grad is not None and is_finite(batch[0].grad)
            expect(reached, f"a finite gradient for {what} {list(shape)}", "none, NaN or infinity")
        expect(len(refused) < len(SHAPES), "a loss for at least one shape", f"UsageError for all: {'; '.join(refused)}")

    @check("`--precision fp64` is for comparisons with a reference; one float32 operation makes them meaningless.")
    def works_in_float64(self) -> None:
        """The loss is float64 for float64 goodness."""
        first, second = (v.detach().double() if v.is_floating_point() else v for v in self.batch())
        loss = self.value((first, second), self.doubled())
        expect(loss.dtype == torch.float64, "float64", describe(loss))

    @check("Goodness of wide layers reaches millions, that of dead layers is zero; one NaN ends the run.")
    def is_finite_for_any_goodness(self) -> None:
        """Loss and gradients are finite for right and wrong goodness from 0 to 1e8."""
        for right, wrong in itertools.product(EXTREMES, EXTREMES):
            batch = self._constant(right, wrong)
            loss = self.value(batch)
            values = f"right goodness {right:g} and wrong goodness {wrong:g}"
            expect(is_finite(loss), f"a finite loss for {values}", f"{float(loss.detach()):g}")
            loss.backward()
            for value in batch:
                if value.grad is not None:
                    expect(is_finite(value.grad), f"finite gradients for {values}", "NaN or infinity")

    @check("Without a graph to the goodness nothing is learned.")
    def gradient_reaches_the_goodness(self) -> None:
        """Every goodness argument gets a nonzero gradient."""
        batch = self.batch()
        loss = self.value(batch)
        expect(loss.requires_grad, "a graph to the goodness", "a value without a graph")
        loss.backward()
        for name, value in zip(("first", "second"), batch, strict=True):
            if value.is_floating_point():
                good = value.grad is not None and float(value.grad.abs().max()) > 0
                expect(good, f"a gradient for the {name} argument", "none" if value.grad is None else "zeros")

    @check("Learning is local: a gradient into a lower layer's graph is a global backward pass, or an error in torch.")
    def gradient_stays_in_its_layer(self) -> None:
        """The loss of one layer and step has no gradient for goodness of another layer or an earlier step."""
        loss = self.subject.build()
        seen: list[torch.Tensor] = []
        for step, layer in itertools.product(range(2), range(3)):
            batch = self.batch(seed=7 * step + layer)
            _tensor(loss(*batch, self.context(layer, step))).backward()
            for earlier in seen:
                expect(earlier.grad is None, "no gradient for goodness of another layer or step", "a gradient")
            for value in batch:
                value.grad = None
                if value.is_floating_point():
                    seen.append(value)

    @check("The order of a batch is random; a loss that depends on it learns noise.")
    def order_of_the_batch_does_not_matter(self) -> None:
        """The same images in another order have the same loss."""
        order = torch.randperm(ROWS, generator=torch.Generator().manual_seed(3))
        batch, given = self.batch(), self.context(1)
        rows = torch.cat([order, order + ROWS]) if self.form == "pair" else order
        earlier: list[Any] = [
            tuple(value[order] for value in pair) if isinstance(pair, tuple) else pair[order] for pair in given.earlier
        ]
        inner = given.input[rows] if given.input is not None else None
        activation, truth = given.activation[rows], given.labels[order]
        images = given.images[rows] if given.images is not None else None
        other = replace(given, activation=activation, labels=truth, earlier=tuple(earlier), input=inner, images=images)
        first = self.value(batch, given)
        second = self.value((batch[0][order], batch[1][order]), other)
        far = distance(second, first)
        expect(
            far < 1e-5,
            "the same loss in another order",
            f"{float(second.detach()):g} instead of {float(first.detach()):g}",
        )

    @check("Several processes that share a batch average their losses.")
    def is_a_mean_over_images_unless_declared_otherwise(self) -> None:
        """The loss of a batch is the mean of the losses of its single images, unless averages is False."""
        if not self.subject.component.averages:  # type: ignore[attr-defined]
            raise Skip("it is not a mean (averages is False)")
        for layer in range(2):
            batch, given = self.batch(), self.context(layer)
            whole = self.value(batch, given)
            alone = [self.value((batch[0][i : i + 1], batch[1][i : i + 1]), self._row(given, i)) for i in range(ROWS)]
            far = distance(torch.stack(alone).mean(), whole)
            got = f"{float(whole.detach()):g} for the batch, {float(torch.stack(alone).mean().detach()):g} as a mean"
            expect(far < 1e-5, f"the same value both ways on layer {layer + 1}, or averages = False", got)

    def _row(self, given: LossContext, index: int) -> LossContext:
        # the context of one image of a batch
        image = slice(index, index + 1)
        rows = [index, index + ROWS] if self.form == "pair" else [index]
        earlier = [tuple(p[image] for p in pair) if isinstance(pair, tuple) else pair[image] for pair in given.earlier]
        inner = given.input[rows] if given.input is not None else None
        images = given.images[rows] if given.images is not None else None
        activation, truth = given.activation[rows], given.labels[image]
        return replace(given, activation=activation, labels=truth, earlier=tuple(earlier), input=inner, images=images)

    @check("With the wrong sign the network learns the opposite.")
    def wrong_order_costs_more(self) -> None:
        """The loss is larger if wrong goodness exceeds right goodness than the other way round."""
        right, wrong = (float(self.value(self._gapped(gap)).detach()) for gap in (2.0, -2.0))
        expect(
            wrong > right, "a larger loss for the wrong order", f"{wrong:g} for the wrong order, {right:g} otherwise"
        )

    @check("The optimizer follows this gradient, which must increase right goodness relative to wrong goodness.")
    def gradient_points_the_right_way(self) -> None:
        """A step against the gradient increases the gap between right and wrong goodness."""
        batch = self._gapped(-0.5)
        self.value(batch).backward()
        widened = self._gap([-v.grad for v in batch if v.grad is not None], batch)
        expect(widened > 0, "a larger gap after a step against the gradient", f"a gap that changes by {widened:.3g}")

    @check("Probes and the run file use the same tensors.")
    def does_not_change_its_input(self) -> None:
        """Goodness, activation and labels are not changed in place."""
        batch, given = tuple(v.detach() for v in self.batch()), self.context(1)
        kept = [v.clone() for v in (*batch, given.activation.detach(), given.labels)]
        self.value((batch[0], batch[1]), given)
        now = [*batch, given.activation.detach(), given.labels]
        expect(all(map(torch.equal, kept, now)), "unchanged arguments", "a tensor changed in place")

    @check("Two runs with one seed must be identical; a resumed run must equal a run that never stopped.")
    def is_deterministic_and_its_state_survives(self) -> None:
        """The same calls give the same loss, also after state_dict() and load_state_dict() in between."""
        straight, stopped = self.subject.build(), self.subject.build()
        for step in range(4):
            if step == 2:
                state = stopped.state_dict()
                stopped = self.subject.build()
                stopped.load_state_dict(state)
            values = []
            for loss in (straight, stopped):
                with undisturbed(step):
                    values.append(_tensor(loss(*self.batch(seed=step), self.context(step % 3, step))))
            first, second = (float(value.detach()) for value in values)
            got = f"{second:g} instead of {first:g} at call {step + 1}"
            expect(torch.equal(*values), "the same loss for the same calls, saved and loaded after two calls", got)

    @check("Analyses compare losses by these formulas; a wrong formula gives wrong figures.")
    def derivatives_agree_with_autograd(self) -> None:
        """The closed form of derivatives() agrees with autograd."""
        if self.form != "pair":
            raise Skip("only losses of form pair have derivatives")
        for seed, gap in itertools.product(range(2), (-2.0, 0.0, 2.0)):
            first, second = (v.detach().double().requires_grad_() for v in self.batch(gap, seed))
            loss = self.subject.build()
            try:
                formulas = loss.derivatives(first.detach(), second.detach())
            except NotImplementedError:
                raise Skip("it has no derivatives in closed form") from None
            gradients = torch.autograd.grad(_tensor(loss(first, second, self.doubled())), (first, second))
            for name, formula, gradient in zip(("positive", "negative"), formulas, gradients, strict=True):
                shape = list(gradient.shape)
                expect(formula.shape == gradient.shape, f"dL/d{name} of shape {shape}", describe(formula))
                far = float((formula - gradient).abs().max())
                expect(far < 1e-9, f"autograd's dL/d{name} to 1e-9", f"a difference of {far:.2g}")

    def _gapped(self, gap: float) -> tuple[torch.Tensor, torch.Tensor]:
        # every row has the gap, so that the treatment of single rows cannot hide it
        base = 3.0
        return self._constant(base + max(gap, 0), base + max(-gap, 0))

    def _constant(self, right: float, wrong: float) -> tuple[torch.Tensor, torch.Tensor]:
        if self.form == "pair":
            return torch.full((ROWS,), right).requires_grad_(), torch.full((ROWS,), wrong).requires_grad_()
        truth = labels(ROWS, CLASSES)
        hot = torch.nn.functional.one_hot(truth, CLASSES).bool()
        return torch.full((ROWS, CLASSES), wrong).masked_fill(hot, right).requires_grad_(), truth

    def _gap(self, changes: list[torch.Tensor], batch: tuple[torch.Tensor, torch.Tensor]) -> float:
        if self.form == "pair":
            return float(changes[0].mean() - changes[1].mean()) if len(changes) == 2 else float("nan")
        hot = torch.nn.functional.one_hot(batch[1], CLASSES).bool()
        return float(changes[0][hot].mean() - changes[0][~hot].mean()) if changes else float("nan")


def _tensor(value: Any) -> torch.Tensor:
    expect(isinstance(value, torch.Tensor), "a tensor as the loss", describe(value))
    assert isinstance(value, torch.Tensor)
    return value
