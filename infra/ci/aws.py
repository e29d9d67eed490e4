"""Pipelines in an AWS account: trust in their tokens, a role that reads and one that deploys."""

from __future__ import annotations

from typing import Any, Final

import pulumi
import pulumi_aws as aws
from pulumi import ResourceOptions

from infra import naming
from infra.aws.common import Scope, policy
from infra.ci import aws_rights as rights
from infra.ci.common import Roles
from infra.ci.sections import AwsCi
from infra.ci.subjects import Issuer, Role, issuers

AUDIENCE: Final = "sts.amazonaws.com"
"""What https://github.com/aws-actions/configure-aws-credentials asks tokens for; GitLab's jobs name it themselves."""
SESSION_SECONDS: Final[dict[Role, int]] = {"preview": 3600, "deploy": 2 * 3600}
"""One hour is the least that a role can have as its longest session
(https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html); a region takes long to come up."""


def provider(config: AwsCi) -> aws.Provider:
    """No account but the one that the stack file names: the provider refuses any other."""
    return aws.Provider(config.stack_name, region=config.region, allowed_account_ids=[config.account])


def build(config: AwsCi) -> Roles:
    """The roles, registered."""
    account = provider(config)
    made = AwsRoles(config.stack_name, config, ResourceOptions(providers={"aws": account}))
    return Roles(
        made.providers,
        made.arns,
        True,
        {
            "AWS_ACCOUNT": config.account,
            "AWS_REGION": config.region,
            "AWS_PREVIEW_ROLE": made.arns["preview"],
            "AWS_DEPLOY_ROLE": made.arns["deploy"],
        },
    )


def provider_arn(config: AwsCi, issuer: Issuer) -> str:
    """Known before the provider exists, so that a preview shows whom a role trusts."""
    return f"arn:{naming.partition(config.region)}:iam::{config.account}:oidc-provider/{issuer.host}"


def trust(config: AwsCi, role: Role) -> str:
    """Who may take a role: tokens for AWS with one of its subject claims, all of them whole but for GitLab's branches.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-idp_oidc.html#idp_oidc_Create_GitHub
    """
    statements: list[dict[str, Any]] = []
    for issuer in issuers(config):
        whole = [one.text for one in issuer.subjects(role) if not one.any_branch]
        like = [one.text for one in issuer.subjects(role) if one.any_branch]
        for operator, texts in (("StringEquals", whole), ("StringLike", like)):
            if not texts:
                continue
            condition: dict[str, dict[str, Any]] = {"StringEquals": {f"{issuer.host}:aud": AUDIENCE}}
            condition.setdefault(operator, {})[f"{issuer.host}:sub"] = texts
            statements.append(
                {
                    "Effect": "Allow",
                    "Principal": {"Federated": provider_arn(config, issuer)},
                    "Action": "sts:AssumeRoleWithWebIdentity",
                    "Condition": condition,
                }
            )
    return policy(statements)


class AwsRoles(pulumi.ComponentResource):
    """Identity providers, policies and roles."""

    providers: dict[str, str]
    arns: dict[Role, pulumi.Output[str]]

    def __init__(self, name: str, config: AwsCi, opts: ResourceOptions) -> None:
        super().__init__("spillway:ci:AwsRoles", name, None, opts)
        self._name, self._config = name, config
        self._scope = Scope(config.stack_name, config.region, config.account, config.tags)
        trusted = self._trust()
        node_boundary = self._policy(
            "node", "The most that a node can be given", rights.node_boundary_statements(config)
        )
        boundary = self._policy(
            "boundary",
            "The most that deploys can be given",
            rights.boundary_statements(config),
        )
        read = self._policy("read", "What previews read", rights.preview_statements(config))
        state = rights.state_statements(config, write=False)
        preview_policies = {"read": read}
        if state:
            preview_policies["state-read"] = self._policy("state-read", "Pulumi's states, to read", state)
        deploy_policies = {"read": read} | {
            label: self._policy(label, f"What deploys change: {label}", statements)
            for label, statements in rights.deploy_policies(config, self.policy_arn("node")).items()
        }
        preview = self._role("preview", "Previews and the search for drift; reads only", preview_policies, trusted)
        deploy = self._role("deploy", "Deploys from protected environments", deploy_policies, trusted, boundary)
        self.arns = {"preview": preview.arn, "deploy": deploy.arn}
        self.register_outputs(
            {**{f"{role}Role": arn for role, arn in self.arns.items()}, "nodeBoundary": node_boundary.arn}
        )

    def policy_arn(self, label: str) -> str:
        """The ARN of one of the policies, known before it exists."""
        return self._scope.policy_arn(self._scope.name(label))

    def _trust(self) -> list[pulumi.Resource]:
        made: list[pulumi.Resource] = []
        self.providers = {}
        for issuer in issuers(self._config):
            self.providers[issuer.kind] = provider_arn(self._config, issuer)
            if issuer.kind in self._config.existing_providers:
                continue
            made.append(
                aws.iam.OpenIdConnectProvider(
                    f"{self._name}-{issuer.kind}",
                    url=issuer.url,
                    client_id_lists=[AUDIENCE],
                    # No thumbprints: AWS checks both issuers by its own list of authorities.
                    # https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc_verify-thumbprint.html
                    tags=self._scope.tags("trust", issuer.kind),
                    opts=ResourceOptions(parent=self),
                )
            )
        return made

    def _policy(self, label: str, description: str, statements: list[rights.Statement]) -> aws.iam.Policy:
        return aws.iam.Policy(
            f"{self._name}-{label}",
            name=self._scope.name(label),
            description=description,
            policy=policy(statements),
            tags=self._scope.tags("rights", label),
            opts=ResourceOptions(parent=self),
        )

    def _role(
        self,
        role: Role,
        description: str,
        policies: dict[str, aws.iam.Policy],
        trusted: list[pulumi.Resource],
        boundary: aws.iam.Policy | None = None,
    ) -> aws.iam.Role:
        made = aws.iam.Role(
            f"{self._name}-{role}",
            name=self._scope.name(role),
            description=description,
            assume_role_policy=trust(self._config, role),
            max_session_duration=SESSION_SECONDS[role],
            permissions_boundary=None if boundary is None else boundary.arn,
            tags=self._scope.tags("role", role),
            opts=ResourceOptions(parent=self, depends_on=trusted),
        )
        for label, one in policies.items():
            aws.iam.RolePolicyAttachment(
                f"{self._name}-{role}-{label}",
                role=made.name,
                policy_arn=one.arn,
                opts=ResourceOptions(parent=self),
            )
        return made
