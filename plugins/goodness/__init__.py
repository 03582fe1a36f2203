"""Goodness functions: how an activation is scored."""
