"""Evaluators: how a prediction is computed from goodness or features."""
