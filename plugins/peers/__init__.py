"""Public implementations whose recorded trajectories ffprobe can replay."""
