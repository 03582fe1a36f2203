"""Inference with a trained network: evaluation, label scans, predictions, recorded activations."""
