"""What ``ffprobe run`` is about to do, in a few lines, before anything heavy is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ffprobe.display import short_path

if TYPE_CHECKING:
    from ffprobe.config.options import RunOptions
    from ffprobe.config.settings import RunConfig


def first_line(options: RunOptions, path: Path, resumes: bool) -> str:
    """What is known from the options alone: preset, plugins, data, epochs, seed, and where the run is recorded.

    It appears while torch is imported, so it reads the files of the presets and nothing else.

    Args:
        options: as typed; they may be wrong.
        path: the run file.
        resumes: whether an unfinished run goes on, which has its own settings.
    """
    from ffprobe.config.options import QUICK
    from ffprobe.config.settings import Training

    if resumes:
        return f"Resuming {short_path(path)}."
    source = options.from_ or options.config
    table = {} if source else _preset(options.preset)
    name = options.preset or str(table.get("preset", "")) or f"the settings of {source}"
    plugins = [word.partition(":")[0] if "/" not in word else word for word in options.plugin]
    with_plugins = f" with {', '.join(plugins)}" if plugins else ""
    data = options.dataset.partition(":")[0] or _name(table.get("dataset"))
    training: Any = table.get("training", {})
    default = None if source else Training().epochs
    quick = QUICK["epochs"] if options.quick else training.get("epochs", default)
    epochs = options.epochs or _assigned(options.set, "training.epochs") or quick
    assigned = _assigned(options.set, "seed") or str(table.get("seed", "" if source else 0))
    seed = str(options.seed) if options.seed is not None else assigned
    facts = [f"{epochs} epochs" if epochs else "", f"seed {seed}" if seed else ""]
    what = f"Training {name}{with_plugins}{f' on {data}' if data else ''}"
    return f"{', '.join(filter(None, [what, *facts]))}. The run is recorded in {short_path(path)}."


def expectation(options: RunOptions) -> str:
    """What the run of a preset at its defaults took and reached where it was measured; empty for any other run."""
    from dataclasses import replace

    from ffprobe.cli.presets import expected_time
    from ffprobe.config.options import RunOptions
    from ffprobe.config.preset_files import BASE_PRESET, preset_measurement, preset_names

    name = options.preset or BASE_PRESET
    plain = replace(options, preset="", seed=None) == RunOptions()
    measured = preset_measurement(name) if plain and name in preset_names() else None
    if measured is None:
        return ""
    where = f"{measured['processor']}, {measured['threads']} threads"
    return (
        f"Expect about {expected_time(measured)} and {100 * measured['test_accuracy']:.0f} % test accuracy, as measured"
        f" with seed {measured['seed']} on {where}. For a first look in seconds: --quick."
    )


def second_line(config: RunConfig) -> str:
    """What the settings resolved to: the components."""
    components = config.to_dict()
    kinds = ("network", "loss", "goodness", "normalizer", "scheduler", "negatives", "rule", "evaluator")
    chosen = [f"{kind} {components[kind]['name']}" for kind in kinds if isinstance(components.get(kind), Mapping)]
    return f"{', '.join(chosen)}."


def _preset(name: str) -> dict[str, Any]:
    from ffprobe.config.parsing import merge
    from ffprobe.config.preset_files import BASE_PRESET, preset_names, read_preset

    table = {**read_preset(BASE_PRESET), "preset": BASE_PRESET}
    return merge(table, read_preset(name)) if name in preset_names() else table


def _name(slot: Any) -> str:
    return str(slot.get("name", "")) if isinstance(slot, Mapping) else str(slot or "")


def _assigned(words: Sequence[str], key: str) -> str:
    found = [word.partition("=")[2] for word in words if word.partition("=")[0].strip() == key]
    return found[-1] if found else ""
