"""A global stack on Cloudflare: answers in the shapes of its API reference, and the stand-in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.dns.config import parse_global
from infra.dns.sections import GlobalStack
from sandbox.cloudflare import tokens
from sandbox.cloudflare.registry import CLOUDFLARE
from spillway.preflight.cloudflare import CloudflareApi, connect
from spillway.preflight.cloudflare_checks import CHECKS, LoadBalancing, Token
from spillway.preflight.deployed import Plans, foreseen
from spillway.preflight.global_context import Delegation, DnsZone, GlobalContext
from spillway.preflight.global_stand_in import StandInCloudflare
from spillway.preflight.model import Row, Unanswered, Unreachable, run
from tests.support.memory_cloud import MemoryCloud
from tests.unit.preflight.fake_account import NOW
from tests.unit.preflight.kept import keep
from tests.unit.stack_data import STACKS

ACCOUNT = "0123456789abcdef0123456789abcdef"
ZONE = "f" * 32
SERVERS = ("ada.ns.cloudflare.com", "bob.ns.cloudflare.com")


def config(plan: str = "business", zone: dict[str, Any] | None = None, **changes: Any) -> GlobalStack:
    data: dict[str, Any] = {
        "zone": zone or {"name": "example.com", "id": ZONE},
        "dns": {"provider": "cloudflare"},
        "cloudflare": {"account": ACCOUNT, "plan": plan},
        "services": [{"name": "llm.example.com", "policy": "priority"}],
        "members": [
            {"name": "aws-us-east-1", "stack": "aws-us-east-1", "priority": 1},
            {"name": "onprem-fra", "priority": 9, "endpoint": {
                "addresses": ["198.51.100.10"], "nearestAwsRegion": "eu-central-1", "residency": "eu"}},
        ],
    }  # fmt: skip
    return parse_global({**data, **changes}, "global", "stacks/Pulumi.global.yaml", STACKS)


# Recorded shapes: https://developers.cloudflare.com/api/resources/zones/methods/get/ and its neighbours


def zone(**changes: Any) -> dict[str, Any]:
    return {
        "id": ZONE,
        "name": "example.com",
        "status": "active",
        "paused": False,
        "type": "full",
        "name_servers": list(SERVERS),
        "original_name_servers": None,
        "account": {"id": ACCOUNT, "name": "Example"},
        "plan": {"id": "x", "name": "Business Website", "legacy_id": "business", "price": 200, "is_subscribed": True},
        **changes,
    }


def ok(result: Any, **info: int) -> httpx.Response:
    body: dict[str, Any] = {"success": True, "errors": [], "messages": [], "result": result}
    if info:
        body["result_info"] = info
    return httpx.Response(200, json=body)


def refused(status: int, code: int, message: str) -> httpx.Response:
    errors = [{"code": code, "message": message}]
    return httpx.Response(status, json={"success": False, "errors": errors, "messages": [], "result": None})


VERIFIED = {"id": "1" * 32, "status": "active"}
INVALID = refused(401, 1000, "Invalid API Token")
DENIED = refused(403, 10000, "Authentication error")


class Api:
    """Answers by path below /client/v4, each from a list or always the same."""

    def __init__(self, **answers: Any) -> None:
        self.answers: dict[str, Any] = {
            "/user/tokens/verify": ok(VERIFIED),
            f"/zones/{ZONE}": ok(zone()),
            "/zones": ok([zone()], page=1, total_pages=1),
            f"/zones/{ZONE}/dns_records": ok([], page=1, total_pages=1),
            f"/zones/{ZONE}/load_balancers": ok([]),
            f"/accounts/{ACCOUNT}/load_balancers/pools": ok([{"name": "other", "origins": [{"address": "1.2.3.4"}]}]),
            f"/accounts/{ACCOUNT}/subscriptions": ok([]),
        }
        self.asked: list[httpx.Request] = []
        self.slept: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        path = request.url.path.removeprefix("/client/v4")
        answer = self.answers[path]
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, Exception):
            raise answer
        found: httpx.Response = answer
        return httpx.Response(found.status_code, headers=found.headers, content=found.content)

    def account(self) -> CloudflareApi:
        return CloudflareApi(ACCOUNT, "secret-token", httpx.MockTransport(self), self.slept.append)


@dataclass
class Parents:
    servers: tuple[str, ...] = SERVERS

    def delegation(self, zone: str) -> Delegation:
        return Delegation("com", self.servers)


def asked(account: Any, stack: GlobalStack | None = None, *, real: bool = True) -> dict[str, Row]:
    wanted = stack or config()
    plan = foreseen(wanted, STACKS, "stacks/Pulumi.global.yaml")
    context: Any = GlobalContext("global", wanted, Plans(plan, plan), account, Parents() if real else None, NOW)
    found = {row.id: row for row in run(CHECKS, context)}
    assert "secret-token" not in json.dumps([row.describe() for row in found.values()])
    return found


def states(found: dict[str, Row]) -> dict[str, str]:
    return {id: row.state for id, row in found.items() if row.state not in ("ok", "note")}


def after(change: Callable[[Api], None]) -> dict[str, Row]:
    api = Api()
    change(api)
    return asked(api.account())


def test_an_active_zone_of_the_right_plan_has_nothing_against_up() -> None:
    api = Api()
    found = asked(api.account())
    assert states(found) == {}
    assert {request.headers["authorization"] for request in api.asked} == {"Bearer secret-token"}
    assert {request.method for request in api.asked} == {"GET"}, "it only asks"
    assert {str(request.url.host) for request in api.asked} == {"api.cloudflare.com"}
    assert found["limit.pools"].found == "1 used by others, 20 in all"


@pytest.mark.parametrize(
    ("result", "state"),
    [
        ({"status": "active", "expires_on": "2027-11-30T00:00:00Z"}, "ok"),
        ({"status": "active", "expires_on": "2026-12-01T00:00:00Z"}, "warning"),
        ({"status": "expired"}, "failure"),
        ({"status": "disabled"}, "failure"),
    ],
)
def test_a_token_is_active_and_lasts(result: dict[str, Any], state: str) -> None:
    found = after(lambda api: api.answers.update({"/user/tokens/verify": ok({"id": "1" * 32, **result})}))
    assert found["token"].state == state
    assert (list(found) == ["token"]) == (state == "failure"), "nothing else is asked with a token that does not work"


def test_an_accounts_own_token_is_verified_where_it_lives() -> None:
    api = Api()
    api.answers["/user/tokens/verify"] = INVALID
    api.answers[f"/accounts/{ACCOUNT}/tokens/verify"] = ok(VERIFIED)
    assert api.account().token() == Token("active")
    api.answers[f"/accounts/{ACCOUNT}/tokens/verify"] = INVALID
    with pytest.raises(Unreachable) as caught:
        api.account().token()
    assert caught.value.lines == ("Cloudflare: the token in CLOUDFLARE_API_TOKEN is not valid: Invalid API Token",)


ODD: tuple[Any, ...] = ("hello", 5, ["a"], [None], {"status": "active", "expires_on": "tomorrow"}, [{"id": 1}])


@pytest.mark.parametrize("result", ODD, ids=str)
@pytest.mark.parametrize("path", ["/user/tokens/verify", f"/zones/{ZONE}", f"/zones/{ZONE}/dns_records"])
def test_an_answer_of_another_shape_is_an_open_question(path: str, result: Any) -> None:
    found = after(lambda api: api.answers.update({path: ok(result)}))
    assert not [row for row in found.values() if row.state == "failure"]
    if path != "/user/tokens/verify" and isinstance(result, str | int):
        assert any("in another form than documented" in row.found for row in found.values())


@pytest.mark.parametrize("errors", ["denied", ["denied"], [{"code": [1], "message": None}], None, 7], ids=str)
def test_errors_of_another_shape_are_told_by_their_status(errors: Any) -> None:
    api = Api()
    api.answers[f"/zones/{ZONE}"] = httpx.Response(403, json={"success": False, "errors": errors})
    with pytest.raises(Unanswered, match="denied: Zone:Read"):
        api.account().zone(ZONE)


@pytest.mark.parametrize("total", [10**9, "x"])
def test_pages_end_whatever_the_answer_says_of_them(total: Any) -> None:
    api = Api()
    api.answers["/zones"] = ok([], page=1, total_pages=total)
    with pytest.raises(Unanswered):
        api.account().zones_named("example.com")
    assert len(api.asked) <= 100


@pytest.mark.parametrize("token", ["se cret", "secret\nsecret", "secret\x7f", "s\xe9cret"])
def test_a_token_that_no_header_can_carry_is_refused_without_being_printed(token: str) -> None:
    with pytest.raises(Unreachable, match="holds spaces, line ends or other characters") as caught:
        connect(ACCOUNT, {"CLOUDFLARE_API_TOKEN": token})
    assert len(caught.value.lines) == 1
    assert "cret" not in caught.value.lines[0]


def test_no_token_is_one_line() -> None:
    with pytest.raises(Unreachable, match="CLOUDFLARE_API_TOKEN"):
        connect(ACCOUNT, {})
    assert connect(ACCOUNT, {"CLOUDFLARE_API_TOKEN": "x"}).stand_in is False


@pytest.mark.parametrize(
    ("answer", "state", "told"),
    [
        (refused(404, 7003, "Could not route to /zones/x"), "failure", "not seen by this token"),
        (ok(zone(name="example.org")), "failure", "is example.org"),
        (ok(zone(account={"id": "e" * 32})), "failure", f"in account {'e' * 32}"),
        (ok(zone(status="pending")), "warning", "pending"),
        (DENIED, "unknown", "denied: Zone:Read"),
    ],
)
def test_the_zone_by_id_is_there_in_the_account_and_active(answer: httpx.Response, state: str, told: str) -> None:
    row = after(lambda api: api.answers.update({f"/zones/{ZONE}": answer}))["zone"]
    assert (row.state, told in row.found) == (state, True)


@pytest.mark.parametrize(
    ("plan", "wanted", "state"),
    [("free", "business", "failure"), ("business", "business", "ok"), ("enterprise", "business", "note"),
     ("lite", "business", "unknown")],
)  # fmt: skip
def test_the_plan_is_not_below_the_stack_files(plan: str, wanted: str, state: str) -> None:
    api = Api()
    api.answers[f"/zones/{ZONE}"] = ok(zone(plan={"legacy_id": plan}))
    assert asked(api.account(), config(wanted))["plan"].state == state


def test_a_zone_to_be_made_is_not_there_or_is_this_stacks() -> None:
    to_be_made = config(zone={"name": "example.com"})
    api = Api()
    api.answers["/zones"] = ok([], page=1, total_pages=1)
    found = asked(api.account(), to_be_made)
    assert states(found) == {"plan": "warning", "delegation": "warning"}
    assert found["plan"].found == "a new zone starts as free"
    assert asked(Api().account(), to_be_made)["zone"].state == "failure"
    api = Api()
    api.answers[f"/accounts/{ACCOUNT}/load_balancers/pools"] = ok(
        [{"name": "spillway-global-onprem-fra", "origins": []}]
    )
    assert asked(api.account(), to_be_made)["zone"].found == "example.com: this stack's"


def test_zones_and_records_are_read_over_all_pages() -> None:
    api = Api()
    api.answers["/zones"] = [
        ok([zone(id="1" * 32)], page=1, total_pages=2),
        ok([zone(id="2" * 32)], page=2, total_pages=2),
    ]
    assert [found.id for found in api.account().zones_named("example.com")] == ["1" * 32, "2" * 32]
    assert [request.url.params["page"] for request in api.asked] == ["1", "2"]
    assert api.asked[0].url.params["name"] == "example.com"


def test_load_balancing_that_was_not_bought_makes_up_fail() -> None:
    answer = refused(403, 1002, "Load balancing is not enabled for this zone: validation failed")
    found = after(lambda api: api.answers.update({f"/zones/{ZONE}/load_balancers": answer}))
    assert found["load-balancing"].state == "failure"
    assert "get-started/enable-load-balancing" in found["load-balancing"].action


def test_without_a_sign_of_load_balancing_it_is_a_warning_and_a_subscription_is_a_sign() -> None:
    def unused(api: Api) -> None:
        api.answers[f"/accounts/{ACCOUNT}/load_balancers/pools"] = ok([])

    def subscribed(api: Api) -> None:
        unused(api)
        plan = {"id": "load_balancing_basic", "public_name": "Load Balancing"}
        api.answers[f"/accounts/{ACCOUNT}/subscriptions"] = ok([{"id": "s", "rate_plan": plan}])

    def denied(api: Api) -> None:
        unused(api)
        api.answers[f"/accounts/{ACCOUNT}/subscriptions"] = DENIED

    assert after(unused)["load-balancing"].state == "warning"
    assert after(denied)["load-balancing"].state == "warning"
    assert after(subscribed)["load-balancing"].state == "ok"


def test_a_token_that_may_not_see_load_balancing_leaves_one_question_open() -> None:
    found = after(lambda api: api.answers.update({f"/zones/{ZONE}/load_balancers": DENIED}))
    assert states(found) == {"load-balancing": "unknown"}
    assert found["load-balancing"].action == "give the token Load Balancers:Read"


def test_pools_of_others_leave_no_room_below_enterprise() -> None:
    def full(api: Api, others: int = 19) -> None:
        pools = [{"name": f"other-{n}", "origins": []} for n in range(others)]
        api.answers[f"/accounts/{ACCOUNT}/load_balancers/pools"] = ok(pools)

    assert after(lambda api: full(api, 18))["limit.pools"].state == "ok", "the last two of twenty are free"
    found = after(full)
    assert found["limit.pools"].state == "failure", "two members are two tiers and two pools"
    assert found["limit.endpoints"].state == "ok"
    api = Api()
    full(api)
    api.answers[f"/zones/{ZONE}"] = ok(zone(plan={"legacy_id": "enterprise"}))
    assert "limit.pools" not in asked(api.account(), config("enterprise")), "its numbers are in the contract"


def test_records_beside_the_load_balancer_are_a_note() -> None:
    records = [{"type": "CNAME", "name": "llm.example.com"}, {"type": "TXT", "name": "llm.example.com"}]
    found = after(lambda api: api.answers.update({f"/zones/{ZONE}/dns_records": ok(records, page=1, total_pages=1)}))
    assert (found["record.llm.example.com"].state, found["record.llm.example.com"].found) == (
        "note",
        "CNAME: there already",
    )


def test_a_plan_that_cloudflare_cannot_serve_ends_it() -> None:
    members = [
        {"name": "aws-us-east-1", "stack": "aws-us-east-1", "priority": 1},
        {"name": "standby", "weight": 0, "endpoint": {
            "addresses": ["198.51.100.10"], "nearestAwsRegion": "eu-central-1", "residency": "eu", "port": 8443}},
        {"name": "other", "weight": 0, "endpoint": {
            "addresses": ["198.51.100.11"], "nearestAwsRegion": "eu-central-1", "residency": "eu"}},
    ]  # fmt: skip
    services = [{"name": "llm.example.com", "policy": "weighted"}]
    found = asked(Api().account(), config(members=members, services=services))
    assert list(found) == ["token", "fits.0"]
    assert found["fits.0"].check == "spillway:global.services[0]"


# The wire


def test_throttling_is_waited_out_and_given_up_after_some_tries() -> None:
    api = Api()
    busy = httpx.Response(429, headers={"Retry-After": "7"}, json={"success": False, "errors": []})
    api.answers[f"/zones/{ZONE}"] = [busy, httpx.Response(503), ok(zone())]
    found = api.account().zone(ZONE)
    assert found == DnsZone(ZONE, "example.com", SERVERS, plan="business", account=ACCOUNT)
    assert api.slept == [7.0, 2.0]
    api.answers[f"/zones/{ZONE}"] = [busy] * 4
    with pytest.raises(Unanswered, match="Cloudflare throttles after 4 tries"):
        api.account().zone(ZONE)


def test_a_network_that_is_down_and_a_page_of_a_proxy_are_one_line_each() -> None:
    api = Api()
    api.answers["/user/tokens/verify"] = httpx.ConnectError("[Errno -2] Name or service not known")
    with pytest.raises(Unreachable) as caught:
        api.account().token()
    assert caught.value.lines == (
        "Cloudflare is out of reach: [Errno -2] Name or service not known; check network and proxy",
    )
    api.answers["/user/tokens/verify"] = httpx.Response(200, text="<html>login</html>")
    with pytest.raises(Unanswered, match="without JSON"):
        api.account().token()


# The stand-in


def test_the_stand_in_before_and_after_a_deployment(tmp_path: Path) -> None:
    to_be_made = config("enterprise", zone={"name": "example.com"})
    before = asked(StandInCloudflare(tmp_path / "none", ACCOUNT), to_be_made, real=False)
    assert states(before) == {"plan": "warning"}
    cloud = MemoryCloud(region="global", account=CLOUDFLARE.account({}), registry=CLOUDFLARE)
    made = cloud.create(tokens.ZONE, name="example.com", account={"id": ACCOUNT})
    other = asked_with(tmp_path / "a", cloud, to_be_made)
    assert other["zone"].state == "failure", "nothing says that this stack made it"
    cloud.stand_in(tokens.POOL, "p" * 32, accountId=ACCOUNT, name="spillway-global-onprem-fra", origins=[{}])
    found = asked_with(tmp_path / "b", cloud, to_be_made)
    assert states(found) == {}
    assert found["zone"].found == "example.com: this stack's"
    by_id = asked_with(tmp_path / "c", cloud, config("business", zone={"name": "example.com", "id": made.id}))
    assert (by_id["zone"].state, by_id["plan"].state) == ("ok", "note")


def asked_with(directory: Path, cloud: MemoryCloud, stack: GlobalStack) -> dict[str, Row]:
    keep(directory, cloud)
    return asked(StandInCloudflare(directory, ACCOUNT), stack, real=False)


def test_what_an_account_has_of_load_balancing() -> None:
    assert Api().account().load_balancing(None) == LoadBalancing(True, (), (("other", 1),))
