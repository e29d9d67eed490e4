"""A region stack's resources as a region, whatever cloud it is in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rehearsal.fleet import aws, functions, tencent
from rehearsal.fleet.common import complete
from rehearsal.fleet.model import Region
from rehearsal.fleet.resources import Notes, Reader, Resource, Stack, refuse_versions

CLOUDS: Final[dict[str, Callable[[Stack, Reader], Region]]] = {
    "aws": aws.region,
    "azure": functions.azure,
    "gcp": functions.gcp,
    "tencent": tencent.region,
}
READ: Final = (*aws.TYPES, *functions.TYPES, *tencent.TYPES)
"""Types of resources that are looked at; all others may be left out of a file."""


def region(stack: Stack, notes: Notes) -> Region:
    """The region of a stack; where its figures come from goes into `notes`. Raises SpillwayError, one line."""
    refuse_versions(stack, READ)
    cloud = stack.name.partition("-")[0]
    if cloud not in CLOUDS:
        stack.refuse(f"stack = {stack.name}", f"expected <cloud>-<region> with {', '.join(CLOUDS)}")
    if not stack.resources:
        stack.refuse(stack.name, "holds no resources")
    root = _root(stack)
    return complete(CLOUDS[cloud](stack, Reader(stack, root, notes, stack.name)), notes, root.urn)


def _root(stack: Stack) -> Resource:
    return next((one for one in stack.resources if one.type == "pulumi:pulumi:Stack"), stack.resources[0])
