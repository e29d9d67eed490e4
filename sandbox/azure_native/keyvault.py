"""Key vaults and secrets. A deleted vault keeps its name until it is purged or its retention is over.

https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sandbox.azure_native import arm, tokens
from sandbox.azure_native.network import refuse_without_endpoint
from sandbox.azure_native.places import normal
from sandbox.azure_native.regional import TENANT, Regional, Use, now, refuse_one_more
from sandbox.azure_native.registry import AZURE_NATIVE
from sandbox.kinds import Args, Cloud, CloudError, Fault, Resource
from sandbox.rules import between, matches, one_of, shown

API_VERSION: Final = "2024-11-01"
VAULTS_MAX: Final = 1000
RETENTION_DAYS: Final = 90
SECRET_BYTES_MAX: Final = 25_600
"""https://learn.microsoft.com/azure/key-vault/secrets/about-secrets"""
VAULT_RULE: Final = (
    r"[A-Za-z](?!.*--)[A-Za-z0-9-]{1,22}[A-Za-z0-9]",
    "3 to 24 letters, digits and single hyphens that begin with a letter and do not end with a hyphen",
)
_UUID: Final = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"


def find_vault(cloud: Cloud, group: object, name: object) -> Resource | None:
    return next(
        (v for v in cloud.all(tokens.VAULT) if arm.same(v["resourceGroupName"], group) and arm.same(v["name"], name)),
        None,
    )


def _deleted(cloud: Cloud, name: object) -> Resource | None:
    """What is left of a vault of that name; what is past its retention is forgotten."""
    for left in cloud.all(tokens.DELETED_VAULT):
        if arm.same(left["name"], name):
            if datetime.fromisoformat(left["until"]) > datetime.now(UTC):
                return left
            cloud.remove(tokens.DELETED_VAULT, left.id)
    return None


@AZURE_NATIVE.kind
class Vault(Regional):
    """https://learn.microsoft.com/rest/api/keyvault/keyvault/vaults/create-or-update"""

    token = tokens.VAULT
    namespace = "Microsoft.KeyVault"
    type_name = "vaults"
    name_property = "vaultName"
    name_rule = VAULT_RULE
    api_version = API_VERSION
    tags_max = 15  # https://learn.microsoft.com/azure/key-vault/general/service-limits
    path = ("resourceGroupName", "vaultName")
    replace_on = path
    autoname = arm.random_name("vaultName")
    changes_on_update = ()
    uses = (
        Use(
            "properties.networkAcls.virtualNetworkRules[*].id",
            tokens.SUBNET,
            "Microsoft.Network/virtualNetworks/subnets",
            same_location=False,
            code="VirtualNetworkNotValid",
            in_use="",
        ),
    )

    def rules(self, args: Args) -> Iterable[Fault]:
        yield from matches(args, "properties.tenantId", _UUID, "the id of a tenant")
        yield from one_of(args, "properties.sku.family", ("A",))
        yield from one_of(args, "properties.sku.name", ("standard", "premium"))
        yield from one_of(args, "properties.publicNetworkAccess", ("enabled", "disabled", "Enabled", "Disabled"))
        yield from one_of(args, "properties.networkAcls.bypass", ("AzureServices", "None"))
        yield from one_of(args, "properties.networkAcls.defaultAction", ("Allow", "Deny"))
        yield from between(args, "properties.softDeleteRetentionInDays", 7, 90, "days")
        for path, value in args.at("properties.enablePurgeProtection"):
            if value is False:
                yield Fault(
                    path,
                    "cannot be set to false, as enabling it is irreversible; leave it out",
                )
        for path, value in args.at("properties.enableSoftDelete"):
            if value is False:
                yield Fault(path, "cannot be set to false: every vault has soft delete")
        rbac = args.get("properties", {}).get("enableRbacAuthorization")
        policies = args.get("properties", {}).get("accessPolicies")
        if args["properties"] is not None and not args.is_unknown("properties"):
            recover = args.get("properties", {}).get("createMode") == "recover"
            if rbac is not True and policies is None and not recover:
                yield Fault("properties.accessPolicies", "is required without enableRbacAuthorization")
        for path, policy in args.at("properties.accessPolicies[*].tenantId"):
            tenant = (args["properties"] or {}).get("tenantId")
            if isinstance(tenant, str) and policy != tenant:
                yield Fault(path, f"has to be the vault's tenant, got {shown(policy)}")

    def judge(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        properties = args["properties"]
        if properties["tenantId"] != TENANT:
            raise CloudError(
                "BadRequest",
                f"The tenant id '{properties['tenantId']}' is not the subscription's, which is '{TENANT}'.",
            )
        subnets = [id for _, id in args.at("properties.networkAcls.virtualNetworkRules[*].id")]
        refuse_without_endpoint(cloud, subnets, ("Microsoft.KeyVault",))
        if old is not None:
            self._refuse_irreversible(old, properties)
            return
        location = self.location_of(args, cloud)
        refuse_one_more(
            cloud, self.token, location, "Vaults", VAULTS_MAX, "QuotaExceeded", "key vaults"
        )  # fmt: skip
        name = args["vaultName"]
        if any(arm.same(v["name"], name) for v in cloud.all(self.token)):
            raise CloudError(
                "VaultAlreadyExists",
                f"The vault name '{name}' is already in use. Vault names are globally unique so it is possible that "
                "the name is already taken.",
            )
        left = _deleted(cloud, name)
        recover = properties.get("createMode") == "recover"
        if left is not None and not recover:
            raise CloudError(
                "ConflictError",
                "A vault with the same name already exists in deleted state. You need to either recover or purge "
                "existing "
                f"key vault. (`az keyvault purge --name {name} --location {left['location']}`, or createMode "
                f"recover; it is purged by itself after {left['until']})",
            )
        if recover and (left is None or left["location"] != location):
            raise CloudError("NotFound", f"There is no deleted vault '{name}' in {location} to recover.")

    @staticmethod
    def _refuse_irreversible(old: Resource, properties: dict[str, Any]) -> None:
        before = old["properties"]
        if before.get("enablePurgeProtection") and not properties.get("enablePurgeProtection"):
            raise CloudError(
                "BadRequest",
                'The property "enablePurgeProtection" cannot be set to false. Enabling the purge protection for a '
                "vault is an "
                "irreversible action.",
            )
        days = properties.get("softDeleteRetentionInDays", before["softDeleteRetentionInDays"])
        if days != before["softDeleteRetentionInDays"]:
            raise CloudError(
                "BadRequest",
                'The property "softDeleteRetentionInDays" has been set already and it can\'t be modified.',
            )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        kept = (old["properties"] if old else {}).get("softDeleteRetentionInDays", RETENTION_DAYS)
        properties = {key: value for key, value in args["properties"].items() if key != "createMode"}
        return {
            **self.common_outputs(args),
            "location": self.location_of(args, cloud),
            "properties": {
                "accessPolicies": [],
                "enabledForDeployment": False,
                "enableRbacAuthorization": False,
                "publicNetworkAccess": "Enabled",
                **properties,
                "enableSoftDelete": True,
                "softDeleteRetentionInDays": properties.get("softDeleteRetentionInDays", kept),
                "vaultUri": f"https://{str(args['vaultName']).lower()}.vault.azure.net/",
                "provisioningState": "Succeeded",
                "hsmPoolResourceId": "",
            },
        }

    def after_create(self, resource: Resource, cloud: Cloud) -> None:
        """A recovered vault has its secrets again."""
        left = _deleted(cloud, resource["name"])
        if left is None:
            return
        cloud.remove(tokens.DELETED_VAULT, left.id)
        for secret in left["secrets"]:
            cloud.put(
                Resource(
                    tokens.SECRET, secret["id"], resource.region, resource.account, secret["inputs"], secret["outputs"]
                )
            )

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        secrets = [
            {"id": s.id, "inputs": s.inputs, "outputs": s.outputs}
            for s in cloud.all(tokens.SECRET)
            if arm.inside(s.id, resource.id)
        ]
        super().after_delete(resource, cloud)
        for gone in cloud.all(tokens.DELETED_SECRET):
            if arm.inside(gone.id, resource.id):
                cloud.remove(tokens.DELETED_SECRET, gone.id)
        location = normal(str(resource["location"]))
        until = datetime.now(UTC) + timedelta(days=resource["properties"]["softDeleteRetentionInDays"])
        id = (
            f"/subscriptions/{resource.account}/providers/Microsoft.KeyVault/locations/{location}/deletedVaults/"
            f"{resource['name']}"
        )
        outputs = {
            "name": resource["name"],
            "location": location,
            "vaultId": resource.id,
            "deletionDate": now(),
            "until": until.isoformat(timespec="seconds"),
            "secrets": secrets,
        }
        cloud.put(Resource(tokens.DELETED_VAULT, id, cloud.region, resource.account, {}, outputs))


@AZURE_NATIVE.kind
class Secret(Regional):
    """A secret set through ARM, which needs no right to read it
    (https://learn.microsoft.com/azure/key-vault/secrets/quick-create-bicep); a new value is a new version. It is
    deleted through the vault itself, and its name stays taken until the vault's retention is over
    (https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/resources/customresources/custom_keyvault.go)."""

    token = tokens.SECRET
    namespace = "Microsoft.KeyVault"
    type_name = "secrets"
    name_property = "secretName"
    name_rule = (r"[0-9A-Za-z-]{1,127}", "1 to 127 letters, digits and hyphens")
    api_version = API_VERSION
    located = False
    tags_max = 15
    path = ("resourceGroupName", "vaultName", "secretName")
    replace_on = path
    autoname = arm.random_name("secretName")
    changes_on_update = ("properties",)
    secret_outputs = ("properties.value",)

    def rules(self, args: Args) -> Iterable[Fault]:
        yield from matches(args, "vaultName", *VAULT_RULE)
        for path, value in args.at("properties.value"):
            if len(str(value).encode()) > SECRET_BYTES_MAX:
                yield Fault(path, f"expected at most {SECRET_BYTES_MAX:,} bytes, got {len(str(value).encode()):,}")
        yield from between(args, "properties.attributes.expires", 0, 2**53, "seconds since 1970")
        yield from between(args, "properties.attributes.notBefore", 0, 2**53, "seconds since 1970")

    def segments(self, args: Args) -> list[tuple[str, str]]:
        return [("vaults", str(args["vaultName"])), ("secrets", str(args["secretName"]))]

    def check_parent(self, args: Args, cloud: Cloud) -> None:
        if find_vault(cloud, args["resourceGroupName"], args["vaultName"]) is None:
            raise arm.parent_missing(f"Microsoft.KeyVault/vaults/{args['vaultName']}")

    def judge(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        if old is not None:
            return
        if (args["properties"] or {}).get("value") is None:
            raise CloudError("BadRequest", "The property 'value' of a new secret must be specified.")
        id = self.new_id(args, cloud)
        for left in cloud.all(tokens.DELETED_SECRET):
            if not arm.same(left.id, id):
                continue
            if datetime.fromisoformat(left["until"]) > datetime.now(UTC):
                raise CloudError(
                    "Conflict",
                    f"Secret {args['secretName']} is currently in a deleted but recoverable state, and its name "
                    "cannot be reused; in this state, the secret can only be recovered or purged.",
                )
            cloud.remove(tokens.DELETED_SECRET, left.id)

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        vault = find_vault(cloud, resource["resourceGroupName"], resource["vaultName"])
        if vault is not None:
            until = datetime.now(UTC) + timedelta(days=vault["properties"]["softDeleteRetentionInDays"])
            left = {"name": resource["name"], "until": until.isoformat(timespec="seconds")}
            cloud.put(Resource(tokens.DELETED_SECRET, resource.id, cloud.region, resource.account, {}, left))

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        vault = find_vault(cloud, args["resourceGroupName"], args["vaultName"])
        uri = f"{vault['properties']['vaultUri'] if vault else ''}secrets/{args['secretName']}"
        properties = {key: value for key, value in args["properties"].items() if key != "value"}  # never told
        now = int(datetime.now(UTC).timestamp())  # every write makes a version, which has times of its own
        times = {"created": now, "updated": now}
        return {
            **self.common_outputs(args),
            "location": vault["location"] if vault else "",
            "properties": {
                **properties,
                "attributes": {"enabled": True, **times, **(properties.get("attributes") or {})},
                "secretUri": uri,
                "secretUriWithVersion": f"{uri}/{uuid.uuid4().hex}",
            },
        }
