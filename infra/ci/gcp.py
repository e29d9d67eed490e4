"""Pipelines in a Google Cloud project: a pool that trusts their tokens, accounts that they act as, and custom roles."""

from __future__ import annotations

from typing import Final

import pulumi
import pulumi_gcp as gcp
from pulumi import ResourceOptions

from infra.ci import gcp_rights as rights
from infra.ci.common import Roles
from infra.ci.sections import GcpCi
from infra.ci.subjects import ROLES, Issuer, Role, Subject, issuers
from infra.naming import PROJECT

POOL: Final = f"{PROJECT}-ci"
"""A deleted pool keeps its id for 30 days, in which `gcloud iam workload-identity-pools undelete` brings it back
(https://docs.cloud.google.com/iam/docs/manage-workload-identity-pools-providers#delete-pool)."""
ACT_AS: Final = "roles/iam.workloadIdentityUser"
STATES: Final[dict[Role, str]] = {"preview": "roles/storage.objectViewer", "deploy": "roles/storage.objectUser"}
_BRANCH: Final = "branch"
_ANY: Final = "any"


def provider(config: GcpCi) -> gcp.Provider:
    """The stack file's project; nothing is taken from the environment or from gcloud's own settings."""
    return gcp.Provider(
        config.stack_name,
        project=config.account,
        region=config.region,
        billing_project=config.account,
        user_project_override=True,
    )


def build(config: GcpCi) -> Roles:
    """The pool, the accounts and their roles, registered."""
    account = provider(config)
    made = GcpRoles(config.stack_name, config, ResourceOptions(providers={"gcp": account}))
    variables: dict[str, pulumi.Input[str]] = {
        "GCP_PROJECT": config.account,
        "GCP_PREVIEW_SERVICE_ACCOUNT": made.emails["preview"],
        "GCP_DEPLOY_SERVICE_ACCOUNT": made.emails["deploy"],
    }
    words = {"github": "GCP_WORKLOAD_IDENTITY_PROVIDER", "gitlab": "GCP_GITLAB_WORKLOAD_IDENTITY_PROVIDER"}
    variables |= {words[kind]: name for kind, name in made.providers.items()}
    return Roles(made.providers, made.emails, True, variables)


def account_id(role: Role) -> str:
    """`spillway-ci-preview`: at most 30 characters (https://docs.cloud.google.com/iam/docs/service-accounts-create)."""
    return f"{PROJECT}-ci-{role}"


def role_id(role: Role, suffix: str = "") -> str:
    """The id of a custom role, which takes no hyphens."""
    return f"{PROJECT}_ci_{role}{suffix}"


def mapping(issuer: Issuer) -> dict[str, str]:
    """What the pool makes of a token. On GitLab, whether it is of a branch: all others are tags."""
    found = {"google.subject": "assertion.sub"}
    if issuer.kind == "gitlab":
        found[f"attribute.{_BRANCH}"] = f"assertion.ref_type == 'branch' ? '{_ANY}' : 'none'"
    return found


class GcpRoles(pulumi.ComponentResource):
    """Workload identity pool and providers, two service accounts, custom roles and who has them."""

    providers: dict[str, pulumi.Output[str]]
    emails: dict[Role, pulumi.Output[str]]

    def __init__(self, name: str, config: GcpCi, opts: ResourceOptions) -> None:
        super().__init__("spillway:ci:GcpRoles", name, None, opts)
        self._name, self._config = name, config
        self._child = ResourceOptions(parent=self)
        self._pool = gcp.iam.WorkloadIdentityPool(
            f"{name}-pool",
            workload_identity_pool_id=POOL,
            display_name="Pipelines",
            description="Tokens of the pipelines that preview and deploy Spillway",
            opts=self._child,
        )
        self.providers = {issuer.kind: self._trust(issuer).name for issuer in issuers(config)}
        accounts = {role: self._account(role) for role in ROLES}
        self._grant(accounts)
        self.emails = {role: account.email for role, account in accounts.items()}
        self.register_outputs({f"{role}Account": email for role, email in self.emails.items()})

    def _trust(self, issuer: Issuer) -> gcp.iam.WorkloadIdentityPoolProvider:
        return gcp.iam.WorkloadIdentityPoolProvider(
            f"{self._name}-{issuer.kind}",
            workload_identity_pool_id=self._pool.workload_identity_pool_id,
            workload_identity_pool_provider_id=issuer.kind,
            display_name=issuer.kind,
            attribute_mapping=mapping(issuer),
            attribute_condition=issuer.condition,
            # Audiences: the provider's own name, which is what is allowed when none are named.
            oidc=gcp.iam.WorkloadIdentityPoolProviderOidcArgs(issuer_uri=issuer.url),
            opts=self._child,
        )

    def _account(self, role: Role) -> gcp.serviceaccount.Account:
        made = gcp.serviceaccount.Account(
            f"{self._name}-{role}",
            account_id=account_id(role),
            display_name=f"Pipelines: {role}",
            opts=self._child,
        )
        for issuer in issuers(self._config):
            for subject in issuer.subjects(role):
                gcp.serviceaccount.IAMMember(
                    f"{self._name}-{role}-{subject.label}",
                    service_account_id=made.name,
                    role=ACT_AS,
                    member=self._pool.name.apply(lambda pool, one=subject: principal(pool, one)),
                    opts=self._child,
                )
        return made

    def _grant(self, accounts: dict[Role, gcp.serviceaccount.Account]) -> None:
        config = self._config
        reads = self._role("preview", "What previews read", rights.preview_permissions())
        changes = self._role("deploy", "What deploys change", rights.deploy_permissions(config))
        for label, role, holder in (
            ("preview-reads", reads, "preview"),
            ("deploy-reads", reads, "deploy"),
            ("deploy-changes", changes, "deploy"),
        ):
            gcp.projects.IAMMember(
                f"{self._name}-{label}",
                project=config.account,
                role=role.name,
                member=accounts["preview" if holder == "preview" else "deploy"].member,
                opts=self._child,
            )
        for who, account in accounts.items():
            objects = self._role(who, f"Archives of functions: {who}", rights.OBJECTS[who], suffix="_objects")
            gcp.projects.IAMMember(
                f"{self._name}-{who}-objects",
                project=config.account,
                role=objects.name,
                member=account.member,
                condition=gcp.projects.IAMMemberConditionArgs(
                    title="functions",
                    description="Only the buckets of the fallback functions",
                    expression=rights.object_condition(config),
                ),
                opts=self._child,
            )
            if config.state is not None:
                gcp.storage.BucketIAMMember(
                    f"{self._name}-{who}-state",
                    bucket=config.state.bucket,
                    role=STATES[who],
                    member=account.member,
                    opts=self._child,
                )

    def _role(
        self, role: Role, description: str, permissions: list[str] | tuple[str, ...], suffix: str = ""
    ) -> gcp.projects.IAMCustomRole:
        return gcp.projects.IAMCustomRole(
            f"{self._name}-{role}-role{suffix.replace('_', '-')}",
            role_id=role_id(role, suffix),
            title=f"Spillway pipelines: {role}{suffix.replace('_', ' ')}",
            description=description,
            permissions=list(permissions),
            project=self._config.account,
            opts=self._child,
        )


def principal(pool: str, subject: Subject) -> str:
    """Who a token is to IAM. pool: its full name, with the project's number.

    https://docs.cloud.google.com/iam/docs/principal-identifiers
    """
    if subject.any_branch:
        return f"principalSet://iam.googleapis.com/{pool}/attribute.{_BRANCH}/{_ANY}"
    return f"principal://iam.googleapis.com/{pool}/subject/{subject.text}"
