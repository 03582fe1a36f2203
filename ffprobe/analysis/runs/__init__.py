"""Naming, grouping and comparing recorded runs."""
