"""Experiment trackers: observers that report a run to other programs."""
