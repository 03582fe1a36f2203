"""Plugin files as a stranger would write them, good and bad."""

from __future__ import annotations

from pathlib import Path

POWERNORM = """
import torch
from torch import nn
import ffprobe

class PowerNorm(ffprobe.Normalizer):
    name = "powernorm"

    class Params(ffprobe.Params):
        exponent: float = 0.5

    def build(self, shape):                      # shape of one input without the batch: (C, H, W) or (F,)
        exponent = self.params.exponent
        class Module(nn.Module):
            def forward(self, x):                # [batch, *shape] -> [batch, *shape]
                scale = x.flatten(1).norm(dim=1).clamp_min(1e-8) ** exponent
                return x / scale.view(-1, *([1] * (x.dim() - 1)))
        return Module()

@ffprobe.hookimpl
def ffprobe_components():
    return [PowerNorm]
"""

DROPOUT = """
from torch import nn
import ffprobe

class Drop(ffprobe.Normalizer):
    name = "drop"
    def build(self, shape):
        return nn.Sequential(nn.Dropout(0.2), nn.BatchNorm2d(shape[0]))

class Counting(ffprobe.Loss):
    name = "counting"
    def __init__(self, params=None):
        super().__init__(params)
        self.calls = 0
    def __call__(self, positive, negative, context):
        self.calls += 1
        return nn.functional.softplus(negative - positive).mean() * (1 + self.calls / 100)
    def state_dict(self):
        return {"calls": self.calls}
    def load_state_dict(self, state):
        self.calls = state["calls"]

@ffprobe.hookimpl
def ffprobe_components(): return [Drop, Counting]
"""
"""Dropout, which draws from torch's global generator, and a loss that keeps a state of its own."""


def normalizer(body: str = "return x", build: str = "", name: str = "mine") -> str:
    """The text of a normalizer plugin whose forward or build does something particular."""
    return f'''
import torch
from torch import nn
import ffprobe

class Mine(ffprobe.Normalizer):
    """A normalizer for a test."""
    name = "{name}"
    def build(self, shape):
        {build or "pass"}
        class Module(nn.Module):
            def forward(self, x):
                {body}
        return Module()

@ffprobe.hookimpl
def ffprobe_components():
    return [Mine]
'''


def write(folder: Path, text: str, name: str = "mine.py") -> str:
    """Write a plugin file and return its path as ``--plugin`` takes it."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)
