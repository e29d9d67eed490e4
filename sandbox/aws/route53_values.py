"""What the values of a record look like, by its type.

https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/ResourceRecordTypes.html
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from sandbox.aws.route53_names import is_hostname

TYPES: Final = (
    "SOA", "A", "TXT", "NS", "CNAME", "MX", "NAPTR", "PTR", "SRV", "SPF", "AAAA", "CAA", "DS", "TLSA", "SSHFP",
    "SVCB", "HTTPS",
)  # fmt: skip
MAX_VALUE: Final = 4000
MAX_VALUES: Final = 400
"""Values of one record (https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html)."""
_STRING: Final = 255
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_SERVICE_KEY: Final = re.compile(r'[a-z0-9-]{1,63}(?:=(?:"[^"]*"|[^\s"]+))?')


def _number(text: str, bits: int) -> bool:
    return re.fullmatch(r"\d{1,10}", text) is not None and int(text) < 2**bits


def _ipv4(value: str) -> str:
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        return "expected an IPv4 address such as 192.0.2.10"
    return ""


def _ipv6(value: str) -> str:
    try:
        address = ipaddress.IPv6Address(value)
    except ValueError:
        return "expected an IPv6 address such as 2001:db8::1"
    return "expected an IPv6 address without a scope" if address.scope_id else ""


def _host(value: str) -> str:
    return "" if is_hostname(value) else "expected a domain name such as host.example.com"


def _mx(value: str) -> str:
    fields = value.split()
    if len(fields) == 2 and _number(fields[0], 16) and (fields[1] == "." or is_hostname(fields[1])):
        return ""
    return "expected a priority of 0 to 65,535 and a host, as in 10 mail.example.com"


def _srv(value: str) -> str:
    fields = value.split()
    if len(fields) == 4 and all(_number(f, 16) for f in fields[:3]) and (fields[3] == "." or is_hostname(fields[3])):
        return ""
    return "expected priority, weight, port and host, as in 1 10 5269 host.example.com"


def _caa(value: str) -> str:
    match = re.fullmatch(r'(\d{1,3})\s+([a-z0-9]+)\s+"([^"]*)"', value)
    if match is None or int(match.group(1)) > 255:
        return 'expected flags of 0 to 255, a tag and a quoted value, as in 0 issue "ca.example.com"'
    return ""


def _text(value: str) -> str:
    """The provider adds the outer quotation marks itself; several strings are written `one" "two`
    (https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/route53/record.go)."""
    if len(value) >= 2 and value.startswith('"') and value.endswith('"'):
        return "expected no quotation marks around the text: the provider adds them"
    for part in re.split(r'"\s+"', value):
        if re.search(r'(?<!\\)"', part):
            return 'expected a quotation mark inside the text as \\"; several strings are written one" "two'
        if len(re.sub(r"\\(?:[0-7]{3}|.)", "x", part)) > _STRING:
            return f'expected strings of at most {_STRING} characters; a longer text is several strings: one" "two'
        if any(ord(c) < 32 or ord(c) > 126 for c in part):
            return "expected printable ASCII characters; others are written as octal codes such as \\344"
    return ""


def _naptr(value: str) -> str:
    match = re.fullmatch(r'(\d+)\s+(\d+)\s+"([A-Za-z0-9]*)"\s+"([^"]*)"\s+"([^"]*)"\s+(\S+)', value)
    if match is None or not (_number(match.group(1), 16) and _number(match.group(2), 16)):
        return 'expected order, preference, "flags", "service", "regexp" and replacement'
    return "" if match.group(6) == "." or is_hostname(match.group(6)) else "expected a domain name or . as replacement"


def _soa(value: str) -> str:
    fields = value.split()
    if len(fields) == 7 and all(is_hostname(f) for f in fields[:2]) and all(_number(f, 32) for f in fields[2:]):
        return ""
    return "expected name server, mailbox, serial, refresh, retry, expire and minimum"


def _digest(value: str, head: tuple[int, ...], what: str) -> str:
    """Numbers of so many bits each, then hex digits."""
    fields = value.split(None, len(head))
    numbers, rest = fields[: len(head)], "".join("".join(fields[len(head) :]).split())
    if len(numbers) == len(head) and all(_number(n, bits) for n, bits in zip(numbers, head, strict=True)):
        return "" if _HEX.fullmatch(rest) else f"expected hex digits at the end: {what}"
    return f"expected {what}"


def _service(value: str) -> str:
    fields = value.split()
    if len(fields) < 2 or not _number(fields[0], 16) or not (fields[1] == "." or is_hostname(fields[1])):
        return 'expected a priority and a target, as in 1 host.example.com alpn="h2"'
    if fields[0] == "0" and len(fields) > 2:
        return "a priority of 0 is an alias to the target and has no parameters"
    wrong = next((f for f in fields[2:] if not _SERVICE_KEY.fullmatch(f)), None)
    return f"expected parameters such as alpn=h2, got {wrong}" if wrong else ""


_RULES: Final[Mapping[str, Callable[[str], str]]] = {
    "A": _ipv4,
    "AAAA": _ipv6,
    "CAA": _caa,
    "CNAME": _host,
    "DS": lambda v: _digest(v, (16, 8, 8), "key tag, algorithm, digest type and digest"),
    "HTTPS": _service,
    "MX": _mx,
    "NAPTR": _naptr,
    "NS": _host,
    "PTR": _host,
    "SOA": _soa,
    "SPF": _text,
    "SRV": _srv,
    "SSHFP": lambda v: _digest(v, (8, 8), "algorithm, fingerprint type and fingerprint"),
    "SVCB": _service,
    "TLSA": lambda v: _digest(v, (8, 8, 8), "usage, selector, matching type and data"),
    "TXT": _text,
}
_ONE_VALUE: Final = frozenset(("CNAME", "SOA"))


def value_fault(record_type: str, value: str) -> str:
    """What is wrong with one value of a record of this type, empty when nothing is."""
    if not value:
        return "expected a value, got an empty text"
    if len(value) > MAX_VALUE:
        return f"expected at most {MAX_VALUE:,} characters, got {len(value):,}"
    rule = _RULES.get(record_type)
    return rule(value) if rule else ""


def values_fault(record_type: str, values: Iterable[str]) -> str:
    """What is wrong with the values of one record taken together, empty when nothing is."""
    listed = list(values)
    if not listed:
        return "expected at least one value"
    if len(listed) > MAX_VALUES:
        return f"expected at most {MAX_VALUES} values, got {len(listed)}"
    if record_type in _ONE_VALUE and len(listed) > 1:
        return f"a record of type {record_type} has one value, got {len(listed)}"
    return ""
