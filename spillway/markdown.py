"""Markdown that reports are made of, with nothing of a text taken for markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> str:
    """words: so many columns from the left are words, the rest figures."""
    lines = ["| " + " | ".join(heads) + " |"]
    lines.append("|" + "|".join("---" if column < words else "---:" for column in range(len(heads))) + "|")
    lines += ["| " + " | ".join(plain(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def plain(text: str) -> str:
    """Nothing in it is markup: no cell ends early, no tag begins, no line breaks."""
    for sign in ("\\", "|", "<", "*", "_", "`", "["):
        text = text.replace(sign, "\\" + sign)
    return " ".join(text.split())
