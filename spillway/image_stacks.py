"""What the stack files want of images: who bakes for which regions and accounts, and which image each of them names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from images.bake import Bake, pins
from images.manifest import Wanted
from images.node import Cloud
from infra.config import load_all
from infra.faults import ConfigError, listed
from spillway.errors import SpillwayError

if TYPE_CHECKING:
    from infra.config import RegionConfig

EXAMPLES: dict[Cloud, tuple[str, str, str]] = {
    "aws": ("000000000000", "us-east-1", ""),
    "azure": ("00000000-0000-0000-0000-000000000000", "eastus", ""),
    "gcp": ("example-project", "us-central1", "us-central1-a"),
    "tencent": ("100000000000", "ap-guangzhou", "ap-guangzhou-6"),
}
"""Account, region and zone for a rendering where no stack file names any; `build` takes none of these."""
USUAL: Final = Path("stacks")
VERSION: Final = re.compile(r"(0|[1-9][0-9]{0,8})(\.(0|[1-9][0-9]{0,8})){2}")
"""The only form that an Azure gallery takes (https://learn.microsoft.com/azure/virtual-machines/azure-compute-gallery),
so that a version is the same on every cloud."""


def regions(stacks: Path) -> Mapping[str, RegionConfig]:
    """Every region stack of the folder. Raises SpillwayError with the faults of all of them."""
    if not stacks.is_dir():
        raise SpillwayError(f"{stacks}: there is no such folder; --stacks names the one with the stack files")
    try:
        return load_all(stacks)
    except ConfigError as error:
        raise SpillwayError(*error.lines) from None


def regions_if_any(stacks: Path | None) -> Mapping[str, RegionConfig]:
    """Like regions(), and none where nobody named a folder and the usual one is not there."""
    if stacks is None and not USUAL.is_dir():
        return {}
    return regions(stacks or USUAL)


def wanted(configs: Mapping[str, RegionConfig]) -> list[Wanted]:
    """The image of every stack file, by stack."""
    return [
        Wanted(
            stack,
            one.cloud,
            one.region,
            _account(one),
            family=one.image.family,
            version=one.image.version,
            id=one.image.id,
            newest=one.image.newest,
        )
        for stack, one in sorted(configs.items())
    ]


def bake_of(
    cloud: Cloud,
    configs: Mapping[str, RegionConfig],
    *,
    account: str | None = None,
    version: str | None = None,
    example: bool = False,
) -> Bake:
    """One image of a cloud, for the regions of its stack files that take images by family and version.

    account: needed when stack files name several: an image belongs to one. version: instead of the pinned one. example:
    a cloud without stack files is rendered with made-up names. Raises SpillwayError.
    """
    family = pins()["image"]["family"]
    version = pins()["image"]["version"] if version is None else version
    if not VERSION.fullmatch(version):
        raise SpillwayError(
            f"--image-version {version}: expected three numbers such as 2026.11.2, as galleries have them"
        )
    mine = [one for _, one in sorted(configs.items()) if one.cloud == cloud and one.image.id is None]
    if not mine and example:
        owner, region, zone = EXAMPLES[cloud]
        name = _image_name(cloud, family, version)
        where = ("spillway", "spillway-images") if cloud == "azure" else ("", "")
        return Bake(cloud, family, version, (region,), account or owner, name, zone, *where)
    accounts = list(dict.fromkeys(_account(one) for one in mine))
    if account is None and len(accounts) > 1:
        raise SpillwayError(f"{cloud}: stack files name the accounts {listed(accounts)}; choose one with --account")
    mine = [one for one in mine if account in (None, _account(one))]
    if not mine:
        of = f" of account {account}" if account else ""
        raise SpillwayError(f"{cloud}: no stack file{of} takes an image by family, so there is no region to bake for")
    families = {one.image.family for one in mine} - {family}
    if families:
        raise SpillwayError(
            f"{cloud}: stack files want the family {listed(sorted(map(str, families)))}; this source bakes {family}"
        )
    gallery, resource_group = _gallery(mine)
    return Bake(
        cloud,
        family,
        version,
        tuple(dict.fromkeys(one.region for one in mine)),
        account or accounts[0],
        _image_name(cloud, family, version),
        _zone(cloud, mine),
        gallery,
        resource_group,
        replicas=max(1, -(-max(one.pools.max for one in mine) // 20)) if cloud == "azure" else 1,
    )


def _account(one: RegionConfig) -> str:
    """Where the stack looks for its image: on Google Cloud another project may hold it."""
    return getattr(one.image, "project", None) or one.account


def _zone(cloud: Cloud, mine: Iterable[RegionConfig]) -> str:
    first = next(iter(mine))
    return (first.network.zones or ("",))[0] if cloud in ("gcp", "tencent") else ""


def _gallery(mine: Iterable[RegionConfig]) -> tuple[str, str]:
    found = {(one.image.gallery, one.image.resource_group) for one in mine if one.cloud == "azure"}
    if len(found) > 1:
        raise SpillwayError(
            f"azure: stack files name the galleries {listed(sorted(name for name, _ in found))}, expected one"
        )
    return found.pop() if found else ("", "")


def _image_name(cloud: Cloud, family: str, version: str) -> str:
    try:
        if cloud == "gcp":
            from infra.gcp import names

            return names.image_name(family, version)
        if cloud == "tencent":
            from infra.tencent import names as tencent

            return tencent.image_name(family, version)
    except ValueError as error:
        raise SpillwayError(f"--image-version {version}: {error}") from None
    return f"{family}-{version}"
