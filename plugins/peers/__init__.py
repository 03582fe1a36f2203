"""Public implementations whose recorded trajectories can be repeated."""
