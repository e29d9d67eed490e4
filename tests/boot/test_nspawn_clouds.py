"""Rung 3 on the other clouds: the tree of each, with its metadata service, stores and notice."""

from __future__ import annotations

import time

import pytest

from images.node import Cloud
from tests.boot import guest, timeline
from tests.boot.container import Container
from tests.boot.lab import Lab

pytestmark = [pytest.mark.boot, pytest.mark.xdist_group("boot-nspawn")]


@pytest.mark.parametrize("cloud", ["azure", "gcp"])
def test_a_node_boots_serves_and_leaves_by_the_notice_of_its_cloud(cloud: Cloud, report: list[str]) -> None:
    with Lab(f"nspawn-{cloud}", machine=False, cloud=cloud) as world, Container(world) as node:
        node.until_booted()
        try:
            world.until(200, 240)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{guest.troubles(node)}") from None
        seconds = time.monotonic() - node.started
        report.append(f"rung 3: {cloud}: ready {seconds:.1f} s after the start: {timeline.line(guest.timeline(node))}")
        assert guest.staged_faults(node) == []
        running = world.chat(100)
        time.sleep(0.5)

        world.tell("notice", seconds=40)
        flipped = world.until(503, 60)
        assert flipped.seconds < 3
        # The drain itself is killed, and goes on where it was.
        unit = "spillway-drain@spot.service"
        guest.out(node, f"until systemctl kill --signal=KILL {unit} 2> /dev/null; do sleep 0.1; done", timeout=60)
        answer = running.result(60)
        assert (answer.status, answer.tokens, answer.done) == (200, 100, True)
        began = time.monotonic()
        while (told := guest.document(node, "drain")).get("state") != "stopped":
            assert time.monotonic() - began < 240, told
            time.sleep(0.2)
        assert "code=killed, status=9/KILL" in guest.journal(node, "-u", unit)
        report.append(f"rung 3: {cloud}: notice to 503: {flipped.seconds:.2f} s")

        if cloud == "azure":
            assert len(world.tell("state")["approved"]) == 1
        assert guest.failed_units(node) == []
        assert guest.faults(guest.journal(node), guest.secret_words(world)) == []
