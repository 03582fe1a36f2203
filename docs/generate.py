"""Write the pages of docs/ that are generated from the code; ``--check`` lists the stale ones (exit code 1).

Run it as ``python docs/generate.py`` after changing a hook, a setting, an option, a message or the layout of a run.
"""

from __future__ import annotations

import sys
from pathlib import Path

from generate_commands import command_page
from generate_components import component_pages
from generate_errors import error_pages
from generate_hooks import hooks_page
from generate_kinds import PAGE as KINDS_PAGE
from generate_kinds import with_kinds
from generate_reference import reference_pages
from generate_settings import settings_pages
from generate_start import start_page

from ffprobe.store.page import schema_page
from ffprobe.store.schema import ActivationRecord, RunMetadata, run_schema

DOCS = Path(__file__).parent
FOLDERS = ("components", "errors", "reference", "settings")
"""The folders of docs/ in which every page is generated."""
NOTE = "<!-- Made from the code by docs/generate.py; change the code, then run it again. -->\n\n"


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
        attributes={
            "config_json": "the resolved config",
            "command": "the command line",
            "seed": 0,
            "layer_kinds": ["conv", "conv"],
            "layer_shapes": ["32x4x4", "64x2x2"],
            "layer_parameters": [576, 18432],
            "update_groups": ["1-1", "1-2"],
        },
        images={part: tuple(range(40)) for part in ("test", "validation", "training")},
        image_shape=(1, 8, 8),
    )
    intro = """\
`run.h5` is plain HDF5 with named dimensions: h5py, xarray (`xr.open_dataset(path, group="metrics")`), netCDF4 and h5web
open it. While a run is in progress the file is called `run.h5.partial` and is written in SWMR mode, one commit per
epoch; `run.h5` exists exactly when the run finished. The layout below is that of a run with two layers, three classes,
100 validation and 200 test images; the numbers change with the run, the names do not. A probe's own variables are
under `probes/NAME`. `images` exists if `recording.images` records some; `update_groups` lists the layers that one loss
trains, `first-last`, the loss being that of the last; both since version 0.2.0.

"""
    return f"# The run file\n\n{NOTE}{intro}{schema_page(run_schema(facts))}"


def pages() -> dict[str, str]:
    """Every page by its path below docs/."""
    return {
        "index.md": start_page(NOTE),
        "hooks.md": hooks_page(NOTE),
        "run-file.md": run_file(),
        "command-line.md": command_page(NOTE),
        KINDS_PAGE: with_kinds(DOCS / KINDS_PAGE),
        **settings_pages(NOTE),
        **component_pages(NOTE),
        **reference_pages(NOTE),
        **error_pages(NOTE),
    }


def stale() -> list[str]:
    """The pages that differ from what the code generates, and those that nothing generates any more."""
    made = pages()
    differ = [
        name for name, text in made.items() if not (path := DOCS / name).is_file() or path.read_text("utf-8") != text
    ]
    there = [path for folder in FOLDERS for path in DOCS.glob(f"{folder}/*.md")]
    old = [name for path in there if (name := path.relative_to(DOCS).as_posix()) not in made]
    return differ + old


if __name__ == "__main__":
    if "--check" in sys.argv:
        names = stale()
        sys.exit(f"stale: {', '.join(names)}; run python docs/generate.py" if names else 0)
    for page, text in pages().items():
        (DOCS / page).parent.mkdir(exist_ok=True)
        (DOCS / page).write_text(text, "utf-8")
