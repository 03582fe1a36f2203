"""Overlapping windows of three layers that shift by one layer every step."""

from pydantic import Field

import ffprobe


class Triples(ffprobe.UpdateScheduler):
    """Windows of three layers, ``overlap`` layers shared by neighbours, moved on by one layer a step.

    The overlapping local updates of the Trifecta are windows of two that share none. A window that sticks out at
    either end is cut, so that within ``3 - overlap`` steps every layer carries a loss of its own once.
    """

    name = "triples"
    source = "generalizes the Trifecta, arXiv:2311.18130, App. F (group size 2); group size 3 is ours"

    class Params(ffprobe.Params):
        """How dense the windows stand."""

        overlap: int = Field(1, ge=0, le=2, description="layers that neighbouring windows of one step share")

    def groups(self, step, epoch, depth):
        stride = 3 - self.params.overlap
        starts = range(step % stride - 2, depth, stride)
        windows = [(max(start, 0), min(start + 3, depth)) for start in starts]
        return [slice(a, b) for a, b in dict.fromkeys(windows)]


@ffprobe.hookimpl
def ffprobe_components():
    return [Triples]
