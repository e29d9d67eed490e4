"""Regions and zones that there are, so that weather is not made where nothing can be: a mistyped name would strike
nowhere, and nobody be told."""

from __future__ import annotations

import fnmatch
from typing import Final

from infra import catalog
from infra.faults import did_you_mean, listed, shown
from sandbox.clouds import package_of
from spillway.errors import SpillwayError

GLOBAL: Final = "global"
"""Where the stand-ins keep what has no region."""
_LETTERS: Final = {"aws": "abcdef", "gcp": "abcdef", "tencent": "123456789", "azure": "123"}
"""How zones of a region are told apart: more than offer machines, as any may be written about."""


def refuse_unknown(cloud: str, *, region: str = "*", zone: str = "*") -> None:
    """Raises SpillwayError for a pattern that fits no region (or no zone in them) of the clouds that `cloud` fits."""
    clouds = [one for one in catalog.READERS if fnmatch.fnmatchcase(package_of(one), package_of(cloud))]
    if not clouds:
        return  # a cloud without regions, or none, which the weather's own check tells
    where = "any cloud" if len(clouds) > 1 else clouds[0]
    known = {one: catalog.regions(one) for one in clouds}
    names = [GLOBAL, *(name for found in known.values() for name in found)]
    fitting = fnmatch.filter(names, region)
    if not fitting:
        raise SpillwayError(f"--region {shown(region)}: fits no region of {where}{_near(region, names, clouds)}")
    zones = [name for one in clouds for place in known[one] if place in fitting for name in _zones(one, place)]
    if zone != "*" and not fnmatch.filter(zones, zone):
        inside = where if region == "*" else region
        raise SpillwayError(f"--zone {shown(zone)}: fits no zone of {inside}{_near(zone, zones, clouds)}")


def _zones(cloud: str, region: str) -> list[str]:
    """As the stand-ins write zones; on Azure a machine may be in none, and then in the region."""
    if cloud == "azure":
        return [region, *(f"{region}-{number}" for number in _LETTERS[cloud])]
    return [catalog.zone_name(cloud, region, letter) for letter in _LETTERS[cloud]]


def _near(pattern: str, known: list[str], clouds: list[str]) -> str:
    """What was probably meant, else what there is."""
    hint = did_you_mean(pattern.strip("*"), known)
    if hint or not known:
        return hint
    if len(clouds) > 1:
        return (
            "; names are as the clouds write them, such as us-east-1, eastus or us-central1, and patterns such as us-*"
        )
    return f"; there are {listed(known[:40], 'and')}{', ...' if len(known) > 40 else ''}"
