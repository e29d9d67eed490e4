"""Who holds an address: what a stand-in gave out and nobody holds any more is silent, what it never gave out is up."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.aws import tokens as aws
from sandbox.azure_native import tokens as azure
from sandbox.clouds import WEATHER
from sandbox.dns.authority import Snapshot
from sandbox.dns.clock import WallClock
from sandbox.dns.health import Live, Scripted
from sandbox.dns.holders import Holder, Holdings
from sandbox.dns.running import Running
from sandbox.gcp import tokens as gcp
from sandbox.public import POOLS, Pool
from sandbox.store import Store
from tests.support import azure_region, dns_zone
from tests.support.dns_zone import EIP, MEMBERS, REGIONS, SERVICE
from tests.support.gcp import region as gcp_region
from tests.support.memory_cloud import MemoryCloud

EAST, WEST = MEMBERS["aws-us-east-1"], MEMBERS["aws-us-west-2"]
OWN = "198.51.100.10"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Addresses up to 203.0.113.18 given out by the stand-in AWS, as after several deployments."""
    found = dns_zone.sandbox(tmp_path)
    store = Store(found)
    with store.transaction(write=True) as tx:
        while tx.next("aws:public-ipv4") < 17:
            pass
    store.close()
    return found


def destroy(directory: Path, stack: str) -> None:
    """A region's stack goes away, and its addresses with it."""
    store = Store(directory)
    with store.transaction(write=True) as tx:
        for address in MEMBERS[stack]:
            tx.remove("aws", "123456789012", REGIONS[stack], EIP, f"eipalloc-{address}")
    store.close()


def test_a_destroyed_regions_addresses_fall_silent_and_the_others_do_not(directory: Path) -> None:
    live = Live(directory)
    assert {live.behaviour(address) for address in (*EAST, *WEST, OWN, "192.0.2.80")} == {"up"}
    destroy(directory, "aws-us-east-1")
    assert [live.behaviour(address) for address in EAST] == ["blackhole", "blackhole"]
    assert {live.behaviour(address) for address in (*WEST, OWN, "192.0.2.80")} == {"up"}
    (directory / WEATHER).write_text("down: [{address: 203.0.113.1, kind: slow}]")
    assert live.behaviour(EAST[0]) == "blackhole", "there is nothing left that could be slow"


def test_what_the_stand_in_never_gave_out_is_somebodys_own(directory: Path) -> None:
    live = Live(directory)
    assert live.behaviour("203.0.113.19") == "up"
    assert live.behaviour("203.0.113.3") == "blackhole"
    assert live.behaviour("llm.example.net") == "up"


def test_the_checkers_find_a_destroyed_region_by_themselves_and_lead_away(directory: Path) -> None:
    real = [0.0]
    clock = WallClock(monotonic=lambda: real[0], sleep=lambda seconds: real.__setitem__(0, real[0] + seconds))
    running = Running(directory, clock=clock, seed=lambda: 1)
    destroy(directory, "aws-us-east-1")
    assert not running.refresh(), "the zone is what it was: no opinion is formed at once"
    assert running.authority.answer(SERVICE).path[0] == "primary"
    clock.run_until(clock.now + 30)
    assert running.authority.answer(SERVICE).path[0] == "secondary"


def test_a_rehearsal_knows_what_is_gone(directory: Path) -> None:
    destroy(directory, "aws-us-west-2")
    endpoints = Scripted(Snapshot.load(directory).held)
    assert [endpoints.behaviour(a) for a in (EAST[0], WEST[0], OWN)] == ["up", "blackhole", "up"]


def _amazon() -> tuple[MemoryCloud, str]:
    cloud = MemoryCloud()
    return cloud, str(cloud.create(aws.EIP)["publicIp"])


def _microsoft() -> tuple[MemoryCloud, str]:
    cloud = azure_region.whole()
    return cloud, str(cloud.create(azure.PUBLIC_ADDRESS, **azure_region.address("more"))["ipAddress"])


def _google() -> tuple[MemoryCloud, str]:
    cloud = gcp_region().cloud
    return cloud, str(cloud.create(gcp.ADDRESS, name="more")["address"])


@pytest.mark.parametrize("allocate", [_amazon, _microsoft, _google])
def test_every_clouds_addresses_are_known_as_given_out(allocate: Callable[[], tuple[MemoryCloud, str]]) -> None:
    cloud, address = allocate()
    counts = {p: cloud.state.counters[p.counter] for p in POOLS if p.package == cloud.registry.package}
    held = Holdings(given=counts)
    assert held.nobodys(address)
    assert not held.nobodys(str(ipaddress.ip_address(address) + 1))
    assert not Holdings({address: Holder("any", "where")}, counts).nobodys(address)


def test_an_address_belongs_to_the_location_of_its_resource(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.transaction(write=True) as tx:
        made = {"ipAddress": "198.51.100.129", "location": "westeurope"}
        tx.put("azure-native", dns_zone.resource(azure.PUBLIC_ADDRESS, "ip", **made))
        tx.put("gcp", dns_zone.resource(gcp.ADDRESS, "lb", "us-central1", address="192.0.2.129"))
        held = Holdings.of(tx)
    store.close()
    told = {address: (holder.cloud, holder.region) for address, holder in held.holders.items()}
    assert told == {"198.51.100.129": ("azure-native", "westeurope"), "192.0.2.129": ("gcp", "us-central1")}


@given(st.sampled_from(POOLS), st.data(), st.integers(0, 2000))
def test_what_a_pool_gave_out_is_known_by_its_count(pool: Pool, data: st.DataObject, count: int) -> None:
    place = data.draw(st.integers(0, min(pool.size, 1000) - 1))
    address = str(pool.network[1 + place])
    assert Holdings(given={pool: count}).nobodys(address) is (place < count)
