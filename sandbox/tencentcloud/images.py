"""Machine images of the stand-in Tencent Cloud."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

_DATA: Final = Path(__file__).with_name("data") / "images.yaml"


@dataclass(frozen=True, slots=True)
class MachineImage:
    """One image, as DescribeImages tells of it."""

    id: str
    name: str
    type: str
    os: str
    created: str
    description: str
    size_gb: int
    state: str

    def outputs(self) -> dict[str, Any]:
        """The data source's view."""
        return {
            "imageId": self.id,
            "imageName": self.name,
            "imageType": self.type,
            "imageState": self.state,
            "imageSize": self.size_gb,
            "imageDescription": self.description,
            "imageSource": "CREATE_IMAGE" if self.type == "PRIVATE_IMAGE" else "OFFICIAL",
            "imageCreator": "",
            "osName": self.os,
            "platform": "Ubuntu",
            "architecture": "x86_64",
            "createdTime": self.created,
            "supportCloudInit": True,
            "syncPercent": 100,
            "snapshots": [],
        }


@lru_cache(maxsize=1)
def _data() -> list[Mapping[str, Any]]:
    """Read once, on first use: the plugin must start fast."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with _DATA.open(encoding="utf-8") as file:
        found: list[Mapping[str, Any]] = yaml.load(file, loader)["images"]
    return found


def images() -> list[MachineImage]:
    """All images of a region, newest first, as the API lists them."""
    found = [
        MachineImage(
            id=row["id"],
            name=row["name"],
            type=row["type"],
            os=row["os"],
            created=row["created"],
            description=row["description"],
            size_gb=row["sizeGb"],
            state=row.get("state", "NORMAL"),
        )
        for row in _data()
    ]
    return sorted(found, key=lambda image: image.created, reverse=True)


def image(id: str) -> MachineImage | None:
    return next((one for one in images() if one.id == id), None)
