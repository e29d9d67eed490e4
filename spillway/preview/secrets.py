"""Nothing secret leaves a preview: values are masked by what the engine says, what they are called, how they look.

The engine writes `[secret]` for what it knows to be secret. Beyond that a value is hidden when its name says so
(`password`, `token`, `connectionString`), when it looks like a key of a known kind (PEM, an AWS key id, a token of
GitHub or Hugging Face, a JSON web token), or when it is a value of this process's own environment whose name says so.
User data and start scripts are never shown: their length is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from cost.plan.preview import SECRET, UNKNOWN

HIDDEN: Final = "[hidden]"
LATER: Final = "known after the deployment"
NAMES: Final = re.compile(
    r"(pass(word|wd|phrase)?$|secret(value|string|data|binary|accesskey)?$|token$|private.?key|credentials?$|api.?keys?$|"
    r"access.?key|connection.?string|shared.?key|signature$|auth(orization)?$|cookie|client.?secret|pem$|sas$)",
    re.I,
)
"""Names of properties and settings whose value is nobody's to read."""
NOT_SECRET: Final = re.compile(
    r"(secret.?id|secret.?name|secret.?url|token.?audience|sort.?key|public.?key|key.?name)$", re.I
)
SCRIPTS: Final = re.compile(
    r"^(user.?data(base64)?|custom.?data|metadata|startup.?script|metadata.?startup.?script)$", re.I
)
LOOKS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.{0,10000}?(-----END [A-Z ]*PRIVATE KEY-----|\Z)",
        r"\b(AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\b",
        r"\bgh[pousr]_[A-Za-z0-9]{30,}\b",
        r"\bgithub_pat_[A-Za-z0-9_]{30,}\b",
        r"\bglpat-[A-Za-z0-9_-]{20,}\b",
        r"\bhf_[A-Za-z0-9]{20,}\b",
        r"\bsk-[A-Za-z0-9_-]{20,}\b",
        r"\bpul-[0-9a-f]{40}\b",
        r"\bAIza[A-Za-z0-9_-]{35}\b",
        r"\bya29\.[A-Za-z0-9_-]{20,}",
        r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
        r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
        r"(?i)\b(AccountKey|SharedAccessKey|sig|X-Amz-Signature|X-Goog-Signature)=[A-Za-z0-9%+/=_-]{16,}",
        r"(?i)\b(bearer|basic) [A-Za-z0-9._~+/=-]{16,}",
        r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)",
    )
)
"""What keys look like, each with a shape of its own; entropy alone would hide every checksum."""
SHORT: Final = 8
"""Values of the environment that are shorter are words, and would be hidden wherever the word stands."""


class Masker:
    """Masks values by their path, and texts by what stands in them. off: shows all, to prove that tests notice."""

    def __init__(self, known: Iterable[str] = (), *, off: bool = False) -> None:
        self.off = off
        self.known = sorted({one for one in known if len(one) >= SHORT}, key=lambda one: (-len(one), one))

    @classmethod
    def of(cls, environment: Mapping[str, str] | None = None) -> Masker:
        """With the secrets of an environment, by the names of its variables."""
        told = os.environ if environment is None else environment
        return cls(value for name, value in told.items() if _secret_name(name))

    def text(self, text: str) -> str:
        """A text with everything that looks like a key hidden."""
        if self.off:
            return text
        for one in self.known:
            text = text.replace(one, HIDDEN)
        for look in LOOKS:
            text = look.sub(HIDDEN, text)
        return text

    def value(self, value: Any, path: tuple[str | int, ...]) -> str:
        """A single value as it may be shown, in one line."""
        if value == UNKNOWN:
            return LATER
        if self.off:
            return one_line(value)
        if value == SECRET:
            return SECRET
        named = [str(part) for part in path if isinstance(part, str)]
        if any(SCRIPTS.search(name) for name in named):
            return f"[{len(str(value)):,} characters]"
        if isinstance(value, bool | int | float) or value is None:
            return one_line(value)
        if any(_secret_name(name) for name in named[-2:]):
            return HIDDEN
        return self.text(one_line(value))

    def leaves(self, value: Any, path: tuple[str | int, ...] = ()) -> Any:
        """A whole document with every leaf masked, in the same shape."""
        if self.off:
            return value
        if isinstance(value, Mapping):
            if "name" in value and "value" in value and _secret_name(str(value["name"])):
                return {**value, "value": HIDDEN}
            return {key: self.leaves(one, (*path, str(key))) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.leaves(one, (*path, index)) for index, one in enumerate(value)]
        if isinstance(value, str):
            return self.value(value, path)
        return value


def _secret_name(name: str) -> bool:
    plain = name.replace("-", "").replace("_", "")
    return bool(NAMES.search(plain)) and not NOT_SECRET.search(plain)


def one_line(value: Any) -> str:
    """A value in one line; texts as they are."""
    if isinstance(value, str):
        return " ".join(value.split()) or '""'
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
