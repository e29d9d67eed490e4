"""Keys and their requests per minute: what is accepted as a list, who is let in, how fast."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from images import node
from images.programs.gating.admission import Bucket, Key, Keyring, parse_keys
from tests.support.node.gate import FAST, KEY, Node, key_entry, serving
from tests.support.node.vllm_stand_in import StandIn

OTHER = "o" * 40


@settings(deadline=None)
@given(st.floats(0.5, 10_000), st.lists(st.floats(0, 90), max_size=200))
def test_no_minute_sees_more_than_twice_the_limit_and_no_hour_more_than_its_minutes(
    limit: float, gaps: list[float]
) -> None:
    bucket, now = Bucket.full(limit, 0.0), 0.0
    taken: list[float] = []
    for gap in gaps:
        now += gap
        if bucket.take(now) == 0:
            taken.append(now)
        assert 0 <= bucket.tokens <= max(limit, 1)
    most = max(limit, 1.0)
    for start in taken:
        assert sum(start <= when < start + 60 for when in taken) <= most + limit + 1e-6
    assert len(taken) <= most + limit * now / 60 + 1e-6


@settings(deadline=None)
@given(st.floats(0.5, 10_000), st.integers(0, 300))
def test_who_waits_as_long_as_told_is_let_in(limit: float, number: int) -> None:
    bucket, now = Bucket.full(limit, 0.0), 0.0
    for _ in range(number):
        wait = bucket.take(now)
        if wait:
            assert wait <= 60 / limit + 1e-6
            now += wait
            assert bucket.take(now) == 0


@settings(deadline=None)
@given(st.floats(1, 1000), st.floats(-1e6, 1e6))
def test_a_clock_that_goes_back_gives_and_takes_nothing(limit: float, jump: float) -> None:
    bucket = Bucket.full(limit, 1e6)
    bucket.take(1e6)
    before = bucket.tokens
    bucket.take(1e6 - abs(jump))
    assert bucket.tokens <= before


def test_a_new_list_gives_nobody_a_new_minute() -> None:
    keyring = Keyring()
    keyring.replace([Key("a", b"a" * 32, 10), Key("b", b"b" * 32, 10), Key("c", b"c" * 32, None)], 0)
    for key in keyring.keys or ():
        for _ in range(10):
            assert keyring.take(key, 0) == 0
    keyring.replace([Key("a", b"a" * 32, 10), Key("b", b"b" * 32, 100), Key("c", b"c" * 32, 5)], 0)
    a, b, c = keyring.keys or ()
    assert keyring.take(a, 0) == pytest.approx(6)
    assert keyring.take(b, 0) == pytest.approx(0.6)  # as much used up as before, ten times as fast
    assert keyring.take(c, 0) == 0


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b'[{"name": "web", "ha', "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"{}", "is not a JSON list"),
        (b"[7]", "entry 1 is not an object"),
        ([{"hash": "sha256:" + "0" * 64}], "entry 1 has no name"),
        ([{"name": "a\r\nX-Evil: 1", "hash": "sha256:" + "0" * 64}], "entry 1 has no name"),
        ([{"name": "web", "hash": "md5:" + "0" * 32}], "entry 1 has no hash"),
        ([{"name": "web", "hash": "sha256:" + "0" * 64, "limit": 0}], "a limit that is neither"),
        ([{"name": "web", "hash": "sha256:" + "0" * 64, "limit": True}], "a limit that is neither"),
        ([{"name": "web", "hash": "sha256:" + "0" * 64, "limit": float("inf")}], "a limit that is neither"),
        ([{"name": "web", "hash": "sha256:" + "0" * 64, "limit": 10**400}], "a limit that is neither"),
        ([{"name": "web", "hash": "sha256:" + "0" * 64, "limit": 5e-324}], "a limit that is neither"),
        ([key_entry("web", KEY), key_entry("web", OTHER)], "entries 1 and 2 have the same name"),
        ([key_entry("web", KEY), key_entry("batch", KEY)], "entries 1 and 2 have the same hash"),
    ],
)
def test_a_list_that_is_none_is_refused_in_one_line_without_a_hash(content: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told) as error:
        parse_keys(content if isinstance(content, bytes) else json.dumps(content).encode())
    assert "\n" not in str(error.value)
    assert "0" * 32 not in str(error.value)


def test_the_list_of_the_documentation_is_one() -> None:
    keys = parse_keys(json.dumps([key_entry("web", KEY, 600), key_entry("batch", OTHER)]).encode())
    assert [(key.name, key.limit) for key in keys] == [("web", 600), ("batch", None)]
    assert parse_keys(b"[]") == ()


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (f"Bearer {KEY}", "web"),
        (f"bearer   {KEY} ", "web"),
        (f"Bearer {OTHER}", "batch"),
        (f"Bearer {KEY}x", None),
        (f"Bearer {KEY} {OTHER}", None),
        (f"Basic {KEY}", None),
        (KEY, None),
        ("Bearer ", None),
        ("", None),
        ("Bearer " + "x" * 10_000, None),
        ("Bearer \udcff", None),
    ],
)
def test_a_key_is_known_by_its_hash(header: str, name: str | None) -> None:
    keyring = Keyring()
    keyring.replace(parse_keys(json.dumps([key_entry("web", KEY), key_entry("batch", OTHER)]).encode()), 0)
    found = keyring.find(header)
    assert (found.name if found else None) == name


def test_an_empty_key_is_nobodys_even_when_its_hash_is_in_the_list() -> None:
    keyring = Keyring()
    keyring.replace(parse_keys(json.dumps([key_entry("nothing", "")]).encode()), 0)
    assert keyring.find("Bearer ") is None
    assert keyring.find("") is None


@settings(deadline=None)
@given(st.text())
def test_whatever_is_sent_as_a_key_is_answered(header: str) -> None:
    keyring = Keyring()
    keyring.replace(parse_keys(json.dumps([key_entry("web", KEY)]).encode()), 0)
    assert keyring.find(header) is None


def test_nginx_hears_who_it_is_or_what_to_tell_the_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def admit() -> None:
        async with StandIn() as engine:
            made = Node.make(tmp_path, engine.url, monkeypatch)
            made.booted()
            made.keys(key_entry("web", KEY), key_entry("batch", OTHER, 3))
            async with serving() as (_, client):
                await client.until("ready")
                found = await client.admit()
                assert (found.status, found.headers["X-Spillway-Key"]) == (204, "web")
                for key in ("wrong", ""):
                    found = await client.admit(key)
                    assert found.status == 401
                    assert "Bearer" in found.headers["WWW-Authenticate"]
                assert (await client.get("/admit")).status == 401
                found = [await client.admit(OTHER) for _ in range(4)][-1]
                assert found.status == 403
                assert found.headers["X-Spillway-Refuse"] == "429"
                assert 19 <= int(found.headers["X-Spillway-Retry-After"]) <= 20
                assert (await client.admit()).status == 204
                assert await client.metric('spillway_gate_admissions_total{key="batch",result="rate"}') == 1
                assert await client.metric('spillway_gate_admissions_total{key="",result="unknown-key"}') == 3

    asyncio.run(admit())


def test_a_burst_between_two_looks_at_the_queue_is_counted_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def burst() -> None:
        async with StandIn() as engine:
            made = Node.make(tmp_path, engine.url, monkeypatch)
            made.booted()
            made.configure(limits=node.Limits(queue=20, ttft_p50_ms=10_000, error_rate=0.05))
            async with serving() as (gate, client):
                await client.until("ready")
                await client.looked()
                gate.node.engine.pace = dataclasses.replace(FAST, stale=60, metrics_timeout=60)
                engine.behaviour.metrics = "hang"  # the figures stay as they are
                await asyncio.sleep(0.1)
                found = [(await client.admit()).status for _ in range(60)]
                admitted = found.count(204)
                assert found == [204] * admitted + [403] * (60 - admitted)
                limit = gate.node.limits["overloaded"]
                assert 8 + limit <= admitted <= 8 + limit + 1  # slots and queue

    asyncio.run(burst())


def test_a_broken_list_keeps_the_keys_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def change() -> None:
        async with StandIn() as engine:
            made = Node.make(tmp_path, engine.url, monkeypatch)
            made.booted()
            async with serving() as (_, client):
                await client.until("ready")
                (made.run / "keys.json").write_text('[{"name": "web", "hash": "sha')
                await asyncio.sleep(0.1)
                assert (await client.admit()).status == 204
                assert await client.metric('spillway_gate_file_unusable{file="keys.json"}') == 1
                (made.run / "keys.json").unlink()
                await asyncio.sleep(0.1)
                assert (await client.admit()).status == 204
                assert await client.ready() == "ready"
                assert await client.metric('spillway_gate_file_unusable{file="keys.json"}') == 1
                made.keys(key_entry("batch", OTHER))
                await asyncio.sleep(0.1)
                assert (await client.admit()).status == 401
                assert (await client.admit(OTHER)).status == 204
                assert await client.metric('spillway_gate_file_unusable{file="keys.json"}') == 0
                assert await client.metric("spillway_gate_keys") == 1

    asyncio.run(change())
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    unusable = [line["detail"] for line in told if line["event"] == "keys unusable"]
    assert unusable == [
        "is not JSON; the keys from before stay",
        "is gone; what it said stays in force; the keys from before stay",
    ]
