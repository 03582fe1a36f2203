"""Linear probes and multi-layer probes on recorded activations."""
