"""Benchmarks of speed and memory, each compared with named alternatives in the same run."""
