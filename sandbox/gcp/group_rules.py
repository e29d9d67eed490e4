"""What a regional managed instance group may say, and what it needs of its templates, zones, quotas and weather."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sandbox.gcp import links, places, template_rules, tokens
from sandbox.gcp.api import NAME, NAME_WORDS, invalid
from sandbox.kinds import Args, Cloud, CloudError, Fault, Resource
from sandbox.rules import between, length, matches, one_of, shown

SHAPES: Final = ("EVEN", "BALANCED", "ANY", "ANY_SINGLE_ZONE")
_ACTIONS: Final = ("NONE", "REFRESH", "RESTART", "REPLACE")
"""From the least to the most disruptive one."""
# https://docs.cloud.google.com/compute/docs/instance-groups/configure-instance-flexibility
SELECTIONS_MAX: Final = 10
MACHINE_TYPES_MAX: Final = 15
DEFAULT_GPU_QUOTA: Final = 64
"""GPUs of each kind and market and in all: new projects have 0; the stand-in's asked for them, as any that wants to
run this must."""


def zone_faults(args: Args) -> Iterator[Fault]:
    """Zones at creation only; every shape but EVEN leaves the spreading to capacity, so nothing redistributes
    (https://docs.cloud.google.com/compute/docs/instance-groups/regional-mig-set-target-distribution-shape)."""
    yield from one_of(args, "distributionPolicyTargetShape", SHAPES)
    for path, zone in args.at("distributionPolicyZones[*]"):
        if not isinstance(zone, str) or links.name_of(zone) not in places.zones(links.name_of(zone).rsplit("-", 1)[0]):
            yield Fault(path, f"expected a zone such as us-central1-a, got {shown(zone)}")
    zones = [links.name_of(z) for z in args.get("distributionPolicyZones") or [] if isinstance(z, str)]
    if len(set(zones)) != len(zones):
        yield Fault("distributionPolicyZones", "names a zone twice")
    shape = args.get("distributionPolicyTargetShape", "EVEN")
    policy = args.get("updatePolicy") or {}
    if args.is_unknown("distributionPolicyTargetShape") or args.is_unknown("updatePolicy"):
        return
    if shape != "EVEN" and policy.get("instanceRedistributionType", "PROACTIVE") != "NONE":
        yield Fault(
            "updatePolicy.instanceRedistributionType",
            f"has to be NONE with distributionPolicyTargetShape {shape} (left out, it is PROACTIVE)",
        )
    if shape != "EVEN" and len(args.get("versions") or []) > 1:
        yield Fault("versions", f"expected one version with distributionPolicyTargetShape {shape}")


def version_faults(args: Args) -> Iterator[Fault]:
    """One version, or two of which all but one have a size."""
    yield from length(args, "versions", 1, 2)
    versions = args.get("versions")
    if versions is None:
        return
    yield from between(args, "versions[*].targetSize.percent", 0, 100)
    for i, version in enumerate(versions):
        size = version.get("targetSize") or {}
        if size.get("fixed") is not None and size.get("percent") is not None:
            yield Fault(f"versions[{i}].targetSize.percent", "conflicts with fixed")
    if len([v for v in versions if v.get("targetSize") is None]) != 1:
        yield Fault("versions", "exactly one version has no targetSize: it takes what the others leave")
    names = [version.get("name") for version in versions]
    if len(versions) > 1 and len(set(names)) != len(names):
        yield Fault("versions", "names of versions must differ from each other")


def flexibility_faults(args: Args) -> Iterator[Fault]:
    """Machine types in ranked selections. Types with GPUs must agree in what the template says of disks, or bring
    disks of their own (https://docs.cloud.google.com/compute/docs/instance-groups/about-instance-flexibility)."""
    selections = (args.get("instanceFlexibilityPolicy") or {}).get("instanceSelections")
    if selections is None:
        return
    path = "instanceFlexibilityPolicy.instanceSelections"
    if not 1 <= len(selections) <= SELECTIONS_MAX:
        yield Fault(path, f"expected 1 to {SELECTIONS_MAX} selections, got {len(selections)}")
    yield from matches(args, f"{path}[*].name", NAME, NAME_WORDS)
    yield from between(args, f"{path}[*].rank", 0, 2**31 - 1)
    names = [selection["name"] for selection in selections]
    if len(set(names)) != len(names):
        yield Fault(path, "names of selections must differ from each other")
    seen: Counter[str] = Counter()
    for i, selection in enumerate(selections):
        types = selection["machineTypes"]
        seen.update(set(types))
        if not 1 <= len(types) <= MACHINE_TYPES_MAX:
            yield Fault(f"{path}[{i}].machineTypes", f"expected 1 to {MACHINE_TYPES_MAX} types, got {len(types)}")
        for j, name in enumerate(types):
            if "/" in name or "-" not in name:
                yield Fault(f"{path}[{i}].machineTypes[{j}]", f"expected the name of a machine type, got {shown(name)}")
        if selection.get("disks"):
            for name in types:
                machine = places.machine(name)
                yield from template_rules.disk_faults(selection["disks"], machine, f"{path}[{i}].disks")
    for name, count in seen.items():
        if count > 1:
            yield Fault(path, f"{name} is in {count} selections; a machine type may be in one")
    if args.get("distributionPolicyTargetShape", "EVEN") == "EVEN" and not args.is_unknown(
        "distributionPolicyTargetShape"
    ):
        yield Fault(
            "distributionPolicyTargetShape",
            "expected BALANCED, ANY or ANY_SINGLE_ZONE with an instanceFlexibilityPolicy, got EVEN",
        )


def healing_faults(args: Args) -> Iterator[Fault]:
    """https://docs.cloud.google.com/compute/docs/instance-groups/autohealing-instances-in-migs"""
    yield from between(args, "autoHealingPolicies.initialDelaySec", 0, 3600, "seconds")
    yield from one_of(args, "instanceLifecyclePolicy.defaultActionOnFailure", ("REPAIR", "DO_NOTHING"))
    yield from one_of(args, "instanceLifecyclePolicy.onFailedHealthCheck", ("DEFAULT_ACTION", "REPAIR", "DO_NOTHING"))
    yield from one_of(args, "instanceLifecyclePolicy.forceUpdateOnRepair", ("YES", "NO"))
    yield from one_of(args, "instanceLifecyclePolicy.onRepair.allowChangingZone", ("YES", "NO"))
    yield from one_of(args, "standbyPolicy.mode", ("MANUAL", "SCALE_OUT_POOL"))
    yield from between(args, "standbyPolicy.initialDelaySec", 0, 3600, "seconds")
    lifecycle = args.get("instanceLifecyclePolicy") or {}
    explicit = lifecycle.get("onFailedHealthCheck") in ("REPAIR", "DO_NOTHING")
    if explicit and args["autoHealingPolicies"] is None:
        yield Fault("instanceLifecyclePolicy.onFailedHealthCheck", "needs autoHealingPolicies")


def update_faults(args: Args) -> Iterator[Fault]:
    """https://docs.cloud.google.com/compute/docs/instance-groups/rolling-out-updates-to-managed-instance-groups"""
    policy = args.get("updatePolicy")
    if policy is None:
        return
    at = "updatePolicy"
    yield from one_of(args, f"{at}.type", ("OPPORTUNISTIC", "PROACTIVE"))
    yield from one_of(args, f"{at}.minimalAction", _ACTIONS)
    yield from one_of(args, f"{at}.mostDisruptiveAllowedAction", _ACTIONS)
    yield from one_of(args, f"{at}.instanceRedistributionType", ("PROACTIVE", "NONE"))
    yield from one_of(args, f"{at}.replacementMethod", ("RECREATE", "SUBSTITUTE"))
    yield from between(args, f"{at}.minReadySec", 0, 3600, "seconds")
    for what in ("maxSurge", "maxUnavailable"):
        yield from between(args, f"{at}.{what}Percent", 0, 100)
        yield from between(args, f"{at}.{what}Fixed", 0, 4000)
        if policy.get(f"{what}Fixed") is not None and policy.get(f"{what}Percent") is not None:
            yield Fault(f"{at}.{what}Percent", f"conflicts with {what}Fixed")
    least, most = policy.get("minimalAction"), policy.get("mostDisruptiveAllowedAction")
    if least in _ACTIONS and most in _ACTIONS and _ACTIONS.index(most) < _ACTIONS.index(least):
        yield Fault(f"{at}.mostDisruptiveAllowedAction", f"is less disruptive than minimalAction {least}: {most}")
    surge = policy.get("maxSurgeFixed") or policy.get("maxSurgePercent")
    if policy.get("replacementMethod") == "RECREATE" and surge:
        yield Fault(f"{at}.maxSurgeFixed", "has to be 0 with replacementMethod RECREATE")
    if policy.get("replacementMethod") == "RECREATE" and policy.get("maxSurgeFixed") is None:
        yield Fault(f"{at}.maxSurgeFixed", "has to be 0 with replacementMethod RECREATE (left out, it is more)")
    none = [
        policy.get(f"{what}Fixed") == 0 or policy.get(f"{what}Percent") == 0 for what in ("maxSurge", "maxUnavailable")
    ]
    if all(none):
        yield Fault(f"{at}.maxUnavailableFixed", "maxSurge and maxUnavailable cannot both be 0")
    if args.get("statefulDisks") and surge:
        yield Fault(f"{at}.maxSurgeFixed", "has to be 0 for stateful groups")


def port_faults(args: Args) -> Iterator[Fault]:
    """Named ports: a name may stand for several ports, a pair only once."""
    yield from matches(args, "namedPorts[*].name", NAME, NAME_WORDS)
    yield from between(args, "namedPorts[*].port", 1, 65535)
    pairs = [(p.get("name"), p.get("port")) for p in args.get("namedPorts") or []]
    if len(set(pairs)) != len(pairs):
        yield Fault("namedPorts", "names the same port twice")


def stateful_faults(args: Args) -> Iterator[Fault]:
    """https://docs.cloud.google.com/compute/docs/instance-groups/configuring-stateful-migs"""
    deletes = ("NEVER", "ON_PERMANENT_INSTANCE_DELETION")
    stateful = [key for key in ("statefulDisks", "statefulInternalIps", "statefulExternalIps") if args.get(key)]
    for key in stateful:
        yield from one_of(args, f"{key}[*].deleteRule", deletes)
    if stateful and args.get("instanceFlexibilityPolicy"):
        yield Fault("instanceFlexibilityPolicy", f"does not go with {stateful[0]}")
    policy = args.get("updatePolicy") or {}
    if stateful and policy.get("instanceRedistributionType", "PROACTIVE") != "NONE":
        yield Fault("updatePolicy.instanceRedistributionType", f"has to be NONE with {stateful[0]}")


# State: templates, zones, quotas, weather


def machine_types(args: Args, template: Resource) -> list[str]:
    """The types a group may launch, preferred first: its selections by rank, or the template's own."""
    selections = (args.get("instanceFlexibilityPolicy") or {}).get("instanceSelections") or []
    ranked = sorted(selections, key=lambda s: s.get("rank") or 0)
    return [name for selection in ranked for name in selection["machineTypes"]] or [str(template["machineType"])]


def check_template(template: Resource, args: Args, zones: tuple[str, ...], cloud: Cloud) -> None:
    """A template of the region, types that some zone of the group offers, and disks that every type takes.

    EVEN wants every zone to offer the type: Compute Engine refuses a group that could never be even
    (https://docs.cloud.google.com/compute/docs/instance-groups/regional-mig-distribution-shape).
    """
    if template.token == tokens.REGION_INSTANCE_TEMPLATE and template.region != cloud.region:
        raise invalid("versions[0].instanceTemplate", template.id, f"The template is not in {cloud.region}.")
    check_subnets(template, cloud)
    selections = (args.get("instanceFlexibilityPolicy") or {}).get("instanceSelections") or []
    own_disks = {name for s in selections if s.get("disks") for name in s["machineTypes"]}
    even = (args.get("distributionPolicyTargetShape") or "EVEN") == "EVEN"
    for name in machine_types(args, template):
        offered = [zone for zone in zones if zone in places.offered_zones(name, cloud.region)]
        missing = [zone for zone in zones if zone not in offered]
        if not offered or (even and missing):
            known = ", ".join(places.offered_zones(name, cloud.region)) or "none"
            raise CloudError(
                "invalid",
                f"Machine type with name '{name}' does not exist in zone '{missing[0]}'. "
                f"Zones of {cloud.region} that offer it: {known}.",
            )
        machine = places.machine(name)
        if machine is None:
            continue
        if name not in own_disks:
            faults = list(template_rules.disk_faults(template.inputs.get("disks") or [], machine))
            if faults:
                raise CloudError("invalid", f"{name}: {faults[0].path}: {faults[0].reason}")
        check_selected(name, machine, template)


def check_selected(name: str, machine: places.Machine, template: Resource) -> None:
    """A type that takes the template's place must fit its accelerators, network cards and provisioning model."""
    inputs = {**template.inputs, "machineType": name}
    for faults in (
        template_rules.scheduling_faults(Args(inputs)),
        template_rules.accelerator_faults(Args(inputs)),
        template_rules.interface_faults(Args(inputs)),
    ):
        for fault in faults:
            raise CloudError("invalid", f"{name}: {fault.path}: {fault.reason}")


def check_subnets(template: Resource, cloud: Cloud) -> None:
    """A global template may name a subnetwork of any region; a group needs one of its own."""
    for interface in template["networkInterfaces"] or []:
        link = links.parse(interface.get("subnetwork"))
        if link is not None and link.region is not None and link.region != cloud.region:
            why = f"The subnetwork is in {link.region}, the group in {cloud.region}."
            raise invalid("versions[0].instanceTemplate", template.id, why)


def market(template: Resource) -> str:
    """`spot` for Spot and preemptible instances and Flex-start, which use preemptible quota; `on-demand` otherwise."""
    scheduling: Mapping[str, Any] = template["scheduling"] or {}
    spot = scheduling.get("preemptible") or scheduling.get("provisioningModel") in ("SPOT", "FLEX_START")
    return "spot" if spot else "on-demand"


def _used(metric: str, cloud: Cloud, region: str | None, but: Resource | None) -> int:
    """GPUs that groups hold against a metric, in a region or everywhere."""
    total = 0
    for group in cloud.all(tokens.GROUP, region=region):
        if but is not None and group.id == but.id:
            continue
        for version in (group["versions"] or [])[:1]:
            link = links.relative(str(version.get("instanceTemplate")))
            template = next((t for token in _TEMPLATES for t in cloud.all(token) if t.id == link), None)
            if template is None:
                continue
            machine = places.machine(machine_types(Args(group.inputs), template)[0])
            if machine is not None and metric in (_metric(machine, template), machine.all_regions_quota):
                total += machine.gpus * int(group["targetSize"] or 0)
    return total


_TEMPLATES: Final = (tokens.INSTANCE_TEMPLATE, tokens.REGION_INSTANCE_TEMPLATE)


def _metric(machine: places.Machine, template: Resource) -> str:
    return machine.spot_quota if market(template) == "spot" else machine.on_demand_quota


def check_quotas(args: Args, template: Resource, size: int, cloud: Cloud, old: Resource | None) -> None:
    """GPUs of the kind in the region, by market, and GPUs in all regions together
    (https://docs.cloud.google.com/compute/resource-usage#gpu_quota)."""
    machine = places.machine(machine_types(args, template)[0])
    if machine is None:
        return
    wanted = machine.gpus * size
    metric = _metric(machine, template)
    for name, region in ((metric, cloud.region), (machine.all_regions_quota, None)):
        limit = cloud.quota(name, DEFAULT_GPU_QUOTA, region=region)
        used = _used(name, cloud, region, old)
        if used + wanted > limit:
            where = f"in region {region}" if region else "globally"
            raise CloudError(
                "quotaExceeded",
                f"Quota '{name}' exceeded.  Limit: {limit:.1f} {where}; {used} in use, {wanted} asked for.",
            )


def check_capacity(args: Args, template: Resource, zones: tuple[str, ...], cloud: Cloud) -> None:
    """Raises CloudError when no zone has any of the types: what a group that waits for its instances ends with."""
    names = machine_types(args, template)
    for zone in zones:
        for name in names:
            if zone in places.offered_zones(name, cloud.region) and not cloud.sold_out(zone, name, market(template)):
                return
    raise CloudError(
        "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS",
        f"The zones {', '.join(zones)} do not have enough resources available to fulfill the request: "
        f"{', '.join(names)}; timed out while waiting for instances to be stable.",
    )


def check_update_sizes(args: Args, zones: tuple[str, ...]) -> None:
    """Fixed numbers are 0 or at least the number of zones: a regional group rolls zone by zone
    (https://docs.cloud.google.com/compute/docs/instance-groups/rolling-out-updates-to-managed-instance-groups#max_surge).
    """
    policy = args.get("updatePolicy") or {}
    for what in ("maxSurge", "maxUnavailable"):
        value = policy.get(f"{what}Fixed")
        if value is not None and 0 < value < len(zones):
            why = (
                f"Fixed updatePolicy.{what} for regional managed instance group has to be either 0 or at least equal "
                f"to the number of zones ({len(zones)})."
            )
            raise invalid(f"updatePolicy.{what}.fixed", value, why)
        percent = policy.get(f"{what}Percent")
        size = args.get("targetSize")
        if percent and size is not None and size < 10:
            why = "Percent updatePolicy is allowed only for groups of at least 10 instances."
            raise invalid(f"updatePolicy.{what}.percent", percent, why)
