"""A certificate with its chain and key: read from files, judged, and written the one way that nodes read it.

The text is a sequence of PEM blocks (https://www.rfc-editor.org/rfc/rfc7468): the certificate of the service name, the
intermediates in order, the key. What the blocks hold is never part of a message.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from spillway.preflight.secret_checks import EXPIRES_SOON, certificate_names, covers, pem_blocks

RSA_BITS_MIN: Final = 2048
"""https://cabforum.org/working-groups/server/baseline-requirements/requirements/ 6.1.5; OpenSSL's default security
level refuses less, too."""
_WEAK: Final = frozenset(("md5", "sha1"))
CURVES: Final = ("secp256r1", "secp384r1", "secp521r1")
SOON: Final[timedelta] = EXPIRES_SOON

Severity = Literal["failure", "warning"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a certificate: a failure keeps clients out, a warning will or may."""

    severity: Severity
    text: str


class NotPem(ValueError):
    """A text that is not a certificate with its key; the message says why, without a word of the text."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate chain, leaf first, and the key of the leaf."""

    chain: tuple[x509.Certificate, ...]
    key: Any = field(repr=False)

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate of the service name."""
        return self.chain[0]

    @property
    def expires(self) -> datetime:
        """The earliest end in the chain: from then on some client refuses it."""
        return min(one.not_valid_after_utc for one in self.chain)

    @property
    def names(self) -> list[str]:
        """Host names and addresses of the certificate."""
        return certificate_names(self.leaf)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the leaf, as `openssl x509 -fingerprint -sha256` has it, in lower case without colons."""
        return hashlib.sha256(self.leaf.public_bytes(Encoding.DER)).hexdigest()

    def text(self) -> str:
        """The one PEM text of this pair: leaf, intermediates, key as PKCS #8; nothing between the blocks."""
        blocks = [one.public_bytes(Encoding.PEM) for one in self.chain]
        blocks.append(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return b"".join(blocks).decode("ascii")


def parse(*texts: str) -> Pair:
    """The pair in one or several texts: certificates in the order they come, and exactly one key anywhere among them.

    A JSON object of PEM texts is read as well. Raises NotPem.
    """
    blocks = [block for text in texts for block in pem_blocks(text)]
    chain = tuple(_certificate(data) for kind, data in blocks if kind == "CERTIFICATE")
    keys = [(kind, data) for kind, data in blocks if kind.endswith("PRIVATE KEY")]
    if not chain:
        raise NotPem("no certificate in it (-----BEGIN CERTIFICATE-----)")
    if not keys:
        raise NotPem("no private key in it (-----BEGIN PRIVATE KEY-----)")
    if len(keys) > 1:
        raise NotPem(f"{len(keys)} private keys in it, one is wanted")
    return Pair(chain, _key(*keys[0]))


def _certificate(data: bytes) -> x509.Certificate:
    try:
        found = x509.load_pem_x509_certificate(data)
        certificate_names(found)  # extensions are only decoded when they are asked for
    except (ValueError, x509.DuplicateExtension):
        raise NotPem("a damaged certificate") from None
    return found


def _key(kind: str, data: bytes) -> Any:
    if kind == "ENCRYPTED PRIVATE KEY" or b"ENCRYPTED" in data.split(b"\n\n", 1)[0]:
        raise NotPem("a key with a passphrase, which no node knows: openssl pkey -in KEY -out PLAIN takes it off")
    try:
        return load_pem_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise NotPem("a damaged private key, or one of an unknown kind") from None


def faults(pair: Pair, hosts: Sequence[str], now: datetime) -> Iterator[Fault]:
    """Everything that is wrong with a pair that has to serve `hosts`; failures and warnings mixed."""
    yield from _key_faults(pair)
    yield from _date_faults(pair, now)
    names = pair.names
    missing = [host for host in dict.fromkeys(hosts) if not covers(names, host)]
    if missing:
        told = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        yield Fault("failure", f"not for {', '.join(missing)}: its names are {told or 'none'}")
    yield from _use_faults(pair.leaf)
    yield from _chain_faults(pair.chain)


def _key_faults(pair: Pair) -> Iterator[Fault]:
    def der(public: Any) -> bytes:
        encoded: bytes = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return encoded

    public = pair.leaf.public_key()
    if der(public) != der(pair.key.public_key()):
        if any(der(one.public_key()) == der(pair.key.public_key()) for one in pair.chain[1:]):
            yield Fault("failure", "the key is that of a later certificate: the certificate of the name comes first")
        else:
            yield Fault("failure", "the private key is another certificate's")
    if isinstance(public, rsa.RSAPublicKey):
        if public.key_size < RSA_BITS_MIN:
            yield Fault("failure", f"an RSA key of {public.key_size} bits: clients refuse less than {RSA_BITS_MIN}")
    elif isinstance(public, ec.EllipticCurvePublicKey):
        if public.curve.name not in CURVES:
            yield Fault("warning", f"a key on the curve {public.curve.name}: few clients know it")
    else:
        yield Fault("warning", "neither an RSA nor an ECDSA key: few clients take it")


def _date_faults(pair: Pair, now: datetime) -> Iterator[Fault]:
    for index, one in enumerate(pair.chain):
        which = "" if index == 0 else f"intermediate {index} "
        until, since = one.not_valid_after_utc, one.not_valid_before_utc
        if until <= now:
            yield Fault("failure", f"{which}expired on {until:%Y-%m-%d %H:%M} UTC")
        elif until - now < SOON:
            yield Fault("warning", f"{which}expires {in_days(until, now)}, on {until:%Y-%m-%d}: renew it")
        if since > now:
            yield Fault("failure", f"{which}valid only from {since:%Y-%m-%d %H:%M} UTC")


def in_days(until: datetime, now: datetime) -> str:
    """`in 12 days`, `today`."""
    days = (until - now).days
    return "today" if days < 1 else f"in {days} day{'s' if days != 1 else ''}"


def _use_faults(leaf: x509.Certificate) -> Iterator[Fault]:
    try:
        uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if ExtendedKeyUsageOID.SERVER_AUTH not in uses:
        yield Fault("failure", "not made for servers (extended key usage without serverAuth)")


def _chain_faults(chain: Sequence[x509.Certificate]) -> Iterator[Fault]:
    leaf = chain[0]
    if leaf.issuer == leaf.subject:
        yield Fault("warning", "self-signed: clients have to be told to trust it")
    elif len(chain) == 1:
        yield Fault("warning", "the certificate alone, without its intermediates: some clients cannot complete it")
    for index, (earlier, later) in enumerate(pairwise(chain), 1):
        if earlier.issuer != later.subject:
            yield Fault(
                "failure", f"the chain is out of order: certificate {index + 1} did not sign certificate {index}"
            )
            return
        try:
            earlier.verify_directly_issued_by(later)
        except (InvalidSignature, ValueError, TypeError):
            text = f"certificate {index + 1} bears the name of who signed certificate {index}, and did not sign it"
            yield Fault("failure", text)
            return
    for index, one in enumerate(chain, 1):
        hash = one.signature_hash_algorithm
        if hash is not None and hash.name in _WEAK and one.issuer != one.subject:
            yield Fault("failure", f"certificate {index} is signed over {hash.name.upper()}, which clients refuse")
