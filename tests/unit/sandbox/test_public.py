"""Public addresses of the stand-ins: no two clouds share one, and nobody's own address is among them."""

from __future__ import annotations

import ipaddress
import re
from itertools import combinations
from pathlib import Path

import pytest

from sandbox.aws import route53_checks as route53
from sandbox.cloudflare import common as cloudflare
from sandbox.public import HOLDINGS, POOLS, Pool
from tests.support.azure import Azure

ROOT = Path(__file__).parents[3]
DOCUMENTATION = [
    ipaddress.ip_network(n) for n in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
]


def test_pools_do_not_overlap_and_nobody_on_the_internet_is_in_them() -> None:
    for one, other in combinations(POOLS, 2):
        assert not one.network.overlaps(other.network)
    for pool in POOLS:
        assert any(n.version == pool.network.version and pool.network.subnet_of(n) for n in DOCUMENTATION)  # type: ignore[arg-type]


def test_the_addresses_of_the_example_sites_are_never_given_out() -> None:
    texts = [path.read_text() for path in (ROOT / "stacks").glob("Pulumi.*.yaml")]
    found = {a for text in texts for line in re.findall(r"addresses: \[(.*)\]", text) for a in line.split(", ")}
    assert {"198.51.100.10", "192.0.2.80"} <= found
    assert [a for a in found for pool in POOLS if pool.place(ipaddress.ip_address(a)) is not None] == []


@pytest.mark.parametrize("pool", POOLS, ids=lambda pool: str(pool.network))
def test_health_checks_of_every_dns_provider_take_every_clouds_addresses(pool: Pool) -> None:
    azure = Azure()
    azure.profile("llm")
    for address in (pool.network[1], pool.network[pool.size]):
        assert route53.address_fault(str(address)) == ""
        assert cloudflare.address_fault(str(address)) is None
        azure.external("llm", str(address), endpointName=f"at-{int(address)}")


def test_the_page_on_the_sandbox_says_whose_addresses_are_whose() -> None:
    page = (ROOT / "docs" / "sandbox.md").read_text()
    for pool in POOLS:
        assert pool.network.version == 6 or f"| {pool.network[1]} - {pool.network[pool.size]} |" in page


def test_a_pool_never_gives_the_first_and_last_address_of_its_network() -> None:
    pool = POOLS[0]
    assert [pool.place(ipaddress.ip_address(a)) for a in ("203.0.113.0", "203.0.113.1", "203.0.113.254")] == [
        None,
        0,
        253,
    ]
    assert pool.place(ipaddress.ip_address("203.0.113.255")) is None
    assert {h.package for h in HOLDINGS} <= {p.package for p in POOLS}
