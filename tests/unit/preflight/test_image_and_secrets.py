"""The image, the certificate and the API keys."""

from __future__ import annotations

import base64
import json
import random
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from spillway.preflight.aws_region.facts import Secret
from spillway.preflight.secret_checks import covers
from spillway.regions import global_names
from tests.unit.preflight.fake_account import IMAGE, NOW, STACK, FakeAccount, owned, rows, states

STACKS = Path(__file__).parents[3] / "stacks"

CERTIFICATE = f"spillway/{STACK}/certificate"
API_KEYS = f"spillway/{STACK}/api-keys"

# The image


def test_an_image_that_is_not_there_fails_by_family_and_by_id() -> None:
    row = rows(FakeAccount(found_images=()))["image"]
    assert (row.state, row.found, row.needed) == (
        "failure",
        "not in this region and account",
        "spillway-vllm 2026.11.1",
    )
    by_id = {"image": {"id": "ami-0123456789abcdef0"}}
    assert "ids differ by region" in rows(FakeAccount(found_images=()), by_id)["image"].action


def test_two_images_of_one_version_are_refused_but_not_where_the_newest_is_asked_for() -> None:
    two = [IMAGE, replace(IMAGE, id="ami-00000000000000001", created=NOW - timedelta(days=30))]
    assert (
        "2 images: ami-0123456789abcdef0, ami-00000000000000001" in rows(FakeAccount(found_images=two))["image"].found
    )
    newest = {"image": {"family": "spillway-vllm", "newest": True}}
    assert rows(FakeAccount(found_images=two), newest)["image"].found.startswith("ami-0123456789abcdef0, ")


@pytest.mark.parametrize(
    ("change", "id", "state"),
    [
        ({"state": "pending"}, "image.state", "failure"),
        ({"state": "failed"}, "image.state", "failure"),
        ({"architecture": "arm64"}, "image.architecture", "failure"),
        ({"root_type": "instance-store"}, "image.root", "failure"),
        ({"ena": False}, "image.ena", "failure"),
        ({"root_gib": 201}, "image.size", "failure"),
        ({"created": NOW - timedelta(days=61)}, "image.age", "warning"),
        ({"deprecated": NOW + timedelta(days=10)}, "image.deprecation", "warning"),
        ({"deprecated": NOW - timedelta(days=10)}, "image.deprecation", "warning"),
        ({"owner": "999999999999"}, "image.owner", "warning"),
    ],
)
def test_what_is_wrong_with_an_image_is_a_row_of_its_own(change: dict[str, Any], id: str, state: str) -> None:
    assert states(rows(FakeAccount(found_images=[replace(IMAGE, **change)]))) == {id: state}


def test_the_age_from_which_an_image_is_old_is_the_callers() -> None:
    assert states(rows(image_age=7)) == {"image.age": "warning"}
    assert states(rows(image_age=8)) == {}
    far = replace(IMAGE, created=NOW - timedelta(days=60), deprecated=NOW + timedelta(days=31))
    assert states(rows(FakeAccount(found_images=[far]))) == {}


# Secrets: there and filled


def secret(name: str, value: str | None = None, **more: Any) -> FakeAccount:
    there = Secret(name, value is not None, STACK)
    values = {name: value} if value is not None else {}
    return FakeAccount(secrets={name: replace(there, **more)}, secret_values=values, vpcs=owned(1, STACK))


def test_before_the_first_up_a_missing_secret_is_a_note_and_afterwards_a_warning() -> None:
    first = rows()
    assert (first["certificate"].state, first["api-keys"].state) == ("note", "note")
    later = rows(FakeAccount(vpcs=owned(1, STACK)))
    assert (later["certificate"].state, later["api-keys"].state) == ("warning", "warning")


def test_an_empty_secret_is_a_warning_as_nodes_stay_unready() -> None:
    row = rows(secret(CERTIFICATE))["certificate"]
    assert (row.state, row.action) == ("warning", "nodes stay unready until it has one")
    assert row.commands == (
        "spillway secrets push --certificate fullchain.pem --key privkey.pem --stack aws-us-east-1",
    )
    assert row.describe()["action"] == f"{row.action}: {row.commands[0]}"


def test_a_faulty_secret_comes_with_the_command_that_replaces_it() -> None:
    row = rows(secret(API_KEYS, "{}"))["api-keys.shape"]
    assert (row.action, len(row.commands)) == ("put in a sound one", 1)
    assert "secrets push --api-keys keys.json" in row.commands[0]


def test_a_secret_in_its_recovery_window_or_of_somebody_else_makes_up_fail() -> None:
    gone = rows(secret(API_KEYS, deleted=NOW - timedelta(days=1)))["api-keys"]
    assert gone.state == "failure"
    assert "restore-secret --secret-id spillway/aws-us-east-1/api-keys" in gone.action
    other = FakeAccount(secrets={API_KEYS: Secret(API_KEYS, True, "aws-eu-west-1")})
    assert (rows(other)["api-keys"].state, "aws-eu-west-1" in rows(other)["api-keys"].found) == ("failure", True)


def test_a_value_that_may_not_be_read_is_a_note() -> None:
    account = secret(CERTIFICATE, "secret")
    account.denied = frozenset({"secret_value"})
    row = rows(account)["certificate"]
    assert (row.state, "denied: secret_value" in row.found) == ("note", True)


# The certificate


@cache
def _key(number: int) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def certificate(
    *names: str,
    starts: datetime = NOW - timedelta(days=10),
    ends: datetime = NOW + timedelta(days=80),
    issuer: str = "Authority",
    subject: str = "leaf",
    signer: int = 2,
    key: int = 1,
) -> str:
    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    made = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(_key(key).public_key())
        .serial_number(1)
        .not_valid_before(starts)
        .not_valid_after(ends)
    )
    if names:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    return made.sign(_key(signer), hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def private_key(number: int = 1, passphrase: bytes | None = None) -> str:
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return _key(number).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()


def authority() -> str:
    return certificate(subject="Authority", issuer="Root", key=2, signer=3)


def of(value: str) -> dict[str, str]:
    found = {id: row for id, row in rows(secret(CERTIFICATE, value)).items() if id.startswith("certificate")}
    secret_part = private_key().splitlines()[1]
    assert all(secret_part not in str(row) for row in found.values()), "no key is ever told"
    return {id: row.state for id, row in found.items()}


def test_a_sound_certificate_is_ok_as_text_and_as_json() -> None:
    leaf = certificate("llm.example.com", "www.example.com")
    assert of(leaf + authority() + private_key()) == {"certificate": "ok"}
    assert of(private_key() + leaf + authority()) == {"certificate": "ok"}
    parts = {"chain": leaf + authority(), "key": private_key()}
    assert of(json.dumps(parts)) == {"certificate": "ok"}
    assert of(certificate("*.example.com") + authority() + private_key()) == {"certificate": "ok"}


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"ends": NOW - timedelta(seconds=1)}, {"certificate.expiry": "failure"}),
        ({"ends": NOW + timedelta(days=20)}, {"certificate.expiry": "warning"}),
        ({"ends": NOW + timedelta(days=21)}, {"certificate": "ok"}),
        ({"starts": NOW + timedelta(hours=1)}, {"certificate.start": "failure"}),
        ({"key": 4}, {"certificate.key": "failure"}),
    ],
)
def test_time_and_key_of_a_certificate_are_looked_at(change: dict[str, Any], wanted: dict[str, str]) -> None:
    assert of(certificate("llm.example.com", **change) + authority() + private_key()) == wanted


def test_a_certificate_for_other_names_is_refused_by_clients() -> None:
    for names in (["example.com"], ["*.llm.example.com"], ["*.com"], []):
        assert of(certificate(*names) + authority() + private_key()) == {"certificate.name": "failure"}


def test_a_certificate_has_to_cover_every_name_that_leads_to_the_region() -> None:
    account = secret(CERTIFICATE, certificate("llm.example.com") + authority() + private_key())
    row = rows(account, global_names=("llm.example.com", "llm-us.example.com"))["certificate.name"]
    assert (row.state, row.needed) == ("failure", "llm-us.example.com")
    assert "every name that leads here" in row.action


def test_the_names_that_lead_to_a_region_are_those_of_the_global_stacks_beside_it(tmp_path: Path) -> None:
    assert global_names(STACKS, "aws-us-east-1") == ("llm.example.com", "llm-us.example.com")
    assert global_names(STACKS, "aws-eu-west-1") == ()
    for path in STACKS.glob("Pulumi.*.yaml"):
        (tmp_path / path.name).write_text(path.read_text())
    east = tmp_path / "Pulumi.aws-us-east-1.yaml"
    east.write_text(east.read_text().replace("residency: us\n", "residency: eu\n"))
    assert global_names(tmp_path, "aws-us-east-1") == ("llm.example.com",), "the other one is limited to us"


def test_what_lacks_beside_the_certificate_is_told() -> None:
    leaf = certificate("llm.example.com")
    assert of(leaf + authority()) == {"certificate.key": "failure"}
    assert of(leaf + private_key()) == {"certificate.chain": "warning"}
    assert of(leaf + certificate(subject="Else", issuer="Root") + private_key()) == {"certificate.chain": "warning"}
    own = certificate("llm.example.com", issuer="leaf", signer=1)
    assert of(own + private_key()) == {"certificate.issuer": "warning"}
    assert of(private_key()) == {"certificate.parse": "failure"}
    assert of("nonsense") == {"certificate.parse": "failure"}
    assert of("{not json") == {"certificate.parse": "failure"}


def test_what_cannot_be_parsed_is_one_row_without_its_content() -> None:
    assert of(certificate("llm.example.com") + private_key(passphrase=b"x")) == {"certificate.parse": "failure"}
    broken = "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n"
    assert of(broken) == {"certificate.parse": "failure"}


def test_a_certificate_that_is_damaged_inside_is_rows_and_never_an_error() -> None:
    """Names, dates and keys are only parsed when they are asked for: long after the certificate was taken."""
    chance = random.Random(20261121)
    whole = base64.b64decode("".join(certificate("llm.example.com").splitlines()[1:-1]))
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        text = base64.encodebytes(bytes(damaged)).decode()
        assert of(f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n" + authority() + private_key())


def test_json_that_never_ends_is_no_certificate_and_no_key() -> None:
    for deep in ("[" * 100_000, '{"a":' * 100_000):
        assert of(deep) == {"certificate.parse": "failure"}
        assert rows(secret(API_KEYS, deep))["api-keys.shape"].state == "failure"


@given(st.text(max_size=300))
def test_any_text_in_the_certificates_place_is_rows_and_never_an_error(text: str) -> None:
    assert set(of(text)) == {"certificate.parse"}


@pytest.mark.parametrize(
    ("names", "host", "good"),
    [
        (["llm.example.com"], "LLM.example.com", True),
        (["*.example.com"], "llm.example.com", True),
        (["*.example.com"], "a.llm.example.com", False),
        (["*.example.com"], "example.com", False),
        (["*."], "localhost", False),
    ],
)
def test_a_wildcard_is_good_for_one_label(names: list[str], host: str, good: bool) -> None:
    assert covers(names, host) is good


# API keys


@pytest.mark.parametrize(
    ("value", "state", "told"),
    [
        ('[{"name": "a", "hash": "sha256:00", "limit": 10}, {"name": "b", "hash": "x"}]', "ok", "2 keys"),
        ('[{"name": "a", "hash": "x", "limit": null}]', "ok", "1 key"),
        ("[]", "warning", "an empty list"),
        ("{}", "failure", "a JSON dict"),
        ("sk-live-abc", "failure", "not JSON"),
        ('["sk-live-abc"]', "failure", "[0] is no object"),
        ('[{"name": "a", "key": "sk-live-abc"}]', "failure", "[0].hash is missing or no text"),
        ('[{"hash": "sk-live-abc"}]', "failure", "[0].name is missing or no text"),
        ('[{"name": "a", "hash": "x", "limit": "ten"}]', "failure", "[0].limit is no number"),
        ('[{"name": "a", "hash": "x", "limit": true}]', "failure", "[0].limit is no number"),
        ('[{"name": "a", "hash": "x"}, {"name": "a", "hash": "y"}]', "failure", "a name stands twice"),
    ],
)
def test_api_keys_have_their_shape_and_are_never_told(value: str, state: str, told: str) -> None:
    found = [row for id, row in rows(secret(API_KEYS, value)).items() if id.startswith("api-keys")]
    assert [(row.state, told in row.found) for row in found] == [(state, True)]
    assert "sk-live" not in str(found)
