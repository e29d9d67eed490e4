"""Secrets planted in every place never leave a review; and the same search finds them where masking is off."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost.plan.preview import SECRET, UNKNOWN, parse
from cost.plan.pricing import price_plan
from cost.prices.snapshot import Snapshot
from spillway.preview.document import Document, Violation, failed_row, row_of
from spillway.preview.markdown import as_markdown
from spillway.preview.secrets import HIDDEN, LATER, Masker
from spillway.preview.sheet import as_json, as_page
from tests.preview.test_document import text

# Each has the shape of a real one and is none. Written in parts, so that no scanner takes this file for a leak.
SHAPES = {
    "aws key": "AKIA" + "IOSFODNN7SPILLWY",
    "github": "ghp_" + "a1B2" * 9,
    "github fine": "github_pat_" + "Z9y8" * 9,
    "gitlab": "glpat-" + "x" * 20,
    "hugging face": "hf_" + "Qw3r" * 8,
    "openai": "sk-" + "proj-" + "9" * 24,
    "pulumi": "pul-" + "0af1" * 10,
    "google": "AIza" + "S" * 35,
    "web token": "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0" + ".c2lnbmF0dXJl",
    "pem": "-----BEGIN RSA PRIVATE " + "KEY-----\nMIIEowIBAAKCAQEA7planted\n-----END RSA PRIVATE " + "KEY-----",
    "sas": "https://x.blob.core.windows.net/c?sv=1&" + "sig=" + "PlantedPlanted%2FPlanted123",
    "bearer": "Authorization: " + "Bearer " + "planted.planted.planted12",
    "url": "https://user:" + "plantedpassword" + "@example.com/x",
}
NAMED = {
    "password": "planted-by-name-1", "adminPassword": "planted-by-name-2", "apiKey": "planted-by-name-3",
    "connectionString": "planted-by-name-4", "HF_TOKEN": "planted-by-name-5", "client_secret": "planted-by-name-6",
    "userData": "planted-by-name-7", "customData": "planted-by-name-8",
}  # fmt: skip
ENVIRONMENT = {"PULUMI_CONFIG_PASSPHRASE": "planted-in-environment", "SOME_API_KEY": "another-in-environment"}
INNER = (
    *(value.removeprefix("Authorization: ") for name, value in SHAPES.items() if name not in ("pem", "sas", "url")),
    "MIIEowIBAAKCAQEA7planted", "PlantedPlanted%2FPlanted123", "plantedpassword", *NAMED.values(),
    *ENVIRONMENT.values(),
)  # fmt: skip
"""What no output may hold."""


def planted(masker: Masker) -> Document:
    """A review of a plan with a secret in every property that changes, in settings, names, errors and verdicts."""
    data = copy.deepcopy(json.loads(text("aws-us-east-1.update")))
    for step in data["steps"]:
        if step["op"] == "update":
            inputs = step["newState"]["inputs"]
            inputs["description"] = " ".join(SHAPES.values())
            inputs |= NAMED
            inputs["environment"] = [{"name": key, "value": value} for key, value in NAMED.items()]
            inputs["variables"] = dict(NAMED)
            inputs["nested"] = {"deep": [{"note": ENVIRONMENT["PULUMI_CONFIG_PASSPHRASE"]}, {"SOME": SHAPES["openai"]}]}
            step["oldState"]["inputs"]["nested"] = {"deep": [{"note": ENVIRONMENT["SOME_API_KEY"]}]}
            step["replaceReasons"] = [SHAPES["github"]]
            step["op"] = "replace"
    plan = parse(json.dumps(data), "planted")
    cost = price_plan(plan, Snapshot.load(), date(2026, 11, 26))
    everything = "; ".join((*SHAPES.values(), *ENVIRONMENT.values()))
    violation = Violation("policy", True, "resource", everything)
    rows = (row_of(plan, cost, masker, violations=[violation]), failed_row("other", (everything,), masker))
    return Document("Review", "account", "main", "head", rows, notes=(masker.text(everything),))


def outputs(found: Document) -> Iterator[tuple[str, str]]:
    yield "comment", as_markdown(found, 10**9)
    yield "json", json.dumps(as_json(found), ensure_ascii=False)
    yield "page", as_page(found)


def leaks(found: Document) -> set[str]:
    return {secret for _, output in outputs(found) for secret in INNER if secret in output}


def test_no_secret_is_in_any_output() -> None:
    assert leaks(planted(Masker.of(ENVIRONMENT))) == set()


def test_the_same_search_finds_them_where_masking_is_off() -> None:
    """So the test above would fail if masking were gone: most places show what was planted in them."""
    found = leaks(planted(Masker(off=True)))
    assert len(found) > len(INNER) * 0.8
    assert set(ENVIRONMENT.values()) <= found


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_what_looks_like_a_key_is_hidden_in_any_text(name: str) -> None:
    told = Masker().text(f"before {SHAPES[name]} after")
    assert HIDDEN in told
    assert told.startswith("before ")
    assert not any(secret in told for secret in INNER)


@pytest.mark.parametrize(("path", "value", "shown"), [
    (("minSize",), 3, "3"),
    (("tags", "team"), "platform", "platform"),
    (("secretId",), "spillway-api-keys", "spillway-api-keys"),
    (("password",), 12, "12"),
    (("x",), SECRET, SECRET),
    (("x",), UNKNOWN, LATER),
    (("userData",), "#!/bin/sh\nexport A=b", "[20 characters]"),
    (("settings", "DB_PASSWORD"), "abc", HIDDEN),
    (("publicKey",), "ssh-ed25519 AAAA", "ssh-ed25519 AAAA"),
    (("checksum",), "9d94d305eb098ff0dac8fc64657df9cfc00d06d43bedfb2748a67d49b10ad48c",
     "9d94d305eb098ff0dac8fc64657df9cfc00d06d43bedfb2748a67d49b10ad48c"),
])  # fmt: skip
def test_values_are_shown_or_hidden_by_what_they_are_called(path: tuple[str, ...], value: Any, shown: str) -> None:
    assert Masker().value(value, path) == shown


@given(st.text(min_size=8, max_size=40))
def test_what_the_environment_calls_a_secret_is_hidden_wherever_it_stands(secret: str) -> None:
    told = Masker.of({"A_TOKEN": secret}).text(f"x{secret}y")
    assert secret not in told or secret in HIDDEN


def test_words_of_the_environment_that_are_no_secrets_stay() -> None:
    assert (
        Masker.of({"HOME": "/home/someone", "SOME_TOKEN": "short"}).text("/home/someone short") == "/home/someone short"
    )
