"""Statistics and similarity measures."""
