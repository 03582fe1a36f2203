"""Goodness as the mean squared activation of the channels that belong to a class."""

from __future__ import annotations

from ffprobe_plugins.goodness.group_mean import GroupMean

import ffprobe


class GroupSquare(GroupMean, ffprobe.Goodness):
    """g[b, k] = mean, over the channels of group k and all positions, of the squared activation.

    Groups as in ``group-mean``. CwComp reads it behind a batch normalization of the activation
    (``batchnorm:place=activation``), so that negative values count as well. ``together`` is CwComp's class grouping:
    with d classes to a group, label y is group y // d; classes of one group have the same goodness, hence the cross
    entropy over classes is that over groups plus log d, with the same gradient.

    Deviation: as in ``group-mean`` where channels are no multiple of the classes.
    """

    name = "group-square"
    aliases = ("group_mean_square",)
    source = "CwComp, Papachristodoulou et al. 2024, arXiv:2312.12668, and its code andreaspapac/CwComp"
    power = 2


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [GroupSquare]
