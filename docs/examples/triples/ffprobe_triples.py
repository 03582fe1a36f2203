"""Trains overlapping windows of three layers that shift by one layer every step."""

from pydantic import Field

import ffprobe


class Triples(ffprobe.UpdateScheduler):
    """Trains windows of three layers; neighbouring windows share ``overlap`` layers, and all shift by one layer each
    step.

    The overlapping local updates of the Trifecta are windows of two layers that share none. A window that extends
    beyond either end of the network is cut, so that within ``3 - overlap`` steps every layer has a loss of its own
    once.
    """

    name = "triples"
    source = "generalizes the Trifecta, arXiv:2311.18130, App. F (group size 2); group size 3 is our choice"

    class Params(ffprobe.Params):
        """The overlap of the windows."""

        overlap: int = Field(
            1, ge=0, le=2, description="number of layers that neighbouring windows of one step share, 0 to 2"
        )

    def groups(self, step, epoch, depth):
        stride = 3 - self.params.overlap
        starts = range(step % stride - 2, depth, stride)
        windows = [(max(start, 0), min(start + 3, depth)) for start in starts]
        return [slice(a, b) for a, b in dict.fromkeys(windows)]


@ffprobe.hookimpl
def ffprobe_components():
    return [Triples]
