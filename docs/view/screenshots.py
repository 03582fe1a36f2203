"""Make the pictures of ``docs/view.md``: train the runs of ``RUNS``, open them in Chromium, photograph the rooms.

``python docs/view/screenshots.py FOLDER --cifar10 FOLDER_OR_ARCHIVE``. Finished runs are kept, so it can be called
again. It needs Playwright and a Chromium on the PATH.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

HERE = Path(__file__).parent
SMALL = ["--set", "network.width=0.25", "--set", "training.learning_rate=0.003", "--set", "recording.images=200"]
PROBES = ["--plugin", "gradients", "--plugin", "evaluation"]
FASHION = ["--dataset", "fashion-mnist", "--set", "training.max_images=4000", "--epochs", "8", *SMALL, *PROBES]
CIFAR = ["--dataset", "images", "--data-dir", "{cifar10}", "--set", "training.max_images=3000", "--epochs", "8"]
RUNS: dict[str, list[str]] = {
    **{f"digits-trifecta-{seed}": ["-d", "digits", "--preset", "trifecta", "--quick", "--seed", str(seed)]
       for seed in range(3)},
    **{f"digits-vanilla-{seed}": ["-d", "digits", "--preset", "vanilla-ff", "--quick", "--seed", str(seed)]
       for seed in range(3)},
    "digits-mono-forward": ["-d", "digits", "--preset", "mono-forward", "--quick"],
    "fashion-trifecta": ["--preset", "trifecta", *FASHION],
    "cifar-trifecta": ["--preset", "trifecta", *CIFAR, *SMALL, *PROBES],
}  # fmt: skip
"""The arguments of ``ffprobe run`` for each run."""

DIGITS = [name for name in RUNS if name.startswith("digits")]
PICTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "runs": ("#/runs", {}),
    "overview": ("#/run/{fashion-trifecta}", {}),
    "curves": ("#/run/{cifar-trifecta}/curves", {}),
    "layers": ("#/run/{fashion-trifecta}/layers?layer=2", {"height": 1150}),
    "samples": ("#/run/{fashion-trifecta}/samples?part=test", {}),
    "sample": ("#/run/{fashion-trifecta}/sample/test/{wrong}", {"height": 1000}),
    "sample-dark": ("#/run/{cifar-trifecta}/sample/test/{wrong-cifar}", {"height": 1000, "dark": True}),
    "sweep": ("#/compare/sweep?runs={digits}", {}),
    "questions": ("#/run/{fashion-trifecta}/questions/evaluation", {"height": 1100}),
    "phone": ("#/run/{fashion-trifecta}/layers", {"width": 390, "height": 844}),
}
"""The room of each picture, and the window if it is not 1280 by 860 in light colours."""


def main(
    runs: Annotated[Path, typer.Argument(help="Directory of the run files.")],
    cifar10: Annotated[str, typer.Option(help="CIFAR-10 (JPEG): a folder or archive, train/CLASS/*.jpg.")] = "",
    only: Annotated[str, typer.Option(help="Make this picture alone.")] = "",
) -> None:
    """Train missing runs, make every picture whose runs are there."""
    runs.mkdir(parents=True, exist_ok=True)
    for name, words in RUNS.items():
        if "{cifar10}" in words and not cifar10:
            continue
        train(runs / f"{name}.h5", [word.format(cifar10=Path(cifar10).resolve()) for word in words])
    folders = [runs.resolve().parent, *([Path(cifar10).resolve().parent] if cifar10 else [])]
    with served(runs) as url:
        photograph(url, folders, only)


def train(out: Path, words: list[str]) -> None:
    """Train one run, unless its file exists; what fails is left out."""
    if out.exists():
        return
    began = time.monotonic()
    # named relative to the folder above, so that no picture shows a path of this machine
    command = [sys.executable, "-m", "ffprobe", "run", *words, "--out", f"{out.parent.name}/{out.name}", "--resume"]
    done = subprocess.run(command, cwd=out.resolve().parents[1])
    print(f"{out.name}: {'' if done.returncode == 0 else 'failed after '}{time.monotonic() - began:.0f} s")


@contextmanager
def served(runs: Path) -> Iterator[str]:
    """The address of ``ffprobe view`` during the block."""
    words = [sys.executable, "-m", "ffprobe", "view", runs.name, "--no-browser", "--json"]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=runs.resolve().parent)
    assert server.stdout is not None
    text = ""
    while not text.rstrip().endswith("}"):
        text += server.stdout.readline()
    try:
        yield json.loads(text)["url"]
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()


def photograph(url: str, folders: Sequence[Path], only: str = "") -> None:
    """Make the pictures; paths on them begin below the folders, so that they name no folder of this machine."""

    def shorten(route: Any) -> None:
        answer = route.fetch()
        text = answer.text()
        for folder in folders:
            text = text.replace(f"{folder}/", "")
        route.fulfill(response=answer, body=text)

    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        names = places(browser, url)
        for picture, (room, window) in PICTURES.items():
            if only not in ("", picture):
                continue
            try:
                target = room.format_map(names)
            except KeyError as missing:
                print(f"{picture}: left out, there is no {missing}")
                continue
            size = {"width": window.get("width", 1280), "height": window.get("height", 860)}
            scheme = "dark" if window.get("dark") else "light"
            context = browser.new_context(viewport=size, color_scheme=scheme, reduced_motion="reduce")
            page = context.new_page()
            page.route(re.compile(r"/api/(runs($|/[^/]*$)|questions/)"), shorten)
            page.goto(url)
            page.get_by_role("heading", level=1).wait_for()
            page.goto(url.split("?")[0] + target)
            page.wait_for_timeout(1000)
            while page.evaluate("!!document.querySelector('.waiting')"):
                page.wait_for_timeout(200)
            page.wait_for_timeout(500)
            page.screenshot(path=HERE / f"{picture}.png")
            context.close()
        browser.close()


def places(browser: Any, url: str) -> dict[str, str]:
    """What rooms are called: the ids of the runs, and of two runs an image that the last layer gets wrong."""
    page = browser.new_page()
    page.goto(url)
    get = "path => fetch(path).then(answer => answer.json())"
    rows = page.evaluate(get, "/api/runs")["runs"]
    names = {row["label"]: row["id"] for row in rows if row["state"] == "finished"}
    found = {**names, "digits": ",".join(names[name] for name in DIGITS if name in names)}
    for key, run in (("wrong", "fashion-trifecta"), ("wrong-cifar", "cifar-trifecta")):
        if run in names:
            samples = page.evaluate(get, f"/api/runs/{names[run]}/samples?part=test")
            last = samples["predicted"][f"layer {samples['layers'][-1]}"]
            errors = [i for i in samples["images"] if last[i] != samples["true"][i]]
            found[key] = str(errors[0] if errors else 0)
    page.close()
    return found


if __name__ == "__main__":
    typer.run(main)
