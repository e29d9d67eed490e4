"""A certificate chain with its key, as one PEM text from the store; judged before nginx gets it.

https://www.rfc-editor.org/rfc/rfc7468 (PEM). What the text holds is never part of a message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from itertools import pairwise
from typing import Any, Final

_BLOCK: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----\s.*?-----END \1-----", re.DOTALL)


class NotAPair(ValueError):
    """A text that nginx could not serve; the message says why, without a word of the text."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What nginx reads. certificate: the chain, leaf first. since, until: of the whole chain. names: of the leaf."""

    certificate: bytes
    key: bytes = field(repr=False)
    since: datetime
    until: datetime
    names: tuple[str, ...]

    def expired(self, now: datetime) -> bool:
        """Whether clients refuse it for its date."""
        return self.until <= now


def parse(text: str) -> Pair:
    """The pair in a text: certificates in order, and one key. Raises NotAPair."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    blocks = [(match[1], match[0].encode("ascii", "replace")) for match in _BLOCK.finditer(text)]
    certificates = [data for kind, data in blocks if kind == "CERTIFICATE"]
    keys = [(kind, data) for kind, data in blocks if kind.endswith("PRIVATE KEY")]
    if not certificates:
        raise NotAPair("no certificate in it")
    if len(keys) != 1:
        raise NotAPair(f"{len(keys) or 'no'} private key{'s' if len(keys) > 1 else ''} in it, one is wanted")
    if "ENCRYPTED" in keys[0][0] or b"ENCRYPTED" in keys[0][1]:
        raise NotAPair("its key has a passphrase, which no node knows")
    try:
        chain = [x509.load_pem_x509_certificate(data + b"\n") for data in certificates]
        names = _names(chain[0])
    except (ValueError, x509.DuplicateExtension):
        raise NotAPair("a damaged certificate") from None
    try:
        key: Any = serialization.load_pem_private_key(keys[0][1] + b"\n", None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise NotAPair("a damaged private key") from None
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != chain[0].public_key().public_bytes(*form):
        raise NotAPair("the private key is another certificate's")
    for earlier, later in pairwise(chain):
        if earlier.issuer != later.subject:
            raise NotAPair("the chain is out of order")
    pem = serialization.Encoding.PEM
    return Pair(
        b"".join(one.public_bytes(pem) for one in chain),
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        max(one.not_valid_before_utc for one in chain),
        min(one.not_valid_after_utc for one in chain),
        names,
    )


def _names(leaf: Any) -> tuple[str, ...]:
    from cryptography import x509

    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()  # clients look at no other place: https://www.rfc-editor.org/rfc/rfc9525#section-6.3
    return (
        *found.get_values_for_type(x509.DNSName),
        *(str(one) for one in found.get_values_for_type(x509.IPAddress)),
    )


def covers(names: tuple[str, ...], host: str) -> bool:
    """Whether a certificate with these names is good for a host: itself, or `*` for its first label.

    https://www.rfc-editor.org/rfc/rfc9525#section-6.3
    """
    host = host.lower().rstrip(".")
    lower = {name.lower().rstrip(".") for name in names}
    if host in lower:
        return True
    try:
        ip_address(host)
    except ValueError:
        head, _, rest = host.partition(".")
        return bool(head and rest) and f"*.{rest}" in lower
    return False


def fault(pair: Pair, host: str, now: datetime) -> str:
    """Why a pair must not replace another; empty when it may. An expired one is judged by the caller."""
    if not covers(pair.names, host):
        return f"not for {host}: it has {len(pair.names)} other name{'' if len(pair.names) == 1 else 's'}"
    if pair.since > now:
        return f"valid only from {_date(pair.since)}"
    return ""


def expired_text(pair: Pair) -> str:
    """When it ended."""
    return f"expired on {_date(pair.until)}"


def _date(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
