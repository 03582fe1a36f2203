"""Which layers."""
