"""Value rules that many types share. Each yields `Fault`s for known values only; absent and unknown values pass."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Collection, Iterator

from sandbox.kinds import Args, Fault
from sandbox.values import UNKNOWN


def shown(value: object) -> str:
    """A value as an error line shows it: JSON, cut at 60 characters."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def between(args: Args, pattern: str, low: float, high: float, unit: str = "") -> Iterator[Fault]:
    """Numbers within [low, high]."""
    for path, value in args.at(pattern):
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            yield Fault(path, f"expected {low:,} to {high:,}{' ' + unit if unit else ''}, got {shown(value)}")


def one_of(args: Args, pattern: str, allowed: Collection[str | int | bool]) -> Iterator[Fault]:
    """Values out of a fixed list."""
    for path, value in args.at(pattern):
        if value not in allowed:
            yield Fault(path, f"expected one of {', '.join(map(str, allowed))}; got {shown(value)}")


def matches(args: Args, pattern: str, regex: str, what: str) -> Iterator[Fault]:
    """Strings that match a regular expression as a whole; `what` says it in words."""
    compiled = re.compile(regex)
    for path, value in args.at(pattern):
        if not isinstance(value, str) or not compiled.fullmatch(value):
            yield Fault(path, f"expected {what}, got {shown(value)}")


def length(args: Args, pattern: str, low: int, high: int) -> Iterator[Fault]:
    """Strings, lists and maps by their length."""
    for path, value in args.at(pattern):
        if hasattr(value, "__len__") and not low <= len(value) <= high:
            yield Fault(path, f"expected a length of {low} to {high}, got {len(value)}")


def conflicting(args: Args, *keys: str) -> Iterator[Fault]:
    """At most one of the properties may be set. What is not known yet may turn out to be nothing: it conflicts with
    nothing, as in the provider's own framework
    (https://github.com/hashicorp/terraform-plugin-sdk, validateConflictingAttributes in helper/schema/schema.go).
    """
    present = [key for key in keys if key in args and args[key] is not UNKNOWN]
    for key in present[1:]:
        yield Fault(key, f"conflicts with {present[0]}: only one of {', '.join(keys)} may be set")


def exactly_one(args: Args, *keys: str) -> Iterator[Fault]:
    """One of the properties, and only one, must be set."""
    if not any(key in args for key in keys):
        yield Fault(keys[0], f"one of {', '.join(keys)} must be set")
    yield from conflicting(args, *keys)


def requires(args: Args, key: str, *others: str) -> Iterator[Fault]:
    """A property that needs others beside it."""
    if key in args:
        for other in others:
            if other not in args:
                yield Fault(key, f"needs {other} to be set as well")


def cidr(args: Args, pattern: str, *, narrowest: int = 32, widest: int = 0) -> Iterator[Fault]:
    """IPv4 networks in canonical form, with a prefix between `widest` and `narrowest`."""
    for path, value in args.at(pattern):
        try:
            network = ipaddress.IPv4Network(value)
        except (ValueError, TypeError) as error:
            yield Fault(path, f"expected an IPv4 network such as 10.0.0.0/16, got {shown(value)} ({error})")
            continue
        if not widest <= network.prefixlen <= narrowest:
            yield Fault(path, f"expected a prefix of /{widest} to /{narrowest}, got {value}")


def json_document(args: Args, pattern: str) -> Iterator[Fault]:
    """JSON objects written as text."""
    for path, value in args.at(pattern):
        try:
            document = json.loads(value)
        except (ValueError, TypeError) as error:
            yield Fault(path, f"expected a JSON document: {error}")
            continue
        if not isinstance(document, dict):
            yield Fault(path, f"expected a JSON object, got {shown(document)}")
