"""CwComp's plain network: four convolutions without groups."""

from __future__ import annotations

from ffprobe_plugins.networks.cfse import CFSE

import ffprobe


class FFCNN(CFSE, ffprobe.Network):
    """CwComp's plain network: ``cfse`` without convolution groups, 3x3 convolutions with bias of 20, 80p, 240 and 480p
    channels.
    """

    name = "ffcnn"
    grouped = False


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [FFCNN]
