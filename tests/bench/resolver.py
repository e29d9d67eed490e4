"""How fast the stand-in's DNS answers: a service of three tiers with two members each, four addresses per member."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from sandbox.dns.resolver import Resolver
from sandbox.dns.zone import RECORD, Zone
from sandbox.kinds import Resource

SERVICE = "llm.example.com"
FLOOR = 20_000
"""Answers per second that one slow core has to reach."""


class Flapping:
    """Checks of which one changes now and then: what was worked out has to be worked out anew."""

    def __init__(self) -> None:
        self.version = 0

    def healthy(self, id: str) -> bool:
        return not id.startswith("check-0") or self.version % 2 == 0


def record(name: str, identifier: str, **inputs: Any) -> Resource:
    outputs = {"name": name, "fqdn": name, "type": "A", "setIdentifier": identifier, "zoneId": "Z1", **inputs}
    return Resource(RECORD, f"Z1_{name}_A_{identifier}", "global", "1", outputs, outputs)


def alias(name: str) -> list[dict[str, Any]]:
    return [{"name": name, "zoneId": "Z1", "evaluateTargetHealth": True}]


def tree(tiers: int = 3, members: int = 2, addresses: int = 4) -> Zone:
    """The tree that the global stack makes for a service: failover over tiers, weights within, addresses below."""
    records = []
    for tier in range(tiers):
        here = SERVICE if tier == 0 else f"_after-{tier}.{SERVICE}"
        node = f"_tier-{tier}.{SERVICE}"
        records.append(record(here, "first", aliases=alias(node), failoverRoutingPolicies=[{"type": "PRIMARY"}]))
        if tier + 1 < tiers:
            after = alias(f"_after-{tier + 1}.{SERVICE}")
            records.append(record(here, "after", aliases=after, failoverRoutingPolicies=[{"type": "SECONDARY"}]))
        for member in range(members):
            leaf = f"member-{tier}-{member}.{SERVICE}"
            weighted = [{"weight": 100 - 90 * member}]
            records.append(record(node, f"m{member}", aliases=alias(leaf), weightedRoutingPolicies=weighted))
            for number in range(addresses):
                address = f"198.51.100.{tier * 64 + member * 16 + number}"
                records.append(
                    record(
                        leaf, address, records=[address], ttl=10, weightedRoutingPolicies=[{"weight": 1}],
                        healthCheckId=f"check-{tier}-{address}",
                    )
                )  # fmt: skip
    return Zone("Z1", "example.com", records)


def measure(seconds: float = 0.5) -> dict[str, float]:
    """Answers per second: with checks that do not change, and with one that changes every hundred answers."""
    figures = {}
    for label, every in (("resolver_answers_per_s", 0), ("resolver_answers_per_s_flapping", 100)):
        status = Flapping()
        resolver = Resolver(tree(), status)
        done, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            for _ in range(100):
                resolver.answer(SERVICE, "A", "eu-west-1")
            done += 100
            if every:
                status.version += 1
        figures[label] = round(done / (time.perf_counter() - started), 0)
    return figures


def main() -> int:
    figures = measure()
    print(json.dumps(figures, indent=2))
    return 0 if min(figures.values()) > FLOOR else 1


if __name__ == "__main__":
    sys.exit(main())
