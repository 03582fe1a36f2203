"""Writes the records of a run to its file: rows are collected in memory and written with the commit of the epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ffprobe.store.schema import RunMetadata, Variable
from ffprobe.store.writer import RunWriter


class Recorder:
    """Writes the records of one run to its file.

    Args:
        writer: an open run file with the layout ``run_schema(metadata)``.
        metadata: the metadata that the layout was made from.
    """

    def __init__(self, writer: RunWriter, metadata: RunMetadata) -> None:
        self.writer, self.metadata = writer, metadata
        self._probe_rows: dict[str, dict[str, list[Any]]] = {}
        self._variables = {(probe, v.path): v for probe, declared in metadata.probes.items() for v in declared}

    def labels(self, group: str, true_label: torch.Tensor, **more: torch.Tensor) -> None:
        """Write the true label, and any other value, of each sample of a group; once per run."""
        for name, values in {"true_label": true_label, **more}.items():
            self.writer.put(f"{group}/{name}", values.numpy())

    def steps(self, first: int, loss: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor) -> None:
        """Write the steps from index ``first`` on; each tensor is float32 ``[steps, layers]`` on the CPU."""
        if len(loss):
            rows = {"loss": loss, "goodness_positive": positive, "goodness_negative": negative}
            count = np.arange(first, first + len(loss))
            self.writer.extend("steps", {"step": count, **{k: v.numpy() for k, v in rows.items()}})

    def epoch(self, done: int, values: Mapping[str, Any]) -> None:
        """Write one row of ``metrics``, after ``done`` epochs; missing values become NaN."""
        self.writer.append("metrics", {"epoch": done, **{k: np.asarray(v) for k, v in values.items()}})

    def evaluation(self, done: int, goodness: torch.Tensor) -> None:
        """Write the validation goodness ``[L, N, K]`` after ``done`` epochs."""
        self.writer.append("evaluation", {"epoch": done, "goodness": goodness.numpy()})

    def activations(
        self,
        done: int,
        collected: Mapping[tuple[str, str], torch.Tensor],
        statistics: Mapping[tuple[str, str], Mapping[str, float]],
    ) -> None:
        """Write the activations by (layer, stage), each ``[samples, units]``, and statistics, after ``done`` epochs.

        The file of a run that version 0.1.0 began has no arrays for statistics; they are left out then.
        """
        for (layer, stage), values in collected.items():
            group = f"activations/{layer}/{stage}"
            numbers = statistics.get((layer, stage), {})
            numbers = {name: value for name, value in numbers.items() if f"{group}/{name}" in self.writer.arrays}
            self.writer.append(group, {"epoch": done, "activation": values.numpy(), **numbers})

    def probe(self, plugin: str, variable: str, value: object) -> None:
        """Write a value of a plugin's own variable: one row if its first dimension is unlimited, else all of it.

        Args:
            plugin: name of the plugin.
            variable: name of the variable, as declared.
            value: a number, an array or a tensor.

        Raises:
            KeyError: the plugin did not declare this variable.
            ValueError: the shape of the value is not the declared one.
        """
        declared = self._variables.get((plugin, variable))
        if declared is None:
            known = sorted(v for p, v in self._variables if p == plugin)
            raise KeyError(f"{plugin!r} declared no variable {variable!r}; it declared {known}")
        tensor = value.detach().cpu() if isinstance(value, torch.Tensor) else value
        array = np.asarray(tensor, dtype=_DTYPES[declared.dtype])
        expected = self._row_shape(declared)
        if array.shape != expected:
            raise ValueError(f"{variable!r} was declared with shape {expected}, but the value has shape {array.shape}")
        group = f"probes/{plugin}/{declared.group}".rstrip("/")
        if self._grows(declared):
            self._probe_rows.setdefault(group, {}).setdefault(declared.name, []).append(array)
        else:
            self.writer.put(f"{group}/{declared.name}", array)

    def log(self, step: int, message: str) -> None:
        """Write a message to the log of the file; truncated to 400 bytes."""
        self.writer.log(step, message)

    def commit(self) -> int:
        """Commit all records so far to disk and return the number of the commit."""
        for group, rows in self._probe_rows.items():
            if len({len(values) for values in rows.values()}) > 1:
                counts = {name: len(values) for name, values in rows.items()}
                raise ValueError(f"{group}: variables that share a dimension have different numbers of rows: {counts}")
            self.writer.extend(group, {name: np.stack(values) for name, values in rows.items()})
        self._probe_rows.clear()
        return self.writer.commit()

    def weights(self, state: Mapping[str, torch.Tensor]) -> None:
        """Write the state of the network, by name."""
        for name, value in state.items():
            owner, _, parameter = name.partition(".")
            self.writer.put(f"weights/{owner}/{parameter}", value.detach().cpu().numpy())

    def put(self, path: str, value: object) -> None:
        """Write all of a fixed-size variable."""
        self.writer.put(path, np.asarray(value))

    def _grows(self, variable: Variable) -> bool:
        sizes = self._sizes(variable)
        return bool(variable.dims) and sizes[variable.dims[0]] is None

    def _row_shape(self, variable: Variable) -> tuple[int, ...]:
        sizes = self._sizes(variable)
        dims: Sequence[str] = variable.dims[1:] if self._grows(variable) else variable.dims
        return tuple(int(sizes[d] or 0) for d in dims)

    def _sizes(self, variable: Variable) -> dict[str, int | None]:
        probe = next(p for (p, path), v in self._variables.items() if v is variable)
        return {d.name: d.size for v in self.metadata.probes[probe] for d in v.dimensions if d.group == variable.group}


_DTYPES = {"f4": np.float32, "f8": np.float64, "i4": np.int32, "i8": np.int64, "u1": np.uint8}
