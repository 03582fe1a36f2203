"""Goodness of an image and its mirror image, averaged in evaluation, prediction and export."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from ffprobe.config.settings import Training
from ffprobe.data.samples import InputKind
from ffprobe.inference.evaluate import label_goodness
from ffprobe.inference.evaluation_flip import flips_evaluation
from ffprobe.inference.exported_function import ExportedFunction
from ffprobe.inference.label_scan import NetworkLabelScan
from ffprobe.inference.loaded_predictor import load_predictor
from ffprobe.plugin.registry import Registry
from ffprobe.testing import toy_run

FLIP = {"training": {"evaluation_flip": True, "flip": True, "augmentation": True, "rotation": 0, "crop_padding": 0}}
CLASS_FORM = ("no-label", "linear-head", "cross-entropy")


@pytest.mark.parametrize("plugins", [(), CLASS_FORM], ids=["pair", "class"])
def test_every_way_to_goodness_averages_both_images(tmp_path: Path, plugins: tuple[str, ...]) -> None:
    run = toy_run(*plugins, out=tmp_path / "run.h5", settings=FLIP)
    network, images = run.experiment.network.eval(), run.experiment.split.validation
    x = images.inputs.float().div(255).sub(images.mean[0]).div(images.std[0])
    with torch.inference_mode():
        averaged = label_goodness(network, x)
        network.flip_evaluation = False
        plain, mirrored = label_goodness(network, x), label_goodness(network, x.flip(-1))
        assert not torch.allclose(plain, mirrored)
        network.flip_evaluation = True
        torch.testing.assert_close(averaged, (plain + mirrored) / 2)
        scan = NetworkLabelScan(network, x, None, nullcontext)
        alive = torch.ones(len(x), network.classes, dtype=torch.bool)
        for layer in range(network.depth):
            alive[: layer * 5, 1] = False
            expected = averaged[layer].masked_fill(~alive, torch.nan)
            torch.testing.assert_close(scan._advance(layer, alive), expected, equal_nan=True)
    with run.open() as file:
        recorded = torch.from_numpy(file.read("evaluation/goodness")[-1])
    torch.testing.assert_close(recorded, averaged, atol=1e-4, rtol=1e-4)


def test_prediction_and_export_from_the_run_file(tmp_path: Path) -> None:
    run = toy_run(*CLASS_FORM, out=tmp_path / "run.h5", settings=FLIP)
    with run.open() as file:
        recorded = torch.from_numpy(file.read("test/goodness"))
        predictor = load_predictor(file, Registry())
    test = run.experiment.split.test
    assert test is not None
    with torch.inference_mode():
        exported = ExportedFunction(predictor.trained, None)(test.inputs.float())
    torch.testing.assert_close(exported, recorded, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("changes", "kind", "shape", "flips"),
    [
        ({}, "pixels", (3, 32, 32), True),
        ({"augmentation": "auto"}, "pixels", (3, 32, 32), True),
        (
            {"augmentation": "auto"},
            "pixels",
            (1, 8, 8),
            False,
        ),  # not augmented: the mirror image of a digit is no digit
        ({"augmentation": False}, "pixels", (3, 32, 32), False),
        ({"flip": False}, "pixels", (3, 32, 32), False),
        ({"evaluation_flip": False}, "pixels", (3, 32, 32), False),
        ({}, "values", (3, 32), False),
        ({}, "values", (30,), False),
    ],
)
def test_evaluation_mirrors_only_what_training_mirrored(
    changes: dict[str, Any], kind: InputKind, shape: tuple[int, ...], flips: bool
) -> None:
    settings = {"flip": True, "evaluation_flip": True, "augmentation": True, **changes}
    assert flips_evaluation(Training(**settings), kind, shape) is flips
