"""Swish-SymBa: SymBa with a swish, so that pairs with a large gap are left alone."""

from pydantic import Field
from torch.nn import functional

import ffprobe


class SwishSymBa(ffprobe.Loss):
    """Applies silu instead of softplus to SymBa's gap: the mean over the batch of silu(-alpha * (positive - negative)).

    silu(z) = z * sigmoid(z). The smallest loss, -0.278, is at a gap of 1.278 / alpha. Unlike SymBa, the loss pulls
    larger gaps back, with a gradient that vanishes as the gap grows.
    """

    name = "swish-symba"
    source = "public code dah33/explore_forward_forward (loss and alpha); SymBa: Lee & Song 2023, arXiv:2303.08418"

    class Params(ffprobe.Params):
        """The scale of the gap."""

        alpha: float = Field(6.0, gt=0, description="factor on the gap, in 1 / units of goodness, above 0")

    def __call__(self, positive, negative, context):  # [B], [B] to a scalar
        return functional.silu(-self.params.alpha * (positive - negative)).mean()


@ffprobe.hookimpl
def ffprobe_components():
    return [SwishSymBa]
