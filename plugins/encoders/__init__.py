"""Label encoders: how a label enters the network."""
