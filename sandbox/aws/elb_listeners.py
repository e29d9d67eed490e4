"""Listeners, their rules and extra certificates."""

from __future__ import annotations

import secrets as random_source
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from sandbox import rules
from sandbox.aws import formats, quotas, stamps, tokens
from sandbox.aws.elb_targets import LAYER_7, PROTOCOLS
from sandbox.aws.registry import AWS
from sandbox.kinds import Args, Cloud, CloudError, Fault, Kind, Ref, Resource

_ACTIONS: Final = {
    "forward": "forward",
    "redirect": "redirect",
    "fixed-response": "fixedResponse",
    "authenticate-cognito": "authenticateCognito",
    "authenticate-oidc": "authenticateOidc",
    "jwt-validation": "jwtValidation",
}
_CONTENT_TYPES: Final = ("text/plain", "text/css", "text/html", "application/javascript", "application/json")
_PLACEHOLDERS: Final = ("HTTP", "HTTPS", "#{protocol}")
_SECURE: Final = ("HTTPS", "TLS")
# Which target groups a listener may forward to:
# https://docs.aws.amazon.com/elasticloadbalancing/latest/network/create-listener.html
_COMPATIBLE: Final = {
    "HTTP": LAYER_7,
    "HTTPS": LAYER_7,
    "TCP": ("TCP", "TCP_UDP"),
    "TLS": ("TCP", "TLS"),
    "UDP": ("UDP", "TCP_UDP"),
    "TCP_UDP": ("TCP_UDP",),
    "QUIC": ("QUIC", "TCP_QUIC"),
    "TCP_QUIC": ("TCP_QUIC",),
}
_BALANCER_PROTOCOLS: Final = {
    "application": LAYER_7,
    "network": ("QUIC", "TCP", "TCP_QUIC", "TCP_UDP", "TLS", "UDP"),
    "gateway": (),
}
_DEFAULT_POLICY: Final = "ELBSecurityPolicy-2016-08"
_CONDITIONS: Final = ("hostHeader", "httpHeader", "httpRequestMethod", "pathPattern", "queryStrings", "sourceIp")


def _action_refs(prefix: str) -> tuple[Ref, ...]:
    group = (tokens.TARGET_GROUP,)
    return (
        Ref(f"{prefix}.targetGroupArn", group, code="TargetGroupNotFound", delete_code="ResourceInUse"),
        Ref(f"{prefix}.forward.targetGroups[*].arn", group, code="TargetGroupNotFound", delete_code="ResourceInUse"),
    )


def _check_action(action: Mapping[str, Any], last: bool) -> Iterator[Fault]:
    args = Args(action)
    yield from rules.one_of(args, "type", tuple(_ACTIONS))
    yield from rules.between(args, "order", 1, 50000)
    kind = args.get("type")
    block = _ACTIONS.get(kind) if isinstance(kind, str) else None
    if block is None:
        return
    for name, key in _ACTIONS.items():
        if key != block and key in args:
            yield Fault(key, f"can only be set when type is {name}, this is {kind}")
    if kind == "forward":
        yield from formats.arns(args, "targetGroupArn", "elasticloadbalancing", "targetgroup/")
        yield from formats.arns(args, "forward.targetGroups[*].arn", "elasticloadbalancing", "targetgroup/")
        yield from rules.length(args, "forward.targetGroups", 1, 5)
        yield from rules.between(args, "forward.targetGroups[*].weight", 0, 999)
        yield from rules.between(args, "forward.stickiness.duration", 1, 604800, "seconds")
        if "targetGroupArn" not in args and "forward" not in args:
            yield Fault("targetGroupArn", "targetGroupArn or forward must be set when type is forward")
        if "targetGroupArn" in args and "forward" in args:
            yield Fault("forward", "conflicts with targetGroupArn: only one of them may be set")
    elif block not in args:
        yield Fault(block, f"is required when type is {kind}")
    elif kind == "redirect":
        yield from rules.one_of(args, "redirect.statusCode", ("HTTP_301", "HTTP_302"))
        yield from rules.one_of(args, "redirect.protocol", _PLACEHOLDERS)
        yield from rules.matches(args, "redirect.path", r"/.{0,127}", "a path that begins with /, up to 128 characters")
    elif kind == "fixed-response":
        yield from rules.one_of(args, "fixedResponse.contentType", _CONTENT_TYPES)
        yield from rules.matches(args, "fixedResponse.statusCode", r"[245]\d\d", "a status code 2xx, 4xx or 5xx")
        yield from rules.length(args, "fixedResponse.messageBody", 0, 1024)
    if kind != "forward" and "targetGroupArn" in args:
        yield Fault("targetGroupArn", f"can only be set when type is forward, this is {kind}")
    if last and block in ("authenticateCognito", "authenticateOidc", "jwtValidation"):
        yield Fault("type", f"the last action must be forward, redirect or fixed-response, this is {kind}")


def _check_actions(args: Args, key: str) -> Iterator[Fault]:
    actions = args[key]
    if not isinstance(actions, list):
        return
    if not actions:
        yield Fault(key, "at least one action must be given")
    for i, action in enumerate(actions):
        if isinstance(action, Mapping):
            for fault in _check_action(action, last=i == len(actions) - 1):
                yield Fault(f"{key}[{i}].{fault.path}", fault.reason)


def _targets(actions: Iterable[Mapping[str, Any]]) -> list[str]:
    """The ARNs of the target groups that actions forward to."""
    out = []
    for action in actions:
        if action.get("targetGroupArn"):
            out.append(str(action["targetGroupArn"]))
        out += [str(t["arn"]) for t in (action.get("forward") or {}).get("targetGroups") or []]
    return out


def _check_targets(cloud: Cloud, actions: list[Any], protocol: str, balancer: Resource) -> None:
    """What only the cloud can tell of a forward: the target group's VPC, its protocol, its one balancer."""
    for arn in _targets(actions):
        group = cloud.get(tokens.TARGET_GROUP, arn)
        if group is None:
            continue
        if group["vpcId"] and balancer["vpcId"] and group["vpcId"] != balancer["vpcId"]:
            raise CloudError(
                "InvalidConfigurationRequest",
                f"The target group with targetGroupARN '{arn}' is in VPC {group['vpcId']}, the load balancer in "
                f"{balancer['vpcId']}",
            )
        allowed = _COMPATIBLE.get(protocol)
        if allowed is not None and group["protocol"] and group["protocol"] not in allowed:
            raise CloudError(
                "IncompatibleProtocols",
                f"The listener protocol '{protocol}' is not supported with a target group with the "
                f"target-group-protocol '{group['protocol']}'",
            )
        for listener in cloud.all(tokens.LISTENER, region=cloud.region):
            other = str(listener["loadBalancerArn"])
            if other != balancer.id and arn in _targets(listener["defaultActions"] or []):
                raise CloudError(
                    "TargetGroupAssociationLimit",
                    f"The following target groups cannot be associated with more than one load balancer: {arn}",
                )


@AWS.kind
class Listener(Kind):
    """aws_lb_listener. https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateListener.html"""

    token = tokens.LISTENER
    replace_on = ("loadBalancerArn",)
    sets = ("defaultActions[*].forward.targetGroups",)
    references = (
        Ref("loadBalancerArn", (tokens.LOAD_BALANCER,), code="LoadBalancerNotFound", blocks_delete=False),
        *_action_refs("defaultActions[*]"),
    )
    not_found_code = "ListenerNotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from formats.arns(args, "loadBalancerArn", "elasticloadbalancing", "loadbalancer/")
        yield from rules.between(args, "port", 1, 65535)
        yield from rules.one_of(args, "protocol", PROTOCOLS)
        # https://docs.aws.amazon.com/elasticloadbalancing/latest/network/update-idle-timeout.html
        yield from rules.between(args, "tcpIdleTimeoutSeconds", 60, 6000, "seconds")
        yield from formats.arns(args, "certificateArn")
        yield from rules.one_of(
            args, "alpnPolicy", ("HTTP1Only", "HTTP2Only", "HTTP2Optional", "HTTP2Preferred", "None")
        )
        yield from rules.one_of(args, "mutualAuthentication.mode", ("off", "passthrough", "verify"))
        yield from _check_actions(args, "defaultActions")
        protocol, arn = args.get("protocol"), args.get("loadBalancerArn", "")
        gateway = ":loadbalancer/gwy/" in arn
        if arn and not gateway:
            for key in ("port",) if ":loadbalancer/app/" in arn else ("port", "protocol"):
                if key not in args:
                    yield Fault(key, "is required")
        if gateway:
            for key in ("port", "protocol"):
                if key in args:
                    yield Fault(key, "is not supported by listeners of gateway load balancers")
        if protocol in _SECURE and "certificateArn" not in args:
            yield Fault("certificateArn", f"is required when protocol is {protocol}")
        if protocol is not None and protocol not in _SECURE:
            for key in ("certificateArn", "sslPolicy"):
                if key in args:
                    yield Fault(key, f"can only be set when protocol is HTTPS or TLS, this is {protocol}")
        if protocol is not None and protocol != "TLS" and "alpnPolicy" in args:
            yield Fault("alpnPolicy", f"can only be set when protocol is TLS, this is {protocol}")
        if protocol is not None and protocol != "HTTPS" and "mutualAuthentication" in args:
            yield Fault("mutualAuthentication", f"can only be set when protocol is HTTPS, this is {protocol}")
        if protocol not in (None, "TCP") and "tcpIdleTimeoutSeconds" in args:
            yield Fault("tcpIdleTimeoutSeconds", f"can only be set when protocol is TCP, this is {protocol}")
        if protocol is not None and protocol not in LAYER_7:
            for path, kind in args.at("defaultActions[*].type"):
                if kind != "forward":
                    yield Fault(path, f"listeners with protocol {protocol} can only forward, got {rules.shown(kind)}")
        verify = args.get("mutualAuthentication", {})
        if verify.get("mode") == "verify" and not verify.get("trustStoreArn"):
            yield Fault("mutualAuthentication.trustStoreArn", "is required when mode is verify")

    @staticmethod
    def _protocol(args: Args, balancer: Resource | None) -> str:
        default = "HTTP" if balancer is not None and balancer["loadBalancerType"] == "application" else ""
        return str(args["protocol"] or default)

    def _check_state(self, args: Args, cloud: Cloud, own_id: str | None) -> None:
        balancer = cloud.get(tokens.LOAD_BALANCER, args["loadBalancerArn"])
        if balancer is None:
            return
        kind, protocol = balancer["loadBalancerType"], self._protocol(args, balancer)
        if protocol and protocol not in _BALANCER_PROTOCOLS[kind]:
            raise CloudError(
                "InvalidConfigurationRequest",
                f"The protocol '{protocol}' is not supported by load balancers of type '{kind}': use one of "
                f"{', '.join(_BALANCER_PROTOCOLS[kind])}",
            )
        siblings = [r for r in cloud.find(self.token, loadBalancerArn=balancer.id) if r.id != own_id]
        # UDP and TCP ports are apart, TCP_UDP takes both.
        layers = {"UDP": {"udp"}, "QUIC": {"udp"}, "TCP_UDP": {"udp", "tcp"}, "TCP_QUIC": {"udp", "tcp"}}
        mine = layers.get(protocol, {"tcp"})
        if any(r["port"] == args["port"] and layers.get(str(r["protocol"]), {"tcp"}) & mine for r in siblings):
            raise CloudError(
                "DuplicateListener", f"A listener already exists on this port for this load balancer '{balancer.id}'"
            )
        quota = quotas.LISTENERS_PER_APPLICATION if kind == "application" else quotas.LISTENERS_PER_NETWORK
        quotas.check_count(
            cloud, quota, len(siblings), "TooManyListeners", "The maximum number of listeners has been reached"
        )
        certificate = args.get("certificateArn", "")
        if formats.is_arn(certificate, "acm") and formats.arn_field(certificate, "region") != cloud.region:
            raise CloudError("CertificateNotFound", f"Certificate '{certificate}' not found")
        _check_targets(cloud, args.get("defaultActions", []), protocol, balancer)

    def before_create(self, args: Args, cloud: Cloud) -> None:
        self._check_state(args, cloud, None)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._check_state(args, cloud, old.id)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        base = args["loadBalancerArn"].replace(":loadbalancer/", ":listener/")
        return f"{base}/{random_source.token_hex(8)}"

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        protocol = self._protocol(args, cloud.get(tokens.LOAD_BALANCER, args["loadBalancerArn"]))
        out: dict[str, Any] = {"arn": id, "protocol": protocol}
        if protocol in _SECURE:
            out["sslPolicy"] = args.get("sslPolicy", _DEFAULT_POLICY)
        if protocol == "TCP":
            out["tcpIdleTimeoutSeconds"] = args.get("tcpIdleTimeoutSeconds", 350)
        if protocol in LAYER_7:
            out["routingHttpResponseServerEnabled"] = args.get("routingHttpResponseServerEnabled", True)
        if protocol == "HTTPS":
            off = {"mode": "off", "trustStoreArn": "", "ignoreClientCertificateExpiry": False}
            out["mutualAuthentication"] = {**off, **args.get("mutualAuthentication", {})}
        return out

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        for token in (tokens.LISTENER_RULE, tokens.LISTENER_CERTIFICATE):
            for child in cloud.find(token, listenerArn=resource.id):
                cloud.remove(token, child.id)


@AWS.kind
class ListenerRule(Kind):
    """aws_lb_listener_rule. https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateRule.html"""

    token = tokens.LISTENER_RULE
    replace_on = ("listenerArn",)
    sets = ("conditions", "actions[*].forward.targetGroups")
    references = (
        Ref("listenerArn", (tokens.LISTENER,), code="ListenerNotFound", blocks_delete=False),
        *_action_refs("actions[*]"),
    )
    not_found_code = "RuleNotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from formats.arns(args, "listenerArn", "elasticloadbalancing", "listener/")
        yield from rules.between(args, "priority", 1, 50000)
        yield from _check_actions(args, "actions")
        conditions = args["conditions"]
        if not isinstance(conditions, list):
            return
        if not conditions:
            yield Fault("conditions", "at least one condition must be given")
        values = 0
        for i, condition in enumerate(conditions):
            if not isinstance(condition, Mapping):
                continue
            given = [key for key in _CONDITIONS if condition.get(key) is not None]
            if len(given) != 1:
                yield Fault(
                    f"conditions[{i}]", f"exactly one of {', '.join(_CONDITIONS)} must be set, got {len(given)}"
                )
            for key in given:
                block = condition[key]
                listed = (
                    block if isinstance(block, list) else block.get("values") if isinstance(block, Mapping) else None
                )
                values += len(listed) if isinstance(listed, list) else 1
        # https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
        if values > 5:
            yield Fault("conditions", f"a rule has at most 5 condition values, got {values}")
        yield from rules.cidr(args, "conditions[*].sourceIp.values[*]")

    def _check_state(self, args: Args, cloud: Cloud, own_id: str | None) -> None:
        listener = cloud.get(tokens.LISTENER, args["listenerArn"])
        balancer = cloud.get(tokens.LOAD_BALANCER, str(listener["loadBalancerArn"])) if listener else None
        if listener is None or balancer is None:
            return
        if balancer["loadBalancerType"] != "application":
            raise CloudError(
                "InvalidConfigurationRequest",
                "Rules are unsupported for listeners of Network and Gateway Load Balancers",
            )
        taken = [r["priority"] for r in cloud.find(self.token, listenerArn=listener.id) if r.id != own_id]
        if "priority" in args and args["priority"] in taken:
            raise CloudError("PriorityInUse", f"Priority '{args['priority']}' is currently in use")
        _check_targets(cloud, args.get("actions", []), str(listener["protocol"]), balancer)

    def before_create(self, args: Args, cloud: Cloud) -> None:
        self._check_state(args, cloud, None)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._check_state(args, cloud, old.id)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{args['listenerArn'].replace(':listener/', ':listener-rule/')}/{random_source.token_hex(8)}"

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        if "priority" in args:
            return {"arn": id}
        taken = [int(r["priority"] or 0) for r in cloud.find(self.token, listenerArn=args["listenerArn"])]
        return {"arn": id, "priority": old["priority"] if old else max(taken, default=0) + 1}


@AWS.kind
class ListenerCertificate(Kind):
    """aws_lb_listener_certificate."""

    token = tokens.LISTENER_CERTIFICATE
    replace_on = ("certificateArn", "listenerArn")
    references = (Ref("listenerArn", (tokens.LISTENER,), code="ListenerNotFound", blocks_delete=False),)
    taggable = False

    def check(self, args: Args) -> Iterable[Fault]:
        yield from formats.arns(args, "listenerArn", "elasticloadbalancing", "listener/")
        yield from formats.arns(args, "certificateArn")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        listener = cloud.get(tokens.LISTENER, args["listenerArn"])
        if listener is not None and listener["protocol"] not in _SECURE:
            raise CloudError(
                "UnsupportedProtocol",
                f"Certificates are not supported for listeners with protocol {listener['protocol']}",
            )
        if formats.arn_field(args["certificateArn"], "region") not in ("", cloud.region):
            raise CloudError("CertificateNotFound", f"Certificate '{args['certificateArn']}' not found")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{args['listenerArn']}_{args['certificateArn']}"
