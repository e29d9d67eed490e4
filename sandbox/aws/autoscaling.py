"""Auto Scaling groups. The stand-in runs no instances; `launches` tells which ones a group would have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from sandbox.aws import launches, quotas, tokens, zones
from sandbox.aws.autoscaling_rules import duration_seconds, group_faults
from sandbox.aws.formats import arn
from sandbox.aws.registry import AWS
from sandbox.aws.stamps import name_of, new_uuid
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Kind, Ref, Resource
from sandbox.values import select

GROUP: Final = tokens.AUTOSCALING_GROUP
_MIXED: Final = "mixedInstancesPolicy.launchTemplate"
_BAD_TEMPLATE: Final = "You must use a valid fully-formed launch template. "

# https://docs.aws.amazon.com/autoscaling/ec2/userguide/autoscaling-service-linked-role.html
_LINKED_ROLE: Final = "aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
# https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-quotas.html
_GROUPS_PER_REGION: Final = ("L-CDE20ADC", 500)


def group_ref(path: str = "autoscalingGroupName") -> Ref:
    """A property that names a group. Deleting a group takes its policies, hooks and schedules along."""
    return Ref(path, (GROUP,), by="name", code="ValidationError", blocks_delete=False)


def _template_refs(path: str, id_key: str, name_key: str) -> tuple[Ref, Ref]:
    # EC2 lets a template go while a group still names it; the group then fails to launch.
    return (
        Ref(f"{path}.{id_key}", (tokens.LAUNCH_TEMPLATE,), code="ValidationError", blocks_delete=False),
        Ref(f"{path}.{name_key}", (tokens.LAUNCH_TEMPLATE,), by="name", code="ValidationError", blocks_delete=False),
    )


@AWS.kind
class Group(Kind):
    token = GROUP
    replace_on = ("name", "namePrefix", "initialLifecycleHooks")
    sets = (
        "availabilityZones", "enabledMetrics", "initialLifecycleHooks", "loadBalancers", "suspendedProcesses", "tags",
        "targetGroupArns", "trafficSources", "vpcZoneIdentifiers", "instanceRefresh.triggers",
    )  # fmt: skip
    write_only = (
        "forceDelete", "forceDeleteWarmPool", "ignoreFailedScalingActivities", "instanceRefresh", "minElbCapacity",
        "namePrefix", "waitForCapacityTimeout", "waitForElbCapacity", "initialLifecycleHooks",
    )  # fmt: skip
    defaults: ClassVar[Mapping[str, Any]] = {
        "forceDelete": False,
        "forceDeleteWarmPool": False,
        "healthCheckGracePeriod": 300,
        "ignoreFailedScalingActivities": False,
        "metricsGranularity": "1Minute",
        "protectFromScaleIn": False,
        "waitForCapacityTimeout": "10m",
    }
    autoname = AutoName("name", 255)
    unique = ("name",)
    duplicate_code = "AlreadyExists"
    references = (
        Ref("vpcZoneIdentifiers[*]", (tokens.SUBNET,), code="ValidationError"),
        Ref("targetGroupArns[*]", (tokens.TARGET_GROUP,), by="arn", code="ValidationError", blocks_delete=False),
        Ref("placementGroup", (tokens.PLACEMENT_GROUP,), by="name", code="ValidationError"),
        *_template_refs("launchTemplate", "id", "name"),
        *_template_refs(f"{_MIXED}.launchTemplateSpecification", "launchTemplateId", "launchTemplateName"),
        *_template_refs(f"{_MIXED}.overrides[*].launchTemplateSpecification", "launchTemplateId", "launchTemplateName"),
    )
    not_found_code = "ValidationError"

    def check(self, args: Args) -> Iterable[Fault]:
        return group_faults(args)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return name_of(args)

    def before_create(self, args: Args, cloud: Cloud) -> None:
        code, default = _GROUPS_PER_REGION
        limit = cloud.quota(code, default)
        if len(cloud.all(GROUP, region=cloud.region)) + 1 > limit:
            raise CloudError(
                "LimitExceeded", f"You've reached the maximum limit of {limit:g} Auto Scaling groups in this region."
            )
        _require_bounds(args)
        self._judge(args, cloud)
        self._wait_for_capacity(args.get("name") or "", args, cloud, None)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        if _asks_for_capacity(args, old):
            _require_bounds(args)
        self._judge(args, cloud)
        # An update waits only when it asks for more than there was.
        if any(args[key] != old[key] for key in ("minSize", "desiredCapacity") if args[key] is not None):
            self._wait_for_capacity(old.id, args, cloud, old)

    def _judge(self, args: Args, cloud: Cloud) -> None:
        vpc = _require_one_vpc(args, cloud)
        _require_target_groups(args, cloud, vpc)
        _require_templates(args, cloud)
        _require_offered(args, cloud)

    def _wait_for_capacity(self, name: str, args: Args, cloud: Cloud, old: Resource | None) -> None:
        """The provider waits until enough instances are in service, and fails when the group cannot launch them
        (https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/autoscaling_group#waiting-for-capacity).
        """
        timeout = str(args.get("waitForCapacityTimeout", "10m"))
        if not duration_seconds(timeout):
            return
        draft = Resource(
            GROUP, name, cloud.region, cloud.account, {}, {**args.values, **self.outputs(name, args, cloud, old)}
        )
        made = launches.launches(draft, cloud)
        wanted, have = args.get("desiredCapacity") or args.get("minSize", 0), launches.capacity(made)
        failed = [launch for launch in made if not launch.launched]
        if have >= wanted:
            return
        if failed and not args.get("ignoreFailedScalingActivities"):
            lines = "\n".join(f"\t* scaling activity ({new_uuid()}): Failed: {launch.reason}" for launch in failed)
            reason = f"{len(failed)} error{'s' if len(failed) > 1 else ''} occurred:\n{lines}"
        else:
            state = f"want at least {wanted} healthy instance(s) in Auto Scaling Group, have {have}"
            reason = f"timeout while waiting for state to become 'ok' (last state: '{state}', timeout: {timeout})"
        raise CloudError(
            "CapacityNotSatisfied", f"waiting for Auto Scaling Group ({name}) capacity satisfied: {reason}"
        )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        resource = f"autoScalingGroup:{new_uuid()}:autoScalingGroupName/{id}"
        out: dict[str, Any] = {
            "name": id,
            "arn": old["arn"] if old else arn("autoscaling", cloud.region, cloud.account, resource),
            "availabilityZones": list(_zones(args, cloud)),
            "desiredCapacity": _desired(args, old),
            "defaultCooldown": args.get("defaultCooldown", 300),
            "healthCheckType": args.get("healthCheckType", "EC2"),
            "predictedCapacity": 0,
            "warmPoolSize": (args.get("warmPool") or {}).get("minSize", 0),
            "serviceLinkedRoleArn": args.get("serviceLinkedRoleArn")
            or arn("iam", "", cloud.account, f"role/{_LINKED_ROLE}", partition_of=cloud.region),
        }
        if "launchTemplate" in args:
            out["launchTemplate"] = _resolved(args["launchTemplate"], "id", "name", cloud)
        if "mixedInstancesPolicy" in args:
            out["mixedInstancesPolicy"] = _filled_policy(args["mixedInstancesPolicy"], cloud)
        return out

    def before_delete(self, resource: Resource, cloud: Cloud) -> None:
        """Without forceDelete the provider sets the group to 0 and waits until it is empty: instances protected from
        scale-in never go
        (https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-instance-protection.html)."""
        if resource["forceDelete"]:
            return
        running = sum(launch.launched for launch in launches.launches(resource, cloud))
        if running and resource["protectFromScaleIn"]:
            state = f"want exactly 0 healthy instance(s) in Auto Scaling Group, have {running}"
            raise CloudError(
                "ResourceInUse",
                f"waiting for Auto Scaling Group ({resource.id}) drained: timeout while waiting for state to "
                "become 'ok' "
                f"(last state: '{state}', timeout: 10m0s)",
            )
        if running and "Terminate" in (resource["suspendedProcesses"] or []):
            raise CloudError(
                "ResourceInUse",
                f"waiting for Auto Scaling Group ({resource.id}) drained: the process Terminate is suspended, "
                f"{running} instance(s) stay",
            )

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        for token in OWNED:
            for other in cloud.all(token, region=resource.region):
                if other["autoscalingGroupName"] == resource.id:
                    cloud.remove(token, other.id)


OWNED: Final = (
    "aws:autoscaling/policy:Policy",
    "aws:autoscaling/lifecycleHook:LifecycleHook",
    "aws:autoscaling/schedule:Schedule",
    "aws:autoscaling/attachment:Attachment",
    "aws:autoscaling/tag:Tag",
    "aws:autoscaling/trafficSourceAttachment:TrafficSourceAttachment",
)
"""What belongs to a group and goes with it."""


def owned_id(token: str, name: str, group: str, cloud: Cloud) -> str:
    """The provider knows a group's policies and hooks by their bare name, which two groups may share: the second one
    is known as `group/name`, which is the form that the provider's import takes."""
    same = cloud.get(token, name)
    return name if same is None or same["autoscalingGroupName"] == group else f"{group}/{name}"


def _zones(args: Args, cloud: Cloud) -> tuple[str, ...]:
    wanted = set(args.get("vpcZoneIdentifiers") or [])
    found = {s["availabilityZone"] for s in cloud.all(tokens.SUBNET, region=cloud.region) if s.id in wanted}
    return tuple(sorted(z for z in found or set(args.get("availabilityZones") or []) if z))


def _asks_for_capacity(args: Args, old: Resource) -> bool:
    """Whether an update sends the desired capacity: only when it differs from the one the group was given before."""
    return bool(args.get("desiredCapacity") != old.inputs.get("desiredCapacity"))


def _require_bounds(args: Args) -> None:
    """A desired capacity that is sent must lie within the bounds that are sent with it."""
    desired, low, high = args.get("desiredCapacity"), args.get("minSize", 0), args.get("maxSize", 0)
    if desired is not None and not low <= desired <= high:
        raise CloudError(
            "ValidationError",
            f"Desired capacity:{desired} must be between the specified min size:{low} and max size:{high}",
        )


def _desired(args: Args, old: Resource | None) -> int:
    """The capacity asked for; the minimum when a new group is not asked. An old group keeps its own within the new
    bounds: the API moves the capacity when a minimum or maximum passes it
    (https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_UpdateAutoScalingGroup.html)."""
    given, low, high = args.get("desiredCapacity"), args.get("minSize", 0), args.get("maxSize", 0)
    if old is not None and not _asks_for_capacity(args, old):
        return int(min(max(old["desiredCapacity"], low), high))
    return int(low if given is None else given)


def _resolved(reference: Mapping[str, Any], id_key: str, name_key: str, cloud: Cloud) -> dict[str, Any]:
    """A template reference as the API returns it: with id, name and version."""
    template = find_template(reference, cloud, id_key, name_key)
    known = {id_key: template.id, name_key: template["name"]} if template else {}
    return {"version": "$Default", **known, **reference}


def find_template(reference: Mapping[str, Any], cloud: Cloud, id_key: str, name_key: str) -> Resource | None:
    """The launch template that a reference means, None when it does not exist in this region."""
    wanted_id, wanted_name = reference.get(id_key), reference.get(name_key)
    if wanted_id:
        return cloud.get(tokens.LAUNCH_TEMPLATE, wanted_id)
    return next(iter(cloud.find(tokens.LAUNCH_TEMPLATE, name=wanted_name)), None) if wanted_name else None


def _filled_policy(policy: Mapping[str, Any], cloud: Cloud) -> dict[str, Any]:
    """The API returns the distribution's defaults, and template references with id and name
    (https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstancesDistribution.html)."""
    given = policy.get("instancesDistribution") or {}
    distribution = {
        "onDemandAllocationStrategy": "prioritized",
        "onDemandBaseCapacity": 0,
        "onDemandPercentageAboveBaseCapacity": 100,
        "spotAllocationStrategy": launches.DEFAULT_SPOT_STRATEGY,
        "spotMaxPrice": "",
        **given,
    }
    if distribution["spotAllocationStrategy"] == "lowest-price":
        distribution.setdefault("spotInstancePools", 2)
    template = dict(policy.get("launchTemplate") or {})
    reference = template.get("launchTemplateSpecification") or {}
    template["launchTemplateSpecification"] = _resolved(reference, "launchTemplateId", "launchTemplateName", cloud)
    return {"instancesDistribution": distribution, "launchTemplate": template}


def _require_one_vpc(args: Args, cloud: Cloud) -> str:
    """All subnets of a group are in one VPC, and zones named directly exist here. Returns the VPC, or ""."""
    subnets = [cloud.get(tokens.SUBNET, id) for id in args.get("vpcZoneIdentifiers") or []]
    vpcs = {s["vpcId"] for s in subnets if s is not None}
    if len(vpcs) > 1:
        raise CloudError("ValidationError", f"The subnets must be in one VPC; these are in {', '.join(sorted(vpcs))}")
    for zone in args.get("availabilityZones") or []:
        if zone not in zones.zone_names(cloud.region):
            raise CloudError("ValidationError", f"Invalid availability zone: {zone}")
    return str(next(iter(vpcs), "") or "")


def _require_target_groups(args: Args, cloud: Cloud, vpc: str) -> None:
    """https://docs.aws.amazon.com/autoscaling/ec2/userguide/attach-load-balancer-asg.html: same VPC, targets by
    instance."""
    for target_arn in args.get("targetGroupArns") or []:
        for target in cloud.find(tokens.TARGET_GROUP, arn=target_arn):
            if (target["targetType"] or "instance") != "instance":
                raise CloudError(
                    "ValidationError",
                    f"Provided Target Groups may not be valid: {target_arn} has targets of type {target['targetType']}",
                )
            if vpc and target["vpcId"] and target["vpcId"] != vpc:
                raise CloudError(
                    "ValidationError",
                    f"Provided Target Groups may not be valid: {target_arn} is in {target['vpcId']}, the "
                    f"group in {vpc}",
                )


def _require_templates(args: Args, cloud: Cloud) -> None:
    """Version, image, type and market options of the launch templates that a group names."""
    overrides = [o for _, o in select(args.values, f"{_MIXED}.overrides[*]") if isinstance(o, Mapping)]
    all_typed = bool(overrides) and all(o.get("instanceType") or o.get("instanceRequirements") for o in overrides)
    references = [(r, "id", "name", False) for _, r in args.at("launchTemplate")]
    mixed = (f"{_MIXED}.launchTemplateSpecification", f"{_MIXED}.overrides[*].launchTemplateSpecification")
    references += [(r, "launchTemplateId", "launchTemplateName", True) for path in mixed for _, r in args.at(path)]
    for reference, id_key, name_key, is_mixed in references:
        template = find_template(reference, cloud, id_key, name_key)
        if template is None:
            raise CloudError(
                "ValidationError", _BAD_TEMPLATE + f"The specified launch template {dict(reference)} does not exist."
            )
        version, latest = str(reference.get("version") or "$Default"), template["latestVersion"] or 1
        if version.isdecimal() and not 1 <= int(version) <= latest:
            raise CloudError(
                "ValidationError",
                _BAD_TEMPLATE
                + f"Could not find the specified version {version} for the launch template with ID {template.id}.",
            )
        if not template["imageId"]:
            raise CloudError("ValidationError", _BAD_TEMPLATE + "The launch template must contain an ImageId.")
        if not all_typed and not template["instanceType"] and not template["instanceRequirements"]:
            raise CloudError("ValidationError", _BAD_TEMPLATE + "The launch template must contain an InstanceType.")
        # https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-mixed-instances-groups.html
        if is_mixed and (template["instanceMarketOptions"] or {}).get("marketType") == "spot":
            raise CloudError(
                "ValidationError",
                "Incompatible launch template: a mixed instances policy cannot be used with a template that "
                "requests Spot "
                f"Instances (InstanceMarketOptions of {template.id}).",
            )


def _require_offered(args: Args, cloud: Cloud) -> None:
    """Every type of a group is offered in at least one of its zones."""
    wanted = {t for _, t in args.at(f"{_MIXED}.overrides[*].instanceType")}
    if "launchTemplate" in args:
        template = find_template(args["launchTemplate"], cloud, "id", "name")
        wanted |= {template["instanceType"]} if template and template["instanceType"] else set()
    own_zones = _zones(args, cloud)
    for machine_type in sorted(wanted):
        if quotas.instance_type(machine_type) is None:
            raise CloudError("ValidationError", f"Invalid instance type: {machine_type}")
        if own_zones and not any(zones.is_offered(machine_type, zone) for zone in own_zones):
            offered = zones.offered_zones(machine_type, cloud.region) or ()
            raise CloudError(
                "ValidationError",
                f"Your requested instance type ({machine_type}) is not supported in your requested Availability Zones "
                f"({', '.join(own_zones)}); {cloud.region} offers it in {', '.join(offered) or 'no zone'}.",
            )
