"""The node's secrets: there, filled, and a certificate that clients will accept. Values are looked at, never shown."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

from spillway.preflight.context import RegionContext
from spillway.preflight.model import Row, State, count

Context = RegionContext[Any, Any]
Judge = Callable[[Context, str], Iterator[Row]]
"""Rows about a secret's value, without a word of it."""

EXPIRES_SOON: Final = timedelta(days=21)
"""A third of a 90-day certificate is when ACME clients renew; one with less than three weeks left has missed that."""
_PEM: Final = re.compile(r"-----BEGIN (?P<kind>[A-Z0-9 ]+)-----.+?-----END (?P=kind)-----", re.DOTALL)
OPTIONS: Final = {
    "certificate": "--certificate fullchain.pem --key privkey.pem",
    "api-keys": "--api-keys keys.json",
}
"""Row id -> what `spillway secrets push` takes the value from."""


def push(context: Context, id: str) -> str:
    """The command that gives a secret its value; from files, as a command line stays in the shell's history."""
    return f"spillway secrets push {OPTIONS[id]} --stack {context.stack}{where(context)}"


def where(context: Context) -> str:
    """The option that a command needs to reach what was asked."""
    return " --sandbox" if context.account.stand_in else ""


def judged(context: Context, id: str, judge: Judge, value: str) -> Iterator[Row]:
    """What a judge says of a secret's value, with the command that puts in another one where that helps."""
    for row in judge(context, value):
        needy = not row.action and row.state in ("failure", "warning")
        yield replace(row, action="put in a sound one", commands=(push(context, id),)) if needy else row


def judge_api_keys(context: Context, value: str) -> Iterator[Row]:
    """The shape of the API keys."""
    return _api_keys(value)


def _row(part: str, state: State, found: str, needed: str, action: str = "") -> Row:
    return Row(f"certificate.{part}", "certificate", state, found, needed, action)


def judge_certificate(context: Context, value: str) -> Iterator[Row]:
    """A certificate's dates, names, chain and key."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    unreadable = (
        *(ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion),
        *(x509.DuplicateExtension, x509.UnsupportedGeneralNameType),
    )
    chain, key = [], None
    try:
        for kind, block in pem_blocks(value):
            if kind == "CERTIFICATE":
                chain.append(x509.load_pem_x509_certificate(block))
            elif kind.endswith("PRIVATE KEY"):
                key = load_pem_private_key(block, password=None)
        # Names, dates and keys inside are only read when they are asked for.
        rows = list(_judged(context, chain, key)) if chain else []
    except unreadable as error:
        # The library's own words may quote the input; only the kind of error is told.
        yield _row("parse", "failure", f"cannot be read ({type(error).__name__})", "PEM without a passphrase")
        return
    if not chain:
        yield _row("parse", "failure", "holds no certificate", "a PEM chain and its key")
    yield from rows


def _judged(context: Context, chain: list[Any], key: Any) -> Iterator[Row]:
    """A chain, leaf first, and the key beside it (None without one): one row per fault, or one that all is well."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    leaf = chain[0]
    faults: list[Row] = []
    expires = leaf.not_valid_after_utc
    names = certificate_names(leaf)
    if expires <= context.now:
        faults.append(_row("expiry", "failure", f"expired on {expires:%Y-%m-%d %H:%M} UTC", "valid"))
    elif expires - context.now < EXPIRES_SOON:
        days = (expires - context.now).days
        faults.append(
            _row("expiry", "warning", f"expires in {count(days, 'day')}, on {expires:%Y-%m-%d}", "21 days left")
        )
    if leaf.not_valid_before_utc > context.now:
        faults.append(
            _row("start", "failure", f"valid from {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC", "valid now")
        )
    own = context.config.service.name
    missing = [name for name in dict.fromkeys((own, *context.global_names)) if not covers(names, name)]
    if missing:
        told = f"for {', '.join(names[:5]) or 'no name'}{', ...' if len(names) > 5 else ''}"
        where = "service.name" if missing == [own] else "every name that leads here"
        action = f"clients refuse it: {where} has to be among its names"
        faults.append(_row("name", "failure", told, ", ".join(missing), action))
    if key is None:
        faults.append(_row("key", "failure", "no private key beside it", "the key of the certificate"))
    else:
        mine, theirs = (
            public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            for public in (key.public_key(), leaf.public_key())
        )
        if mine != theirs:
            faults.append(_row("key", "failure", "its private key is another's", "the key of the certificate"))
    if len(chain) == 1 and leaf.issuer != leaf.subject:
        faults.append(
            _row(
                "chain",
                "warning",
                "the certificate alone",
                "with intermediates",
                "some clients cannot complete the chain",
            )
        )
    for earlier, later in pairwise(chain):
        if earlier.issuer != later.subject:
            faults.append(_row("chain", "warning", "its chain is out of order", "each signed by the next"))
            break
    if leaf.issuer == leaf.subject:
        faults.append(_row("issuer", "warning", "self-signed", "signed by an authority that clients trust"))
    yield from faults
    if not faults:
        yield Row("certificate", "certificate", "ok", f"{own}, until {expires:%Y-%m-%d}", "21 days left")


def pem_blocks(value: str) -> list[tuple[str, bytes]]:
    """(kind, PEM) of every block in a secret: one text with chain and key, or a JSON object of such texts."""
    text = value
    if value.lstrip().startswith("{"):
        try:
            data = json.loads(value)
        except (ValueError, RecursionError):
            data = None
        if isinstance(data, dict):
            text = "\n".join(part for part in data.values() if isinstance(part, str))
    return [(match["kind"], match[0].encode()) for match in _PEM.finditer(text)]


def certificate_names(leaf: Any) -> list[str]:
    """DNS names and addresses of the subject alternative name. The common name is no longer looked at by clients
    (https://www.rfc-editor.org/rfc/rfc9525#section-2)."""
    from cryptography import x509

    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [
        *(str(name).lower() for name in names.get_values_for_type(x509.DNSName)),
        *(str(ipaddress.ip_address(name)) for name in names.get_values_for_type(x509.IPAddress)),
    ]


def covers(names: list[str], host: str) -> bool:
    """Whether a certificate for `names` is good for `host`: the name itself, or a wildcard for exactly its first label
    (https://www.rfc-editor.org/rfc/rfc9525#section-6.3)."""
    host = host.lower()
    parent = host.partition(".")[2]
    return any(name == host or (name.startswith("*.") and name[2:] == parent and parent != "") for name in names)


def _api_keys(value: str) -> Iterator[Row]:
    def row(found: str, state: State = "failure") -> Row:
        return Row("api-keys.shape", "API keys", state, found, "a JSON list of {name, hash, limit}")

    try:
        keys = json.loads(value)
    except (ValueError, RecursionError):
        yield row("not JSON")
        return
    if not isinstance(keys, list):
        yield row(f"a JSON {type(keys).__name__}")
        return
    if not keys:
        yield row("an empty list: nobody gets in", "warning")
        return
    faults = [fault for index, key in enumerate(keys) if (fault := _key_fault(index, key))]
    names = [key.get("name") for key in keys if isinstance(key, dict)]
    if not faults and len(set(names)) < len(names):
        faults.append("a name stands twice")
    if faults:
        yield row("; ".join(faults[:3]) + ("; ..." if len(faults) > 3 else ""))
        return
    yield Row("api-keys", "API keys", "ok", count(len(keys), "key"), "one or more")


def _key_fault(index: int, key: object) -> str:
    """What is wrong with one entry, without a word of its content: it may be a key in clear text."""
    if not isinstance(key, dict):
        return f"[{index}] is no object"
    for field in ("name", "hash"):
        if not isinstance(key.get(field), str) or not key[field]:
            return f"[{index}].{field} is missing or no text"
    limit = key.get("limit")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float) or limit < 0):
        return f"[{index}].limit is no number"
    return ""
