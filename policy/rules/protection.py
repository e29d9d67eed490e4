"""What cannot be made again is protected: a replace or a delete of it fails the preview."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Final

from pydantic import Field

from cost.plan.preview import Resource
from infra.sections import Listed
from policy.findings import Finding, Policy, Settings, get, yes

STATEFUL: Final = {
    "aws:autoscaling/group:Group": "nodes that serve",
    "aws:dynamodb/table:Table": "data",
    "aws:ebs/volume:Volume": "data",
    "aws:efs/fileSystem:FileSystem": "data",
    "aws:kms/key:Key": "whatever is encrypted with it",
    "aws:rds/cluster:Cluster": "data",
    "aws:rds/instance:Instance": "data",
    "aws:route53/zone:Zone": "names, and the name servers that a registrar knows",
    "aws:s3/bucket:Bucket": "objects",
    "aws:secretsmanager/secret:Secret": "secrets that somebody pushed",
    "azure-native:compute:VirtualMachineScaleSet": "nodes that serve",
    "azure-native:dns:Zone": "names, and the name servers that a registrar knows",
    "azure-native:keyvault:Vault": "secrets that somebody pushed",
    "azure-native:resources:ResourceGroup": "everything in it",
    "azure-native:storage:StorageAccount": "blobs",
    "cloudflare:index/zone:Zone": "names, and the name servers that a registrar knows",
    "gcp:compute/regionInstanceGroupManager:RegionInstanceGroupManager": "nodes that serve",
    "gcp:dns/managedZone:ManagedZone": "names, and the name servers that a registrar knows",
    "gcp:kms/cryptoKey:CryptoKey": "whatever is encrypted with it",
    "gcp:secretmanager/secret:Secret": "secrets that somebody pushed",
    "gcp:sql/databaseInstance:DatabaseInstance": "data",
    "gcp:storage/bucket:Bucket": "objects",
    "tencentcloud:As/scalingGroup:ScalingGroup": "nodes that serve",
    "tencentcloud:Cos/bucket:Bucket": "objects",
    "tencentcloud:Ssm/secret:Secret": "secrets that somebody pushed",
}
"""Type -> what is lost with it."""
EMPTYING: Final = {
    "aws:s3/bucket:Bucket": "forceDestroy",
    "aws:route53/zone:Zone": "forceDestroy",
    "gcp:storage/bucket:Bucket": "forceDestroy",
    "tencentcloud:Cos/bucket:Bucket": "forceClean",
}
"""Type -> the property by which it is deleted with all that is in it."""
RETENTION: Final = 7
"""Days. A vault that is deleted can be taken back, with its secrets, for 7 to 90 days
(https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview)."""


class Protection(Settings):
    """What has to be protected."""

    types: Listed[str] = Field(default=(), description="type tokens besides the known ones")
    rebuilt: Listed[str] = Field(
        default=("*-scaling-*",),
        description="patterns of names whose contents the stack makes anew, such as the fallback function's own store",
    )


def _each(resource: Resource, settings: Protection) -> Iterator[Finding]:
    if resource.type not in STATEFUL and resource.type not in settings.types:
        return
    if any(fnmatchcase(resource.name, pattern) for pattern in settings.rebuilt):
        return
    lost = STATEFUL.get(resource.type, "what is in it")
    if not resource.protected and not _kept(resource):
        yield Finding(resource.urn, f"protect = false: allowed is true; with it go {lost}")
    key = EMPTYING.get(resource.type)
    if key is not None and yes(get(resource, key)):
        yield Finding(resource.urn, f"{key} = true: allowed is false; with it go {lost}")


def _kept(resource: Resource) -> bool:
    """Whether the cloud itself keeps what is deleted."""
    if resource.type != "azure-native:keyvault:Vault":
        return False
    days = get(resource, "properties", "softDeleteRetentionInDays")
    lasts = days is None or (isinstance(days, int | float) and days >= RETENTION)
    return get(resource, "properties", "enableSoftDelete") is not False and lasts


POLICY: Final = Policy(
    "deletion-protection",
    "Deletion protection",
    "Pools, stores, secrets and zones are protected: replacing or deleting them fails the preview.",
    Protection,
    each=_each,
)
