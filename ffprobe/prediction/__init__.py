"""Predictions from goodness, recorded or computed on demand, without the cost of every label."""
