"""The compute gallery of the stand-in Azure: image definitions and versions, and where they are replicated to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from sandbox.azure_native import arm
from sandbox.azure_native.places import locations, normal
from sandbox.azure_native.registry import AZURE_NATIVE
from sandbox.kinds import Args, Cloud, CloudError

_DATA: Final = Path(__file__).with_name("data") / "images.yaml"
API_VERSION: Final = "2024-03-03"
VERSION_TYPE: Final = "Microsoft.Compute/galleries/images/versions"


@dataclass(frozen=True, slots=True)
class ImageVersion:
    """One version of an image. os_state: Generalized or Specialized. regions: where machines can be made of it."""

    id: str
    image: str
    version: str
    published: str
    size_gib: int
    os_state: str
    generation: str
    regions: tuple[str, ...]
    tags: Mapping[str, str]


@lru_cache(maxsize=1)
def _data() -> Mapping[str, Any]:
    """Read once, on first use: the plugin must start fast."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with _DATA.open(encoding="utf-8") as file:
        data: Mapping[str, Any] = yaml.load(file, loader)
    return data


def _gallery_id(subscription: str) -> str:
    data = _data()
    group = arm.group_id(subscription, data["resourceGroup"])
    return f"{group}/providers/Microsoft.Compute/galleries/{data['gallery']}"


def versions(cloud: Cloud) -> list[ImageVersion]:
    """All image versions of the subscription's gallery."""
    return [
        ImageVersion(
            id=f"{_gallery_id(cloud.account)}/images/{image['name']}/versions/{entry['version']}",
            image=image["name"],
            version=str(entry["version"]),
            published=entry["published"],
            size_gib=entry["sizeGib"],
            os_state=image["osState"],
            generation=image["hyperVGeneration"],
            regions=tuple(locations()) if entry["regions"] == ["*"] else tuple(entry["regions"]),
            tags=entry["tags"],
        )
        for image in _data()["images"]
        for entry in image["versions"]
    ]


def find_version(cloud: Cloud, id: object, location: str | None = None) -> ImageVersion | None:
    """The version that an id names. The id of an image alone, or with `latest`, means the newest version that is
    replicated to the region (https://learn.microsoft.com/azure/virtual-machines/azure-compute-gallery)."""
    text = str(id).lower().removesuffix("/versions/latest")
    listed = versions(cloud)
    exact = next((v for v in listed if arm.same(v.id, text)), None)
    if exact is not None:
        return exact
    of_image = [
        v
        for v in listed
        if arm.same(v.id.rsplit("/versions/", 1)[0], text) and (location is None or location in v.regions)
    ]
    return max(of_image, key=lambda v: tuple(map(int, v.version.split("."))), default=None)


def image_for(cloud: Cloud, id: str, location: str) -> ImageVersion | None:
    """What machines in a region would be made of; None for an image that this subscription cannot know. Raises
    CloudError when the image is not there, or not in this region."""
    found = arm.parse_id(id)
    if found is None or found["subscription"] != cloud.account.lower():
        return None
    if not found["type"].startswith("microsoft.compute/galleries/images"):
        return None
    version = find_version(cloud, id, normal(location))
    if version is None:
        raise CloudError(
            "GalleryImageNotFound",
            f"The gallery image {id} is not available in {location} region. Please contact image owner to replicate "
            "to this region, or change your requested region.",
        )
    if normal(location) not in version.regions:
        raise CloudError(
            "GalleryImageNotFound",
            f"The gallery image {version.id} is not available in {location} region. Please contact image owner to "
            "replicate to this region, or change your requested region.",
        )
    return version


def needed(args: Args, *keys: str) -> None:
    """Arguments that the API needs and the SDK's signature leaves open."""
    for key in keys:
        if not args[key]:
            raise CloudError("InvalidParameter", f"Required parameter '{key}' is missing (null).")


def _in_gallery(args: Args) -> bool:
    data = _data()
    return arm.same(args["resourceGroupName"], data["resourceGroup"]) and arm.same(args["galleryName"], data["gallery"])


def _not_found(args: Args, what: str) -> CloudError:
    return CloudError(
        "ResourceNotFound",
        f"The Resource 'Microsoft.Compute/galleries/{args['galleryName']}/{what}' under resource group "
        f"'{args['resourceGroupName']}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
    )


@AZURE_NATIVE.invoke("azure-native:compute:getGalleryImage")
def get_gallery_image(args: Args, cloud: Cloud) -> dict[str, Any]:
    """The definition of an image."""
    needed(args, "resourceGroupName", "galleryName", "galleryImageName")
    for image in _data()["images"] if _in_gallery(args) else ():
        if arm.same(image["name"], args["galleryImageName"]):
            return {
                "id": f"{_gallery_id(cloud.account)}/images/{image['name']}",
                "name": image["name"],
                "type": "Microsoft.Compute/galleries/images",
                "location": _data()["location"],
                "osType": "Linux",
                "osState": image["osState"],
                "hyperVGeneration": image["hyperVGeneration"],
                "architecture": "x64",
                "identifier": {"publisher": "spillway", "offer": "node", "sku": image["name"]},
                "provisioningState": "Succeeded",
                "azureApiVersion": API_VERSION,
            }
    raise _not_found(args, f"images/{args['galleryImageName']}")


@AZURE_NATIVE.invoke("azure-native:compute:getGalleryImageVersion")
def get_gallery_image_version(args: Args, cloud: Cloud) -> dict[str, Any]:
    """One version of an image, by its number."""
    needed(args, "resourceGroupName", "galleryName", "galleryImageName", "galleryImageVersionName")
    name, version = args["galleryImageName"], args["galleryImageVersionName"]
    for found in versions(cloud) if _in_gallery(args) else ():
        if arm.same(found.image, name) and found.version == version:
            return {
                "id": found.id,
                "name": found.version,
                "type": VERSION_TYPE,
                "location": _data()["location"],
                "provisioningState": "Succeeded",
                "tags": dict(found.tags),
                "publishingProfile": {
                    "publishedDate": found.published,
                    "excludeFromLatest": False,
                    "replicaCount": 1,
                    "targetRegions": [
                        {"name": locations()[region], "regionalReplicaCount": 1, "storageAccountType": "Standard_LRS"}
                        for region in found.regions
                    ],
                },
                "storageProfile": {"osDiskImage": {"hostCaching": "ReadOnly", "sizeInGB": found.size_gib}},
                "safetyProfile": {"allowDeletionOfReplicatedLocations": False, "reportedForPolicyViolation": False},
                "azureApiVersion": API_VERSION,
            }
    raise _not_found(args, f"images/{name}/versions/{version}")
