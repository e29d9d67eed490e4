"""Buckets and secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, ClassVar, Final

from sandbox import rules
from sandbox.kinds import Args, Cloud, CloudError, Fault, Resource
from sandbox.rules import shown
from sandbox.tencentcloud import tokens
from sandbox.tencentcloud.api import TencentKind, app_id
from sandbox.tencentcloud.registry import TENCENTCLOUD

BUCKET: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?-[0-9]{10}")
"""ValidateCosBucketName in tencentcloud/common/validators.go: at most 60 characters, the APPID at the end."""
BUCKET_MAX: Final = 60
DAYS_MAX: Final = 3650


@TENCENTCLOUD.kind
class Bucket(TencentKind):
    """cos/resource_tc_cos_bucket.go"""

    token = tokens.BUCKET
    named = None
    replace_on = ("bucket", "multiAz", "cdcId", "chdfsOfs")
    unique = ("bucket",)
    unique_scope = "global"
    duplicate_code = "BucketAlreadyExists"
    defaults: ClassVar[dict[str, Any]] = {
        "acl": "private", "versioningEnable": False, "forceClean": False, "accelerationEnable": False,
        "logEnable": False, "multiAz": False,
    }  # fmt: skip
    write_only = ("forceClean",)

    def faults(self, args: Args) -> Iterable[Fault]:
        for path, name in args.at("bucket"):
            if not isinstance(name, str) or len(name) > BUCKET_MAX or not BUCKET.fullmatch(name):
                what = f"up to {BUCKET_MAX} lower-case letters, digits and hyphens that end in -<APPID>"
                yield Fault(path, f"expected {what}, got {shown(name)}")
        yield from rules.one_of(args, "acl", ("private", "public-read", "public-read-write"))
        yield from rules.one_of(args, "encryptionAlgorithm", ("AES256", "KMS", "SM4"))
        if "kmsId" in args and args.get("encryptionAlgorithm") != "KMS":
            yield Fault("kmsId", "goes with encryptionAlgorithm KMS only")
        yield from rules.length(args, "lifecycleRules[*].id", 1, 255)
        for key in (
            "nonCurrentExpiration.nonCurrentDays",
            "expiration.days",
            "abortIncompleteMultipartUpload.daysAfterInitiation",
        ):
            yield from rules.between(args, f"lifecycleRules[*].{key}", 1, DAYS_MAX, "days")
        yield from rules.requires(args, "replicaRole", "replicaRules", "versioningEnable")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return str(args["bucket"])

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        if not str(args["bucket"]).endswith(f"-{app_id(cloud.account)}"):
            raise CloudError("AccessDenied", f"{args['bucket']} does not end in the account's APPID.")
        if old is not None and old["multiAz"] and not args.get("versioningEnable", False):
            raise CloudError("InvalidBucketState", "Versioning of a multi-AZ bucket cannot be disabled.")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"cosBucketUrl": f"{id}.cos.{cloud.region}.myqcloud.com"}


@TENCENTCLOUD.kind
class Secret(TencentKind):
    """ssm/resource_tc_ssm_secret.go: made with a version that the provider deletes at once, so it is empty."""

    token = tokens.SECRET
    named = None
    replace_on = ("secretName", "kmsKeyId")
    unique = ("secretName",)
    duplicate_code = "ResourceInUse.SecretExists"
    defaults: ClassVar[dict[str, Any]] = {"isEnabled": True, "recoveryWindowInDays": 0}
    write_only = ("recoveryWindowInDays",)

    def faults(self, args: Args) -> Iterable[Fault]:
        what = "up to 128 letters, digits, _ and -, a letter or digit first"
        yield from rules.matches(args, "secretName", r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}", what)
        yield from rules.length(args, "description", 0, 2048)
        yield from rules.between(args, "recoveryWindowInDays", 0, 30, "days")
        yield from rules.one_of(args, "secretType", (0, 4))

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return str(args["secretName"])

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            "status": "Enabled" if args.get("isEnabled", True) else "Disabled",
            "kmsKeyId": args.get("kmsKeyId") or "",
            "secretType": args.get("secretType") or 0,
        }
