"""The stand-in's bounds and lists against those of the service model that the AWS SDK ships."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import pytest
from botocore.loaders import Loader

from sandbox.aws import route53_checks as checks
from sandbox.aws import route53_limits as limits
from sandbox.aws import route53_records as records
from sandbox.aws.route53_names import is_hostname, name_fault
from sandbox.aws.route53_values import MAX_VALUE, TYPES


@lru_cache(maxsize=1)
def shapes() -> dict[str, Any]:
    found: dict[str, Any] = Loader().load_service_model("route53", "service-2")["shapes"]
    return found


@pytest.mark.parametrize(
    ("shape", "ours"),
    [
        ("RRType", TYPES),
        ("HealthCheckType", checks.TYPES),
        ("HealthCheckRegion", limits.CHECKER_REGIONS),
        ("ResourceRecordSetRegion", limits.LATENCY_REGIONS),
    ],
)
def test_lists_are_the_services(shape: str, ours: tuple[str, ...]) -> None:
    assert set(ours) == set(shapes()[shape]["enum"])


def test_regions_of_alarms_are_regions_of_the_service() -> None:
    assert set(limits.ALL_REGIONS) == set(shapes()["CloudWatchRegion"]["enum"])


@pytest.mark.parametrize(
    ("shape", "low", "high"),
    [
        ("TTL", 0, records.MAX_TTL),
        ("ResourceRecordSetWeight", 0, records.MAX_WEIGHT),
        ("ResourceRecordSetIdentifier", 1, records.MAX_SET_IDENTIFIER),
        ("RData", None, MAX_VALUE),
        ("Bias", -records.MAX_BIAS, records.MAX_BIAS),
        ("FailureThreshold", 1, checks.MAX_THRESHOLD),
        ("RequestInterval", checks.INTERVALS[0], checks.INTERVALS[-1]),
        ("HealthThreshold", 0, checks.MAX_CHILD_THRESHOLD),
        ("Port", 1, 65535),
        ("ResourcePath", None, checks.MAX_TEXT),
        ("SearchString", None, checks.MAX_TEXT),
        ("FullyQualifiedDomainName", None, checks.MAX_TEXT),
        ("AlarmName", 1, checks.MAX_ALARM_NAME),
    ],
)
def test_bounds_are_the_services(shape: str, low: int | None, high: int) -> None:
    found = shapes()[shape]
    assert (found.get("min"), found.get("max")) == (low, high)


def test_fewer_regions_and_more_children_than_the_service_takes_are_refused() -> None:
    assert shapes()["HealthCheckRegionList"]["min"] == checks.MIN_REGIONS
    assert shapes()["ChildHealthCheckList"]["max"] >= checks.MAX_CHILDREN


@pytest.mark.parametrize(("shape", "ours"), [("Latitude", records.LATITUDE), ("Longitude", records.LONGITUDE)])
def test_patterns_are_the_services(shape: str, ours: str) -> None:
    theirs = shapes()[shape]["pattern"]
    for value in ("49.22", "-74.01", "7", "+7.", "abc", "1234.5", "9.123"):
        assert bool(re.fullmatch(ours, value)) == bool(re.fullmatch(theirs, value))


@pytest.mark.parametrize("value", ["203.0.113.7", "2600:1f18::1", "fe80::1", "300.1.1.1", "llm.example.com"])
def test_addresses_that_the_pattern_refuses_are_refused(value: str) -> None:
    pattern = shapes()["IPAddress"]["pattern"]
    if not re.search(pattern, value):
        assert checks.address_fault(value)


def test_names_fit_the_model() -> None:
    assert shapes()["DNSName"]["max"] >= 255
    assert name_fault("x." * 129)
    assert not is_hostname("-x.example.com")
