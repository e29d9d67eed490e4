"""Machine images of the stand-in AWS: the baked ones of the account, what AWS and Canonical publish, and what stacks
made."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import yaml

from sandbox.aws import tokens
from sandbox.aws.formats import partition
from sandbox.kinds import Cloud, Resource

_DATA: Final = Path(__file__).with_name("data") / "images.yaml"


@dataclass(frozen=True, slots=True)
class MachineImage:
    """One image in one region, as DescribeImages tells of it. created: ISO 8601 with milliseconds."""

    id: str
    name: str
    region: str
    owner_id: str
    created: str
    description: str
    architecture: str
    root_device: str
    root_gib: int
    owner_alias: str = ""
    public: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)


@lru_cache(maxsize=1)
def _data() -> Mapping[str, Any]:
    """Read once, on first use: the plugin must start fast."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with _DATA.open(encoding="utf-8") as file:
        data: Mapping[str, Any] = yaml.load(file, loader)
    return data


def image_id(name: str, region: str) -> str:
    """The id of a listed image in a region: always the same one."""
    return f"ami-0{hashlib.sha256(f'{region}/{name}'.encode()).hexdigest()[:16]}"


def listed(region: str, account: str) -> list[MachineImage]:
    """The images of the data file, as they stand in one region of one account."""
    data = _data()
    return [
        MachineImage(
            id=image_id(entry["name"], region),
            name=entry["name"],
            region=region,
            owner_id=account if entry["owner"] == "self" else data["owners"][entry["owner"]],
            created=entry["created"],
            description=entry["description"],
            architecture=entry["architecture"],
            root_device=entry["rootDeviceName"],
            root_gib=entry["rootGib"],
            owner_alias=entry.get("ownerAlias", ""),
            public=entry.get("public", False),
            tags=entry.get("tags", {}),
        )
        for entry in data["images"]
    ]


def images(cloud: Cloud) -> list[MachineImage]:
    """All images that this call's region knows: the listed ones and those that stacks made."""
    made = [r for token in tokens.IMAGES for r in cloud.all(token, region=cloud.region)]
    return [*listed(cloud.region, cloud.account), *map(_of_resource, made)]


def _of_resource(resource: Resource) -> MachineImage:
    created = resource.created_at or "2026-01-01T00:00:00"
    return MachineImage(
        id=resource.id,
        name=resource["name"] or "",
        region=resource.region,
        owner_id=resource.account,
        created=f"{created[:19]}.000Z",
        description=resource["description"] or "",
        architecture=resource["architecture"] or "x86_64",
        root_device=resource["rootDeviceName"] or "/dev/sda1",
        root_gib=8,
        tags=resource["tags"] or {},
    )


def find_image(id: str, cloud: Cloud) -> MachineImage | None:
    """The image of that id in this call's region, None when there is none."""
    return next((image for image in images(cloud) if image.id == id), None)


# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html
FILTERS: Final[Mapping[str, Callable[[MachineImage], str]]] = {
    "architecture": lambda i: i.architecture,
    "block-device-mapping.delete-on-termination": lambda i: "true",
    "block-device-mapping.device-name": lambda i: i.root_device,
    "block-device-mapping.encrypted": lambda i: "false",
    "block-device-mapping.snapshot-id": lambda i: snapshot_id(i),
    "block-device-mapping.volume-size": lambda i: str(i.root_gib),
    "block-device-mapping.volume-type": lambda i: "gp3",
    "boot-mode": lambda i: boot_mode(i),
    "creation-date": lambda i: i.created,
    "description": lambda i: i.description,
    "ena-support": lambda i: "true",
    "hypervisor": lambda i: "xen",
    "image-id": lambda i: i.id,
    "image-type": lambda i: "machine",
    "imds-support": lambda i: "v2.0",
    "is-public": lambda i: str(i.public).lower(),
    "manifest-location": lambda i: location(i),
    "name": lambda i: i.name,
    "owner-alias": lambda i: i.owner_alias,
    "owner-id": lambda i: i.owner_id,
    "platform-details": lambda i: "Linux/UNIX",
    "root-device-name": lambda i: i.root_device,
    "root-device-type": lambda i: "ebs",
    "state": lambda i: "available",
    "usage-operation": lambda i: "RunInstances",
    "virtualization-type": lambda i: "hvm",
}


def snapshot_id(image: MachineImage) -> str:
    return f"snap-0{hashlib.sha256(image.id.encode()).hexdigest()[:16]}"


def boot_mode(image: MachineImage) -> str:
    return "uefi" if image.architecture == "arm64" else "uefi-preferred"


def location(image: MachineImage) -> str:
    return f"{image.owner_alias or image.owner_id}/{image.name}"


def matching(found: Iterable[MachineImage], name: str, values: Iterable[str]) -> list[MachineImage]:
    """The images for which a filter holds: any of the values, with the wildcards `*` and `?`. Raises KeyError for a
    filter that EC2 does not have."""
    wanted = list(values)

    def hits(value: str) -> bool:
        return any(fnmatch.fnmatchcase(value, pattern.replace("[", "[[]")) for pattern in wanted)

    if name.startswith("tag:"):
        key = name.removeprefix("tag:")
        return [i for i in found if key in i.tags and hits(str(i.tags[key]))]
    if name == "tag-key":
        return [i for i in found if any(hits(key) for key in i.tags)]
    read = FILTERS[name]
    return [i for i in found if hits(read(i))]


def described(image: MachineImage) -> dict[str, Any]:
    """The image as the provider's data source returns it."""
    mapping = {
        "deviceName": image.root_device,
        "ebs": {
            "delete_on_termination": "true",
            "encrypted": "false",
            "iops": "3000",
            "snapshot_id": snapshot_id(image),
            "throughput": "125",
            "volume_size": str(image.root_gib),
            "volume_type": "gp3",
        },
        "noDevice": "",
        "virtualName": "",
    }
    return {
        "id": image.id,
        "imageId": image.id,
        "arn": f"arn:{partition(image.region)}:ec2:{image.region}::image/{image.id}",
        "architecture": image.architecture,
        "blockDeviceMappings": [mapping],
        "bootMode": boot_mode(image),
        "creationDate": image.created,
        "deprecationTime": "",
        "description": image.description,
        "enaSupport": True,
        "hypervisor": "xen",
        "imageLocation": location(image),
        "imageOwnerAlias": image.owner_alias,
        "imageType": "machine",
        "imdsSupport": "v2.0",
        "kernelId": "",
        "lastLaunchedTime": "",
        "name": image.name,
        "ownerId": image.owner_id,
        "platform": "",
        "platformDetails": "Linux/UNIX",
        "productCodes": [],
        "public": image.public,
        "ramdiskId": "",
        "rootDeviceName": image.root_device,
        "rootDeviceType": "ebs",
        "rootSnapshotId": snapshot_id(image),
        "sriovNetSupport": "simple",
        "state": "available",
        "stateReason": {"code": "UNSET", "message": "UNSET"},
        "tags": dict(image.tags),
        "tpmSupport": "",
        "usageOperation": "RunInstances",
        "virtualizationType": "hvm",
    }
