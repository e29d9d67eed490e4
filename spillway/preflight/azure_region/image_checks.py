"""The node's image: a version of a gallery image, replicated to the region, and of use."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from spillway.preflight.azure_region.context import AzureContext
from spillway.preflight.azure_region.facts import ImageDefinition, ImageVersion
from spillway.preflight.model import Row, State

SOON: Final = timedelta(days=30)
SHOWN: Final = 5


def wanted_image(context: AzureContext) -> str:
    """The stack file's `image` in a few words."""
    image = context.config.image
    if image.id is not None:
        return "/".join(image.id.split("/")[-6:])
    where = f"{image.gallery}/{image.family}"
    return f"{where}, newest" if image.newest or image.version is None else f"{where} {image.version}"


def image(context: AzureContext) -> Iterator[Row]:
    """There, replicated to the region, bootable, and fresh."""
    spec, wanted, region = context.config.image, wanted_image(context), context.config.region
    definition = context.account.definition(spec) if spec.id is None else None
    if spec.id is None and definition is None:
        action = f"bake it into gallery {spec.gallery} of group {spec.resource_group}, or correct `image`"
        yield Row("image", "image", "failure", "no such image definition", wanted, action)
        return
    found = list(context.account.versions(spec))
    if not found:
        action = "bake it, or name a version that is there"
        yield Row("image", "image", "failure", "no such version", wanted, action)
        return
    here = [version for version in found if region in version.regions and (version.latest or not spec.newest)]
    if not here:
        there = ", ".join(sorted({name for version in found for name in version.regions})[:SHOWN]) or "no region"
        yield Row(
            "image", "image", "failure", f"in {there}", f"replicated to {region}",
            "`up` is refused: add the region to its target regions", commands=_replicate(found[0], region),
        )  # fmt: skip
        return
    chosen = here[0]
    faults = [*_definition_faults(definition), *_faults(context, chosen)]
    if not any(row.state == "failure" for row in faults):
        told = f"{chosen.version}, {_age(context, chosen)}"
        yield Row("image", "image", "ok", told, wanted)
    yield from faults


def _replicate(version: ImageVersion, region: str) -> tuple[str, ...]:
    """https://learn.microsoft.com/cli/azure/sig/image-version#az-sig-image-version-update"""
    return (f"az sig image-version update --ids {version.id} --add publishingProfile.targetRegions name={region}",)


def _age(context: AzureContext, chosen: ImageVersion) -> str:
    if chosen.published is None:
        return "published at an unknown time"
    return f"{max(0, (context.now - chosen.published).days)} days old"


def _definition_faults(definition: ImageDefinition | None) -> Iterator[Row]:
    if definition is None:
        return
    for part, found, needed, action in (
        ("generation", definition.generation, "V2", "the GPU sizes boot generation 2 images only"),
        ("architecture", definition.architecture, "x64", "the sizes are x64 machines"),
        (
            "os-state",
            definition.os_state,
            "Generalized",
            "a specialized one brings its machine's name and keys along",
        ),
    ):
        if found and found != needed:
            yield Row(f"image.{part}", f"image {definition.id.rsplit('/', 1)[-1]}", "failure", found, needed, action)


def _faults(context: AzureContext, chosen: ImageVersion) -> Iterator[Row]:
    def row(part: str, state: State, found: str, needed: str, action: str) -> Row:
        return Row(f"image.{part}", f"image {chosen.version}", state, found, needed, action)

    if chosen.state != "Succeeded":
        action = "wait until it is" if chosen.state in ("Creating", "Updating") else "bake it anew"
        yield row("state", "failure", chosen.state, "Succeeded", action)
    if chosen.replica and chosen.replica != "Completed":
        action = "wait until it is: scale sets are refused before"
        failed = chosen.replica == "Failed"
        yield row(
            "replica", "failure" if failed else "warning", f"replication here: {chosen.replica}", "Completed", action
        )
    size = context.config.storage.root.size_gib
    if chosen.size_gib > size:
        action = f"storage.root.sizeGib has to be {chosen.size_gib} or more: a disk cannot be smaller than its image"
        yield row("size", "failure", f"OS disk of {chosen.size_gib} GiB", f"at most {size} GiB", action)
    if chosen.published is not None:
        age, most = (context.now - chosen.published).days, context.max_image_age_days
        if age > most:
            action = "bake a new version: driver and vLLM fixes"
            yield row("age", "warning", f"{age} days old", f"at most {most} days", action)
    if chosen.end is not None and chosen.end - context.now < SOON:
        passed = "was" if chosen.end <= context.now else "will be"
        told = f"its end of life {passed} {chosen.end:%Y-%m-%d}"
        yield row("end", "warning", told, "not within 30 days", "bake a new version, or move the date")
