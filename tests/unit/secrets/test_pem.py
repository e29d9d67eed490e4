"""A certificate with its key: what is read, what is refused and why, and that no message holds a word of either."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from spillway.secrets import pem
from tests.unit.secrets.certificates import HOSTS, NOW, Issued, bundle, intermediate, issue, leaf, root


def told(text: str, hosts: tuple[str, ...] = HOSTS[:2]) -> list[tuple[str, str]]:
    return [(fault.severity, fault.text) for fault in pem.faults(pem.parse(text), hosts, NOW)]


def test_a_sound_pair_has_no_faults_wherever_its_key_stands() -> None:
    one = leaf()
    assert told(bundle(one)) == []
    assert told(one.key_pem + one.pem + intermediate().pem) == []
    assert told(one.pem + intermediate().pem + root().pem + one.key_pem) == [], "the root may come along"


def test_the_text_that_is_stored_is_the_same_for_the_same_pair() -> None:
    one = leaf()
    noisy = f"Bag Attributes: x\r\n{one.key_pem}subject=CN\n{one.pem}\n\n{intermediate().pem}"
    assert (
        pem.parse(noisy).text()
        == pem.parse(bundle(one)).text()
        == pem.parse(one.pem + intermediate().pem, one.key_pem).text()
    )
    assert pem.parse(pem.parse(bundle(one)).text()).text() == pem.parse(bundle(one)).text()
    assert pem.parse(json.dumps({"chain": one.pem + intermediate().pem, "key": one.key_pem})).fingerprint


def test_preflight_reads_what_is_stored() -> None:
    from spillway.preflight.secret_checks import pem_blocks

    kinds = [kind for kind, _ in pem_blocks(pem.parse(bundle(leaf())).text())]
    assert kinds == ["CERTIFICATE", "CERTIFICATE", "PRIVATE KEY"]


def test_dates() -> None:
    assert told(bundle(leaf(until=NOW)))[0] == ("failure", "expired on 2026-11-26 12:00 UTC")
    assert told(bundle(leaf(since=NOW + timedelta(hours=1))))[0] == ("failure", "valid only from 2026-11-26 13:00 UTC")
    assert told(bundle(leaf(until=NOW + timedelta(days=21)))) == []
    soon = told(bundle(leaf(until=NOW + timedelta(days=20, hours=23))))
    assert soon == [("warning", "expires in 20 days, on 2026-12-17: renew it")]
    assert told(bundle(leaf(until=NOW + timedelta(hours=3)))) == [("warning", "expires today, on 2026-11-26: renew it")]


def test_an_intermediate_that_ends_first_counts() -> None:
    early = issue("early", issuer=root(), authority=True, until=NOW + timedelta(days=3))
    one = issue("x", HOSTS, early)
    pair = pem.parse(one.pem + early.pem + one.key_pem)
    assert pair.expires == NOW + timedelta(days=3)
    assert [fault.text for fault in pem.faults(pair, HOSTS[:1], NOW)] == [
        "intermediate 1 expires in 3 days, on 2026-11-29: renew it"
    ]


def test_names() -> None:
    assert told(bundle(leaf()), ("llm.example.com", "other.example.com", "a.b.example.com", "example.com")) == [
        (
            "failure",
            "not for a.b.example.com, example.com: its names are llm.example.com, llm-us.example.com, *.example.com",
        )
    ]
    bare = issue("llm.example.com", (), intermediate())  # the common name alone is no name to a client
    assert told(bundle(bare), ("llm.example.com",)) == [("failure", "not for llm.example.com: its names are none")]


def test_the_key_has_to_be_the_certificates() -> None:
    one = leaf()
    assert told(one.pem + intermediate().pem + leaf().key_pem) == [
        ("failure", "the private key is another certificate's")
    ]
    swapped = told(intermediate().pem + one.pem + one.key_pem)
    assert swapped[0] == ("failure", "the key is that of a later certificate: the certificate of the name comes first")


def test_the_chain_has_to_be_in_order_and_signed() -> None:
    one = leaf()
    assert told(one.pem + root().pem + intermediate().pem + one.key_pem) == [
        ("failure", "the chain is out of order: certificate 2 did not sign certificate 1")
    ]
    impostor = issue("inter", issuer=root(), authority=True)
    assert told(one.pem + impostor.pem + one.key_pem) == [
        ("failure", "certificate 2 bears the name of who signed certificate 1, and did not sign it")
    ]
    assert told(one.pem + one.key_pem)[0][0] == "warning"
    alone = issue("self", HOSTS)
    assert told(alone.pem + alone.key_pem) == [("warning", "self-signed: clients have to be told to trust it")]


def test_keys_that_clients_refuse_or_do_not_know() -> None:
    short = leaf(key=rsa.generate_private_key(65537, 1024))
    assert told(bundle(short)) == [("failure", "an RSA key of 1024 bits: clients refuse less than 2048")]
    odd = leaf(key=ec.generate_private_key(ec.SECP256K1()))
    assert told(bundle(odd)) == [("warning", "a key on the curve secp256k1: few clients know it")]
    edwards = leaf(key=ed25519.Ed25519PrivateKey.generate())
    assert told(bundle(edwards)) == [("warning", "neither an RSA nor an ECDSA key: few clients take it")]


def test_a_clients_certificate_is_refused() -> None:
    assert told(bundle(leaf(uses=(ExtendedKeyUsageOID.CLIENT_AUTH,)))) == [
        ("failure", "not made for servers (extended key usage without serverAuth)")
    ]


def damaged(one: Issued) -> str:
    lines = one.pem.splitlines()
    return "\n".join([lines[0], lines[1][::-1], *lines[2:]]) + "\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no certificate in it"),
        (leaf().key_pem, "no certificate in it"),
        (leaf().pem, "no private key in it"),
        (leaf().pem + leaf().key_pem * 2, "2 private keys in it"),
        (leaf().pem + leaf().encrypted_key_pem, "a key with a passphrase"),
        (damaged(leaf()) + leaf().key_pem, "a damaged certificate"),
        (leaf().pem + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "a damaged private key"),
        ("{" * 5000, "no certificate in it"),
    ],
)
def test_what_is_no_pair_is_told_without_its_content(text: str, why: str) -> None:
    with pytest.raises(pem.NotPem, match=why) as caught:
        pem.parse(text)
    assert len(str(caught.value)) < 120
    assert "MII" not in str(caught.value)


@given(st.text(max_size=300))
def test_any_text_is_a_pair_or_told(text: str) -> None:
    with pytest.raises(pem.NotPem):
        pem.parse(text)


@given(st.binary(min_size=0, max_size=200))
def test_any_bytes_between_the_lines_of_a_block_are_told(data: bytes) -> None:
    import base64

    body = base64.b64encode(data).decode()
    with pytest.raises(pem.NotPem):
        pem.parse(f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n{leaf().key_pem}")


def test_nothing_of_a_pair_shows_in_its_repr() -> None:
    one = leaf()
    assert "PrivateKey" not in repr(pem.parse(bundle(one)))
