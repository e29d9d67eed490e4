"""The parts of leaving: the time that is left, drain.json, and what each metadata service says or fails to say."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images import node
from images.node import Cloud
from images.programs import state
from images.programs.leaving import mark
from images.programs.leaving.group import Untold, approve
from images.programs.leaving.notices import Notice, sources
from images.programs.leaving.plan import DOOR, TEARDOWN, TELL, plan
from images.programs.leaving.service import Service, Unavailable
from tests.support.node.gate import config
from tests.support.node.metadata import Fault, FaultKind, Metadata

AWS = node.Drain(notice_seconds=120, deregister_seconds=15, drain_seconds=90)
AZURE = node.Drain(notice_seconds=30, deregister_seconds=10, drain_seconds=12)
BUDGETS = st.builds(
    lambda deregister, drain, spare: node.Drain(
        notice_seconds=deregister + drain + spare, deregister_seconds=deregister, drain_seconds=drain
    ),
    st.integers(0, 60),
    st.integers(1, 90),
    st.integers(0, 60),
)


@pytest.fixture
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPILLWAY_RUN", str(tmp_path))
    return tmp_path


# --- The time that is left


def test_with_a_whole_notice_nothing_is_cut() -> None:
    made = plan(AWS, 120, TELL["aws"])
    assert (made.stop, made.kill) == (15, 117)
    made = plan(AZURE, 30, TELL["azure"])
    assert made.stop == 9  # a second of the ten goes to telling Azure: 9 + 12 + 8 + 1 = 30
    assert made.kill == 29


@pytest.mark.parametrize(
    ("left", "stop", "kill"),
    [(28, 7, 27), (22, 1, 21), (18, DOOR, 17), (5, DOOR, 4), (1, 0, 0), (0, 0, 0), (-50, 0, 0)],
)
def test_short_of_time_the_balancers_wait_goes_first_then_the_requests(left: float, stop: float, kill: float) -> None:
    made = plan(AZURE, left, TELL["azure"])
    assert (made.stop, made.kill) == (stop, kill)
    assert made.tell >= 1.0


def test_without_a_deadline_the_budget_itself_is_kept_to() -> None:
    made = plan(AWS, None, TELL["aws"])
    assert made.stop == 15
    assert 15 + 90 + TEARDOWN <= made.kill <= 125


@given(BUDGETS, st.floats(-100, 400), st.sampled_from(sorted(TELL.values())))
def test_no_plan_goes_beyond_its_deadline(drain: node.Drain, left: float, tell: float) -> None:
    made = plan(drain, left, tell)
    assert 0 <= made.stop <= made.kill <= max(0.0, left)
    assert made.stop <= max(DOOR, drain.deregister_seconds)
    # as long as the balancers are still waited for, the requests have all of their time
    if made.stop > DOOR:
        assert made.kill - made.stop >= min(drain.drain_seconds, left - tell - made.stop)


@given(BUDGETS, st.floats(0, 300), st.floats(0, 300))
def test_an_earlier_deadline_never_leaves_more_time(drain: node.Drain, one: float, other: float) -> None:
    early, late = plan(drain, min(one, other), 1.0), plan(drain, max(one, other), 1.0)
    assert early.stop <= late.stop
    assert early.kill <= late.kill


# --- drain.json


def test_the_earliest_deadline_and_its_cause_stand(run_folder: Path) -> None:
    mark.begin("rebalance", None, why="EC2 recommends it")
    first = mark.read()
    assert first
    assert (first["state"], first["cause"], first["deadline"]) == ("draining", "rebalance", None)
    mark.begin("terminate", 2000.0)
    mark.begin("spot", 1000.0, notice="aws:terminate")
    mark.begin("manual", 3000.0)
    found = mark.read()
    assert found
    assert (found["cause"], found["deadline"]) == ("spot", 1000.0)
    assert found["causes"] == ["rebalance", "terminate", "spot", "manual"]
    assert found["notices"] == ["aws:terminate"]
    assert (found["begun"], found["since"]) == (first["begun"], first["since"])


def test_a_drain_that_is_over_is_not_begun_again(run_folder: Path) -> None:
    mark.begin("spot", 1000.0)
    assert mark.turn("stopped", "the node has left", told=["spot"])
    mark.begin("terminate", 900.0)
    found = mark.read()
    assert found
    assert found["state"] == "stopped"
    assert found["told"] == ["spot"]


def test_a_drain_that_was_taken_back_is_not_brought_back_by_its_next_step(run_folder: Path) -> None:
    mark.begin("manual", None)
    mark.take_back()
    assert not mark.turn("stopping", "too late")
    assert not mark.exists()


@pytest.mark.parametrize("content", ["", "{", "[1]"])
def test_nonsense_in_drain_json_in_the_middle_of_a_drain_takes_nothing_back(run_folder: Path, content: str) -> None:
    mark.begin("spot", 1000.0)
    state.path("drain").write_text(content)
    assert mark.turn("stopping", "the engine finishes what it has")
    assert (mark.read() or {})["state"] == "stopping"


@pytest.mark.parametrize("value", [None, 5, "spot", {"spot": 1}, [["spot"]], [None, "spot"]])
def test_lists_in_drain_json_are_lists_of_texts_whoever_wrote_them(run_folder: Path, value: object) -> None:
    written = {"state": "draining", "causes": value, "notices": value, "told": value, "deadline": 10**400}
    state.path("drain").write_text(json.dumps(written))
    found = mark.read()
    assert found
    assert all(isinstance(one, str) for name in ("causes", "notices", "told") for one in found[name])
    assert mark.deadline(found) is None
    assert mark.begin("spot", 1000.0)["deadline"] == 1000.0


@pytest.mark.parametrize("content", ["", "{", '"x"', '{"state": 3}', '{"state": "draining", "deadline": "soon"}'])
def test_nonsense_in_drain_json_is_replaced(run_folder: Path, content: str) -> None:
    state.path("drain").write_text(content)
    mark.begin("spot", 1000.0)
    found = mark.read()
    assert found
    assert (found["state"], found["cause"], found["deadline"]) == ("draining", "spot", 1000.0)


# --- Notices


async def notices(metadata: Metadata) -> list[Notice]:
    service = Service(metadata.cloud, metadata.url)
    drain = node.Drain(notice_seconds=30, deregister_seconds=5, drain_seconds=15)
    try:
        found: list[Notice] = []
        for source in sources(config(cloud=metadata.cloud, drain=drain), service):
            found += await source.look()
        return found
    finally:
        await service.close()


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp", "tencent"])
def test_without_a_notice_there_is_none(cloud: Cloud) -> None:
    async def look() -> list[Notice]:
        async with Metadata(cloud) as metadata:
            return await notices(metadata)

    assert asyncio.run(look()) == []


@pytest.mark.parametrize("cloud", ["aws", "azure", "tencent"])
@pytest.mark.parametrize("skew", [0.0, 500.0, -86_400.0])
def test_what_is_left_is_counted_by_the_clock_that_set_the_time(cloud: Cloud, skew: float) -> None:
    async def look() -> list[Notice]:
        async with Metadata(cloud, skew=skew) as metadata:
            metadata.notice(100)
            return await notices(metadata)

    (found,) = asyncio.run(look())
    assert found.cause == "spot"
    assert found.seconds is not None
    assert 96 <= found.seconds <= 100.5  # clocks of the cloud tell whole seconds


def test_gcp_names_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def look() -> list[Notice]:
        async with Metadata("gcp") as metadata:
            metadata.notice()
            return await notices(metadata)

    (found,) = asyncio.run(look())
    assert (found.cause, found.seconds) == ("spot", None)


@pytest.mark.parametrize(
    ("kind", "cause"),
    [("Preempt", "spot"), ("Terminate", "terminate"), ("Reboot", "terminate"), ("Redeploy", "terminate")],
)
def test_azure_events_that_end_the_machine_are_notices(kind: str, cause: str) -> None:
    async def look() -> list[Notice]:
        async with Metadata("azure") as metadata:
            metadata.event(kind, 300)
            return await notices(metadata)

    (found,) = asyncio.run(look())
    assert found.cause == cause
    assert kind in found.what


@pytest.mark.parametrize(
    "event",
    [
        {"kind": "Freeze", "seconds": 900},
        {"kind": "Preempt", "seconds": 30, "Resources": ["spillway-azure-eastus-spot_4"]},
        {"kind": "Preempt", "seconds": 30, "Resources": []},
        {"kind": "Preempt", "seconds": 30, "Resources": None},
        {"kind": "Reboot", "seconds": 30, "EventStatus": "Completed"},
        {"kind": "SomethingNew", "seconds": 30},
    ],
)
def test_azure_events_of_others_or_without_an_end_are_none(event: dict[str, Any]) -> None:
    async def look() -> list[Notice]:
        async with Metadata("azure") as metadata:
            metadata.event(**event)
            return await notices(metadata)

    assert asyncio.run(look()) == []


def test_an_azure_event_that_names_others_too_is_heard_but_not_started() -> None:
    async def look() -> list[Notice]:
        async with Metadata("azure") as metadata:
            metadata.event("Redeploy", 600, Resources=[metadata.vm.upper(), "another_1"])
            mine = metadata.event("Preempt", 30)
            metadata.event("Preempt", 30, Resources=["another_1"])
            service = Service("azure", metadata.url)
            found = await notices(metadata)
            assert await approve(service) == [mine]
            assert metadata.approved == [mine]
            assert await approve(service) == []  # it has begun
            await service.close()
            return found

    assert [one.cause for one in asyncio.run(look())] == ["terminate", "spot"]


def test_a_hibernation_begins_at_once_and_a_notice_without_time_is_one_all_the_same() -> None:
    async def look(body: str) -> list[Notice]:
        async with Metadata("aws") as metadata:
            metadata.tree["spot/instance-action"] = body
            return await notices(metadata)

    (found,) = asyncio.run(look('{"action": "hibernate", "time": "2030-01-01T00:00:00Z"}'))
    assert found.seconds == 0
    (found,) = asyncio.run(look('{"action": "terminate", "time": "soon"}'))
    assert (found.cause, found.seconds) == ("spot", None)


def test_google_tells_gpu_machines_an_hour_before_maintenance_and_it_is_not_yet_time_to_leave() -> None:
    async def look() -> list[Notice]:
        async with Metadata("gcp") as metadata:
            metadata.maintenance("MIGRATE_ON_HOST_MAINTENANCE")
            assert await notices(metadata) == []
            metadata.maintenance()
            return await notices(metadata)

    (found,) = asyncio.run(look())
    assert found.cause == "terminate"
    assert found.keep is not None
    assert 30 < found.keep < 300


FAULTS: tuple[FaultKind, ...] = ("down", "garbage", "redirect", "error", "hang", "empty")


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp", "tencent"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_metadata_service_that_fails_is_no_notice_and_no_quiet_either(cloud: Cloud, fault: FaultKind) -> None:
    async def look() -> list[Notice]:
        async with Metadata(cloud) as metadata:
            metadata.fault = Fault(fault)
            service = Service(cloud, metadata.url)
            try:
                return list(await sources(config(cloud=cloud), service)[0].look())
            finally:
                await service.close()

    if cloud == "tencent" and fault == "empty":
        assert asyncio.run(look()) == []  # an empty value, not a service that fails
        return
    with pytest.raises(Unavailable) as found:
        asyncio.run(asyncio.wait_for(look(), 5))
    assert "\n" not in str(found.value)


def test_a_token_that_ends_early_is_replaced_once_and_one_is_kept_otherwise() -> None:
    async def look() -> None:
        async with Metadata("aws") as metadata:
            service = Service("aws", metadata.url)
            for _ in range(5):
                assert await service.text("/latest/meta-data/instance-id") == "i-0123456789abcdef0"
            assert len(metadata.requests("api/token")) == 1
            metadata.fault = Fault("tokens-end")
            assert await service.text("/latest/meta-data/instance-id") == "i-0123456789abcdef0"
            assert len(metadata.requests("api/token")) == 2
            metadata.ttl = -1.0  # none lives: not asked for without end
            metadata.tokens.clear()
            with pytest.raises(Unavailable, match="HTTP 401"):
                await service.text("/latest/meta-data/instance-id")
            assert len(metadata.requests("api/token")) == 3
            await service.close()

    asyncio.run(look())


def test_an_answer_without_end_is_cut() -> None:
    async def look() -> None:
        async with Metadata("tencent") as metadata:
            metadata.tree["spot/termination-time"] = "x" * 1_000_000
            service = Service("tencent", metadata.url)
            with pytest.raises(Unavailable, match="more than"):
                await service.get("/latest/meta-data/spot/termination-time")
            await service.close()

    asyncio.run(look())


def test_who_listens_at_googles_name_without_its_header_is_not_believed() -> None:
    async def look() -> None:
        async with Metadata("tencent") as metadata:
            service = Service("gcp", metadata.url)
            with pytest.raises(Unavailable, match="Metadata-Flavor"):
                await service.get("/latest/meta-data/instance-id")
            await service.close()

    asyncio.run(look())


def test_azure_that_cannot_be_told_is_one_line() -> None:
    async def tell() -> None:
        async with Metadata("azure") as metadata:
            metadata.notice(30)
            metadata.fault = Fault("error")
            service = Service("azure", metadata.url)
            with pytest.raises(Untold, match="HTTP 500"):
                await approve(service)
            await service.close()

    asyncio.run(tell())


def test_a_clock_that_is_a_little_off_is_the_nodes_own() -> None:
    async def look() -> float:
        async with Metadata("aws", skew=1.0) as metadata:
            service = Service("aws", metadata.url)
            answer = await service.get("/latest/meta-data/instance-id")
            await service.close()
            return answer.now

    assert abs(asyncio.run(look()) - time.time()) < 1.0
