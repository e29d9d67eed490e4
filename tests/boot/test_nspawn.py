"""Rung 3: the node's file tree under a real systemd, in a container. Tests run in this order, on one node."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator

import pytest

from tests.boot import guest, timeline
from tests.boot.cloud import LAUNCHING, TERMINATING
from tests.boot.container import Container
from tests.boot.guest import RESTARTED
from tests.boot.lab import KEY, Lab
from tests.support.node import staged

pytestmark = [pytest.mark.boot, pytest.mark.xdist_group("boot-nspawn")]
READY_SECONDS = 240.0


@pytest.fixture(scope="module")
def world() -> Iterator[Lab]:
    with Lab("nspawn", machine=False) as made:
        yield made


@pytest.fixture(scope="module")
def node(world: Lab, report: list[str]) -> Iterator[Container]:
    with Container(world) as made:
        try:
            made.until_booted()
            ready = world.until(200, READY_SECONDS)
            seconds = time.monotonic() - made.started
        except AssertionError as error:
            console = made.log.read_text(errors="replace")[-2000:]
            raise AssertionError(f"{error}\n{guest.troubles(made)}\n{console}") from None
        steps = guest.timeline(made)
        report.append(f"rung 3: ready {seconds:.1f} s after the start: {timeline.line(steps)}")
        said = [reason or "ready" for _, status, reason in ready.seen if status]
        report.append(f"rung 3: /readyz said {', '.join(said)}")
        timeline.keep("nspawn", seconds, steps)
        yield made


def test_cloud_init_applies_the_user_data_that_a_region_renders(world: Lab, node: Container) -> None:
    from images.render import render_node_json

    assert guest.out(node, "cat /etc/spillway/node.json") == render_node_json(world.config)
    assert "status: done" in guest.out(node, "cloud-init status --wait", timeout=120)


def test_the_target_is_reached_and_no_unit_has_failed(node: Container) -> None:
    assert guest.show(node, "spillway.target", "ActiveState")["ActiveState"] == "active"
    assert guest.failed_units(node) == []


def test_weights_are_on_scratch_as_they_are_in_the_bucket(world: Lab, node: Container) -> None:
    assert guest.staged_faults(node) == []
    assert guest.document(node, "stage")["state"] == "ok"
    assert guest.document(node, "scratch")["source"] == "data"
    owner = guest.out(node, f"stat -c %U /mnt/scratch/models/{staged.NAME}/{staged.REVISION}/config.json").strip()
    assert owner == "vllm"
    assert world.tell("state")["storeBytes"] > 0


def test_secrets_come_from_the_store_with_their_modes(node: Container) -> None:
    told = guest.document(node, "secrets")
    assert (told["state"], told["keys"]) == ("ok", 1)
    command = "stat -c '%a %U %G' /run/spillway/tls/key.pem /run/spillway/keys.json"
    assert guest.out(node, command).splitlines() == ["600 root root", "640 root spillway"]


def test_readyz_and_livez_answer_through_tls_1_3_with_the_regions_certificate(world: Lab, node: Container) -> None:
    for path in ("/readyz", "/livez"):
        found = world.ask("GET", path)
        assert (found.status, found.protocol) == (200, "TLSv1.3")


def test_the_group_hears_that_the_node_is_in_service(world: Lab, node: Container) -> None:
    deadline = time.monotonic() + 120
    while LAUNCHING in (state := world.tell("state"))["waiting"] and time.monotonic() < deadline:
        time.sleep(0.2)
    assert LAUNCHING not in state["waiting"]
    assert [one["LifecycleActionResult"] for one in state["scaling"] if "LifecycleActionResult" in one] == ["CONTINUE"]


def test_a_chat_completion_streams_through_nginx_with_a_key(world: Lab, node: Container) -> None:
    answer = world.chat(25).result(60)
    assert (answer.status, answer.tokens, answer.done) == (200, 25, True)
    # 25 tokens of 40 ms each: they came one by one, not all at the end.
    assert answer.stamps[-1] - answer.stamps[0] > 0.6
    assert answer.headers["content-type"].startswith("text/event-stream")


def test_without_a_key_and_with_a_wrong_one_nothing_is_generated(world: Lab, node: Container) -> None:
    for key in ("", KEY[:-1] + "x"):
        answer = world.chat(5, key=key).result(60)
        assert (answer.status, answer.tokens) == (401, 0)
        assert "invalid_api_key" in answer.body


@pytest.mark.parametrize("unit", RESTARTED)
def test_a_unit_that_is_killed_comes_back(world: Lab, node: Container, report: list[str], unit: str) -> None:
    back = guest.kill(node, world, unit)
    report.append(f"rung 3: kill -9 {unit}: runs again after {back.seconds:.1f} s, ready after {back.ready:.1f} s")
    assert world.chat(3).result(60).status == 200


def test_an_engine_that_dies_with_exit_code_0_comes_back(world: Lab, node: Container) -> None:
    before = guest.show(node, "vllm.service", "MainPID")["MainPID"]
    code = "import urllib.request as u; u.urlopen(u.Request('http://127.0.0.1:8000/stand-in/die', method='POST'))"
    guest.out(node, f'/opt/spillway/venv/bin/python -c "{code}"')
    gone = world.until(503, 60)
    world.until(200, 240)
    after = guest.show(node, "vllm.service", "MainPID", "Result")
    assert after["MainPID"] not in ("0", before)
    assert gone.seen[-1][2] in ("engine", "warming", "failing")


def test_a_notice_is_a_503_within_3_seconds_and_what_was_accepted_is_finished(
    world: Lab, node: Container, report: list[str]
) -> None:
    running = [world.chat(150) for _ in range(4)]
    time.sleep(1.0)
    world.tell("notice", seconds=60)
    flipped = world.until(503, 60)
    assert flipped.seconds < 3
    assert flipped.seen[-1][2] == "draining"
    assert world.chat(3).result(60).status in (200, 503)  # until the balancers know, what they send is taken
    answers = [each.result(90) for each in running]
    assert [(one.status, one.tokens, one.done) for one in answers] == [(200, 150, True)] * 4
    began = time.monotonic()
    while (told := guest.document(node, "drain")).get("state") != "stopped":
        assert time.monotonic() - began < 240, told
        time.sleep(0.2)
    assert guest.show(node, "vllm.service", "ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"}
    report.append(f"rung 3: notice to 503: {flipped.seconds:.2f} s, 4 of 4 streams of 6 s finished in the drain")
    timeline.figure("nspawn", noticeTo503Seconds=round(flipped.seconds, 2))


def test_a_node_that_has_left_says_so_on_every_connection(world: Lab, node: Container) -> None:
    found = world.ask("GET", "/readyz")
    assert (found.status, found.headers["connection"]) == (503, "close")
    answer = world.chat(3).result(60)
    assert (answer.status, "retry-after" in answer.headers) == (503, True)


def test_the_group_that_gives_the_node_up_hears_that_it_has_left(world: Lab, node: Container) -> None:
    world.tell("terminate")
    deadline = time.monotonic() + 240
    while TERMINATING in world.tell("state")["waiting"]:
        assert time.monotonic() < deadline, guest.journal(node, "-u spillway-lifecycle -u 'spillway-drain@*'")[-3000:]
        time.sleep(0.2)


def test_nothing_failed_and_the_journal_has_no_traceback_and_no_secret(world: Lab, node: Container) -> None:
    assert guest.failed_units(node) == []
    text = guest.journal(node)
    assert guest.faults(text, guest.secret_words(world)) == []
    assert '"key":"tester"' in text.replace(" ", "")  # the access log has the key's name


def test_the_node_goes_down_in_order(world: Lab, node: Container) -> None:
    assert node.stop()
    with pytest.raises((OSError, http.client.HTTPException)):
        world.ask("GET", "/readyz", timeout=2)
