"""How good an activation is."""
