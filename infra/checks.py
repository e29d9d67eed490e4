"""What only several values of a stack file can say together: names, bounds, networks, limits of AWS.

What depends on machines and models is in `infra/machine_checks.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infra import catalog, cidr
from infra.fallback import MAX_STEPS
from infra.faults import HIDDEN, Fault, did_you_mean, listed
from infra.validation import CheckList

if TYPE_CHECKING:
    from infra.config import AwsRegion, RegionConfig
    from infra.sections import Disk

check: Final[CheckList[RegionConfig]] = CheckList()
"""Registers a check of a region that reads these sections (attribute names)."""

GP3_IOPS_PER_GIB: Final = 500
GP3_MIBPS_PER_IOPS: Final = 0.25
"""https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html (gp3 volumes)."""
ENDPOINT_ADDRESSES: Final = 10
"""Addresses that interface endpoints take in a private subnet, one each, with some to spare."""
TEARDOWN_SECONDS: Final = 8
"""From the end of draining to vLLM's exit: its workers are torn down one after another, 5 to 8 s."""
MOST_RULES: Final = 60
"""https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html (inbound rules per security group)."""
ROUTE53_RULES: Final = 25
"""What the list of Route 53's checkers counts for:
https://docs.aws.amazon.com/vpc/latest/userguide/working-with-aws-managed-prefix-lists.html (weight)."""
STREAMING: Final = ("aws", "azure", "gcp")
"""Clouds whose object stores the engine reads by itself:
https://docs.vllm.ai/en/stable/models/extensions/runai_model_streamer/"""
RESERVED_TAGS: Final = ("aws:", "spillway:")
NAME_TAG: Final = "name"
"""Set by the stack on whatever the console lists by it."""


def region_faults(region: RegionConfig, stack: str) -> list[Fault]:
    """The faults of one region in itself; sections that are absent from `region` are skipped with what reads them."""
    from infra import machine_checks  # noqa: F401  # these register their checks
    from infra.azure import checks as azure_checks  # noqa: F401
    from infra.gcp import checks as gcp_checks  # noqa: F401
    from infra.tencent import checks as tencent_checks  # noqa: F401

    present = region.__dict__.keys()
    faults: list[Fault] = []
    if {"cloud", "region"} <= present:
        faults += _stack_name(region, stack)
    return faults + check.faults(region)


def _stack_name(region: RegionConfig, stack: str) -> Iterator[Fault]:
    if stack != region.stack_name:
        yield Fault(
            ("region",),
            f"the stack is named {stack}, but a stack is named <cloud>-<region>: this would be {region.stack_name}",
            region.region,
        )


@check("region")
def _region(region: RegionConfig) -> Iterator[Fault]:
    if region.region not in catalog.regions(region.CLOUD):
        hint = did_you_mean(region.region, catalog.regions(region.CLOUD))
        yield Fault(
            ("region",), f"unknown region{hint}; known are {listed(catalog.regions(region.CLOUD))}", region.region
        )


@check("nearest_aws_region")
def _known_nearest(region: RegionConfig) -> Iterator[Fault]:
    known = catalog.regions("aws")
    if region.nearest_aws_region is not None and region.nearest_aws_region not in known and region.CLOUD != "aws":
        why = f"unknown AWS region{did_you_mean(region.nearest_aws_region, known)}; known are {listed(known)}"
        yield Fault(("nearestAwsRegion",), why, region.nearest_aws_region)


@check("region", "nearest_aws_region", cloud="aws")
def _nearest(region: AwsRegion) -> Iterator[Fault]:
    if region.nearest_aws_region not in (None, region.region):
        yield Fault(
            ("nearestAwsRegion",),
            f"on AWS it is the region itself, {region.region}: leave it out",
            region.nearest_aws_region,
        )


@check("pools")
def _counts(region: RegionConfig) -> Iterator[Fault]:
    pools = region.pools
    if pools.floor > pools.target:
        yield Fault(("pools", "floor"), f"has to be at most target ({pools.target})", pools.floor)
    if pools.target > pools.max:
        yield Fault(("pools", "target"), f"has to be at most max ({pools.max})", pools.target)


@check("pools")
def _single_nodes(region: RegionConfig) -> Iterator[Fault]:
    if region.pools.nodes_per_replica > 1:
        why = (
            "has to be 1: replicas of several nodes are complete in the image (docs/image-multinode.md), and the pools "
            "of a region count single nodes in this release"
        )
        yield Fault(("pools", "nodesPerReplica"), why, region.pools.nodes_per_replica)


@check("model")
def _streaming(region: RegionConfig) -> Iterator[Fault]:
    """What the node would refuse (images/programs/serving/command.py), or vLLM would overrule."""
    if region.model.load_format == "stage":
        return
    path = ("model", "loadFormat")
    if region.CLOUD not in STREAMING:
        why = f"has to be stage: the engine streams weights from the stores of {listed(STREAMING, 'and')} only"
        yield Fault(path, why, region.model.load_format)
    elif region.model.quantization == "bitsandbytes":
        # https://github.com/vllm-project/vllm/blob/main/vllm/engine/arg_utils.py (create_load_config)
        why = "has to be stage: with quantization bitsandbytes vLLM loads weights in its own way, from files"
        yield Fault(path, why, region.model.load_format)


@check("pools", cloud="aws")
def _steps(region: AwsRegion) -> Iterator[Fault]:
    pools = region.pools
    if pools.max > pools.floor + MAX_STEPS:
        why = (
            f"has to be at most {pools.floor + MAX_STEPS}: floor ({pools.floor}) and the {MAX_STEPS} steps of a policy"
        )
        yield Fault(("pools", "max"), why, pools.max)


@check("pools", cloud="aws")
def _reservations(region: AwsRegion) -> Iterator[Fault]:
    path = ("pools", "reservations")
    wanted = region.pools.reservations
    ids = (*wanted.capacity_reservations, *wanted.capacity_blocks)
    for number, name in enumerate(wanted.capacity_blocks):
        if ids.index(name) < len(wanted.capacity_reservations) + number:
            yield Fault((*path, "capacityBlocks", number), "stands twice; each reservation once", name)
    for number, name in enumerate(wanted.capacity_reservations):
        if ids.index(name) < number:
            yield Fault((*path, "capacityReservations", number), "stands twice; each reservation once", name)
    if wanted.preference == "only" and not ids:
        yield Fault((*path, "preference"), "needs at least one id in capacityReservations or capacityBlocks", "only")
    if wanted.preference == "none" and ids:
        yield Fault(
            (*path, "preference"), "leaves reservations to others, but ids are given; open or only uses them", "none"
        )


@check("fallback")
def _fallback(region: RegionConfig) -> Iterator[Fault]:
    rule = region.fallback
    if rule.in_minutes <= rule.out_minutes:
        why = f"has to be above outMinutes ({rule.out_minutes}), or nodes are bought and returned in turn"
        yield Fault(("fallback", "inMinutes"), why, rule.in_minutes)


@check("scaling", "pools")
def _scaling(region: RegionConfig) -> Iterator[Fault]:
    scaling = region.scaling
    if scaling.in_queue_per_replica >= scaling.queue_per_replica:
        why = f"has to be below queuePerReplica ({scaling.queue_per_replica:g})"
        yield Fault(("scaling", "inQueuePerReplica"), why, scaling.in_queue_per_replica)
    if scaling.in_cpu_percent >= scaling.cpu_percent:
        why = f"has to be below cpuPercent ({scaling.cpu_percent:g})"
        yield Fault(("scaling", "inCpuPercent"), why, scaling.in_cpu_percent)
    for key, step in (("step", scaling.step), ("inStep", scaling.in_step)):
        if scaling.signal != "none" and step > region.pools.max:
            yield Fault(("scaling", key), f"has to be at most pools.max ({region.pools.max})", step)


@check("node", "fallback")
def _node(region: RegionConfig) -> Iterator[Fault]:
    node = region.node
    whole = node.deregister_seconds + node.drain_seconds + TEARDOWN_SECONDS
    if whole > node.notice_seconds:
        most = node.notice_seconds - node.deregister_seconds - TEARDOWN_SECONDS
        why = (
            f"has to be at most {most}: with deregisterSeconds ({node.deregister_seconds}) and {TEARDOWN_SECONDS} s to "
            f"stop the engine it has to end within noticeSeconds ({node.notice_seconds})"
        )
        yield Fault(("node", "drainSeconds"), why, node.drain_seconds)
    if node.grace_period_minutes <= region.fallback.boot_minutes:
        why = f"has to be above fallback.bootMinutes ({region.fallback.boot_minutes}), or booting nodes are replaced"
        yield Fault(("node", "gracePeriodMinutes"), why, node.grace_period_minutes)


@check("image")
def _image(region: RegionConfig) -> Iterator[Fault]:
    image = region.image
    if image.id is not None:
        for key, value in (("family", image.family), ("version", image.version)):
            if value is not None:
                yield Fault(("image", key), "goes without id: an image is given by family and version, or by id", value)
        if image.newest:
            yield Fault(("image", "newest"), "goes without id: the newest is asked for by family", True)
    elif image.family is None:
        yield Fault(("image",), "has to have family and version, or family and newest: true, or id")
    elif image.newest and image.version is not None:
        yield Fault(
            ("image", "version"), "goes without newest: true; a pinned version keeps plans as they are", image.version
        )
    elif not image.newest and image.version is None:
        yield Fault(("image", "version"), "missing; pin the version of the family, or say newest: true")


@check("secrets")
def _secrets(region: RegionConfig) -> Iterator[Fault]:
    names = {"certificate": region.secrets.certificate, "apiKeys": region.secrets.api_keys}
    if names["certificate"] == names["apiKeys"]:
        yield Fault(("secrets", "apiKeys"), "has to differ from certificate: each secret has its own name", HIDDEN)


@check("secrets", cloud="aws")
def _secret_names(region: AwsRegion) -> Iterator[Fault]:
    names = {"certificate": region.secrets.certificate, "apiKeys": region.secrets.api_keys}
    for key, name in names.items():
        # https://docs.aws.amazon.com/secretsmanager/latest/userguide/getting-started.html: ARNs end in such a suffix.
        if re.search(r"-[A-Za-z0-9]{6}$", name):
            why = "must not end in a hyphen and six characters: Secrets Manager takes that for the end of an ARN"
            yield Fault(("secrets", key), why, HIDDEN)


@check("tags", cloud="aws")
def _tags(region: AwsRegion) -> Iterator[Fault]:
    seen: dict[str, str] = {}
    for key in region.tags:
        if key.lower().startswith(RESERVED_TAGS):
            yield Fault(("tags", key), f"tags that begin with {listed(RESERVED_TAGS)} are set by AWS and by the stack")
        if key.lower() == NAME_TAG:
            yield Fault(("tags", key), "set by the stack itself, on each resource its own")
        if key.lower() in seen:
            yield Fault(
                ("tags", key), f"differs from {seen[key.lower()]} in case only; IAM takes both for the same tag"
            )
        seen.setdefault(key.lower(), key)


@check("network")
def _addresses(region: RegionConfig) -> Iterator[Fault]:
    why = cidr.fault(region.network.cidr, region.CLOUD)
    if why:
        yield Fault(("network", "cidr"), why, region.network.cidr)
    for number, client in enumerate(region.network.clients):
        why = cidr.client_fault(client)
        if why:
            yield Fault(("network", "clients", number), why, client)
        elif client in region.network.clients[:number]:
            yield Fault(("network", "clients", number), "stands twice; each network once", client)


@check("network")
def _monitoring(region: RegionConfig) -> Iterator[Fault]:
    networks = region.network.monitoring
    for number, network in enumerate(networks):
        why = cidr.monitoring_fault(network)
        if why:
            yield Fault(("network", "monitoring", number), why, network)
        elif network in networks[:number]:
            yield Fault(("network", "monitoring", number), "stands twice; each network once", network)


@check("network", cloud="aws")
def _rules(region: AwsRegion) -> Iterator[Fault]:
    network = region.network
    if any(cidr.client_fault(client) for client in network.clients) or cidr.is_open(network.clients):
        return
    taken = {"route53": ROUTE53_RULES, "cloudflare": len(catalog.checkers("cloudflare")["networks"])}
    whole = len(network.clients) + sum(taken[checker] for checker in set(network.checkers))
    if whole > MOST_RULES:
        most = MOST_RULES - whole + len(network.clients)
        why = f"has to have at most {most} entries: a security group takes {MOST_RULES} rules, checkers the rest"
        yield Fault(("network", "clients"), why, network.clients)


@check("network", "pools", cloud="aws")
def _room(region: AwsRegion) -> Iterator[Fault]:
    if cidr.fault(region.network.cidr):
        return
    # A lost zone may push both pools, and the replacements of capacity rebalancing, into one subnet.
    needed = 2 * region.pools.max + (ENDPOINT_ADDRESSES if region.network.egress == "endpoints" else 1)
    there = cidr.hosts_per_subnet(region.network.cidr)
    if there < needed:
        why = (
            f"too small: a zone's private subnet has {there} addresses, and {needed} are needed for two pools of at "
            f"most {region.pools.max} nodes; take a larger network"
        )
        yield Fault(("network", "cidr"), why, region.network.cidr)


@check("storage", cloud="aws")
def _volumes(region: AwsRegion) -> Iterator[Fault]:
    disks: tuple[tuple[str, Disk], ...] = (("root", region.storage.root), ("data", region.storage.data))
    for name, disk in disks:
        if disk.iops > GP3_IOPS_PER_GIB * disk.size_gib:
            most = GP3_IOPS_PER_GIB * disk.size_gib
            why = f"has to be at most {most}: gp3 gives {GP3_IOPS_PER_GIB} IOPS per GiB, and sizeGib is {disk.size_gib}"
            yield Fault(("storage", name, "iops"), why, disk.iops)
        if disk.throughput_mbps > GP3_MIBPS_PER_IOPS * disk.iops:
            most = int(GP3_MIBPS_PER_IOPS * disk.iops)
            why = f"has to be at most {most}: gp3 gives {GP3_MIBPS_PER_IOPS} MiB/s per IOPS, and iops is {disk.iops}"
            yield Fault(("storage", name, "throughputMbps"), why, disk.throughput_mbps)


ACCOUNT_WIDE_SECRETS: Final = ("gcp",)
"""Clouds on which a name of `secrets` is there once in the whole account. Secret Manager's are a project's
(https://docs.cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets), with replicas in regions.
Elsewhere a name is a region's own, and no two stacks of an account are in one region: Secrets Manager's
(https://docs.aws.amazon.com/general/latest/gr/asm.html) and SSM's of Tencent Cloud are kept by region; on Azure each
stack has a vault."""


def secret_faults(region: RegionConfig, others: Mapping[str, Mapping[str, Any]]) -> list[Fault]:
    """Faults for every other stack (by name, with its object) of the same account that makes a secret of the same name:
    the second `up` would fail half done."""
    if region.CLOUD not in ACCOUNT_WIDE_SECRETS:
        return []
    own = {"certificate": region.secrets.certificate, "apiKeys": region.secrets.api_keys}
    faults = []
    for stack, other in sorted(others.items()):
        if (other.get("cloud"), other.get("account")) != (region.CLOUD, region.account):
            continue
        theirs = other.get("secrets")
        for key, name in own.items():
            for their_key, taken in theirs.items() if isinstance(theirs, dict) else ():
                if their_key in own and taken == name:
                    why = (
                        f"is secrets.{their_key} of stacks/Pulumi.{stack}.yaml, too: a project has one secret of a "
                        f"name, so that each stack of {region.account} has names of its own, such as "
                        f"{_own_name(key, region.region)}"
                    )
                    faults.append(Fault(("secrets", key), why, HIDDEN))
    return faults


def _own_name(key: str, place: str) -> str:
    return f"spillway-{'certificate' if key == 'certificate' else 'api-keys'}-{place}"


def faults_beside(region: RegionConfig, path: Path) -> list[Fault]:
    """The faults that a region (or what is sound of it) has because of the other region stacks in its folder."""
    present = region.__dict__.keys()
    others = neighbours(path)
    faults: list[Fault] = []
    if "network" in present and cidr.fault(region.network.cidr) is None:
        faults += overlap_faults(region.network.cidr, others.networks)
    if {"account", "secrets"} <= present:
        faults += secret_faults(region, others.regions)
    return faults


def overlap_faults(network: str, others: dict[str, str]) -> list[Fault]:
    """Faults for every other stack (by name, with its network) that shares addresses with this one."""
    faults = []
    for stack, other in sorted(others.items()):
        if cidr.overlap(network, other):
            why = f"overlaps with {other} of stacks/Pulumi.{stack}.yaml: networks of stacks must not share addresses"
            faults.append(Fault(("network", "cidr"), why, network))
    return faults


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The other region stacks of a folder. unread: the names of files that YAML itself cannot be read from, or whose
    network is none, so that nothing could be compared with them."""

    regions: dict[str, dict[str, Any]]
    unread: tuple[str, ...] = ()

    @property
    def networks(self) -> dict[str, str]:
        """Stack name -> its network."""
        return {stack: data["network"]["cidr"] for stack, data in self.regions.items() if _has_network(data)}


def _has_network(data: dict[str, Any]) -> bool:
    network = data.get("network")
    text = network.get("cidr") if isinstance(network, dict) else None
    return isinstance(text, str) and cidr.fault(text) is None


def neighbours(path: Path) -> Neighbours:
    """Every other region stack in the same folder, as far as its file can be read: its other faults are told when it
    is read itself."""
    from infra import stackfile
    from infra.faults import ConfigError

    found: dict[str, dict[str, Any]] = {}
    unread = []
    for other in sorted(path.parent.glob("Pulumi.*.yaml")):
        stack = stackfile.stack_of(other)
        if other.name == path.name or not stackfile.may_be_region(stack):
            continue
        try:
            config, _ = stackfile.read_with_faults(other)
        except ConfigError:
            unread.append(stack)
            continue
        data = config.get(stackfile.REGION_KEY)
        if isinstance(data, dict):
            found[stack] = data
            if not _has_network(data):
                unread.append(stack)
        elif stackfile.holds_region(config):
            unread.append(stack)
    return Neighbours(found, tuple(unread))


def not_compared(path: Path) -> tuple[str, ...]:
    """Advice for a stack file with neighbours that it could not be compared with, one line each."""
    return tuple(
        f"network.cidr: not compared with stacks/Pulumi.{stack}.yaml, whose network cannot be read: "
        f"`spillway preflight {stack}` says why"
        for stack in neighbours(path).unread
    )
