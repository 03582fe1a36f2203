"""What did it cost?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ffprobe.analysis.audit.finding import Finding, Topic, per_run
from ffprobe.analysis.runs.summary import summarize
from ffprobe.display import duration

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile


def cost_topic(runs: Sequence[RunFile], labels: Sequence[str]) -> Topic:
    """Time, memory and operations of training and of a prediction, and the machine."""
    return Topic("Cost", tuple(per_run(runs, labels, _run)))


def _run(run: RunFile) -> Iterator[Finding]:
    import numpy as np

    summary, attributes = summarize(run), run.attributes
    if summary.seconds == summary.seconds:
        images = attributes.get("training_images", "an unknown number of")
        text = f"{duration(summary.seconds)} of wall time for {summary.epochs} epochs of {images} images"
        if run.has("metrics/images_per_second") and len(speed := run.read("metrics/images_per_second")):
            text += f", {float(np.median(speed)):,.0f} images/s"
        if run.complete and run.has("final/peak_memory"):
            text += f", peak memory {float(run.read('final/peak_memory')) / 1e6:,.0f} MB"
        yield Finding("fact", f"{text}.")
    else:
        yield Finding("open", "No time was recorded.")
    count: Any = attributes.get("layer_multiply_adds")
    parameters: Any = attributes.get("layer_parameters")
    if count is not None:
        size = f"{int(sum(parameters)):,} parameters, " if parameters is not None else ""
        passes = _passes(run)
        yield Finding("fact", f"{size}{int(sum(count)):,} multiply-adds for a forward pass; {passes}.")
    machine = [str(attributes[name]) for name in ("device", "processor") if attributes.get(name)]
    threads = attributes.get("threads", "?")
    yield Finding("fact", f"On {', '.join(machine) or 'an unknown device'}, {threads} threads, {_processes(run)}.")


def _passes(run: RunFile) -> str:
    classes: Any = run.attributes.get("class_names", [])
    if run.has("evaluation/goodness") and len(goodness := run.variable("evaluation/goodness")):
        import numpy as np

        if np.isnan(goodness[-1]).all():  # no label enters the network
            return "a prediction reads the features of one pass"
    if run.attributes.get("goodness_form") == "pair":
        return f"goodness needs one pass for each of {len(classes)} labels"
    return "one pass gives the goodness of every label"


def _processes(run: RunFile) -> str:
    count: Any = run.attributes.get("processes", 1)
    return f"{count} process{'es' * (int(count) != 1)}, {run.attributes.get('precision', 'unknown precision')}"
