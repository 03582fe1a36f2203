"""Robustness: every change in closed form, the table of a trained run, and a network that is left as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ffprobe_plugins.probes.perturbations import PERTURBATIONS, change_weights, changed_pixels, possible, quantized
from ffprobe_plugins.probes.robustness import Robustness
from torch import nn

import ffprobe

BY_NAME = {one.name: one for one in PERTURBATIONS}
GRAY = torch.full((2, 1, 8, 8), 100, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("name", "strength", "expected"),
    [("blur", 2.0, 100), ("contrast", 0.5, 100), ("brightness", 0.5, 150), ("brightness", 2.0, 255)],
)
def test_an_even_gray_image_stays_even(name: str, strength: float, expected: int) -> None:
    assert (changed_pixels(BY_NAME[name], strength, GRAY, 0) == expected).all()


def test_contrast_moves_pixels_towards_the_mean() -> None:
    image = torch.tensor([0, 200], dtype=torch.uint8).repeat(32).reshape(1, 1, 8, 8)
    changed = changed_pixels(BY_NAME["contrast"], 0.75, image, 0)
    assert changed.unique().tolist() == [75, 125]


def test_blur_of_a_point_is_a_normal_density() -> None:
    image = torch.zeros(1, 1, 15, 15, dtype=torch.uint8)
    image[..., 7, 7] = 255
    changed = changed_pixels(BY_NAME["blur"], 1.0, image, 0).double() / 255
    assert float(changed[0, 0, 7, 7]) == pytest.approx(1 / (2 * np.pi), abs=0.004)
    assert float(changed[0, 0, 7, 8] / changed[0, 0, 7, 7]) == pytest.approx(np.exp(-0.5), abs=0.02)


def test_pixel_noise_has_its_deviation_and_its_draw() -> None:
    many = torch.full((200, 1, 8, 8), 128, dtype=torch.uint8)
    changed = changed_pixels(BY_NAME["pixel noise"], 0.1, many, 0).double()
    assert float(changed.std()) / 255 == pytest.approx(0.1, rel=0.03)
    assert torch.equal(changed, changed_pixels(BY_NAME["pixel noise"], 0.1, many, 0).double())
    assert not torch.equal(changed, changed_pixels(BY_NAME["pixel noise"], 0.1, many, 1).double())


def test_quantization_rounds_to_evenly_spaced_values_with_zero_and_the_largest() -> None:
    weight = torch.tensor([-1.0, -0.34, 0.0, 0.1, 0.2, 0.9])
    torch.testing.assert_close(quantized(weight, 2, torch.Generator()), torch.tensor([-1.0, 0, 0, 0, 0, 1]))
    torch.testing.assert_close(
        quantized(weight, 3, torch.Generator()), torch.tensor([-1, -1 / 3, 0, 0, 1 / 3, 1])
    )  # 0.2 is nearer to 1/3 than to 0
    assert torch.equal(quantized(torch.zeros(3), 8, torch.Generator()), torch.zeros(3))


def test_weights_change_in_proportion_and_come_back() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(300, 200)
    weight, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    undo = change_weights(BY_NAME["weight noise"], 0.2, layer, 0)
    assert float((layer.weight.detach() - weight).std() / weight.std()) == pytest.approx(0.2, rel=0.02)
    assert torch.equal(layer.bias, bias)
    undo()
    assert torch.equal(layer.weight, weight)


def test_other_channels_have_no_contrast() -> None:
    assert len(list(possible(2))) == len(PERTURBATIONS) - 2


def test_the_table_of_a_trained_run(trained_with_probes: Path) -> None:
    with ffprobe.open(trained_with_probes) as run:
        result = Robustness(Robustness.Params(part="test", images=40, draws=2)).analyze([run])
        right = (run.read("test/goodness")[:, run.read("images/test/sample")].argmax(axis=2)) == run.read(
            "test/true_label"
        )[run.read("images/test/sample")]
    rows = {(row["change"], row["strength"]): row for row in result.to_dict()["rows"]}
    clean = rows["none", None]
    assert clean["accuracy"] == pytest.approx(100 * right[-1].mean()) and clean["drop"] is None
    assert [clean[f"layer_{i + 1}"] for i in range(3)] == pytest.approx(100 * right.mean(axis=1))
    assert len(rows) == 1 + sum(len(one.strengths) for one in PERTURBATIONS)
    for (name, _), row in rows.items():
        if name != "none":
            assert row["drop"] == pytest.approx(clean["accuracy"] - row["accuracy"])
        assert (row["draws_sd"] is None) == (name not in ("pixel noise", "weight noise"))
    finest = rows["quantization", 8]
    assert abs(finest["drop"]) < 10 and rows["quantization", 2]["drop"] > finest["drop"]
    assert len(result.figure().axes) == 6


def test_runs_of_other_depths_share_a_table(trained_with_probes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ffprobe.open(trained_with_probes) as one, ffprobe.open(trained_with_probes) as two:
        probe = Robustness(Robustness.Params(images=4, draws=1))
        analyze = probe.analyze_run

        def shorter(run: Any, label: str) -> Any:
            result = analyze(run, label)
            if run is two:
                result.depth, result.label = 2, "short"
                result.measured = [_cut(m) for m in result.measured]
                result.clean = _cut(result.clean)
            return result

        monkeypatch.setattr(probe, "analyze_run", shorter)
        rows = probe.analyze([one, two]).to_dict()["rows"]
    assert {row["layer_3"] is None for row in rows if row["run"] == "short"} == {True}


def _cut(measured: Any) -> Any:
    return type(measured)(measured.change, measured.strength, measured.model, measured.layers[:2], measured.spread)
