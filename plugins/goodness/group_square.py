"""The mean squared activation of the channels that belong to a class."""

from __future__ import annotations

from ffprobe_plugins.goodness.group_mean import GroupMean

import ffprobe


class GroupSquare(GroupMean, ffprobe.Goodness):
    """Averages the squared activations of a class's own channels: g[b, k] is the mean over the channels of group k and
    all positions.

    The groups are those of ``group-mean``. CwComp reads this goodness after a batch normalization of the activation
    (``batchnorm:position=activation``), so that negative values count as well. ``together`` is CwComp's class grouping:
    with d classes in a group, label y belongs to group y // d. The classes of a group have the same goodness, so the
    cross entropy over classes is the cross entropy over groups plus log d, with the same gradient.

    Deviation: if the channels are not a multiple of the classes, as in ``group-mean``.
    """

    name = "group-square"
    aliases = ("group_mean_square",)
    source = "CwComp, Papachristodoulou et al. 2024, arXiv:2312.12668, and its code andreaspapac/CwComp"
    power = 2


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [GroupSquare]
