"""Figures in the paper's style, drawn without pyplot: no global state changes and no window opens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from ffprobe.errors import FileError, UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import Formatter

WIDTH = 3.25
"""Width of one text column in inches."""
SUFFIXES = (".png", ".svg", ".pdf")
DIRECT = 6
"""Maximum number of lines that are labelled at their ends; more lines get a legend."""


class Series(TypedDict):
    """One line of a figure, a plain dict: ``{"label": "batchnorm", "x": [1, 2], "y": [93.1, 95.0]}``.

    Attributes:
        label: text of the label; empty for a line without a label (a baseline, the second line of a pair).
        x: positions.
        y: values, of the same length; NaN leaves a gap.
        error: half-lengths of error bars, of the same length; no error bars by default.
        colour: position in the colour cycle, which also selects marker and dash pattern; related lines share it. The
            position of the line by default.
        look: ``line`` (solid or the cycle's dash pattern, filled marker), ``second`` (thin, dashed, hollow marker) or
            ``floor`` (thin, dotted, no marker).
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    error: NotRequired[Sequence[float] | None]
    colour: NotRequired[int]
    look: NotRequired[str]


@contextmanager
def paper_style() -> Iterator[None]:
    """Context with matplotlib's defaults and ``ffprobe.mplstyle``; the user's settings are ignored and restored."""
    import matplotlib
    from matplotlib import style

    with matplotlib.rc_context(), style.context(["default", str(Path(__file__).with_name("ffprobe.mplstyle"))]):
        yield


def new_figure(draw: Callable[[Figure], None], size: tuple[float, float] | None = None) -> Figure:
    """Create a figure in the paper's style, drawn by ``draw(figure)``.

    Args:
        draw: adds axes and lines to the figure. Its texts are shown as they are, without formulas.
        size: width and height in inches; one column wide by default.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from ffprobe.analysis.plots.shown_figure import ShownFigure

    with paper_style():
        figure = ShownFigure(figsize=size)
        FigureCanvasAgg(figure)
        draw(figure)
        _show_dollars(figure)
    return figure


def _show_dollars(figure: Figure) -> None:
    """Show dollar signs as such: in a name of a class, layer or run they do not begin a formula, as matplotlib assumes.

    The numbers at the ticks of a logarithmic axis stay formulas; they are made when the figure is drawn.
    """
    from matplotlib.text import Text
    from matplotlib.ticker import FuncFormatter

    for text in figure.findobj(Text):
        text.set_text(text.get_text().replace("$", r"\$"))
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        formatter = axis.get_major_formatter()
        if isinstance(formatter, FuncFormatter):  # what set_xticks(positions, names) makes
            axis.set_major_formatter(_literal(formatter))


def _literal(names: Formatter) -> Formatter:
    from matplotlib.ticker import FuncFormatter

    return FuncFormatter(lambda value, position: str(names(value, position)).replace("$", r"\$"))


def line_by_layer(axes: Axes, series: Sequence[Series], *, xlabel: str = "layer", ylabel: str = "accuracy (%)") -> None:
    """Draw one line per series over the layers, as in the paper's Figures 1, 4 and 8.

    Lines differ in colour, marker and dash pattern. Up to six lines are labelled at their right ends if the labels do
    not overlap; otherwise there is a legend above the axes.

    Args:
        axes: axes to draw on.
        series: the lines.
        xlabel: label of the horizontal axis.
        ylabel: label of the vertical axis, with its unit.
    """
    from matplotlib.ticker import MaxNLocator

    looks = [line_look(line.get("colour", i), line.get("look", "line")) for i, line in enumerate(series)]
    for line, look in zip(series, looks, strict=True):
        axes.errorbar(line["x"], line["y"], yerr=line.get("error"), **look, elinewidth=0.7)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    labelled = [pair for pair in zip(series, looks, strict=True) if pair[0]["label"] and _end(pair[0])]
    if len(labelled) > 1:
        _label(axes, [line for line, _ in labelled], [look for _, look in labelled])


def line_look(colour: int, look: str = "line") -> dict[str, Any]:
    """Return matplotlib's keywords for a line of ``line_by_layer``, for custom legends. Needs ``paper_style``.

    Args:
        colour: position in the colour cycle, from 0.
        look: ``line``, ``second`` (the second line of a pair, dashed and hollow) or ``floor`` (a baseline such as
            chance, dotted).
    """
    import matplotlib

    cycle = list(matplotlib.rcParams["axes.prop_cycle"])
    style: dict[str, Any] = {**cycle[(colour + colour // len(cycle)) % len(cycle)]}  # new pairs in each round
    style["color"] = cycle[colour % len(cycle)]["color"]
    if look == "floor":
        return {"color": style["color"], "linestyle": (0, (1, 1.5)), "linewidth": 0.8, "marker": "", "zorder": 1.5}
    if look == "second":
        return {**style, "linestyle": (0, (3, 1.5)), "markerfacecolor": "white", "linewidth": 0.9}
    return style


def _label(axes: Axes, series: Sequence[Series], looks: Sequence[dict[str, Any]]) -> None:
    """Label lines at their ends if that is legible, else in a legend above the axes."""
    shifts = _spread(axes, series) if len(series) <= DIRECT else None
    if shifts is None:
        columns = 2 if max(len(line["label"]) for line in series) < 18 else 1
        figure = axes.get_figure(root=True)
        assert figure is not None
        figure.set_figheight(figure.get_figheight() + 0.14 * -(-len(series) // columns))
        handles = [axes.plot([], [], **look)[0] for look in looks]
        labels = [line["label"] for line in series]
        axes.legend(handles, labels, loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.2)
        return
    for line, look, shift in zip(series, looks, shifts, strict=True):
        style = {"fontsize": "small", "color": _dark(look["color"]), "va": "center", "annotation_clip": False}
        axes.annotate(line["label"], _end(line), xytext=(6, shift), textcoords="offset points", **style)  # type: ignore[arg-type]


def write_figure(figure: Figure, path: Path, metadata: dict[str, str]) -> None:
    """Write PNG, SVG or PDF, depending on the suffix; the same figure gives the same bytes.

    Args:
        figure: from ``new_figure``.
        path: file name with the suffix ``.png``, ``.svg`` or ``.pdf``.
        metadata: ``title``, ``command`` and ``runs``, stored in the metadata fields of the format.

    Raises:
        UsageError: another suffix; the message lists the supported ones.
        FileError: the file cannot be written.
    """
    check_suffix(path)
    title, command, runs = (metadata.get(key, "") for key in ("title", "command", "runs"))
    pdf = {"Title": title, "Subject": command, "Keywords": f"run {runs}", "Creator": "ffprobe", "CreationDate": None}
    fields: dict[str, dict[str, Any]] = {
        ".png": {"Title": title, "Source": command, "Description": f"run {runs}", "Software": "ffprobe"},
        ".svg": {"Title": title, "Source": command, "Identifier": f"run {runs}", "Creator": "ffprobe", "Date": None},
        ".pdf": pdf,
    }
    try:
        with paper_style():
            figure.savefig(path, metadata=fields[path.suffix.lower()])
    except OSError as error:
        raise FileError(f"The figure cannot be written: {error.strerror}.", where=str(path)) from error


def check_suffix(path: Path) -> None:
    """Raise UsageError for an unsupported figure format, before anything is computed."""
    if path.suffix.lower() not in SUFFIXES:
        problem = f"ends in {path.suffix!r}" if path.suffix else "has no suffix"
        what = f"A figure can be written as {', '.join(SUFFIXES)}; this file name {problem}."
        raise UsageError(what, where=str(path), hint="Use a file name with one of these suffixes.")


def _end(line: Series) -> tuple[float, float] | None:
    """Return the last measured point."""
    points = [(x, y) for x, y in zip(line["x"], line["y"], strict=True) if y == y]
    return points[-1] if points else None


def _spread(axes: Axes, series: Sequence[Series]) -> list[float] | None:
    """Upward shift of each end label in points so that labels do not overlap; None if they would not be legible."""
    ends = [end for line in series if (end := _end(line))]
    if len({x for x, _ in ends}) > 1 or max(len(line["label"]) for line in series) > 20:
        return None
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # computes the layout, and with it the positions in points
    point = axes.figure.dpi / 72
    heights = [float(axes.transData.transform(end)[1]) / point for end in ends]
    gap, placed = 8.0, list(heights)
    order = sorted(range(len(ends)), key=lambda i: heights[i])
    for _ in range(50):
        for low, high in pairwise(order):
            short = gap - (placed[high] - placed[low])
            if short > 0:
                placed[low] -= short / 2
                placed[high] += short / 2
    shifts = [to - start for to, start in zip(placed, heights, strict=True)]
    return shifts if max(map(abs, shifts)) <= 1.5 * gap else None


def _dark(colour: str) -> tuple[float, float, float]:
    """Darken a colour so that text in it is legible on white."""
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(colour)
    return 0.65 * red, 0.65 * green, 0.65 * blue
