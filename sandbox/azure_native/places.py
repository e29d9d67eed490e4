"""Azure regions: which exist, and the one form that all their spellings mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from sandbox.kinds import Args, Fault
from sandbox.rules import shown
from sandbox.values import UNKNOWN

_DATA: Final = Path(__file__).with_name("data") / "locations.yaml"
GLOBAL: Final = "global"
"""The location of services that are not regional."""


@lru_cache(maxsize=1)
def _data() -> Mapping[str, Any]:
    """Read once, on first use: the plugin must start fast."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with _DATA.open(encoding="utf-8") as file:
        found: Mapping[str, Any] = yaml.load(file, loader)
    return found


def locations() -> Mapping[str, str]:
    """Programmatic name -> display name."""
    found: Mapping[str, str] = _data()["locations"]
    return found


def zones(location: str) -> tuple[str, ...]:
    """The availability zones of a region, as a subscription numbers them; empty where it has none."""
    return ("1", "2", "3") if normal(location) in _data()["zoned"] else ()


def normal(location: str) -> str:
    """`West Europe` and `WestEurope` mean `westeurope`
    (https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/provider/diff.go, normalizedLocation)."""
    return location.lower().replace(" ", "")


def is_location(location: object) -> bool:
    return isinstance(location, str) and normal(location) in locations()


def region_faults(args: Args, pattern: str) -> Iterator[Fault]:
    """Locations that have to be regions."""
    for path, value in args.at(pattern):
        if not is_location(value):
            yield Fault(path, f"expected an Azure region such as westeurope, got {shown(value)}")


def zone_faults(args: Args, pattern: str = "zones") -> Iterator[Fault]:
    """Lists of zone numbers, each once; those of the region where the location is given."""
    for path, listed in args.at(pattern):
        location = args.get("location")
        known = zones(location) if isinstance(location, str) else ("1", "2", "3")
        seen: set[object] = set()
        for i, zone in enumerate(listed if isinstance(listed, list) else ()):
            if zone is UNKNOWN:
                continue
            if zone not in known:
                told = f"one of the zones {', '.join(known)}" if known else f"no zone, as {location} has none"
                yield Fault(f"{path}[{i}]", f"expected {told}; got {shown(zone)}")
            elif zone in seen:
                yield Fault(f"{path}[{i}]", f"zone {zone} is given twice")
            seen.add(zone)
