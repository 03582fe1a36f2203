"""Calibrating evaluators and evaluating them on recorded label scans."""
