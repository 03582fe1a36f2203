"""HTML views for notebooks: a title, small tables and sentences, in the colours of the surrounding page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


def html_view(title: str, tables: Sequence[HtmlTable], sentences: Sequence[str] = ()) -> str:
    """An HTML fragment with a title, tables and sentences; all text is escaped."""
    from jinja2 import Environment

    template = Environment(autoescape=True).from_string(_TEMPLATE)
    return template.render(title=title, tables=tables, sentences=sentences)
