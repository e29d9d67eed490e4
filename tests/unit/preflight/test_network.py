"""Identity, network quotas, fixed names, disks, keys, roles and the bucket."""

from __future__ import annotations

from typing import Any

import pytest

from spillway.preflight.aws_region.facts import Bucket, Identity, Key, Owned
from tests.unit.preflight.fake_account import STACK, FakeAccount, owned, rows, states

EGRESS = "network.egress"


def test_credentials_of_another_account_are_named_and_nothing_else_is_asked() -> None:
    account = FakeAccount(who=Identity("999999999999", "arn:aws:sts::999999999999:assumed-role/ci/me"))
    found = rows(account)
    assert list(found) == ["identity"]
    assert found["identity"].state == "failure"
    assert found["identity"].found.startswith("999999999999, arn:aws:sts::999999999999:assumed-role/ci/me")
    assert found["identity"].needed == "123456789012"
    assert account.asked == ["identity"]


@pytest.mark.parametrize(
    ("egress", "eips", "state", "value"),
    [
        ("nat", [], "ok", None),
        ("nat", owned(1), "failure", 6),
        ("nat", owned(5, STACK), "ok", None),
        ("nat", [*owned(5, STACK), *owned(2)], "failure", 7),
        ("endpoints", owned(1), "ok", None),
        ("nat-per-zone", [], "failure", 8),
    ],
)
def test_addresses_are_one_per_zone_and_one_per_nat_gateway(
    egress: str, eips: list[Owned], state: str, value: float | None
) -> None:
    row = rows(FakeAccount(eips=eips), {EGRESS: egress})["addresses"]
    assert row.state == state
    assert (row.request.value if row.request else None) == value


def test_nat_gateways_count_by_zone() -> None:
    full = [Owned(f"nat-{n}", "", "us-east-1a") for n in range(5)]
    row = rows(FakeAccount(nats=full))["nat"]
    assert (row.state, row.found) == ("failure", "us-east-1a 5 of 5 used by others")
    elsewhere = [Owned(f"nat-{n}", "", "us-east-1c") for n in range(5)]
    assert rows(FakeAccount(nats=elsewhere))["nat"].state == "ok"
    assert (
        rows(FakeAccount(nats=elsewhere, values={"L-0263D0A3": 9}), {EGRESS: "nat-per-zone"})["nat"].state == "failure"
    )
    assert "nat" not in rows(FakeAccount(nats=full), {EGRESS: "endpoints"})
    own = [*full[1:], Owned("nat-own", STACK, "us-east-1a")]
    assert rows(FakeAccount(nats=own))["nat"].state == "ok"


@pytest.mark.parametrize(
    ("what", "id", "code"),
    [
        ("vpcs", "vpcs", "L-F678F1CE"),
        ("igws", "internet-gateways", "L-A4707A72"),
        ("nlbs", "balancers", "L-69A177A2"),
        ("tgs", "target-groups", "L-B22855CB"),
    ],
)
def test_a_full_quota_fails_until_this_stack_is_what_fills_it(what: str, id: str, code: str) -> None:
    full: Any = {what: owned(4), "values": {code: 4}}
    row = rows(FakeAccount(**full))[id]
    assert row.request is not None
    assert (row.state, row.request.code, row.request.value) == ("failure", code, 5)
    mine = [*owned(3), Owned("spillway-aws-us-east-1-lb" if what == "nlbs" else "spillway-aws-us-east-1-tg", "")]
    if what in ("vpcs", "igws"):
        mine = owned(3) + owned(1, STACK)
    full = {what: mine, "values": {code: 4}}
    assert rows(FakeAccount(**full))[id].state == "ok"


def test_a_quota_that_is_not_listed_is_an_open_question_with_the_service_to_look_in() -> None:
    account = FakeAccount()
    account.quotas = lambda service: [q for q in FakeAccount().quotas(service) if q.code != "L-0263D0A3"]  # type: ignore[method-assign]
    row = rows(account)["addresses"]
    assert (row.state, row.found) == ("unknown", "Service Quotas lists no EC2-VPC Elastic IPs (L-0263D0A3)")


def test_disks_of_all_nodes_at_their_most_are_counted_in_tebibytes() -> None:
    row = rows()["gp3"]
    assert (row.state, row.needed) == ("ok", "14.1 TiB: 12 nodes x 1200 GiB")
    few = rows(FakeAccount(values={"L-7A658B76": 10}))["gp3"]
    assert few.request is not None
    assert (few.state, few.request.value) == ("warning", 15), "the fallback's six nodes fit"
    none = rows(FakeAccount(values={"L-7A658B76": 10}, gp3=6 * 1024))["gp3"]
    assert none.request is not None
    assert (none.state, none.request.value) == ("failure", 21)
    assert "room for 3 of 12 nodes" in none.action


def test_a_fixed_name_that_somebody_else_holds_fails() -> None:
    held = {
        ("load balancer", "spillway-aws-us-east-1-lb"): Owned("arn:lb", "aws-eu-west-1"),
        ("role", "spillway-aws-us-east-1-node"): Owned("arn:role", ""),
        ("target group", "spillway-aws-us-east-1-tg"): Owned("arn:tg", STACK),
    }
    found = rows(FakeAccount(holders=held))
    assert found["name.spillway-aws-us-east-1-lb"].found == "there already, of stack aws-eu-west-1"
    assert found["name.spillway-aws-us-east-1-node"].found == "there already, without this stack's tag"
    assert set(states(found).values()) == {"failure"}
    assert "names" not in found
    assert rows(FakeAccount(holders={k: Owned("x", STACK) for k in held}))["names"].state == "ok"


def test_a_denied_question_leaves_one_row_open_and_all_others_answered() -> None:
    all_rows = rows()
    for method, open_rows in (
        ("quotas", {"quota.on-demand", "quota.spot", "addresses", "nat", "vpcs", "balancers", "gp3"}),
        ("zones", {"zones"}),
        ("images", {"image"}),
        ("holder role", {"names.role"}),
        ("default_key", {"key"}),
        ("bucket", {"bucket", "weights"}),
        ("secret", {"certificate", "api-keys"}),
        ("spot_prices", {"spot-price"}),
        ("scores", {"placement"}),
    ):
        found = rows(FakeAccount(denied=frozenset({method})))
        assert set(states(found, "unknown")) == open_rows, method
        assert all(found[id].found == f"denied: {method}" and found[id].action == f"allow {method}" for id in open_rows)
        assert method == "quotas" or len(found) >= len(all_rows) - 4
        assert states(found, "failure") == {}


# Keys, roles, the bucket, the weights


@pytest.mark.parametrize(
    ("key", "state"),
    [
        (Key("alias/aws/ebs", "none yet", "AWS", True), "ok"),
        (Key("arn:key", "Enabled", "CUSTOMER", True), "ok"),
        (Key("arn:key", "Enabled", "CUSTOMER", False), "warning"),
        (Key("arn:key", "Enabled", "CUSTOMER", None), "warning"),
        (Key("arn:key", "PendingDeletion", "CUSTOMER", True), "failure"),
        (Key("arn:key", "Disabled", "CUSTOMER", None), "failure"),
    ],
)
def test_the_key_that_encrypts_disks_is_enabled_and_lets_auto_scaling_use_it(key: Key, state: str) -> None:
    assert rows(FakeAccount(key=key))["key"].state == state


def test_missing_service_roles_are_warnings_with_the_command_that_makes_them() -> None:
    found = rows(FakeAccount(roles=False))
    assert found["role.AWSServiceRoleForEC2Spot"].action == (
        "aws iam create-service-linked-role --aws-service-name spot.amazonaws.com"
    )
    assert set(states(found).values()) == {"warning"}


@pytest.mark.parametrize(
    ("bucket", "state", "told"),
    [
        (Bucket("nobody"), "ok", "free"),
        (Bucket("somebody else"), "failure", "taken by another account"),
        (Bucket("this account", "us-east-1", STACK), "ok", "this stack's"),
        (Bucket("this account", "us-east-1", ""), "failure", "without this stack's tag"),
        (Bucket("this account", "eu-west-1", STACK), "failure", "in eu-west-1"),
    ],
)
def test_the_buckets_name_is_free_or_this_stacks(bucket: Bucket, state: str, told: str) -> None:
    row = rows(FakeAccount(model_bucket=bucket))["bucket"]
    assert row.state == state
    assert told in row.found


def test_weights_are_missed_only_once_there_is_a_bucket() -> None:
    assert rows()["weights"].state == "note"
    bucket = Bucket("this account", "us-east-1", STACK)
    missing = rows(FakeAccount(model_bucket=bucket))["weights"]
    key = "models/deepseek-r1-distill-llama-70b/2025-01-20/manifest.json"
    assert missing.state == "warning"
    assert missing.found == f"s3://spillway-models-123456789012-us-east-1/{key}: not there"
    assert rows(FakeAccount(model_bucket=bucket, objects=frozenset({key})))["weights"].state == "ok"


def test_weights_come_with_the_command_that_copies_them() -> None:
    row = rows(FakeAccount(model_bucket=Bucket("this account", "us-east-1", STACK)))["weights"]
    assert row.commands == ("spillway models push FOLDER --stack aws-us-east-1",)
