"""What a standing region has for good, looked up in the stand-in clouds before anything is registered."""

from __future__ import annotations

import copy
import ipaddress
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pulumi.runtime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import standing
from infra.config import REGION_KEY, parse_region
from infra.faults import NotFound
from infra.stackfile import read
from sandbox.aws import AWS
from sandbox.aws import tokens as aws
from sandbox.gcp import GCP
from sandbox.gcp import tokens as gcp
from sandbox.kinds import Args, CloudError, Registry
from sandbox.tencentcloud import TENCENTCLOUD
from sandbox.tencentcloud import tokens as tencent
from tests.support.memory_cloud import MemoryCloud

STACKS = Path(__file__).resolve().parents[2] / "stacks"
AMERICA, IOWA, GUANGZHOU = "aws-us-east-1", "gcp-us-central1", "tencent-ap-guangzhou"


def config(stack: str, **network: Any) -> Any:
    """The shipped stack file, with values of its network set."""
    data = copy.deepcopy(read(STACKS / f"Pulumi.{stack}.yaml")[REGION_KEY])
    data["network"].update(network)
    return parse_region(data, stack, "file")


def cloud(stack: str, registry: Registry) -> MemoryCloud:
    made = config(stack)
    return MemoryCloud(made.region, made.account, registry)


class Asked(pulumi.runtime.Mocks):
    """Data sources are answered by the stand-in."""

    def __init__(self, there: MemoryCloud) -> None:
        self.there = there

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        try:
            return self.there.registry.invokes[args.token](Args(args.args), self.there), []
        except CloudError as error:
            return {}, [("", str(error))]


def ask(look: Callable[[Any, pulumi.ProviderResource], None], wanted: Any, there: MemoryCloud) -> None:
    pulumi.runtime.set_mocks(Asked(there), project="spillway", stack=wanted.stack_name, preview=True)

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def program() -> None:
        if wanted.cloud == "aws":
            from infra.aws.provider import provider
        elif wanted.cloud == "gcp":
            from infra.gcp.provider import provider  # type: ignore[assignment]
        else:
            from infra.tencent.provider import provider  # type: ignore[assignment]
        look(wanted, provider(wanted))

    program()


def refused(look: Callable[[Any, pulumi.ProviderResource], None], wanted: Any, there: MemoryCloud) -> str:
    with pytest.raises(NotFound) as error:
        ask(look, wanted, there)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_vpc_keeps_its_cidr() -> None:
    from infra.aws.lookups import check_network

    there = cloud(AMERICA, AWS)
    ask(check_network, config(AMERICA), there)  # before the first `up` there is none
    tags = {"spillway:stack": AMERICA}
    there.stand_in(aws.VPC, "vpc-1", cidrBlock="10.16.0.0/16", tags=tags, tagsAll=tags)
    ask(check_network, config(AMERICA), there)
    told = refused(check_network, config(AMERICA, cidr="10.99.0.0/16"), there)
    assert told.startswith("spillway:region.network.cidr = 10.99.0.0/16: the network vpc-1 stands with 10.16.0.0/16")
    there.stand_in(aws.VPC, "vpc-2", cidrBlock="10.16.0.0/16", tags=tags, tagsAll=tags)
    ask(check_network, config(AMERICA), there)  # two of them are for `spillway recover`, which plans first


def test_zones_are_added_to_an_aws_region_and_never_taken_away() -> None:
    from infra.aws.lookups import check_zones

    there = cloud(AMERICA, AWS)
    ask(check_zones, config(AMERICA), there)
    name = f"spillway-{AMERICA}-spot"
    there.stand_in(aws.AUTOSCALING_GROUP, name, name=name, availabilityZones=["us-east-1a", "us-east-1b"])
    ask(check_zones, config(AMERICA, zones=["us-east-1a", "us-east-1b", "us-east-1c"]), there)
    told = refused(check_zones, config(AMERICA, zones=["us-east-1a", "us-east-1c"]), there)
    assert told.startswith("spillway:region.network.zones = [us-east-1a, us-east-1c]: ")
    assert f"the group {name} stands in us-east-1a and us-east-1b, to which others may be added" in told
    assert "the load balancer has an address in each" in told


def test_a_subnetwork_may_only_grow() -> None:
    from infra.gcp.lookups import check_network

    there, name = cloud(IOWA, GCP), f"spillway-{IOWA}-nodes"
    ask(check_network, config(IOWA), there)
    id = f"projects/{there.account}/regions/us-central1/subnetworks/{name}"
    there.stand_in(gcp.SUBNETWORK, id, name=name, ipCidrRange="10.32.0.0/20")
    for cidr in ("10.32.0.0/20", "10.32.0.0/16"):
        ask(check_network, config(IOWA, cidr=cidr), there)
    for cidr in ("10.33.0.0/16", "10.32.0.0/24"):
        told = refused(check_network, config(IOWA, cidr=cidr), there)
        assert f"the subnetwork {name} stands with 10.32.0.0/20" in told
        assert "it can be widened" in told


def test_a_group_of_google_cloud_keeps_its_zones() -> None:
    from infra.gcp.lookups import check_zones

    there, name = cloud(IOWA, GCP), f"spillway-{IOWA}-spot"
    ask(check_zones, config(IOWA), there)
    id = f"projects/{there.account}/regions/us-central1/instanceGroupManagers/{name}"
    zones = ["us-central1-a", "us-central1-c"]
    there.stand_in(gcp.GROUP, id, name=name, distributionPolicyZones=zones)
    ask(check_zones, config(IOWA, zones=zones), there)
    for wanted in (["us-central1-a"], [*zones, "us-central1-f"]):
        told = refused(check_zones, config(IOWA, zones=wanted), there)
        assert f"the group {name} stands in us-central1-a and us-central1-c: zones are fixed" in told


def test_a_network_of_tencent_cloud_keeps_its_cidr() -> None:
    from infra.tencent.lookups import check_network

    there, name = cloud(GUANGZHOU, TENCENTCLOUD), f"spillway-{GUANGZHOU}-vpc"
    there.stand_in(tencent.VPC, "vpc-0", name=f"{name}-of-another", cidrBlock="10.1.0.0/16")
    ask(check_network, config(GUANGZHOU), there)
    there.stand_in(tencent.VPC, "vpc-1", name=name, cidrBlock="10.48.0.0/16")
    ask(check_network, config(GUANGZHOU), there)
    told = refused(check_network, config(GUANGZHOU, cidr="10.49.0.0/16"), there)
    assert f"the network {name} stands with 10.48.0.0/16" in told


@given(st.integers(0, 255), st.integers(16, 24), st.integers(16, 24), st.booleans())
def test_a_cidr_is_kept_or_widened_where_that_can_be_done(part: int, old: int, new: int, grows: bool) -> None:
    before = str(ipaddress.IPv4Network((f"10.{part}.0.0", old)))
    after = str(ipaddress.IPv4Network((f"10.{part}.0.0", new)))
    if old == new or (grows and new < old):
        standing.keep_cidr(after, [before], "net", grows=grows)
    else:
        with pytest.raises(NotFound, match=f"^spillway:region.network.cidr = {after}: net stands with {before}"):
            standing.keep_cidr(after, [before], "net", grows=grows)
