"""``python -m benchmarks.page``: docs/performance.md from benchmarks/results/*.json; ``--check``: is it fresh?"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RESULTS, PAGE = Path("benchmarks/results"), Path("docs/performance.md")
ORDER = (
    "step",
    "compile",
    "around",
    "recording",
    "evaluation",
    "sharing",
    "memory",
    "scale",
    "disk",
    "startup",
    "gpu",
    "heads",
)
HEAD = """# Performance

<!-- Made from benchmarks/results/*.json by `python -m benchmarks.page`; measure again, then run it again. -->

Each table was measured by the command above it, alternatives in turn in one process or process tree; a ratio compares
times of the same round, and stands as median (lower to upper quartile). Machine and versions stand below each table;
`load` is how busy the machine was when the benchmark ended, 1 for each busy core, the benchmark itself among them.
`make bench` measures everything but the GPU, `make bench-gpu` one card. No card has been at hand so far: nothing here
says how fast a GPU is.

On Linux a step spends time on asking the system for memory: on the virtual machine of these tables 4 to 15 % at full
width (four readings), a third of an epoch of small layers (`step` and `scale-...`, with and without tcmalloc). An
allocator that keeps what is freed, put before the C library's, saves that: `apt install libtcmalloc-minimal4`, then
`LD_PRELOAD=libtcmalloc_minimal.so.4 ffprobe run ...`. Memory stays flat in depth. Where nothing can be installed,
`MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_TRIM_THRESHOLD_=268435456 THP_MEM_ALLOC_ENABLE=0 ffprobe run ...` comes close
for layers of less than 32 MB, at half as much memory again. docs/decisions/0006 has the figures, and what else was
tried; `ffprobe doctor` says whose allocator is in use.

A share of the matrix-product rate may lie above 1: in float32 torch multiplies matrices with another library (MKL) than
it convolves with (oneDNN), which on an AMD processor is the slower one.
"""


def main() -> None:
    """Write the page, or say with ``--check`` whether it is what would be written (exit 1 if not)."""
    text = page(RESULTS)
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            print(f"{PAGE} is stale: python -m benchmarks.page writes it.")
            sys.exit(1)
        return
    PAGE.write_text(text, encoding="utf-8")
    print(f"{PAGE} written.")


def page(folder: Path) -> str:
    """The whole page from a folder of measurements."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    found.sort(key=lambda one: (_place(one["name"]), one["name"]))
    return "\n".join([HEAD, *(section(one) for one in found)])


def _place(name: str) -> int:
    return next((i for i, start in enumerate(ORDER) if name.startswith(start)), len(ORDER))


def section(one: Mapping[str, Any]) -> str:
    """One measurement as Markdown."""
    parts = [f"## {one['name']}\n\n{one['question']}\n"]
    if one["command"]:
        parts.append(f"<!-- not run: minutes -->\n```console\n{one['command']}\n```\n")
    if one["seconds"]:
        parts.append(_alternatives(one))
    if one["rows"]:
        parts.append(_rows(one["rows"]))
    for what, (reached, kind, bound) in one["targets"].items():
        good = reached >= bound if kind == "at least" else reached <= bound
        parts.append(f"- {what}: **{_text(reached)}**, promised {kind} {bound:g}: {'reached' if good else 'MISSED'}")
    parts += [f"- {what}: {_text(value)}" for what, value in one["facts"].items()]
    e = one["environment"]
    card = f", {e['card']}" if e["card"] else ""
    bf16 = "native bf16" if e["native_bf16"] else "no native bf16"
    parts.append(
        f"\n{e['processor']}{card}, {e['cores']} cores, {e['threads']} threads, {bf16}, load {e['load']}; Python "
        f"{e['python']}, torch {e['torch']}, numpy {e['numpy']}, ffprobe {e['ffprobe']}.\n"
    )
    return "\n".join(parts)


def _alternatives(one: Mapping[str, Any]) -> str:
    from benchmarks.harness import quartiles

    rows = []
    for name, seconds in one["seconds"].items():
        row = {"alternative": name, "seconds (median)": f"{quartiles(seconds)[1]:.4g}"}
        if one["baseline"]:
            low, middle, high = quartiles(one["ratios"][name])
            row[f"times as fast as {one['baseline']}"] = f"{middle:.2f} ({low:.2f} to {high:.2f})"
        rows.append({**row, "rounds": len(seconds)})
    return _rows(rows)


def _rows(rows: list[dict[str, Any]]) -> str:
    heads = list(rows[0])
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    return "\n".join(lines + ["| " + " | ".join(_text(row[h]) for h in heads) + " |" for row in rows]) + "\n"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(_text(v) for v in value) if isinstance(value, list) else str(value)


if __name__ == "__main__":
    main()
