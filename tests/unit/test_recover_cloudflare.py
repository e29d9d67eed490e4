"""Recovery at Cloudflare without an engine: what is the stack's own, and what the API is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from spillway.errors import SpillwayError
from spillway.preflight.cloudflare import CloudflareApi
from spillway.recovery import cloudflare
from spillway.recovery.cloudflare_api import CloudflareInventory
from spillway.recovery.model import UNKNOWN, Existing, Planned, Scope
from tests.support.recovery_clouds import decided, ids, planned

ACCOUNT, ZONE = "a" * 32, "f" * 32


HEADER = {"Host": ["llm.example.com"]}
CLOUDFLARE_PLAN = [
    planned(cloudflare.ZONE, {"name": "example.com", "account": {"id": ACCOUNT}}),
    planned(cloudflare.MONITOR, {"accountId": ACCOUNT, "header": HEADER, "path": "/readyz"}),
    planned(cloudflare.POOL, {"accountId": ACCOUNT, "name": "spillway-global-east", "monitor": UNKNOWN}),
    planned(cloudflare.BALANCER, {"zoneId": ZONE, "name": "llm.example.com"}),
]


class Api:
    """Cloudflare's answers by path."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = answers

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/client/v4")
        if path not in self.answers:
            return httpx.Response(403, json={"success": False, "errors": [{"code": 10000, "message": "no"}]})
        return httpx.Response(200, json={"success": True, "result": self.answers[path], "result_info": {"page": 1}})

    def existing(self, stack: str = "global", plan: list[Planned] = CLOUDFLARE_PLAN) -> list[Existing]:
        def connected(account: str) -> CloudflareApi:
            return CloudflareApi(account, "token", httpx.MockTransport(self))

        return CloudflareInventory(connected).existing(Scope(stack, plan))


def account(stack: str = "global", status: str = "pending") -> dict[str, Any]:
    monitor = {"id": "m1", "description": f"/readyz of llm.example.com, stack {stack} of Spillway"}
    pool = {
        "id": "p1",
        "name": "spillway-global-east",
        "monitor": "m1",
        "description": f"east; stack {stack} of Spillway",
    }
    balancer = {
        "id": "b1",
        "name": "llm.example.com",
        "description": f"Stack {stack} of Spillway",
        "fallback_pool": "p1",
    }
    return {
        "/zones": [{"id": ZONE, "name": "example.com", "status": status}],
        f"/accounts/{ACCOUNT}/load_balancers/monitors": [monitor | {"header": HEADER, "path": "/readyz", "port": 443}],
        f"/accounts/{ACCOUNT}/load_balancers/pools": [pool],
        f"/zones/{ZONE}/load_balancers": [balancer],
    }


def test_objects_are_taken_by_name_and_description_under_the_ids_that_an_import_takes() -> None:
    found = decided(CLOUDFLARE_PLAN, Api(account()).existing(), cloudflare.RULES)
    assert ids(found) == {ZONE, f"{ACCOUNT}/m1", f"{ACCOUNT}/p1", f"{ZONE}/b1"}
    assert (found.orphans, found.left) == ([], [])


def test_names_that_another_stack_or_a_person_has_are_problems_and_the_rest_is_nobodys_business() -> None:
    found = decided(CLOUDFLARE_PLAN, Api(account("other", "active")).existing(), cloudflare.RULES)
    assert not found.adopt
    assert {(left.resource.id, left.problem) for left in found.left} == {
        (ZONE, True), (f"{ACCOUNT}/p1", True), (f"{ZONE}/b1", True),
    }  # fmt: skip
    zone = next(left for left in found.left if left.resource.id == ZONE)
    assert f"zone.id: {ZONE}" in zone.reason


def test_an_active_zone_is_the_stacks_own_when_a_load_balancer_of_it_stands_there() -> None:
    assert ZONE in ids(decided(CLOUDFLARE_PLAN, Api(account(status="active")).existing(), cloudflare.RULES))


def test_of_two_monitors_alike_the_one_that_a_pool_uses_stays() -> None:
    answers = account()
    (monitor,) = answers[f"/accounts/{ACCOUNT}/load_balancers/monitors"]
    answers[f"/accounts/{ACCOUNT}/load_balancers/monitors"] = [monitor | {"id": "m0"}, monitor]
    found = decided(CLOUDFLARE_PLAN, Api(answers).existing(), cloudflare.RULES)
    assert f"{ACCOUNT}/m1" in ids(found)
    assert [e.id for e in found.orphans] == [f"{ACCOUNT}/m0"]


def test_a_state_has_an_objects_own_id_where_an_import_has_its_account_before_it() -> None:
    owned = {"urn": "urn:pulumi:g::s::cloudflare:x:Y::p", "type": cloudflare.POOL, "custom": True, "id": "p1"}
    found = decided([], Api(account()).existing(), cloudflare.RULES, owned)
    assert f"{ACCOUNT}/p1" not in {e.id for e in found.orphans}


@pytest.mark.parametrize(
    ("description", "ours"),
    [
        ("Stack global of Spillway", True),
        ("east, west; stack global of Spillway", True),
        ("/readyz of llm.example.com, stack global of Spillway", True),
        ("Stack global-second of Spillway", False),
        ("Haystack global of Spillway", False),
        ("Stack global of Spillway, by hand", False),
        (None, False),
    ],
)
def test_a_description_tells_one_stack_from_another(description: str | None, ours: bool) -> None:
    assert cloudflare.marked(description, "global") is ours


def test_what_cloudflare_denies_is_one_line() -> None:
    with pytest.raises(SpillwayError, match=r"^listing what exists in Cloudflare: denied: Zone:Read"):
        Api({}).existing()
