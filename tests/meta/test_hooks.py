"""Every hook is called, in the documented order, with the documented context."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import typer
from toy import toy_config

import ffprobe
from ffprobe import hookspecs
from ffprobe.hookspecs import OBSERVERS, Hooks
from ffprobe.plugin.discovery import build_manager, register
from ffprobe.plugin.registry import Registry
from ffprobe.training.session import Session


class Everything:
    """Implements every observer hook and stores its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []


def _listener(name: str) -> Any:
    def store(self: Everything, context: Any) -> None:
        self.calls.append((name, context))

    store.__name__ = name
    return ffprobe.hookimpl(store)


for hook in OBSERVERS:
    setattr(Everything, hook, _listener(hook))


def run(out: Path, *plugins: str) -> Everything:
    everything = Everything()
    registry = Registry()
    try:
        config = toy_config(registry, *plugins, training={"epochs": 2, "max_images": 128})
        Session.start(config, registry, out, observers=[("everything", everything)]).run()
    except ffprobe.FfprobeError:
        pass
    return everything


def test_the_order_of_all_hook_calls_in_a_toy_run(tmp_path: Path) -> None:
    names = [name.removeprefix("ffprobe_") for name, _ in run(tmp_path / "run.h5").calls]
    # three layers, greedy: three updates per step, two steps per epoch; repeats are counted
    epoch = ["before_epoch", "after_update 3", "after_step", "after_update 3", "after_step", "after_epoch"]
    counted = [f"{name} {n}" if (n := len(list(calls))) > 1 else name for name, calls in groupby(names)]
    assert counted == ["before_run", *epoch, *epoch, "after_run"]


def test_every_observer_hook_is_fired_with_its_context(tmp_path: Path) -> None:
    calls = dict(run(tmp_path / "run.h5").calls)
    # later than the first batch, which is checked before the run
    body = "self.calls = getattr(self, 'calls', 0) + self.training; assert self.calls < 3"
    text = f"""
from torch import nn
import ffprobe
class Bad(ffprobe.Normalizer):
    name = "bad"
    def build(self, shape):
        class Module(nn.Module):
            def forward(self, x):
                {body}
                return x
        return Module()
@ffprobe.hookimpl
def ffprobe_components(): return [Bad]
"""
    (tmp_path / "bad.py").write_text(text)
    calls |= dict(run(tmp_path / "bad.h5", str(tmp_path / "bad.py")).calls)
    assert set(calls) == set(OBSERVERS)
    for name, context in calls.items():
        documented = getattr(Hooks, name).__annotations__["context"]
        # each observer has a context of its own, of a subclass that copies tensors when they are read
        assert type(context).__bases__ == (getattr(hookspecs, documented),), name


def test_commands_of_a_plugin_are_added(tmp_path: Path) -> None:
    class Greeter:
        @ffprobe.hookimpl
        def ffprobe_commands(self, app: typer.Typer) -> None:
            app.command("greet")(lambda: None)

    manager, app = build_manager(), typer.Typer()
    register(manager, Greeter(), "greeter", "here")
    manager.hook.ffprobe_commands(app=app)
    assert [command.name for command in app.registered_commands] == ["greet"]


def test_contexts_cannot_be_changed(tmp_path: Path) -> None:
    _, context = run(tmp_path / "run.h5").calls[0]
    with pytest.raises(AttributeError):
        context.epochs = 3
