"""Make the gallery: train the runs of ``plan.toml``, run every analysis on them, write ``docs/gallery.md``.

``python docs/gallery/gallery.py RUNS --cifar10 FOLDER_OR_ARCHIVE``; ``make gallery`` calls it. Finished runs are kept
and partial ones resumed, so it can be stopped and called again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

HERE = Path(__file__).parent
PLAN = HERE / "plan.toml"


def main(
    runs: Annotated[Path, typer.Argument(help="Directory of the run files.")],
    cifar10: Annotated[str, typer.Option(help="CIFAR-10 (JPEG): a folder or archive, train/CLASS/*.jpg.")] = "",
    only: Annotated[str, typer.Option(help="Draw this analysis alone.")] = "",
) -> None:
    """Train missing runs, draw every figure, write the page."""
    plan = tomllib.loads(PLAN.read_text(encoding="utf-8"))
    commands = run_commands(plan["runs"], cifar10)
    for name, words in commands.items():
        train(runs / f"{name}.h5", words)
    sections = [draw(figure, runs, commands) for figure in plan["figures"] if only in ("", figure["analysis"])]
    if not only:
        (HERE.parent / "gallery.md").write_text(page(sections, commands, runs), encoding="utf-8")


def run_commands(groups: dict[str, dict[str, list[str]]], cifar10: str) -> dict[str, list[str]]:
    """The arguments of ``ffprobe run`` for each run, by ``group/name``."""
    found = {}
    for group, members in groups.items():
        for name, words in members.items():
            if name != "each":
                each = [word.format(cifar10=cifar10) for word in members["each"]]
                found[f"{group}/{name}"] = ["run", *words, *each]
    return found


def train(out: Path, words: list[str]) -> None:
    """Train one run, unless its file exists."""
    if out.exists():
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    ffprobe(*words, "--out", str(out), "--resume")
    print(f"{out} {time.monotonic() - began:.0f} s", file=sys.stderr)


def draw(figure: dict[str, Any], runs: Path, commands: dict[str, list[str]]) -> dict[str, Any]:
    """Run one analysis; its figure is written beside this file."""
    names = [n for pattern in figure["runs"] for n in commands if Path(n).match(pattern)]
    question = figure["analysis"].partition(":")[0]
    stem = f"{question}-{'-'.join(sorted({n.partition('/')[0] for n in names})) or 'losses'}"
    stem += "-3" if len(names) == 3 and figure["analysis"] == "gradients" else ""
    picture = HERE / f"{stem}.svg"
    paths = [str(runs / f"{name}.h5") for name in names]
    shown = os.path.relpath(picture)  # the figure stores its command
    result = json.loads(ffprobe("analyze", figure["analysis"], *paths, "--json", "--plot", shown))
    picture.with_suffix(".csv").unlink(missing_ok=True)  # the page has the numbers that matter
    print(figure["title"], file=sys.stderr)
    return {**figure, "result": result, "picture": picture.name, "names": names}


def page(sections: list[dict[str, Any]], commands: dict[str, list[str]], runs: Path) -> str:
    """The page in Markdown."""
    facts = json.loads(ffprobe("show", str(runs / f"{next(iter(commands))}.h5"), "--json"))["attributes"]
    text = (
        "# Gallery\n\n<!-- Made by docs/gallery/gallery.py; change the plan or the probes, then run it again. -->\n\n"
    )
    text += (
        "Every figure of the paper and every diagnostic of the field, from real runs at a reduced size: what it shows,"
        " what the paper reports, and whether these runs agree. `make gallery` trains the runs and makes this page.\n\n"
        f"Measured with ffprobe {facts['ffprobe_version']}, torch {facts['torch_version'].partition('+')[0]},"
        f" {facts['device']}, precision {facts['precision']}, one seed unless a name states otherwise. The CIFAR-10"
        " images are recompressed: CIFAR-10 (JPEG).\n\n"
    )
    text += "| run | command |\n|---|---|\n"
    for name, words in commands.items():
        text += f"| {name} | `ffprobe {' '.join(words)}` |\n".replace(str(_path_of(words)), "CIFAR10")
    for section in sections:
        result = section["result"]
        call = " ".join(["ffprobe analyze", section["analysis"], *(f"{n}.h5" for n in section["names"])])
        text += f"\n## {section['title']}\n\n{result['question']}\n\n"
        text += f"![{section['title']}]({HERE.name}/{section['picture']})\n\n`{call}`\n\n"
        for claim in result["claims"]:
            text += f"- **{claim['source']}**: {claim['said']} Here: {claim['here']}"
            text += f" **{claim['verdict'].capitalize()}.**\n"
        text += "\n" * bool(result["claims"])
        if result["notes"]:
            text += "".join(f"> {note}\n>\n" for note in result["notes"]).removesuffix(">\n")
    return text


def _path_of(words: list[str]) -> str:
    return words[words.index("--data-dir") + 1] if "--data-dir" in words else "\0"


def ffprobe(*words: str) -> str:
    """Standard output of one command; its messages go to standard error."""
    done = subprocess.run([sys.executable, "-m", "ffprobe", *words], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"ffprobe {' '.join(words)} ended with {done.returncode}")
    return done.stdout


if __name__ == "__main__":
    typer.run(main)
