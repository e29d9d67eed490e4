"""Health checks, global (autohealing) and regional (passthrough balancers).

https://docs.cloud.google.com/load-balancing/docs/health-check-concepts
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

from sandbox.gcp import tokens
from sandbox.gcp.api import ComputeKind, check_count, kept, number
from sandbox.gcp.places import is_region
from sandbox.gcp.registry import GCP
from sandbox.kinds import Args, Cloud, Fault, Resource
from sandbox.rules import between, length, matches, one_of, shown

# https://docs.cloud.google.com/load-balancing/docs/quotas
HEALTH_CHECKS: Final = 75
PROTOCOLS: Final[Mapping[str, tuple[str, int]]] = {
    "httpHealthCheck": ("HTTP", 80),
    "httpsHealthCheck": ("HTTPS", 443),
    "http2HealthCheck": ("HTTP2", 443),
    "tcpHealthCheck": ("TCP", 80),
    "sslHealthCheck": ("SSL", 443),
    "grpcHealthCheck": ("GRPC", 0),
    "grpcTlsHealthCheck": ("GRPC_WITH_TLS", 0),
}
"""Block -> type of the check, and its default port (0: none)."""
_SOURCE_REGIONS: Final = 3


class _HealthCheck(ComputeKind):
    """What both scopes share. Times in seconds; the timeout is never longer than the interval."""

    collection = "healthChecks"
    label = "health_check"
    replace_on = ("name", "project")
    write_only = ("deletionPolicy",)
    defaults: ClassVar[Mapping[str, Any]] = {
        "checkIntervalSec": 5,
        "timeoutSec": 5,
        "healthyThreshold": 2,
        "unhealthyThreshold": 2,
    }

    def faults(self, args: Args) -> Iterable[Fault]:
        present = [block for block in PROTOCOLS if args[block] is not None]
        if not present:
            yield Fault("httpsHealthCheck", f"one of {', '.join(PROTOCOLS)} must be set")
        for block in present[1:]:
            yield Fault(block, f"conflicts with {present[0]}: only one of {', '.join(PROTOCOLS)} may be set")
        yield from between(args, "checkIntervalSec", 1, 300, "seconds")
        yield from between(args, "timeoutSec", 1, 300, "seconds")
        yield from between(args, "healthyThreshold", 1, 10)
        yield from between(args, "unhealthyThreshold", 1, 10)
        interval, timeout = args.get("checkIntervalSec", 5), args.get("timeoutSec", 5)
        known = not args.is_unknown("checkIntervalSec") and not args.is_unknown("timeoutSec")
        if known and timeout > interval:
            yield Fault("timeoutSec", f"expected at most checkIntervalSec ({interval}), got {timeout}")
        for block in present:
            yield from self._block_faults(args, block)

    @staticmethod
    def _block_faults(args: Args, block: str) -> Iterator[Fault]:
        yield from between(args, f"{block}.port", 1, 65535)
        yield from one_of(args, f"{block}.portSpecification", ("USE_FIXED_PORT", "USE_NAMED_PORT", "USE_SERVING_PORT"))
        yield from one_of(args, f"{block}.proxyHeader", ("NONE", "PROXY_V1"))
        yield from matches(args, f"{block}.requestPath", r"/[\x21-\x7e]{0,2047}", "a path such as /readyz")
        yield from length(args, f"{block}.response", 1, 1024)
        yield from length(args, f"{block}.request", 1, 1024)
        values = args.get(block)
        if not isinstance(values, dict):
            return
        if not any(value is not None for value in values.values()):
            yield Fault(block, "expected a port or another property, got nothing")
        spec, port, name = (values.get(key) for key in ("portSpecification", "port", "portName"))
        if spec == "USE_NAMED_PORT" and not name:
            yield Fault(f"{block}.portName", "is required with USE_NAMED_PORT")
        if spec in ("USE_NAMED_PORT", "USE_SERVING_PORT") and port is not None:
            yield Fault(f"{block}.port", f"does not go with {spec}")
        if spec == "USE_SERVING_PORT" and name:
            yield Fault(f"{block}.portName", "does not go with USE_SERVING_PORT")
        if block.startswith("grpc") and spec in (None, "USE_FIXED_PORT") and port is None:
            yield Fault(f"{block}.port", "is required: gRPC has no default port")

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        if old is None:
            check_count(cloud, "HEALTH_CHECKS", len(cloud.all(self.token)), HEALTH_CHECKS)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        block = next((block for block in PROTOCOLS if args[block] is not None), "")
        kind, port = PROTOCOLS.get(block, ("", 0))
        shown_block = {}
        if block:
            values = dict(args[block])
            if port and values.get("port") is None and values.get("portSpecification") in (None, "USE_FIXED_PORT"):
                values["port"] = port
            if kind.startswith("HTTP"):
                values = {"proxyHeader": "NONE", "requestPath": "/", **values}
            shown_block = {block: values}
        return {
            **self.common(id, args, cloud, old),
            **shown_block,
            "type": kind,
            "logConfig": args["logConfig"] or {"enable": False},
        }


@GCP.kind
class HealthCheck(_HealthCheck):
    """https://docs.cloud.google.com/compute/docs/reference/rest/v1/healthChecks"""

    token = tokens.HEALTH_CHECK

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from super().faults(args)
        regions = args.get("sourceRegions")
        if regions is None:
            return
        if len(set(regions)) != _SOURCE_REGIONS:
            yield Fault("sourceRegions", f"expected {_SOURCE_REGIONS} different regions, got {len(set(regions))}")
        for i, region in enumerate(regions):
            if not is_region(region):
                yield Fault(f"sourceRegions[{i}]", f"expected a region such as us-central1, got {shown(region)}")
        if args.get("checkIntervalSec", 5) < 30:
            yield Fault("checkIntervalSec", "expected at least 30 seconds with sourceRegions")


@GCP.kind
class RegionHealthCheck(_HealthCheck):
    """https://docs.cloud.google.com/compute/docs/reference/rest/v1/regionHealthChecks"""

    token = tokens.REGION_HEALTH_CHECK
    regional = True

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            **super().outputs(id, args, cloud, old),
            "healthCheckId": int(kept(old, "healthCheckId", 0) or number()[:15]),
        }
