"""NoProp: every block learns to find the clean label from the image and a noisy label; no pass goes through them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from ffprobe_plugins.networks.denoising_blocks import DenoisingBlock
from torch.nn import functional

import ffprobe


class NoPropRule(ffprobe.Rule):
    """Gives every block the image and a noisy label, in place of what the block below passes on.

    Block t gets z_(t-1) = sqrt(s) y + sqrt(1 - s) e, where y is the one-hot label, s the share of signal before this
    block, and e a standard normal, drawn anew for every block and step; the first block's label is noise alone. With
    the loss ``brier``, which is the squared distance between the block's estimate of y and y, this is the third term of
    the paper's objective. Its factor T eta (SNR(t) - SNR(t - 1)) / 2 is left out: each block has its own optimizer, and
    Adam does not depend on it.

    The other two terms have nothing to train here: the distance of z_0 from a standard normal is 0, and there is no
    output layer. All blocks learn from every batch; the paper trains them one after another in each epoch.
    """

    name = "noprop"
    source = "NoProp-DT, Li, Teh & Pascanu 2025, arXiv:2503.24322, Eq. 8 and Algorithm 1"

    def build(self, setup: ffprobe.LearnerSetup) -> ffprobe.Learner:
        """Build an optimizer for each block.

        Raises:
            UsageError: the layers are not those of ``denoising-blocks``, or are not trained alone, or goodness has
                no value for each class.
        """
        layers = (setup.network.layer(i) for i in range(setup.network.depth))
        if not all(isinstance(getattr(layer, "module", None), DenoisingBlock) for layer in layers):
            raise ffprobe.UsageError(
                f"The rule {self.name!r} needs blocks that read a noisy label.",
                hint="Use --preset noprop, or --plugin denoising-blocks --plugin last-logits --plugin brier.",
            )
        if setup.network.form != "class":
            raise ffprobe.UsageError(
                f"The rule {self.name!r} needs a goodness of every class.",
                hint="Use --plugin last-logits --plugin brier.",
            )
        if any(stop - start > 1 for start, stop in setup.groups):
            raise ffprobe.UsageError(f"The rule {self.name!r} trains every block alone.", hint="Use --plugin greedy.")
        return NoPropLearner(setup)


class NoPropLearner(ffprobe.GroupLearner):
    """Trains each block from a noisy label of its own."""

    def step(self, images: torch.Tensor, labels: torch.Tensor, step: int, epoch: int) -> Iterator[ffprobe.Update]:
        """Update every block of this step from the images and noisy labels."""
        network, setup = self.network, self.setup
        learning = {a for a, _ in ffprobe.groups_of_step(setup.scheduler, step, epoch, network.depth)}
        encoded = network.encode(images, None).detach()
        for index in sorted(learning):
            layer = network.layer(index)
            x = self.noisy(encoded, labels, layer.module.signal)
            with setup.autocast():
                activation = layer(x)
            local = network.local_loss(
                index,
                activation,
                labels,
                setup.loss,
                step=step,
                epoch=epoch,
                layer_input=x,
                images=images,
                autocast=setup.autocast,
            )
            local.loss.backward()
            optimizer = self.optimizers[index, index + 1]
            optimizer.step()
            yield ffprobe.Update(range(index, index + 1), index, local.means[0])
            optimizer.zero_grad(set_to_none=True)

    def noisy(self, encoded: torch.Tensor, labels: torch.Tensor, signal: float) -> torch.Tensor:
        """Rows of image, noisy label and zeros for the logits, ``[B, C H W + 2 K]``.

        Args:
            encoded: the images, ``[B, C, H, W]``.
            labels: the true labels, ``[B]``.
            signal: the share of signal in the noisy label, in [0, 1].
        """
        clean = functional.one_hot(labels, self.setup.classes).to(encoded)
        noise = torch.randn(clean.shape, generator=self.setup.generator).to(encoded)
        label = signal**0.5 * clean + (1 - signal) ** 0.5 * noise
        return torch.cat([encoded.flatten(1), label, torch.zeros_like(label)], dim=1)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [NoPropRule]
