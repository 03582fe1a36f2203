"""Lines of keys, held against where they are seen to stand."""

from __future__ import annotations

import tomllib

from ffprobe.sweep.toml_lines import key_lines, line_of

TEXT = """# a comment = 1
out = "x"

[each]
network.width = 0.25
"training.max_images" = 5 # = 6
plugin = [
  "a", # b = 1
  "c=d",
]
[axes]
seed = [0, 1]
[axes.loss] # the losses
plain = {}
"two words" = {plugin = "symba"}
  [ axes . 'norm' ]
  rms = {plugin = "rms"}
"""


def test_every_key_is_found_where_it_stands() -> None:
    lines = key_lines(TEXT)
    assert lines == {
        ("out",): 2,
        ("each",): 4,
        ("each", "network", "width"): 5,
        ("each", "training.max_images"): 6,
        ("each", "plugin"): 7,
        ("axes",): 11,
        ("axes", "seed"): 12,
        ("axes", "loss"): 13,
        ("axes", "loss", "plain"): 14,
        ("axes", "loss", "two words"): 15,
        ("axes", "norm"): 16,
        ("axes", "norm", "rms"): 17,
    }


def test_each_is_a_key_of_the_table_that_the_standard_library_reads() -> None:
    table = tomllib.loads(TEXT)
    for path in key_lines(TEXT):
        place = table
        for part in path:
            place = place[part]


def test_a_key_inside_another_stands_on_its_line() -> None:
    lines = key_lines(TEXT)
    assert line_of(lines, ("axes", "loss", "two words", "plugin")) == 15
    assert line_of(lines, ("each", "network")) == 5
    assert line_of(lines, ("axes", "none", "such")) == 11
    assert line_of(lines, ("nowhere",)) is None
