"""The processor: its model, and how fast it computes in float32 and in bfloat16."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import torch

from ffprobe.data.folders import cache_folder

ROUNDS = 5
IMAGES, CHANNELS, SIDE = 16, 128, 16
"""Of the convolution: 3 x 3, as many input as output channels, as in the networks of the field."""
PRODUCT = 768
"""Rows and columns of the matrix product."""
OPERATIONS = 2 * IMAGES * CHANNELS**2 * 9 * SIDE**2 + 2 * PRODUCT**3
FILE = "processor-rates.json"


@dataclass(frozen=True)
class Rates:
    """Rates of a convolution and a matrix product of real size, forward, on one thread, in 10^9 operations a second.

    Attributes:
        fp32: in float32.
        bf16: in bfloat16, under autocast.
    """

    fp32: float
    bf16: float

    @property
    def speedup(self) -> float:
        """How many times faster bfloat16 is."""
        return self.bf16 / self.fp32


@cache
def processor_model() -> str:
    """The model of the processor as the system names it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def processor_rates(again: bool = False, keep: bool = True) -> Rates:
    """Measure the processor, or return what was measured before on this machine with this torch.

    The result is kept in the cache folder, so that noise does not change the choice from one run to the next. It takes
    about a fifth of a second.

    Args:
        again: measure although there is a result.
        keep: write the result to the cache folder.
    """
    path = cache_folder() / FILE
    key = f"{processor_model()}, torch {torch.__version__}"
    known = _read(path)
    if key in known and not again:
        return known[key]
    rates = measure_rates()
    if keep:
        _write(path, {**known, key: rates})
    return rates


def measure_rates() -> Rates:
    """Time both kinds of operation in both precisions by turns; of each, the fastest of five counts.

    One thread computes, and its processor time counts: other programs on the machine, and waiting for other threads,
    would change the wall time of one precision more than that of the other.
    """
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(1)
    try:
        return _measured()
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(state)  # a run must draw the same numbers whether or not this was measured


def _measured() -> Rates:
    images = torch.randn(IMAGES, CHANNELS, SIDE, SIDE).contiguous(memory_format=torch.channels_last)
    kernel = torch.randn(CHANNELS, CHANNELS, 3, 3).contiguous(memory_format=torch.channels_last)
    matrix = torch.randn(PRODUCT, PRODUCT)
    operations: tuple[Callable[[], torch.Tensor], ...] = (
        lambda: torch.nn.functional.conv2d(images, kernel, padding=1),
        lambda: matrix @ matrix,
    )
    seconds = {"fp32": [float("inf")] * 2, "bf16": [float("inf")] * 2}
    with torch.inference_mode():
        for _ in range(ROUNDS + 1):  # the first round warms up; its times are not the fastest
            for name, times in seconds.items():
                context: AbstractContextManager[object] = nullcontext()
                if name == "bf16":
                    context = torch.autocast("cpu", torch.bfloat16)
                with context:
                    for i, operation in enumerate(operations):
                        began = time.thread_time()
                        operation()
                        times[i] = min(times[i], time.thread_time() - began)
    return Rates(*(OPERATIONS / sum(times) / 1e9 for times in seconds.values()))


def _read(path: Path) -> dict[str, Rates]:
    """The known rates; whatever is wrong with the file, it is as if there were none."""
    with suppress(OSError, ValueError, TypeError, AttributeError):
        known = {key: Rates(**rates) for key, rates in json.loads(path.read_text(encoding="utf-8")).items()}
        if all(type(r.fp32) is float and type(r.bf16) is float and r.fp32 > 0 < r.bf16 for r in known.values()):
            return known
    return {}


def _write(path: Path, rates: dict[str, Rates]) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(OSError):  # without a cache it is measured at every start
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps({key: asdict(value) for key, value in rates.items()}), encoding="utf-8")
        temporary.replace(path)
