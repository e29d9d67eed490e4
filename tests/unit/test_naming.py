"""Names and tags: fixed, short enough, and never colliding."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import catalog, naming
from infra.aws.subnets import SLOTS, carve


def test_names_start_with_the_stacks_prefix() -> None:
    assert naming.region_prefix("aws-us-east-1") == "spillway-aws-us-east-1"
    assert naming.pool_name("aws-us-east-1", "on-demand") == "spillway-aws-us-east-1-on-demand"
    assert (
        naming.block_name("aws-us-east-1", "cr-0123456789abcdef0") == "spillway-aws-us-east-1-block-0123456789abcdef0"
    )


@pytest.mark.parametrize("region", catalog.regions())
def test_every_region_of_the_catalog_gets_names_within_the_limits(region: str) -> None:
    stack = f"aws-{region}"
    assert len(naming.load_balancer_name(stack)) <= 32
    assert len(naming.target_group_name(stack)) <= 32
    bucket = naming.bucket_name("123456789012", region)
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", bucket)
    assert "--" not in bucket
    assert len(naming.name(stack, "fallback-late")) <= 64


@pytest.mark.parametrize(
    "stack", ["", "aws", "AWS-us-east-1", "aws_us", "aws-", "aws--us", "-aws-us", "aws-us-east-1 "]
)
def test_a_stack_that_is_not_cloud_and_region_has_no_names(stack: str) -> None:
    with pytest.raises(ValueError, match="expected <cloud>-<region>"):
        naming.region_prefix(stack)


def test_a_name_that_is_too_long_is_refused_not_cut() -> None:
    with pytest.raises(ValueError, match="the limit is 32"):
        naming.load_balancer_name("aws-a-region-with-a-long-name-1")


def test_accounts_reservations_and_pools_are_checked() -> None:
    with pytest.raises(ValueError, match="12 digits"):
        naming.bucket_name("1234", "us-east-1")
    with pytest.raises(ValueError, match="an AWS region"):
        naming.bucket_name("123456789012", "us_east_1")
    with pytest.raises(ValueError, match="cr-"):
        naming.block_name("aws-us-east-1", "r-1")
    with pytest.raises(ValueError, match="one of spot, on-demand"):
        naming.pool_name("aws-us-east-1", "reserved")  # type: ignore[arg-type]


def test_arns_name_the_partition_of_the_region() -> None:
    assert naming.arn("events", "us-east-1", "123456789012", "rule/x") == "arn:aws:events:us-east-1:123456789012:rule/x"
    assert naming.bucket_arn("b", "us-gov-west-1") == "arn:aws-us-gov:s3:::b"
    assert naming.bucket_arn("b", "cn-north-1") == "arn:aws-cn:s3:::b"


def test_the_stacks_own_tags_cannot_be_replaced() -> None:
    for key in ("spillway:stack", "spillway:anything", "aws:autoscaling:groupName", "AWS:x"):
        with pytest.raises(ValueError, match="reserved"):
            naming.tags("aws-us-east-1", "network", {key: "x"})


def test_tags_carry_stack_component_owner_pool_and_label() -> None:
    assert naming.tags("aws-us-east-1", "node", {"team": "platform"}, pool="spot", label="spillway-spot") == {
        "team": "platform",
        "spillway:stack": "aws-us-east-1",
        "spillway:component": "node",
        "spillway:managed-by": "pulumi",
        "spillway:pool": "spot",
        "Name": "spillway-spot",
    }


@pytest.mark.parametrize("extra", [{"": "x"}, {"k" * 129: "x"}, {"k": "v" * 257}, {"k?": "x"}, {"k": "<v>"}])
def test_tags_that_the_cloud_would_refuse_are_refused(extra: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="expected"):
        naming.tags("aws-us-east-1", "network", extra)


def test_more_than_fifty_tags_are_refused() -> None:
    with pytest.raises(ValueError, match="the limit is 50"):
        naming.tags("aws-us-east-1", "network", {f"k{n}": "v" for n in range(48)})


letters = st.sets(st.sampled_from("abcdefgh"), min_size=1)


@given(prefix=st.integers(16, 24), zones=letters)
def test_subnets_never_overlap_and_stay_inside(prefix: int, zones: set[str]) -> None:
    import ipaddress

    whole = ipaddress.IPv4Network(f"10.16.0.0/{prefix}")
    found = carve(str(whole), [f"us-east-1{letter}" for letter in zones])
    nets = [ipaddress.IPv4Network(cidr) for zone in found for cidr in (zone.nodes, zone.public)]
    assert all(net.subnet_of(whole) for net in nets)
    assert all(not a.overlaps(b) for i, a in enumerate(nets) for b in nets[:i])
    assert len(nets) == 2 * len(zones) <= 2 * SLOTS


@given(some=letters, more=letters)
def test_a_further_zone_never_renumbers_the_others(some: set[str], more: set[str]) -> None:
    few = carve("10.16.0.0/16", [f"us-east-1{letter}" for letter in some])
    many = carve("10.16.0.0/16", [f"us-east-1{letter}" for letter in some | more])
    assert set(few) <= set(many)


def test_networks_and_zones_that_cannot_be_cut_are_refused() -> None:
    with pytest.raises(ValueError, match="/24 or wider"):
        carve("10.0.0.0/25", ["us-east-1a"])
    for zone in ("us-east-1", "us-east-1z", "us-west-2-lax-a", ""):
        with pytest.raises(ValueError, match="zone"):
            carve("10.0.0.0/16", [zone])
    with pytest.raises(ValueError, match="no zones"):
        carve("10.0.0.0/16", [])
