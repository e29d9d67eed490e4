"""Value rules that launch templates and instances share: what EC2 takes as the description of a machine to launch."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from sandbox import rules
from sandbox.aws import formats, quotas
from sandbox.kinds import Args, Fault

USER_DATA_BYTES: Final = 16384
"""Before it is base64-encoded: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html"""
MAX_HOPS: Final = 64
ON_OFF: Final = ("enabled", "disabled")
_CARD_0_WITHOUT_EFA: Final = ("p6-b300.",)
"""https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa-acc-inst-types.html"""
_EFA: Final = ("efa", "efa-only")


def below(path: str, faults: Iterator[Fault]) -> Iterator[Fault]:
    """The same faults with their paths below another one."""
    for fault in faults:
        yield Fault(f"{path}.{fault.path}", fault.reason)


def block(args: Args, key: str) -> Args | None:
    """A nested object, None when it is absent or unknown as a whole."""
    value = args[key]
    return Args(value) if isinstance(value, Mapping) else None


def machine_type(args: Args, key: str = "instanceType") -> Iterator[Fault]:
    """A machine type that EC2 has, with the nearest name when it has not."""
    for path, value in args.at(key):
        if not isinstance(value, str) or quotas.instance_type(value) is None:
            close = difflib.get_close_matches(str(value), quotas.instance_type_names(), n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            yield Fault(path, f"{rules.shown(value)} is not an instance type of EC2{hint}")


def image(args: Args, key: str) -> Iterator[Fault]:
    """An image id, or the SSM parameter that holds one."""
    for path, value in args.at(key):
        if not (formats.is_id(value, "ami") or (isinstance(value, str) and value.startswith("resolve:ssm:"))):
            like = "ami-0123456789abcdef0 or resolve:ssm:<parameter>"
            yield Fault(path, f"expected an image id such as {like}, got {rules.shown(value)}")


def encoded_user_data(args: Args, key: str) -> Iterator[Fault]:
    """User data in base64, at most 16 KB before encoding."""
    for path, value in args.at(key):
        data = formats.decoded_base64(value)
        if data is None:
            yield Fault(path, "expected user data encoded in base64")
        elif len(data) > USER_DATA_BYTES:
            yield Fault(path, f"user data is limited to {USER_DATA_BYTES:,} bytes before encoding, got {len(data):,}")


def metadata(args: Args, key: str = "metadataOptions") -> Iterator[Fault]:
    """IMDS: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceMetadataOptionsRequest.html"""
    yield from rules.one_of(args, f"{key}.httpEndpoint", ON_OFF)
    yield from rules.one_of(args, f"{key}.httpTokens", ("optional", "required"))
    yield from rules.one_of(args, f"{key}.httpProtocolIpv6", ON_OFF)
    yield from rules.one_of(args, f"{key}.instanceMetadataTags", ON_OFF)
    yield from rules.between(args, f"{key}.httpPutResponseHopLimit", 1, MAX_HOPS)


def market(args: Args, type_key: str = "instanceType", key: str = "instanceMarketOptions") -> Iterator[Fault]:
    """Spot and capacity-block options: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_SpotMarketOptions.html"""
    options = block(args, key)
    if options is None:
        return
    yield from rules.one_of(args, f"{key}.marketType", ("spot", "capacity-block", "interruptible-capacity-reservation"))
    kind, spot = options.get("marketType"), block(options, "spotOptions")
    found = quotas.instance_type(args.get(type_key, ""))
    if found is not None and kind in ("spot", "capacity-block") and kind not in found.usage_classes:
        yield Fault(
            f"{key}.marketType", f"{found.name} is not sold as {kind}, only as {', '.join(found.usage_classes)}"
        )
    if spot is not None:
        if kind not in (None, "spot"):
            yield Fault(f"{key}.spotOptions", f"can only be set with marketType spot, this is {kind}")
        yield from below(f"{key}.spotOptions", _spot(spot))
    if kind == "capacity-block":
        target = block(block(args, "capacityReservationSpecification") or Args({}), "capacityReservationTarget")
        if target is None and not args.is_unknown("capacityReservationSpecification"):
            yield Fault(
                "capacityReservationSpecification",
                "marketType capacity-block needs capacityReservationTarget.capacityReservationId",
            )
    if kind == "spot" and args.get("disableApiTermination") is True:
        yield Fault("disableApiTermination", "termination protection cannot be on for spot instances")


def _spot(spot: Args) -> Iterator[Fault]:
    yield from rules.one_of(spot, "spotInstanceType", ("one-time", "persistent"))
    yield from rules.one_of(spot, "instanceInterruptionBehavior", ("hibernate", "stop", "terminate"))
    for path, value in spot.at("maxPrice"):
        if not str(value).replace(".", "", 1).isdigit() or float(value) <= 0:
            yield Fault(path, f"expected a price per hour in USD such as 12.5, got {rules.shown(value)}")
    for path, value in spot.at("blockDurationMinutes"):
        if value not in (60, 120, 180, 240, 300, 360):
            yield Fault(path, f"expected a multiple of 60 up to 360, got {rules.shown(value)}")
    persistent = spot.get("spotInstanceType", "one-time") == "persistent"
    known = not spot.is_unknown("spotInstanceType")
    if spot.get("instanceInterruptionBehavior") in ("hibernate", "stop") and known and not persistent:
        yield Fault("instanceInterruptionBehavior", "hibernate and stop need spotInstanceType persistent")
    for path, value in spot.at("validUntil"):
        try:
            datetime.fromisoformat(str(value).replace("Z", "+00:00"))
        except ValueError:
            yield Fault(path, f"expected a time such as 2027-01-31T12:00:00Z, got {rules.shown(value)}")
        if known and not persistent:
            yield Fault(path, "needs spotInstanceType persistent")


def reservations(args: Args, key: str = "capacityReservationSpecification") -> Iterator[Fault]:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CapacityReservationSpecification.html"""
    spec = block(args, key)
    if spec is None:
        return
    preference = f"{key}.capacityReservationPreference"
    target = f"{key}.capacityReservationTarget"
    yield from rules.one_of(args, preference, ("capacity-reservations-only", "open", "none"))
    yield from formats.ids(args, f"{target}.capacityReservationId", "cr")
    yield from formats.arns(args, f"{target}.capacityReservationResourceGroupArn", "resource-groups", "group/")
    chosen = block(spec, "capacityReservationTarget")
    if chosen is None:
        return
    if spec.get("capacityReservationPreference") in ("open", "none"):
        yield Fault(target, "conflicts with capacityReservationPreference: only one of them may be set")
    yield from below(target, rules.exactly_one(chosen, "capacityReservationId", "capacityReservationResourceGroupArn"))


def placement(args: Args, key: str = "placement") -> Iterator[Fault]:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_LaunchTemplatePlacementRequest.html"""
    entry = block(args, key)
    if entry is None:
        return
    yield from rules.one_of(args, f"{key}.tenancy", ("default", "dedicated", "host"))
    yield from formats.zone(args, f"{key}.availabilityZone")
    yield from formats.ids(args, f"{key}.groupId", "pg")
    yield from below(key, rules.conflicting(entry, "groupName", "groupId"))
    yield from below(key, rules.conflicting(entry, "hostId", "hostResourceGroupArn"))
    yield from rules.between(args, f"{key}.partitionNumber", 1, 7)
    if entry.get("affinity") and entry.get("tenancy") != "host":
        yield Fault(f"{key}.affinity", "needs tenancy host")


def cpu(args: Args, key: str = "cpuOptions") -> Iterator[Fault]:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-optimize-cpu.html"""
    yield from rules.one_of(args, f"{key}.threadsPerCore", (1, 2))
    yield from rules.one_of(args, f"{key}.amdSevSnp", ON_OFF)
    yield from rules.one_of(args, f"{key}.nestedVirtualization", ON_OFF)
    found = quotas.instance_type(args.get("instanceType", ""))
    for path, cores in args.at(f"{key}.coreCount"):
        if not isinstance(cores, int) or cores < 1:
            yield Fault(path, f"expected at least 1 core, got {rules.shown(cores)}")
        elif found is not None and cores * (block(args, key) or Args({})).get("threadsPerCore", 2) > found.vcpus:
            yield Fault(path, f"{found.name} has {found.vcpus} vCPUs, got {cores} cores")


def credits(args: Args, key: str = "creditSpecification") -> Iterator[Fault]:
    """Burstable machine types only: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/burstable-performance-instances.html"""
    yield from rules.one_of(args, f"{key}.cpuCredits", ("standard", "unlimited"))
    kind = args.get("instanceType", "t3.micro")
    if args[key] is not None and not kind.startswith("t"):
        yield Fault(key, f"is only for burstable types (T), this is {kind}")


def shutdown(args: Args) -> Iterator[Fault]:
    yield from rules.one_of(args, "instanceInitiatedShutdownBehavior", ("stop", "terminate"))


def profile(args: Args, key: str = "iamInstanceProfile") -> Iterator[Fault]:
    """An instance profile by name or by ARN."""
    entry = block(args, key)
    if entry is not None:
        yield from below(key, rules.exactly_one(entry, "name", "arn"))
        yield from formats.arns(args, f"{key}.arn", "iam", "instance-profile/")


def interfaces(args: Args, key: str = "networkInterfaces") -> Iterator[Fault]:
    """A launch template's network interfaces: indexes, types, what one primary interface may say, and the EFA layout of
    the machine type."""
    listed = args[key]
    if not isinstance(listed, list):
        return
    entries = [Args(e) for e in listed if isinstance(e, Mapping)]
    yield from _interface_values(args, key)
    if "vpcSecurityGroupIds" in args and entries:
        yield Fault("vpcSecurityGroupIds", f"conflicts with {key}: name the groups in the interfaces")
    places: dict[tuple[int, int], int] = {}
    for i, entry in enumerate(entries):
        path = f"{key}[{i}]"
        if len(entries) > 1 and entry.get("associatePublicIpAddress") == "true":
            # https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceNetworkInterfaceSpecification.html
            yield Fault(f"{path}.associatePublicIpAddress", "cannot be true with more than one network interface")
        if "networkInterfaceId" in entry:
            for other in ("securityGroups", "subnetId", "associatePublicIpAddress"):
                if other in entry:
                    yield Fault(f"{path}.{other}", "cannot be set for an existing interface (networkInterfaceId)")
        if entry.is_unknown("deviceIndex") or entry.is_unknown("networkCardIndex"):
            return
        place = (entry.get("networkCardIndex", 0), entry.get("deviceIndex", 0))
        if place in places:
            yield Fault(
                f"{path}.deviceIndex",
                f"device {place[1]} of network card {place[0]} is given in {key}[{places[place]}] too",
            )
        places[place] = i
    if entries and (0, 0) not in places:
        yield Fault(f"{key}[0].deviceIndex", "the primary interface (network card 0, device 0) is missing")
    yield from _layout(args, key, entries, places)


def _interface_values(args: Args, key: str) -> Iterator[Fault]:
    each = f"{key}[*]."
    for name in ("associatePublicIpAddress", "associateCarrierIpAddress", "deleteOnTermination", "primaryIpv6"):
        yield from formats.tri_state(args, each + name)
    yield from rules.one_of(args, each + "interfaceType", ("interface", *_EFA))
    yield from formats.ids(args, each + "networkInterfaceId", "eni")
    yield from formats.ids(args, each + "subnetId", "subnet")
    yield from formats.ids(args, each + "securityGroups[*]", "sg")
    yield from formats.addresses(args, each + "privateIpAddress")
    yield from formats.addresses(args, each + "ipv4Addresses[*]")
    tracking = each + "connectionTrackingSpecification."
    yield from rules.between(args, tracking + "tcpEstablishedTimeout", 60, 432000, "seconds")
    yield from rules.between(args, tracking + "udpStreamTimeout", 60, 180, "seconds")
    yield from rules.between(args, tracking + "udpTimeout", 30, 60, "seconds")


def _layout(args: Args, key: str, entries: list[Args], places: Mapping[tuple[int, int], int]) -> Iterator[Fault]:
    """Cards and EFA interfaces that the machine type has."""
    kinds = [entry.get("interfaceType", "interface") for entry in entries]
    primary = places.get((0, 0))
    if primary is not None and kinds[primary] == "efa-only":
        yield Fault(f"{key}[{primary}].interfaceType", "the primary interface cannot be efa-only: it has no IP address")
    for i, entry in enumerate(entries):
        if kinds[i] == "efa-only":
            for other in ("associatePublicIpAddress", "privateIpAddress", "ipv4Addresses", "ipv4AddressCount"):
                if entry.get(other) not in (None, "false"):
                    yield Fault(f"{key}[{i}].{other}", "an efa-only interface has no IP address")
    found = quotas.instance_type(args.get("instanceType", ""))
    if found is None:
        return
    if len(entries) > found.network_interfaces:
        yield Fault(
            key, f"{found.name} takes at most {found.network_interfaces} network interfaces, got {len(entries)}"
        )
    efas = [i for i, kind in enumerate(kinds) if kind in _EFA]
    if len(efas) > found.efa_interfaces:
        most = f"at most {found.efa_interfaces} EFA interfaces" if found.efa_interfaces else "no EFA interface"
        yield Fault(key, f"{found.name} takes {most}, got {len(efas)}")
    per_card: dict[int, int] = {}
    for (card, _), i in places.items():
        if card >= found.network_cards:
            yield Fault(
                f"{key}[{i}].networkCardIndex",
                f"{found.name} has network cards 0 to {found.network_cards - 1}, got {card}",
            )
        if i in efas:
            per_card[card] = per_card.get(card, 0) + 1
            if card == 0 and found.name.startswith(_CARD_0_WITHOUT_EFA):
                yield Fault(f"{key}[{i}].interfaceType", f"network card 0 of {found.name} has no EFA")
            if per_card[card] > 1:
                yield Fault(f"{key}[{i}].interfaceType", f"a second EFA interface on network card {card}: one per card")


def requirements(args: Args, key: str = "instanceRequirements") -> Iterator[Fault]:
    """Attribute-based selection: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceRequirementsRequest.html"""
    entry = block(args, key)
    if entry is None:
        return
    wanted = ("included", "excluded", "required")
    for name in ("bareMetal", "burstablePerformance", "localStorage"):
        yield from rules.one_of(args, f"{key}.{name}", wanted)
    yield from rules.one_of(args, f"{key}.cpuManufacturers[*]", ("amazon-web-services", "amd", "apple", "intel"))
    makers = ("amazon-web-services", "amd", "habana", "nvidia", "xilinx")
    yield from rules.one_of(args, f"{key}.acceleratorManufacturers[*]", makers)
    yield from rules.one_of(args, f"{key}.acceleratorTypes[*]", ("fpga", "gpu", "inference", "media"))
    yield from rules.one_of(args, f"{key}.instanceGenerations[*]", ("current", "previous"))
    yield from rules.one_of(args, f"{key}.localStorageTypes[*]", ("hdd", "ssd"))
    yield from below(key, rules.conflicting(entry, "allowedInstanceTypes", "excludedInstanceTypes"))
    percentages = ("maxSpotPriceAsPercentageOfOptimalOnDemandPrice", "spotMaxPricePercentageOverLowestPrice")
    yield from below(key, rules.conflicting(entry, *percentages))
    for name, value in entry.values.items():
        if isinstance(value, Mapping):
            low, high = value.get("min"), value.get("max")
            if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
                yield Fault(f"{key}.{name}.max", f"must be at least min ({low:g}), got {high:g}")


def all_launch(args: Args) -> Iterator[Fault]:
    """The rules that hold for launch templates and instances alike, on the properties they name alike."""
    for rule in (machine_type, metadata, market, reservations, cpu, credits, shutdown):
        yield from rule(args)
    yield from rules.one_of(args, "privateDnsNameOptions.hostnameType", ("ip-name", "resource-name"))
    yield from rules.one_of(args, "maintenanceOptions.autoRecovery", ("default", "disabled"))
    yield from rules.one_of(args, "networkPerformanceOptions.bandwidthWeighting", ("default", "vpc-1", "ebs-1"))
    yield from formats.ids(args, "vpcSecurityGroupIds[*]", "sg")
    yield from _enclave(args)


def _enclave(args: Args) -> Iterator[Fault]:
    hibernates: Any = args.get("hibernation", args.get("hibernationOptions", {}))
    on = hibernates.get("configured") if isinstance(hibernates, Mapping) else hibernates
    if on is True and args.get("enclaveOptions", {}).get("enabled") is True:
        yield Fault("enclaveOptions.enabled", "enclaves and hibernation cannot both be on")
