"""Sign symmetry: errors propagate back through the signs of the weights, with other magnitudes."""

from __future__ import annotations

import math
from typing import Literal

import torch
from ffprobe_plugins.rules.feedback_maps import Feedback, replace_maps
from pydantic import Field

import ffprobe


class SignSymmetry(ffprobe.Rule):
    """Propagates errors back through B = M sign(W): every convolution and linear map except those of the first layer
    passes its error back through the signs of its current weights, with magnitudes M that do not depend on them.

    ``magnitude`` is ``uniform`` for M = s, one number for each map (uSF); ``fixed`` for random M >= 0, drawn once
    (frSF) and stored in the network as ``feedback``; ``batch`` for random M >= 0 that are drawn for every forward pass
    (brSF). s = sqrt(2 / (fan_in + fan_out)), the standard deviation of Xavier's initial weights, or 1 / sqrt(3 fan_in),
    that of torch's; M is the absolute value of such an initial matrix, drawn uniformly.

    Gradients of weights and biases, normalizers and activations are exact. The update groups are those of the
    scheduler; ``whole`` is the published method. Only signs are transported, one bit for each weight.

    Deviation: the text of the paper names no distribution for M; uniform draws are those of BioTorch's default.
    """

    name = "sign-symmetry"
    aliases = ("usf", "frsf", "brsf")
    source = "Liao, Leibo & Poggio 2016, arXiv:1510.05067; Moskovitz et al. 2018, arXiv:1812.06488; jsalbert/biotorch"

    class Params(ffprobe.Params):
        """The magnitudes of the matrices that carry errors back."""

        magnitude: Literal["uniform", "fixed", "batch"] = Field(
            "uniform",
            description="magnitudes: uniform (one number for each map), fixed (random, drawn once) or batch (random, "
            "drawn for every forward pass)",
        )
        start: Literal["xavier", "torch"] = Field(
            "xavier", description="initial weights whose size the magnitudes have: xavier, or torch's default"
        )

    def build(self, setup: ffprobe.LearnerSetup) -> ffprobe.Learner:
        """Let the maps send errors back through signs, and learn in the scheduler's groups."""
        replace_maps(setup.network, self.name, self._feedback, signed=True)
        return ffprobe.GroupLearner(setup)

    def magnitude(self, name: str, weight: torch.Tensor) -> torch.Tensor:
        """The magnitudes M >= 0 of one forward pass: a scalar, or a tensor of the weights' shape.

        Args:
            name: name of the map in the network, such as ``layers.1.conv``.
            weight: the current weights of the map.
        """
        # drawn on the CPU, so that the matrices are the same on every device
        scale = self.scale(weight)
        if self.params.magnitude == "uniform":
            return weight.new_tensor(scale)
        bound = math.sqrt(3) * scale
        return torch.empty(weight.shape).uniform_(-bound, bound).abs_().to(weight)

    def scale(self, weight: torch.Tensor) -> float:
        """The standard deviation of initial weights of this shape."""
        fan_in, fan_out = weight[0].numel(), weight[:, 0].numel()
        return math.sqrt(2 / (fan_in + fan_out)) if self.params.start == "xavier" else 1 / math.sqrt(3 * fan_in)

    def _feedback(self, name: str, weight: torch.Tensor) -> Feedback:
        if self.params.magnitude == "fixed":
            return self.magnitude(name, weight.detach())
        return lambda now: self.magnitude(name, now)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [SignSymmetry]
