"""How a prediction is read."""
