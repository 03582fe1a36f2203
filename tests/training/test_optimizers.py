"""The learning rate at every step."""

from __future__ import annotations

import pytest

from ffprobe.config.settings import Training
from ffprobe.training.optimizers import learning_rate

DEEP = ((0.4, 0.5), (0.8, 0.1))


@pytest.mark.parametrize(("done", "rate"), [(0, 1e-3), (199, 1e-3), (200, 5e-4), (399, 5e-4), (400, 1e-4), (499, 1e-4)])
def test_the_paper_s_steps_scale_with_the_run(done: int, rate: float) -> None:
    # App. B: deep 1e-3 x 200, 5e-4 x 200, 1e-4 x 100
    assert learning_rate(Training(), DEEP, done, 500) == pytest.approx(rate)


def test_other_schedules() -> None:
    assert learning_rate(Training(lr_schedule="constant"), DEEP, 499, 500) == 1e-3
    assert learning_rate(Training(lr_schedule="cosine"), DEEP, 250, 500) == pytest.approx(5e-4)
