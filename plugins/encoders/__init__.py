"""How a label enters."""
