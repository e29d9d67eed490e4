"""Who a node is: one CAM role with exactly the rights it uses, and the empty containers of its secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi import ResourceOptions
from tencentcloud_iac_pulumi import cam, ssm

from infra.tencent import names
from infra.tencent.common import Scope, policy


@dataclass(frozen=True, slots=True)
class IdentityArgs:
    """What a node may touch.

    model_prefix: folder in `bucket`, `models/<name>/<revision>/`. secrets: label -> name of the secret.
    """

    scope: Scope
    bucket: str
    model_prefix: str
    secrets: Mapping[str, str]


class Identity(pulumi.ComponentResource):
    """Role, its only policy, and the secret containers of the region's nodes."""

    role_name: pulumi.Output[str]
    rights: Sequence[pulumi.Resource]
    """What has to stand before a node boots."""

    def __init__(self, name: str, args: IdentityArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:tencent:Identity", name, None, opts)
        child = ResourceOptions(parent=self)
        scope = args.scope
        role = cam.Role(
            f"{name}-node",
            name=scope.name("node"),
            description=f"Nodes of {scope.stack}",
            # https://www.tencentcloud.com/document/product/213/47668: CVM takes the role for its instances
            document=policy(
                [
                    {
                        "effect": "allow",
                        "action": "name/sts:AssumeRole",
                        "principal": {"service": "cvm.qcloud.com"},
                    }
                ]
            ),
            console_login=False,
            tags=scope.tags("identity"),
            opts=child,
        )
        rights = cam.Policy(
            f"{name}-node",
            name=scope.name("node"),
            description=f"What nodes of {scope.stack} may read",
            document=policy(
                [
                    # No listing: the manifest in the folder names every file.
                    {
                        "effect": "allow",
                        "action": ["name/cos:GetObject", "name/cos:HeadObject"],
                        "resource": [names.object_resource(scope.region, scope.app_id, args.bucket, args.model_prefix)],
                    },
                    {
                        "effect": "allow",
                        "action": ["ssm:DescribeSecret", "ssm:GetSecretValue", "ssm:ListSecretVersionIds"],
                        "resource": [
                            names.secret_resource(scope.region, scope.account, secret)
                            for secret in args.secrets.values()
                        ],
                    },
                ]
            ),
            opts=child,
        )
        attached = cam.RolePolicyAttachment(f"{name}-node", role_id=role.id, policy_id=rights.id, opts=child)
        for label, secret in args.secrets.items():
            ssm.Secret(
                f"{name}-{label}",
                secret_name=secret,
                description=f"{label} of {scope.stack}",
                # At once: a name in its recovery window could not be made again by the next `up`.
                recovery_window_in_days=0,
                is_enabled=True,
                tags=scope.tags("identity"),
                # Protected: another name is another, empty secret, and the value of this one would go with it.
                opts=ResourceOptions(parent=self, protect=True),
            )
        self.role_name = role.name
        self.rights = [role, attached]
        self.register_outputs({"roleName": self.role_name})
