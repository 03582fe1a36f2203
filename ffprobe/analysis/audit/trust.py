"""Did every layer learn, and does anything in the file look broken?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ffprobe.analysis.audit.finding import Finding, Topic, per_run
from ffprobe.analysis.result.paper_setting import collapse
from ffprobe.analysis.runs.diagnosis import diagnose

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile

ALIGNMENT = "probes/alignment"
TIMES = 2.0
"""Floors above which a cosine counts."""


def trust_topic(runs: Sequence[RunFile], labels: Sequence[str]) -> Topic:
    """Collapse, layers that did not move, gradients above their floor, warnings of the run."""
    return Topic("Trust", tuple(per_run(runs, labels, _run)))


def _run(run: RunFile) -> Iterator[Finding]:
    if not run.complete:
        yield Finding("look", f"The run has not finished: {run.epochs} epochs are in the file.")
    if reason := collapse(run):
        yield Finding("look", f"The network has collapsed: {reason}.")
    for symptom in diagnose(run):
        yield Finding("look", symptom.what)
    yield from _moved(run)
    yield from _gradients(run)
    if warnings := run.messages():
        yield Finding("look", f"The log has {len(warnings)} messages, the first: {warnings[0][1]}")
    else:
        yield Finding("ok", "The run logged no warning.")


def _moved(run: RunFile) -> Iterator[Finding]:
    import numpy as np

    paths = "initial/weight_norm", "metrics/weight_norm"
    recorded = all(run.has(path) for path in paths) and len(run.variable(paths[1]))
    before, after = (run.read(paths[0]), run.variable(paths[1])[-1]) if recorded else (np.full(1, np.nan),) * 2
    if not np.isfinite([before, after]).all():
        yield Finding("open", "The norms of the weights were not recorded, so layers that did not move are not known.")
        return
    still = [str(i + 1) for i in np.flatnonzero(before == after)]
    if still:
        yield Finding("look", f"The weight of layer {', '.join(still)} has the norm it began with: it did not learn.")
    else:
        yield Finding("ok", "The weight of every layer moved.")


def _gradients(run: RunFile) -> Iterator[Finding]:
    import numpy as np

    if not run.has(f"{ALIGNMENT}/cosine") or not len(run.variable(f"{ALIGNMENT}/cosine")):
        text = "Whether local gradients point where backpropagation's do was not recorded (--plugin alignment)."
        yield Finding("open", text)
        return
    cosine, floor = (run.read(f"{ALIGNMENT}/{name}").astype(float) for name in ("cosine", "floor"))
    known = np.isfinite(cosine)
    above = [
        float((cosine[known[:, i], i] > TIMES * floor[known[:, i], i]).mean()) if known[:, i].any() else np.nan
        for i in range(cosine.shape[1])
    ]
    low = [str(i + 1) for i, share in enumerate(above) if not share > 0.5]
    rule = f"the cosine with backpropagation's gradient is above {TIMES:g} floors of random signs"
    if low:
        yield Finding("look", f"In layer {', '.join(low)}, {rule} in at most half of {len(cosine)} sandboxes.")
    else:
        yield Finding("ok", f"In every layer, {rule} in most of {len(cosine)} sandboxes.")
