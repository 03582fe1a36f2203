"""The network as a torch module: layers, pooling, and the arithmetic of activations."""
