"""Recovery: which resource that exists is which planned one, and what is an orphan."""

from __future__ import annotations

from spillway.recovery import aws, aws_types
from spillway.recovery.aws_types import RULES
from spillway.recovery.match import decide, planned
from spillway.recovery.model import UNHANDLED, UNKNOWN, Existing, name_of, type_of
from tests.support.recovery_plans import (
    NETWORK,
    PROVIDER,
    ROUTE,
    ROUTE_PLAN,
    STACK,
    SUBNET,
    SUBNET_PLAN,
    TABLE,
    TABLE_PLAN,
    VPC,
    VPC_PLAN,
    owned,
    plan,
    state,
    tags,
    urn,
)


def test_parents_and_their_untagged_children_are_matched_in_one_go() -> None:
    found = decide([VPC_PLAN, SUBNET_PLAN, TABLE_PLAN, ROUTE_PLAN], [ROUTE, TABLE, SUBNET, VPC], state(), RULES)
    assert [(p.name, e.id) for p, e in found.adopt] == [
        ("net-vpc", "vpc-1"),
        ("net-a", "subnet-1"),
        ("net-a", "rtb-1"),
        ("net-out", "rtb-1_0.0.0.0/0"),
    ]
    assert not found.orphans
    assert not found.left


def test_what_the_state_holds_is_nobodys_orphan() -> None:
    holds = state(
        owned(aws_types.VPC, "net-vpc", "vpc-1"),
        # The state has the provider's own id of a route, the cloud only the table and the destination.
        owned(
            aws_types.ROUTE,
            "net-out",
            "r-rtb-11080289494",
            outputs={"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0"},
        ),
        owned(aws_types.ROUTE_TABLE, "net-a", "rtb-1", delete=True),
    )
    found = decide([], [VPC, TABLE, ROUTE], holds, RULES)
    assert (found.adopt, found.orphans, found.left) == ([], [], [])


def test_of_two_lost_networks_the_one_with_something_in_it_is_adopted() -> None:
    other = Existing(aws_types.VPC, "vpc-0", tags=tags("vpc"))
    found = decide([VPC_PLAN, SUBNET_PLAN], [other, VPC, SUBNET], state(), RULES)
    assert [e.id for _, e in found.adopt] == ["vpc-1", "subnet-1"]
    assert [e.id for e in found.orphans] == ["vpc-0"]


def test_a_subnet_of_another_network_than_the_plans_is_not_adopted() -> None:
    holds = state(owned(aws_types.VPC, "net-vpc", "vpc-2"))
    found = decide([SUBNET_PLAN], [VPC, SUBNET], holds, RULES)
    assert not found.adopt
    assert {e.id for e in found.orphans} == {"vpc-1", "subnet-1"}


def test_a_fixed_name_decides_whatever_the_name_tag_says() -> None:
    role = plan(aws_types.ROLE, "node", {"name": "spillway-dev-node", "tags": tags("renamed")})
    found = decide(
        [role], [Existing(aws_types.ROLE, "spillway-dev-node", "spillway-dev-node", tags("old"))], state(), RULES
    )
    assert [e.id for _, e in found.adopt] == ["spillway-dev-node"]
    other = decide(
        [role], [Existing(aws_types.ROLE, "spillway-dev-other", "spillway-dev-other", tags("renamed"))], state(), RULES
    )
    assert not other.adopt


def test_the_same_name_in_another_component_or_region_does_not_match() -> None:
    elsewhere = Existing(aws_types.VPC, "vpc-1", tags=tags("vpc", component="other"))
    assert not decide([VPC_PLAN], [elsewhere], state(), RULES).adopt
    abroad = plan(aws_types.VPC, "net-vpc", {"region": "eu-west-1", "tags": tags("vpc")})
    assert not decide(
        [abroad], [Existing(aws_types.VPC, "vpc-1", tags=tags("vpc"), region="us-east-1")], state(), RULES
    ).adopt


def test_a_group_is_matched_by_name_and_its_tags_are_a_list() -> None:
    listed = [{"key": k, "value": v, "propagateAtLaunch": True} for k, v in tags("spot").items()]
    group = plan(aws_types.GROUP, "spot", {"name": "spillway-dev-spot", "tags": listed})
    assert group.tags["Name"] == "spot"
    found = decide([group], [Existing(aws_types.GROUP, "spillway-dev-spot", "spillway-dev-spot")], state(), RULES)
    assert len(found.adopt) == 1


def test_the_default_security_group_is_adopted_but_never_deleted() -> None:
    default = Existing(aws_types.DEFAULT_SECURITY_GROUP, "sg-1", "vpc-1/default", tags("default-unused"))
    wanted = plan(aws_types.DEFAULT_SECURITY_GROUP, "net-default", {"vpcId": "vpc-1", "tags": tags("default-unused")})
    assert [e.id for _, e in decide([wanted], [default], state(), RULES).adopt] == ["sg-1"]
    alone = decide([], [default], state(), RULES)
    assert not alone.orphans
    assert [left.problem for left in alone.left] == [False]


def test_parts_of_an_orphan_go_with_it_and_those_that_keep_it_alive_go_first() -> None:
    association = Existing(
        aws_types.ASSOCIATION, "subnet-1/rtb-1", "subnet-1", parents=frozenset({"rtb-1", "subnet-1"})
    )
    found = decide([], [TABLE, ROUTE, association], state(), RULES)
    assert [e.id for e in found.orphans] == ["rtb-1", "subnet-1/rtb-1"]
    assert not found.left


def test_parts_of_something_owned_that_no_plan_has_are_left_alone() -> None:
    found = decide([], [TABLE, ROUTE], state(owned(aws_types.ROUTE_TABLE, "net-a", "rtb-1")), RULES)
    assert not found.orphans
    assert [(left.resource.id, left.problem) for left in found.left] == [("rtb-1_0.0.0.0/0", False)]


def test_what_recovery_does_not_know_is_a_problem_and_a_pools_instance_is_none() -> None:
    unknown = Existing("lambda:function", "arn:aws:lambda:...", keep=UNHANDLED)
    instance = Existing("ec2:instance", "i-1", keep=aws.POOLED)
    found = decide([], [unknown, instance], state(), RULES)
    assert [left.problem for left in found.left] == [True, False]
    assert not found.orphans


def test_a_survivor_of_a_replacement_takes_the_place_unless_the_old_one_is_protected() -> None:
    item = plan(aws_types.VPC, "net-vpc", {"tags": tags("vpc")}, replaces=True)
    old = owned(aws_types.VPC, "net-vpc", "vpc-0")
    assert [e.id for _, e in decide([item], [VPC], state(old), RULES).adopt] == ["vpc-1"]
    kept = decide([item], [VPC], state({**old, "protect": True}), RULES)
    assert not kept.adopt
    assert not kept.orphans
    assert [left.problem for left in kept.left] == [True]


def test_a_preview_is_read_with_components_providers_and_replacements() -> None:
    steps = [
        {"op": "same", "urn": STACK, "newState": {}},
        {"op": "create", "urn": NETWORK, "newState": {"custom": False, "parent": STACK}},
        {
            "op": "replace",
            "urn": VPC_PLAN.urn,
            "newState": {
                "custom": True,
                "inputs": {"tags": {}},
                "parent": NETWORK,
                "provider": f"{PROVIDER}::{UNKNOWN}",
                "propertyDependencies": {"tags": None, "vpcId": [STACK]},
            },
        },
    ]
    network, vpc = planned({"steps": steps})
    assert (network.custom, network.replaces, network.provider) == (False, False, None)
    assert (vpc.replaces, vpc.provider, vpc.token) == (True, PROVIDER, aws_types.VPC)
    assert vpc.dependencies == {"tags": (), "vpcId": (STACK,)}


def test_a_urn_is_read_even_when_the_name_has_colons() -> None:
    odd = urn(aws_types.VPC, "a::b$c")
    assert name_of(odd) == "a::b$c"
    assert type_of(odd) == aws_types.VPC
