"""Scaling groups, their hooks and their policies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Final

from sandbox import rules
from sandbox.kinds import Args, Cloud, CloudError, Fault, Ref, Resource
from sandbox.tencentcloud import places, tokens
from sandbox.tencentcloud.api import TencentKind, kept, now
from sandbox.tencentcloud.registry import TENCENTCLOUD

# https://www.tencentcloud.com/document/api/377/31016
SIZE_MAX: Final = 2000
NAME: Final = r"[A-Za-z0-9_.-]{1,55}"
_OPERATORS: Final = (
    "GREATER_THAN", "GREATER_THAN_OR_EQUAL_TO", "LESS_THAN", "LESS_THAN_OR_EQUAL_TO", "EQUAL_TO", "NOT_EQUAL_TO",
)  # fmt: skip
_METRICS: Final = (
    "CPU_UTILIZATION", "MEM_UTILIZATION", "LAN_TRAFFIC_OUT", "LAN_TRAFFIC_IN", "WAN_TRAFFIC_OUT", "WAN_TRAFFIC_IN",
)  # fmt: skip
HOOKS_MAX: Final = 10
"""https://tencentcloud.com/document/product/377/61773"""


@TENCENTCLOUD.kind
class Group(TencentKind):
    """as/resource_tc_as_scaling_group.go"""

    token = tokens.GROUP
    id_prefix = "asg-"
    named = None
    unique = ("scalingGroupName",)
    unique_scope = "account"
    duplicate_code = "InvalidParameterValue.GroupNameDuplicated"
    sets = ("forwardBalancerIds",)
    references = (
        Ref("configurationId", (tokens.CONFIGURATION,), code="ResourceNotFound.LaunchConfigurationIdNotFound"),
        Ref("vpcId", (tokens.VPC,)),
        Ref("subnetIds[*]", (tokens.SUBNET,)),
        Ref("forwardBalancerIds[*].loadBalancerId", (tokens.BALANCER,), blocks_delete=False),
        Ref("forwardBalancerIds[*].listenerId", (tokens.LISTENER,), by="listenerId", blocks_delete=False),
    )
    defaults: ClassVar[dict[str, Any]] = {
        "projectId": 0, "defaultCooldown": 300, "retryPolicy": "IMMEDIATE_RETRY",
    }  # fmt: skip

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from rules.matches(args, "scalingGroupName", NAME, "up to 55 letters, digits, _, - and .")
        for key in ("minSize", "maxSize", "desiredCapacity"):
            yield from rules.between(args, key, 0, SIZE_MAX)
        low, high = args.get("minSize"), args.get("maxSize")
        if isinstance(low, int) and isinstance(high, int) and low > high:
            yield Fault("minSize", f"expected at most maxSize ({high}), got {low}")
        yield from rules.conflicting(args, "forwardBalancerIds", "loadBalancerIds")
        yield from rules.one_of(args, "retryPolicy", ("IMMEDIATE_RETRY", "INCREMENTAL_INTERVALS"))
        yield from rules.one_of(args, "multiZoneSubnetPolicy", ("PRIORITY", "EQUALITY"))
        yield from rules.one_of(args, "terminationPolicies", ("OLDEST_INSTANCE", "NEWEST_INSTANCE"))
        yield from rules.one_of(args, "healthCheckType", ("CVM", "CLB"))
        yield from rules.one_of(args, "replaceMode", ("RECREATE", "RESET"))
        yield from rules.one_of(args, "scalingMode", ("CLASSIC_SCALING", "WAKE_UP_STOPPED_SCALING"))
        yield from rules.between(args, "lbHealthCheckGracePeriod", 0, 7200, "s")
        yield from rules.between(args, "forwardBalancerIds[*].targetAttributes[*].port", 1, 65_535)
        yield from rules.between(args, "forwardBalancerIds[*].targetAttributes[*].weight", 0, 100)
        if "subnetIds" not in args and not args.is_unknown("vpcId"):
            yield Fault("subnetIds", "is required in a VPC")

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        desired = args.get("desiredCapacity")
        if desired is not None and not args["minSize"] <= desired <= args["maxSize"]:
            why = f"The desired capacity {desired} is not between {args['minSize']} and {args['maxSize']}."
            raise CloudError("InvalidParameterValue.Size", why)
        subnets = [s for s in cloud.all(tokens.SUBNET, region=cloud.region) if s.id in args["subnetIds"]]
        for subnet in subnets:
            if subnet["vpcId"] != args["vpcId"]:
                raise CloudError("InvalidParameterValue.SubnetIds", f"{subnet.id} is not of the VPC {args['vpcId']}.")
        self._check_balancers(args, cloud)
        configuration = cloud.get(tokens.CONFIGURATION, args["configurationId"])
        if configuration is not None:
            self._check_offered(configuration["instanceTypes"], [s["availabilityZone"] for s in subnets])

    @staticmethod
    def _check_offered(types: list[str], zones: list[str]) -> None:
        if not any(places.offered(one, zone) for one in types for zone in zones):
            where = f"none of {', '.join(types)} is sold in {', '.join(sorted(set(zones)))}"
            raise CloudError("InvalidParameterValue.InstanceTypeNotSupported", f"Launches would fail: {where}.")

    @staticmethod
    def _check_balancers(args: Args, cloud: Cloud) -> None:
        for link in args.get("forwardBalancerIds") or []:
            balancer = cloud.get(tokens.BALANCER, link["loadBalancerId"])
            listeners = [
                one
                for one in cloud.all(tokens.LISTENER, region=cloud.region)
                if one["listenerId"] == link["listenerId"] and one["clbId"] == link["loadBalancerId"]
            ]
            if not listeners:
                why = f"The listener {link['listenerId']} is not of the balancer {link['loadBalancerId']}."
                raise CloudError("ResourceNotFound.ListenerNotFound", why)
            if balancer is not None and balancer["vpcId"] != args["vpcId"]:
                why = f"The balancer {balancer.id} is in the VPC {balancer['vpcId']}, the group in {args['vpcId']}."
                raise CloudError("InvalidParameterValue.LoadBalancerVpc", why)
            listener = listeners[0]
            if listener["protocol"] in ("HTTP", "HTTPS") and not link.get("ruleId"):
                raise CloudError("InvalidParameterValue.LocationId", "An HTTP(S) listener needs a rule.")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        wanted = args.get("desiredCapacity")
        size = kept(old, "desiredCapacity", args["minSize"]) if wanted is None else wanted
        size = min(max(int(size), int(args["minSize"])), int(args["maxSize"]))
        return {
            "createTime": kept(old, "createTime", now()),
            "status": "NORMAL",
            "desiredCapacity": size,
            "instanceCount": size,
            "healthCheckType": args.get("healthCheckType") or "CVM",
            "multiZoneSubnetPolicy": args.get("multiZoneSubnetPolicy") or "PRIORITY",
            "terminationPolicies": args.get("terminationPolicies") or "OLDEST_INSTANCE",
            "replaceMode": args.get("replaceMode") or "RECREATE",
            "scalingMode": args.get("scalingMode") or "CLASSIC_SCALING",
        }


class _OfGroup(TencentKind):
    """A thing of one group, which goes with it."""

    references = (Ref("scalingGroupId", (tokens.GROUP,), blocks_delete=False),)


@TENCENTCLOUD.kind
class Hook(_OfGroup):
    """as/resource_tc_as_lifecycle_hook.go"""

    token = tokens.HOOK
    id_prefix = "ash-"
    named = "lifecycleHookName"
    name_max = 128
    replace_on = ("scalingGroupId",)
    unique = ("scalingGroupId", "lifecycleHookName")
    defaults: ClassVar[dict[str, Any]] = {
        "defaultResult": "CONTINUE", "heartbeatTimeout": 300, "notificationMetadata": "",
    }  # fmt: skip

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from rules.one_of(args, "lifecycleTransition", ("INSTANCE_LAUNCHING", "INSTANCE_TERMINATING"))
        yield from rules.one_of(args, "defaultResult", ("CONTINUE", "ABANDON"))
        yield from rules.between(args, "heartbeatTimeout", 30, 7200, "s")
        yield from rules.one_of(args, "lifecycleTransitionType", ("NORMAL", "EXTENSION"))
        yield from rules.conflicting(args, "lifecycleCommand", "notificationTargetType")

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        have = len(cloud.find(self.token, scalingGroupId=args["scalingGroupId"]))
        if old is None and have >= HOOKS_MAX:
            raise CloudError("LimitExceeded.QuotaNotEnough", f"A group has at most {HOOKS_MAX} hooks.")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"lifecycleTransitionType": args.get("lifecycleTransitionType") or "NORMAL"}


@TENCENTCLOUD.kind
class ScalingPolicy(_OfGroup):
    """as/resource_tc_as_scaling_policy.go"""

    token = tokens.SCALING_POLICY
    id_prefix = "asp-"
    named = "policyName"
    replace_on = ("scalingGroupId", "policyType")
    unique = ("scalingGroupId", "policyName")
    _SIMPLE: ClassVar[tuple[str, ...]] = (
        "adjustmentType", "adjustmentValue", "comparisonOperator", "metricName", "threshold", "period",
        "continuousTime",
    )  # fmt: skip

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from rules.one_of(args, "policyType", ("SIMPLE", "TARGET_TRACKING"))
        yield from rules.one_of(
            args, "adjustmentType", ("CHANGE_IN_CAPACITY", "EXACT_CAPACITY", "PERCENT_CHANGE_IN_CAPACITY")
        )
        yield from rules.one_of(args, "comparisonOperator", _OPERATORS)
        yield from rules.one_of(args, "metricName", _METRICS)
        yield from rules.one_of(args, "statistic", ("AVERAGE", "MAXIMUM", "MINIMUM"))
        yield from rules.one_of(args, "period", (60, 300))
        yield from rules.between(args, "continuousTime", 1, 10)
        if str(args.get("metricName", "")).endswith("UTILIZATION"):
            yield from rules.between(args, "threshold", 0, 100, "percent")
        tracking = args.get("policyType") == "TARGET_TRACKING"
        for key in ("predefinedMetricType", "targetValue") if tracking else self._SIMPLE:
            if key not in args:
                yield Fault(key, f"is required with policyType {'TARGET_TRACKING' if tracking else 'SIMPLE'}")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            "policyType": args.get("policyType") or "SIMPLE",
            "statistic": args.get("statistic") or "AVERAGE",
            "cooldown": args.get("cooldown") if args.get("cooldown") is not None else 300,
        }
