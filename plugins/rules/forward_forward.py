"""Forward-Forward: every update group learns from its own loss on positives and negatives."""

from __future__ import annotations

import ffprobe


class ForwardForward(ffprobe.Rule):
    """Trains each update group with its own local loss; positives and negatives form one batch of two stacked forward
    passes.

    Positives and negatives go through the network together as ``2B`` rows, so that batch normalization sees both, as in
    the authors' code. The input of a group is detached, its loss is that of its last layer, and its own optimizer
    covers the parameters of the group. The graph of a group is freed before the next group begins. The next layer
    receives the output from before the update.

    A learned encoder belongs to the shortest group that starts at the first layer, as in the authors' code, where only
    the loss of the first layer trains the label embedding.
    """

    name = "forward-forward"
    source = "Hinton 2022, arXiv:2212.13345; groups: Trifecta, arXiv:2311.18130, App. F"
    shares_batches = True
    independent_groups = True

    def build(self, setup: ffprobe.LearnerSetup) -> ffprobe.Learner:
        """Build a learner with one optimizer for each update group."""
        return ffprobe.GroupLearner(setup)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [ForwardForward]
