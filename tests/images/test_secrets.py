"""The node's certificate and API keys: what is taken, what is kept, when nginx is told, and that nothing leaks."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images.programs import secrets, state
from images.programs.gating import judge
from images.programs.vaults import api_keys, certificate
from images.programs.vaults.vault import Empty, VaultError, denied
from spillway.secrets import keys as pushed_keys
from spillway.secrets import pem as pushed_pem
from tests.support.node import staged, stores
from tests.unit.secrets import certificates
from tests.unit.secrets.certificates import bundle, fresh, leaf

HASH = "sha256:" + "ab" * 32
KEYS = json.dumps([{"name": "web", "hash": HASH, "limit": 600}, {"name": "batch", "hash": "sha256:" + "cd" * 32}])


@dataclass
class Held:
    """A store whose values are set by hand."""

    values: dict[str, str | Exception] = field(default_factory=dict)

    def read(self, name: str) -> str:
        found = self.values.get(name, Empty(f"{name}: no value yet; `spillway secrets push` puts it in"))
        if isinstance(found, Exception):
            raise found
        return found


@dataclass
class World:
    tmp: Path
    held: Held
    refresher: secrets.Refresher
    reloads: list[bool] = field(default_factory=list)
    works: bool = True
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def put(self, pair: str | Exception | None = None, keys: str | Exception | None = None) -> bool:
        if pair is not None:
            self.held.values["spillway/tls"] = pair
        if keys is not None:
            self.held.values["spillway/api-keys"] = keys
        return self.refresher.once()

    @property
    def told(self) -> dict[str, Any]:
        return state.read("secrets") or {}

    def tls(self, name: str = "certificate") -> str:
        return (self.tmp / "run/tls" / f"{name}.pem").read_text()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("SPILLWAY_RUN", str(tmp_path / "run"))
    held = Held()
    found = World(tmp_path, held, secrets.Refresher(staged.node(tmp_path, "s3://b/models/x/y/"), lambda: held))

    def reload() -> bool:
        found.reloads.append(found.works)
        return found.works

    found.refresher.reload = reload
    found.refresher.now = lambda: found.now
    return found


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_before_anything_is_pushed_the_node_waits_and_says_for_what(world: World) -> None:
    assert not world.put()
    assert world.told["state"] == "waiting"
    assert world.told["reason"] == (
        "spillway/tls: no value yet; `spillway secrets push` puts it in; "
        "spillway/api-keys: no value yet; `spillway secrets push` puts it in"
    )
    assert not world.reloads


def test_certificate_and_keys_are_written_with_their_modes_and_nginx_is_told_once(world: World) -> None:
    one = fresh()
    assert world.put(bundle(one), KEYS)
    assert world.tls() == one.pem + certificates.intermediate().pem
    assert world.tls("key") == one.key_pem
    assert mode(world.tmp / "run/tls/certificate.pem") == mode(world.tmp / "run/tls/key.pem") == 0o600
    assert mode(world.tmp / "run/tls") == 0o700
    assert mode(world.tmp / "run/keys.json") == 0o640
    assert json.loads((world.tmp / "run/keys.json").read_text()) == [
        {"name": "web", "hash": HASH, "limit": 600},
        {"name": "batch", "hash": "sha256:" + "cd" * 32, "limit": None},
    ]
    until = one.certificate.not_valid_after_utc.timestamp()
    assert (world.told["state"], world.told["reason"], world.told["notAfter"], world.told["keys"]) == (
        "ok",
        "",
        until,
        2,
    )
    assert world.put()
    assert world.reloads == [True]


def test_new_keys_do_not_disturb_nginx_and_a_new_certificate_does(world: World) -> None:
    world.put(bundle(fresh()), KEYS)
    assert world.put(keys=json.dumps(json.loads(KEYS)[:1]))
    assert (len(world.reloads), world.told["keys"]) == (1, 1)
    assert world.put(pair=bundle(fresh()))
    assert len(world.reloads) == 2


def test_a_list_without_a_key_takes_the_keys_away_and_makes_the_node_unready(world: World) -> None:
    world.put(bundle(fresh()), KEYS)
    assert not world.put(keys="[]")
    assert json.loads((world.tmp / "run/keys.json").read_text()) == []  # whoever was removed is out at once
    assert (world.told["state"], world.told["keys"]) == ("waiting", 0)
    assert world.told["reason"] == "spillway/api-keys: no API key in the list, so every request would be refused"
    verdict = judge.of_files(
        drain=None, draining=False, scratch={"state": "ok"}, stage={"state": "ok"}, secrets=world.told, peers=None,
        keys=0,
    )  # fmt: skip
    assert (verdict.reason, verdict.detail) == ("secrets", world.told["reason"])
    assert world.put(keys=KEYS)
    assert world.told["state"] == "ok"


def test_a_failed_reload_is_tried_again_and_told(world: World) -> None:
    world.works = False
    assert not world.put(bundle(fresh()), KEYS)
    assert "nginx could not be reloaded" in world.told["reason"]
    world.works = True
    assert world.put()
    assert world.reloads == [False, True]


def bad_pairs() -> dict[str, tuple[str, str]]:
    one, other = fresh(), fresh()
    now = datetime.now(UTC)
    stranger = certificates.issue("x", ("x.example.org",), certificates.intermediate(), until=now + timedelta(days=9))
    early = leaf(since=now + timedelta(days=2), until=now + timedelta(days=50))
    old = leaf(since=now - timedelta(days=50), until=now - timedelta(days=2))
    return {
        "another key": (one.pem + other.key_pem, "the private key is another certificate's"),
        "no key": (one.pem, "no private key in it"),
        "two keys": (one.pem + one.key_pem + other.key_pem, "2 private keys in it"),
        "no certificate": (one.key_pem, "no certificate in it"),
        "passphrase": (one.pem + one.encrypted_key_pem, "its key has a passphrase"),
        "damaged certificate": (one.pem.replace("MII", "MIx", 1) + one.key_pem, "a damaged certificate"),
        "damaged key": (one.pem + one.key_pem.replace("MIG", "MIx", 1), "a damaged private key"),
        "another name": (bundle(stranger), "not for llm.example.com"),
        "too early": (bundle(early), "valid only from"),
        "expired": (bundle(old), "expired on"),
        "order": (one.pem + certificates.root().pem + one.key_pem, "the chain is out of order"),
        "text": ("PEM will follow", "no certificate in it"),
    }


@pytest.mark.parametrize("case", bad_pairs())
def test_a_pair_that_is_no_good_never_replaces_one_that_is(world: World, case: str) -> None:
    text, said = bad_pairs()[case]
    good = fresh()
    world.put(bundle(good), KEYS)
    world.put(pair=text)
    assert world.told["state"] == "ok"
    assert said in world.told["reason"]
    assert "the certificate of before stays in use" in world.told["reason"]
    assert world.tls("key") == good.key_pem
    assert len(world.reloads) == 1


@pytest.mark.parametrize("case", sorted(set(bad_pairs()) - {"expired"}))
def test_without_another_a_pair_that_is_no_good_is_not_served(world: World, case: str) -> None:
    text, said = bad_pairs()[case]
    assert not world.put(text, KEYS)
    assert world.told["state"] == "failed"
    assert said in world.told["reason"]
    assert not (world.tmp / "run/tls/certificate.pem").exists()


def test_an_expired_certificate_stays_in_use_and_makes_the_node_unready_until_it_is_replaced(world: World) -> None:
    one = fresh(days=1)
    world.put(bundle(one), KEYS)
    world.now += timedelta(days=3)
    assert not world.put()
    assert world.told["state"] == "failed"
    assert world.told["reason"].startswith("spillway/tls: the certificate in use expired on ")
    assert world.tls("key") == one.key_pem
    assert world.put(pair=bundle(fresh(days=30)))
    assert world.told["state"] == "ok"


def test_a_node_that_boots_to_an_expired_certificate_serves_it_and_is_unready(world: World) -> None:
    world.put(bad_pairs()["expired"][0], KEYS)
    assert world.told["state"] == "failed"
    assert (world.tmp / "run/tls/certificate.pem").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("{}", "no JSON list"),
        ('[{"name": "a", "hash": "sk-secret"}]', "[0].hash has to be sha256:"),
        (f'[{{"name": "a b", "hash": "{HASH}"}}]', "[0].name has to be"),
        (f'[{{"name": "a", "hash": "{HASH}", "sk-secret": 1}}]', "[0] has unknown fields"),
        (f'[{{"name": "a", "hash": "{HASH}", "limit": 0}}]', "[0].limit has to be"),
        (f'[{{"name": "a", "hash": "{HASH}"}}, {{"name": "b", "hash": "{HASH}"}}]', "two keys have the same hash"),
    ],
)
def test_a_list_that_is_no_good_leaves_the_keys_of_before(world: World, text: str, said: str) -> None:
    world.put(bundle(fresh()), KEYS)
    world.put(keys=text)
    assert said in world.told["reason"]
    assert "the keys of before stay valid" in world.told["reason"]
    assert "sk-secret" not in world.told["reason"]
    assert (world.told["keys"], world.told["state"]) == (2, "ok")


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "name": st.sampled_from(["a", "b", "a b", "", "x" * 65]) | st.integers(),
                "hash": st.sampled_from([HASH, "sha256:" + "0" * 64, "sha256:xyz", "md5:1"]),
                "limit": st.none() | st.integers(-1, 2_000_000) | st.booleans(),
                "more": st.just(1),
            },
        ),
        max_size=3,
    )
)
def test_a_node_takes_exactly_the_lists_that_push_takes(entries: list[dict[str, Any]]) -> None:
    text = json.dumps(entries)
    try:
        pushed = [key.describe() for key in pushed_keys.parse(text)]
    except pushed_keys.NotKeys:
        with pytest.raises(api_keys.NotKeys):
            api_keys.parse(text)
    else:
        assert api_keys.parse(text) == pushed


def test_a_node_takes_what_push_stores() -> None:
    one = fresh()
    text = pushed_pem.parse(one.pem, certificates.intermediate().pem, one.key_pem).text()
    found = certificate.parse(text)
    assert (found.certificate + found.key).decode() == text
    assert not certificate.fault(found, "llm.example.com", datetime.now(UTC))


@pytest.mark.parametrize(
    ("names", "host", "good"),
    [
        (("llm.example.com",), "LLM.example.com.", True),
        (("*.example.com",), "llm.example.com", True),
        (("*.example.com",), "a.llm.example.com", False),
        (("*.example.com",), "example.com", False),
        (("example.com",), "llm.example.com", False),
        (("10.0.0.1",), "10.0.0.1", True),
        (("*.0.0.1",), "10.0.0.1", False),
        ((), "llm.example.com", False),
    ],
)
def test_which_names_a_certificate_covers(names: tuple[str, ...], host: str, good: bool) -> None:
    assert certificate.covers(names, host) is good


def test_denied_keeps_what_there_is_and_says_which_right_is_missing(world: World) -> None:
    world.put(bundle(fresh()), KEYS)
    world.put(pair=denied("spillway/tls", "secretsmanager:GetSecretValue"))
    assert world.told["state"] == "ok"
    assert world.told["reason"] == "spillway/tls: denied: secretsmanager:GetSecretValue"


def test_denied_with_nothing_there_is_a_failure_and_not_waiting(world: World) -> None:
    world.put(pair=VaultError("spillway/tls: the store did not answer (ReadTimeout)"))
    assert world.told["state"] == "failed"


def test_nothing_secret_is_in_states_logs_or_errors(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    one, other = fresh(), fresh()
    planted = "sk-planted-0123456789abcdef0123456789"
    values: list[Any] = [bundle(one), one.pem + other.key_pem, *(text for text, _ in bad_pairs().values())]
    values += [RuntimeError(f"answer was {planted}"), planted, one.pem + planted, f"{one.key_pem}{planted}"]
    for value in values:
        world.put(pair=value, keys=planted)
        world.put(keys=json.dumps([{"name": planted, planted: planted, "hash": planted}]))
        world.put(keys=RuntimeError(planted))
    said = caplog.text + (world.tmp / "run/secrets.json").read_text()
    bodies = [line for text in (one.key_pem, other.key_pem) for line in text.splitlines() if "-----" not in line]
    for secret in (planted, *bodies):
        assert secret not in said
    assert "spillway/tls" in said


def test_what_an_earlier_run_left_is_in_use_while_the_store_is_away(world: World) -> None:
    world.put(bundle(fresh()), KEYS)
    again = secrets.Refresher(world.refresher.node, lambda: Held({"spillway/tls": VaultError("away")}))
    again.resume()
    again.once()
    assert (world.told["state"], world.told["keys"]) == ("ok", 2)


def test_systemd_is_told_when_everything_is_in_place_and_only_then(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.bind(str(world.tmp / "notify"))
        one.settimeout(1)
        monkeypatch.setenv("NOTIFY_SOCKET", str(world.tmp / "notify"))
        world.put(bundle(fresh()))
        world.put(keys=KEYS)
        world.put(keys="[]")
        assert one.recv(1000).startswith(b"READY=1")
        with pytest.raises(TimeoutError):
            one.recv(1000)


def test_pauses_are_jittered_and_short_while_something_is_missing() -> None:
    good = [secrets.pause(True, 0) for _ in range(200)]
    assert 270 <= min(good) < 285 < 315 < max(good) <= 330
    assert secrets.pause(False, 1) <= 5
    assert 30 <= secrets.pause(False, 50) <= 60


@contextmanager
def secrets_manager(tmp: Path) -> Iterator[tuple[Any, staged.Machine, stores.Metadata]]:
    import boto3

    metadata = stores.Metadata()
    with stores.moto() as (url, _), stores.serve(metadata) as imds:
        client = boto3.client(
            "secretsmanager",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id=stores.KEY_ID,
            aws_secret_access_key=stores.KEY_SECRET,
        )
        config = staged.node(tmp, "s3://b/models/x/y/")
        reload = f"touch {tmp}/reloaded"
        environment = {"AWS_ENDPOINT_URL": url, "SPILLWAY_METADATA": imds, "SPILLWAY_RELOAD": reload}
        yield client, staged.Machine(tmp, config, environment), metadata


def wait_for(check: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if check():
            return
        time.sleep(0.05)
    raise AssertionError("did not come")


def test_the_program_against_secrets_manager_takes_a_new_version_on_sighup(tmp_path: Path) -> None:
    one = fresh()
    with secrets_manager(tmp_path) as (client, machine, _):
        for name in ("spillway/tls", "spillway/api-keys"):
            client.create_secret(Name=name)
        process = machine.start("secrets")
        try:
            wait_for(lambda: (tmp_path / "run/secrets.json").exists())
            assert machine.state("secrets")["state"] == "waiting"
            client.put_secret_value(SecretId="spillway/tls", SecretString=bundle(one))
            client.put_secret_value(SecretId="spillway/api-keys", SecretString=KEYS)
            process.send_signal(signal.SIGHUP)
            wait_for(lambda: machine.state("secrets")["state"] == "ok")
            assert (tmp_path / "reloaded").exists()
            assert (tmp_path / "run/tls/key.pem").read_text() == one.key_pem
        finally:
            process.terminate()
            _, journal = process.communicate(timeout=10)
    assert one.key_pem.splitlines()[1] not in journal
    assert HASH not in journal


def test_the_program_that_booted_without_an_identity_gets_one_later(tmp_path: Path) -> None:
    with secrets_manager(tmp_path) as (client, machine, metadata):
        client.create_secret(Name="spillway/tls", SecretString=bundle(fresh()))
        client.create_secret(Name="spillway/api-keys", SecretString=KEYS)
        metadata.down = True
        process = machine.start("secrets")
        try:
            wait_for(lambda: (tmp_path / "run/secrets.json").exists())
            assert machine.state("secrets")["state"] == "failed"
            metadata.down = False
            wait_for(lambda: machine.state("secrets")["state"] == "ok")
        finally:
            process.terminate()
            process.communicate(timeout=10)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to a group")
def test_as_root_the_keys_belong_to_the_group_of_the_gate(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_group", lambda: 12345)
    world.put(bundle(fresh()), KEYS)
    assert (world.tmp / "run/keys.json").stat().st_gid == 12345
