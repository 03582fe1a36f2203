"""Every line of every template of ``ffprobe plugins new`` is executed, and gives the values that its docstring says."""

from __future__ import annotations

import ast
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType, ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

import ffprobe
from ffprobe.cli.plugins_new import ADVICE, distribution
from ffprobe.plugin.discovery import find
from ffprobe.plugin.registry import Registry
from ffprobe.testing import toy_run
from ffprobe.testing.toy import toy_config
from ffprobe.training.experiment import build

EXERCISES: dict[str, Callable[[ModuleType, Path], None]] = {}


def exercise(function: Callable[[ModuleType, Path], None]) -> Callable[[ModuleType, Path], None]:
    """Register a test of one kind under the kind's name."""
    EXERCISES[function.__name__] = function
    return function


@contextmanager
def executed_lines(path: Path) -> Iterator[set[int]]:
    """The numbers of the lines of a file that are executed inside the block, in this thread."""
    lines: set[int] = set()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename != str(path):
            return None
        if event == "line":
            lines.add(frame.f_lineno)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield lines
    finally:
        sys.settrace(before)


def statements(path: Path) -> dict[int, range]:
    """The lines of every statement inside the functions of a file, by its first line; of a block only its header."""
    spans = {}
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
    for statement in (statement for function in functions for statement in ast.walk(function)):
        docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if docstring or isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.Try):
            continue
        if isinstance(statement, ast.stmt):
            end = statement.body[0].lineno - 1 if hasattr(statement, "body") else statement.end_lineno or 0
            spans[statement.lineno] = range(statement.lineno, max(end, statement.lineno) + 1)
    return spans


def made(module: ModuleType, **settings: Any) -> Any:
    """An instance of the only component of a module."""
    (component,) = module.ffprobe_components()
    return component(component.Params(**settings))


@exercise
def dataset(module: ModuleType, folder: Path) -> None:
    data = made(module, noise=0.0)
    train, test = data.load("train"), data.load("test")
    assert (len(train), len(test), train.shape, len(train.classes)) == (2000, 500, (1, 16, 16), 4)
    assert torch.equal(train.pixels, made(module, noise=0.0).load("train").pixels)
    assert train.labels.bincount().tolist() == [500] * 4
    upright = train.pixels[train.labels == 0].float()  # the first class varies along a row and not down a column
    assert upright.std(dim=2).max() == 0
    assert upright.std(dim=3).min() > 10


@exercise
def network(module: ModuleType, folder: Path) -> None:
    specs = made(module, width=0.5).layers((3, 8, 8), 10)
    assert [(spec.kind, spec.width) for spec in specs] == [("conv", 16), ("conv", 32), ("linear", 64)]
    for shape in ((10,), (1, 1, 8)):
        with pytest.raises(ffprobe.UsageError, match="at least 2x2 pixels") as caught:
            made(module).layers(shape, 10)
        assert caught.value.hint == "Use --plugin fcn."


@exercise
def encoder(module: ModuleType, folder: Path) -> None:
    encode = made(module, value=3.0).build((2, 4, 5), 10)
    images = torch.zeros(10, 2, 4, 5)
    shown = encode(images, torch.arange(10))[:, 2].flatten(1)  # 20 pixels, two for each of ten classes
    assert torch.equal(shown, 3 * torch.eye(10).repeat_interleave(2, dim=1))
    torch.testing.assert_close(encode.neutral(images)[:, 2], torch.full((10, 4, 5), 0.3))
    with pytest.raises(ffprobe.UsageError, match=r"needs images \[C, H, W\], not inputs of shape \[24\]"):
        made(module).build((24,), 10)


@exercise
def normalizer(module: ModuleType, folder: Path) -> None:
    x = torch.tensor([[[3.0, 4.0]], [[0.0, 0.0]]])
    torch.testing.assert_close(made(module, exponent=1).build((1, 2))(x), x / 5)
    torch.testing.assert_close(made(module, exponent=0.5).build((1, 2))(x), x / 5**0.5)
    assert torch.equal(made(module, exponent=0).build((1, 2))(x), x)


@exercise
def goodness(module: ModuleType, folder: Path) -> None:
    measure = made(module, power=3).build((2,), 10)
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        found = measure(torch.tensor([[1.0, -2.0]], dtype=dtype))
        assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        assert found.tolist() == [(1 + 8) / 2]


@exercise
def loss(module: ModuleType, folder: Path) -> None:
    positive, negative = torch.tensor([3.0, 1.0]), torch.tensor([0.0, 2.0])
    assert float(made(module, margin=2.0)(positive, negative, None)) == (0 + 3**2) / 2


@exercise
def negatives(module: ModuleType, folder: Path) -> None:
    labels = torch.full((20_000,), 4)
    choose = made(module, scale=1.0)
    wrong = choose(torch.zeros(len(labels), 1), labels, 10, torch.Generator().manual_seed(0))
    counts = wrong.bincount(minlength=10).double()
    assert counts[4] == 0
    assert float(counts[3] / counts[2]) == pytest.approx(2.718, rel=0.1)


@exercise
def scheduler(module: ModuleType, folder: Path) -> None:
    groups = [made(module, steps=2).groups(step, 0, 3) for step in range(7)]
    assert [(group.start, group.stop) for (group,) in groups] == [(0, 1)] * 2 + [(1, 2)] * 2 + [(2, 3)] * 2 + [(0, 1)]


@exercise
def rule(module: ModuleType, folder: Path) -> None:
    (component,) = module.ffprobe_components()
    path = str(module.__file__)
    unlabelled = ({"encoder": "no-label", "negatives": "other-image", "evaluator": "one-pass"}, "pair")
    classes = ({"goodness": "linear-head", "loss": "cross-entropy", "encoder": "no-label"}, "class")
    for settings, form in (({}, "pair"), unlabelled, classes):
        registry = Registry()
        experiment = build(toy_config(registry, [path], settings), registry)
        assert experiment.network.form == form
        received: list[Any] = []
        for needs_goodness in (False, True, "all") if settings == {} else (False,):
            setup = replace(experiment.setup, negatives=_spy(experiment.setup.negatives, needs_goodness, received))
            learner = component().build(setup)
            learner.set_learning_rate(0.01)
            assert [part["lr"] for part in learner.optimizer.param_groups] == [0.01]
            before = [p.detach().clone() for p in experiment.network.parameters()]
            images, labels, _ = next(iter(experiment.loader))
            updates = list(learner.step(images, labels, 0, 0))
            assert [(u.layers, u.loss_layer) for u in updates] == [(range(i, i + 1), i) for i in range(len(updates))]
            assert len(updates) == experiment.network.depth
            assert all((update.positive is None) == (form == "class") for update in updates)
            now = list(experiment.network.parameters())
            assert all(not torch.equal(a, b) for a, b in zip(before, now, strict=True) if b.requires_grad)
            again = component().build(setup)
            again.load_state_dict(learner.state_dict())
            assert again.state_dict()["state"].keys() == learner.state_dict()["state"].keys() != set()
        if settings == {}:
            assert received[0] is None
            assert tuple(received[1].shape) == (len(labels), 10)
            assert tuple(received[2].shape) == (experiment.network.depth, len(labels), 10)
        assert (received == []) == (form == "class")


def _spy(inner: Any, needs_goodness: bool | str, received: list[Any]) -> Any:
    """The run's negatives, which also store the goodness that they get."""

    def choose(images: Any, labels: Any, classes: int, generator: Any, goodness: Any = None) -> Any:
        received.append(goodness)
        return inner(images, labels, classes, generator, goodness)

    class Spy(SimpleNamespace):
        __call__ = staticmethod(choose)

    return Spy(gives=inner.gives, needs_goodness=needs_goodness)


@exercise
def evaluator(module: ModuleType, folder: Path) -> None:
    measured = torch.tensor([[[0.0, 1.0]], [[300.0, 100.0]]])  # [2 layers, 1 image, 2 labels]
    scores = made(module, temperature=1.0).scores(measured)
    torch.testing.assert_close(scores, (torch.tensor([[0.0, 1.0]]).softmax(1) + torch.tensor([[1.0, 0.0]])) / 2)


@exercise
def probe(module: ModuleType, folder: Path) -> None:
    path = str(module.__file__)
    watched = toy_run(path, out=folder / "with.h5")
    with watched.open() as run:
        (component,) = Registry().load(path)
        result = component(component.Params()).analyze([run])  # type: ignore[attr-defined]
        gap = run.read(f"probes/{component.name}/gap")
        expected = run.read("metrics/goodness_positive") - run.read("metrics/goodness_negative")
    assert gap == pytest.approx(expected)
    assert result.rows[-1] == (2, gap.shape[1], gap[-1, -1])
    result.save_figure(folder / "gap.png")
    assert (folder / "gap.png").is_file()
    with toy_run(out=folder / "without.h5").open() as run, pytest.raises(ffprobe.FileError) as caught:
        made(module).analyze([run])
    assert caught.value.hint == f"Train with --plugin {component.name}."


@exercise
def observer(module: ModuleType, folder: Path) -> None:
    run = toy_run(str(module.__file__), out=folder / "run.h5")
    rows = [line.split() for line in (folder / "run.h5.txt").read_text().splitlines()]
    with run.open() as file:
        expected = file.read("metrics/loss")[:, -1]
    assert [int(epoch) for epoch, _ in rows] == [1, 2]
    assert [float(loss) for _, loss in rows] == pytest.approx(expected, rel=1e-5)


@exercise
def executor(module: ModuleType, folder: Path) -> None:
    start = made(module, pause=0.0).run_jobs
    jobs = [
        ffprobe.Job(name, words, folder / f"{name}.h5", folder / "logs" / f"{name}.log", folder)
        for name, words in (("good", ("--version",)), ("bad", ("no-such-command",)))
    ]
    events = [event for event in start(jobs, ffprobe.ResourceLimits()) if event]
    assert [(event.job.name, event.state, event.why) for event in events] == [
        ("good", "running", ""),
        ("good", "finished", ""),
        ("bad", "running", ""),
        ("bad", "failed", "exit code 2"),
    ]
    assert "ffprobe-nn" in jobs[0].log.read_text()
    waiting = ffprobe.Job("waits", ("show", "none.h5", "--watch"), folder / "none.h5", folder / "waits.log", folder)
    running = start([waiting], ffprobe.ResourceLimits())
    assert next(running).state == "running"
    began = time.monotonic()
    running.close()
    assert time.monotonic() - began < 10  # left alone, it would wait for 30 seconds


def test_every_kind_has_an_exercise() -> None:
    assert EXERCISES.keys() == ADVICE.keys()


@pytest.mark.parametrize("kind", ADVICE)
def test_every_line_of_a_template_runs(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"ffprobe_lines_{kind}.py"
    path.write_text(distribution(f"lines-{kind}", kind)[path.name], encoding="utf-8")
    with executed_lines(path) as lines:
        EXERCISES[kind](find(str(path)).load(), tmp_path)
    left = [line for line, span in statements(path).items() if not lines & set(span)]
    text = path.read_text().splitlines()
    assert not left, [f"line {line}: {text[line - 1].strip()}" for line in sorted(left)]


def test_a_line_that_does_not_run_is_found(tmp_path: Path) -> None:
    path = tmp_path / "partly.py"
    path.write_text(
        'def f(x):\n    """Docstring."""\n    if x:\n        return (\n            1\n        )\n    return 2\n'
    )
    with executed_lines(path) as lines:
        assert find(str(path)).load().f(True) == 1
    assert [line for line, span in statements(path).items() if not lines & set(span)] == [7]
