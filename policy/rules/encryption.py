"""Encryption at rest.

S3, EBS snapshots aside, Azure Storage and managed disks, and all of Google Cloud's storage are encrypted whether or not
a program says so; what is looked at is what can be left in clear text, and, where asked for, whose key it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pydantic import Field

from cost.plan.preview import Resource, Unknown
from policy.findings import Finding, Policy, Settings, get, rows, unknown, yes

ALGORITHMS: Final = ("AES256", "aws:kms", "aws:kms:dsse")
OWN_KEY: Final = ("aws:kms", "aws:kms:dsse")


class Encryption(Settings):
    """How far encryption goes."""

    customer_keys: bool = Field(
        default=False, description="true: with keys of one's own (KMS, Key Vault, Cloud KMS), not the cloud's"
    )
    at_host: bool = Field(
        default=False,
        description="true: Azure's machines also encrypt caches and local disks (encryptionAtHost, to be registered for"
        " the subscription first: https://learn.microsoft.com/azure/virtual-machines/disks-enable-host-based-encryption-portal)",
    )


def _each(resource: Resource, settings: Encryption) -> Iterator[Finding]:
    rule = _RULES.get(resource.type)
    if rule is not None:
        yield from rule(resource, settings)


def _flag(
    path: tuple[str, ...], key: tuple[str, ...] | None = None
) -> Callable[[Resource, Encryption], Iterator[Finding]]:
    """A type that has to say that it is encrypted, with the path of its key."""

    def rule(resource: Resource, settings: Encryption) -> Iterator[Finding]:
        told, name = get(resource, *path), ".".join(path)
        if isinstance(told, Unknown):
            yield from unknown(resource, name, told)
        elif not yes(told):
            yield Finding(resource.urn, f"{name} = {_said(told)}: allowed is true")
        if settings.customer_keys and key is not None:
            yield from _keyed(resource, get(resource, *key), ".".join(key))

    return rule


def _key(*path: str) -> Callable[[Resource, Encryption], Iterator[Finding]]:
    """A type that is always encrypted, with the path of its key."""

    def rule(resource: Resource, settings: Encryption) -> Iterator[Finding]:
        if settings.customer_keys:
            yield from _keyed(resource, get(resource, *path), ".".join(path))

    return rule


def _keyed(resource: Resource, told: Any, name: str) -> Iterator[Finding]:
    """A key whose id is not known yet is a key."""
    if not told and not isinstance(told, Unknown):
        yield Finding(resource.urn, f"{name}: missing; encrypted with a key of the cloud's, not one's own")


def _template(resource: Resource, settings: Encryption) -> Iterator[Finding]:
    told = get(resource, "blockDeviceMappings")
    if isinstance(told, Unknown):
        yield from unknown(resource, "blockDeviceMappings", told)
    for row in rows(told):
        # A device of the image that is left alone, or none at all, has no `ebs`.
        if isinstance(disk := row.get("ebs"), Mapping):
            yield from _volume(resource, disk, f"volume {row.get('deviceName', '')}".strip(), settings)


def _instance(resource: Resource, settings: Encryption) -> Iterator[Finding]:
    for name in ("rootBlockDevice", "ebsBlockDevices"):
        for row in rows(get(resource, name)):
            yield from _volume(resource, row, name, settings)


def _volume(resource: Resource, disk: Mapping[str, Any], name: str, settings: Encryption) -> Iterator[Finding]:
    told = disk.get("encrypted")
    if isinstance(told, Unknown):
        yield from unknown(resource, f"{name}: encrypted", told)
    elif not yes(told):
        yield Finding(resource.urn, f"{name}: encrypted = {_said(told)}: allowed is true")
    if settings.customer_keys:
        yield from _keyed(resource, disk.get("kmsKeyId"), f"{name}: kmsKeyId")


def _bucket(resource: Resource, settings: Encryption) -> Iterator[Finding]:
    told = get(resource, "rules")
    if isinstance(told, Unknown):
        yield from unknown(resource, "rules", told)
    for row in rows(told):
        one = row.get("applyServerSideEncryptionByDefault")
        algorithm = one.get("sseAlgorithm") if isinstance(one, Mapping) else None
        allowed = OWN_KEY if settings.customer_keys else ALGORITHMS
        if not isinstance(algorithm, Unknown) and algorithm not in allowed:
            yield Finding(resource.urn, f"sseAlgorithm = {_said(algorithm)}: allowed is {' or '.join(allowed)}")


def _cos(resource: Resource, settings: Encryption) -> Iterator[Finding]:
    told = get(resource, "encryptionAlgorithm")
    allowed = ("KMS", "cos/kms") if settings.customer_keys else ("AES256", "KMS", "cos/kms")
    if isinstance(told, Unknown):
        yield from unknown(resource, "encryptionAlgorithm", told)
    elif told not in allowed:
        yield Finding(resource.urn, f"encryptionAlgorithm = {_said(told)}: allowed is {' or '.join(allowed)}")


def _queue(resource: Resource, settings: Encryption) -> Iterator[Finding]:
    """SQS encrypts by itself unless it is told not to
    (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-server-side-encryption.html)."""
    if get(resource, "sqsManagedSseEnabled") is False and not get(resource, "kmsMasterKeyId"):
        yield Finding(resource.urn, "sqsManagedSseEnabled = false: allowed is true, or a kmsMasterKeyId")
    elif settings.customer_keys:
        yield from _keyed(resource, get(resource, "kmsMasterKeyId"), "kmsMasterKeyId")


def _scale_set(resource: Resource, settings: Encryption) -> Iterator[Finding]:
    if settings.at_host and not yes(get(resource, "virtualMachineProfile", "securityProfile", "encryptionAtHost")):
        yield Finding(resource.urn, "virtualMachineProfile.securityProfile.encryptionAtHost: allowed is true")
    if not settings.customer_keys:
        return
    profile = get(resource, "virtualMachineProfile", "storageProfile")
    if not isinstance(profile, Mapping):
        return
    for name, row in (
        ("osDisk", profile.get("osDisk")),
        *(("dataDisks", row) for row in rows(profile.get("dataDisks"))),
    ):
        disk = row.get("managedDisk") if isinstance(row, Mapping) else None
        if isinstance(disk, Mapping):
            yield from _keyed(resource, disk.get("diskEncryptionSet"), f"{name}: managedDisk.diskEncryptionSet")


def _gcp_template(resource: Resource, settings: Encryption) -> Iterator[Finding]:
    if not settings.customer_keys:
        return
    for row in rows(get(resource, "disks")):
        if row.get("type") != "SCRATCH":  # local disks take Google's keys only
            name = str(row.get("deviceName") or "boot disk")
            yield from _keyed(resource, row.get("diskEncryptionKey"), f"{name}: diskEncryptionKey")


def _said(value: Any) -> str:
    return "nothing" if value is None else str(value).lower()


_RULES: Final[Mapping[str, Callable[[Resource, Encryption], Iterator[Finding]]]] = {
    "aws:ec2/launchTemplate:LaunchTemplate": _template,
    "aws:ec2/instance:Instance": _instance,
    "aws:cloudwatch/logGroup:LogGroup": _key("kmsKeyId"),
    "aws:ebs/snapshotCopy:SnapshotCopy": _flag(("encrypted",), ("kmsKeyId",)),
    "aws:ec2/amiCopy:AmiCopy": _flag(("encrypted",), ("kmsKeyId",)),
    "aws:ebs/volume:Volume": _flag(("encrypted",), ("kmsKeyId",)),
    "aws:efs/fileSystem:FileSystem": _flag(("encrypted",), ("kmsKeyId",)),
    "aws:rds/instance:Instance": _flag(("storageEncrypted",), ("kmsKeyId",)),
    "aws:rds/cluster:Cluster": _flag(("storageEncrypted",), ("kmsKeyId",)),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _bucket,
    "aws:secretsmanager/secret:Secret": _key("kmsKeyId"),
    "aws:sns/topic:Topic": _key("kmsMasterKeyId"),
    "aws:sqs/queue:Queue": _queue,
    "azure-native:compute:VirtualMachineScaleSet": _scale_set,
    "azure-native:storage:StorageAccount": _key("encryption", "keyVaultProperties"),
    "gcp:compute/instanceTemplate:InstanceTemplate": _gcp_template,
    "gcp:compute/regionInstanceTemplate:RegionInstanceTemplate": _gcp_template,
    "gcp:storage/bucket:Bucket": _key("encryption", "defaultKmsKeyName"),
    "tencentcloud:Cos/bucket:Bucket": _cos,
}

POLICY: Final = Policy(
    "encryption-at-rest",
    "Encryption at rest",
    "Whatever stores something stores it encrypted.",
    Encryption,
    each=_each,
)
