"""Measurements of speed and memory, each against named alternatives in the same run."""
