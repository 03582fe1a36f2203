"""Negatives with a wrong label that the network finds good."""

from __future__ import annotations

import torch

import ffprobe


class HardWrong(ffprobe.Negatives):
    """A wrong label with probability in proportion to the goodness that the last layer gives it now.

    Uniform where all wrong labels have a goodness of 0. For goodness that is never negative; where some of an image's
    is, the smallest of its wrong labels is subtracted first. Costs a forward pass for every label in every step.

    Hinton draws in proportion to the probabilities of a softmax classifier in one forward pass; goodness itself in
    its place is that of the public codes, and of every label, not of a neutral one.
    """

    name = "hard-wrong"
    aliases = ("hard",)
    needs_goodness = True
    source = "Hinton 2022, arXiv:2212.13345, Sec. 3.3"

    def __call__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        classes: int,
        generator: torch.Generator,
        goodness: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Wrong labels, int64 ``[B]``."""
        assert goodness is not None
        truth = torch.nn.functional.one_hot(labels, classes).bool()
        weight = goodness.detach().double()
        lowest = weight.masked_fill(truth, torch.inf).amin(dim=1, keepdim=True)
        weight = (weight - lowest.clamp(max=0)).masked_fill(truth, 0)
        nothing = weight.sum(dim=1, keepdim=True) <= 0
        weight = torch.where(nothing, (~truth).double(), weight)
        # drawn on the CPU, where the generator is: every device draws the same
        return torch.multinomial(weight.cpu(), 1, generator=generator)[:, 0].to(labels.device)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [HardWrong]
