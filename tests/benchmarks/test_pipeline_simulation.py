"""The simulation of layers in parallel."""

from __future__ import annotations

import pytest

from benchmarks.pipeline_simulation import simulate
from ffprobe.distributed.placement import Placement
from ffprobe.training.pipeline.step_plan import Work

GREEDY = [[(0, 1), (1, 2)]] * 10
SECONDS = {Work("group", 0, 1): 1.0, Work("group", 1, 2): 1.0, Work("group", 0, 2): 2.0, Work("normalizer", 1, 2): 0.0}


def test_equal_stages_take_one_step_more_than_the_batches() -> None:
    done = simulate(GREEDY, Placement((0, 1), 2), SECONDS, 0.0, lambda rank: 0.0, lambda layer: 9.0)
    assert done.seconds == 11.0  # ten batches, and one to fill
    assert done.busy == (10.0, 10.0)
    assert done.idle == pytest.approx(1 / 11)


def test_one_process_is_the_sum_of_its_works() -> None:
    done = simulate(GREEDY, Placement((0,), 2), SECONDS, 0.5, lambda rank: 9.0, lambda layer: 9.0)
    assert done.seconds == 25.0 and done.idle == 0


def test_a_packet_delays_only_the_first_batch() -> None:
    done = simulate(GREEDY, Placement((0, 1), 2), SECONDS, 0.0, lambda rank: 0.75, lambda layer: 0.0)
    assert done.seconds == 11.75


def test_overlapping_groups_wait_for_the_shared_weights() -> None:
    steps = [[(0, 1)], [(0, 2)]] * 2  # layer index 0 learns on both processes in turn
    done = simulate(steps, Placement((0, 1), 2), SECONDS, 0.0, lambda rank: 0.0, lambda layer: 0.25)
    assert done.seconds == 1 + 0.25 + 2 + 0.25 + 1 + 0.25 + 2
