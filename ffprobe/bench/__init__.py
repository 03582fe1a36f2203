"""Measures single training steps: time, operations, memory."""
