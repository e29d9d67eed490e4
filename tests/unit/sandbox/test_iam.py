"""IAM: the policy language, roles and what hangs on them, users and providers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.aws import policy_json
from sandbox.aws.policy_json import PolicyShape
from sandbox.kinds import Args, CloudError
from tests.support.memory_cloud import MemoryCloud

ROLE = "aws:iam/role:Role"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
POLICY = "aws:iam/policy:Policy"
PROFILE = "aws:iam/instanceProfile:InstanceProfile"
USER = "aws:iam/user:User"
KEY = "aws:iam/accessKey:AccessKey"
OIDC = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
LINKED = "aws:iam/serviceLinkedRole:ServiceLinkedRole"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"


def document(*statements: dict[str, Any], **more: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **more})


def allow(**changes: Any) -> dict[str, Any]:
    base = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    return {k: v for k, v in {**base, **changes}.items() if v is not None}


def trust(**changes: Any) -> dict[str, Any]:
    return allow(
        **{"Action": "sts:AssumeRole", "Resource": None, "Principal": {"Service": "ec2.amazonaws.com"}, **changes}
    )


TRUST = document(trust())


def faults(text: object, shape: PolicyShape = policy_json.MANAGED) -> str:
    return "\n".join(fault.reason for fault in policy_json.policy_faults(Args({"policy": text}), "policy", shape))


@pytest.fixture
def cloud() -> MemoryCloud:
    return MemoryCloud()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "contains an invalid JSON policy: empty"),
        ("{", "contains an invalid JSON policy"),
        ("[]", "expected an object"),
        ('{"Version": "2012-10-17", "Version": "2012-10-17", "Statement": []}', "duplicate JSON keys: Version"),
        (document(), "Statement is required"),
        (json.dumps({"Version": "2012-10-18", "Statement": [allow()]}), 'Version "2012-10-18"'),
        (document(allow(), Statements=[]), 'unknown element "Statements"'),
        (document(allow(Efect="Allow")), 'unknown element "Efect"'),
        (document(allow(Effect="allow")), "Effect: expected Allow or Deny"),
        (document(allow(Action=None)), "Action or NotAction is required"),
        (document(allow(NotAction="s3:*")), "Action and NotAction cannot stand in one statement"),
        (document(allow(Action=[])), ".Action must not be empty"),
        (document(allow(Action="GetObject")), "prefixed by a vendor"),
        (document(allow(Action="s3:Get Object")), "prefixed by a vendor"),
        (document(allow(Resource=None)), "Resource or NotResource is required"),
        (document(allow(Resource="my-bucket")), "must be in ARN format"),
        (document(allow(Resource="arn:amazon:s3:::b")), 'partition "amazon" is not valid'),
        (document(allow(Resource="arn:aws:s3:us-east-1::b")), "a bucket's ARN has no region"),
        (document(allow(Resource="arn:aws:sqs:us-east-1:12:q")), '"12" is not an account id'),
        (document(allow(Principal="*")), "should not specify a principal"),
        (document(allow(Sid="no spaces")), "must be alphanumeric"),
        (document(allow(Sid="a"), allow(Sid="a")), "must be unique"),
        (document(allow(Condition={"StringEqual": {"aws:x": "y"}})), "Invalid Condition type : StringEqual"),
        (document(allow(Condition={"StringEquals": {"x": "y"}})), "prefixed by a vendor"),
        (document(allow(Condition={"StringEquals": {}})), "expected an object of condition keys"),
        (document(allow(Condition={"Bool": {"aws:SecureTransport": "no"}})), "expected true or false"),
        (document(allow(Condition={"NumericLessThan": {"s3:TlsVersion": "new"}})), "expected a number"),
        (document(allow(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/40"}})), "expected an IP address or CIDR"),
        (document(allow(Condition={"DateLessThan": {"aws:CurrentTime": "soon"}})), "expected an ISO 8601 date"),
        (document(allow(Condition={"ArnEquals": {"aws:SourceArn": "topic"}})), "expected an ARN"),
        (document(allow(Resource=[f"arn:aws:s3:::{'b' * 60}/{i}" for i in range(200)])), "LimitExceeded"),
    ],
)
def test_a_policy_that_iam_refuses_is_a_fault(text: str, fault: str) -> None:
    assert fault in faults(text)


@pytest.mark.parametrize(
    "text",
    [
        document(allow()),
        document(
            allow(
                Action=["s3:Get*", "ec2:Describe?"], Resource=["arn:aws:s3:::b/*", "arn:aws:iam::123456789012:role/*"]
            )
        ),
        document(allow(Resource="arn:aws:s3:::${aws:PrincipalTag/team}/*")),
        document(allow(Condition={"ForAnyValue:StringLikeIfExists": {"aws:ResourceTag/spillway:stack": ["a*", "b"]}})),
        document(allow(Condition={"Bool": {"aws:SecureTransport": False}, "Null": {"aws:TagKeys": "true"}})),
        json.dumps({"Version": "2012-10-17", "Statement": allow()}),
        {"Version": "2012-10-17", "Statement": [allow()]},
    ],
)
def test_a_policy_that_iam_takes_passes(text: object) -> None:
    assert faults(text) == ""


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        (trust(Principal=None), "Principal or NotPrincipal is required"),
        (trust(Resource="*"), "has prohibited field Resource"),
        (trust(Action="s3:GetObject"), "may only specify STS AssumeRole actions"),
        (trust(Action="sts:GetCallerIdentity"), "may only specify STS AssumeRole actions"),
        (trust(Principal={"Service": "ec2"}), 'Invalid principal in policy: "Service":"ec2"'),
        (trust(Principal={"AWS": "somebody"}), 'Invalid principal in policy: "AWS":"somebody"'),
        (trust(Principal={"Servce": "ec2.amazonaws.com"}), "unknown kind"),
        (trust(Principal={}), 'expected "*" or an object'),
    ],
)
def test_a_trust_policy_has_a_principal_and_only_sts_actions(statement: dict[str, Any], fault: str) -> None:
    assert fault in faults(document(statement), policy_json.TRUST)


def test_a_federated_trust_policy_passes() -> None:
    statement = trust(
        Action="sts:AssumeRoleWithWebIdentity",
        Principal={"Federated": "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"},
        Condition={"StringLike": {"token.actions.githubusercontent.com:sub": "repo:org/spillway:*"}},
    )
    assert faults(document(statement), policy_json.TRUST) == ""


def test_a_resource_policy_takes_actions_of_its_own_service_only() -> None:
    text = document(allow(Action="ec2:RunInstances", Principal="*"))
    assert "only takes actions of" in faults(text, policy_json.BUCKET)


def test_a_role_gets_its_arn_and_ids(cloud: MemoryCloud) -> None:
    role = cloud.create(ROLE, name="node", assumeRolePolicy=TRUST, path="/spillway/")
    assert role["arn"] == "arn:aws:iam::123456789012:role/spillway/node"
    assert role["uniqueId"].startswith("AROA")
    assert len(role["uniqueId"]) == 21
    assert cloud.update(role, description="x")["uniqueId"] == role["uniqueId"]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"name": "a b"}, "name: expected 1 to 64"),
        ({"name": "x" * 65}, "name: expected 1 to 64"),
        ({"namePrefix": "n"}, "namePrefix: conflicts with name"),
        ({"path": "spillway"}, "path: expected a path that begins and ends with a slash"),
        ({"maxSessionDuration": 60}, "maxSessionDuration: expected 3,600 to 43,200"),
        ({"description": "x" * 1001}, "description: expected at most 1,000"),
        ({"managedPolicyArns": [READ_ONLY] * 11}, "managedPolicyArns: expected a length of 0 to 10"),
        ({"inlinePolicies": [{"name": "a b", "policy": document(allow())}]}, "inlinePolicies[0].name"),
        ({"tags": {"aws:x": "y"}}, "tags: tag keys that begin with aws:"),
        ({"tags": {"k": "v" * 257}}, "tags: expected a tag value of at most 256"),
        ({"tags": {str(i): "v" for i in range(51)}}, "tags: expected at most 50 tags"),
    ],
)
def test_a_role_that_iam_refuses_is_a_fault(cloud: MemoryCloud, changes: dict[str, Any], fault: str) -> None:
    found = cloud.faults(ROLE, **{"name": "node", "assumeRolePolicy": TRUST, **changes})
    assert any(line.startswith(fault) for line in found), found


def test_a_second_role_of_the_same_name_is_refused_in_any_region(cloud: MemoryCloud) -> None:
    cloud.create(ROLE, name="node", assumeRolePolicy=TRUST)
    with pytest.raises(CloudError, match="EntityAlreadyExists"):
        cloud.in_region("us-west-2").create(ROLE, name="node", assumeRolePolicy=TRUST)


def test_a_principal_of_the_account_must_exist(cloud: MemoryCloud) -> None:
    by = document(trust(Principal={"AWS": "arn:aws:iam::123456789012:role/ci"}))
    with pytest.raises(CloudError, match="Invalid principal in policy"):
        cloud.create(ROLE, name="node", assumeRolePolicy=by)
    cloud.create(ROLE, name="ci", assumeRolePolicy=TRUST)
    cloud.create(ROLE, name="node", assumeRolePolicy=by)


def test_a_role_with_policies_is_deleted_only_when_it_detaches_them(cloud: MemoryCloud) -> None:
    role = cloud.create(ROLE, name="node", assumeRolePolicy=TRUST)
    cloud.create(ATTACHMENT, role="node", policyArn=READ_ONLY)
    cloud.create(PROFILE, name="node", role="node")
    with pytest.raises(CloudError, match="must detach all policies first"):
        cloud.delete(role)
    cloud.delete(cloud.update(role, forceDetachPolicies=True))
    assert cloud.all(ATTACHMENT) == []
    assert cloud.all(PROFILE)[0]["role"] == ""


def test_a_role_with_inline_policies_is_not_deleted(cloud: MemoryCloud) -> None:
    role = cloud.create(ROLE, name="node", assumeRolePolicy=TRUST)
    inline = cloud.create(ROLE_POLICY, name="node", role="node", policy=document(allow()))
    assert inline.id == "node:node"
    with pytest.raises(CloudError, match="must delete policies first"):
        cloud.delete(role)
    cloud.delete(inline)
    cloud.delete(role)


def test_inline_policies_of_a_role_share_their_quota(cloud: MemoryCloud) -> None:
    cloud.create(ROLE, name="node", assumeRolePolicy=TRUST)
    big = document(allow(Resource=[f"arn:aws:s3:::{'b' * 50}/{i:04}" for i in range(90)]))
    cloud.create(ROLE_POLICY, name="one", role="node", policy=big)
    with pytest.raises(CloudError, match="Maximum policy size of 10240 bytes exceeded for role node"):
        cloud.create(ROLE_POLICY, name="two", role="node", policy=big)


def test_a_policy_that_is_attached_is_not_deleted(cloud: MemoryCloud) -> None:
    policy = cloud.create(POLICY, name="read", policy=document(allow()))
    assert policy.id == "arn:aws:iam::123456789012:policy/read"
    cloud.create(ROLE, name="node", assumeRolePolicy=TRUST)
    attachment = cloud.create(ATTACHMENT, role="node", policyArn=policy.id)
    assert cloud.get(POLICY, policy.id)["attachmentCount"] == 1  # type: ignore[index]
    with pytest.raises(CloudError, match="DeleteConflict"):
        cloud.delete(policy)
    cloud.delete(attachment)
    cloud.delete(policy)


def test_attachments_name_what_exists_and_stay_below_the_quota(cloud: MemoryCloud) -> None:
    with pytest.raises(CloudError, match="NoSuchEntity"):
        cloud.create(ATTACHMENT, role="node", policyArn=READ_ONLY)
    cloud.create(ROLE, name="node", assumeRolePolicy=TRUST)
    with pytest.raises(CloudError, match="NoSuchEntity"):
        cloud.create(ATTACHMENT, role="node", policyArn="arn:aws:iam::123456789012:policy/none")
    cloud.set_quota("iam/AttachedPoliciesPerRole", 1)
    cloud.create(ATTACHMENT, role="node", policyArn=READ_ONLY)
    with pytest.raises(CloudError, match="PoliciesPerRole: 1"):
        cloud.create(ATTACHMENT, role="node", policyArn="arn:aws:iam::aws:policy/PowerUserAccess")


def test_an_instance_profile_takes_the_name_of_a_role_that_exists(cloud: MemoryCloud) -> None:
    assert cloud.faults(PROFILE, name="p", role="arn:aws:iam::123456789012:role/node")
    with pytest.raises(CloudError, match="NoSuchEntity"):
        cloud.create(PROFILE, name="p", role="node")


def test_a_user_has_at_most_two_keys_and_goes_after_them(cloud: MemoryCloud) -> None:
    user = cloud.create(USER, name="ci")
    keys = [cloud.create(KEY, user="ci") for _ in range(2)]
    assert all(key.id.startswith("AKIA") and len(key["secret"]) == 40 for key in keys)
    with pytest.raises(CloudError, match="AccessKeysPerUser: 2"):
        cloud.create(KEY, user="ci")
    with pytest.raises(CloudError, match="must delete access keys first"):
        cloud.delete(user)
    cloud.delete(cloud.update(user, forceDestroy=True))
    assert cloud.all(KEY) == []


def test_an_identity_provider_has_an_https_url_once_per_account(cloud: MemoryCloud) -> None:
    url = "https://token.actions.githubusercontent.com"
    assert any("expected a URL" in f for f in cloud.faults(OIDC, url="http://x", clientIdLists=["a"]))
    assert any("thumbprint" in f for f in cloud.faults(OIDC, url=url, clientIdLists=["a"], thumbprintLists=["z"]))
    made = cloud.create(OIDC, url=url, clientIdLists=["sts.amazonaws.com"])
    assert made["arn"] == "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
    with pytest.raises(CloudError, match="EntityAlreadyExists"):
        cloud.create(OIDC, url=url, clientIdLists=["sts.amazonaws.com"])


def test_a_service_linked_role_has_the_services_own_name(cloud: MemoryCloud) -> None:
    made = cloud.create(LINKED, awsServiceName="spot.amazonaws.com")
    assert made["arn"].endswith(":role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot")
    with pytest.raises(CloudError, match="InvalidInput"):
        cloud.create(LINKED, awsServiceName="spot.amazonaws.com")
    assert cloud.faults(LINKED, awsServiceName="spot.amazonaws.com", customSuffix="x")
