"""The node's image: found as the program finds it, and of use."""

from __future__ import annotations

from collections.abc import Iterator

from infra.gcp import names
from spillway.preflight.gcp_region.context import GcpContext
from spillway.preflight.gcp_region.facts import MachineImage
from spillway.preflight.model import Row, State

BOOT_FEATURE = "GVNIC"
"""The machine types have gVNIC cards: https://docs.cloud.google.com/compute/docs/networking/using-gvnic"""


def wanted_image(context: GcpContext) -> str:
    """The stack file's `image` in a few words."""
    image = context.config.image
    if image.id is not None:
        return image.id
    where = f" in project {image.project}" if image.project else ""
    if image.newest or image.version is None or image.family is None:
        return f"{image.family}, newest{where}"
    return f"{names.image_name(image.family, image.version)}{where}"


def image(context: GcpContext) -> Iterator[Row]:
    """There, bootable on the pools' types, and fresh."""
    wanted, found = wanted_image(context), context.account.image(context.config.image)
    if found is None:
        action = "bake it in this project, or name the one that holds it as image.project"
        yield Row("image", "image", "failure", "not there", wanted, action)
        return
    faults = list(_faults(context, found))
    if not any(row.state == "failure" for row in faults):
        age = f", {(context.now - found.created).days} days old" if found.created else ""
        yield Row("image", "image", "ok", f"{found.name}{age}", wanted)
    yield from faults


def _faults(context: GcpContext, found: MachineImage) -> Iterator[Row]:
    def row(part: str, state: State, told: str, needed: str, action: str) -> Row:
        return Row(f"image.{part}", f"image {found.name}", state, told, needed, action)

    if found.status not in ("READY", ""):
        action = "wait until it is" if found.status == "PENDING" else "bake it anew"
        yield row("state", "failure", found.status, "READY", action)
    if found.deprecated in ("OBSOLETE", "DELETED"):
        yield row("deprecation", "failure", found.deprecated, "ACTIVE", "no instance is made of it: bake a new version")
    elif found.deprecated == "DEPRECATED":
        yield row("deprecation", "warning", found.deprecated, "ACTIVE", "bake a new version before it is obsolete")
    if found.architecture not in ("X86_64", ""):
        yield row("architecture", "failure", found.architecture, "X86_64", "the pools' types are x86_64 machines")
    size = context.config.storage.root.size_gib
    if found.size_gib > size:
        action = f"storage.root.sizeGib has to be {found.size_gib} or more: a disk cannot be smaller than its image"
        yield row("size", "failure", f"{found.size_gib} GiB", f"at most {size} GiB", action)
    if found.features and BOOT_FEATURE not in found.features:
        action = "bake it with --guest-os-features=GVNIC: without it a node has no network on most GPU types"
        yield row("gvnic", "warning", f"guest features {', '.join(sorted(found.features))}", BOOT_FEATURE, action)
    if found.created is not None:
        age, most = (context.now - found.created).days, context.max_image_age_days
        if age > most:
            action = "bake a new version: driver and vLLM fixes"
            yield row("age", "warning", f"{age} days old", f"at most {most} days", action)
