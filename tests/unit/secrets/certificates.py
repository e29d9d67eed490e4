"""Certificates made on the spot: an authority, an intermediate, and leaves for any names and dates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
HOSTS = ("llm.example.com", "llm-us.example.com", "*.example.com")


@dataclass(frozen=True)
class Issued:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Any

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        return str(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())

    @property
    def encrypted_key_pem(self) -> str:
        locked = BestAvailableEncryption(b"passphrase")
        return str(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked).decode())


def issue(
    subject: str,
    names: Sequence[str] = (),
    issuer: Issued | None = None,
    *,
    since: datetime = NOW - timedelta(days=1),
    until: datetime = NOW + timedelta(days=89),
    key: Any = None,
    uses: Sequence[Any] = (ExtendedKeyUsageOID.SERVER_AUTH,),
    authority: bool = False,
) -> Issued:
    """A certificate signed by `issuer`, or by itself."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(issuer.certificate.subject if issuer else own)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    if uses and not authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(uses)), critical=False)
    return Issued(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


@cache
def root() -> Issued:
    """The authority that clients trust; it lasts."""
    return issue("root", authority=True, since=NOW - timedelta(days=3000), until=NOW + timedelta(days=3000))


@cache
def intermediate() -> Issued:
    """Between root and leaf."""
    return issue("inter", issuer=root(), authority=True, until=NOW + timedelta(days=1000))


def leaf(names: Sequence[str] = HOSTS, **more: Any) -> Issued:
    """A server's certificate, signed by the intermediate."""
    return issue(names[0] if names else "nobody", names, intermediate(), **more)


def fresh(days: int = 60) -> Issued:
    """A server's certificate that is good today, whenever the test runs."""
    now = datetime.now(UTC)
    return leaf(since=now - timedelta(days=1), until=now + timedelta(days=days, hours=1))


def bundle(one: Issued) -> str:
    """Leaf, intermediate and key in one text."""
    return one.pem + intermediate().pem + one.key_pem
