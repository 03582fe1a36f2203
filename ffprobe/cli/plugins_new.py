"""``ffprobe plugins new``: creates a distribution with one working plugin."""

from __future__ import annotations

import keyword
import re
import shlex
from pathlib import Path
from typing import Annotated

import typer

from ffprobe.cli.completion import complete_kind
from ffprobe.cli.console import Json, Verbose, print_json, stderr, stdout

TRIAL = "ffprobe run --plugin {name} --set network=tiny --epochs 5"
"""The command that tries out a plugin."""
TRIALS = {
    "dataset": "ffprobe run --dataset {name} --set network=tiny --epochs 5",
    "network": "ffprobe run --plugin {name} --epochs 5",
    "executor": "ffprobe sweep grid.toml --executor {name}",
    "probe": TRIAL + "\nffprobe analyze {name} run.h5 --plot {name}.png",
}
"""The command for kinds that need another one than TRIAL."""
ADVICE = {
    "dataset": "Select a data set with `--dataset`. It reads its files from `self.data_dir` (`--data-dir`), and raises "
    "`ffprobe.FileError` with a hint how to get a missing file.",
    "network": 'A layer can be any `nn.Module`: `ffprobe.LayerSpec("module", factory=...)`.',
    "encoder": "The encoder's output is the input of the first layer; `neutral` encodes an unknown label.",
    "normalizer": 'It normalizes the input of each layer; `position = "output"` applies it to the layer\'s output.',
    "goodness": "A goodness and a loss must have the same `form`: this goodness works with every loss of form `pair`.",
    "loss": "A loss and a goodness must have the same `form`: this loss works with every goodness of form `pair`.",
    "negatives": "With `needs_goodness` it receives goodness for every label: True, of the last layer; 'all', of each.",
    "scheduler": "The layers of a group share one graph and one loss; groups may overlap.",
    "rule": "It works with every loss, goodness, encoder and network; it ignores the scheduler.",
    "evaluator": "All evaluators use the same recorded goodness, so they can be compared on one run file.",
    "probe": "Its recordings are part of the run file; the analysis needs no further training.",
    "observer": "A hook must not change the run. `prepare` refuses before the run if something is missing.",
    "executor": "The command of a job is `python -m ffprobe` followed by `job.command`; its output goes to `job.log`.",
}
"""What the author of a plugin of each kind should know first; its keys are the kinds that have a template."""


def new(
    name: Annotated[str, typer.Argument(help="Name that users will type, in kebab-case: powernorm or power-norm.")],
    kind: Annotated[
        str, typer.Option(help="Kind of plugin: normalizer, loss, probe ...", autocompletion=complete_kind)
    ] = "",
    out: Annotated[Path | None, typer.Option(help="Directory to create; ffprobe-NAME by default.")] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Create a distribution with one working plugin: module, test, pyproject.toml, README.

    Edit the module; all other files can stay as they are.
    """
    from ffprobe.errors import UsageError

    _check_kind(kind)
    _check_name(name)
    folder = out or Path(f"ffprobe-{name}")
    if folder.exists():
        raise UsageError(f"{folder} already exists.", hint="Choose another --out; nothing was written.")
    files = distribution(name, kind)
    _warn_if_taken(name)
    _write(folder, files)
    target = shlex.quote(f"{folder if folder.is_absolute() else f'./{folder}'}[test]")
    commands = [f"pip install -e {target}", f"pytest {shlex.quote(str(folder))}", *_trial(name, kind).splitlines()]
    if json:
        print_json({"folder": str(folder), "files": sorted(files), "next": commands})
        return
    console = stdout()
    console.print(f"Created the {kind} {name!r} in {folder}; it already works. Next:", markup=False)
    for command in commands:
        console.print(f"  {command}", markup=False, soft_wrap=True)


def distribution(name: str, kind: str) -> dict[str, str]:
    """The text of every file of the distribution, by its path in the new directory.

    Args:
        name: name of the plugin, in kebab-case.
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
        raise UsageError("The kind of the plugin is missing.", hint=f"Add --kind, one of {kinds}.")
    if kind not in ADVICE:
        raise UsageError(
            f"There is no template for the kind {kind!r}.", hint=f"{did_you_mean(kind, ADVICE)} Kinds: {kinds}."
        )


def _check_name(name: str) -> None:
    from ffprobe.errors import UsageError

    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        near = re.sub(r"[^a-z0-9]+", "-", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()).strip("-0123456789")
        hint = f"Try {near!r}." if near else "For example power-norm."
        raise UsageError(
            f"The name {name!r} is not kebab-case: lower-case letters, digits and single hyphens, starting with a "
            "letter.",
            hint=hint,
        )
    if name == "ffprobe" or name.startswith("ffprobe-"):
        hint = f"Remove it: {name.removeprefix('ffprobe').removeprefix('-') or 'power-norm'!r}."
        raise UsageError(f"The name {name!r} starts with ffprobe, which the distribution's name adds.", hint=hint)
    if keyword.iskeyword(name.replace("-", "_")) or keyword.iskeyword(_class(name)):
        hint = f"For example {name + '-' + 'plugin'!r}."
        raise UsageError(f"The name {name!r} is a Python keyword and cannot be the name of a class.", hint=hint)


def _warn_if_taken(name: str) -> None:
    from ffprobe.plugin.discovery import installed

    for plugin in installed():
        if name == plugin.name or any(offer.name == name for offer in plugin.offers):
            stderr().print(
                f"warning: {plugin.distribution} {plugin.version} already has a plugin {name!r}; with both installed, "
                f"--plugin {name} is ambiguous and an error. Consider another name.",
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
        raise FileError(f"The plugin could not be written: {error.strerror}.", where=str(folder)) from error
