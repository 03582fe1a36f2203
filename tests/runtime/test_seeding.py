"""Random streams are named and independent."""

from __future__ import annotations

import pytest
import torch

from ffprobe.runtime.seeding import STREAMS, seeded, stream, stream_seed


def test_streams_differ_and_repeat() -> None:
    first = {name: torch.rand(3, generator=stream(7, name)).tolist() for name in STREAMS}
    again = {name: torch.rand(3, generator=stream(7, name)).tolist() for name in STREAMS}
    assert first == again
    assert len({tuple(v) for v in first.values()}) == len(STREAMS)
    assert stream_seed(7, "init") != stream_seed(8, "init")


def test_a_stream_has_a_different_seed_at_every_step() -> None:
    seeds = {stream_seed(7, "probes"), *(stream_seed(7, "probes", step) for step in range(50))}
    assert len(seeds) == 51
    assert stream_seed(7, "probes", 3) == stream_seed(7, "probes", 3) != stream_seed(8, "probes", 3)
    assert torch.equal(stream(7, "probes", 3).get_state(), stream(7, "probes", 3).get_state())


def test_seeded_leaves_the_global_generator_as_it_was() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with seeded(1, "init"):
        torch.rand(5)
    assert torch.equal(torch.get_rng_state(), before)


def test_unknown_streams_are_refused() -> None:
    with pytest.raises(ValueError, match="shufle"):
        stream(0, "shufle")
