"""Local objectives."""
