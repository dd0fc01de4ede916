"""The layout that all pages share: one self-contained HTML file that loads nothing and contains no scripts.

Texts that come from a user or a file are escaped here.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from string import Template

import numpy as np
from matplotlib.figure import Figure

from cellfields import __version__
from cellfields.evaluation.figures.style import image_bytes, png_data_uri

_PIXELS_PER_INCH = 80


def page(title: str, heading: str, lead: str, body: str) -> str:
    """HTML of a whole page.

    Args:
        title, heading, lead: texts, which are escaped: the window's title, the headline, and the paragraph below it.
        body: HTML of everything else.
    """
    footer = (
        f"cellfields {__version__}, Python {platform.python_version()}, NumPy {np.__version__}, "
        f"{platform.system()} {platform.machine()}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    )
    texts = {"title": title, "heading": heading, "lead": lead, "footer": footer}
    return _PAGE.substitute({name: escape(text) for name, text in texts.items()}, body=body)


def section(heading: str, content: str, note: str = "") -> str:
    """HTML of a box with a heading; ``content`` is HTML, heading and ``note`` are texts."""
    remark = f'\n<p class="note">{escape(note)}</p>' if note else ""
    return f"<section>\n<h2>{escape(heading)}</h2>\n{content}{remark}\n</section>"


def figure_box(figure: Figure, title: str, caption: str, png: bytes | None = None) -> str:
    """HTML of a box with a figure; ``png`` is the figure's picture, where it has been made already."""
    width = round(_PIXELS_PER_INCH * figure.get_figwidth())  # letters have the same size in all figures
    source = png_data_uri(image_bytes(figure) if png is None else png)
    return (
        f"<figure><h2>{escape(title)}</h2>"
        f'<img src="{source}" alt="{escape(title)}" style="width:{width}px">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], numeric_from: int) -> str:
    """HTML of a table of texts; columns from index ``numeric_from`` on are right-aligned."""

    def cells(tag: str, texts: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=n' if i >= numeric_from else ''}>{escape(text)}</{tag}>" for i, text in enumerate(texts)
        )

    head = f"<thead><tr>{cells('th', columns)}</tr></thead>" if any(columns) else ""
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f'<div class="scroll"><table>{head}<tbody>{body}</tbody></table></div>'


_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; margin: 0;
       color: #1d2329; background: #f6f7f9; }
main { max-width: 1060px; margin: 0 auto; padding: 2.2rem 1.2rem 3rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.15rem; margin: 0 0 .6rem; }
h3 { font-size: .95rem; margin: .2rem 0; font-family: ui-monospace, "DejaVu Sans Mono", monospace; }
section, figure { background: #fff; border: 1px solid #e3e6ea; border-radius: 8px; padding: 1.1rem 1.3rem;
                  margin: 1.1rem 0; }
figure img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
figcaption, .note { color: #5a646e; font-size: .9rem; margin-top: .6rem; }
.lead { color: #3a434c; max-width: 46rem; margin: 0; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(175px, 1fr)); gap: .8rem; margin: 1.3rem 0 0; }
.card { background: #fff; border: 1px solid #e3e6ea; border-top: 3px solid #0072b2; border-radius: 8px;
        padding: .9rem 1rem; }
.card .what { font-weight: 600; }
.card .badge { display: table; margin-top: .2rem; }
.card.good { border-top-color: #1a7f4b; }
.card.caution { border-top-color: #b26a00; }
.card.bad { border-top-color: #b3261e; }
.card.not-checked { border-top-color: #8b959e; }
.badge { display: inline-block; border-radius: 4px; padding: .05rem .45rem; font-size: .8rem; font-weight: 600;
         white-space: nowrap; }
.badge.good { color: #0f5c35; background: #dff3e7; }
.badge.caution { color: #744400; background: #fdeecd; }
.badge.bad { color: #8c1d18; background: #fbe1df; }
.badge.not-checked { color: #4a545d; background: #e9ecef; }
.verdict { border-left-width: 6px; }
.verdict.good { border-left-color: #1a7f4b; }
.verdict.caution { border-left-color: #b26a00; }
.verdict.bad { border-left-color: #b3261e; }
.verdict ul { margin: .2rem 0 .8rem; padding-left: 1.2rem; }
summary { cursor: pointer; font-weight: 600; margin-bottom: .4rem; }
.card .value { font-size: 1.9rem; font-variant-numeric: tabular-nums; line-height: 1.3; }
.card .value span { font-size: 1rem; color: #5a646e; }
.card .against { color: #5a646e; font-size: .88rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; width: 100%; }
th, td { text-align: left; padding: .32rem .7rem .32rem 0; border-bottom: 1px solid #eceef1; vertical-align: top; }
th { color: #5a646e; font-weight: 600; border-bottom-color: #cfd5db; }
th.n, td.n { text-align: right; font-variant-numeric: tabular-nums; }
td.n, td:first-child { white-space: nowrap; }
th.n { max-width: 7.5rem; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(290px, 1fr)); gap: 1.6rem; }
.columns > div { min-width: 0; }
footer { color: #7b858f; font-size: .82rem; margin-top: 1.5rem; }
</style>
</head>
<body>
<main>
<h1>$heading</h1>
<p class="lead">$lead</p>
$body
<footer>$footer</footer>
</main>
</body>
</html>
""")
