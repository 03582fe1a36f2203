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
