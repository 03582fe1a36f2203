"""Hard negatives: wrong labels with a high goodness are drawn more often."""

import torch
from pydantic import Field

import ffprobe


class HardLabels(ffprobe.Negatives):
    """Draws a wrong label y with probability proportional to exp(goodness of y / temperature) at the last layer.

    This costs a forward pass for every label at every step. As the temperature grows, it approaches ``uniform-wrong``.
    """

    name = "hard-labels"
    source = "Hinton 2022, arXiv:2212.13345, Sec. 3.3 (proportions); the exponential, as in a softmax, is our choice"
    needs_goodness = True

    class Params(ffprobe.Params):
        """How much harder than uniform."""

        temperature: float = Field(
            1.0,
            gt=0,
            description="temperature of the softmax, in units of goodness, above 0; small values always draw "
            "the best wrong label",
        )

    def __call__(self, images, labels, classes, generator, goodness=None):  # goodness: [B, K]; to int64 [B]
        # on the CPU, as the run's generator, so that the draws are the same on every device
        score = (goodness.float() / self.params.temperature).cpu()
        score = score.scatter(1, labels.cpu()[:, None], -torch.inf)  # never the true label
        return torch.multinomial(score.softmax(dim=1), 1, generator=generator).flatten().to(labels.device)


@ffprobe.hookimpl
def ffprobe_components():
    return [HardLabels]
