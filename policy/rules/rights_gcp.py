"""Google Cloud roles: no basic role, no administrator of a project, nobody that is everybody.

Basic roles: https://docs.cloud.google.com/iam/docs/roles-overview#basic
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from cost.plan.preview import Resource, Unknown
from policy.findings import Finding, get, texts, unknown
from policy.rules.rights_aws import SHARED

BASIC: Final = ("roles/owner", "roles/editor", "roles/admin", "roles/writer")
ESCALATING: Final = (
    # Whoever may act as any service account of a project has every right that one of them has:
    # https://docs.cloud.google.com/iam/docs/best-practices-service-accounts#privilege-escalation
    "roles/iam.serviceAccountTokenCreator",
    "roles/iam.serviceAccountUser",
    "roles/iam.serviceAccountKeyAdmin",
    "roles/iam.workloadIdentityUser",
)
ADMIN: Final = re.compile(r"roles/.+(?:\.|[a-z])[aA]dmin(?:istrator)?$")
EVERYBODY: Final = ("allUsers", "allAuthenticatedUsers")
WIDE: Final = re.compile(r"gcp:(?:projects|folder|organizations)/iA[mM]")
"""Grants for a whole project or more."""


def _grant(resource: Resource, anywhere: tuple[str, ...], roles: tuple[str, ...]) -> Iterator[Finding]:
    role = get(resource, "role")
    for key in ("member", "members"):
        for member in texts(get(resource, key) or []):
            if member in EVERYBODY:
                yield Finding(resource.urn, f"{key}: {member}: allowed are named members")
    if isinstance(role, Unknown):
        if not resource.refers.get("role"):  # a role of the stack itself is judged where it stands
            yield from unknown(resource, "role", role)
        return
    name = str(role)
    if name in roles or name.startswith(("projects/", "organizations/")):
        return
    wide = WIDE.match(resource.type) is not None
    # On one bucket or one secret an administrator is one of little; of the project, of everything.
    if name in BASIC or (wide and (name in ESCALATING or ADMIN.fullmatch(name))):
        where = " for the whole project" if wide else ""
        yield Finding(resource.urn, f"role = {name}{where}: allowed is a role of what is needed")


def _custom(resource: Resource, anywhere: tuple[str, ...], roles: tuple[str, ...]) -> Iterator[Finding]:
    told = get(resource, "permissions")
    if isinstance(told, Unknown):
        yield from unknown(resource, "permissions", told)
    for permission in texts(told or []):
        if "*" in permission or permission.endswith(".setIamPolicy"):
            yield Finding(
                resource.urn, f"permissions: {permission}: allowed are named permissions without setIamPolicy"
            )


def _provider(resource: Resource, anywhere: tuple[str, ...], roles: tuple[str, ...]) -> Iterator[Finding]:
    """Without a condition every token of the issuer is let into the pool
    (https://docs.cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines#conditions)."""
    issuer, condition = get(resource, "oidc", "issuerUri"), get(resource, "attributeCondition")
    if isinstance(issuer, Unknown) or isinstance(condition, Unknown):
        yield from unknown(resource, "oidc.issuerUri", issuer)
        yield from unknown(resource, "attributeCondition", condition)
    elif (host := str(issuer).removeprefix("https://").rstrip("/")) in SHARED and not str(condition or "").strip():
        yield Finding(resource.urn, f"attributeCondition: missing; everybody's pipelines at {host} get into the pool")


RULES: Final = {
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": _provider,
    **dict.fromkeys(
        (
            "gcp:projects/iAMMember:IAMMember",
            "gcp:projects/iAMBinding:IAMBinding",
            "gcp:folder/iAMMember:IAMMember",
            "gcp:organizations/iAMMember:IAMMember",
            "gcp:storage/bucketIAMMember:BucketIAMMember",
            "gcp:storage/bucketIAMBinding:BucketIAMBinding",
            "gcp:secretmanager/secretIamMember:SecretIamMember",
            "gcp:secretmanager/secretIamBinding:SecretIamBinding",
            "gcp:serviceaccount/iAMMember:IAMMember",
            "gcp:serviceaccount/iAMBinding:IAMBinding",
            "gcp:cloudrunv2/serviceIamMember:ServiceIamMember",
            "gcp:cloudfunctionsv2/functionIamMember:FunctionIamMember",
            "gcp:dns/dnsManagedZoneIamMember:DnsManagedZoneIamMember",
            "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember",
        ),
        _grant,
    ),
    "gcp:projects/iAMCustomRole:IAMCustomRole": _custom,
    "gcp:organizations/iAMCustomRole:IAMCustomRole": _custom,
}
