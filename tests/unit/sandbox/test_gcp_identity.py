"""Buckets, secrets, service accounts, roles and members of the stand-in Google Cloud."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.gcp import tokens
from sandbox.gcp.iam import expression_fault
from sandbox.kinds import Args
from tests.support.aws_region import refused
from tests.support.gcp import ACCOUNT, PROJECT, check_faults, empty, region

BUCKET: dict[str, Any] = {
    "name": "spillway-gcp-us-central1",
    "location": "us-central1",
    "uniformBucketLevelAccess": True,
    "publicAccessPrevention": "enforced",
    "versioning": {"enabled": True},
}
MEMBER = f"serviceAccount:{ACCOUNT}"
GRANT: dict[str, Any] = {"bucket": BUCKET["name"], "role": "roles/storage.objectViewer", "member": MEMBER}
SECRET: dict[str, Any] = {"secretId": "spillway-gcp-us-central1-tls", "replication": {"auto": {}}}
ROLE: dict[str, Any] = {"roleId": "spillway.resizer", "title": "Resizer", "permissions": ["compute.instances.get"]}


def rule(action: dict[str, Any], **condition: Any) -> dict[str, Any]:
    return {"lifecycleRules": [{"action": action, "condition": condition}]}


def when(expression: str, *, title: str = "only", **more: str) -> dict[str, Any]:
    return {"condition": {"title": title, "expression": expression}, **more}


@pytest.mark.parametrize(
    ("token", "good", "change", "expected"),
    [
        (tokens.BUCKET, BUCKET, {"name": "Spillway"}, "name: expected lower-case letters"),
        (tokens.BUCKET, BUCKET, {"name": "ab"}, "name: expected 3 to 63 characters"),
        (tokens.BUCKET, BUCKET, {"name": "a" * 64}, "name: expected 3 to 63 characters"),
        (tokens.BUCKET, BUCKET, {"name": "goog-models"}, "name: must not begin with goog"),
        (tokens.BUCKET, BUCKET, {"name": "my-g00gle-models"}, "name: must not begin with goog or contain google"),
        (tokens.BUCKET, BUCKET, {"name": "10.0.0.1"}, "name: must not look like an IP address"),
        (tokens.BUCKET, BUCKET, {"location": "us-center1"}, "location: expected a region"),
        (tokens.BUCKET, BUCKET, {"storageClass": "STANDARD_IA"}, "storageClass: expected one of STANDARD"),
        (tokens.BUCKET, BUCKET, {"publicAccessPrevention": "on"}, "publicAccessPrevention: expected one of inherited"),
        (tokens.BUCKET, BUCKET, {"retentionPolicy": {"retentionPeriod": "60"}}, "retentionPolicy: conflicts with"),
        (
            tokens.BUCKET,
            BUCKET,
            {"softDeletePolicy": {"retentionDurationSeconds": 3600}},
            "softDeletePolicy.retentionDurationSeconds: expected 0 or 604,800 to",
        ),
        (tokens.BUCKET, BUCKET, rule({"type": "Delete"}), "lifecycleRules[0].condition: expected at least one"),
        (
            tokens.BUCKET,
            BUCKET,
            rule({"type": "SetStorageClass"}, age=1),
            "lifecycleRules[0].action.storageClass: is required",
        ),
        (
            tokens.BUCKET,
            BUCKET,
            rule({"type": "AbortIncompleteMultipartUpload"}, numNewerVersions=3),
            "lifecycleRules[0].condition: only age, matchesPrefixes",
        ),
        (tokens.BUCKET_IAM_MEMBER, GRANT, {"role": "storage.viewer"}, "role: expected a role"),
        (tokens.BUCKET_IAM_MEMBER, GRANT, {"member": ACCOUNT}, "member: expected a principal"),
        (tokens.BUCKET_IAM_MEMBER, GRANT, {"member": f"deleted:{MEMBER}"}, "member: a deleted principal"),
        (tokens.PROJECT_IAM_MEMBER, {"project": PROJECT, "role": "roles/viewer", "member": MEMBER},
         {"member": "allUsers"}, "member: allUsers cannot be a member of a project's policy"),
        (tokens.BUCKET_IAM_MEMBER, GRANT, when("true", role="roles/viewer"), "role: roles/viewer is a basic role"),
        (tokens.BUCKET_IAM_MEMBER, GRANT, when("true", member="allUsers"), "member: allUsers takes no condition"),
        (tokens.BUCKET_IAM_MEMBER, GRANT, when("true", title=""), "condition.title: expected a length of 1"),
        (tokens.BUCKET_IAM_MEMBER, GRANT, when("resource.nam == 1"), "condition.expression: undeclared reference"),
        (tokens.SECRET, SECRET, {"secretId": "a.b"}, "secretId: expected 1 to 255 letters, digits, - and _"),
        (tokens.SECRET, SECRET, {"replication": {}}, "replication.auto: one of auto, userManaged must be set"),
        (
            tokens.SECRET,
            SECRET,
            {"replication": {"userManaged": {"replicas": [{"location": "us"}]}}},
            "replication.userManaged.replicas[0].location: expected a region",
        ),
        (tokens.SECRET, SECRET, {"rotation": {"rotationPeriod": "3600s"}}, "rotation: needs topics"),
        (tokens.SECRET, SECRET, {"labels": {"spillway:stack": "x"}}, "labels: expected a label key"),
        (tokens.SERVICE_ACCOUNT, {"accountId": "nodes-a"}, {"accountId": "nodes"}, "accountId: expected 6 to 30"),
        (tokens.SERVICE_ACCOUNT, {"accountId": "nodes-a"}, {"accountId": "n" * 31}, "accountId: expected 6 to 30"),
        (tokens.SERVICE_ACCOUNT, {"accountId": "nodes-a"}, {"accountId": "1nodes"}, "accountId: expected 6 to 30"),
        (tokens.PROJECT_ROLE, ROLE, {"roleId": "spillway-resizer"}, "roleId: expected 3 to 64 letters"),
        (tokens.PROJECT_ROLE, ROLE, {"permissions": []}, "permissions: expected a length of 1"),
        (tokens.PROJECT_ROLE, ROLE, {"permissions": ["compute.*"]}, "permissions[0]: expected a permission"),
        (tokens.PROJECT_ROLE, ROLE, {"stage": "LIVE"}, "stage: expected one of ALPHA"),
    ],
)  # fmt: skip
def test_values_that_the_api_refuses_are_faults(
    token: str, good: dict[str, Any], change: dict[str, Any], expected: str
) -> None:
    check_faults(token, good, change, expected)


def test_a_grant_is_of_a_bucket_that_exists_to_an_account_that_exists() -> None:
    net = region()
    with refused("notFound", "The specified bucket"):
        net.cloud.create(tokens.BUCKET_IAM_MEMBER, **GRANT)
    net.cloud.create(tokens.BUCKET, **BUCKET)
    made = net.cloud.create(tokens.BUCKET_IAM_MEMBER, **GRANT)
    assert made.id == f"b/{BUCKET['name']}/roles/storage.objectViewer/{MEMBER}"
    with refused("badRequest", "does not exist"):
        other = f"serviceAccount:nobody@{PROJECT}.iam.gserviceaccount.com"
        net.cloud.create(tokens.BUCKET_IAM_MEMBER, **{**GRANT, "member": other})
    with refused("badRequest", "does not exist in the resource's hierarchy"):
        net.cloud.create(tokens.BUCKET_IAM_MEMBER, **{**GRANT, "role": f"projects/{PROJECT}/roles/none"})
    agent = "serviceAccount:service-123456789012@gs-project-accounts.iam.gserviceaccount.com"
    net.cloud.create(tokens.BUCKET_IAM_MEMBER, **{**GRANT, "member": agent})


@pytest.mark.parametrize(
    "expression",
    [
        'resource.name == "projects/_/buckets/b/objects/it\'s" || resource.type == "storage.googleapis.com/Bucket"',
        'api.getAttribute("storage.googleapis.com/objectListPrefix", "").startsWith("models/")',
        "request.time < timestamp('2026-12-01T00:00:00.000Z')",
        'resource.matchTag("123/env", "prod") && !resource.name.endsWith("x")',
        'resource.name.extract("/instances/{name}").startsWith("dev-")',
    ],
)
def test_conditions_that_the_api_takes(expression: str) -> None:
    assert expression_fault(expression) == ""


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("resource.nam == 'x'", "undeclared reference to 'resource.nam'"),
        ('resource.name == "x', "a quote is not closed"),
        ('resource.name.startsWith("x"', "parentheses do not match"),
        ("resource.name", "expected an expression that is true or false"),
        (" || ".join(["true"] * 14), "expected at most 12 logical operators, got 13"),
    ],
)
def test_conditions_that_it_does_not(expression: str, fault: str) -> None:
    assert fault in expression_fault(expression)


def test_nobody_grants_the_public_what_prevention_keeps() -> None:
    net = region()
    net.cloud.create(tokens.BUCKET, **BUCKET)
    with refused("conditionNotMet", "public access prevention"):
        net.cloud.create(tokens.BUCKET_IAM_MEMBER, **{**GRANT, "member": "allUsers"})


def test_a_bucket_with_objects_stays_unless_it_is_forced() -> None:
    cloud = empty()
    bucket = cloud.create(tokens.BUCKET, **BUCKET)
    cloud.create(tokens.BUCKET_OBJECT, bucket=bucket.id, name="models/a", content="x")
    with refused("conflict", "not empty"):
        cloud.delete(bucket)
    cloud.delete(cloud.update(bucket, forceDestroy=True))
    assert cloud.all(tokens.BUCKET_OBJECT) == []


def test_a_location_has_no_case() -> None:
    cloud = empty()
    kind = cloud.registry.kinds[tokens.BUCKET]
    assert kind.comparable({"location": "us-central1"}) == kind.comparable({"location": "US-CENTRAL1"})
    assert cloud.create(tokens.BUCKET, **BUCKET)["location"] == "US-CENTRAL1"


def test_a_secret_is_named_by_its_id_or_its_whole_name_and_takes_its_grants_along() -> None:
    net = region()
    secret = net.cloud.create(tokens.SECRET, **SECRET)
    role = "roles/secretmanager.secretAccessor"
    for name in (secret["secretId"], secret.id):
        member = net.cloud.create(tokens.SECRET_IAM_MEMBER, secretId=name, role=role, member=MEMBER)
        assert member.id == f"{secret.id}/{role}/{MEMBER}"
    with refused("alreadyExists", "Secret"):
        net.cloud.create(tokens.SECRET, **SECRET)
    net.cloud.delete(secret)
    assert net.cloud.all(tokens.SECRET_IAM_MEMBER) == []


def test_replication_is_chosen_once_and_keys_change_in_place() -> None:
    kind = empty().registry.kinds[tokens.SECRET]
    auto: dict[str, Any] = {"auto": {}}
    chosen = {"userManaged": {"replicas": [{"location": "us-central1"}]}}
    key = {"auto": {"customerManagedEncryption": {"kmsKeyName": "k"}}}
    assert list(kind.replace_when(Args({"replication": auto}), Args({"replication": chosen}))) == ["replication"]
    assert list(kind.replace_when(Args({"replication": auto}), Args({"replication": key}))) == []


def test_a_protected_secret_stays() -> None:
    cloud = empty()
    secret = cloud.create(tokens.SECRET, **SECRET, deletionProtection=True)
    with refused("deletionProtection"):
        cloud.delete(secret)


def test_an_account_has_an_address_in_its_project_and_exists_once() -> None:
    net = region()
    assert (net.account["email"], net.account["member"]) == (ACCOUNT, MEMBER)
    with refused("alreadyExists", "nodes-a"):
        net.cloud.create(tokens.SERVICE_ACCOUNT, accountId="nodes-a")
    net.cloud.create(tokens.SERVICE_ACCOUNT, accountId="nodes-a", createIgnoreAlreadyExists=True)


def test_a_custom_role_can_be_granted() -> None:
    net = region()
    role = net.cloud.create(tokens.PROJECT_ROLE, **ROLE)
    made = net.cloud.create(tokens.PROJECT_IAM_MEMBER, project=PROJECT, role=role["name"], member=MEMBER)
    assert made.id == f"{PROJECT}/projects/{PROJECT}/roles/spillway.resizer/{MEMBER}"
