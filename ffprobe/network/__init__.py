"""The network as a torch module: layers, pooling, and operations on activations."""
