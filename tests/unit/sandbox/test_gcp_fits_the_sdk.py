"""Every property that a kind of Google Cloud names exists in the SDK, and is of a kind that the rule can judge; every
output is one of the type."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox import schema
from sandbox.gcp import GCP, tokens
from sandbox.gcp.api import GcpKind
from sandbox.kinds import Args
from sandbox.values import steps
from tests.support.gcp import FLEXIBLE, IMAGE, region

ARCHIVE = {"bucket": "spillway-gcp-code", "object": "fallback.zip"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return schema.load("gcp", "pulumi-gcp", GCP.kinds, GCP.invokes)


def _reaches(document: dict[str, Any], props: dict[str, Any], pattern: str) -> bool:
    """Whether a property path leads somewhere in a map of nodes."""
    node: dict[str, Any] | None = {"t": "root"}
    for step in steps(pattern):
        assert node is not None
        kind = node["t"]
        if kind == "any":
            return True
        if step is None or kind == "map":
            node = node["of"] if kind in ("array", "map") else None
        else:
            known = props if kind == "root" else document["objects"][node["ref"]]["props"] if kind == "object" else {}
            node = known.get(str(step))
        if node is None:
            return False
    return True


@pytest.mark.parametrize("token", sorted(GCP.kinds))
def test_every_input_a_kind_names_exists(token: str, document: dict[str, Any]) -> None:
    kind, spec = GCP.kinds[token], document["resources"][token]
    assert isinstance(kind, GcpKind)
    named = [*kind.replace_on, *kind.sets, *kind.defaults, *kind.write_only, *kind.unique]
    named += [use.path for use in kind.uses] + ([kind.autoname.property] if kind.autoname else [])
    missing = [path for path in named if not _reaches(document, spec["inputs"], path)]
    assert [path for path in missing if path not in ("project", "deletionPolicy")] == []
    assert [path for path in kind.changes_on_update if path not in spec["outputs"]] == []


def test_what_kinds_return_are_properties_of_their_types(document: dict[str, Any]) -> None:
    net = region()
    cloud = net.cloud
    router = cloud.create(tokens.ROUTER, name="router", network=net.network.id)
    cloud.create(
        tokens.ROUTER_NAT, name="nat", router=router["name"], natIpAllocateOption="AUTO_ONLY",
        sourceSubnetworkIpRangesToNat="ALL_SUBNETWORKS_ALL_IP_RANGES",
    )  # fmt: skip
    cloud.create(
        tokens.FIREWALL, name="https", network="net", sourceRanges=["0.0.0.0/0"], targetTags=["node"],
        allows=[{"protocol": "tcp", "ports": ["443"]}],
    )  # fmt: skip
    address = cloud.create(tokens.ADDRESS, name="lb", labels={"spillway-stack": "gcp-us-central1"})
    template = net.template()
    cloud.create(tokens.INSTANCE_TEMPLATE, **{**template.inputs, "name": "global"})
    group = net.group(template, **FLEXIBLE)
    service = net.service(group)
    cloud.create(
        tokens.FORWARDING_RULE,
        name="lb",
        backendService=service["selfLink"],
        ipAddress=address["address"],
        ports=["443"],
    )
    bucket = cloud.create(tokens.BUCKET, name=ARCHIVE["bucket"], location=net.cloud.region)
    cloud.create(tokens.BUCKET_OBJECT, bucket=bucket["name"], name=ARCHIVE["object"], content="zip")
    member = net.account["member"]
    cloud.create(tokens.BUCKET_IAM_MEMBER, bucket=bucket["name"], role="roles/storage.objectViewer", member=member)
    secret = cloud.create(tokens.SECRET, secretId="tls", replication={"auto": {}})
    cloud.create(tokens.SECRET_IAM_MEMBER, secretId=secret.id, role="roles/secretmanager.secretAccessor", member=member)
    role = cloud.create(
        tokens.PROJECT_ROLE, roleId="resizer", title="Resizer", permissions=["compute.instanceGroupManagers.update"]
    )
    cloud.create(tokens.PROJECT_IAM_MEMBER, project=cloud.account, role=role.id, member=member)
    cloud.create(
        tokens.SERVICE_ACCOUNT_IAM_MEMBER, serviceAccountId=net.account["name"], role="roles/iam.serviceAccountUser",
        member=member,
    )  # fmt: skip
    function = cloud.create(
        tokens.FUNCTION, name="fallback", location=net.cloud.region,
        buildConfig={"runtime": "python312", "entryPoint": "run", "source": {"storageSource": ARCHIVE}},
        serviceConfig={"availableMemory": "256Mi", "serviceAccountEmail": net.account["email"]},
    )  # fmt: skip
    invoker = {"role": "roles/run.invoker", "member": member, "location": net.cloud.region}
    cloud.create(tokens.FUNCTION_IAM_MEMBER, cloudFunction="fallback", **invoker)
    cloud.create(tokens.RUN_IAM_MEMBER, service="fallback", **invoker)
    cloud.create(tokens.RUN_V2_IAM_MEMBER, name="fallback", **invoker)
    token = {"serviceAccountEmail": net.account["email"]}
    cloud.create(tokens.JOB, name="tick", schedule="* * * * *", httpTarget={"uri": function["url"], "oidcToken": token})
    channel = cloud.create(tokens.NOTIFICATION_CHANNEL, type="email", labels={"email_address": "ops@example.com"})
    cloud.create(
        tokens.ALERT_POLICY, displayName="gap", combiner="OR", notificationChannels=[channel["name"]],
        conditions=[{
            "displayName": "gap",
            "conditionThreshold": {
                "filter": 'metric.type="custom.googleapis.com/spillway/gap" AND resource.type="global"',
                "comparison": "COMPARISON_GT", "duration": "300s", "thresholdValue": 0,
            },
        }],
    )  # fmt: skip
    cloud.create(
        tokens.BUDGET, billingAccount="012345-6789AB-CDEF01", amount={"specifiedAmount": {"units": "5000"}},
        thresholdRules=[{"thresholdPercent": 0.8}],
    )  # fmt: skip
    cloud.create(tokens.PROJECT_SERVICE, service="compute.googleapis.com")
    made = cloud.state.resources.values()
    assert {resource.token for resource in made} == set(GCP.kinds)
    strange = {
        f"{resource.token}: {key}"
        for resource in made
        for key in resource.outputs
        if key not in document["resources"][resource.token]["outputs"]
    }
    assert strange == set()


def test_what_data_sources_return_are_properties_of_theirs(document: dict[str, Any]) -> None:
    net = region()
    asked = {
        "gcp:organizations/getProject:getProject": {},
        "gcp:organizations/getClientConfig:getClientConfig": {},
        "gcp:compute/getZones:getZones": {},
        "gcp:compute/getRegions:getRegions": {},
        "gcp:compute/getImage:getImage": {"name": IMAGE.rsplit("/", 1)[-1]},
        "gcp:compute/getNetwork:getNetwork": {"name": "net"},
        "gcp:compute/getSubnetwork:getSubnetwork": {"name": "nodes"},
        "gcp:serviceaccount/getAccount:getAccount": {"accountId": "nodes-a"},
        "gcp:storage/getProjectServiceAccount:getProjectServiceAccount": {},
    }
    assert set(asked) == set(GCP.invokes)
    for token, inputs in asked.items():
        answer = GCP.invokes[token](Args(inputs), net.cloud)
        known = document["invokes"][token]["outputs"]
        assert [key for key in answer if key not in known] == []
        assert answer["id"]
