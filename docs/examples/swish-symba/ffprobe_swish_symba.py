"""Swish-SymBa: SymBa's gap through a swish, so that only pairs that are nearly told apart are pushed hard."""

from pydantic import Field
from torch.nn import functional

import ffprobe


class SwishSymBa(ffprobe.Loss):
    """mean over the batch of silu(-alpha * (positive - negative)), with silu(z) = z * sigmoid(z).

    The smallest loss, -0.278, lies at a gap of 1.278 / alpha: unlike SymBa it pulls a gap beyond that back, ever less.
    """

    name = "swish-symba"
    source = "public code dah33/explore_forward_forward (loss and alpha); SymBa: Lee & Song 2023, arXiv:2303.08418"

    class Params(ffprobe.Params):
        """Where the best gap lies."""

        alpha: float = Field(6.0, gt=0, description="scale of the gap, 1 per unit of goodness")

    def __call__(self, positive, negative, context):  # [B], [B] to a scalar
        return functional.silu(-self.params.alpha * (positive - negative)).mean()


@ffprobe.hookimpl
def ffprobe_components():
    return [SwishSymBa]
