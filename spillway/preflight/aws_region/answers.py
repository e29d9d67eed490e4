"""Parts of AWS's answers as typed facts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from spillway.preflight.aws_calls import one_line
from spillway.preflight.aws_region.facts import MachineImage, Quota
from spillway.preflight.model import Unanswered
from spillway.recovery.model import STACK_TAG

Json = Mapping[str, Any]


def stack_of(tags: Any) -> str:
    return next((str(tag.get("Value", "")) for tag in tags or [] if tag.get("Key") == STACK_TAG), "")


def quota_of(service: str, item: Json) -> Quota:
    return Quota(service, item["QuotaCode"], item["QuotaName"], float(item["Value"]), item.get("Adjustable", True))


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Unanswered(f"ec2: not a time: {one_line(text)}") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def image_of(item: Json) -> MachineImage:
    root = item.get("RootDeviceName", "")
    sizes = [
        mapping.get("Ebs", {}).get("VolumeSize", 0)
        for mapping in item.get("BlockDeviceMappings") or []
        if mapping.get("DeviceName") == root
    ]
    return MachineImage(
        id=item["ImageId"],
        name=item.get("Name", ""),
        owner=item.get("OwnerId", ""),
        state=item.get("State", ""),
        architecture=item.get("Architecture", ""),
        root_device=root,
        root_type=item.get("RootDeviceType", ""),
        root_gib=max(sizes, default=0),
        created=_moment(item.get("CreationDate")) or datetime.now(UTC),
        deprecated=_moment(item.get("DeprecationTime")),
        ena=bool(item.get("EnaSupport")),
    )
