"""Convolutions over time, for signals and tokens."""

from __future__ import annotations

from pydantic import Field

import ffprobe

CHANNELS = (128, 256, 128)
KERNELS = (7, 5, 3)


class CNN1D(ffprobe.Network):
    """Wang, Yan and Oates' fully convolutional network for signals ``[C, T]``: 128, 256 and 128 channels with kernels
    of 7, 5 and 3 time steps; further layers repeat the last one.

    In the paper, batch normalization follows each convolution (``batchnorm:position=preactivation``), and the mean over
    time feeds the output layer (``linear-head:average=1``). One-hot tokens ``[V, T]`` are signals: the first
    convolution is their embedding.

    Deviations: the first kernel has 7 steps, not 8, since kernels are odd here; convolutions have no bias. Max pooling
    (``pool``), which the paper does not have, shortens the signal after each layer as long as a step is left.
    """

    name = "cnn1d"
    source = "Wang, Yan & Oates 2017, arXiv:1611.06455, Sec. II-B"

    class Params(ffprobe.Params):
        """Width, depth, pooling and dropout."""

        width: float = Field(
            1.0, gt=0, le=16, description="factor on the number of channels of every layer, in (0, 16]"
        )
        depth: int = Field(3, ge=1, le=100, description="number of convolutions, 1 to 100; 3 as in the paper")
        pool: int = Field(
            1, ge=1, le=64, description="window of the max pooling after each layer, in time steps; 1: none"
        )
        dropout: float = Field(0.0, ge=0, lt=1, description="dropout probability of activations in training, in [0, 1)")

    def layers(self, shape: ffprobe.Shape, classes: int) -> list[ffprobe.LayerSpec]:
        """``depth`` convolutions.

        Raises:
            UsageError: the input is not a signal.
        """
        if len(shape) != 2:
            raise ffprobe.UsageError(
                f"The network {self.name!r} needs signals [C, T]; its input is {list(shape)}.",
                hint="Use --plugin mlp, which takes any input.",
            )
        params, steps, specs = self.params, shape[1], []
        for index in range(params.depth):
            at = min(index, len(CHANNELS) - 1)
            pool = params.pool if steps >= params.pool else 1
            steps //= pool
            width = max(4, round(CHANNELS[at] * params.width))
            specs.append(ffprobe.LayerSpec("conv", width, pool, kernel=KERNELS[at], dropout=params.dropout))
        return specs


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [CNN1D]
