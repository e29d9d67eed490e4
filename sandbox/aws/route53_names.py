"""Domain names as Route 53 and its provider write them: lower case, no trailing dot, odd characters as octal codes.

https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DomainNameFormat.html,
https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/route53/clean.go
"""

from __future__ import annotations

import re
from typing import Final

_PLAIN: Final = re.compile(r"[a-z0-9._-]")
_OCTAL: Final = re.compile(r"\\[0-7]{3}")
_HOST_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
MAX_LABEL: Final = 63
MAX_NAME: Final = 255


def clean_zone_id(value: str) -> str:
    """`Z123` for `/hostedzone/Z123`, which is how the API itself writes the id."""
    return value.removeprefix("/hostedzone/")


def clean_delegation_set_id(value: str) -> str:
    return value.removeprefix("/delegationset/")


def normalized(name: str) -> str:
    """The API's form of a name, without the trailing dot: `WWW.Example.com.` -> `www.example.com`. A `*` stands for
    itself as the whole leftmost label, and is `\\052` anywhere else."""
    text = name.removesuffix(".")
    out: list[str] = []
    position = 0
    while position < len(text):
        character = text[position]
        escape = _OCTAL.match(text, position)
        if escape is not None:
            out.append(escape.group(0))
            position = escape.end()
            continue
        lowered = character.lower() if character.isascii() else character
        if _PLAIN.fullmatch(lowered):
            out.append(lowered)
        elif character == "*" and position == 0 and text[1:2] == ".":
            out.append("*")
        else:
            out.extend(f"\\{byte:03o}" for byte in character.encode())
        position += 1
    return with_wildcard("".join(out))


def with_wildcard(name: str) -> str:
    """`*.example.com` for `\\052.example.com`: both are the wildcard, and the provider shows the first."""
    return f"*.{name.removeprefix(chr(92) + '052.')}" if name.startswith("\\052.") else name


def as_stored(name: str) -> str:
    """The name as the API's answers and messages write it: with a trailing dot, the wildcard as an octal code."""
    text = f"\\052.{name.removeprefix('*.')}" if name.startswith("*.") else name
    return f"{text}."


def expanded(name: str, zone: str) -> str:
    """The full name of a record: the provider appends the zone's name to any that does not end in it, as text, so that
    `www` and `llm.example.org` in the zone example.com become `www.example.com` and `llm.example.org.example.com`,
    and `notexample.com` stays what it is (and is then refused by the API)."""
    own, home = normalized(name), normalized(zone)
    if own.endswith(home):
        return own
    return with_wildcard(f"{own}.{home}") if own else home


def is_within(name: str, zone: str) -> bool:
    """Whether a full name is the zone's apex or below it."""
    return name == zone or name.endswith(f".{zone}")


def name_fault(name: str) -> str:
    """What is wrong with a domain name, empty when nothing is: labels of 1 to 63 characters, 255 in all, no spaces."""
    text = name.removesuffix(".")
    if not text or len(_OCTAL.sub("x", text)) > MAX_NAME:
        return f"expected a domain name of 1 to {MAX_NAME} characters"
    for label in text.split("."):
        if not label:
            return "the domain name has an empty label"
        if len(_OCTAL.sub("x", label)) > MAX_LABEL:
            return f"expected labels of at most {MAX_LABEL} characters"
    if not text.isascii():
        return "expected an internationalized name in its ASCII form (xn--...)"
    if any(character.isspace() or not character.isprintable() for character in text):
        return "a domain name has no spaces"
    return ""


def is_hostname(value: object, *, wildcard: bool = False) -> bool:
    """Whether a value names a host: letters, digits, hyphens and underscores, a final dot allowed."""
    if not isinstance(value, str) or not value.isascii():
        return False
    text = value.lower().removesuffix(".")
    if wildcard:
        text = text.removeprefix("*.")
    return 0 < len(text) <= MAX_NAME and all(_HOST_LABEL.fullmatch(label) for label in text.split("."))
