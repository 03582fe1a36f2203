"""From the trainer to the run file: rows are gathered in memory and written with the epoch's commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ffprobe.store.schema import RunMetadata, Variable
from ffprobe.store.writer import RunWriter


class Recorder:
    """Writes one run.

    Args:
        writer: an open run file of ``run_schema(facts)``.
        facts: what the file's layout was made from.
    """

    def __init__(self, writer: RunWriter, facts: RunMetadata) -> None:
        self.writer, self.facts = writer, facts
        self._probe_rows: dict[str, dict[str, list[Any]]] = {}
        self._variables = {(probe, v.path): v for probe, declared in facts.probes.items() for v in declared}

    def labels(self, group: str, true_label: torch.Tensor, **more: torch.Tensor) -> None:
        """The facts about each sample of a group, written once."""
        for name, values in {"true_label": true_label, **more}.items():
            self.writer.put(f"{group}/{name}", values.numpy())

    def steps(self, first: int, loss: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor) -> None:
        """Steps ``first``, ``first + 1`` ..., each tensor float32 ``[steps, layers]`` on the CPU."""
        if len(loss):
            rows = {"loss": loss, "goodness_positive": positive, "goodness_negative": negative}
            count = np.arange(first, first + len(loss))
            self.writer.extend("steps", {"step": count, **{k: v.numpy() for k, v in rows.items()}})

    def epoch(self, done: int, values: Mapping[str, Any]) -> None:
        """One row of ``metrics``; what is missing is NaN."""
        self.writer.append("metrics", {"epoch": done, **{k: np.asarray(v) for k, v in values.items()}})

    def evaluation(self, done: int, goodness: torch.Tensor) -> None:
        """Validation goodness ``[L, N, K]`` after ``done`` epochs."""
        self.writer.append("evaluation", {"epoch": done, "goodness": goodness.numpy()})

    def activations(self, done: int, collected: Mapping[tuple[str, str], torch.Tensor]) -> None:
        """Activations by (layer, stage), each ``[samples, units]``, after ``done`` epochs."""
        for (layer, stage), values in collected.items():
            self.writer.append(f"activations/{layer}/{stage}", {"epoch": done, "activation": values.numpy()})

    def probe(self, plugin: str, variable: str, value: object) -> None:
        """A value of a plugin's own variable: a row if it grows, else the whole.

        Raises:
            KeyError: the plugin declared no such variable.
            ValueError: the value's shape is not the declared one.
        """
        declared = self._variables.get((plugin, variable))
        if declared is None:
            known = sorted(v for p, v in self._variables if p == plugin)
            raise KeyError(f"{plugin!r} declared no variable {variable!r}; it declared {known}")
        tensor = value.detach().cpu() if isinstance(value, torch.Tensor) else value
        array = np.asarray(tensor, dtype=_DTYPES[declared.dtype])
        expected = self._row_shape(declared)
        if array.shape != expected:
            raise ValueError(f"{variable!r} was declared with the shape {expected}, {array.shape} was recorded")
        group = f"probes/{plugin}/{declared.group}".rstrip("/")
        if self._grows(declared):
            self._probe_rows.setdefault(group, {}).setdefault(declared.name, []).append(array)
        else:
            self.writer.put(f"{group}/{declared.name}", array)

    def log(self, step: int, message: str) -> None:
        """A sentence for whoever reads the file; cut at 400 bytes."""
        self.writer.log(step, message)

    def commit(self) -> int:
        """Make everything so far durable; returns the commit's number."""
        for group, rows in self._probe_rows.items():
            if len({len(values) for values in rows.values()}) > 1:
                counts = {name: len(values) for name, values in rows.items()}
                raise ValueError(f"{group}: its variables share a dimension but got {counts} rows")
            self.writer.extend(group, {name: np.stack(values) for name, values in rows.items()})
        self._probe_rows.clear()
        return self.writer.commit()

    def weights(self, state: Mapping[str, torch.Tensor]) -> None:
        """The network's state by name."""
        for name, value in state.items():
            owner, _, parameter = name.partition(".")
            self.writer.put(f"weights/{owner}/{parameter}", value.detach().cpu().numpy())

    def put(self, path: str, value: object) -> None:
        """A fixed-size variable as a whole."""
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
        return {d.name: d.size for v in self.facts.probes[probe] for d in v.dimensions if d.group == variable.group}


_DTYPES = {"f4": np.float32, "f8": np.float64, "i4": np.int32, "i8": np.int64, "u1": np.uint8}
