"""Monitors: how endpoints are probed; and monitor groups.

https://developers.cloudflare.com/load-balancing/monitors/,
https://developers.cloudflare.com/api/resources/load_balancers/subresources/monitors/methods/create/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

from sandbox import rules
from sandbox.cloudflare import limits, tokens
from sandbox.cloudflare.common import HOST, REFERENCED, VALIDATION, Object, ids, same_account, words
from sandbox.cloudflare.registry import CLOUDFLARE
from sandbox.kinds import Args, Cloud, Fault, Ref, Resource
from sandbox.rules import shown

TYPES: Final = ("http", "https", "tcp", "udp_icmp", "icmp_ping", "smtp")
HTTP: Final = ("http", "https")
NEEDS_PORT: Final = ("tcp", "udp_icmp", "smtp")
ONLY_HTTP: Final = ("path", "header", "expectedBody", "expectedCodes", "followRedirects", "allowInsecure", "probeZone")
LEAST_INTERVAL: Final = 10
"""Seconds, of the Enterprise plan; what the account's own plan allows is asked when the monitor is made."""
MAX_TIMEOUT: Final = 10
MAX_RETRIES: Final = 5
MAX_CONSECUTIVE: Final = 10
"""The API answers larger values with 1002; the dashboard offers 0 to 5 retries, and up to 10 s and 10 in a row."""
_CODES: Final = r"[1-5](xx|\d\d)(,[1-5](xx|\d\d))*"
_HEADER: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
"""A field name of RFC 9110, section 5.1."""


@CLOUDFLARE.kind
class LoadBalancerMonitor(Object):
    """cloudflare_load_balancer_monitor."""

    token = tokens.MONITOR
    replace_on = ("accountId",)
    defaults: ClassVar[Mapping[str, Any]] = {
        "type": "http",
        "interval": 60,
        "timeout": 5,
        "retries": 2,
        "allowInsecure": False,
        "followRedirects": False,
        "description": "",
        "expectedBody": "",
        "expectedCodes": "",
        "probeZone": "",
    }

    def check(self, args: Args) -> Iterable[Fault]:
        yield from ids(args, "accountId")
        yield from words(args, "type", TYPES)
        yield from rules.between(args, "interval", LEAST_INTERVAL, limits.MAX_INTERVAL, "seconds")
        yield from rules.between(args, "timeout", 1, MAX_TIMEOUT, "seconds")
        yield from rules.between(args, "retries", 0, MAX_RETRIES)
        yield from rules.between(args, "consecutiveDown", 0, MAX_CONSECUTIVE)
        yield from rules.between(args, "consecutiveUp", 0, MAX_CONSECUTIVE)
        yield from rules.between(args, "port", 0, 65535)
        timeout, interval = args.get("timeout", 5), args.get("interval", 60)
        if _numbers(timeout, interval) and not args.is_unknown("interval") and timeout >= interval:
            yield Fault("timeout", f"has to be less than the interval ({interval} s), got {timeout}")
        if not args.is_unknown("type"):
            yield from self._by_type(args, args.get("type", "http"))

    def _by_type(self, args: Args, kind: Any) -> Iterator[Fault]:
        if kind not in HTTP:
            for key in ONLY_HTTP:
                if args.get(key):
                    yield Fault(key, f"goes with http and https only, this is {kind}")
            if kind in NEEDS_PORT and not args.is_unknown("port") and not args.get("port"):
                yield Fault("port", f"is required for {kind}")
            if kind == "icmp_ping" and args.get("port"):
                yield Fault("port", "goes without icmp_ping, which knows no ports")
        methods = {"tcp": ("connection_established",)}.get(kind, ("GET", "HEAD") if kind in HTTP else ())
        if methods:
            yield from rules.one_of(args, "method", methods)
        elif args.get("method"):
            yield Fault("method", f"goes with http, https and tcp only, this is {kind}")
        if kind not in HTTP:
            return
        yield from rules.matches(args, "path", r"/[^\s#]*", "a path that begins with /")
        yield from rules.matches(args, "probeZone", f"{HOST}|", "a zone's name")
        codes = args.get("expectedCodes", "")
        if not isinstance(codes, str) or not (codes == "" or re.fullmatch(_CODES, codes)):
            yield Fault("expectedCodes", f'expected codes such as "200", "2xx" or "200,302", got {shown(codes)}')
        elif (
            not codes
            and not args.get("expectedBody")
            and not (args.is_unknown("expectedCodes") or args.is_unknown("expectedBody"))
        ):
            # TestAccCloudflareLoadBalancerMonitor_NoRequired of
            # https://github.com/cloudflare/terraform-provider-cloudflare
            yield Fault("expectedCodes", f"expectedCodes or expectedBody is required for {kind}")
        if args.get("method") == "HEAD" and args.get("expectedBody"):
            yield Fault("expectedBody", "goes without method HEAD, whose answer has no body")
        if kind == "http" and args.get("allowInsecure"):
            yield Fault("allowInsecure", "goes with https: plain http has no certificate to look at")
        yield from self._headers(args)

    @staticmethod
    def _headers(args: Args) -> Iterator[Fault]:
        for path, values in args.at("header"):
            if not isinstance(values, dict):
                continue
            for name, entries in values.items():
                where = f"{path}.{name}"
                if not re.fullmatch(_HEADER, name):
                    yield Fault(where, "is no name of an HTTP header")
                if name.lower() == "user-agent":
                    yield Fault(where, "the User-Agent header cannot be overridden")
                if isinstance(entries, list) and not entries:
                    yield Fault(where, "has no value")
                if name.lower() == "host" and isinstance(entries, list):
                    if len(entries) > 1:
                        yield Fault(where, f"expected one host, got {len(entries)}")
                    for i, entry in enumerate(entries):
                        if isinstance(entry, str) and not re.fullmatch(rf"{HOST}(:\d{{1,5}})?", entry):
                            yield Fault(f"{where}[{i}]", f"expected a host name, got {shown(entry)}")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        limits.check_monitors(cloud, args["accountId"])
        self._check_state(args, cloud)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._check_state(args, cloud)

    @staticmethod
    def _check_state(args: Args, cloud: Cloud) -> None:
        limits.check_interval(cloud, args.get("interval", 60))

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        out: dict[str, Any] = self.stamps(old)
        kind = args.get("type", "http")
        if "method" not in args:
            out["method"] = "GET" if kind in HTTP else "connection_established" if kind == "tcp" else ""
        if "path" not in args and kind in HTTP:
            out["path"] = "/"
        return out


def _numbers(*values: object) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


@CLOUDFLARE.kind
class LoadBalancerMonitorGroup(Object):
    """cloudflare_load_balancer_monitor_group. Enterprise only:
    https://developers.cloudflare.com/load-balancing/monitors/monitor-groups/#availability"""

    token = tokens.MONITOR_GROUP
    replace_on = ("accountId",)
    sets = ("members",)
    references = (Ref("members[*].monitorId", (tokens.MONITOR,), code=VALIDATION, delete_code=REFERENCED),)

    def check(self, args: Args) -> Iterable[Fault]:
        yield from ids(args, "accountId", "members[*].monitorId")
        members = args["members"]
        if isinstance(members, list) and not members:
            yield Fault("members", "at least one monitor is required")
        seen: set[str] = set()
        for path, monitor in args.at("members[*].monitorId"):
            if monitor in seen:
                yield Fault(path, f"the monitor {monitor} is in the group already")
            seen.add(monitor)
        for key in ("createdAt", "updatedAt"):
            for path, _ in args.at(f"members[*].{key}"):
                yield Fault(path, "is told by Cloudflare and cannot be set")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        self._check_state(args, cloud)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._check_state(args, cloud)

    @staticmethod
    def _check_state(args: Args, cloud: Cloud) -> None:
        limits.needs_plan(cloud, limits.ENTERPRISE, "a monitor group")
        for path, monitor in args.at("members[*].monitorId"):
            same_account(cloud, tokens.MONITOR, monitor, args["accountId"], path)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return self.stamps(old)
