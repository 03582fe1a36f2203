"""Learning rules: how weights change."""
