"""The view of a recorded array in a terminal and in a notebook: its axes and their labels, not its values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ffprobe.display import HtmlTable, html_view, plain_text

if TYPE_CHECKING:
    from rich.text import Text

    from ffprobe.store.recorded import RecordedArray

FEW = 6
"""Up to this number all labels are shown; of longer axes only the first three and the last."""


def terminal_view(array: RecordedArray) -> Text:
    """The view for rich."""
    from rich.text import Text

    lines = [Text(plain_text(_title(array)), style="bold"), *(Text(plain_text(line)) for line in _sentences(array))]
    axes = (f"  {name}: {length}   {labels}".rstrip() for name, length, labels in _axes(array))
    lines += [Text(plain_text(line)) for line in axes]
    return Text("\n").join(lines)


def notebook_view(array: RecordedArray) -> str:
    """The view as HTML."""
    axes = _axes(array)
    tables = [HtmlTable(("axis", "length", "labels"), axes, numbers=(1,))] if axes else []
    return html_view(_title(array), tables, _sentences(array))


def _title(array: RecordedArray) -> str:
    sizes = ", ".join(f"{name}: {length}" for name, length in zip(array.dims, array.shape, strict=True))
    return f"{array.path}  {array.dtype} ({sizes})"


def _sentences(array: RecordedArray) -> list[str]:
    unit = f" ({array.units})" if array.units not in ("", "1") else ""
    more = ", ".join(f"{name}: {value}" for name, value in array.attributes.items())
    return [text for text in (f"{array.long_name}{unit}".strip(), more) if text]


def _axes(array: RecordedArray) -> list[tuple[str, str, str]]:
    coordinates = array.coordinates
    rows = []
    for name, length in zip(array.dims, array.shape, strict=True):
        labels = _labels(coordinates[name]) if name in coordinates else ""
        rows.append((name, str(length), labels))
    return rows


def _labels(scale: RecordedArray) -> str:
    """The first and last labels; "" if the file has been closed."""
    if not scale.is_open:
        return ""
    if len(scale) <= FEW:
        return ", ".join(map(str, scale[...]))
    return f"{', '.join(map(str, scale[:3]))} … {scale[-1]}"
