"""With which versions, data and command were the runs made?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ffprobe.analysis.audit.finding import Finding, Topic, per_run
from ffprobe.store.content_hash import content_hash

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile


def provenance_topic(runs: Sequence[RunFile], labels: Sequence[str]) -> Topic:
    """Versions, plugins, hashes of data and files, and the command of each run."""
    return Topic("Versions and hashes", tuple(per_run(runs, labels, _run)))


def _run(run: RunFile) -> Iterator[Finding]:
    attributes = run.attributes
    names = {"ffprobe": "ffprobe_version", "torch": "torch_version", "Python": "python_version", "on": "platform"}
    versions = [f"{name} {attributes[key]}" for name, key in names.items() if attributes.get(key)]
    yield Finding("fact", f"{', '.join(versions)}." if versions else "No version was recorded.")
    plugins: Any = attributes.get("plugins", [])
    yield Finding("fact", f"Plugins: {', '.join(map(str, plugins))}." if len(plugins) else "No plugin was recorded.")
    for part, key in (("Training", "dataset_sha256"), ("Validation", "validation_sha256"), ("Test", "test_sha256")):
        if attributes.get(key):
            yield Finding("fact", f"{part} images: sha256 {attributes[key]}.")
    if digest := content_hash(run):
        yield Finding("fact", f"File {run.path.name}: sha256 {digest}.")
    if attributes.get("command"):
        yield Finding("fact", f"Command: {attributes['command']}")
    if changed := attributes.get("changed_on_resume"):
        texts: Any = changed
        yield Finding("look", f"The run was resumed with changes: {'; '.join(map(str, texts))}.")
