"""Where regions are, and how long a packet travels between them.

Providers route by measurements that they do not publish. Here a round trip follows from the distance of the regions'
places (`infra/data/places.yaml`): light in fibre covers 200 km per millisecond
(https://www.itu.int/rec/T-REC-G.114, annex A: 5 us/km), and real paths are longer than the great circle, here 1.3
times. An estimate: which of two regions is nearer is what matters.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml

from infra.faults import did_you_mean, shown
from spillway.errors import SpillwayError

_PLACES = Path(__file__).resolve().parents[2] / "infra" / "data" / "places.yaml"
_EARTH_KM = 6371.0
_KM_PER_MS = 200.0
_DETOUR = 1.3
_LAST_MILE_MS = 2.0
ELSEWHERE_MS = 60.0
"""A round trip to an address of which nobody knows where it is."""


class Place(NamedTuple):
    """Degrees, WGS 84."""

    latitude: float
    longitude: float


@cache
def regions() -> dict[str, Place]:
    """AWS region -> where it is."""
    data = yaml.safe_load(_PLACES.read_text("utf-8"))["regions"]
    return {name: Place(float(entry["latitude"]), float(entry["longitude"])) for name, entry in data.items()}


def check_region(option: str, name: str) -> None:
    """Raises SpillwayError when an option names no AWS region."""
    if name not in regions():
        hint = did_you_mean(name, regions()) or ", such as us-east-1 or eu-central-1"
        raise SpillwayError(f"{option} = {shown(name)}: no such AWS region{hint}")


@cache
def azure_regions() -> dict[str, Place]:
    """Azure region, in the short form (`westeurope`) -> where the nearest AWS region is."""
    data = yaml.safe_load(_PLACES.read_text("utf-8"))["regions"]
    near = {str(entry["azure"]): regions()[name] for name, entry in reversed(data.items())}
    return _AZURE | near


# Azure regions that no AWS region has as its nearest one: https://learn.microsoft.com/azure/reliability/regions-list
_AZURE = {
    "westeurope": Place(52.37, 4.90),
    "northcentralus": Place(41.88, -87.63),
    "centralus": Place(41.59, -93.60),
    "eastus2": Place(36.67, -78.39),
    "southcentralus": Place(29.42, -98.49),
    "westus3": Place(33.45, -112.07),
    "westcentralus": Place(40.89, -110.23),
    "canadacentral": Place(43.65, -79.38),
    "southindia": Place(13.08, 80.27),
    "jioindiawest": Place(22.47, 70.07),
    "koreasouth": Place(35.18, 129.08),
    "norwayeast": Place(59.91, 10.75),
    "polandcentral": Place(52.23, 21.01),
    "ukwest": Place(51.48, -3.18),
    "australiacentral": Place(-35.28, 149.13),
    "israelcentral": Place(32.09, 34.78),
    "mexicocentral": Place(20.59, -100.39),
}


def azure_place(location: str) -> Place | None:
    """Where an Azure location is, by either of its spellings: `West Europe`, `westeurope`."""
    return azure_regions().get(location.replace(" ", "").lower())


def kilometres(one: Place, other: Place) -> float:
    """The great circle between two places (haversine)."""
    a, b = math.radians(one.latitude), math.radians(other.latitude)
    half = math.sin((b - a) / 2) ** 2
    half += math.cos(a) * math.cos(b) * math.sin(math.radians(other.longitude - one.longitude) / 2) ** 2
    return 2 * _EARTH_KM * math.asin(math.sqrt(min(1.0, half)))


def travel_ms(one: Place, other: Place) -> float:
    """The round trip between two places, in milliseconds."""
    return _LAST_MILE_MS + 2 * kilometres(one, other) * _DETOUR / _KM_PER_MS


@cache
def round_trip_ms(one: str, other: str) -> float:
    """The round trip between two AWS regions, in milliseconds; ELSEWHERE_MS when one of them is not known."""
    places = regions()
    if one not in places or other not in places:
        return ELSEWHERE_MS
    return travel_ms(places[one], places[other])


class Locale(NamedTuple):
    """Where clients of a region are, as the providers name it.

    continent, country: Route 53's geolocation codes (https://docs.aws.amazon.com/Route53/latest/APIReference/API_GeoLocation.html).
    cloudflare: https://developers.cloudflare.com/load-balancing/reference/region-mapping-api/
    """

    continent: str
    country: str
    cloudflare: str


_LOCALES = {
    "af-south-1": Locale("AF", "ZA", "SAF"),
    "ap-east-1": Locale("AS", "HK", "NEAS"),
    "ap-east-2": Locale("AS", "TW", "NEAS"),
    "ap-northeast-1": Locale("AS", "JP", "NEAS"),
    "ap-northeast-2": Locale("AS", "KR", "NEAS"),
    "ap-northeast-3": Locale("AS", "JP", "NEAS"),
    "ap-south-1": Locale("AS", "IN", "SAS"),
    "ap-south-2": Locale("AS", "IN", "SAS"),
    "ap-southeast-1": Locale("AS", "SG", "SEAS"),
    "ap-southeast-2": Locale("OC", "AU", "OC"),
    "ap-southeast-3": Locale("AS", "ID", "SEAS"),
    "ap-southeast-4": Locale("OC", "AU", "OC"),
    "ap-southeast-5": Locale("AS", "MY", "SEAS"),
    "ap-southeast-6": Locale("OC", "NZ", "OC"),
    "ap-southeast-7": Locale("AS", "TH", "SEAS"),
    "ca-central-1": Locale("NA", "CA", "ENAM"),
    "ca-west-1": Locale("NA", "CA", "WNAM"),
    "eu-central-1": Locale("EU", "DE", "WEU"),
    "eu-central-2": Locale("EU", "CH", "WEU"),
    "eu-north-1": Locale("EU", "SE", "WEU"),
    "eu-south-1": Locale("EU", "IT", "WEU"),
    "eu-south-2": Locale("EU", "ES", "WEU"),
    "eu-west-1": Locale("EU", "IE", "WEU"),
    "eu-west-2": Locale("EU", "GB", "WEU"),
    "eu-west-3": Locale("EU", "FR", "WEU"),
    "il-central-1": Locale("AS", "IL", "ME"),
    "me-central-1": Locale("AS", "AE", "ME"),
    "me-south-1": Locale("AS", "BH", "ME"),
    "me-west-1": Locale("AS", "SA", "ME"),
    "mx-central-1": Locale("NA", "MX", "WNAM"),
    "sa-east-1": Locale("SA", "BR", "SSAM"),
    "sa-west-1": Locale("SA", "CL", "SSAM"),
    "us-east-1": Locale("NA", "US", "ENAM"),
    "us-east-2": Locale("NA", "US", "ENAM"),
    "us-west-1": Locale("NA", "US", "WNAM"),
    "us-west-2": Locale("NA", "US", "WNAM"),
}


def locale(region: str) -> Locale:
    """Continent, country and Cloudflare region of an AWS region's clients; of N. Virginia's for one not known."""
    return _LOCALES.get(region, _LOCALES["us-east-1"])
