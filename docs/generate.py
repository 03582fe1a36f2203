"""Writes the pages of docs/ that are made from the code; ``--check`` says which are stale (exit 1).

Run it as ``python docs/generate.py`` after changing a hook, a setting, an option, a message or the layout of a run.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from generate_commands import command_page
from generate_components import component_pages
from generate_errors import error_pages

from ffprobe.components.kinds import KINDS, base_class
from ffprobe.config.settings import Data, Recording, RunSettings, Training
from ffprobe.hookspecs import Hooks
from ffprobe.plugin.registry import Registry
from ffprobe.store.page import schema_page
from ffprobe.store.schema import ActivationRecord, RunMetadata, run_schema

DOCS = Path(__file__).parent
NOTE = "<!-- Made from the code by docs/generate.py; change the code, then run it again. -->\n\n"


def hooks() -> str:
    """Every hook in life-cycle order."""
    text = f"# Hooks\n\n{NOTE}{inspect.getdoc(sys.modules[Hooks.__module__])}\n"
    for name, function in vars(Hooks).items():
        if name.startswith("ffprobe_"):
            arguments = ", ".join(list(inspect.signature(function).parameters)[1:])
            text += f"\n## `{name}({arguments})`\n\n{_sections(inspect.getdoc(function) or '')}\n"
    return text


def _sections(doc: str) -> str:
    # "When: ..." becomes a bold word, so that the page can be skimmed
    words = ("When:", "Args:", "Returns:", "Used by:")
    lines = [
        f"\n**{line.split(':')[0]}.**{line.partition(':')[2]}" if line.startswith(words) else line
        for line in doc.splitlines()
    ]
    return textwrap.dedent("\n".join(lines)).replace("\n    ", "\n")


def settings() -> str:
    """Every setting of a run, and of every first-party component."""
    text = f"# Settings\n\n{NOTE}`--set KEY=VALUE`, or a table in a TOML file for `--config`.\n"
    for prefix, model in (("", RunSettings), ("training.", Training), ("recording.", Recording), ("data.", Data)):
        rows = [r for r in _rows(model, prefix) if prefix or r[0] not in ("training", "recording", "data", "preset")]
        text += f"\n## {prefix.rstrip('.') or 'run'}\n\n{_table(rows)}"
    registry = Registry()
    for kind in KINDS:
        base = base_class(kind)
        text += f"\n## {kind}\n\n{(inspect.getdoc(base) or '').splitlines()[0]}\n"
        for plugin in registry.plugins:
            for offer in plugin.offers:
                if offer.kind == kind and plugin.distribution == "ffprobe-nn":
                    component = registry.component(kind, offer.name)
                    text += f"\n### {offer.name}\n\n{inspect.getdoc(component)}\n"
                    if component.source:
                        text += f"\nSource: {component.source}.\n"
                    rows = list(_rows(component.Params, f"{kind}." if kind != "probe" else ""))
                    text += f"\n{_table(rows)}" if rows else ""
    return text


def _rows(model: Any, prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        yield f"{prefix}{name}", "" if default is None else str(default), field.description or ""


def _table(rows: list[tuple[str, str, str]]) -> str:
    lines = ["| key | default | what it is |", "|---|---|---|"]
    return "\n".join(lines + [f"| `{key}` | `{default}` | {what} |" for key, default, what in rows]) + "\n"


def run_file() -> str:
    """The layout of run.h5, from the declared schema of an example."""
    facts = RunMetadata(
        layers=("0", "1"),
        classes=("a", "b", "c"),
        validation=100,
        test=200,
        weights={"encoder.embedding": ((3, 64), "f4"), "0.conv.weight": ((32, 2, 3, 3), "f4")},
        activations=(ActivationRecord("0", "pre", 512, (32, 4, 4), "none"),),
        activation_samples=(150, 50),
        attributes={"config_json": "the resolved config", "command": "the command line", "seed": 0},
    )
    intro = """\
`run.h5` is plain HDF5 with named dimensions: h5py, xarray (`xr.open_dataset(path, group="metrics")`), netCDF4 and h5web
open it. While a run goes on the file is called `run.h5.partial` and written in SWMR mode, one commit per epoch;
`run.h5` exists exactly when the run finished. Below is the layout of a run of two layers, three classes, 100
validation and 200 test images; the numbers change with the run, the names do not. A probe's own variables stand
below `probes/NAME`.

"""
    return f"# The run file\n\n{NOTE}{intro}{schema_page(run_schema(facts))}"


def pages() -> dict[str, str]:
    """Every page by its path below docs/."""
    made = {"hooks.md": hooks(), "settings.md": settings(), "run-file.md": run_file()}
    return {**made, "command-line.md": command_page(NOTE), **component_pages(NOTE), **error_pages(NOTE)}


def stale() -> list[str]:
    """The pages that differ from what the code gives, and those that nothing gives any more."""
    made = pages()
    differ = [
        name for name, text in made.items() if not (path := DOCS / name).is_file() or path.read_text("utf-8") != text
    ]
    there = [path for folder in ("components", "errors") for path in DOCS.glob(f"{folder}/*.md")]
    old = [name for path in there if (name := path.relative_to(DOCS).as_posix()) not in made]
    return differ + old


if __name__ == "__main__":
    if "--check" in sys.argv:
        found = stale()
        sys.exit(f"stale: {', '.join(found)}; run python docs/generate.py" if found else 0)
    for page, text in pages().items():
        (DOCS / page).parent.mkdir(exist_ok=True)
        (DOCS / page).write_text(text, "utf-8")
