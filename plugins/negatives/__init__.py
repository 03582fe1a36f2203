"""Negatives: the wrong examples that a pair loss compares with the right ones."""
