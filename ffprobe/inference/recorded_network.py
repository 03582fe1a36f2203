"""A finished run's network with its evaluator, and the images that its file contains."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch

from ffprobe.data.images import Images
from ffprobe.errors import FileError
from ffprobe.inference.label_scan import NetworkLabelScan
from ffprobe.inference.loaded_predictor import load_predictor
from ffprobe.inference.network_input import network_input
from ffprobe.network.network import LayeredNetwork
from ffprobe.plugin.registry import Registry
from ffprobe.prediction.label_scan import LabelScan
from ffprobe.prediction.predicted_labels import predicted_labels
from ffprobe.prediction.recorded_label_scan import RecordedLabelScan
from ffprobe.store.reader import RunFile

LABELS = {"test": "test/true_label", "validation": "evaluation/true_label"}


class Correct(NamedTuple):
    """Which images are classified correctly.

    Attributes:
        layers: by each layer's goodness alone, bool ``[L, N]``; False where goodness is NaN or tied.
        measured: whether a layer has a goodness, bool ``[L]``.
        model: by the run's evaluator, bool ``[N]``.
    """

    layers: torch.Tensor
    measured: torch.Tensor
    model: torch.Tensor


class RecordedNetwork:
    """The trained network of a finished run, on the CPU in the run's precision, and images of its file.

    Args:
        run: the run file; it can be closed afterwards.
        part: whose images are used, ``test`` or ``validation``.
        count: maximum number of images, evenly spaced among the recorded ones.

    Attributes:
        network: in evaluation mode, without gradients; it may be changed.
        images: of the part, with their true labels.

    Raises:
        FileError: the run has not finished, or its file contains no images of this part.
        UsageError: the file names code that this process has not imported.
    """

    def __init__(self, run: RunFile, part: Literal["test", "validation"], count: int) -> None:
        where, hint = str(run.path), "Train again with --set recording.images=200."
        if not run.has(f"images/{part}/pixel") or not run.variable(f"images/{part}/pixel").shape[0]:
            raise FileError(f"The file contains no {part} images.", where=where, hint=hint)
        with torch.random.fork_rng(devices=[]):  # building a network draws weights, which the file's then replace
            self._predictor = load_predictor(run, Registry())
        trained = self._predictor.trained
        total = int(run.variable(f"images/{part}/pixel").shape[0])
        rows = [i * total // min(count, total) for i in range(min(count, total))]
        pixels = torch.from_numpy(run.read(f"images/{part}/pixel")[rows])
        positions = run.read(f"images/{part}/sample")[rows]
        labels = torch.from_numpy(run.read(LABELS[part])[positions].astype("i8"))
        self.images = Images(pixels, labels, trained.classes, trained.mean, trained.std)

    @property
    def network(self) -> LayeredNetwork:
        """The network; changes to its parameters count from the next call of ``correct`` on."""
        return self._predictor.trained.network

    @torch.inference_mode()
    def correct(self, pixels: torch.Tensor) -> Correct:
        """Predict changed pixels of the images.

        Args:
            pixels: uint8 ``[N, C, H, W]``, one for each of ``images``.
        """
        trained, evaluator, labels = self._predictor.trained, self._predictor.evaluator, self.images.labels
        layers, models, measured = [], [], []
        for start in range(0, len(pixels), trained.batch):
            rows = slice(start, start + trained.batch)
            x = network_input(trained.network, pixels[rows], trained.mean, trained.std)
            settings = trained.max_features, trained.autocast, trained.batch
            goodness = NetworkLabelScan(trained.network, x, *settings).full(range(trained.network.depth))
            layers.append(predicted_labels(goodness) == labels[rows])
            measured.append(goodness.isfinite().any(dim=2).any(dim=1))
            scan: LabelScan = RecordedLabelScan(goodness, None, trained.network.form)
            if not evaluator.reads_goodness:
                scan = NetworkLabelScan(trained.network, x, *settings)
            models.append(predicted_labels(evaluator.read(scan).cpu()) == labels[rows])
        return Correct(torch.cat(layers, dim=1), torch.stack(measured).any(dim=0), torch.cat(models))
