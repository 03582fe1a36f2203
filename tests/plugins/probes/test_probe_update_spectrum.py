"""Singular values of weight changes, in closed form and in a run that is resumed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ffprobe_plugins.probes.update_spectrum import UpdateSpectrum, spectrum
from recorded_probe import recorded
from toy import toy_config

import ffprobe
from ffprobe.plugin.registry import Registry
from ffprobe.training.session import Session

GROUP = "probes/update-spectrum"


def test_measures_in_closed_form() -> None:
    before = torch.ones(2, 3, 1, 1)
    change = torch.tensor([[3.0, 0.0, 0.0], [0.0, 4.0, 0.0]]).reshape(2, 3, 1, 1)
    found, values = spectrum(before + change, before)
    assert values == pytest.approx([4, 3])
    assert found["relative"] == pytest.approx(5 / 6**0.5)
    assert found["effective_rank"] == pytest.approx(25**2 / (4**4 + 3**4))
    assert found["stable_rank"] == pytest.approx(25 / 16)
    assert found["random_rank"] == 1.0  # 2 * 3 / (2 + 3 + 1)
    one, _ = spectrum(before + 1, before)
    assert one["effective_rank"] == pytest.approx(1)


def test_the_rank_of_random_entries_is_what_noise_has() -> None:
    generator = torch.Generator().manual_seed(0)
    found, _ = spectrum(torch.randn(80, 200, generator=generator), torch.zeros(80, 200))
    assert found["effective_rank"] == pytest.approx(found["random_rank"], rel=0.03)


def test_a_weight_that_did_not_change_has_no_rank() -> None:
    found, _ = spectrum(torch.ones(2, 2), torch.ones(2, 2))
    assert found["relative"] == 0 and math.isnan(found["effective_rank"])


class Copies:
    """The weights before and after the run."""

    def __init__(self) -> None:
        self.before: list[torch.Tensor] = []
        self.after: list[torch.Tensor] = []

    @ffprobe.hookimpl
    def ffprobe_before_run(self, context: Any) -> None:
        self.before = [context.network.layer(i).weight.detach().clone() for i in range(3)]

    @ffprobe.hookimpl
    def ffprobe_after_run(self, context: Any) -> None:
        self.after = [context.network.layer(i).weight.detach().clone() for i in range(3)]


def test_a_run_records_its_change_since_the_untrained_network(tmp_path: Path) -> None:
    registry, copies = Registry(), Copies()
    config = toy_config(registry, "symba", "update-spectrum:every=1", recording={"activations": False})
    Session.start(config, registry, tmp_path / "a.h5", observers=[("copies", copies)]).run()
    with ffprobe.open(tmp_path / "a.h5") as file:
        assert file.messages() == []
        for i, (before, after) in enumerate(zip(copies.before, copies.after, strict=True)):
            exact = np.linalg.svd((after - before).flatten(1).double().numpy(), compute_uv=False)
            own = file.read(f"{GROUP}/singular")[-1, i]
            np.testing.assert_allclose(own[: len(exact)], exact[:64], rtol=1e-4, atol=1e-6)
        result = UpdateSpectrum().analyze([file])
        assert len(result.rows) == 2 * 3
        assert result.figure().axes


def test_the_untrained_weights_survive_a_checkpoint() -> None:
    probe, other = UpdateSpectrum(), UpdateSpectrum()
    probe._initial = {0: torch.ones(2, 2)}
    other.load_state_dict(probe.state_dict())
    assert torch.equal(other._initial[0], torch.ones(2, 2))


def test_refusals_name_what_helps(make_run: Any, tmp_path: Path) -> None:
    with pytest.raises(ffprobe.FileError, match=r"No weight changes were recorded.*--plugin update-spectrum"):
        UpdateSpectrum().analyze([make_run()])
    unfinished = recorded(tmp_path / "a.h5", UpdateSpectrum(), {}, layers=2, finish=False)
    with pytest.raises(ffprobe.FileError, match=r"no weight changes yet.*first epoch"):
        UpdateSpectrum().analyze([unfinished])
