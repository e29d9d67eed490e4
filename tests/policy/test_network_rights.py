"""What may come in, and who may do what."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost.plan.preview import Resource
from policy.rules import ingress, rights
from tests.policy.resources import UNKNOWN, left_open, resource, said, urn

RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
NSG = "azure-native:network:NetworkSecurityGroup"
FIREWALL = "gcp:compute/firewall:Firewall"
TENCENT = "tencentcloud:Security/groupRuleSet:GroupRuleSet"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"


def aws(port: Any = 443, source: str = "0.0.0.0/0", **more: Any) -> Resource:
    return resource(RULE, {"ipProtocol": "tcp", "fromPort": port, "toPort": port, "cidrIpv4": source, **more})


def azure(**rule: Any) -> Resource:
    usual = {
        "name": "in", "access": "Allow", "direction": "Inbound", "protocol": "Tcp", "destinationPortRange": "443",
        "sourceAddressPrefix": "Internet",
    }  # fmt: skip
    return resource(NSG, {"securityRules": [{**usual, **rule}]})


def gcp(**inputs: Any) -> Resource:
    usual = {"allows": [{"protocol": "tcp", "ports": ["443"]}], "sourceRanges": ["0.0.0.0/0"], "direction": "INGRESS"}
    return resource(FIREWALL, {**usual, **inputs})


def tencent(**rule: Any) -> Resource:
    usual = {"action": "ACCEPT", "cidrBlock": "0.0.0.0/0", "port": "443", "protocol": "TCP"}
    return resource(TENCENT, {"ingresses": [{**usual, **rule}]})


SHUT = [
    aws(),
    aws(22, "10.0.0.0/8"),
    resource(RULE, {"ipProtocol": "-1", "referencedSecurityGroupId": UNKNOWN}),
    azure(),
    azure(sourceAddressPrefix="AzureLoadBalancer", destinationPortRange="*"),
    azure(access="Deny", destinationPortRange="*", sourceAddressPrefix="*"),
    azure(direction="Outbound", destinationPortRange="*"),
    gcp(),
    gcp(direction="EGRESS", allows=[{"protocol": "all"}]),
    gcp(allows=[{"protocol": "all"}], sourceRanges=[], sourceTags=["balancer"]),
    gcp(allows=[{"protocol": "all"}], disabled=True),
    tencent(),
    tencent(cidrBlock="100.64.0.0/10", port="8080"),
    tencent(action="DROP", port="ALL", protocol="ALL"),
    resource("aws:lb/listener:Listener", {"port": 443, "protocol": "TCP"}),
    resource("gcp:compute/forwardingRule:ForwardingRule", {"ports": ["443"], "loadBalancingScheme": "EXTERNAL"}),
    resource("gcp:compute/forwardingRule:ForwardingRule", {"ports": ["80"], "loadBalancingScheme": "INTERNAL"}),
]
OPEN = [
    (aws(22), "cidrIpv4: tcp 22 open to 0.0.0.0/0: allowed is tcp 443"),
    (aws(443, "0.0.0.0/0", toPort=8443), "cidrIpv4: tcp 443-8443 open to 0.0.0.0/0: allowed is tcp 443"),
    (aws(443, "0.0.0.0/0", ipProtocol="udp"), "cidrIpv4: udp 443 open to 0.0.0.0/0: allowed is tcp 443"),
    (aws(443, "0.0.0.0/0", ipProtocol="-1"), "cidrIpv4: every protocol, any port open to 0.0.0.0/0"),
    (aws(22, "8.0.0.0/6"), "cidrIpv4: tcp 22 open to 8.0.0.0/6: allowed is tcp 443"),  # holds 10.0.0.0/8 and more
    (
        resource(RULE, {"ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "cidrIpv6": "::/0"}),
        "cidrIpv6: tcp 22 open to ::/0: allowed is tcp 443",
    ),
    (
        resource(
            "aws:ec2/securityGroup:SecurityGroup",
            {"ingress": [{"protocol": "tcp", "fromPort": 80, "toPort": 80, "cidrBlocks": ["0.0.0.0/0"]}]},
        ),
        "ingress[0]: tcp 80 open to 0.0.0.0/0: allowed is tcp 443",
    ),
    (azure(destinationPortRange="22"), "in: tcp 22 open to Internet: allowed is tcp 443"),
    (azure(sourceAddressPrefix="AzureCloud", destinationPortRange="*"), "in: tcp, any port open to AzureCloud"),
    (
        azure(destinationPortRange=None, destinationPortRanges=["443", "8000-8010"], sourceAddressPrefix="*"),
        "in: tcp 8000-8010 open to *: allowed is tcp 443",
    ),
    (gcp(allows=[{"protocol": "tcp"}]), "allows: tcp, any port open to 0.0.0.0/0: allowed is tcp 443"),
    (gcp(sourceRanges=[], allows=[{"protocol": "tcp", "ports": ["22"]}]), "allows: tcp 22 open to 0.0.0.0/0"),
    (tencent(port="80,443"), "ingresses[0]: tcp 80 open to 0.0.0.0/0: allowed is tcp 443"),
    (tencent(port="ALL", protocol="ALL"), "ingresses[0]: every protocol, any port open to 0.0.0.0/0"),
    (resource("aws:lb/listener:Listener", {"port": 80, "protocol": "HTTP"}), "port: tcp 80 open to clients"),
    (
        resource(
            "azure-native:network:LoadBalancer",
            {
                "frontendIPConfigurations": [{"publicIPAddress": {"id": UNKNOWN}}],
                "inboundNatRules": [{"name": "ssh", "protocol": "Tcp", "frontendPort": 22}],
            },
        ),
        "inboundNatRules ssh: tcp 22 open to clients",
    ),
    (resource("gcp:compute/forwardingRule:ForwardingRule", {"portRange": "80-90"}), "ports: tcp 80-90 open to clients"),
]  # fmt: skip


@pytest.mark.parametrize("one", SHUT, ids=lambda one: f"{one.type.rsplit(':')[-1]}")
def test_what_only_lets_clients_in_passes(one: Resource) -> None:
    assert said(ingress.POLICY, one) == []
    assert left_open(ingress.POLICY, one) == []


@pytest.mark.parametrize(("one", "words"), OPEN, ids=lambda one: str(one)[:40])
def test_what_is_open_besides_443_is_told_with_port_and_source(one: Resource, words: str) -> None:
    (message,) = said(ingress.POLICY, one)
    assert message.startswith(words)


def test_ports_and_an_offices_network_may_be_let_in() -> None:
    assert said(ingress.POLICY, aws(22, "198.51.100.0/28"), sources=["198.51.100.0/24"]) == []
    assert said(ingress.POLICY, aws(8443), ports=[443, 8443]) == []
    assert said(ingress.POLICY, aws(443), ports=[]) == ["cidrIpv4: tcp 443 open to 0.0.0.0/0: allowed is tcp none"]


def test_a_source_or_port_that_is_not_known_yet_is_left_open() -> None:
    for one in (aws(22, UNKNOWN), aws(UNKNOWN), gcp(sourceRanges=UNKNOWN)):
        assert said(ingress.POLICY, one) == []
        assert len(left_open(ingress.POLICY, one)) == 1


@given(st.integers(0, 65535), st.integers(0, 65535))
def test_a_range_of_ports_passes_only_when_it_is_443_alone(one: int, other: int) -> None:
    first, last = sorted((one, other))
    passes = said(ingress.POLICY, aws(first, toPort=last)) == []
    assert passes == (first == last == 443)


def document(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Sid": "One", "Effect": "Allow", **statement}]})


def allowed(**statement: Any) -> list[str]:
    return said(rights.POLICY, resource(ROLE_POLICY, {"policy": document(**statement)}))


def test_named_actions_on_named_resources_pass_and_so_does_reading_anywhere() -> None:
    assert allowed(Action=["s3:GetObject"], Resource="arn:aws:s3:::models/*") == []
    assert allowed(Action=["ec2:Describe*", "autoscaling:DescribeAutoScalingGroups"], Resource="*") == []
    assert allowed(Action="cloudwatch:PutMetricData", Resource="*") == []


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ({"Action": "*", "Resource": "arn:x"}, "policy: One: Action *: allowed are named actions"),
        ({"Action": "s3:*", "Resource": "arn:x"}, "policy: One: Action s3:*: allowed are named actions"),
        ({"Action": "*:Get*", "Resource": "arn:x"}, "policy: One: Action *:Get*: allowed are named actions"),
        (
            {"Action": ["ec2:TerminateInstances", "ec2:DescribeInstances"], "Resource": "*"},
            "policy: One: Resource * with ec2:TerminateInstances: allowed are named resources",
        ),
        (
            {"Action": ["secretsmanager:GetSecretValue"], "Resource": ["*"]},
            "policy: One: Resource * with secretsmanager:GetSecretValue: allowed are named resources",
        ),
        (
            {"Action": ["s3:Get*"], "Resource": ["*"]},
            "policy: One: Resource * with s3:Get*: allowed are named resources",
        ),
        (
            {"Action": ["ec2:Detach*"], "Resource": ["*"]},
            "policy: One: Resource * with ec2:Detach*: allowed are named resources",
        ),
        (
            {"Action": ["s3:PutObject"], "Resource": "arn:aws:s3:::*"},
            "policy: One: Resource * with s3:PutObject: allowed are named resources",
        ),
        ({"NotAction": "iam:*", "Resource": "arn:x"}, "policy: One: Allow with NotAction allows all the rest"),
        ({"Action": "s3:GetObject", "NotResource": "arn:x"}, "policy: One: Allow with NotResource allows all the rest"),
    ],
)
def test_rights_that_are_wider_than_they_say_are_told(statement: dict[str, Any], words: str) -> None:
    (message,) = allowed(**statement)
    assert message.startswith(words)


def test_deny_is_never_too_wide_and_a_document_that_is_not_known_yet_is_left_open() -> None:
    deny = resource(ROLE_POLICY, {"policy": document(Effect="Deny", Action="*", Resource="*")})
    assert said(rights.POLICY, deny) == []
    later = resource(ROLE_POLICY, {"policy": UNKNOWN})
    assert (said(rights.POLICY, later), left_open(rights.POLICY, later)) == (
        [],
        ["policy is known only after the deployment"],
    )
    assert said(rights.POLICY, resource(ROLE_POLICY, {"policy": "{"})) == ["policy: is no JSON, and cannot be judged"]


def test_everybody_may_neither_take_a_role_nor_read_a_bucket_without_a_condition() -> None:
    for principal in ("*", {"AWS": "*"}, {"AWS": ["arn:aws:iam::1:root", "*"]}, {"Federated": "*"}):
        trust = resource(
            "aws:iam/role:Role", {"assumeRolePolicy": document(Principal=principal, Action="sts:AssumeRole")}
        )
        assert len(said(rights.POLICY, trust)) == 1
    conditioned = document(Principal="*", Action="s3:GetObject", Resource="*", Condition={"StringEquals": {"a": "b"}})
    assert said(rights.POLICY, resource("aws:s3/bucketPolicy:BucketPolicy", {"policy": conditioned})) == []
    service = document(Principal={"Service": "ec2.amazonaws.com"}, Action="sts:AssumeRole")
    assert said(rights.POLICY, resource("aws:iam/role:Role", {"assumeRolePolicy": service})) == []


GITHUB = "token.actions.githubusercontent.com"


@pytest.mark.parametrize(
    ("condition", "passes"),
    [
        (
            {"StringEquals": {f"{GITHUB}:aud": "sts.amazonaws.com", f"{GITHUB}:sub": "repo:o/r:ref:refs/heads/main"}},
            True,
        ),
        ({"StringLike": {f"{GITHUB}:sub": ["repo:o/r:*"]}}, True),
        ({"StringLike": {f"{GITHUB}:sub": "repo:*"}}, False),
        ({"StringLike": {f"{GITHUB}:sub": ["repo:o/r:*", "*"]}}, False),
        ({"StringEquals": {f"{GITHUB}:aud": "sts.amazonaws.com"}}, False),
        (None, False),
    ],
)
def test_a_role_for_pipelines_is_for_one_repository_s(condition: dict[str, Any] | None, passes: bool) -> None:
    trust = document(
        Principal={"Federated": f"arn:aws:iam::1:oidc-provider/{GITHUB}"},
        Action="sts:AssumeRoleWithWebIdentity",
        **({} if condition is None else {"Condition": condition}),
    )
    found = said(rights.POLICY, resource("aws:iam/role:Role", {"assumeRolePolicy": trust}))
    why = f"everybody's pipelines at {GITHUB} may take it on: allowed is a Condition on {GITHUB}:sub"
    assert found == ([] if passes else [f"assumeRolePolicy: One: {why}"])


def test_pools_and_credentials_for_pipelines_are_for_one_repository_s() -> None:
    type_ = "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider"
    oidc = {"oidc": {"issuerUri": f"https://{GITHUB}"}}
    assert said(rights.POLICY, resource(type_, {**oidc, "attributeCondition": "assertion.repository == 'o/r'"})) == []
    assert said(rights.POLICY, resource(type_, oidc)) == [
        f"attributeCondition: missing; everybody's pipelines at {GITHUB} get into the pool"
    ]
    assert said(rights.POLICY, resource(type_, {"oidc": {"issuerUri": "https://idp.example.com"}})) == []
    credential = "azure-native:managedidentity:FederatedIdentityCredential"
    assert said(rights.POLICY, resource(credential, {"subject": "repo:o/r:environment:production"})) == []
    assert len(said(rights.POLICY, resource(credential, {"subject": "repo:o/*"}))) == 1


def test_a_permissions_boundary_grants_nothing_until_it_is_attached() -> None:
    type_ = "aws:iam/policy:Policy"
    boundary = resource(type_, {"policy": document(Action="ec2:*", Resource="*")}, "boundary")
    role = resource("aws:iam/role:Role", {}, refers={"permissionsBoundary": (boundary.urn,)})
    attached = resource("aws:iam/rolePolicyAttachment:RolePolicyAttachment", {}, refers={"policyArn": (boundary.urn,)})
    assert said(rights.POLICY, boundary, role) == []
    assert said(rights.POLICY, boundary) == ["policy: One: Action ec2:*: allowed are named actions"]
    assert len(said(rights.POLICY, boundary, role, attached)) == 1


def test_managed_policies_of_everything_are_refused_unless_named() -> None:
    arn = "arn:aws:iam::aws:policy/AdministratorAccess"
    one = resource("aws:iam/rolePolicyAttachment:RolePolicyAttachment", {"policyArn": arn})
    assert said(rights.POLICY, one) == [f"{arn}: allowed are policies of what is needed, not of everything"]
    assert said(rights.POLICY, one, roles=[arn]) == []
    core = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    assert said(rights.POLICY, resource("aws:iam/role:Role", {"managedPolicyArns": [core]})) == []


OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"


def test_azure_roles_name_their_operations() -> None:
    definition = "azure-native:authorization:RoleDefinition"
    narrow = {"permissions": [{"actions": ["Microsoft.Compute/virtualMachineScaleSets/write", "*/read"]}]}
    wide = {"permissions": [{"actions": ["Microsoft.Compute/*"], "dataActions": ["*"]}]}
    assert said(rights.POLICY, resource(definition, narrow)) == []
    assert said(rights.POLICY, resource(definition, wide)) == [
        "actions: Microsoft.Compute/*: allowed are named operations",
        "dataActions: *: allowed are named operations",
    ]


def test_azure_assignments_of_everything_are_refused() -> None:
    type_ = "azure-native:authorization:RoleAssignment"
    prefix = "/subscriptions/s/providers/Microsoft.Authorization/roleDefinitions"
    owner = resource(type_, {"roleDefinitionId": f"{prefix}/{OWNER}", "scope": "/subscriptions/s"})
    assert said(rights.POLICY, owner) == ["roleDefinitionId: Owner: allowed is a role of what is needed"]
    assert said(rights.POLICY, owner, roles=[OWNER]) == []
    own = resource(type_, {"roleDefinitionId": UNKNOWN}, refers={"roleDefinitionId": (urn("a:b:RoleDefinition"),)})
    assert (said(rights.POLICY, own), left_open(rights.POLICY, own)) == ([], [])


def test_google_grants_are_narrow_and_for_somebody() -> None:
    project, bucket = "gcp:projects/iAMMember:IAMMember", "gcp:storage/bucketIAMMember:BucketIAMMember"
    member = "serviceAccount:node@p.iam.gserviceaccount.com"

    def grant(type_: str, role: str, who: str = member) -> Resource:
        return resource(type_, {"role": role, "member": who})

    assert said(rights.POLICY, grant(project, "roles/logging.logWriter")) == []
    assert said(rights.POLICY, grant(bucket, "roles/storage.objectAdmin")) == []
    for role in ("roles/editor", "roles/storage.admin", "roles/storage.objectAdmin", "roles/iam.serviceAccountUser"):
        (message,) = said(rights.POLICY, grant(project, role))
        assert message == f"role = {role} for the whole project: allowed is a role of what is needed"
        assert said(rights.POLICY, grant(project, role), roles=[role]) == []
    assert said(rights.POLICY, grant(bucket, "roles/storage.objectViewer", "allUsers")) == [
        "member: allUsers: allowed are named members"
    ]
    custom = resource(
        "gcp:projects/iAMCustomRole:IAMCustomRole",
        {"permissions": ["compute.instances.get", "resourcemanager.projects.setIamPolicy"]},
    )
    assert len(said(rights.POLICY, custom)) == 1


def test_tencent_policies_are_read_in_their_own_words() -> None:
    def policy(action: str, where: str) -> Resource:
        row = {"effect": "allow", "action": [action], "resource": [where]}
        return resource("tencentcloud:Cam/policy:Policy", {"document": json.dumps({"statement": [row]})})

    assert said(rights.POLICY, policy("name/cos:GetObject", "qcs::cos:::bucket/*")) == []
    assert said(rights.POLICY, policy("cvm:*", "qcs::x")) == [
        "document: statement[0]: action cvm:*: allowed are named actions"
    ]
    assert said(rights.POLICY, policy("cvm:RunInstances", "*")) == [
        "document: statement[0]: resource * with cvm:RunInstances: allowed are named resources"
    ]
