"""Was the test set used to choose anything?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ffprobe.analysis.audit.finding import Finding, Topic, per_run
from ffprobe.analysis.runs.grouping import group_runs
from ffprobe.analysis.runs.summary import summarize

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile


def choosing_topic(runs: Sequence[RunFile], labels: Sequence[str]) -> Topic:
    """When the test set was read, what was chosen on validation images, and how many settings were tested."""
    findings = per_run(runs, labels, _run)
    tested = [run for run in map(summarize, runs) if run.test == run.test]
    if len(settings := group_runs(tested)) > 1:
        text = f"{len(settings)} settings were evaluated on the test set; the best of them is chosen on it."
        findings.append(Finding("look", text))
    findings.append(Finding("open", "Files cannot show how many other runs were trained and left out."))
    return Topic("Test set", tuple(findings))


def _run(run: RunFile) -> Iterator[Finding]:
    read = str(run.attributes.get("test_set_read", ""))
    if not read:
        yield Finding("open", "The file does not record when the test set was read.")
    elif read == "never":
        yield Finding("ok", "The test set was never read; accuracies are of validation images.")
    elif read.startswith("once"):
        yield Finding("ok", "The test set was read once, at the end.")
    else:
        yield Finding("look", f"The test set was read {read}, so its course could be chosen by.")
    training = run.config.get("training", {})
    chosen = [name for name in ("early_stop", "keep_best") if training.get(name)]
    if chosen:
        yield Finding("ok", f"The epoch was chosen by validation accuracy ({' and '.join(chosen)}).")
    hashes = [run.attributes.get(f"{part}_sha256") for part in ("dataset", "validation", "test")]
    known = [one for one in hashes if one]
    if len(set(known)) < len(known):
        yield Finding("look", "Two of the training, validation and test images are the same set.")
