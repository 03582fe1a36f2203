"""The placement of layers on processes."""

from __future__ import annotations

import pytest

from ffprobe.distributed.placement import Placement, place


def test_the_slowest_process_is_as_fast_as_possible() -> None:
    placement = place([1.0, 1.0, 1.0, 3.0], 2)
    assert placement == Placement((0, 3), 4, (3.0, 3.0))
    assert [placement.owner(layer) for layer in range(4)] == [0, 0, 0, 1]
    assert placement.layers(0) == range(3)
    assert placement.to_dict() == {"layers": [[1, 3], [4, 4]], "seconds_per_step": [3.0, 3.0]}


def test_the_time_of_a_batch_counts_for_the_first_process() -> None:
    assert place([1.0, 1.0, 1.0, 1.0], 2, before=2.0).starts == (0, 1)


def test_every_process_has_a_layer_even_if_others_take_no_time() -> None:
    assert place([0.0, 0.0, 5.0], 3).starts == (0, 1, 2)
    with pytest.raises(ValueError, match="2 layers cannot be placed on 3 processes"):
        place([1.0, 1.0], 3)
