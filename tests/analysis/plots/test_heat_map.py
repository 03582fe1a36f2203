"""Heat maps: numbers in the cells, colours, and small cells."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes

import ffprobe
from ffprobe.analysis.plots.figure import new_figure

VALUES = np.array([[0.0, 0.25, np.nan], [0.5, 0.75, 1.0]])


def drawn(values: np.ndarray, size: tuple[float, float] = (3.25, 2.4), **words: Any) -> Axes:
    """The axes of a heat map with rows a, b ... and columns 1, 2 ..."""
    rows, columns = ([f"{k}" for k in range(n)] for n in values.shape)
    figure = new_figure(lambda f: ffprobe.heat_map(f.subplots(), values, rows, columns, "CKA", **words) and None, size)
    figure.draw_without_rendering()
    return figure.axes[0]


def test_every_finite_cell_contains_its_number() -> None:
    axes = drawn(VALUES)
    found = {text.get_position(): text.get_text() for text in axes.texts}
    assert found == {(0, 0): "0.00", (1, 0): "0.25", (0, 1): "0.50", (1, 1): "0.75", (2, 1): "1.00"}
    assert axes.yaxis_inverted()  # row 0 on top


def test_numbers_are_inside_their_cells_and_have_contrast() -> None:
    axes = drawn(np.random.default_rng(0).uniform(size=(9, 9)), square=True)
    assert len(axes.texts) == 81
    renderer = axes.figure.canvas.get_renderer()  # type: ignore[union-attr]
    for text in axes.texts:
        j, i = text.get_position()
        (left, low), (right, high) = axes.transData.transform([(j - 0.5, i + 0.5), (j + 0.5, i - 0.5)])
        box = text.get_window_extent(renderer)
        assert left <= box.x0 and box.x1 <= right and low <= box.y0 and box.y1 <= high
    image = axes.images[0]
    for text, value in zip(axes.texts, np.ravel(image.get_array()), strict=True):
        lightness = float(np.mean(image.to_rgba(value)[:3]))
        assert (text.get_color() == "white") == (lightness < 0.5) or abs(lightness - 0.5) < 0.1


def test_small_cells_have_no_numbers_and_fewer_labels() -> None:
    axes = drawn(np.zeros((60, 80)) + np.arange(80))
    assert not axes.texts
    for labels, count in ((axes.get_yticklabels(), 60), (axes.get_xticklabels(), 80)):
        assert 5 < len(labels) < count / 2
        renderer = axes.figure.canvas.get_renderer()  # type: ignore[union-attr]
        boxes = [label.get_window_extent(renderer) for label in labels]
        assert not any(a.overlaps(b) for a, b in pairwise(boxes))


def test_a_nan_cell_shows_the_hatched_background() -> None:
    axes = drawn(VALUES)
    assert np.ma.getmaskarray(axes.images[0].get_array()).tolist() == np.isnan(VALUES).tolist()
    assert axes.images[0].get_cmap()(np.ma.masked)[3] == 0
    assert axes.patch.get_hatch()


def test_colours_diverge_equally_far_from_a_centre() -> None:
    image = drawn(np.array([[-1.0, 0.0, 3.0]]), centre=0.0).images[0]
    assert image.get_clim() == (-3.0, 3.0)
    assert min(image.to_rgba(0.0)[:3]) > 0.9  # nearly white
    low, high = image.to_rgba(-3.0), image.to_rgba(3.0)
    assert low[2] > low[0] and high[0] > high[2]  # blue, red
    assert drawn(VALUES, centre=0.5, limits=(0.2, 0.6)).images[0].get_clim() == pytest.approx((0.2, 0.8))


def test_limits_are_given_or_those_of_the_values() -> None:
    assert drawn(VALUES).images[0].get_clim() == (0.0, 1.0)
    assert drawn(VALUES, limits=(-1.0, 2.0)).images[0].get_clim() == (-1.0, 2.0)


@pytest.mark.parametrize("values", [np.full((2, 2), np.nan), np.ones((2, 2)), np.ones((1, 1))])
def test_no_values_and_equal_values_are_drawn(values: np.ndarray) -> None:
    assert len(drawn(values).texts) == np.isfinite(values).sum()
    assert len(drawn(values, centre=1.0).texts) == np.isfinite(values).sum()


def test_the_colour_bar_is_labelled_and_optional() -> None:
    assert drawn(VALUES).figure.axes[1].get_ylabel() == "CKA"
    assert len(drawn(VALUES, bar=False).figure.axes) == 1


def test_long_column_labels_are_vertical() -> None:
    figure = new_figure(
        lambda f: ffprobe.heat_map(f.subplots(), np.zeros((1, 4)), ["a"], ["a rather long name"] * 4, "x") and None
    )
    assert {label.get_rotation() for label in figure.axes[0].get_xticklabels()} == {90.0}


def test_labels_must_match_the_matrix() -> None:
    with pytest.raises(ValueError, match=r"2 rows and 2 columns got the shape \(2, 3\)"):
        ffprobe.heat_map(None, VALUES, ["a", "b"], ["1", "2"], "CKA")  # type: ignore[arg-type]
