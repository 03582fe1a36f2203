"""A trained network at work: evaluation, label scans, predictions, recorded activations."""
