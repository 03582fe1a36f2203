"""``ffprobe plugins new``: a distribution with one plugin that already works."""

from __future__ import annotations

import keyword
import re
import shlex
from pathlib import Path
from typing import Annotated

import typer

from ffprobe.cli.console import Json, Verbose, print_json, stderr, stdout

TRIAL = "ffprobe run --plugin {name} --set network=tiny --epochs 5"

# where a kind is tried out in another way than TRIAL, and what its author should know first
TRIALS = {
    "dataset": "ffprobe run --dataset {name} --set network=tiny --epochs 5",
    "network": "ffprobe run --plugin {name} --epochs 5",
    "executor": "ffprobe sweep grid.toml --executor {name}",
    "probe": TRIAL + "\nffprobe analyze {name} run.h5 --plot {name}.png",
}
ADVICE = {
    "dataset": "A data set is chosen with `--dataset`. Real ones read files from `self.data_dir` (`--data-dir`), and "
    "raise `ffprobe.FileError` with a sentence that says how to get a missing one.",
    "network": 'A layer can be any `nn.Module`: `ffprobe.LayerSpec("module", factory=...)`.',
    "encoder": "Layer 0 sees what the encoder returns; `neutral` stands for a label that is not known.",
    "normalizer": 'It stands on each layer\'s input; `position = "output"` puts it on what a layer passes on.',
    "goodness": "A goodness and a loss must have one `form`: this one goes with every loss on pairs.",
    "loss": "A loss and a goodness must have one `form`: this one goes with every goodness on pairs.",
    "negatives": "With `needs_goodness = True` it is given the last layer's goodness for every label.",
    "scheduler": "Groups longer than one layer share a graph, and may overlap.",
    "rule": "It goes with every loss and goodness on pairs, every encoder and network; the scheduler is not asked.",
    "evaluator": "All evaluators read the same recorded goodness, so they can be compared from one run file.",
    "probe": "What it records lies in the run file; the question can be asked again at any time without training.",
    "executor": "A job's command is `python -m ffprobe` and `job.command`; its output belongs into `job.log`.",
}


def new(
    name: Annotated[str, typer.Argument(help="What users will type: kebab-case, such as powernorm or power-norm.")],
    kind: Annotated[str, typer.Option(help="What it is: normalizer, loss, probe ...")] = "",
    out: Annotated[Path | None, typer.Option(help="The new folder; ffprobe-NAME unless given.")] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Write a distribution around one plugin that already works: module, test, pyproject, README.

    Change the module into what you want; everything else can stay as it is.
    """
    from ffprobe.errors import UsageError

    _check_kind(kind)
    _check_name(name)
    folder = out or Path(f"ffprobe-{name}")
    if folder.exists():
        raise UsageError(f"{folder} exists already.", hint="Give another --out; nothing was written.")
    files = distribution(name, kind)
    _warn_if_taken(name)
    _write(folder, files)
    place = shlex.quote(str(folder))
    target = shlex.quote(f"{folder if folder.is_absolute() else f'./{folder}'}[test]")
    commands = [f"pip install -e {target}", f"pytest {place}", *_trial(name, kind).splitlines()]
    if json:
        print_json({"folder": str(folder), "files": sorted(files), "next": commands})
        return
    console = stdout()
    console.print(f"{folder} holds the {kind} {name!r}, which works as it stands. Next:", markup=False)
    for command in commands:
        console.print(f"  {command}", markup=False, soft_wrap=True)


def distribution(name: str, kind: str) -> dict[str, str]:
    """The text of every file of the distribution, by its path in the new folder.

    Args:
        name: kebab-case.
        kind: one of ``ADVICE``.
    """
    import ast

    from jinja2 import Environment, PackageLoader, StrictUndefined

    from ffprobe import __version__

    templates = Environment(
        loader=PackageLoader("ffprobe.cli", "template"), undefined=StrictUndefined, keep_trailing_newline=True
    )  # no autoescape: Python and TOML, not HTML
    words = {"name": name, "kind": kind, "module": f"ffprobe_{name.replace('-', '_')}", "class_name": _class(name)}
    module = templates.get_template(f"modules/{kind}.py.j2").render(words)
    summary = (ast.get_docstring(ast.parse(module)) or "").removesuffix(".")
    words |= {"summary": summary, "advice": ADVICE[kind], "command": _trial(name, kind), "ffprobe_version": __version__}
    rest = {
        f"tests/test_{words['module']}.py": "test.py.j2",
        "pyproject.toml": "pyproject.toml.j2",
        "README.md": "README.md.j2",
        "LICENSE": "LICENSE.j2",
        ".gitignore": "gitignore.j2",
    }
    return {f"{words['module']}.py": module} | {
        path: templates.get_template(template).render(words) for path, template in rest.items()
    }


def _trial(name: str, kind: str) -> str:
    return TRIALS.get(kind, TRIAL).format(name=name)


def _class(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))


def _check_kind(kind: str) -> None:
    from ffprobe.errors import UsageError, did_you_mean

    kinds = ", ".join(ADVICE)
    if not kind:
        raise UsageError("What kind of plugin is it?", hint=f"Give --kind, one of {kinds}.")
    if kind not in ADVICE:
        raise UsageError(
            f"There is no kind {kind!r} to begin with.", hint=f"{did_you_mean(kind, ADVICE)} All: {kinds}."
        )


def _check_name(name: str) -> None:
    from ffprobe.errors import UsageError

    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        near = re.sub(r"[^a-z0-9]+", "-", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()).strip("-0123456789")
        hint = f"How about {near!r}?" if near else "For example power-norm."
        raise UsageError(
            f"The name {name!r} is not kebab-case: lower-case letters, digits, single hyphens, a letter first.",
            hint=hint,
        )
    if name == "ffprobe" or name.startswith("ffprobe-"):
        hint = f"Leave it out: {name.removeprefix('ffprobe').removeprefix('-') or 'power-norm'!r}."
        raise UsageError(f"The distribution is called ffprobe-NAME anyway, {name!r} need not say it.", hint=hint)
    if keyword.iskeyword(name.replace("-", "_")) or keyword.iskeyword(_class(name)):
        hint = f"For example {name + '-' + 'plugin'!r}."
        raise UsageError(f"The name {name!r} is a word of the language Python and cannot name a class.", hint=hint)


def _warn_if_taken(name: str) -> None:
    from ffprobe.plugin.discovery import installed

    for plugin in installed():
        if name == plugin.name or any(offer.name == name for offer in plugin.offers):
            stderr().print(
                f"warning: {name!r} is already the name of something in {plugin.distribution} {plugin.version}; with "
                f"both installed, --plugin {name} is an error. Another name saves you that.",
                markup=False,
            )
            return


def _write(folder: Path, files: dict[str, str]) -> None:
    from ffprobe.errors import FileError

    try:
        for path, text in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FileError(f"The plugin cannot be written: {error.strerror}.", where=str(folder)) from error
