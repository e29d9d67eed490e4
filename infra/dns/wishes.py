"""Settings that people look for in a DNS failover, and that can never work: refused with the reason, not as typos.

The stack file has no keys for them. What is asked for is read from the raw data, and `limits.never_works` judges it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from infra.dns.limits import CLOUD_DNS_MIN_INTERVAL, Wish, never_works
from infra.faults import Fault, Path

CLOUD_DNS: Final = ("cloud-dns", "clouddns", "google")
LONGEST: Final = 86_400
"""Seconds; nothing that is probed or kept takes longer than a day."""
NOT_ON_THE_NODE: Final = (
    "goes without an alarm: latency and error limits belong to the region's limits, where the node itself judges them, "
    "so that every provider sees them in /readyz"
)


def asked(data: dict[Any, Any]) -> dict[Path, str]:
    """Why what is asked for can never work, by path below `spillway:global`."""
    return dict(_asked(data))


def replace(faults: list[Fault], data: dict[Any, Any]) -> list[Fault]:
    """The faults with those reasons in the place of `unknown key` and `has to be one of`."""
    reasons = asked(data)
    return [Fault(fault.path, reasons.get(fault.path, fault.allowed), fault.value) for fault in faults]


def _asked(data: dict[Any, Any]) -> Iterator[tuple[Path, str]]:
    dns = _map(data.get("dns"))
    check = _map(dns.get("check"))
    seconds = _seconds(dns.get("objectiveSeconds"), 60.0)
    provider = dns.get("provider")
    if isinstance(provider, str) and provider.lower() in CLOUD_DNS:
        wanted = _seconds(check.get("intervalSeconds"), 10.0)
        told = never_works(Wish(provider="cloud-dns", interval_seconds=wanted), seconds)
        slow = f"Cloud DNS checks public addresses every {CLOUD_DNS_MIN_INTERVAL} s at most, so that no objective holds"
        yield ("dns", "provider"), f"has to be another: {(told or [slow])[0]}"
    if "alarm" in check:
        fields = tuple(_map(check["alarm"]).items())
        told = never_works(Wish(provider="route53", alarm=fields), seconds)
        yield ("dns", "check", "alarm"), told[0] if told else NOT_ON_THE_NODE
    for key, wish in (
        ("disabled", Wish(provider="route53", disabled_check=True)),
        ("inverted", Wish(provider="route53", inverted_check=True)),
        ("alwaysServe", Wish(provider="traffic-manager", always_serve=True)),
    ):
        if key in check:
            yield ("dns", "check", key), never_works(wish, seconds)[0]
    members = data.get("members")
    for number, member in enumerate(members if isinstance(members, list | tuple) else ()):
        endpoint = _map(member).get("endpoint")
        for path, owner in ((("members", number), _map(member)), (("members", number, "endpoint"), _map(endpoint))):
            for key, wish in (
                ("alias", Wish(provider="route53", alias_to_balancer=True)),
                ("disabled", Wish(provider="route53", disabled_check=True)),
                ("alwaysServe", Wish(provider="traffic-manager", always_serve=True)),
            ):
                if key in owner:
                    yield (*path, key), never_works(wish, seconds)[0]


def _seconds(value: Any, otherwise: float) -> float:
    """A number of the raw data as seconds; `otherwise` for whatever is none, and for what no clock would show."""
    sound = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= LONGEST
    return float(value) if sound else otherwise


def _map(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}
