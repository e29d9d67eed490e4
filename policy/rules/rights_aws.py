"""AWS policy documents: no `*` actions, no writing to `*` resources, no principal that is everybody.

Elements: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from cost.plan.preview import Resource, Unknown
from policy.findings import Finding, Stack, get, rows, texts, unknown

ANYWHERE: Final = (
    # Conditions alone narrow it (cloudwatch:namespace):
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html
    "cloudwatch:PutMetricData",
    # Session Manager; the messages' actions take no resource:
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonmessagegatewayservice.html
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
)
READING: Final = re.compile(
    r"(?:BatchCheck|BatchDescribe|BatchGet|Check|Describe|Estimate|Filter|Get|Head|List|Lookup|Query|Scan|Search|Select|"
    r"Simulate|Validate|Verify|View)(?![a-z]).*"
)
"""Names of actions that change nothing. `GetSecretValue` and the like read, and what they read is told by resources:
with `*` they are refused by SECRETS."""
SECRETS: Final = (
    "secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue", "ssm:GetParameter", "ssm:GetParameters",
    "ssm:GetParametersByPath", "s3:GetObject", "s3:GetObjectVersion", "sts:GetFederationToken",
)  # fmt: skip
"""They read what is worth stealing."""
SHARED: Final = ("token.actions.githubusercontent.com", "gitlab.com", "oauth2.googleapis.com")
"""Issuers that give tokens to whoever signs up, so that only `sub` says whose a token is
(https://docs.github.com/actions/concepts/security/openid-connect)."""
WHOEVER: Final = re.compile(r"\*|(?:repo|project_path):\*")
BROAD: Final = re.compile(
    r":policy/(?:[^/]+/)*(?:AdministratorAccess.*|PowerUserAccess|IAMFullAccess|[A-Za-z0-9]+FullAccess)$"
)


def _document(*path: str) -> Callable[[Resource, tuple[str, ...], tuple[str, ...]], Iterator[Finding]]:
    """Rights of a role, a user or a group."""

    def rule(resource: Resource, anywhere: tuple[str, ...], roles: tuple[str, ...]) -> Iterator[Finding]:
        for where, row in _statements(resource, path):
            if isinstance(row, Finding):
                yield row
            elif row.get("Effect") == "Allow":
                for words in _allowed(row, anywhere):
                    yield Finding(resource.urn, f"{where}: {words}")

    return rule


def _trust(*path: str) -> Callable[[Resource, tuple[str, ...], tuple[str, ...]], Iterator[Finding]]:
    """Who may take a role on, read a bucket or write to a topic."""

    def rule(resource: Resource, anywhere: tuple[str, ...], roles: tuple[str, ...]) -> Iterator[Finding]:
        for where, row in _statements(resource, path):
            if isinstance(row, Finding):
                yield row
            elif row.get("Effect") == "Allow" and "NotPrincipal" in row:
                yield Finding(resource.urn, f"{where}: Allow with NotPrincipal lets in everybody else: name principals")
            elif row.get("Effect") == "Allow" and _everybody(row.get("Principal")) and not row.get("Condition"):
                yield Finding(resource.urn, f"{where}: Principal * without a Condition: allowed are named principals")
            elif (
                row.get("Effect") == "Allow" and (issuer := _shared(row.get("Principal"))) and not _of_one(row, issuer)
            ):
                why = f"everybody's pipelines at {issuer} may take it on: allowed is a Condition on {issuer}:sub"
                yield Finding(resource.urn, f"{where}: {why}")

    return rule


def _role(resource: Resource, anywhere: tuple[str, ...], roles: tuple[str, ...]) -> Iterator[Finding]:
    yield from _trust("assumeRolePolicy")(resource, anywhere, roles)
    for arn in texts(get(resource, "managedPolicyArns") or []):
        yield from _managed(resource, arn, roles)
    for row in rows(get(resource, "inlinePolicies")):
        told = row.get("policy")
        inline = Resource(resource.urn, resource.type, {"policy": told}, {}, {})
        yield from _document("policy")(inline, anywhere, roles)


def _attachment(resource: Resource, anywhere: tuple[str, ...], roles: tuple[str, ...]) -> Iterator[Finding]:
    for arn in texts(get(resource, "policyArn") or []):
        yield from _managed(resource, arn, roles)


def _managed(resource: Resource, arn: str, roles: tuple[str, ...]) -> Iterator[Finding]:
    if BROAD.search(arn) and arn not in roles:
        yield Finding(resource.urn, f"{arn}: allowed are policies of what is needed, not of everything")


def _statements(resource: Resource, path: tuple[str, ...]) -> Iterator[tuple[str, Mapping[str, Any] | Finding]]:
    """Every statement of a document with its name; a finding where the document cannot be read yet, or at all."""
    told, name = get(resource, *path), ".".join(path)
    if told is None:
        return
    if isinstance(told, Unknown):
        for one in unknown(resource, name, told):
            yield "", one
        return
    if isinstance(told, str):
        try:
            told = json.loads(told)
        except ValueError:
            yield "", Finding(resource.urn, f"{name}: is no JSON, and cannot be judged")
            return
    for index, row in enumerate(rows(told.get("Statement") if isinstance(told, Mapping) else None)):
        sid = row.get("Sid")
        yield f"{name}: {sid if isinstance(sid, str) and sid else f'Statement[{index}]'}", row


def _allowed(row: Mapping[str, Any], anywhere: tuple[str, ...]) -> Iterator[str]:
    if "NotAction" in row:
        yield "Allow with NotAction allows all the rest: name actions"
    if "NotResource" in row:
        yield "Allow with NotResource allows all the rest: name resources"
    actions = texts(row.get("Action") or [])
    for action in actions:
        service, _, name = action.partition(":")
        if action == "*" or name == "*" or "*" in service:
            yield f"Action {action}: allowed are named actions"
    if not any(_anything(one) for one in texts(row.get("Resource") or [])):
        return
    writing = [one for one in actions if ":" in one and not one.endswith(":*") and _writes(one, anywhere)]
    if writing:
        yield f"Resource * with {', '.join(writing)}: allowed are named resources"


def _anything(resource: str) -> bool:
    """`*`, or an ARN that leaves open what of a service it is: `arn:aws:s3:::*`."""
    return resource == "*" or (resource.startswith("arn:") and resource.split(":", 5)[-1] == "*")


def _writes(action: str, anywhere: tuple[str, ...]) -> bool:
    """Whether an action changes something, or reads secrets, and narrower resources exist for it."""
    if any(action.lower() == one.lower() for one in anywhere):
        return False
    if any(fnmatchcase(one.lower(), action.lower()) for one in SECRETS):
        return True
    return READING.fullmatch(action.partition(":")[2]) is None


def _shared(principal: Any) -> str | None:
    """The issuer of tokens that a principal is, where that gives tokens to everybody who signs up."""
    told = texts(principal.get("Federated") or []) if isinstance(principal, Mapping) else []
    return next((issuer for issuer in SHARED for one in told if one.endswith(f"/{issuer}")), None)


def _of_one(row: Mapping[str, Any], issuer: str) -> bool:
    """Whether a condition asks whose token it is, by more than a `*`."""
    condition = row.get("Condition")
    for wanted in condition.values() if isinstance(condition, Mapping) else ():
        subjects = wanted.get(f"{issuer}:sub") if isinstance(wanted, Mapping) else None
        if isinstance(subjects, Unknown) or (
            (found := texts(subjects or [])) and not any(WHOEVER.match(one) for one in found)
        ):
            return True
    return False


def _everybody(principal: Any) -> bool:
    if isinstance(principal, Mapping):
        return any(_everybody(one) for key, one in principal.items() if key in ("AWS", "*", "Federated"))
    return "*" in texts(principal or [])


def only_bounds(policy: Resource, stack: Stack) -> bool:
    """Whether a policy is nothing but a permissions boundary. That grants nothing, it limits what is granted, so that
    `service:*` in it is no right (https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html)."""
    bounds = False
    for other in stack.resources:
        for key, urns in other.refers.items():
            if policy.urn not in urns or not other.type.startswith("aws:iam/"):
                continue
            if key == "permissionsBoundary":
                bounds = True
            elif key in ("policyArn", "managedPolicyArns", "policyArns"):
                return False
    return bounds


BY_USE: Final = {"aws:iam/policy:Policy": _document("policy")}
"""What their use decides on, which only the whole stack shows."""
RULES: Final = {
    "aws:iam/rolePolicy:RolePolicy": _document("policy"),
    "aws:iam/userPolicy:UserPolicy": _document("policy"),
    "aws:iam/groupPolicy:GroupPolicy": _document("policy"),
    "aws:iam/role:Role": _role,
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": _attachment,
    "aws:iam/userPolicyAttachment:UserPolicyAttachment": _attachment,
    "aws:iam/policyAttachment:PolicyAttachment": _attachment,
    "aws:ec2/vpcEndpoint:VpcEndpoint": _trust("policy"),
    "aws:kms/key:Key": _trust("policy"),
    "aws:s3/bucketPolicy:BucketPolicy": _trust("policy"),
    "aws:secretsmanager/secretPolicy:SecretPolicy": _trust("policy"),
    "aws:sns/topicPolicy:TopicPolicy": _trust("policy"),
    "aws:sqs/queuePolicy:QueuePolicy": _trust("policy"),
}
