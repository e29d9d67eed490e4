"""Azure regions: which exist, and the one form that all their spellings mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from sandbox.kinds import Args, Fault
from sandbox.rules import shown

_DATA: Final = Path(__file__).with_name("data") / "locations.yaml"
GLOBAL: Final = "global"
"""The location of services that are not regional."""


@lru_cache(maxsize=1)
def locations() -> Mapping[str, str]:
    """Programmatic name -> display name. Read once, on first use: the plugin must start fast."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with _DATA.open(encoding="utf-8") as file:
        found: Mapping[str, str] = yaml.load(file, loader)["locations"]
    return found


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
