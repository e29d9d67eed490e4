"""A report as one HTML page: no script, nothing fetched; light and dark, narrow and wide, on paper, read aloud.

What comes as `Html` is written as it is, every other text is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final, Literal

from spillway import looks
from spillway.looks import Look

_TAG: Final = re.compile(r"<[^>]*>")


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


STYLE: Final = """
*{box-sizing:border-box}html{scroll-padding-top:1rem;-webkit-text-size-adjust:100%}
body{font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;color:var(--ink);background:var(--paper);
margin:0 auto;max-width:1280px;padding:1.4rem 1.6rem 4rem}
h1{font-size:1.75rem;line-height:1.2;margin:.1rem 0 .4rem;letter-spacing:-.01em}
h2{font-size:1.25rem;line-height:1.3;margin:2.6rem 0 .5rem;padding-top:.7rem;border-top:2px solid var(--ink)}
h3{font-size:1.02rem;margin:1.5rem 0 .25rem}h4{font-size:.95rem;margin:1rem 0 .15rem}
p{max-width:52rem;margin:.35rem 0 .6rem}a{color:var(--k1)}.soft{color:var(--soft)}.small{font-size:.87rem}
p.small{max-width:76rem}.lead{font-size:1.06rem;max-width:76rem}
.bad{color:var(--bad);font-weight:600}.good{color:var(--good);font-weight:600}
nav{font-size:.9rem;margin:.6rem 0}nav a{margin-right:1rem;white-space:nowrap;display:inline-block;padding:.1rem 0}
.scroll{overflow-x:auto;margin:.4rem 0 .8rem}
table{border-collapse:collapse;font-size:.87rem;font-variant-numeric:tabular-nums}
.caption{color:var(--soft);margin:.9rem 0 0;font-size:.87rem;max-width:none}.caption+.scroll{margin-top:0}
th,td{padding:.28rem .7rem .28rem 0;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}
td:not(.w){white-space:nowrap}td.w{min-width:9rem}td.w:first-of-type{min-width:13rem}
thead th{vertical-align:bottom;border-bottom:1.5px solid var(--soft);font-weight:600}
th.n,td.n{text-align:right}tbody th{font-weight:600;min-width:6rem}th .soft{font-weight:400}
tr.mine>*{background:var(--card)}
figure{margin:.7rem 0 1.1rem;break-inside:avoid}figcaption{font-weight:600;font-size:.93rem;margin-bottom:.15rem}
figcaption span{font-weight:400;color:var(--soft)}
.legend{list-style:none;margin:.3rem 0 .5rem;padding:0;display:flex;flex-wrap:wrap;gap:.15rem 1.1rem;font-size:.84rem}
.legend li{display:flex;align-items:center;gap:.4rem}.legend svg{flex:none}
details{margin:.2rem 0 .8rem}summary{cursor:pointer;color:var(--k1);font-size:.87rem;padding:.15rem 0}
pre{font:12.5px/1.45 ui-monospace,monospace;background:var(--card);padding:.8rem 1rem;overflow-x:auto;margin:.4rem 0}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(17rem,1fr));gap:1rem;margin:1rem 0}
.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.8rem 1rem .7rem;break-inside:avoid}
.card h3{margin:0 0 .4rem;font-size:.95rem}.card p{margin:.3rem 0 0;font-size:.87rem}
.card dl{display:grid;grid-template-columns:1fr auto;gap:.1rem .8rem;margin:.5rem 0 0;font-size:.87rem}
.card dt{color:var(--soft)}.card dd{margin:0;text-align:right;font-variant-numeric:tabular-nums}
.big{font-size:1.7rem;font-weight:650;line-height:1.15;font-variant-numeric:tabular-nums;letter-spacing:-.01em}
.big small{font-size:.87rem;font-weight:400;color:var(--soft);letter-spacing:0}
.note{border-left:4px solid var(--k2);background:var(--card);padding:.5rem .9rem;margin:.8rem 0;max-width:none}
.note p{max-width:none;margin:.15rem 0}
.tag{display:inline-block;border:1px solid var(--soft);border-radius:3px;padding:0 .35rem;font-size:.78rem;
white-space:nowrap}
@media (max-width:560px){body{padding:1rem .9rem 3rem}h1{font-size:1.4rem}.big{font-size:1.45rem}
td,th{padding-right:.55rem}}
@media print{@page{margin:13mm 12mm}body{max-width:none;padding:0;zoom:.74}nav,.screen{display:none}
h2,h3,h4,.caption,figcaption,summary{break-after:avoid}tr,li,.note{break-inside:avoid}.scroll{overflow:visible}
thead{display:table-header-group}a{color:inherit;text-decoration:none}pre{white-space:pre-wrap}
.page{break-before:page}}
""".strip()


def page(title: str, body: Iterable[str], *, style: str = "", used: Sequence[Look] = ()) -> str:
    """The whole page, with the textures that its charts name. style: CSS of the report's own, which may name the
    textures of the looks in `used`."""
    inner = "\n".join(body)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{looks.STYLE}\n{STYLE}\n{style}</style>\n</head>\n<body>\n"
        f"{looks.textures(inner + ' '.join(one.fill for one in used))}\n{inner}\n</body>\n</html>\n"
    )


def text(value: str) -> Html:
    """Markup as it is, anything else escaped."""
    return value if isinstance(value, Html) else Html(escape(value))


def link(words: str, href: str) -> Html:
    return Html(f'<a href="{escape(href)}">{text(words)}</a>')


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    caption: str = "",
    words: int = 1,
    mine: Iterable[int] = (),
) -> Html:
    """A table that scrolls by itself where it is too wide. words: so many columns from the left are words, the rest
    figures; the first names its row. mine: rows that stand out."""
    marked = set(mine)

    def cell(value: str, column: int) -> str:
        kind = "n" if column >= words else "w" if len(_TAG.sub("", value)) > 24 else ""
        return f"<td{f' class={kind}' if kind else ''}>{text(value)}</td>"

    head = "".join(
        f'<th scope="col"{"" if column < words else " class=n"}>{text(one)}</th>' for column, one in enumerate(heads)
    )
    lines = []
    for index, row in enumerate(rows):
        first = f'<th scope="row">{text(row[0])}</th>'
        rest = "".join(cell(one, column) for column, one in enumerate(row[1:], 1))
        lines.append(f"<tr{' class=mine' if index in marked else ''}>{first}{rest}</tr>")
    # Not in the table: there it would be as wide, and cut where the table scrolls.
    told = f'<p class="caption">{text(caption)}</p>' if caption else ""
    # A region that can be focused, so that who has no mouse can scroll it too.
    label = escape(caption or " / ".join(heads[:2]))
    return Html(
        f'{told}<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def details(summary: str, inner: str, *, opened: bool = False) -> Html:
    """What unfolds; on paper it is as it was left."""
    return Html(f"<details{' open' if opened else ''}><summary>{text(summary)}</summary>{text(inner)}</details>")


def figure(caption: str, inner: str, *, ident: str = "") -> Html:
    """Charts with a caption above."""
    name = f' id="{escape(ident)}"' if ident else ""
    return Html(f"<figure{name}><figcaption>{text(caption)}</figcaption>{inner}</figure>")


def legend(entries: Sequence[tuple[Look, str, Literal["area", "line", "mark"]]]) -> Html:
    """What looks mean, as a list that wraps where there is no room."""
    items = (f"<li>{looks.swatch(style, kind)} {text(label)}</li>" for style, label, kind in entries)
    return Html(f'<ul class="legend">{"".join(items)}</ul>')


def slug(words: str) -> str:
    """Of an anchor: letters, digits and `-`."""
    return "-".join("".join(letter if letter.isalnum() else " " for letter in words.lower()).split())
