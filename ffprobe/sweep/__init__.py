"""Grids of runs: reading a grid, planning what is left to run, running it."""
