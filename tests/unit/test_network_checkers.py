"""Who probes the balancer gets in where `network.clients` leaves it out, and within what a security group holds."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network
from typing import Any

import pulumi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra import catalog
from infra.aws.build import build
from infra.aws.lookups import find_checkers
from infra.checks import MOST_RULES, ROUTE53_RULES
from infra.faults import NotFound
from infra.sections import Network
from tests.support.registered import Recorder
from tests.unit.stack_data import faults, load

INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
LOOKUP = "aws:ec2/getManagedPrefixList:getManagedPrefixList"
LIST = "pl-0123456789abcdef0"
OFFICE = "198.51.100.0/24"
CLOUDFLARE = tuple(catalog.checkers("cloudflare")["networks"])


class Account(Recorder):
    """An account with AWS's prefix list of Route 53's checkers, or one in a region that has none."""

    def __init__(self, lists: bool = True) -> None:
        super().__init__("us-east-1")
        self.lists = lists
        self.asked: list[str] = []

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        if args.token != LOOKUP:
            return super().call(args)
        if not self.lists:
            return {}, [("name", "empty result")]
        self.asked.append(args.args["name"])
        return {**args.args, "id": LIST, "maxEntries": 25}, []


def built(clients: Sequence[str], checkers: Sequence[str] | None = None) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The balancer's ingress rules by the end of their name, and the prefix lists that were looked up."""
    changes: dict[str, Any] = {"network.clients": list(clients)}
    if checkers is not None:
        changes["network.checkers"] = list(checkers)
    account, config = Account(), load(changes)
    pulumi.runtime.set_mocks(account, project="spillway", stack=config.stack_name, preview=False)

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def program() -> None:
        build(config)

    program()
    rules = [r["inputs"] for r in account.resources if r["type"] == INGRESS]
    balancer = [rule for rule in rules if rule["securityGroupId"].endswith("-network-balancer-id")]
    return {rule.get("cidrIpv4") or rule["prefixListId"]: rule for rule in balancer}, account.asked


def test_where_everybody_may_come_in_checkers_need_no_rule_and_nothing_is_looked_up() -> None:
    for checkers in (["route53"], ["cloudflare"], ["route53", "cloudflare"], []):
        rules, asked = built(["0.0.0.0/0"], checkers)
        assert list(rules) == ["0.0.0.0/0"]
        assert asked == []


def test_clients_alone_let_in_route_53_by_the_list_that_aws_keeps() -> None:
    rules, asked = built([OFFICE])
    assert set(rules) == {OFFICE, LIST}
    assert asked == ["com.amazonaws.us-east-1.route53-healthchecks"]
    rule = rules[LIST]
    assert (rule["ipProtocol"], rule["fromPort"], rule["toPort"]) == ("tcp", 443, 443)
    assert "cidrIpv4" not in rule
    assert rule["description"] == "Health checkers"


def test_cloudflare_comes_in_by_its_published_networks() -> None:
    rules, asked = built([OFFICE], ["cloudflare"])
    assert set(rules) == {OFFICE, *CLOUDFLARE}
    assert len(CLOUDFLARE) == 15
    assert asked == []
    assert all((rule["fromPort"], rule["toPort"], rule["ipProtocol"]) == (443, 443, "tcp") for rule in rules.values())


def test_both_may_come_in_and_neither() -> None:
    assert set(built([OFFICE], ["route53", "cloudflare"])[0]) == {OFFICE, LIST, *CLOUDFLARE}
    assert built([OFFICE], []) == ({OFFICE: built([OFFICE], [])[0][OFFICE]}, [])


def test_a_client_that_is_one_of_cloudflares_networks_is_one_rule_and_not_two() -> None:
    """AWS refuses the second as a duplicate."""
    rules, _ = built([OFFICE, CLOUDFLARE[3]], ["cloudflare"])
    assert set(rules) == {OFFICE, *CLOUDFLARE}
    assert rules[CLOUDFLARE[3]]["description"] == "Clients"


def test_rules_are_named_by_what_they_let_in_so_that_one_network_less_rewrites_no_other() -> None:
    account, config = Account(), load({"network.clients": [OFFICE], "network.checkers": ["route53", "cloudflare"]})
    pulumi.runtime.set_mocks(account, project="spillway", stack=config.stack_name, preview=False)

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def program() -> None:
        build(config)

    program()
    names = [r["outputs"]["name"] for r in account.resources if r["type"] == INGRESS]
    assert len(set(names)) == len(names)
    assert "aws-us-east-1-network-balancer-from-route53" in names
    assert f"aws-us-east-1-network-balancer-from-{CLOUDFLARE[0].replace('/', '-')}" in names


@pytest.mark.parametrize("provider", ["cloudflare", "route53"])
def test_the_data_of_a_providers_networks_is_whole(provider: str) -> None:
    networks = [IPv4Network(text) for text in catalog.checkers(provider)["networks"]]
    assert not any(a.overlaps(b) for i, a in enumerate(networks) for b in networks[:i])
    assert all(network.is_global for network in networks)


def test_a_region_without_the_list_is_one_clear_line() -> None:
    pulumi.runtime.set_mocks(Account(lists=False), project="spillway", stack="aws-us-east-1", preview=False)
    network = Network.model_validate({"cidr": "10.16.0.0/16", "clients": [OFFICE]})

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def program() -> None:
        from infra.aws.provider import provider

        with pytest.raises(NotFound) as refused:
            find_checkers(network, "us-east-1", provider(load()))
        assert str(refused.value).startswith(
            "spillway:region.network.checkers: cannot find the prefix list com.amazonaws.us-east-1.route53-healthchecks"
        )
        assert str(refused.value).isprintable()

    program()


def networks(count: int) -> list[str]:
    return [f"198.18.{i}.0/24" for i in range(count)]


@pytest.mark.parametrize(
    ("checkers", "most"),
    [(["route53"], 35), (["cloudflare"], 45), (["route53", "cloudflare"], 20), ([], 60), (["route53", "route53"], 35)],
)
def test_clients_and_checkers_together_fit_into_a_security_group(checkers: list[str], most: int) -> None:
    changes: dict[str, Any] = {"network.checkers": checkers, "network.clients": networks(most)}
    assert faults(changes) == []
    changes["network.clients"] = networks(most + 1)
    (told,) = faults(changes)
    assert told.startswith("network.clients = [")
    assert f"has to have at most {most} entries" in told


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 60), st.sets(st.sampled_from(["route53", "cloudflare"])), st.integers(0, 5))
def test_whatever_loads_makes_no_more_rules_than_a_security_group_takes(
    count: int, checkers: set[str], shared: int
) -> None:
    clients = [*networks(count), *CLOUDFLARE[:shared]][:60]
    if faults({"network.clients": clients, "network.checkers": sorted(checkers)}):
        return
    rules, _ = built(clients, sorted(checkers))
    assert sum(ROUTE53_RULES if key == LIST else 1 for key in rules) <= MOST_RULES


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (["akamai"], "network.checkers[0] = akamai: has to be route53 or cloudflare"),
        ("route53", "network.checkers = route53: has to be a list"),
        (None, "network.checkers = null: has to be a list"),
        (["route53", 5], "network.checkers[1] = 5: has to be route53 or cloudflare"),
        (["route53"] * 3, "network.checkers = [route53, route53, route53]: has to have at most 2 entries"),
    ],
)
def test_a_checker_that_nobody_knows_is_refused(value: object, told: str) -> None:
    assert faults({"network.checkers": value}) == [told]
