"""Training: from a resolved config to a trained network and its run file."""
