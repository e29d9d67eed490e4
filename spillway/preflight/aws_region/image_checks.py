"""The node's image: found as the program finds it, and of use."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from spillway.preflight.aws_region.context import AwsContext
from spillway.preflight.aws_region.facts import MachineImage
from spillway.preflight.model import Row, State

SOON: Final = timedelta(days=30)


def wanted_image(context: AwsContext) -> str:
    """The stack file's `image` in a few words."""
    image = context.config.image
    if image.id is not None:
        return image.id
    return f"{image.family}, newest" if image.newest else f"{image.family} {image.version}"


def image(context: AwsContext) -> Iterator[Row]:
    """There, unambiguous, bootable on the pools' types, and fresh."""
    spec, wanted = context.config.image, wanted_image(context)
    found = list(context.account.images(spec))
    if not found:
        action = "bake it in this region, or copy it here and tag the copy spillway:family and spillway:version"
        if spec.id is not None:
            action = "image ids differ by region: copy it here, or have its owner share it with this account"
        yield Row("image", "image", "failure", "not in this region and account", wanted, action)
        return
    if len(found) > 1 and not spec.newest:
        ids = ", ".join(one.id for one in found)
        action = "deregister all but one, or name one by image.id: `up` refuses to choose"
        yield Row("image", "image", "failure", f"{len(found)} images: {ids}", f"one {wanted}", action)
        return
    chosen = found[0]
    faults = list(_faults(context, chosen))
    if not faults:
        told = f"{chosen.id}, {chosen.name}, {_age(context, chosen)} days old, owner {_owner(context, chosen)}"
        yield Row("image", "image", "ok", told, wanted)
    yield from faults


def _owner(context: AwsContext, chosen: MachineImage) -> str:
    return "this account" if chosen.owner == context.config.account else chosen.owner


def _age(context: AwsContext, chosen: MachineImage) -> int:
    return max(0, (context.now - chosen.created).days)


def _faults(context: AwsContext, chosen: MachineImage) -> Iterator[Row]:
    def row(part: str, state: State, found: str, needed: str, action: str) -> Row:
        return Row(f"image.{part}", f"image {chosen.id}", state, found, needed, action)

    if chosen.state != "available":
        wait = "wait until it is" if chosen.state == "pending" else "bake it anew"
        yield row("state", "failure", chosen.state, "available", wait)
    if chosen.architecture != "x86_64":
        yield row("architecture", "failure", chosen.architecture, "x86_64", "the pools' types are x86_64 machines")
    if chosen.root_type != "ebs":
        yield row("root", "failure", f"root device on {chosen.root_type}", "ebs", "bake an image with an EBS root")
    if not chosen.ena:
        yield row("ena", "failure", "no ENA support", "enaSupport", "Nitro machines boot only with it: bake it anew")
    size = context.config.storage.root.size_gib
    if chosen.root_gib > size:
        action = (
            f"storage.root.sizeGib has to be {chosen.root_gib} or more: a volume cannot be smaller than its snapshot"
        )
        yield row("size", "failure", f"root snapshot of {chosen.root_gib} GiB", f"at most {size} GiB", action)
    age, most = _age(context, chosen), context.max_image_age_days
    if age > most:
        yield row(
            "age", "warning", f"{age} days old", f"at most {most} days", "bake a new version: driver and vLLM fixes"
        )
    if chosen.deprecated is not None and chosen.deprecated - context.now < SOON:
        passed = "was" if chosen.deprecated <= context.now else "will be"
        told = f"{passed} deprecated on {chosen.deprecated:%Y-%m-%d}"
        # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ami-deprecate.html: it still launches, by id, but others
        # no longer see it.
        yield row("deprecation", "warning", told, "not within 30 days", "bake a new version, or move the date")
    if chosen.owner != context.config.account:
        action = "launches stop when it is no longer shared; a copy of your own does not"
        yield row("owner", "warning", f"owned by {chosen.owner}", "this account", action)
