"""What a person reads: text without control characters, and HTML views for notebooks.

Names, messages and settings come from files that somebody else may have written. A terminal obeys escape sequences in
them: they can change its title, hide text, or print text that looks like output of the program.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# C0 without tab and newline, DEL, C1, line and paragraph separators, embeddings and overrides of bidirectional text,
# and lone surrogates, which are the bytes of a file name that is not UTF-8
control_characters = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""First characters of a formula in a spreadsheet, and their full-width forms."""


def plain_text(text: object, *, one_line: bool = False) -> str:
    r"""The text with control characters shown as escapes, such as ``\x1b``, so that no terminal obeys them.

    Every text that is printed goes through this function: the consoles of the command line apply it to everything.

    Args:
        text: anything that can be converted to str.
        one_line: also show newlines and tabs as escapes.
    """
    shown = control_characters.sub(_escape, str(text))
    return shown.replace("\n", "\\n").replace("\t", "\\t") if one_line else shown


def short_path(path: Path) -> str:
    """The path below the working directory, as a user would type it; else the whole path."""
    folder = Path.cwd()
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def duration(seconds: float) -> str:
    """A duration in words: ``2 h 05 min``, ``1 min 20 s``, ``9.5 s``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{seconds:.1f} s"


def csv_cell(value: object) -> object:
    """A cell of a CSV file: text that a spreadsheet would run as a formula gets a leading single quote (OWASP).

    Numbers stay numbers, and negative ones too.

    Args:
        value: a text, a number or None.
    """
    if not isinstance(value, str):
        return value
    return f"'{value}" if value.lstrip(" \t\r\n\0").startswith(FORMULA) or value.startswith(("\t", "\r")) else value


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte, kept by the error handler surrogateescape
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


# no colours of its own: lines and shades are mixed from the page's text colour, so light and dark themes both work
_TEMPLATE = """\
<style>
.ffprobe-view { color: inherit; line-height: 1.4 }
.ffprobe-view table { border-collapse: collapse; margin: .4em 0; background: none; font-size: inherit }
.ffprobe-view caption { caption-side: top; text-align: left; padding: 0 0 .2em; color: inherit }
.ffprobe-view th, .ffprobe-view td { text-align: left; vertical-align: top; padding: .15em 1em .15em 0; border: none;
  border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent) }
.ffprobe-view .number { text-align: right; font-variant-numeric: tabular-nums }
.ffprobe-view summary { cursor: pointer }
.ffprobe-view p { margin: .2em 0 }
</style>
<div class="ffprobe-view">
<p><strong>{{ title }}</strong></p>
{%- for table in tables %}
{%- if table.folded %}
<details><summary>{{ table.caption }}</summary>{% endif %}
<table>
{%- if table.caption and not table.folded %}<caption>{{ table.caption }}</caption>{% endif %}
{%- if table.heads %}
<thead><tr>
{%- for head in table.heads %}<th scope="col"{{ table.kind(loop.index0) }}>{{ head }}</th>{% endfor -%}
</tr></thead>{% endif %}
<tbody>
{%- for row in table.rows %}
<tr>
{%- for cell in row -%}
{%- if loop.first and not table.heads %}<th scope="row">{{ cell }}</th>
{%- else %}<td{{ table.kind(loop.index0) }}>{{ cell }}</td>{% endif -%}
{%- endfor -%}
</tr>{% endfor %}
</tbody></table>
{%- if table.folded %}</details>{% endif %}
{%- endfor %}
{%- for sentence in sentences %}
<p>{{ sentence }}</p>
{%- endfor %}
</div>
"""


@dataclass(frozen=True)
class HtmlTable:
    """One table of a view.

    Attributes:
        heads: column headers; without them the first cell of each row is its header.
        rows: cells of each row, as text.
        numbers: indices of the columns that are right-aligned.
        caption: text above the table; the label to click on if the table is folded.
        folded: whether the table is collapsed until the reader opens it.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Sequence[int] = ()
    caption: str = ""
    folded: bool = False

    def kind(self, column: int) -> str:
        """The HTML attributes of a cell in this column."""
        from markupsafe import Markup

        return Markup(' class="number"') if column in self.numbers else ""


def finalize(value: object) -> object:
    """Jinja's hook for every printed value: text goes through ``plain_text``, markup and numbers stay."""
    return plain_text(value) if type(value) is str else value


def html_view(title: str, tables: Sequence[HtmlTable], sentences: Sequence[str] = ()) -> str:
    """An HTML fragment with a title, tables and sentences; all text is escaped, as HTML and as in ``plain_text``."""
    from jinja2 import Environment

    template = Environment(autoescape=True, finalize=finalize).from_string(_TEMPLATE)
    return template.render(title=title, tables=tables, sentences=sentences)
