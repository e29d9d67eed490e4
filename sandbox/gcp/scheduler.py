"""Cloud Scheduler jobs.

https://docs.cloud.google.com/scheduler/docs/reference/rest/v1/projects.locations.jobs
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, ClassVar, Final

from sandbox.gcp import tokens
from sandbox.gcp.api import GcpKind, check_service_account, project_of
from sandbox.gcp.registry import GCP
from sandbox.kinds import Args, AutoName, Cloud, Fault, Resource
from sandbox.rules import between, length, matches, one_of, shown

_TARGETS: Final = ("httpTarget", "pubsubTarget", "appEngineHttpTarget")
_METHODS: Final = ("POST", "GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS")
_SECONDS: Final = re.compile(r"(\d+)(?:\.\d{1,9})?s")
# https://docs.cloud.google.com/scheduler/docs/configuring/cron-job-schedules
_FIELDS: Final = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12),
                  ("day of the week", 0, 7))  # fmt: skip
_NAMES: Final = {
    "month": ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    "day of the week": ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
}
_ENGLISH: Final = re.compile(r"every (\d+ )?(minutes?|mins?|hours?|day|mon|tue|wed|thu|fri|sat|sun)\w*.*")
# Attempts: 15 seconds to 30 minutes for HTTP, to 24 hours for App Engine.
_DEADLINES: Final = {"httpTarget": (15, 1800), "appEngineHttpTarget": (15, 86_415)}
BODY_MAX: Final = 1_048_576


@GCP.kind
class Job(GcpKind):
    """A job in a region; the service retries as `retryConfig` says and gives up when `attemptDeadline` is over."""

    token = tokens.JOB
    label = "job"
    regional = True
    autoname = AutoName("name", 500)
    replace_on = ("name", "project")
    write_only = ("deletionPolicy",)
    defaults: ClassVar[Mapping[str, Any]] = {"attemptDeadline": "180s", "timeZone": "Etc/UTC"}

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from matches(args, "name", r"[A-Za-z0-9_-]{1,500}", "1 to 500 letters, digits, - and _")
        yield from length(args, "description", 0, 499)
        if args["schedule"] is None:
            yield Fault("schedule", "is required: a cron expression such as * * * * *")
        for path, text in args.at("schedule"):
            if fault := schedule_fault(text):
                yield Fault(path, fault)
        for path, zone in args.at("timeZone"):
            if zone not in _time_zones():
                yield Fault(path, f"expected a time zone such as Etc/UTC, got {shown(zone)}")
        present = [key for key in _TARGETS if args[key] is not None]
        if not present:
            yield Fault("httpTarget", f"one of {', '.join(_TARGETS)} must be set")
        for key in present[1:]:
            yield Fault(key, f"conflicts with {present[0]}: only one of {', '.join(_TARGETS)} may be set")
        for kind, (low, high) in _DEADLINES.items():
            if kind in present:
                yield from _duration(args, "attemptDeadline", low, high)
        yield from self._target_faults(args)
        yield from self._retry_faults(args)

    @staticmethod
    def _retry_faults(args: Args) -> Iterator[Fault]:
        yield from between(args, "retryConfig.retryCount", 0, 5)
        yield from between(args, "retryConfig.maxDoublings", 0, 16)
        for key, most in (("minBackoffDuration", 3600), ("maxBackoffDuration", 3600), ("maxRetryDuration", 86_400)):
            yield from _duration(args, f"retryConfig.{key}", 0, most)
        config = args.get("retryConfig")
        if config is not None and not any(value is not None for value in config.values()):
            yield Fault("retryConfig", "expected a property of it, got nothing")

    @staticmethod
    def _target_faults(args: Args) -> Iterator[Fault]:
        yield from matches(args, "httpTarget.uri", r"https?://[^\s/]+(/\S*)?", "an http or https address")
        yield from one_of(args, "httpTarget.httpMethod", _METHODS)
        yield from one_of(args, "appEngineHttpTarget.httpMethod", _METHODS)
        yield from matches(args, "appEngineHttpTarget.relativeUri", r"/\S*", "a path that begins with /")
        yield from matches(args, "pubsubTarget.topicName", r"projects/[^/]+/topics/[^/]+", "projects/p/topics/t")
        for key in ("httpTarget.body", "appEngineHttpTarget.body", "pubsubTarget.data"):
            for path, text in args.at(key):
                yield from _body_faults(path, text)
        for key in ("httpTarget", "appEngineHttpTarget"):
            for path, headers in args.at(f"{key}.headers"):
                for header in headers:
                    if header == "Content-Length" or header.startswith(("X-Google-", "X-AppEngine-")):
                        yield Fault(path, f"the header {header} cannot be set")
        target = args.get("httpTarget") or {}
        if target.get("oauthToken") is not None and target.get("oidcToken") is not None:
            yield Fault("httpTarget.oidcToken", "conflicts with oauthToken")
        method = target.get("httpMethod")
        if target.get("body") is not None and method not in (None, "POST", "PUT", "PATCH"):
            yield Fault("httpTarget.body", f"does not go with httpMethod {method}")
        uri = str(target.get("uri") or "")
        if target.get("oauthToken") is not None and ".googleapis.com" not in uri:
            yield Fault("httpTarget.oauthToken", "is only for addresses of *.googleapis.com; others take oidcToken")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"projects/{project_of(args, cloud)}/locations/{cloud.region}/jobs/{args['name']}"

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        target = args.get("httpTarget") or {}
        for key in ("oauthToken", "oidcToken"):
            email = (target.get(key) or {}).get("serviceAccountEmail")
            check_service_account(cloud, email, f"httpTarget.{key}.serviceAccountEmail")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        paused = bool(args.get("paused", False))
        retry = {
            "retryCount": 0, "maxRetryDuration": "0s", "minBackoffDuration": "5s", "maxBackoffDuration": "3600s",
            "maxDoublings": 5,
        }  # fmt: skip
        given = {key: value for key, value in (args["retryConfig"] or {}).items() if value is not None}
        return {
            "project": project_of(args, cloud),
            "paused": paused,
            "state": "PAUSED" if paused else "ENABLED",
            "retryConfig": {**retry, **given},
        }


@lru_cache(maxsize=1)
def _time_zones() -> frozenset[str]:
    """All names of the time zone database. Read on first use only: it takes a walk through the database's files."""
    from zoneinfo import available_timezones

    return frozenset(available_timezones())


def schedule_fault(text: object) -> str:
    """Why a schedule is none, or "": five fields of unix cron, or `every 5 minutes` and the like."""
    if not isinstance(text, str):
        return f"expected a cron expression, got {shown(text)}"
    if _ENGLISH.fullmatch(text):
        return ""
    fields = text.split()
    if len(fields) != len(_FIELDS):
        return f"expected five fields such as */5 * * * *, got {shown(text)}"
    for field, (name, low, high) in zip(fields, _FIELDS, strict=True):
        if not all(_fits(part, name, low, high) for part in field.split(",")):
            return f"{shown(field)} is no {name} ({low} to {high}, lists, ranges and steps)"
    return ""


def _fits(part: str, name: str, low: int, high: int) -> bool:
    """`*`, `5`, `1-5`, `*/10` or `1-30/5`; months and days of the week by name too."""
    range_, separator, step = part.partition("/")
    if separator and (not step.isdigit() or not 1 <= int(step) <= high):
        return False
    if range_ == "*":
        return True
    first, dash, last = range_.partition("-")
    ends = [_value(end, name, low) for end in ((first, last) if dash else (first,))]
    known = [end for end in ends if end is not None and low <= end <= high]
    return len(known) == len(ends) and known == sorted(known)


def _value(text: str, name: str, low: int) -> int | None:
    if text.upper() in _NAMES.get(name, ()):
        return _NAMES[name].index(text.upper()) + low
    return int(text) if text.isdigit() else None


def _duration(args: Args, pattern: str, low: int, high: int) -> Iterator[Fault]:
    for path, text in args.at(pattern):
        match = _SECONDS.fullmatch(text) if isinstance(text, str) else None
        if match is None or not low <= int(match[1]) <= high:
            yield Fault(path, f"expected {low}s to {high}s, got {shown(text)}")


def _body_faults(path: str, text: object) -> Iterator[Fault]:
    """Base64, as the provider takes bodies."""
    try:
        size = len(base64.b64decode(str(text), validate=True))
    except (ValueError, binascii.Error):
        yield Fault(path, f"expected base64, got {shown(text)}")
        return
    if size > BODY_MAX:
        yield Fault(path, f"expected at most {BODY_MAX:,} bytes, got {size:,}")
