"""Normalizers: how activations are normalized within and between layers."""
