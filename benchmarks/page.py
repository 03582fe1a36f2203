"""``python -m benchmarks.page``: write docs/performance.md from benchmarks/results/*.json; ``--check``: is it fresh?"""

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
)
HEAD = """# Performance

<!-- Made from benchmarks/results/*.json by `python -m benchmarks.page`; measure again, then run it again. -->

Each table was measured with the command above it. The alternatives take turns in one process or process tree; a ratio
compares times of the same round and is given as median (lower to upper quartile). Machine and versions are below each
table; `load` is the system load at the end of the benchmark, 1 per busy core, including the benchmark itself.
`make bench` measures everything except the GPU, `make bench-gpu` one GPU. No GPU has been available so far: nothing
here shows how fast a GPU is.

On Linux a training step spends time on requesting memory from the system: on the virtual machine of these tables 4 to
15 % at full width (four readings), a third of an epoch of small layers (`step` and `scale-...`, with and without
tcmalloc). An allocator that keeps freed memory, loaded in place of the C library's, saves this time:
`apt install libtcmalloc-minimal4`, then `LD_PRELOAD=libtcmalloc_minimal.so.4 ffprobe run ...`. Memory stays constant in
depth. If nothing can be installed, `MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_TRIM_THRESHOLD_=268435456
THP_MEM_ALLOC_ENABLE=0 ffprobe run ...` is nearly as fast for layers of less than 32 MB, with half as much memory again.
[Decision 6](decisions/0006-huge-pages-instead-of-kept-memory.md) has the figures and the other alternatives;
`ffprobe doctor` shows which allocator is in use.

The share of a training step is that of the rate of forward convolutions of real size, the better of float32 and
bfloat16 on that machine; a backward pass usually runs at a lower rate.
"""


def main() -> None:
    """Write the page; with ``--check``, exit with code 1 if the page is stale."""
    text = page(RESULTS)
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            print(f"{PAGE} is stale. Run `python -m benchmarks.page`.")
            sys.exit(1)
        return
    PAGE.write_text(text, encoding="utf-8")
    print(f"{PAGE} written.")


def page(folder: Path) -> str:
    """The page, from a folder of measurements."""
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
        parts.append(f"- {what}: **{_text(reached)}**, target {kind} {bound:g}: {'reached' if good else 'MISSED'}")
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
