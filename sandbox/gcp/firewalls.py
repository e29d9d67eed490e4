"""Firewall rules of a network."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

from sandbox.gcp import tokens
from sandbox.gcp.api import ComputeKind, check_count, check_service_account, project_of, resolve
from sandbox.gcp.network import IN_NETWORK
from sandbox.gcp.registry import GCP
from sandbox.kinds import Args, Cloud, Fault, Resource
from sandbox.rules import between, exactly_one, matches, one_of, shown

# https://docs.cloud.google.com/vpc/docs/quota
FIREWALLS: Final = 200
RANGES_MAX: Final = 5000
"""Source or destination ranges of one rule."""
SOURCE_TAGS_MAX: Final = 30
TARGET_TAGS_MAX: Final = 70
ACCOUNTS_MAX: Final = 10
_PROTOCOLS: Final = ("tcp", "udp", "icmp", "esp", "ah", "sctp", "ipip", "all")
_TAG: Final = r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?"
_EMAIL: Final = r"[^@\s/]+@[^@\s/]+\.gserviceaccount\.com"
_PORTS: Final = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")


@GCP.kind
class Firewall(ComputeKind):
    """https://docs.cloud.google.com/compute/docs/reference/rest/v1/firewalls

    https://docs.cloud.google.com/firewall/docs/firewalls says which fields go together: tags never with service
    accounts, sources only of ingress, destinations of both.
    """

    token = tokens.FIREWALL
    collection = "firewalls"
    label = "firewall"
    replace_on = ("name", "direction", "params", "project")
    sets = (
        "allows", "denies", "sourceRanges", "destinationRanges", "sourceTags", "targetTags", "sourceServiceAccounts",
        "targetServiceAccounts",
    )  # fmt: skip
    uses = (IN_NETWORK,)
    defaults: ClassVar[Mapping[str, Any]] = {"priority": 1000}
    write_only = ("deletionPolicy",)

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from exactly_one(args, "allows", "denies")
        yield from between(args, "priority", 0, 65535)
        yield from one_of(args, "direction", ("INGRESS", "EGRESS"))
        for key in ("allows", "denies"):
            yield from _rule_faults(args, key)
        for key in ("sourceRanges", "destinationRanges"):
            yield from _network_faults(args, key)
        yield from matches(args, "sourceTags[*]", _TAG, "a network tag")
        yield from matches(args, "targetTags[*]", _TAG, "a network tag")
        for key in ("sourceServiceAccounts", "targetServiceAccounts"):
            yield from matches(args, f"{key}[*]", _EMAIL, "the e-mail address of a service account")
        for key, most in (
            ("sourceRanges", RANGES_MAX), ("destinationRanges", RANGES_MAX), ("sourceTags", SOURCE_TAGS_MAX),
            ("targetTags", TARGET_TAGS_MAX), ("sourceServiceAccounts", ACCOUNTS_MAX),
            ("targetServiceAccounts", ACCOUNTS_MAX),
        ):  # fmt: skip
            if len(args.get(key) or []) > most:
                yield Fault(key, f"expected at most {most:,}, got {len(args.get(key) or [])}")
        yield from self._combinations(args)
        yield from one_of(args, "logConfig.metadata", ("EXCLUDE_ALL_METADATA", "INCLUDE_ALL_METADATA"))
        if "logConfig" in args and args.get("enableLogging") is False:
            yield Fault("logConfig", "does not go with enableLogging false")

    @staticmethod
    def _combinations(args: Args) -> Iterator[Fault]:
        for tags, accounts in (
            ("sourceTags", "sourceServiceAccounts"), ("sourceTags", "targetServiceAccounts"),
            ("targetTags", "sourceServiceAccounts"), ("targetTags", "targetServiceAccounts"),
        ):  # fmt: skip
            if args.get(tags) and args.get(accounts):
                yield Fault(tags, f"conflicts with {accounts}: tags and service accounts do not go together")
        if args.is_unknown("direction"):
            return
        sources = ("sourceRanges", "sourceTags", "sourceServiceAccounts")
        if args.get("direction", "INGRESS") == "EGRESS":
            for key in ("sourceTags", "sourceServiceAccounts"):
                if args.get(key):
                    yield Fault(key, "is only for rules of direction INGRESS")
        elif not any(args[key] is not None for key in sources):
            yield Fault("sourceRanges", f"one of {', '.join(sources)} must be set")

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        if old is None:
            check_count(cloud, "FIREWALLS", len(cloud.all(self.token)), FIREWALLS)
        for key in ("sourceServiceAccounts", "targetServiceAccounts"):
            for email in args.get(key) or []:
                check_service_account(cloud, email, key)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        network = resolve(cloud, IN_NETWORK, args["network"], project_of(args, cloud))
        ingress = args.get("direction", "INGRESS") == "INGRESS"
        return {
            **self.common(id, args, cloud, old),
            "network": network["selfLink"] if network else args["network"],
            "direction": "INGRESS" if ingress else "EGRESS",
            "destinationRanges": args.get("destinationRanges") or ([] if ingress else ["0.0.0.0/0"]),
            "enableLogging": "logConfig" in args,
        }


def _rule_faults(args: Args, key: str) -> Iterator[Fault]:
    """Protocols by name or number, and ports only where a protocol has them."""
    for path, rule in args.at(f"{key}[*]"):
        protocol = rule.get("protocol") if isinstance(rule, dict) else None
        if not isinstance(protocol, str):
            continue
        known = protocol.lower() in _PROTOCOLS or (protocol.isdigit() and int(protocol) <= 255)
        if not known:
            yield Fault(f"{path}.protocol", f"expected {', '.join(_PROTOCOLS)} or a number, got {shown(protocol)}")
        ports = rule.get("ports")
        if isinstance(ports, list) and ports and protocol.lower() not in ("tcp", "udp", "sctp", "6", "17", "132"):
            yield Fault(f"{path}.ports", f"is only for tcp, udp and sctp, not {protocol}")
    for path, text in args.at(f"{key}[*].ports[*]"):
        match = _PORTS.fullmatch(text) if isinstance(text, str) else None
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if low > high or high > 65535:
            yield Fault(path, f"expected a port or a range such as 443 or 8000-8080, got {shown(text)}")


def _network_faults(args: Args, key: str) -> Iterator[Fault]:
    """Networks without host bits; IPv4 and IPv6 do not mix in one rule."""
    versions = set()
    for path, text in args.at(f"{key}[*]"):
        try:
            versions.add(ipaddress.ip_network(text).version)
        except (ValueError, TypeError) as error:
            yield Fault(path, f"expected a network such as 10.0.0.0/8, got {shown(text)} ({error})")
    if len(versions) > 1:
        yield Fault(key, "IPv4 and IPv6 networks do not mix in one rule")
