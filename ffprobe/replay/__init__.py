"""Replay of recorded trajectories with the ordinary trainer and plugins."""

from ffprobe.components.peer import Tolerance as Tolerance
from ffprobe.replay.comparing import Replay as Replay
from ffprobe.replay.replaying import read_trajectory as read_trajectory
from ffprobe.replay.replaying import replay as replay
