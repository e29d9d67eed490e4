"""Faults of a stack file: one line each, naming file, key, value and what is allowed.

The engine prints a program's errors as they come, so a fault is made to be read alone: no stack trace, no reference to
another line, no characters that a terminal or a JSON diagnostic could mangle. Pure text; knows nothing of pydantic.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from spillway.errors import SpillwayError

Path = tuple[str | int, ...]

MAX_VALUE: Final = 80
_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_:/-]+")
_LOOKS_OTHER: Final = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?(e[-+]?[0-9]+)?|true|false|null|~", re.IGNORECASE)
"""Texts that would be something else without their quotes, and are shown with them."""
_ABSENT: Final = object()
HIDDEN: Final = object()
"""Stands for a value that must not be printed because it may be a secret."""


class AsWritten(str):
    """A value of the file in its own spelling, shown without quotes: 2.0, where a whole number is wanted."""


class NotFound(Exception):
    """Something that the stack file names is not in the account, or of no use to it; the text is one line that begins
    with the key."""


class ConfigError(SpillwayError):
    """Everything that is wrong with one or more stack files; `lines` holds one complete sentence per fault."""

    def __init__(self, lines: Iterable[str]) -> None:
        super().__init__(*lines)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: where (path below the file's root), what stands there, and what would be right."""

    path: Path
    allowed: str
    value: Any = _ABSENT

    def below(self, *prefix: str | int) -> Fault:
        """The same fault seen from further up: its path begins with `prefix`."""
        return Fault((*prefix, *self.path), self.allowed, self.value)

    def line(self, file: str) -> str:
        """`FILE: KEY = VALUE: WHAT IS ALLOWED`, always a single line of printable ASCII but for the text itself."""
        parts = [file]
        if self.path:
            key = dotted(self.path)
            parts.append(key if self.value is _ABSENT else f"{key} = {shown(self.value)}")
        elif self.value is not _ABSENT:
            parts.append(shown(self.value))
        parts.append(self.allowed)
        return ": ".join(parts)


def dotted(path: Path) -> str:
    """`('spillway:region', 'pools', 'types', 1)` -> `spillway:region.pools.types[1]`; odd keys are quoted."""
    out = ""
    for step in path:
        if isinstance(step, int):
            out += f"[{step}]"
            continue
        text = step if _PLAIN_KEY.fullmatch(step) else json.dumps(step)
        out += f".{text}" if out else text
    return out


def key_text(key: object) -> str:
    """A key of any type as text; str() of an integer above 4300 digits would be refused."""
    return key if isinstance(key, str) else shown(key)


def shown(value: Any) -> str:
    """A value as a person wrote it, cut to MAX_VALUE characters; maps and long lists by their size only."""
    if value is HIDDEN:
        return "<not shown>"
    if isinstance(value, dict):
        return "{}" if not value else f"<a map of {len(value)} key{'s' if len(value) > 1 else ''}>"
    if isinstance(value, (list, tuple)):
        text = "[" + ", ".join(shown(item) for item in value[:8]) + (", ...]" if len(value) > 8 else "]")
    elif value is None:
        text = "null"
    elif isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, (AsWritten, date)):  # a date is what YAML makes of 2025-01-20 without quotes
        text = str(value)
    elif isinstance(value, str):
        plain = re.fullmatch(r"[!-~]+( [!-~]+)*", value) and not _LOOKS_OTHER.fullmatch(value)
        text = value if plain else json.dumps(value)
    elif isinstance(value, int) and value.bit_length() > 4096:
        text = "<a very large number>"  # str() of it is refused by Python above 4300 digits
    elif isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        text = str(int(value))
    else:
        text = str(value) if isinstance(value, (int, float)) else json.dumps(str(value))
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 3] + "..."


def listed(values: Iterable[object], word: str = "or") -> str:
    """`a, b or c`: the allowed values of a choice; with `word="and"` everything of a list."""
    words = [str(value) for value in values]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {word} {words[-1]}"


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """` (did you mean X?)` when a known word is close, otherwise an empty text."""
    if not isinstance(word, str):
        return ""
    import difflib  # only on the way to an error: every preview pays for what is imported at the top

    names = list(known)
    by_lower = {name.lower(): name for name in names}
    close = difflib.get_close_matches(word.lower(), by_lower, n=3, cutoff=0.6)
    # Swapped letters are the likeliest fault of all, and difflib does not know them: esat is east, not west.
    close.sort(key=lambda name: sorted(name) != sorted(word.lower()))
    return f" (did you mean {by_lower[close[0]]}?)" if close else ""


def reason(error: Exception) -> str:
    """The provider's own words on one line, without the SDK's preamble."""
    text = " ".join(str(error).split())
    return text.rsplit("returned an error: ", 1)[-1]
