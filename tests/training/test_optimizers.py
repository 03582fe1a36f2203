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
    assert learning_rate(Training(lr_schedule="linear"), DEEP, 250, 500) == pytest.approx(5e-4)
    assert learning_rate(Training(lr_schedule="linear", min_lr_fraction=0.2), DEEP, 250, 500) == pytest.approx(6e-4)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear"])
def test_the_rate_rises_during_the_warm_up_and_the_schedule_fills_the_rest(schedule: str) -> None:
    settings = Training(lr_schedule=schedule, warmup_fraction=0.2)
    rates = [learning_rate(settings, DEEP, done, 100) for done in range(100)]
    assert rates[:20] == pytest.approx([1e-3 * (done + 1) / 21 for done in range(20)])
    assert rates[20] == pytest.approx(1e-3)
    assert rates[60] == pytest.approx(learning_rate(Training(lr_schedule=schedule), DEEP, 50, 100))


def test_the_paper_s_steps_after_a_warm_up() -> None:
    settings = Training(warmup_fraction=0.5)
    rates = [learning_rate(settings, DEEP, done, 1000) for done in (499, 500, 699, 701, 899, 901)]
    assert rates == pytest.approx([1e-3 * 500 / 501, 1e-3, 1e-3, 5e-4, 5e-4, 1e-4])
