"""The file formats of an exported network: how each is written, and how it is read again."""

from __future__ import annotations

import copy
import json
import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import torch

from ffprobe.errors import FfprobeError, UsageError, describe
from ffprobe.inference.exported_function import ExportedFunction

log = logging.getLogger("ffprobe")
Function = Callable[[torch.Tensor], torch.Tensor]
"""Raw inputs, as ``ExportedFunction`` takes them, to scores or goodness."""
EXAMPLES = 3
"""Inputs with which the operations are recorded; with 1, torch would fix the size of the batch."""
METADATA = "ffprobe"
"""The key of the metadata, a JSON document."""


class Format(ABC):
    """One file format.

    Attributes:
        suffix: ending of a file name.
        reader: what ``read`` uses, for messages.
        libraries: modules that must be installed; ``ffprobe-nn[export]`` installs all.
        single: whether the function is float32 even if the run's is float64.
    """

    suffix: ClassVar[str]
    reader: ClassVar[str]
    libraries: ClassVar[tuple[str, ...]] = ()
    single: ClassVar[bool] = False

    def require(self) -> None:
        """Import the libraries.

        Raises:
            UsageError: a library is not installed; the hint has the command that installs it.
        """
        for name in self.libraries:
            try:
                import_module(name)
            except ImportError as error:
                hint = "Install it with `pip install 'ffprobe-nn[export]'`."
                raise UsageError(
                    f"An export to {self.suffix} needs {name}, which is not installed.", hint=hint
                ) from error

    @abstractmethod
    def write(
        self, function: ExportedFunction, shape: tuple[int, ...], metadata: Mapping[str, Any], path: Path
    ) -> None:
        """Write a file.

        Args:
            function: the function.
            shape: shape of one raw input.
            metadata: plain values.
            path: path of the file.

        Raises:
            FfprobeError: an operation of the network does not exist in this format.
        """

    @abstractmethod
    def read(self, path: Path, function: ExportedFunction) -> Function:
        """The function in a file that ``write`` wrote.

        Args:
            path: path of the file.
            function: a function of the same network; only a file that has weights alone needs it.
        """


class SafeTensors(Format):
    """Weights by the names of the run file; the config is in the metadata. No code, and no function."""

    suffix = ".safetensors"
    reader = "safetensors"
    libraries = ("safetensors",)

    def write(
        self, function: ExportedFunction, shape: tuple[int, ...], metadata: Mapping[str, Any], path: Path
    ) -> None:
        """Write the weights; see ``Format.write``."""
        state = function.network.named_state()
        tensors = {name: value.contiguous().clone() for name, value in state.items()}  # no two share memory
        save = import_module("safetensors.torch").save_file
        save(tensors, path, metadata={"format": "pt", METADATA: json.dumps(metadata)})

    def read(self, path: Path, function: ExportedFunction) -> Function:
        """The function with the weights of the file."""
        tensors = import_module("safetensors.torch").load_file(path)
        loaded = copy.deepcopy(function)
        loaded.network.load_named_state(tensors)
        return loaded


class TorchExport(Format):
    """A program of torch.export, which ``torch.export.load`` reads; the metadata are an extra file in it."""

    suffix = ".pt2"
    reader = "torch.export"

    def write(
        self, function: ExportedFunction, shape: tuple[int, ...], metadata: Mapping[str, Any], path: Path
    ) -> None:
        """Write the program; see ``Format.write``."""
        with export_failures(self.suffix):
            program = _program(function, shape)
            torch.export.save(program, path, extra_files={f"{METADATA}.json": json.dumps(metadata)})

    def read(self, path: Path, function: ExportedFunction) -> Function:
        """The program of the file."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded: Any = torch.export.load(path).module()
        return lambda images: loaded(images)


class Onnx(Format):
    """An ONNX model with the input ``images`` and the output ``scores`` or ``goodness``."""

    suffix = ".onnx"
    reader = "onnxruntime"
    libraries = ("onnx", "onnxscript", "onnxruntime")
    single = True  # onnxruntime has no convolution in float64

    def write(
        self, function: ExportedFunction, shape: tuple[int, ...], metadata: Mapping[str, Any], path: Path
    ) -> None:
        """Write the model; see ``Format.write``."""
        with export_failures(self.suffix):
            program = _program(function, shape)
            names: Any = {"input_names": ["images"], "output_names": [function.output]}
            model: Any = torch.onnx.export(program, (), dynamo=True, verbose=False, **names)
            model.model.metadata_props[METADATA] = json.dumps(metadata)
            model.save(path)

    def read(self, path: Path, function: ExportedFunction) -> Function:
        """The model of the file, on the CPU."""
        runtime = import_module("onnxruntime")
        session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


FORMATS: dict[str, Format] = {"safetensors": SafeTensors(), "onnx": Onnx(), "pt2": TorchExport()}
"""The formats by the names that a user types."""


def _program(function: ExportedFunction, shape: tuple[int, ...]) -> torch.export.ExportedProgram:
    how: Any = {
        "args": (torch.zeros(EXAMPLES, *shape, dtype=function.input_dtype),),
        "dynamic_shapes": {"images": {0: torch.export.Dim.DYNAMIC}},
    }
    with torch.no_grad():
        try:  # the bytecode is read, so that len(images) is no fixed number
            program = torch.export.export(function, strict=True, **how)
        except Exception:
            log.debug("torch.export failed in strict mode; trying the other", exc_info=True)
            program = torch.export.export(function, strict=False, **how)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths and source lines of this machine
    return program


@contextmanager
def export_failures(suffix: str) -> Iterator[None]:
    """Turn whatever torch raises for a network that it cannot export into one sentence; its warnings are left out."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (FfprobeError, OSError):
        raise
    except Exception as error:  # torch and the other libraries have no common class for these
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = describe(cause).strip().partition("\n")[0]
        raise FfprobeError(
            f"The network of this run cannot be exported to {suffix}: {reason}",
            hint="Use --to safetensors, which stores the weights and the config. --verbose shows torch's message.",
        ) from error
