"""Regions and zones of the stand-in Tencent Cloud, and where GPU types are offered, from the project's own data files,
so that the sandbox refuses exactly what a stack file is told to avoid."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

_DATA: Final = Path(__file__).parents[2] / "infra" / "data"
_REGION: Final = re.compile(r"[a-z]{2}(-[a-z]+)+")


@lru_cache(maxsize=2)
def _read(name: str) -> Mapping[str, Any]:
    """Read once, on first use: the plugin must start fast."""
    data: Mapping[str, Any] = json.loads((_DATA / name).read_bytes())
    return data


def is_region(name: object) -> bool:
    return isinstance(name, str) and name in _read("tencent_offerings.json")["zones"]


def is_zone(name: object) -> bool:
    """Whether a zone exists in any of the known regions."""
    if not isinstance(name, str):
        return False
    region, _, number = name.rpartition("-")
    return number != "" and number in _read("tencent_offerings.json")["zones"].get(region, "")


def region_of(zone: str) -> str:
    return zone.rpartition("-")[0]


def is_gpu_type(machine_type: str) -> bool:
    """Whether it is one of the listed types; of others nothing is known."""
    return machine_type in _read("tencent_machines.json")["machines"]


def gpu_families() -> frozenset[str]:
    """Families whose types are all listed: GT4, PNV4, GN10Xp."""
    return frozenset(name.split(".")[0] for name in _read("tencent_machines.json")["machines"])


def offered(machine_type: str, zone: str) -> bool:
    """Whether a zone offers a type; of types that are not listed, yes."""
    offerings = _read("tencent_offerings.json")["offerings"]
    if machine_type not in offerings:
        return True
    region, _, number = zone.rpartition("-")
    return number in offerings[machine_type].get(region, "")
