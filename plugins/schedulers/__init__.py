"""Which layers learn together, and when."""
