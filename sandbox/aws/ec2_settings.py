"""Settings of EC2 and EBS that an account has once per region: what is encrypted, public, or required by default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from sandbox import rules
from sandbox.aws import formats, tokens
from sandbox.aws.registry import AWS
from sandbox.kinds import Args, Cloud, CloudError, Fault, Kind, Ref

ENCRYPTION_BY_DEFAULT: Final = "aws:ebs/encryptionByDefault:EncryptionByDefault"
METADATA_DEFAULTS: Final = "aws:ec2/instanceMetadataDefaults:InstanceMetadataDefaults"


def encrypts_by_default(cloud: Cloud) -> bool:
    """Whether new volumes of this region are encrypted unasked.
    https://docs.aws.amazon.com/ebs/latest/userguide/encryption-by-default.html"""
    return any(setting["enabled"] for setting in cloud.all(ENCRYPTION_BY_DEFAULT, region=cloud.region))


class _Setting(Kind):
    """One per account and region; a second resource for it would fight with the first."""

    taggable = False

    def before_create(self, args: Args, cloud: Cloud) -> None:
        if cloud.all(self.token, region=cloud.region):
            what = self.token.rsplit(":", 1)[-1]
            where = f"a setting of {cloud.region} as a whole"
            raise CloudError("AlreadyExists", f"{what} is {where}, and another resource has it already")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return cloud.region


@AWS.kind
class EncryptionByDefault(_Setting):
    """aws_ebs_encryption_by_default."""

    token = ENCRYPTION_BY_DEFAULT
    defaults: ClassVar[Mapping[str, Any]] = {"enabled": True}


@AWS.kind
class DefaultKmsKey(_Setting):
    """aws_ebs_default_kms_key."""

    token = "aws:ebs/defaultKmsKey:DefaultKmsKey"
    replace_on = ("keyArn",)
    references = (Ref("keyArn", (tokens.KMS_KEY,), by="arn", code="InvalidKmsKeyId", blocks_delete=False),)

    def check(self, args: Args) -> Iterable[Fault]:
        yield from formats.arns(args, "keyArn", "kms", "key/")


@AWS.kind
class SnapshotBlockPublicAccess(_Setting):
    """aws_ebs_snapshot_block_public_access."""

    token = "aws:ebs/snapshotBlockPublicAccess:SnapshotBlockPublicAccess"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from rules.one_of(args, "state", ("block-all-sharing", "block-new-sharing", "unblocked"))


@AWS.kind
class ImageBlockPublicAccess(_Setting):
    """aws_ec2_image_block_public_access."""

    token = "aws:ec2/imageBlockPublicAccess:ImageBlockPublicAccess"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from rules.one_of(args, "state", ("block-new-sharing", "unblocked"))


@AWS.kind
class SerialConsoleAccess(_Setting):
    """aws_ec2_serial_console_access."""

    token = "aws:ec2/serialConsoleAccess:SerialConsoleAccess"
    defaults: ClassVar[Mapping[str, Any]] = {"enabled": True}


@AWS.kind
class InstanceMetadataDefaults(_Setting):
    """aws_ec2_instance_metadata_defaults."""

    token = METADATA_DEFAULTS
    defaults: ClassVar[Mapping[str, Any]] = {
        "httpEndpoint": "no-preference",
        "httpTokens": "no-preference",
        "instanceMetadataTags": "no-preference",
        "httpPutResponseHopLimit": -1,
    }

    def check(self, args: Args) -> Iterable[Fault]:
        yield from rules.one_of(args, "httpEndpoint", ("disabled", "enabled", "no-preference"))
        yield from rules.one_of(args, "httpTokens", ("optional", "required", "no-preference"))
        yield from rules.one_of(args, "instanceMetadataTags", ("disabled", "enabled", "no-preference"))
        for path, value in args.at("httpPutResponseHopLimit"):
            if value != -1 and not 1 <= value <= 64:
                yield Fault(path, f"expected 1 to 64, or -1 for no preference, got {rules.shown(value)}")


def metadata_defaults(cloud: Cloud) -> dict[str, Any]:
    """The account's own preferences for the metadata service in this region; empty where it has none."""
    out: dict[str, Any] = {}
    for setting in cloud.all(METADATA_DEFAULTS, region=cloud.region):
        for key in ("httpEndpoint", "httpTokens", "instanceMetadataTags", "httpPutResponseHopLimit"):
            if setting[key] not in (None, "", "no-preference", -1, 0):
                out[key] = setting[key]
    return out
