"""What the global stack asks Cloudflare for: how members are probed, how pools and load balancers are set."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi.runtime
import pytest

from infra import stackfile
from infra.dns.common import ExistingZone, ProviderArgs
from infra.dns.plan import Endpoint, build
from infra.dns.sections import GlobalStack
from infra.dns.settings import check_settings
from tests.support.engine import TWO_REGIONS

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the whole SDK, at its import
STACK = "global-cloudflare"
FILE = TWO_REGIONS / f"Pulumi.{STACK}.yaml"
ACCOUNT = "0123456789abcdef0123456789abcdef"
SERVICE, LIMITED = "llm.example.com", "llm-us.example.com"
Registered = dict[str, dict[str, dict[str, Any]]]
"""Type's last word -> name of the registration -> inputs."""


class Recorder(pulumi.runtime.Mocks):
    def __init__(self) -> None:
        self.found: Registered = {}

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        self.found.setdefault(args.typ.rsplit(":", 1)[-1], {})[args.name.removeprefix(f"{STACK}-")] = dict(args.inputs)
        return f"id:{args.name}", {**args.inputs, "nameServers": ["ada.ns.cloudflare.com"]}

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"nothing is looked up here: {args.token}")


def endpoint(number: int, residency: str = "us", path: str = "/readyz", addresses: int = 1) -> Endpoint:
    return Endpoint(
        hostname=None,
        addresses=tuple(f"198.51.{number}.{host}" for host in range(1, addresses + 1)),
        port=443,
        health_path=path,
        cloud="aws",
        region=None,
        nearest_aws_region="us-east-1",
        residency=residency,
    )


ENDPOINTS = {
    "aws-us-east-1": endpoint(1, addresses=2),
    "aws-us-west-2": endpoint(2),
    "onprem-fra": endpoint(3, residency="eu"),
    "small-model": endpoint(4, path="/health"),
}


def registered(zone: ExistingZone | None = None, dns: dict[str, Any] | None = None, **cloudflare: Any) -> Registered:
    data = stackfile.read(FILE)[stackfile.GLOBAL_KEY]
    data["cloudflare"] |= cloudflare
    data["dns"] |= dns or {}
    config = GlobalStack.model_validate(data)
    recorder = Recorder()
    pulumi.runtime.set_mocks(recorder, project="spillway", stack=STACK, preview=False)

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def program() -> Any:
        from infra.dns.cloudflare import Cloudflare

        made = Cloudflare(STACK, ProviderArgs(STACK, config, build(config, ENDPOINTS), check_settings(config), zone))
        return pulumi.Output.all(made.zone, made.checks, made.answers)

    program()
    return recorder.found


@pytest.fixture(scope="module")
def proxied() -> Registered:
    return registered()


def test_members_are_probed_as_often_as_the_plan_allows_and_are_out_after_the_threshold(proxied: Registered) -> None:
    monitors = proxied["LoadBalancerMonitor"]
    assert {monitor["path"] for monitor in monitors.values()} == {"/readyz", "/health"}
    for monitor in monitors.values():
        timing = {key: monitor[key] for key in ("interval", "timeout", "retries", "consecutiveDown", "consecutiveUp")}
        assert timing == {"interval": 10, "timeout": 5, "retries": 0, "consecutiveDown": 2, "consecutiveUp": 2}
        assert (monitor["type"], monitor["method"], monitor["expectedCodes"]) == ("https", "GET", "200")
        assert monitor["header"] == {"Host": [SERVICE]}
        assert monitor["followRedirects"] is False, "a redirect is no readiness"
        assert monitor["allowInsecure"] is True, "as no provider's checkers look at the certificate"
        assert "port" not in monitor


def test_a_stack_files_own_timing_is_what_is_asked_for() -> None:
    check = {"intervalSeconds": 30, "threshold": 3, "timeoutSeconds": 7}
    for monitor in registered(dns={"check": check})["LoadBalancerMonitor"].values():
        assert (monitor["interval"], monitor["timeout"]) == (30, 7)
        assert (monitor["consecutiveDown"], monitor["consecutiveUp"]) == (3, 3)


def test_a_pool_lives_while_one_address_does_and_is_probed_from_the_files_regions(proxied: Registered) -> None:
    pools = proxied["LoadBalancerPool"]
    assert {"aws-us-east-1", "aws-us-west-2", "onprem-fra", "small-model"} <= pools.keys()
    for name, pool in pools.items():
        assert pool["name"] == f"spillway-{STACK}-{name}"
        assert (pool["accountId"], pool["minimumOrigins"]) == (ACCOUNT, 1)
        assert pool["checkRegions"] == ["WNAM", "ENAM", "WEU"]
        assert all(origin["enabled"] for origin in pool["origins"])
    east = pools["aws-us-east-1"]
    assert [(origin["address"], origin["weight"]) for origin in east["origins"]] == [
        ("198.51.1.1", 1), ("198.51.1.2", 1),
    ]  # fmt: skip


def test_a_proxied_name_fails_over_across_pools_and_binds_no_session(proxied: Registered) -> None:
    for balancer in proxied["LoadBalancer"].values():
        assert balancer["proxied"] is True
        assert "ttl" not in balancer, "a proxied name's TTL is Cloudflare's"
        assert balancer["adaptiveRouting"] == {"failoverAcrossPools": True}
        assert balancer["sessionAffinity"] == "none"


def test_a_name_that_is_dns_alone_has_the_files_ttl_and_retries_nothing() -> None:
    found = registered(proxied=False, failoverAcrossPools=False, dns={"ttlSeconds": 30})
    for balancer in found["LoadBalancer"].values():
        assert (balancer["proxied"], balancer["ttl"]) == (False, 30)
        assert balancer["adaptiveRouting"] == {"failoverAcrossPools": False}
    assert "ZoneSetting" not in found, "its requests do not pass through Cloudflare"


def test_pools_stand_in_the_order_of_the_tiers_and_the_last_resort_is_the_fallback(proxied: Registered) -> None:
    balancer = proxied["LoadBalancer"][SERVICE]
    order = ["aws-us-east-1", "aws-us-west-2", "onprem-fra", "small-model"]
    assert balancer["defaultPools"] == [f"id:{STACK}-{name}" for name in order]
    assert (balancer["steeringPolicy"], balancer["fallbackPool"]) == ("off", f"id:{STACK}-small-model")


def test_weights_go_to_pools_by_their_id_and_residency_keeps_others_out(proxied: Registered) -> None:
    balancer = proxied["LoadBalancer"][LIMITED]
    east, west = f"id:{STACK}-aws-us-east-1", f"id:{STACK}-aws-us-west-2"
    assert (balancer["steeringPolicy"], balancer["defaultPools"]) == ("random", [east, west])
    weights = balancer["randomSteering"]["poolWeights"]
    assert weights[east] / weights[west] == pytest.approx(9)
    assert f"id:{STACK}-onprem-fra" not in [*balancer["defaultPools"], balancer["fallbackPool"]]


def test_a_zone_of_the_stacks_own_verifies_members_and_an_existing_one_stays_its_owners(proxied: Registered) -> None:
    settings = {setting["settingId"]: setting["value"] for setting in proxied["ZoneSetting"].values()}
    assert settings == {
        "ssl": "strict", "min_tls_version": "1.2", "always_use_https": "on", "proxy_read_timeout": 600,
    }  # fmt: skip
    existing = registered(ExistingZone("f" * 32, "example.com", ("ada.ns.cloudflare.com",)))
    assert not {"Zone", "ZoneSetting"} & existing.keys()
    assert {balancer["zoneId"] for balancer in existing["LoadBalancer"].values()} == {"f" * 32}
    assert "proxy_read_timeout" not in {
        setting["settingId"] for setting in registered(plan="business")["ZoneSetting"].values()
    }, "only enterprise may set it"
