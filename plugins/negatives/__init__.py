"""Which wrong example."""
