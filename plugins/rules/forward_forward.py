"""Forward-Forward: every update group learns from its own loss on positives and negatives."""

from __future__ import annotations

import ffprobe


class ForwardForward(ffprobe.Rule):
    """Local learning in update groups, two forward passes stacked into one batch.

    Positives and negatives go through together as ``2B`` rows, so that batch normalization sees both, as in the
    authors' code. A group starts from detached input; its loss sits on its last layer; its own optimizer covers the
    group's parameters; its graph is freed before the next group begins. What the next layer gets is the output from
    before the update.

    A learned encoder belongs to the shortest group that starts at layer 0, as in the authors' code, where only the
    first layer's own loss trains the label embedding.
    """

    name = "forward-forward"
    source = "Hinton 2022, arXiv:2212.13345; groups: Trifecta, arXiv:2311.18130, App. F"
    shares_batches = True

    def build(self, setup: ffprobe.LearnerSetup) -> ffprobe.Learner:
        """A learner with one optimizer for each update group."""
        return ffprobe.GroupLearner(setup)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [ForwardForward]
