"""Target groups and what is registered with them."""

from __future__ import annotations

import re
import secrets as random_source
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

from sandbox import rules
from sandbox.aws import formats, quotas, stamps, tokens
from sandbox.aws.elb import check_name, elb_arn, name_for
from sandbox.aws.registry import AWS
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Kind, Ref, Resource

PROTOCOLS: Final = ("GENEVE", "HTTP", "HTTPS", "QUIC", "TCP", "TCP_QUIC", "TCP_UDP", "TLS", "UDP")
LAYER_7: Final = ("HTTP", "HTTPS")
_STICKINESS: Final = {
    "HTTP": ("lb_cookie", "app_cookie"),
    "HTTPS": ("lb_cookie", "app_cookie"),
    "GENEVE": ("source_ip_dest_ip", "source_ip_dest_ip_proto"),
}
_CODES: Final = r"\d{3}(?:-\d{3})?(?:,\d{3}(?:-\d{3})?)*"


@AWS.kind
class TargetGroup(Kind):
    """aws_lb_target_group. https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html"""

    token = tokens.TARGET_GROUP
    replace_on = (
        "name",
        "namePrefix",
        "port",
        "protocol",
        "protocolVersion",
        "targetType",
        "vpcId",
        "ipAddressType",
        "targetControlPort",
    )
    write_only = ("namePrefix",)
    defaults: ClassVar[Mapping[str, Any]] = {
        "deregistrationDelay": 300,
        "lambdaMultiValueHeadersEnabled": False,
        "proxyProtocolV2": False,
        "slowStart": 0,
        "targetType": "instance",
    }
    autoname = AutoName("name", 32)
    unique = ("name",)
    duplicate_code = "DuplicateTargetGroupName"
    references = (Ref("vpcId", (tokens.VPC,), code="ValidationError", blocks_delete=False),)
    not_found_code = "TargetGroupNotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from check_name(args, "target group")
        yield from formats.ids(args, "vpcId", "vpc")
        yield from rules.between(args, "port", 1, 65535)
        yield from rules.one_of(args, "protocol", PROTOCOLS)
        yield from rules.one_of(args, "protocolVersion", ("HTTP1", "HTTP2", "GRPC"))
        yield from rules.one_of(args, "targetType", ("instance", "ip", "lambda", "alb"))
        yield from rules.one_of(args, "ipAddressType", ("ipv4", "ipv6"))
        # https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html
        yield from rules.between(args, "deregistrationDelay", 0, 3600, "seconds")
        for path, value in args.at("slowStart"):
            if value != 0 and not 30 <= value <= 900:
                yield Fault(path, f"expected 0 (off) or 30 to 900 seconds, got {value}")
        yield from formats.tri_state(args, "preserveClientIp")
        yield from rules.one_of(
            args, "loadBalancingCrossZoneEnabled", ("true", "false", "use_load_balancer_configuration")
        )
        yield from rules.one_of(
            args, "loadBalancingAlgorithmType", ("round_robin", "least_outstanding_requests", "weighted_random")
        )
        yield from rules.one_of(args, "loadBalancingAnomalyMitigation", ("on", "off"))
        yield from self._check_type(args)
        yield from self._check_health(args)
        yield from self._check_attributes(args)

    @staticmethod
    def _check_type(args: Args) -> Iterator[Fault]:
        kind, protocol = args.get("targetType", "instance"), args.get("protocol")
        if kind == "lambda":
            for key in ("port", "protocol", "protocolVersion", "vpcId"):
                if key in args:
                    yield Fault(key, "cannot be set when targetType is lambda")
            return
        for key in ("port", "protocol", "vpcId"):
            if key not in args:
                yield Fault(key, f"is required when targetType is {kind}")
        if kind == "alb" and protocol not in (None, "TCP", "TLS"):
            yield Fault("protocol", f"a target group of type alb takes TCP or TLS, got {protocol}")
        if protocol == "GENEVE" and args.get("port") not in (None, 6081):
            yield Fault("port", "a GENEVE target group listens on 6081")
        if protocol is not None and protocol not in LAYER_7:
            for key in ("protocolVersion", "loadBalancingAlgorithmType", "loadBalancingAnomalyMitigation"):
                if key in args:
                    yield Fault(key, f"cannot be set when protocol is {protocol}: only for {', '.join(LAYER_7)}")
            if args.get("slowStart", 0) != 0:
                yield Fault("slowStart", f"cannot be set when protocol is {protocol}: only for {', '.join(LAYER_7)}")
        elif protocol is not None:
            for key in ("connectionTermination", "proxyProtocolV2"):
                if args.get(key, False):
                    yield Fault(key, f"cannot be set when protocol is {protocol}: only for network load balancers")
            for key in ("preserveClientIp", "targetHealthStates"):
                if key in args:
                    yield Fault(key, f"cannot be set when protocol is {protocol}: only for network load balancers")

    @staticmethod
    def _check_health(args: Args) -> Iterator[Fault]:
        block = args["healthCheck"]
        if not isinstance(block, Mapping):
            return
        check, group = Args(block), args.get("protocol")
        faults: list[Fault] = []
        faults += rules.between(check, "healthyThreshold", 2, 10)
        faults += rules.between(check, "unhealthyThreshold", 2, 10)
        faults += rules.between(check, "interval", 5, 300, "seconds")
        faults += rules.between(check, "timeout", 2, 120, "seconds")
        faults += rules.one_of(check, "protocol", ("HTTP", "HTTPS", "TCP"))
        faults += rules.matches(
            check, "path", r"/.{0,1023}", "a path that begins with / and has at most 1,024 characters"
        )
        for path, value in check.at("port"):
            if value != "traffic-port" and not (str(value).isdigit() and 1 <= int(value) <= 65535):
                faults.append(Fault(path, f'expected "traffic-port" or a port of 1 to 65535, got {rules.shown(value)}'))
        grpc = args.get("protocolVersion") == "GRPC"
        shape = r"\d{1,2}(?:-\d{1,2})?(?:,\d{1,2}(?:-\d{1,2})?)*" if grpc else _CODES
        faults += rules.matches(check, "matcher", shape, 'codes such as "200", "200-399" or "200,202"')
        protocol = check.get("protocol", "HTTP")
        if protocol == "TCP":
            for key in ("matcher", "path"):
                if check.get(key):
                    faults.append(Fault(key, "cannot be set when the health check's protocol is TCP"))
            if group in LAYER_7:
                faults.append(Fault("protocol", f"TCP health checks are not supported when protocol is {group}"))
        timeout, interval = check.get("timeout"), check.get("interval", 30)
        if isinstance(timeout, int) and isinstance(interval, int) and timeout >= interval:
            faults.append(Fault("timeout", f"must be smaller than the interval ({interval} s), got {timeout}"))
        if args.get("targetType") == "lambda" and "protocol" in check:
            faults.append(Fault("protocol", "cannot be set when targetType is lambda"))
        for fault in faults:
            yield Fault(f"healthCheck.{fault.path}", fault.reason)

    @staticmethod
    def _check_attributes(args: Args) -> Iterator[Fault]:
        protocol = args.get("protocol", "HTTP")
        for path, value in args.at("stickiness.type"):
            allowed = _STICKINESS.get(protocol, ("source_ip",))
            if value not in allowed:
                yield Fault(
                    path, f"expected one of {', '.join(allowed)} when protocol is {protocol}; got {rules.shown(value)}"
                )
            if value == "app_cookie" and not args.get("stickiness", {}).get("cookieName"):
                yield Fault("stickiness.cookieName", "is required with type app_cookie")
        if protocol == "TLS" and args.get("stickiness", {}).get("enabled", "stickiness" in args):
            yield Fault("stickiness.enabled", "stickiness is not supported by TLS target groups")
        yield from rules.between(args, "stickiness.cookieDuration", 1, 604800, "seconds")
        yield from rules.between(args, "targetHealthStates[*].unhealthyDrainingInterval", 0, 360000, "seconds")
        for path, state in args.at("targetHealthStates[*]"):
            if not isinstance(state, Mapping):
                continue
            if protocol not in ("TCP", "TLS") and not args.is_unknown("protocol"):
                yield Fault(path, f"is only for TCP and TLS target groups, this is {protocol}")
            # The interval needs termination off:
            # https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html#unhealthy-target-draining
            interval = Args(state).get("unhealthyDrainingInterval")
            if state.get("enableUnhealthyConnectionTermination") is True and interval:
                yield Fault(
                    f"{path}.unhealthyDrainingInterval",
                    "can only be set when enableUnhealthyConnectionTermination is false",
                )
        yield from rules.one_of(args, "targetFailovers[*].onDeregistration", ("rebalance", "no_rebalance"))
        yield from rules.one_of(args, "targetFailovers[*].onUnhealthy", ("rebalance", "no_rebalance"))
        for path, value in args.at("targetGroupHealth.dnsFailover.minimumHealthyTargetsCount"):
            if value != "off" and not (str(value).isdigit() and int(value) >= 1):
                yield Fault(path, f'expected "off" or a count of at least 1, got {rules.shown(value)}')
        yield from rules.between(args, "targetGroupHealth.unhealthyStateRouting.minimumHealthyTargetsCount", 1, 100000)
        for block in ("dnsFailover", "unhealthyStateRouting"):
            for path, value in args.at(f"targetGroupHealth.{block}.minimumHealthyTargetsPercentage"):
                if value != "off" and not (str(value).isdigit() and 1 <= int(value) <= 100):
                    yield Fault(path, f'expected "off" or a percentage of 1 to 100, got {rules.shown(value)}')
        if (
            args.get("loadBalancingAnomalyMitigation") == "on"
            and args.get("loadBalancingAlgorithmType") != "weighted_random"
        ):
            yield Fault("loadBalancingAnomalyMitigation", "needs loadBalancingAlgorithmType weighted_random")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        quotas.check_count(
            cloud,
            quotas.TARGET_GROUPS,
            len(cloud.all(self.token, region=cloud.region)),
            "TooManyTargetGroups",
            "The maximum number of target groups has been reached",
        )

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return elb_arn(cloud, f"targetgroup/{name_for(args)}/{random_source.token_hex(8)}")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        protocol, kind = args["protocol"] or "", args["targetType"]
        out: dict[str, Any] = {
            "arn": id,
            "name": id.split("/")[-2],
            "arnSuffix": id.rsplit(":", 1)[-1],
            "loadBalancerArns": [],
            "healthCheck": self._health_check(args, protocol, kind),
            "loadBalancingCrossZoneEnabled": args.get(
                "loadBalancingCrossZoneEnabled", "use_load_balancer_configuration"
            ),
        }
        if kind in ("instance", "ip"):
            out["ipAddressType"] = args.get("ipAddressType", "ipv4")
        if protocol in LAYER_7:
            out["protocolVersion"] = args.get("protocolVersion", "HTTP1")
            out["loadBalancingAlgorithmType"] = args.get("loadBalancingAlgorithmType", "round_robin")
            out["loadBalancingAnomalyMitigation"] = args.get("loadBalancingAnomalyMitigation", "off")
        else:
            out["connectionTermination"] = args.get("connectionTermination", protocol in ("UDP", "TCP_UDP", "QUIC"))
            keeps = kind != "ip" or protocol in ("UDP", "TCP_UDP")
            out["preserveClientIp"] = args.get("preserveClientIp", "true" if keeps else "false")
        if protocol in ("TCP", "TLS"):
            out["targetHealthStates"] = args.get("targetHealthStates") or [
                {"enableUnhealthyConnectionTermination": True, "unhealthyDrainingInterval": 0}
            ]
        stickiness = _STICKINESS.get(protocol, ("source_ip",))[0]
        out["stickiness"] = {"enabled": "stickiness" in args, "type": stickiness, **args.get("stickiness", {})}
        return out

    @staticmethod
    def _health_check(args: Args, protocol: str, kind: str) -> dict[str, Any]:
        """The health check as the API tells it, with its defaults filled in."""
        given = args.get("healthCheck", {})
        network = protocol not in LAYER_7 and kind != "lambda"
        by = given.get("protocol", "HTTP" if given or not network else "TCP")
        block: dict[str, Any] = {
            "enabled": True,
            "healthyThreshold": 3,
            "unhealthyThreshold": 3,
            "interval": 30,
            "port": "traffic-port",
            "protocol": by,
            "timeout": (6 if by == "HTTP" else 10) if network else 5,
        }
        if by != "TCP":
            block |= {"path": "/", "matcher": "200-399" if network else "200"}
        return {**block, **given}


@AWS.kind
class TargetGroupAttachment(Kind):
    """aws_lb_target_group_attachment."""

    token = tokens.TARGET_GROUP_ATTACHMENT
    replace_on = ("targetGroupArn", "targetId", "port", "availabilityZone", "quicServerId")
    references = (
        Ref("targetGroupArn", (tokens.TARGET_GROUP,), code="TargetGroupNotFound", blocks_delete=False),
        Ref(
            "targetId",
            (tokens.INSTANCE,),
            code="InvalidTarget",
            blocks_delete=False,
            accept=lambda value: not value.startswith("i-"),
        ),
    )
    taggable = False

    def check(self, args: Args) -> Iterable[Fault]:
        yield from formats.arns(args, "targetGroupArn", "elasticloadbalancing", "targetgroup/")
        yield from rules.between(args, "port", 1, 65535)
        for path, value in args.at("availabilityZone"):
            if value != "all":
                yield from formats.zone(Args({path: value}), path)

    def before_create(self, args: Args, cloud: Cloud) -> None:
        group = cloud.get(tokens.TARGET_GROUP, args["targetGroupArn"])
        if group is None:
            return
        target, kind = args["targetId"], group["targetType"]
        shapes = {
            "instance": formats.id_pattern("i"),
            "ip": r"[0-9.]+|[0-9a-f:]+",
            "lambda": r"arn:.+:function:.+",
            "alb": r"arn:.+:loadbalancer/app/.+",
        }
        if not re.fullmatch(shapes[kind], target):
            raise CloudError("ValidationError", f"Target '{target}' is not valid for target type '{kind}'")
        if any(
            a["targetId"] == target and a["port"] == args["port"]
            for a in cloud.find(self.token, targetGroupArn=group.id)
        ):
            raise CloudError("InvalidTarget", f"The target '{target}' is already registered with '{group.id}'")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{args['targetGroupArn']}-{random_source.randbits(80):026d}"
