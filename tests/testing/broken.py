"""Plugins that each violate one requirement of a contract, as an author might by mistake."""

from __future__ import annotations

from textwrap import dedent, indent


def plugin(base: str, body: str, *, params: str = "", extra: str = "", doc: str = "A plugin for a test.") -> str:
    """The text of a plugin with one component called ``mine``.

    Args:
        base: the component's base class.
        body: body of the class.
        params: fields of its settings.
        extra: lines before the class.
        doc: docstring of the file and the class.
    """
    settings = f"\n    class Params(ffprobe.Params):\n{indent(dedent(params).strip(), ' ' * 8)}\n" if params else ""
    text = f'"""{doc}"""' if doc else ""
    return f"""{text}
import torch
from pydantic import Field
from torch import nn
import ffprobe
{dedent(extra)}

class Mine(ffprobe.{base}):
    {text}
    name = "mine"
{settings}
{indent(dedent(body).strip(), " " * 4)}

@ffprobe.hookimpl
def ffprobe_components():
    return [Mine]
"""


def normalizer(forward: str, init: str = "pass", more: str = "", **rest: str) -> str:
    """A normalizer whose module computes ``forward`` from ``x``."""
    return plugin("Normalizer", more + module("build(self, shape)", "forward(self, x)", forward, init), **rest)


def goodness(forward: str, init: str = "pass", more: str = "") -> str:
    """A goodness whose module computes ``forward`` from ``h``."""
    return plugin("Goodness", more + module("build(self, shape, classes)", "forward(self, h)", forward, init))


def encoder(forward: str, neutral: str, init: str = "pass", more: str = "", parts: str = "") -> str:
    """An encoder whose module computes ``forward`` from ``images`` and ``labels``, ``neutral`` and maybe ``parts``."""
    body = module("build(self, shape, classes)", "forward(self, images, labels)", forward, init)
    method = f"        def neutral(self, images):\n{indent(dedent(neutral).strip(), ' ' * 12)}\n"
    if parts:
        method += f"        def parts(self, images):\n{indent(dedent(parts).strip(), ' ' * 12)}\n"
    return plugin("Encoder", more + body.replace("    return Module()", f"{method}    return Module()"))


def module(build: str, signature: str, forward: str, init: str) -> str:
    """A build method that returns a module."""
    return f"""
def {build}:
    class Module(nn.Module):
        def __init__(self):
            super().__init__()
{indent(dedent(init).strip(), " " * 12)}
        def {signature}:
{indent(dedent(forward).strip(), " " * 12)}
    return Module()
"""


def loss(body: str, more: str = "") -> str:
    """A loss on pairs ``p``, ``n``."""
    return plugin("Loss", f"{more}\ndef __call__(self, p, n, context):\n{indent(dedent(body).strip(), '    ')}")


def scheduler(body: str, more: str = "") -> str:
    """A scheduler."""
    return plugin("UpdateScheduler", f"{more}\ndef groups(self, step, epoch, depth):\n{indent(dedent(body), '    ')}")


def negatives(body: str, more: str = "", extra: str = "") -> str:
    """A choice of negatives."""
    head = "def __call__(self, images, labels, classes, generator, goodness=None):"
    return plugin("Negatives", f"{more}\n{head}\n{indent(dedent(body).strip(), '    ')}", extra=extra)


def evaluator(body: str, more: str = "") -> str:
    """An evaluator."""
    return plugin("Evaluator", f"{more}\ndef scores(self, goodness):\n{indent(dedent(body).strip(), '    ')}")


def network(body: str, more: str = "", extra: str = "") -> str:
    """A network."""
    return plugin(
        "Network", f"{more}\ndef layers(self, shape, classes):\n{indent(dedent(body).strip(), '    ')}", extra=extra
    )


def dataset(body: str, more: str = "", extra: str = "") -> str:
    """A data set of 60 images of 1x4x4 in three classes; ``body`` may change what is returned."""
    return plugin(
        "Dataset",
        f"""
{dedent(more)}
def load(self, split):
    seed = 0 if split == "train" else 1
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (60, 1, 4, 4), generator=generator, dtype=torch.uint8)
    labels, names = torch.arange(60) % 3, ("a", "b", "c")
    mean, std = (0.5,), (0.29,)
{indent(dedent(body).strip(), "    ")}
    return ffprobe.Images(pixels, labels, names, mean, std)
""",
        extra=extra,
    )


def probe(body: str, analyze: str = "", extra: str = "") -> str:
    """A probe; ``analyze`` is the body of the method, by default a result with one row."""
    answer = 'return ffprobe.Result("mine", "How many?", [ffprobe.Column("n", "1", "count")], [(1.5,)], runs=runs)'
    method = f"def analyze(self, runs):\n{indent(dedent(analyze or answer).strip(), '    ')}"
    return plugin("Probe", f"{dedent(body)}\n{method}", extra=extra)


def executor(body: str) -> str:
    """An executor; ``start(job)`` starts a process, ``ended(job, process)`` waits for it, ``stop(process)`` ends it."""
    extra = """
import subprocess, sys, threading, time
def start(job):
    job.log.parent.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-m", "ffprobe", *job.command]
    with job.log.open("ab") as log:
        return subprocess.Popen(words, stdout=log, stderr=log, cwd=job.folder)
def ended(job, process):
    return ffprobe.JobEvent(job, "failed" if process.wait() else "finished")
def stop(process):
    process.kill()
    process.wait()  # otherwise a warning about the process appears later, in another test
"""
    return plugin("Executor", f"def run_jobs(self, jobs, limits):\n{indent(dedent(body).strip(), '    ')}", extra=extra)


STEP = """
goodness = ffprobe.goodness_for_negatives(bench.negatives, stack, images, bench.autocast)
wrong = bench.negatives(images, labels, bench.classes, bench.generator, goodness)
x = stack.encode(torch.cat([images, images]), torch.cat([labels, wrong]))
updates = []
for i in range(stack.depth):
    activation = stack.layer(i)(x)
    x = stack.layer(i).pass_on(activation).detach()
    positive, negative = stack.layer(i).goodness(activation).chunk(2)
    loss = bench.loss(positive, negative, ffprobe.LossContext(i, stack.depth, step, epoch, activation, labels))
    loss.backward()
    means = [loss.detach(), positive.detach().mean(), negative.detach().mean()]
    updates.append(ffprobe.Update(range(i, i + 1), i, *means))
"""
"""One batch of Forward-Forward up to the optimizer."""


def rule(end: str, before: str = "", state: str = "return self.optimizer.state_dict()", rate: str = "") -> str:
    """A rule that does ``before``, one batch of Forward-Forward, and ``end``."""
    return plugin(
        "Rule",
        """
def build(self, bench):
    if bench.network.form != "pair":
        raise ffprobe.UsageError("This rule needs goodness of form 'pair'.", hint="Use --plugin mean-square.")
    return Learns(bench)
""",
        extra=f"""
class Learns(ffprobe.Learner):
    def __init__(self, bench):
        self.bench, self.calls = bench, 0
        self.optimizer = bench.optimizer([p for p in bench.network.parameters() if p.requires_grad])
    def step(self, images, labels, step, epoch):
        bench, stack = self.bench, self.bench.network
{indent(dedent(before).strip() or "pass", " " * 8)}
{indent(dedent(STEP).strip(), " " * 8)}
{indent(dedent(end).strip(), " " * 8)}
    def set_learning_rate(self, rate):
{indent(dedent(rate).strip(), " " * 8) or "        for part in self.optimizer.param_groups: part['lr'] = rate"}
    def state_dict(self):
        {state}
    def load_state_dict(self, state):
        if state: self.optimizer.load_state_dict(state)
""",
    )


USUAL = "self.optimizer.step()\nyield from updates\nself.optimizer.zero_grad(set_to_none=True)"
"""The correct end of a step for ``rule``."""
