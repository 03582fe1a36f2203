"""Hard negatives: the wrong labels that the network itself finds good are drawn more often."""

import torch
from pydantic import Field

import ffprobe


class HardLabels(ffprobe.Negatives):
    """A wrong label y with probability proportional to exp(goodness of y / temperature), last layer's goodness.

    Costs a forward pass for every label at every step. As the temperature grows it becomes ``uniform-wrong``.
    """

    name = "hard-labels"
    source = "Hinton 2022, arXiv:2212.13345, Sec. 3.3 (proportions); the exponential as in a softmax is ours"
    needs_goodness = True

    class Params(ffprobe.Params):
        """How much harder than uniform."""

        temperature: float = Field(1.0, gt=0, description="in units of goodness; small: always the best wrong label")

    def __call__(self, images, labels, classes, generator, goodness=None):  # goodness: [B, K]; to int64 [B]
        # on the CPU, where the run's generator lives, so that the draws are the same on every device
        score = (goodness.float() / self.params.temperature).cpu()
        score = score.scatter(1, labels.cpu()[:, None], -torch.inf)  # never the true one
        return torch.multinomial(score.softmax(dim=1), 1, generator=generator).flatten().to(labels.device)


@ffprobe.hookimpl
def ffprobe_components():
    return [HardLabels]
