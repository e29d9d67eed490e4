"""Launch configurations: what a scaling group makes machines from."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Final

from sandbox import rules
from sandbox.kinds import Args, Cloud, CloudError, Fault, Ref, Resource
from sandbox.rules import shown
from sandbox.tencentcloud import places, tokens
from sandbox.tencentcloud.api import TencentKind, kept, now, tag_faults
from sandbox.tencentcloud.images import image
from sandbox.tencentcloud.registry import TENCENTCLOUD

INTERNATIONAL: Final = "international-site"
"""Quota by which weather says which site the account is of: 1 the international one (the default), 0 the China site."""
USER_DATA_MAX: Final = 16_384
TYPES_MAX: Final = 10
DATA_DISKS_MAX: Final = 11
_DISKS: Final = (
    "LOCAL_BASIC", "LOCAL_SSD", "CLOUD_BASIC", "CLOUD_PREMIUM", "CLOUD_SSD", "CLOUD_HSSD", "CLOUD_TSSD", "CLOUD_BSSD",
    "LOCAL_NVME",
)  # fmt: skip
_CHARGES: Final = ("PREPAID", "POSTPAID_BY_HOUR", "SPOTPAID", "CDCPAID")
_TRAFFIC: Final = (
    "BANDWIDTH_PREPAID", "TRAFFIC_POSTPAID_BY_HOUR", "BANDWIDTH_POSTPAID_BY_HOUR", "BANDWIDTH_PACKAGE",
)  # fmt: skip


@TENCENTCLOUD.kind
class Configuration(TencentKind):
    """as/resource_tc_as_scaling_config.go; nothing in it replaces it."""

    token = tokens.CONFIGURATION
    id_prefix = "asc-"
    named = "configurationName"
    unique = ("configurationName",)
    duplicate_code = "InvalidParameterValue.LaunchConfigurationNameDuplicated"
    references = (
        Ref("securityGroupIds[*]", (tokens.SECURITY_GROUP,)),
        Ref("camRoleName", (tokens.ROLE,), by="name", blocks_delete=False, code="InvalidParameterValue.CamRoleName"),
    )
    defaults: ClassVar[dict[str, Any]] = {
        "systemDiskType": "CLOUD_PREMIUM", "systemDiskSize": 50, "diskTypePolicy": "ORIGINAL", "projectId": 0,
        "internetChargeType": "TRAFFIC_POSTPAID_BY_HOUR", "internetMaxBandwidthOut": 0,
        "enhancedSecurityService": True, "enhancedMonitorService": True,
    }  # fmt: skip
    secret_outputs = ("password",)

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from tag_faults(args, "instanceTags")
        yield from rules.length(args, "instanceTypes", 1, TYPES_MAX)
        for path, name in args.at("instanceTypes[*]"):
            if str(name).split(".")[0] in places.gpu_families() and not places.is_gpu_type(str(name)):
                yield Fault(path, f"unknown instance type {shown(name)}")
        if "imageId" not in args and "imageFamily" not in args:
            yield Fault("imageId", "one of imageId, imageFamily must be set")
        yield from rules.matches(args, "imageId", r"img-[a-z0-9]{8}", "an image id such as img-9qrfy1xt")
        yield from rules.one_of(args, "systemDiskType", _DISKS)
        yield from rules.one_of(args, "diskTypePolicy", ("ORIGINAL", "AUTOMATIC"))
        yield from rules.between(args, "systemDiskSize", 20, 2048, "GiB")
        yield from rules.one_of(args, "dataDisks[*].diskType", _DISKS)
        yield from rules.length(args, "dataDisks", 0, DATA_DISKS_MAX)
        yield from rules.between(args, "dataDisks[*].diskSize", 10, 32_000, "GiB")
        for path, size in args.at("dataDisks[*].diskSize"):
            if isinstance(size, int) and size % 10:
                yield Fault(path, f"expected a multiple of 10 GiB, got {size}")
        yield from rules.one_of(args, "internetChargeType", _TRAFFIC)
        yield from rules.one_of(args, "ipv4AddressType", ("WanIP", "HighQualityEIP", "AntiDDoSEIP"))
        yield from rules.conflicting(args, "keepImageLogin", "password")
        yield from rules.conflicting(args, "keepImageLogin", "keyIds")
        yield from rules.one_of(args, "instanceNameSettings.instanceNameStyle", ("ORIGINAL", "UNIQUE"))
        yield from self._market(args)
        yield from self._user_data(args)

    @staticmethod
    def _market(args: Args) -> Iterator[Fault]:
        yield from rules.one_of(args, "instanceChargeType", _CHARGES)
        yield from rules.one_of(args, "spotInstanceType", ("one-time",))
        charge = args.get("instanceChargeType", "POSTPAID_BY_HOUR")
        if args.is_unknown("instanceChargeType"):
            return
        for key in ("spotInstanceType", "spotMaxPrice"):
            if charge == "SPOTPAID" and key not in args:
                yield Fault(key, "is required with instanceChargeType SPOTPAID")
            if charge != "SPOTPAID" and key in args:
                yield Fault(key, "goes with instanceChargeType SPOTPAID only")
        if charge == "PREPAID" and "instanceChargeTypePrepaidPeriod" not in args:
            yield Fault("instanceChargeTypePrepaidPeriod", "is required with instanceChargeType PREPAID")

    @staticmethod
    def _user_data(args: Args) -> Iterator[Fault]:
        for path, text in args.at("userData"):
            try:
                size = len(base64.b64decode(str(text), validate=True))
            except (binascii.Error, ValueError):
                yield Fault(path, "expected base64")
                continue
            if size > USER_DATA_MAX:
                yield Fault(path, f"expected at most {USER_DATA_MAX:,} bytes before encoding, got {size:,}")

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        charge = args.get("instanceChargeType", "POSTPAID_BY_HOUR")
        if charge in ("SPOTPAID", "PREPAID") and cloud.quota(INTERNATIONAL, 1):
            # instance_charge_type of cvm/resource_tc_instance.go: TencentCloud International only supports
            # POSTPAID_BY_HOUR and CDHPAID.
            why = f"{charge} is not supported on the international site; POSTPAID_BY_HOUR is."
            raise CloudError("InvalidParameterValue.InstanceChargeType", why)
        wanted = args.get("imageId")
        found = image(wanted) if wanted else None
        if wanted and found is None:
            raise CloudError("InvalidImageId.NotFound", f"The image {wanted} does not exist in {cloud.region}.")
        if found is None:
            return
        if found.state != "NORMAL":
            raise CloudError("InvalidImageState", f"The image {found.id} is {found.state}.")
        if found.size_gb > args["systemDiskSize"]:
            why = f"The image {found.id} needs {found.size_gb} GiB, the system disk has {args['systemDiskSize']}."
            raise CloudError("InvalidParameterValue.SystemDiskSize", why)
        if args.get("keepImageLogin") and found.type == "PUBLIC_IMAGE":
            # LoginSettings.KeepImageLogin: custom, shared and imported images only
            raise CloudError("InvalidParameterValue.KeepImageLogin", "A public image has no login to keep.")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"createTime": kept(old, "createTime", now()), "status": "NORMAL"}
