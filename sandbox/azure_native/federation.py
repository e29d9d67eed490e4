"""Federated credentials: whose tokens may be exchanged for those of a managed identity.

https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlsplit

from sandbox.azure_native import arm, tokens
from sandbox.azure_native.registry import AZURE_NATIVE
from sandbox.kinds import Args, Cloud, CloudError, Fault, Resource
from sandbox.rules import length, matches, shown

CREDENTIALS_MAX: Final = 20
TEXT_MAX: Final = 600
"""Characters of issuer, subject and audience each."""


@AZURE_NATIVE.kind
class FederatedIdentityCredential(arm.ArmKind):
    """https://learn.microsoft.com/rest/api/managedidentity/federated-identity-credentials/create-or-update"""

    token = tokens.FEDERATED_CREDENTIAL
    namespace = "Microsoft.ManagedIdentity"
    type_name = "federatedIdentityCredentials"
    name_property = "federatedIdentityCredentialResourceName"
    api_version = "2023-01-31"
    replace_on = ("resourceGroupName", "resourceName", "federatedIdentityCredentialResourceName")
    autoname = arm.copied_name("federatedIdentityCredentialResourceName")
    taggable = False

    def segments(self, args: Args) -> list[tuple[str, str]]:
        return [
            ("userAssignedIdentities", str(args["resourceName"])),
            (self.type_name, str(args[self.name_property])),
        ]

    def check(self, args: Args) -> Iterable[Fault]:
        yield from arm.group_name_faults(args)
        yield from matches(
            args,
            self.name_property,
            r"[A-Za-z0-9][A-Za-z0-9_-]{2,119}",
            "3 to 120 letters, digits, hyphens and underscores, a letter or digit first",
        )
        yield from length(args, "audiences", 1, 1)
        yield from length(args, "audiences[*]", 1, TEXT_MAX)
        yield from length(args, "subject", 1, TEXT_MAX)
        yield from length(args, "issuer", 1, TEXT_MAX)
        for path, url in args.at("issuer"):
            if urlsplit(str(url)).scheme != "https":
                yield Fault(path, f"expected the issuer's address with https://, got {shown(url)}")

    def check_parent(self, args: Args, cloud: Cloud) -> None:
        self._identity(args, cloud)

    def _identity(self, args: Args, cloud: Cloud) -> Resource:
        group = arm.need_group(cloud, args["resourceGroupName"])
        id = f"{group.id}/providers/{self.namespace}/userAssignedIdentities/{args['resourceName']}"
        found = arm.find_by_id(cloud, tokens.IDENTITY, id)
        if found is None:
            raise arm.parent_missing(f"userAssignedIdentities/{args['resourceName']}")
        return found

    def before_create(self, args: Args, cloud: Cloud) -> None:
        super().before_create(args, cloud)
        self._refuse(args, cloud, None)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._refuse(args, cloud, old)

    def _refuse(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        """Issuer and subject together are one identity's once, and an identity has twenty at most."""
        identity = self._identity(args, cloud)
        others = [
            other
            for other in cloud.all(self.token)
            if arm.inside(other.id, identity.id) and (old is None or other.id != old.id)
        ]
        limit = cloud.quota("federatedIdentityCredentials", CREDENTIALS_MAX)
        if len(others) + 1 > limit:
            raise CloudError(
                "BadRequest", f"Too many federated identity credentials: at most {limit:g} for each identity."
            )
        if any((o["issuer"], o["subject"]) == (args["issuer"], args["subject"]) for o in others):
            raise CloudError(
                "Conflict",
                "Issuer and subject combination already exists for this Managed Identity: "
                f"{args['issuer']}, {args['subject']}.",
            )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            **self.common_outputs(args),
            "issuer": args["issuer"],
            "subject": args["subject"],
            "audiences": args["audiences"],
        }
