"""The documentation page of a run file's layout."""

from __future__ import annotations

from collections.abc import Mapping

from ffprobe.store.layout import FILL
from ffprobe.store.schema import Dimension, Schema, Variable, groups_of


def schema_page(schema: Schema) -> str:
    """Describe a schema in Markdown, with one section and one table per group.

    Args:
        schema: the schema, usually that of an example run.

    Returns:
        Markdown without a title, ending in a newline.
    """
    lines = [
        "An axis marked `*` grows during the run. An element that was never measured is "
        + ", ".join(f"`{value}` ({dtype})" for dtype, value in FILL.items())
        + ".",
        "",
        "## Attributes of the file",
        "",
        *_attributes(schema.attributes),
    ]
    for group in sorted(groups_of(schema.paths())):
        lines += _group(group, schema)
    return "\n".join(lines) + "\n"


def _group(group: str, schema: Schema) -> list[str]:
    dimensions = [d for d in schema.dimensions if d.group == group]
    variables = [v for v in schema.variables if v.group == group]
    if not dimensions and not variables:
        return []
    growing = {d.name for d in dimensions if d.size is None}
    lines = ["", f"## `/{group}`", ""]
    lines += ["| array | axes | type | units | meaning |", "|---|---|---|---|---|"]
    lines += [_row(d, (d.name,), growing, _labels(d)) for d in dimensions]
    lines += [_row(v, v.dims, growing, _more(v)) for v in variables]
    if attributes := schema.groups.get(group):
        lines += ["", "Attributes of the group:", "", *_attributes(attributes)]
    return lines


def _row(array: Dimension | Variable, dims: tuple[str, ...], growing: set[str], more: str) -> str:
    axes = ", ".join(f"{name}\\*" if name in growing else name for name in dims) or "(one number)"
    meaning = f"{array.long_name}{f' ({more})' if more else ''}"
    return f"| `{array.name}` | {axes} | {array.dtype} | {_cell(array.units)} | {_cell(meaning)} |"


def _labels(d: Dimension) -> str:
    if d.size is None:
        return "labels the axis, which grows"
    if d.values is None:
        return f"labels the axis: 0 to {d.size - 1}" if d.size else "labels the axis, which is empty"
    shown = ", ".join(str(value) for value in d.values[:3])
    return f"labels the axis: {shown}{' ...' if len(d.values) > 3 else ''}"


def _more(v: Variable) -> str:
    facts = ["gzip"] if v.compress else []
    return "; ".join(facts + [f"{name}: {value}" for name, value in v.attributes.items()])


def _attributes(attributes: Mapping[str, object]) -> list[str]:
    rows = [f"| `{name}` | {_cell(str(value)[:80])} |" for name, value in attributes.items()]
    return ["| attribute | example |", "|---|---|", *rows]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
