"""The probes: one analysis each, with what it records, its table and its figure."""
