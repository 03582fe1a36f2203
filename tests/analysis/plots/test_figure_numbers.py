"""The numbers that are read from a figure are those that it was drawn with, for every analysis."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes

from ffprobe.analysis.plots import figure_numbers as module
from ffprobe.analysis.plots.figure import line_by_layer, new_figure
from ffprobe.analysis.plots.figure_numbers import figure_numbers
from ffprobe.analysis.plots.heat_map import heat_map


def numbers_of(draw: Callable[[Any], None]) -> Any:
    found = figure_numbers(new_figure(draw))
    assert found is not None
    json.dumps(found, allow_nan=False)
    return found


def marks(draw: Callable[[Axes], object]) -> Any:
    return numbers_of(lambda figure: draw(figure.subplots()))["axes"][0]["marks"]


def test_a_line_has_its_points_label_and_look() -> None:
    (line,) = marks(lambda axes: axes.plot([1, 2, 3], [0.5, math.nan, 1.5], "o--", color="#ff0000", label="a"))
    assert (line["kind"], line["label"], line["colour"]) == ("line", "a", "#ff0000")
    assert (line["x"], line["y"]) == ([1, 2, 3], [0.5, None, 1.5])
    assert (line["dash"], line["marker"], line["filled"], line["step"]) == ("dashed", "o", True, "")


def test_points_without_a_line_and_scattered_points_are_points() -> None:
    plotted, scattered = marks(lambda axes: (axes.plot([1], [2], "s"), axes.scatter([3, 4], [5, 6])))
    assert {plotted["kind"], scattered["kind"]} == {"points"}
    found = {(*mark["x"], *mark["y"]) for mark in (plotted, scattered)}
    assert found == {(1, 2), (3, 4, 5, 6)}


def test_error_bars_belong_to_their_line() -> None:
    (line,) = marks(lambda axes: axes.errorbar([1, 2], [10, 20], yerr=[1, 2], label="e"))
    assert (line["kind"], line["label"], line["yerror"]) == ("line", "e", [[9, 11], [18, 22]])
    (flat,) = marks(lambda axes: axes.errorbar([1, 2], [10, 20], xerr=[0.5, 1], fmt="o"))
    assert (flat["kind"], flat["xerror"]) == ("points", [[0.5, 1.5], [1, 3]])


def test_bars_bands_rules_segments_and_texts() -> None:
    def draw(axes: Axes) -> None:
        axes.bar([0, 1], [2, 3], width=0.5, label="b")
        axes.fill_between([0, 1], [0, 0], [1, 2])
        axes.axhline(0.5, linestyle=":")
        axes.axvline(7)
        axes.hlines([1], [0], [2])
        axes.text(1, 2, "here $x")
        axes.axvspan(0.25, 0.75)

    by_kind: dict[str, Any] = {}
    for mark in marks(draw):
        by_kind.setdefault(mark["kind"], []).append(mark)
    (bars,) = by_kind["bars"]
    assert (bars["x"], bars["y"], bars["width"], bars["height"]) == ([-0.25, 0.75], [0, 0], [0.5, 0.5], [2, 3])
    assert any({*mark["x"]} >= {0.25, 0.75} for mark in by_kind["band"])
    assert any({*mark["y"]} >= {0, 1, 2} for mark in by_kind["band"])
    assert {(rule["axis"], rule["at"]) for rule in by_kind["rule"]} == {("y", 0.5), ("x", 7)}
    (segments,) = by_kind["segments"]
    assert [segments[name] for name in ("x0", "y0", "x1", "y1")] == [[0], [1], [2], [1]]
    assert [(text["text"], text["x"], text["y"]) for text in by_kind["text"]] == [("here $x", 1, 2)]


def test_a_line_of_several_points_is_a_segment_between_each_two() -> None:
    from matplotlib.collections import LineCollection

    (branch,) = marks(lambda axes: axes.add_collection(LineCollection([[(0, 0), (0, 1), (2, 1)]])))
    assert [branch[name] for name in ("x0", "y0", "x1", "y1")] == [[0, 0], [0, 1], [0, 2], [1, 1]]


def test_a_heat_map_has_its_matrix_range_ticks_and_colour_bar() -> None:
    def draw(figure: Any) -> None:
        heat_map(figure.subplots(), [[1, math.nan], [3, 4]], ["r1", "r2"], ["a", "b"], "units")

    found = numbers_of(draw)
    (axes,) = found["axes"]  # the colour bar is no axes
    heat = axes["marks"][0]
    assert (heat["z"], heat["zmin"], heat["zmax"]) == ([[1, None], [3, 4]], 1, 4)
    assert heat["extent"] == [-0.5, 1.5, 1.5, -0.5]
    assert axes["xticks"] == [{"at": 0, "label": "a"}, {"at": 1, "label": "b"}]
    assert [(bar["label"], bar["low"], bar["high"]) for bar in found["bars"]] == [("units", 1, 4)]


def test_lines_that_are_named_at_their_end_or_in_a_legend_have_a_label() -> None:
    def lines(count: int) -> Any:
        series = [{"label": f"run {i}", "x": [1, 2, 3], "y": [10.0 * i, 10.0 * i, 10.0 * i]} for i in range(count)]
        found = numbers_of(lambda figure: line_by_layer(figure.subplots(), series))  # type: ignore[arg-type]
        return [mark["label"] for mark in found["axes"][0]["marks"] if mark["kind"] == "line"]

    assert lines(3) == ["run 0", "run 1", "run 2"]
    assert lines(8) == [f"run {i}" for i in range(8)]


def test_titles_labels_and_scales() -> None:
    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.plot([1, 10], [1, 100])
        axes.set(xlabel="x", ylabel="y", yscale="log", xlim=(0, 11))
        axes.set_title("left", loc="left")

    (axes,) = numbers_of(draw)["axes"]
    assert (axes["title"], axes["xlabel"], axes["ylabel"]) == ("left", "x", "y")
    assert (axes["xscale"], axes["yscale"], axes["xlim"], axes["xticks"]) == ("linear", "log", [0, 11], None)


def test_a_figure_of_too_many_numbers_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_NUMBERS", 5)
    assert figure_numbers(new_figure(lambda figure: figure.subplots().plot([1, 2, 3], [1, 2, 3]))) is None


@pytest.mark.slow
def test_every_installed_analysis_keeps_its_numbers(trained_with_probes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an analysis hands to matplotlib is in the numbers of its figure."""
    import ffprobe
    from ffprobe.plugin.registry import Registry

    drawn: list[np.ndarray] = []

    def watch(owner: Any, name: str, count: int) -> None:
        original = getattr(owner, name)

        def watched(self: Any, *arguments: Any, **more: Any) -> Any:
            for values in arguments[:count]:
                array = np.ma.filled(np.ma.asarray(values), np.nan) if not isinstance(values, str) else np.zeros(0)
                if array.dtype.kind in "fiu":
                    drawn.append(np.atleast_1d(array).astype(float))
            return original(self, *arguments, **more)

        monkeypatch.setattr(owner, name, watched)

    for name, count in (("plot", 2), ("errorbar", 2), ("step", 2), ("bar", 2), ("imshow", 1), ("scatter", 2)):
        watch(matplotlib.axes.Axes, name, count)
    watch(matplotlib.axes.Axes, "fill_between", 1)
    registry, figures = Registry(), 0
    names = sorted({o.name for plugin in registry.plugins for o in plugin.offers if o.kind == "probe"} - {"compare"})
    run = ffprobe.open(trained_with_probes)
    for name in names:
        component: Any = registry.component("probe", name)
        try:
            result = component(component.Params()).analyze([run])
        except (ffprobe.FileError, ffprobe.UsageError):
            continue  # not recorded in this run, or a question about other runs
        if result.draw is None:
            continue
        drawn.clear()
        figure = result.figure()
        found = figure_numbers(figure)
        assert found is not None, name
        assert found["axes"], name
        known = np.array(sorted(_values(found["axes"])))
        for array in drawn:
            finite = array[np.isfinite(array)]
            missing = [value for value in finite.ravel() if not np.isclose(known, value, rtol=1e-6, atol=0).any()]
            assert not missing, (name, missing[:5])
        figures += 1
    run.close()
    assert figures >= 15


def _values(value: Any) -> set[float]:
    """All numbers in nested values."""
    if isinstance(value, dict):
        return set().union(*map(_values, value.values()), set())
    if isinstance(value, list):
        return set().union(*map(_values, value), set())
    return {float(value)} if isinstance(value, int | float) else set()
