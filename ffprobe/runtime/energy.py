"""The energy that the processor and the GPU have used, where the system tells."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

POWERCAP = Path("/sys/class/powercap")


class EnergyMeter:
    """Adds up the energy since it was made, in joules.

    The processor's comes from Linux's powercap counters (RAPL): whole packages, so everything that ran on them counts;
    reading them usually needs root. A GPU's comes from NVML through ``pynvml`` (``pip install nvidia-ml-py``). Counters
    wrap, on some processors within a minute under load, so ``read`` must be called at least as often.

    Args:
        device: of the run; a GPU's energy is added for a CUDA device.
        folder: of the powercap counters.

    Attributes:
        missing: what is not measured, and why, one sentence each; empty if everything is.
    """

    def __init__(self, device: torch.device, folder: Path = POWERCAP) -> None:
        self.missing: list[str] = []
        self._joules = 0.0
        self._packages = self._readable(folder)
        self._gpu: Any = self._handle(device) if device.type == "cuda" else None
        self._gpu_start = self._gpu() if self._gpu else 0.0

    @property
    def measures(self) -> bool:
        """Whether anything is measured."""
        return bool(self._packages) or self._gpu is not None

    def read(self) -> float:
        """The energy since the meter was made, in joules; NaN if nothing is measured."""
        if not self.measures:
            return float("nan")
        for path, (before, limit) in self._packages.items():
            now = _counter(path / "energy_uj")
            self._joules += ((now - before) % limit if limit else now - before) / 1e6
            self._packages[path] = (now, limit)
        return self._joules + ((self._gpu() - self._gpu_start) if self._gpu else 0.0)

    def _readable(self, folder: Path) -> dict[Path, tuple[int, int]]:
        packages = {}
        # intel-rapl:0 is a package (of AMD, too), intel-rapl:0:0 a part of it
        for path in sorted(folder.glob("intel-rapl:[0-9]*")):
            if path.name.count(":") != 1:
                continue
            try:
                limit = _counter(path / "max_energy_range_uj") + 1
                packages[path] = (_counter(path / "energy_uj"), limit)
            except OSError as error:
                self.missing.append(f"The processor's energy cannot be read: {error.strerror} ({path.name}).")
        if not packages and not self.missing:
            self.missing.append("This machine has no energy counter of its processor (RAPL).")
        return packages

    def _handle(self, device: torch.device) -> Any:
        with suppress(ImportError):
            import pynvml  # type: ignore[import-not-found, unused-ignore]

            try:
                pynvml.nvmlInit()
                uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
                handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
                pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
            except pynvml.NVMLError as error:
                self.missing.append(f"The energy of the GPU cannot be read: {error}.")
                return None
            return lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3  # millijoules
        self.missing.append("The energy of the GPU is not measured: pynvml is not installed.")
        return None


def _counter(path: Path) -> int:
    return int(path.read_text())
