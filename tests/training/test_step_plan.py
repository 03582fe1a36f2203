"""What one step computes, in order, and which process computes it."""

from __future__ import annotations

from ffprobe.distributed.placement import Placement
from ffprobe.training.pipeline.step_plan import ENCODER, Work, step_plan

HALVES = Placement((0, 2), 4)


def test_a_group_belongs_to_the_process_of_its_last_layer() -> None:
    plan = step_plan([(0, 1), (1, 3)], HALVES)
    assert plan.works == (Work("group", 0, 1), Work("group", 1, 3), Work("normalizer", 3, 4))
    assert plan.owners == (0, 1, 1)
    assert (plan.own(0), plan.own(1)) == (range(1), range(1, 3))
    # layer index 1 is of process 0, but its group ends on process 1, which needs its weights in this step
    assert plan.next_user(1) == 1
    assert plan.next_user(0, index=1) is None
    assert plan.starts_from(1) == {1, 3}


def test_idle_layers_are_divided_at_the_border() -> None:
    plan = step_plan([(3, 4)], HALVES)
    assert plan.works == (Work("idle", 0, 2), Work("idle", 2, 3), Work("group", 3, 4))
    assert plan.owners == (0, 1, 1)


def test_a_step_without_groups_does_nothing() -> None:
    assert step_plan([], HALVES).works == ()


def test_work_from_the_first_layer_uses_the_encoder() -> None:
    assert Work("group", 0, 2).uses == (ENCODER, 0, 1)
    assert Work("group", 1, 2).uses == (1,)
