"""Compiled layers: the same numbers to rounding, the same names, and auto is off."""

from __future__ import annotations

import pytest
import torch

import ffprobe
from benchmarks.prepared import prepared
from ffprobe.network.compiling import choose_compile


def test_auto_compiles_where_it_was_measured_to_help() -> None:
    assert [choose_compile(name, torch.device("cpu")) for name in ("auto", "off", "on")] == [False, False, True]
    with pytest.raises(ffprobe.UsageError, match="not supported on mps"):
        choose_compile("on", torch.device("mps"))


# torch's own tracer looks at .grad of what flows between layers
@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
def test_compiled_steps_are_eager_steps_to_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    # aot_eager traces, guards and differentiates as inductor does, but needs no C++ compiler
    compiler = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiler(self, backend="aot_eager"))
    ends = []
    for name in ("off", "on"):
        experiment, images, labels, _ = prepared(width=0.03, batch=6, precision="fp32", training={"compile": name})
        losses = [u.loss for step in range(3) for u in experiment.learner.step(images, labels, step, 0)]
        ends.append((experiment.network.named_state(), torch.stack(losses)))
        assert (experiment.network.layer(0)._compiled_call_impl is not None) == (name == "on")
    (state, losses), (other, compiled) = ends
    torch.testing.assert_close(compiled, losses)
    assert list(state) == list(other)
    for key, value in state.items():
        torch.testing.assert_close(other[key], value, rtol=1e-3, atol=1e-4)
