"""The pages of settings: one for the run itself, one for each kind of component, and a short index."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from ffprobe.components.kinds import KINDS, base_class
from ffprobe.config.settings import Data, Recording, RunSettings, Training
from ffprobe.plugin.registry import Registry

DISTRIBUTION = "ffprobe-nn"
INTRO = """\
A setting is a key with a value: `--set KEY=VALUE` on the command line, a line in a TOML file for `--config`, or an
entry of `settings=` in [`ffprobe.run`](api.md). `--plugin NAME:key=value,...` chooses a component and sets
it in one step.
Later sources override earlier ones: the preset, `--from`, `--config`, `--plugin`, then `--set` and the named options.
`ffprobe run --dry-run` prints the resolved config.

A file for `--config` has the grammar of `[each]` in a [sweep](sweeps.md): the options of `ffprobe run` by their names,
and settings nested, dotted, or in a table `set`:

```toml
preset = "trifecta"
plugin = ["rms"]
epochs = 30
network.width = 0.25
```

The settings of a component have its kind as a prefix, as in `loss.alpha`; those of a probe or an observer are set
with `--plugin NAME:key=value`.
"""


def settings_pages(note: str) -> dict[str, str]:
    """Every page by its path below docs/."""
    registry = Registry()
    pages = {"settings/run.md": _run_page(note)}
    rows = ["| [run](settings/run.md) | seed, device, precision, `training.`, `recording.`, `data.` |"]
    for kind in KINDS:
        components = list(_components(registry, kind))
        pages[f"settings/{kind}.md"] = _kind_page(kind, components, note)
        names = ", ".join(f"[{c.name}](settings/{kind}.md#{c.name})" for c in components)
        rows.append(f"| [{kind}](settings/{kind}.md) | {names} |")
    table = "\n".join(["| settings of | what they are |", "|---|---|", *rows])
    return {"settings.md": f"# Settings\n\n{note}{INTRO}\n{table}\n", **pages}


def _run_page(note: str) -> str:
    text = f"# Settings of a run\n\n{note}Everything that is not a component. [All settings](../settings.md).\n"
    for prefix, model in (("", RunSettings), ("training.", Training), ("recording.", Recording), ("data.", Data)):
        rows = [r for r in _rows(model, prefix) if prefix or r[0] not in ("training", "recording", "data", "preset")]
        text += f"\n## {prefix.rstrip('.') or 'run'}\n\n{_table(rows)}"
    return text


def _kind_page(kind: str, components: list[Any], note: str) -> str:
    first = (inspect.getdoc(base_class(kind)) or "").splitlines()[0]
    contract = f"[What a plugin of this kind must supply](../components/{kind}.md); [all settings](../settings.md)."
    text = f"# Settings of {kind}\n\n{note}{first} {contract}\n"
    for component in components:
        text += f"\n## {component.name}\n\n{(inspect.getdoc(component) or '').replace('``', '`')}\n"
        if component.source:
            text += f"\nSource: {component.source}.\n"
        rows = list(_rows(component.Params, f"{kind}." if kind not in ("probe", "observer") else ""))
        text += f"\n{_table(rows)}" if rows else "\nNo settings.\n"
    return text


def _components(registry: Registry, kind: str) -> Iterator[Any]:
    """The first-party components of a kind, in the order in which they are installed."""
    for plugin in registry.plugins:
        for offer in plugin.offers:
            if offer.kind == kind and plugin.distribution == DISTRIBUTION:
                yield registry.component(kind, offer.name)


def _rows(model: Any, prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        yield f"{prefix}{name}", "" if default is None else str(default), field.description or ""


def _table(rows: list[tuple[str, str, str]]) -> str:
    lines = ["| key | default | description |", "|---|---|---|"]
    cells = (
        (f"`{key}`", f"`{default}`" if default else "", text.replace("|", "\\|").replace("``", "`"))
        for key, default, text in rows
    )
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in cells]) + "\n"
