"""Machine images of the stand-in Google Cloud: the baked ones of the project, and Canonical's."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from sandbox.gcp.links import self_link
from sandbox.kinds import Cloud

_DATA: Final = Path(__file__).with_name("data") / "images.yaml"
_PATH: Final = re.compile(
    r"(?:https://(?:www|compute)\.googleapis\.com/compute/(?:v1|beta)/)?"
    r"(?:projects/(?P<project>[^/]+)/)?(?:global/images/)?(?P<family>family/)?(?P<name>[^/]+)"
)


@dataclass(frozen=True, slots=True)
class MachineImage:
    """One image, as `gcloud compute images describe` tells of it."""

    name: str
    project: str
    family: str
    created: str
    description: str
    size_gb: int
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"projects/{self.project}/global/images/{self.name}"

    def outputs(self) -> dict[str, Any]:
        """The data source's view."""
        digits = str(int(hashlib.sha256(self.id.encode()).hexdigest(), 16))[:19]
        return {
            "id": self.id,
            "name": self.name,
            "family": self.family,
            "project": self.project,
            "selfLink": self_link(self.id),
            "imageId": digits,
            "creationTimestamp": self.created,
            "description": self.description,
            "diskSizeGb": self.size_gb,
            "archiveSizeBytes": self.size_gb * 10**8,
            "labels": dict(self.labels),
            "licenses": [],
            "status": "READY",
        }


@lru_cache(maxsize=1)
def _data() -> list[Mapping[str, Any]]:
    """Read once, on first use: the plugin must start fast."""
    import yaml  # a fifth of the time that importing all types takes

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with _DATA.open(encoding="utf-8") as file:
        found: list[Mapping[str, Any]] = yaml.load(file, loader)["images"]
    return found


def images(account: str) -> list[MachineImage]:
    """All images that a project sees, oldest first."""
    found = [
        MachineImage(
            name=row["name"],
            project=account if row["project"] == "self" else row["project"],
            family=row["family"],
            created=row["created"],
            description=row["description"],
            size_gb=row["sizeGb"],
            labels=row.get("labels", {}),
        )
        for row in _data()
    ]
    return sorted(found, key=lambda image: image.created)


def resolve(cloud: Cloud, reference: str, project: str) -> MachineImage | None:
    """The image that a template's `sourceImage` means: by link, by name, or the newest of a family; also
    `project/name` and `project/family`, as the provider takes them
    (https://github.com/hashicorp/terraform-provider-google-beta/blob/main/google-beta/services/compute/image.go)."""
    known = images(cloud.account)
    short = re.fullmatch(r"(?P<project>[^/]+)/(?P<name>[^/]+)", reference)
    if short is not None and short["project"] != "family":
        return _pick(known, short["project"], short["name"], family=None)
    match = _PATH.fullmatch(reference)
    if match is None:
        return None
    family = True if match["family"] else None
    return _pick(known, match["project"] or project, match["name"], family=family)


def _pick(known: list[MachineImage], project: str, name: str, *, family: bool | None) -> MachineImage | None:
    """By name, then the newest of the family; family True: only that."""
    mine = [image for image in known if image.project == project]
    by_name = [image for image in mine if image.name == name] if family is None else []
    return next(iter(by_name or [image for image in reversed(mine) if image.family == name]), None)
