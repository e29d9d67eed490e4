"""Instance templates, global and regional. Immutable: every change makes a new one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

from sandbox.gcp import images, links, places, tokens
from sandbox.gcp import template_rules as rules
from sandbox.gcp.addresses import IN_SUBNETWORK
from sandbox.gcp.api import (
    ComputeKind,
    Use,
    check_count,
    check_service_account,
    fingerprint,
    invalid,
    kept,
    label_faults,
    label_outputs,
    number,
    project_of,
    resolve,
)
from sandbox.gcp.registry import GCP
from sandbox.kinds import Args, Cloud, CloudError, Fault, Resource
from sandbox.rules import conflicting, matches, one_of
from sandbox.values import has_unknown

# https://docs.cloud.google.com/compute/resource-usage
TEMPLATES: Final = 100
_NAME_PREFIX: Final = r"[a-z]([-a-z0-9]{0,53})"
"""The provider puts 26 characters behind it, or nine behind more than 37
(https://github.com/hashicorp/terraform-provider-google-beta/blob/main/google-beta/services/compute/
resource_compute_instance_template.go)."""
_SCOPES: Final = r"https://www\.googleapis\.com/auth/[a-z_.]+|[a-z][a-z-]*"
_OAUTH: Final[Mapping[str, str]] = {"cloud-platform": "https://www.googleapis.com/auth/cloud-platform"}
_FIXED: Final = (
    "name", "namePrefix", "disks", "machineType", "canIpForward", "description", "enableDisplay",
    "instanceDescription", "metadata", "metadataStartupScript", "networkPerformanceConfig", "project", "region",
    "resourceManagerTags", "serviceAccount", "shieldedInstanceConfig", "confidentialInstanceConfig",
    "advancedMachineFeatures.enableNestedVirtualization", "advancedMachineFeatures.threadsPerCore",
    "advancedMachineFeatures.visibleCoreCount", "advancedMachineFeatures.performanceMonitoringUnit",
    "advancedMachineFeatures.enableUefiNetworking", "guestAccelerators", "minCpuPlatform", "tags", "labels",
    "resourcePolicies", "reservationAffinity", "keyRevocationActionType", "workloadIdentityConfig",
    "networkInterfaces[*].network", "networkInterfaces[*].subnetwork", "networkInterfaces[*].subnetworkProject",
    "networkInterfaces[*].networkIp", "networkInterfaces[*].nicType", "networkInterfaces[*].networkAttachment",
    "networkInterfaces[*].vlan", "networkInterfaces[*].accessConfigs", "networkInterfaces[*].aliasIpRanges",
    "networkInterfaces[*].aliasIpv6Ranges", "networkInterfaces[*].stackType",
    "networkInterfaces[*].ipv6AccessConfigs", "networkInterfaces[*].internalIpv6PrefixLength",
    "networkInterfaces[*].ipv6Address", "networkInterfaces[*].queueCount",
    "scheduling.preemptible", "scheduling.automaticRestart", "scheduling.onHostMaintenance",
    "scheduling.nodeAffinities", "scheduling.minNodeCpus", "scheduling.provisioningModel",
    "scheduling.instanceTerminationAction", "scheduling.terminationTime", "scheduling.availabilityDomain",
    "scheduling.maxRunDuration", "scheduling.onInstanceStopAction", "scheduling.hostErrorTimeoutSeconds",
    "scheduling.maintenanceInterval", "scheduling.localSsdRecoveryTimeouts", "scheduling.gracefulShutdown.enabled",
)  # fmt: skip
"""ForceNew in the provider; labels are by what they become (effective_labels)."""
_SENT_AT_CREATION: Final = (
    "scheduling.preemptionNoticeDuration", "scheduling.gracefulShutdown", "scheduling.skipGuestOsShutdown",
    "advancedMachineFeatures.turboMode", "partnerMetadata",
)  # fmt: skip


class _Template(ComputeKind):
    """https://docs.cloud.google.com/compute/docs/reference/rest/v1/instanceTemplates"""

    collection = "instanceTemplates"
    label = "instance_template"
    replace_on = _FIXED
    sets = ("tags", "serviceAccount.scopes", "scheduling.nodeAffinities")
    write_only = ("namePrefix", "deletionPolicy")
    uses = (
        Use("networkInterfaces[*].network", (tokens.NETWORK,), holds=False),
        Use("networkInterfaces[*].subnetwork", (tokens.SUBNETWORK,), holds=False),
    )
    defaults: ClassVar[Mapping[str, Any]] = {"canIpForward": False}

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from conflicting(args, "name", "namePrefix")
        yield from matches(args, "namePrefix", _NAME_PREFIX, "the beginning of a name, up to 54 characters")
        yield from label_faults(args)
        yield from label_faults(args, "disks[*].labels")
        yield from rules.machine_type_faults(args)
        yield from rules.scheduling_faults(args)
        yield from rules.accelerator_faults(args)
        yield from rules.interface_faults(args)
        yield from rules.metadata_faults(args)
        if isinstance(args["disks"], list):
            if not args["disks"]:
                yield Fault("disks", "expected a boot disk, got none")
            yield from rules.disk_faults(args["disks"], rules.machine_of(args))
        yield from matches(args, "tags[*]", r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", "a network tag")
        yield from matches(args, "serviceAccount.scopes[*]", _SCOPES, "an OAuth scope such as cloud-platform")
        yield from one_of(args, "networkPerformanceConfig.totalEgressBandwidthTier", ("TIER_1", "DEFAULT"))
        yield from one_of(
            args, "reservationAffinity.type", ("ANY_RESERVATION", "SPECIFIC_RESERVATION", "NO_RESERVATION")
        )
        yield from one_of(args, "keyRevocationActionType", ("NONE", "STOP"))
        yield from self._reservation_faults(args)

    @staticmethod
    def _reservation_faults(args: Args) -> Iterator[Fault]:
        """Spot and Flex-start run in no reservation; bound instances in exactly one
        (https://docs.cloud.google.com/compute/docs/instances/reservations-consume)."""
        affinity = args.get("reservationAffinity") or {}
        kind = affinity.get("type")
        specific = affinity.get("specificReservation")
        if kind == "SPECIFIC_RESERVATION" and specific is None:
            yield Fault("reservationAffinity.specificReservation", "is required with type SPECIFIC_RESERVATION")
        if kind in ("ANY_RESERVATION", "NO_RESERVATION") and specific is not None:
            yield Fault("reservationAffinity.specificReservation", f"does not go with type {kind}")
        model = (args.get("scheduling") or {}).get("provisioningModel")
        if model in ("SPOT", "FLEX_START") and kind in ("ANY_RESERVATION", "SPECIFIC_RESERVATION"):
            yield Fault("reservationAffinity.type", f"has to be NO_RESERVATION with provisioningModel {model}")
        if model == "RESERVATION_BOUND" and kind != "SPECIFIC_RESERVATION":
            yield Fault("reservationAffinity.type", "has to be SPECIFIC_RESERVATION with RESERVATION_BOUND")

    def comparable(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        inputs = super().comparable(inputs)
        inputs = links.rewrite(inputs, "disks[*].sourceImage", links.relative)
        inputs = links.rewrite(inputs, "guestAccelerators[*].type", links.name_of)
        return links.rewrite(inputs, "serviceAccount.scopes[*]", lambda scope: _OAUTH.get(scope, scope))

    def name(self, args: Args) -> str:
        return str(args["name"] or f"{args['namePrefix']}")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        if args["name"] is None and "namePrefix" in args:
            prefix = str(args["namePrefix"])
            suffix = f"{cloud.sequence('instance-template'):09x}"
            return f"projects/{project_of(args, cloud)}/{self.scope(cloud)}/{self.collection}/{prefix}{suffix}"
        return super().new_id(args, cloud)

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        if old is not None:
            self._check_change(old, args)
            return
        check_count(cloud, "INSTANCE_TEMPLATES", len(cloud.all(self.token)), TEMPLATES)
        account = args.get("serviceAccount") or {}
        check_service_account(cloud, account.get("email"), "serviceAccount.email")
        for path, reference in args.at("disks[*].sourceImage"):
            image = images.resolve(cloud, str(reference), project_of(args, cloud))
            if image is None:
                raise CloudError("notFound", f"{path}: Could not find image or family {reference}")
            disk = args["disks"][int(path.split("[")[1].split("]")[0])]
            size = disk.get("diskSizeGb")
            if size is not None and size < image.size_gb:
                why = f"Requested disk size cannot be smaller than the image size ({image.size_gb} GB)."
                raise invalid(f"{path.rsplit('.', 1)[0]}.diskSizeGb", size, why)
        for i, interface in enumerate(args.get("networkInterfaces") or []):
            self._check_interface(i, interface, args, cloud)
        self.check_offered(args, cloud)

    def check_offered(self, args: Args, cloud: Cloud) -> None:
        """Raises CloudError when no zone of the template's region offers its machine type."""

    @staticmethod
    def _check_interface(i: int, interface: Mapping[str, Any], args: Args, cloud: Cloud) -> None:
        """A subnetwork lies in the network named beside it; custom networks need one named; RDMA cards their kind."""
        project = project_of(args, cloud)
        field = f"networkInterfaces[{i}]"
        network = resolve(cloud, Use("", (tokens.NETWORK,)), interface.get("network"), project)
        subnet = resolve(cloud, IN_SUBNETWORK, interface.get("subnetwork"), project)
        if network is not None and subnet is not None and subnet["network"] != network["selfLink"]:
            why = f"It belongs to the network '{subnet['network']}'."
            raise invalid(f"{field}.subnetwork", interface["subnetwork"], why)
        if network is not None and subnet is None and not network["autoCreateSubnetworks"]:
            raise invalid(
                f"{field}.subnetwork",
                "",
                f"The network '{network['name']}' is in custom subnet mode: name a subnetwork.",
            )
        if network is None and subnet is not None:
            network = next((n for n in cloud.all(tokens.NETWORK) if n["selfLink"] == subnet["network"]), None)
        profile = str((network["networkProfile"] if network else "") or "")
        if interface.get("nicType") == "MRDMA" and "roce" not in profile:
            why = "Interfaces of type MRDMA need a network with an RDMA (RoCE) network profile."
            raise invalid(f"{field}.network", interface.get("network") or interface.get("subnetwork"), why)

    @staticmethod
    def _check_change(old: Resource, args: Args) -> None:
        """The provider plans some properties as updates and sends nothing for them
        (resourceComputeInstanceTemplateUpdate): the template, and what a group makes from it, stays as it was."""
        for path in _SENT_AT_CREATION:
            head, _, tail = path.partition(".")
            before, after = old.inputs.get(head), args.values.get(head)
            if tail:
                before, after = (before or {}).get(tail), (after or {}).get(tail)
            if before != after and not has_unknown(after):
                raise CloudError(
                    "invalid",
                    f"{path}: instance templates are immutable and the provider sends no update for it; "
                    "give the template another name to replace it",
                )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        disks = [self._disk(i, disk) for i, disk in enumerate(args["disks"] or [])]
        cards = [self._interface(i, card, args, cloud) for i, card in enumerate(args["networkInterfaces"] or [])]
        scheduling = dict(args["scheduling"] or {})
        preemptible = bool(scheduling.get("preemptible", False))
        return {
            **self.common(id, args, cloud, old),
            **label_outputs(args),
            "name": id.rsplit("/", 1)[-1],
            "disks": disks,
            "networkInterfaces": cards,
            "scheduling": {
                "automaticRestart": True,
                "preemptible": preemptible,
                "onHostMaintenance": "TERMINATE" if preemptible else "MIGRATE",
                "provisioningModel": "SPOT" if preemptible else "STANDARD",
                **scheduling,
            },
            "metadataFingerprint": kept(old, "metadataFingerprint", fingerprint()),
            "tagsFingerprint": kept(old, "tagsFingerprint", fingerprint() if args["tags"] else ""),
            "numericId": kept(old, "numericId", number()),
        }

    @staticmethod
    def _disk(i: int, disk: Mapping[str, Any]) -> dict[str, Any]:
        scratch = disk.get("type") == "SCRATCH"
        return {
            "autoDelete": True,
            "boot": i == 0,
            "deviceName": "" if scratch else f"persistent-disk-{i}",
            "diskType": "pd-standard",
            "interface": "NVME" if scratch else "SCSI",
            "mode": "READ_WRITE",
            "type": "PERSISTENT",
            **{key: value for key, value in disk.items() if value is not None},
        }

    @staticmethod
    def _interface(i: int, interface: Mapping[str, Any], args: Args, cloud: Cloud) -> dict[str, Any]:
        project = project_of(args, cloud)
        subnet = resolve(cloud, IN_SUBNETWORK, interface.get("subnetwork"), project)
        network = resolve(cloud, Use("", (tokens.NETWORK,)), interface.get("network"), project)
        return {
            **interface,
            "name": f"nic{i}",
            "network": network["selfLink"] if network else subnet["network"] if subnet else "",
            "subnetwork": subnet["selfLink"] if subnet else "",
            "subnetworkProject": project,
            "stackType": interface.get("stackType") or "IPV4_ONLY",
        }


@GCP.kind
class InstanceTemplate(_Template):
    """A global template; `region` only says where to look for subnetworks."""

    token = tokens.INSTANCE_TEMPLATE

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        values = super().outputs(id, args, cloud, old)
        unique = f"{values['selfLink']}?uniqueId={values['numericId']}"
        return {**values, "selfLinkUnique": unique, "region": args.get("region") or ""}


@GCP.kind
class RegionInstanceTemplate(_Template):
    """A template that lies, and is of use, in one region only."""

    token = tokens.REGION_INSTANCE_TEMPLATE
    regional = True

    def check_offered(self, args: Args, cloud: Cloud) -> None:
        name = str(args["machineType"])
        if places.machine(name) is not None and not places.offered_zones(name, cloud.region):
            raise CloudError(
                "invalid",
                f"Invalid value for field 'resource.properties.machineType': '{name}'. No zone of {cloud.region} "
                "offers it.",
            )
