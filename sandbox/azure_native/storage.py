"""Storage accounts, their blob service, containers and blobs. https://learn.microsoft.com/azure/storage/common/storage-account-overview"""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, Final

from sandbox.azure_native import arm, tokens
from sandbox.azure_native.identity import shown_identity
from sandbox.azure_native.network import refuse_without_endpoint
from sandbox.azure_native.places import zones
from sandbox.azure_native.regional import Regional, Use, now, refuse_one_more
from sandbox.azure_native.registry import AZURE_NATIVE
from sandbox.kinds import Args, Cloud, CloudError, Fault, Resource
from sandbox.rules import between, length, matches, one_of, shown
from sandbox.values import UNKNOWN

API_VERSION: Final = "2024-01-01"
ACCOUNTS_MAX: Final = 250
"""https://learn.microsoft.com/azure/storage/common/scalability-targets-standard-account: per subscription and
region."""
ACCOUNT_RULE: Final = (r"[a-z0-9]{3,24}", "3 to 24 lower-case letters and digits")
CONTAINER_RULE: Final = (
    r"(\$root|\$web|[a-z0-9](?!.*--)[a-z0-9-]{1,61}[a-z0-9])",
    "3 to 63 lower-case letters, digits and single hyphens that begin and end with a letter or digit",
)
"""https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata"""
_SKUS: Final = (
    "Standard_LRS", "Standard_GRS", "Standard_RAGRS", "Standard_ZRS", "Premium_LRS", "Premium_ZRS", "Standard_GZRS",
    "Standard_RAGZRS",
)  # fmt: skip
_KINDS: Final = ("Storage", "StorageV2", "BlobStorage", "FileStorage", "BlockBlobStorage")
_METADATA_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def find_account(cloud: Cloud, group: object, name: object) -> Resource | None:
    return next(
        (
            a
            for a in cloud.all(tokens.STORAGE_ACCOUNT)
            if arm.same(a["resourceGroupName"], group) and arm.same(a["name"], name)
        ),
        None,
    )


def need_account(cloud: Cloud, args: Args) -> Resource:
    """Raises CloudError ParentResourceNotFound."""
    found = find_account(cloud, args["resourceGroupName"], args["accountName"])
    if found is None:
        raise arm.parent_missing(f"Microsoft.Storage/storageAccounts/{args['accountName']}")
    return found


def network_rule_faults(args: Args, at: str) -> Iterator[Fault]:
    """Firewall rules of an account: public IPv4 addresses and ranges
    (https://learn.microsoft.com/azure/storage/common/storage-network-security-ip-address-range)."""
    yield from one_of(args, f"{at}.defaultAction", ("Allow", "Deny"))
    for path, value in args.at(f"{at}.bypass"):
        if not set(re.split(r",\s*", str(value))) <= {"None", "Logging", "Metrics", "AzureServices"}:
            yield Fault(path, f"expected None, or Logging, Metrics and AzureServices with commas; got {shown(value)}")
    for path, value in args.at(f"{at}.ipRules[*].iPAddressOrRange"):
        try:
            net = ipaddress.IPv4Network(value)
        except (ValueError, TypeError):
            yield Fault(path, f"expected an IPv4 address or network, got {shown(value)}")
            continue
        if "/" in str(value) and net.prefixlen > 30:
            yield Fault(path, f"expected a prefix of /30 at most, or the addresses by themselves; got {value}")
        if net.is_private and not net.is_reserved and str(net.network_address).startswith(("10.", "172.", "192.168.")):
            yield Fault(path, f"expected a public address, {value} is private")
    yield from length(args, f"{at}.ipRules", 0, 400)
    yield from length(args, f"{at}.virtualNetworkRules", 0, 400)


@AZURE_NATIVE.kind
class StorageAccount(Regional):
    """Names are global: they are the first part of the account's host names."""

    token = tokens.STORAGE_ACCOUNT
    namespace = "Microsoft.Storage"
    type_name = "storageAccounts"
    name_property = "accountName"
    name_rule = ACCOUNT_RULE
    api_version = API_VERSION
    path = ("resourceGroupName", "accountName")
    # forceNewMap in https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/gen/replacement.go
    replace_on = (*path, "isHnsEnabled", "location")
    autoname = arm.random_name("accountName")
    reshaped = ("identity",)
    unique = ("accountName",)
    unique_scope = "global"
    duplicate_code = "StorageAccountAlreadyTaken"
    changes_on_update = ()
    uses = (
        Use(
            "networkRuleSet.virtualNetworkRules[*].virtualNetworkResourceId",
            tokens.SUBNET,
            "Microsoft.Network/virtualNetworks/subnets",
            same_location=False,
            code="NetworkAclsValidationFailure",
            in_use="",
        ),
        Use(
            "identity.userAssignedIdentities[*]",
            tokens.IDENTITY,
            "Microsoft.ManagedIdentity/userAssignedIdentities",
            same_location=False,
            code="FailedIdentityOperation",
            in_use="",
        ),
    )

    def rules(self, args: Args) -> Iterable[Fault]:
        yield from one_of(args, "sku.name", _SKUS)
        yield from one_of(args, "kind", _KINDS)
        # TLS 1.0 and 1.1 have been refused since 3 February 2026:
        # https://learn.microsoft.com/azure/storage/common/transport-layer-security-configure-migrate-to-tls2
        yield from one_of(args, "minimumTlsVersion", ("TLS1_2", "TLS1_3"))
        yield from one_of(args, "publicNetworkAccess", ("Enabled", "Disabled", "SecuredByPerimeter"))
        yield from one_of(args, "allowedCopyScope", ("PrivateLink", "AAD"))
        yield from one_of(args, "largeFileSharesState", ("Enabled", "Disabled"))
        yield from network_rule_faults(args, "networkRuleSet")
        kind, sku = args.get("kind"), (args.get("sku") or {}).get("name")
        premium = kind in ("BlockBlobStorage", "FileStorage")
        if isinstance(sku, str) and kind is not None and premium != sku.startswith("Premium") and kind != "StorageV2":
            yield Fault("sku.name", f"{sku} does not go with kind {kind}")
        if "accessTier" in args and kind in ("Storage", "FileStorage", "BlockBlobStorage"):
            yield Fault("accessTier", f"is not for accounts of kind {kind}")
        location = args.get("location")
        if isinstance(sku, str) and sku.endswith("ZRS") and isinstance(location, str) and not zones(location):
            yield Fault("sku.name", f"{sku} needs a region with zones, {location} has none")
        if args.get("isHnsEnabled") is not True:
            for key in ("isSftpEnabled", "enableNfsV3"):
                if args.get(key) is True:
                    yield Fault(key, "needs isHnsEnabled")

    def judge(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        subnets = [id for _, id in args.at("networkRuleSet.virtualNetworkRules[*].virtualNetworkResourceId")]
        refuse_without_endpoint(cloud, subnets, ("Microsoft.Storage", "Microsoft.Storage.Global"))
        if old is None:
            refuse_one_more(
                cloud, self.token, self.location_of(args, cloud), "StorageAccounts", ACCOUNTS_MAX,
                "MaxStorageAccountsCountPerSubscriptionExceeded", "storage accounts",
            )  # fmt: skip
            return
        before, after = old["kind"], args["kind"]
        if before != after and (before, after) != ("Storage", "StorageV2"):
            raise CloudError(
                "AccountPropertyCannotBeUpdated",
                "The property 'kind' was specified in the input, but it cannot be updated.",
            )
        flag = [
            (e or {}).get("requireInfrastructureEncryption", False)
            for e in (old.inputs.get("encryption"), args["encryption"])
        ]
        if flag[0] != flag[1]:
            raise CloudError(
                "AccountPropertyCannotBeUpdated",
                "The property 'requireInfrastructureEncryption' was specified in the input, but it cannot be updated.",
            )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        location, name = self.location_of(args, cloud), str(args["accountName"])
        sku = str(args["sku"]["name"])
        hosts = ("blob", "dfs", "file", "queue", "table", "web")
        return {
            **self.common_outputs(args),
            "location": location,
            "provisioningState": "Succeeded",
            **({"identity": shown_identity(args["identity"], cloud, old)} if args["identity"] else {}),
            "sku": {"tier": sku.split("_", 1)[0], **args["sku"]},
            "primaryLocation": location,
            "statusOfPrimary": "available",
            "creationTime": old["creationTime"] if old else now(),
            "primaryEndpoints": {
                host: f"https://{name}.{'z13.web' if host == 'web' else host}.core.windows.net/" for host in hosts
            },
            # https://learn.microsoft.com/rest/api/storagerp/storage-accounts/create
            "minimumTlsVersion": args.get("minimumTlsVersion", "TLS1_2"),
            "enableHttpsTrafficOnly": args.get("enableHttpsTrafficOnly", True),
            "allowBlobPublicAccess": args.get("allowBlobPublicAccess", False),
            "allowSharedKeyAccess": args.get("allowSharedKeyAccess", True),
            "publicNetworkAccess": args.get("publicNetworkAccess", "Enabled"),
            "accessTier": args.get("accessTier", "Hot"),
            "networkRuleSet": {
                "bypass": "AzureServices", "defaultAction": "Allow", "ipRules": [], "virtualNetworkRules": [],
                **(args["networkRuleSet"] or {}),
            },
            "encryption": {
                "keySource": "Microsoft.Storage",
                "services": {kind: {"enabled": True, "keyType": "Account"} for kind in ("blob", "file")},
                **(args["encryption"] or {}),
            },
        }  # fmt: skip


class InAccount(Regional):
    """What lies in an account: it has neither a location nor tags of its own."""

    namespace = "Microsoft.Storage"
    api_version = API_VERSION
    located = False
    taggable = False

    def check(self, args: Args) -> Iterable[Fault]:
        yield from matches(args, "accountName", *ACCOUNT_RULE)
        yield from super().check(args)

    def check_parent(self, args: Args, cloud: Cloud) -> None:
        need_account(cloud, args)


def retention_faults(args: Args, at: str) -> Iterator[Fault]:
    """Soft delete: 1 to 365 days, named exactly when it is on
    (https://learn.microsoft.com/rest/api/storagerp/blob-services/set-service-properties)."""
    yield from between(args, f"{at}.days", 1, 365, "days")
    for path, policy in args.at(at):
        if isinstance(policy, dict) and policy.get("enabled") is True and policy.get("days") is None:
            yield Fault(f"{path}.days", "is required when the policy is enabled")


@AZURE_NATIVE.kind
class BlobServiceProperties(InAccount):
    """The settings of an account's blob service, which is there from the start: creating sets them, deleting leaves
    them
    (https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/resources/customresources/custom_storage_blobs.go).
    """

    token = tokens.BLOB_SERVICE
    type_name = "blobServices"
    name_property = "blobServicesName"
    name_rule = (r"default", "default, the only one")
    path = ("resourceGroupName", "accountName", "blobServicesName")
    replace_on = path
    changes_on_update = ()

    def rules(self, args: Args) -> Iterable[Fault]:
        if args["blobServicesName"] is None:
            yield Fault("blobServicesName", "is required: default")
        yield from retention_faults(args, "deleteRetentionPolicy")
        yield from retention_faults(args, "containerDeleteRetentionPolicy")
        yield from between(args, "restorePolicy.days", 1, 364, "days")
        yield from between(args, "changeFeed.retentionInDays", 1, 146_000, "days")
        restore = args.get("restorePolicy") or {}
        if restore.get("enabled") is True:
            # https://learn.microsoft.com/azure/storage/blobs/point-in-time-restore-overview
            feed, kept = args["changeFeed"], args["deleteRetentionPolicy"]
            for key, on in (
                ("isVersioningEnabled", args["isVersioningEnabled"]),
                ("changeFeed.enabled", feed.get("enabled") if isinstance(feed, dict) else feed),
                ("deleteRetentionPolicy.enabled", kept.get("enabled") if isinstance(kept, dict) else kept),
            ):
                if on is not UNKNOWN and on is not True:
                    yield Fault(key, "has to be on for restorePolicy")
            days = kept.get("days") if isinstance(kept, dict) else None
            if isinstance(days, int) and isinstance(restore.get("days"), int) and days <= restore["days"]:
                yield Fault("restorePolicy.days", f"expected fewer than the {days} days of deleteRetentionPolicy")

    def segments(self, args: Args) -> list[tuple[str, str]]:
        return [("storageAccounts", str(args["accountName"])), ("blobServices", str(args["blobServicesName"]))]

    def judge(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        account = need_account(cloud, args)
        if account["isHnsEnabled"] and args["isVersioningEnabled"]:
            # https://learn.microsoft.com/azure/storage/blobs/storage-feature-support-in-storage-accounts
            raise CloudError(
                "FeatureNotSupportedForAccount",
                "Blob versioning is not supported for accounts with hierarchical namespace.",
            )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        off: dict[str, Any] = {"enabled": False}
        return {
            **self.common_outputs(args),
            "sku": need_account(cloud, args)["sku"],
            "cors": args["cors"] or {"corsRules": []},
            "deleteRetentionPolicy": {"allowPermanentDelete": False, **(args["deleteRetentionPolicy"] or off)},
            "isVersioningEnabled": args.get("isVersioningEnabled", False),
        }

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        """The containers stay: the service itself cannot be deleted."""


@AZURE_NATIVE.kind
class BlobContainer(InAccount):
    """https://learn.microsoft.com/rest/api/storagerp/blob-containers/create"""

    token = tokens.CONTAINER
    type_name = "containers"
    name_property = "containerName"
    name_rule = CONTAINER_RULE
    path = ("resourceGroupName", "accountName", "containerName")
    replace_on = path
    autoname = arm.random_name("containerName")

    def rules(self, args: Args) -> Iterable[Fault]:
        yield from one_of(args, "publicAccess", ("None", "Blob", "Container"))
        for path, metadata in args.at("metadata"):
            for key in metadata if isinstance(metadata, dict) else ():
                if not _METADATA_KEY.fullmatch(key):
                    yield Fault(path, f"expected names like those of C#, got {shown(key)}")

    def segments(self, args: Args) -> list[tuple[str, str]]:
        return [
            ("storageAccounts", str(args["accountName"])),
            ("blobServices", "default"),
            ("containers", str(args["containerName"])),
        ]

    def judge(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        account = need_account(cloud, args)
        if args.get("publicAccess", "None") != "None" and not account["allowBlobPublicAccess"]:
            raise CloudError("PublicAccessNotPermitted", "Public access is not permitted on this storage account.")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            **self.common_outputs(args),
            "etag": f'"0x{uuid.uuid4().hex[:15].upper()}"',
            "publicAccess": args.get("publicAccess", "None"),
            "leaseState": "Available",
            "leaseStatus": "Unlocked",
            "lastModifiedTime": now(),
            "defaultEncryptionScope": args.get("defaultEncryptionScope", "$account-encryption-key"),
            "denyEncryptionScopeOverride": args.get("denyEncryptionScopeOverride", False),
        }

    changes_on_update = ("etag", "lastModifiedTime")


@AZURE_NATIVE.kind
class Blob(InAccount):
    """A file in a container, written through the data plane with the account's key
    (https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/resources/customresources/custom_storage.go):
    an account without shared keys refuses it."""

    token = tokens.BLOB
    type_name = "blobs"
    name_property = "blobName"
    name_rule = (r"(?s:[^\\]{1,1024})", "1 to 1,024 characters without a backslash")
    path = ("resourceGroupName", "accountName", "containerName", "blobName")
    # newBlob in the source above: all but the content settings are for creation.
    replace_on = (*path, "contentMd5", "source", "type")
    autoname = arm.random_name("blobName")
    changes_on_update = ()

    def rules(self, args: Args) -> Iterable[Fault]:
        yield from matches(args, "containerName", *CONTAINER_RULE)
        yield from one_of(args, "accessTier", ("Hot", "Cool", "Archive"))
        if args.get("type") == "Append" and "source" in args:
            yield Fault("source", "is not for append blobs")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        container = self._container_id(args, cloud)
        return f"{container}/blobs/{args['blobName']}"

    @staticmethod
    def _container_id(args: Args, cloud: Cloud) -> str:
        return f"{need_account(cloud, args).id}/blobServices/default/containers/{args['containerName']}"

    def check_parent(self, args: Args, cloud: Cloud) -> None:
        account = need_account(cloud, args)
        if arm.find_by_id(cloud, tokens.CONTAINER, self._container_id(args, cloud)) is None:
            raise CloudError("ContainerNotFound", "The specified container does not exist.")
        if account["allowSharedKeyAccess"] is False:
            raise CloudError(
                "KeyBasedAuthenticationNotPermitted",
                "Key based authentication is not permitted on this storage account.",
            )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        account = need_account(cloud, args)
        return {
            **{key: args[key] for key in self.path},
            "name": args["blobName"],
            "type": args.get("type", "Block"),
            "contentType": args.get("contentType", "application/octet-stream"),
            "accessTier": args.get("accessTier", "Hot"),
            "url": f"{account['primaryEndpoints']['blob']}{args['containerName']}/{args['blobName']}",
        }
