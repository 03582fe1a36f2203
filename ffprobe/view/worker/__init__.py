"""What needs torch: one process beside the server, which answers questions and computes maps."""
