"""Health checks: of an endpoint, of a CloudWatch alarm, of other checks, of a routing control."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

from sandbox import rules
from sandbox.aws import formats, quotas, stamps
from sandbox.aws import route53_limits as limits
from sandbox.aws.cloudwatch import ALARM
from sandbox.aws.registry import AWS
from sandbox.aws.route53_names import is_hostname
from sandbox.kinds import Args, Cloud, CloudError, Fault, Kind, Ref, Resource
from sandbox.rules import shown
from sandbox.values import UNKNOWN

ENDPOINT_TYPES: Final = ("HTTP", "HTTPS", "HTTP_STR_MATCH", "HTTPS_STR_MATCH", "TCP")
TYPES: Final = (*ENDPOINT_TYPES, "CALCULATED", "CLOUDWATCH_METRIC", "RECOVERY_CONTROL")
MATCHING: Final = ("HTTP_STR_MATCH", "HTTPS_STR_MATCH")
ENCRYPTED: Final = ("HTTPS", "HTTPS_STR_MATCH")
INTERVALS: Final = (10, 30)
MAX_THRESHOLD: Final = 10
MAX_CHILDREN: Final = 255
"""https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/health-checks-types.html"""
MAX_CHILD_THRESHOLD: Final = 256
MAX_TEXT: Final = 255
"""Longest path, search string and domain name (https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html)."""
MIN_REGIONS: Final = 3
MAX_ALARM_NAME: Final = 256
_REFERENCE: Final = 27
"""The provider appends 37 characters to a caller reference of at most 64."""

# Properties that only some types have; of the others the provider or the API refuses them.
_ENDPOINT_ONLY: Final = (
    "ipAddress", "port", "resourcePath", "fqdn", "searchString", "requestInterval", "failureThreshold", "regions",
    "measureLatency", "enableSni",
)  # fmt: skip
_OF_TYPE: Final = {
    "childHealthchecks": "CALCULATED",
    "childHealthThreshold": "CALCULATED",
    "cloudwatchAlarmName": "CLOUDWATCH_METRIC",
    "cloudwatchAlarmRegion": "CLOUDWATCH_METRIC",
    "insufficientDataHealthStatus": "CLOUDWATCH_METRIC",
    "routingControlArn": "RECOVERY_CONTROL",
}
_STATISTICS: Final = ("Average", "Minimum", "Maximum", "Sum", "SampleCount")

# Addresses that checkers do not reach: RFC 5735, RFC 6598 and RFC 5156, which API_HealthCheckConfig.html names. The
# documentation networks of RFC 5737 and RFC 3849 are among them; here they are left out, as the stand-in clouds give
# their public addresses out of them (sandbox/public.py).
_UNREACHABLE: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
            "192.0.0.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
            "::/128", "::1/128", "::ffff:0:0/96", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "2002::/16",
            "2001::/32", "2001:10::/28",
        ),
    )
)  # fmt: skip


def address_fault(value: object) -> str:
    """Why Route 53 cannot check an address, empty when it can."""
    try:
        address = ipaddress.ip_address(str(value))
    except ValueError:
        return "expected an IPv4 or IPv6 address"
    if any(address in network for network in _UNREACHABLE):
        return "expected a public address: health checkers do not reach private, reserved and multicast ranges"
    return ""


@AWS.kind
class HealthCheck(Kind):
    """aws_route53_health_check. https://docs.aws.amazon.com/Route53/latest/APIReference/API_CreateHealthCheck.html

    `disabled` and `invertHealthcheck` are recorded only: what they mean for an answer, the resolver says."""

    token = limits.HEALTH_CHECK
    replace_on = ("type", "requestInterval", "measureLatency", "referenceName", "routingControlArn")
    sets = ("childHealthchecks", "regions")
    write_only = ("referenceName", "triggers")
    defaults: ClassVar[Mapping[str, Any]] = {"disabled": False, "measureLatency": False}
    references = (
        # A child cannot go while a parent counts it (https://github.com/DataBiosphere/azul/issues/1150), unlike a check
        # that records use (https://docs.aws.amazon.com/Route53/latest/APIReference/API_DeleteHealthCheck.html).
        Ref(
            "childHealthchecks[*]",
            (limits.HEALTH_CHECK,),
            same_region=False,
            code="InvalidInput",
            delete_code="HealthCheckInUse",
        ),
    )
    regional = False
    not_found_code = "NoSuchHealthCheck"

    def comparable(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        address = inputs.get("ipAddress")
        if not isinstance(address, str) or address_fault(address):
            return inputs
        return {**inputs, "ipAddress": str(ipaddress.ip_address(address))}

    def check(self, args: Args) -> Iterable[Fault]:
        yield from rules.one_of(args, "type", TYPES)
        yield from _endpoint_values(args)
        yield from rules.length(args, "childHealthchecks", 0, MAX_CHILDREN)
        yield from rules.length(args, "childHealthchecks[*]", 1, 64)
        yield from rules.between(args, "childHealthThreshold", 0, MAX_CHILD_THRESHOLD)
        yield from rules.length(args, "cloudwatchAlarmName", 1, MAX_ALARM_NAME)
        yield from rules.one_of(args, "cloudwatchAlarmRegion", limits.ALL_REGIONS)
        yield from rules.one_of(args, "insufficientDataHealthStatus", ("Healthy", "Unhealthy", "LastKnownStatus"))
        yield from formats.arns(args, "routingControlArn", "route53-recovery-control", "controlpanel/")
        yield from rules.length(args, "referenceName", 0, _REFERENCE)
        yield from stamps.tag_faults(args)
        kind = args.get("type")
        if kind in TYPES:
            yield from _type_faults(args, kind)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return stamps.new_uuid()

    def before_create(self, args: Args, cloud: Cloud) -> None:
        limits.check_room(
            cloud,
            quotas.DNS_HEALTH_CHECKS,
            len(cloud.all(self.token)),
            "TooManyHealthChecks",
            "The account has reached its limit of {limit} active health checks.",
        )
        _check_alarm(args, cloud)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        # https://github.com/hashicorp/terraform-provider-aws/issues/44247
        if args["type"] == "RECOVERY_CONTROL" and any(
            bool(old[key]) != bool(args[key]) for key in ("invertHealthcheck", "disabled")
        ):
            raise CloudError("InvalidInput", "Invalid parameter : Update is not supported for this health check type.")
        if old.id in (args.get("childHealthchecks") or []):
            raise CloudError("InvalidInput", f"The health check {old.id} cannot be a child of itself.")
        _check_alarm(args, cloud)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        kind = args["type"]
        out: dict[str, Any] = {
            "arn": formats.arn("route53", "", "", f"healthcheck/{id}", partition_of=cloud.region),
            "enableSni": args.get("enableSni", kind in ENCRYPTED),
        }
        if kind in ENDPOINT_TYPES:
            # https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html
            out["failureThreshold"] = args.get("failureThreshold", 3)
            out["port"] = args.get("port", 443 if kind in ENCRYPTED else 80)
        return out


def _endpoint_values(args: Args) -> Iterator[Fault]:
    for path, value in args.at("ipAddress"):
        reason = address_fault(value)
        if reason:
            yield Fault(path, f"{reason}, got {shown(value)}")
    for path, value in args.at("fqdn"):
        if not is_hostname(value):
            yield Fault(path, f"expected a domain name of at most {MAX_TEXT} characters, got {shown(value)}")
    yield from rules.between(args, "port", 1, 65535)
    yield from rules.length(args, "resourcePath", 0, MAX_TEXT)
    for path, value in args.at("resourcePath"):
        if isinstance(value, str) and value and not value.startswith("/"):
            yield Fault(path, f"expected a path that begins with a slash, got {shown(value)}")
    yield from rules.length(args, "searchString", 1, MAX_TEXT)
    yield from rules.one_of(args, "requestInterval", INTERVALS)
    yield from rules.between(args, "failureThreshold", 1, MAX_THRESHOLD)
    yield from rules.one_of(args, "regions[*]", limits.CHECKER_REGIONS)
    regions = args["regions"]
    if isinstance(regions, list):
        if UNKNOWN not in regions and len(regions) < MIN_REGIONS:
            yield Fault("regions", f"expected at least {MIN_REGIONS} regions, got {len(regions)}")
        named = [r for r in regions if isinstance(r, str)]
        for region in sorted({r for r in named if named.count(r) > 1}):
            yield Fault("regions", f"{region} is given twice")


def _type_faults(args: Args, kind: str) -> Iterator[Fault]:
    for key, owner in _OF_TYPE.items():
        if key in args and args[key] != [] and kind != owner:
            yield Fault(key, f"is only for health checks of type {owner}, this is {kind}")
    if kind not in ENDPOINT_TYPES:
        for key in _ENDPOINT_ONLY:
            if key in args and args[key] is not False and args[key] != []:
                yield Fault(key, f"is not supported by health checks of type {kind}")
    if kind == "CALCULATED":
        # https://github.com/hashicorp/terraform-provider-aws/issues/44004
        if "childHealthThreshold" not in args:
            yield Fault("childHealthThreshold", "is required for health checks of type CALCULATED")
    elif kind == "CLOUDWATCH_METRIC":
        for key in ("cloudwatchAlarmName", "cloudwatchAlarmRegion"):
            if key not in args:
                yield Fault(key, "is required for health checks of type CLOUDWATCH_METRIC")
    elif kind == "RECOVERY_CONTROL":
        if "routingControlArn" not in args:
            yield Fault("routingControlArn", "is required for health checks of type RECOVERY_CONTROL")
    else:
        yield from _endpoint_faults(args, kind)


def _endpoint_faults(args: Args, kind: str) -> Iterator[Fault]:
    if "ipAddress" not in args and "fqdn" not in args:
        yield Fault("ipAddress", f"one of ipAddress, fqdn must be set for health checks of type {kind}")
    # The provider documents it as required: without it the API's 30 s come back and every later update replaces the
    # check (https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/route53_health_check).
    if "requestInterval" not in args:
        yield Fault("requestInterval", f"is required for health checks of type {kind}: 10 or 30 seconds")
    if kind == "TCP":
        if "port" not in args:
            yield Fault("port", "is required for health checks of type TCP")
        if args.get("resourcePath"):
            yield Fault("resourcePath", "is only for health checks that send an HTTP request, this is TCP")
        # https://github.com/aws/aws-sdk-php/issues/1527
        if "ipAddress" in args and "fqdn" in args:
            yield Fault("fqdn", "conflicts with ipAddress in health checks of type TCP, which send no host name")
    if kind in MATCHING and "searchString" not in args:
        yield Fault("searchString", f"is required for health checks of type {kind}")
    if kind not in MATCHING and "searchString" in args:
        yield Fault("searchString", f"is only for health checks of type {' and '.join(MATCHING)}, this is {kind}")
    if kind not in ENCRYPTED and args.get("enableSni") is True:
        yield Fault("enableSni", f"is only for health checks of type {' and '.join(ENCRYPTED)}, this is {kind}")


def _check_alarm(args: Args, cloud: Cloud) -> None:
    """The alarm exists, and is of one standard-resolution metric with a plain statistic
    (https://docs.aws.amazon.com/Route53/latest/APIReference/API_AlarmIdentifier.html).

    Raises CloudError InvalidInput."""
    if args["type"] != "CLOUDWATCH_METRIC":
        return
    name, region = args["cloudwatchAlarmName"], args["cloudwatchAlarmRegion"]
    alarm = next((a for a in cloud.all(ALARM, region=region) if a.id == name), None)
    if alarm is None:
        raise CloudError("InvalidInput", f"Invalid parameter : The CloudWatch alarm {name} was not found in {region}.")
    if alarm["metricQueries"] or alarm["evaluationCriteria"]:
        reason = "uses metric math or a query; a health check follows an alarm on one metric"
    elif alarm["extendedStatistic"] or alarm["statistic"] not in _STATISTICS:
        reason = f"uses an extended statistic; a health check follows one of {', '.join(_STATISTICS)}"
    elif (alarm["period"] or 60) < 60:
        reason = f"is of high resolution ({alarm['period']} s); a health check follows periods of 60 s or more"
    else:
        return
    raise CloudError("InvalidInput", f"Invalid parameter : The CloudWatch alarm {name} {reason}.")
