"""The stand-in Google Cloud as a preflight sees it: its store, its weather, its images, zones and quotas.

It answers before the first `up`, too: a project with nothing in it. What only a real one has (advice, disk quotas) is
not asked by the checks, see facts.Account.stand_in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infra.gcp import names
from sandbox.gcp import addresses, group_rules, images, links, network, places, tokens
from sandbox.gcp.api import project_number
from sandbox.gcp.invokes import BILLING_ACCOUNT
from sandbox.kinds import Args, Resource
from spillway.models.store import ModelStore, NoBucket
from spillway.models.stores import open_store as open_models
from spillway.preflight.gcp_region.account_checks import SERVICES
from spillway.preflight.gcp_region.capacity_checks import ALL_CPUS, ALL_REGIONS, PREEMPTIBLE_CPUS, cpu_metric
from spillway.preflight.gcp_region.facts import (
    Advice,
    Billing,
    Bucket,
    Instance,
    MachineImage,
    Place,
    Project,
    Thing,
)
from spillway.preflight.gcp_region.network_checks import ADDRESSES, NETWORKS
from spillway.preflight.model import Unanswered, once
from spillway.preflight.pool_quotas import Limit, Market
from spillway.preflight.stand_in_store import StandInAsker, stack_of
from spillway.preflight.stored_checks import StoreReader
from spillway.secrets.store import SecretStore
from spillway.secrets.stores import open_store as open_secrets

if TYPE_CHECKING:
    from infra.config import GcpRegion
    from infra.gcp.sections import GcpImage

A2_CPUS: Final = "A2_CPUS"
"""The one series of GPU machines whose vCPUs the API has a metric for."""
CPUS: Final = 4096
"""More than the stand-in's GPUs have; its weather lowers it."""
_TEMPLATES: Final = (tokens.INSTANCE_TEMPLATE, tokens.REGION_INSTANCE_TEMPLATE)


class StandInProject(StandInAsker, StoreReader):
    """One project and region of the sandbox in `directory`. See facts.Account."""

    secret_right = "the stand-in's own"

    def __init__(self, directory: Path, config: GcpRegion) -> None:
        super().__init__(directory, "gcp", config.region, config.account)
        self._config = config

    def _secrets(self) -> SecretStore:
        return open_secrets(self._config, self.directory, None)

    def _models(self) -> ModelStore:
        name = names.bucket_name(self._account, self.region)
        if self.bucket(name).owner != "this project":
            raise NoBucket(name)
        return open_models(self._config, self.directory, None, 1)

    @once
    def project(self) -> Project:
        return Project(self._account, project_number(self._account), "ACTIVE")

    def billing(self) -> Billing:
        return Billing(BILLING_ACCOUNT, budgets=True)

    def granted(self, permissions: tuple[str, ...]) -> frozenset[str]:
        return frozenset(permissions)  # its caller is an owner

    def enabled(self, services: tuple[str, ...]) -> frozenset[str]:
        return frozenset(SERVICES)

    @once
    def zones(self) -> Mapping[str, str]:
        return dict.fromkeys(places.zones(self.region), "UP")

    @once
    def offerings(self, types: tuple[str, ...]) -> Mapping[str, frozenset[str]]:
        return {name: frozenset(places.offered_zones(name, self.region)) for name in types}

    @once
    def sold_out(self, types: tuple[str, ...], zones: tuple[str, ...]) -> Sequence[tuple[str, str, Market]]:
        offered = self.offerings(types)
        markets: tuple[Market, ...] = ("spot", "on-demand")
        with self._cloud() as cloud:
            return [
                (name, zone, market)
                for market in markets
                for name in types
                for zone in zones
                if zone in offered[name] and cloud.sold_out(zone, name, market)
            ]

    @once
    def limits(self, place: Place) -> Mapping[str, Limit]:
        region = self.region if place == "region" else None
        used = self._gpus(region)
        if place == "region":
            machines = places.machines().values()
            metrics = {metric for one in machines for metric in (one.on_demand_quota, one.spot_quota)}
            most = dict.fromkeys(sorted(metrics), group_rules.DEFAULT_GPU_QUOTA)
            most |= dict.fromkeys((A2_CPUS, PREEMPTIBLE_CPUS), CPUS)
            most[ADDRESSES], used[ADDRESSES] = addresses.STATIC_ADDRESSES, len(self.addresses())
        else:
            most = {ALL_REGIONS: group_rules.DEFAULT_GPU_QUOTA, ALL_CPUS: CPUS, NETWORKS: network.NETWORKS}
            used[NETWORKS] = len(self.networks())
        with self._cloud() as cloud:
            return {
                metric: Limit(metric, metric, cloud.quota(metric, value, region=region), used[metric])
                for metric, value in most.items()
            }

    def _gpus(self, region: str | None) -> Counter[str]:
        """GPUs and vCPUs that groups hold, by metric and all of them."""
        found: Counter[str] = Counter()
        for group, name, spot in self._groups(region):
            machine = places.machine(name)
            if machine is not None:
                number = machine.gpus * int(group["targetSize"] or 0)
                found[machine.spot_quota if spot else machine.on_demand_quota] += number
                found[ALL_REGIONS] += number
                cores = machine.vcpus * int(group["targetSize"] or 0)
                found[PREEMPTIBLE_CPUS if spot else cpu_metric(name)] += cores
                found[ALL_CPUS] += cores
        return found

    def _groups(self, region: str | None) -> list[tuple[Resource, str, bool]]:
        """(group, its first machine type, whether it is spot)."""
        found = []
        with self._cloud() as cloud:
            templates = {one.id: one for token in _TEMPLATES for one in cloud.all(token)}
            for group in cloud.all(tokens.GROUP, region=region):
                version: Any = next(iter(group["versions"] or []), {})
                template = templates.get(links.relative(str(version.get("instanceTemplate"))))
                if template is not None:
                    types = group_rules.machine_types(Args(group.inputs), template)
                    found.append((group, types[0], group_rules.market(template) == "spot"))
        return found

    @once
    def instances(self, stack: str) -> Sequence[Instance]:
        own = {names.pool_name(stack, "spot"), names.pool_name(stack, "on-demand")}  # groups take no labels
        return [
            Instance(f"{group['name']}-{number}", name, spot)
            for group, name, spot in self._groups(self.region)
            if group["name"] in own
            for number in range(int(group["targetSize"] or 0))
        ]

    def _things(self, token: str) -> list[Thing]:
        return [Thing(str(one["name"]), _stack_of(one)) for one in self._all(token)]

    @once
    def addresses(self) -> Sequence[Thing]:
        return self._things(tokens.ADDRESS)

    @once
    def networks(self) -> Sequence[Thing]:
        return self._things(tokens.NETWORK)

    def deployed(self, stack: str) -> bool:
        return any(one.stack == stack for one in self.addresses())

    @once
    def image(self, image: GcpImage) -> MachineImage | None:
        project = image.project or self._account
        if image.id is not None:
            reference = image.id
        elif image.newest or image.version is None:
            reference = f"projects/{project}/global/images/family/{image.family}"
        else:
            name = names.image_name(str(image.family), image.version)
            reference = f"projects/{project}/global/images/{name}"
        with self._cloud() as cloud:
            found = images.resolve(cloud, reference, project)
        if found is None or not (image.id or image.newest or found.name == reference.rsplit("/", 1)[-1]):
            return None
        return MachineImage(
            id=found.id,
            name=found.name,
            status="READY",
            architecture="X86_64",
            size_gib=found.size_gb,
            created=datetime.fromisoformat(found.created),
            deprecated="ACTIVE",
            features=frozenset(("GVNIC",)),
        )

    @once
    def bucket(self, name: str) -> Bucket:
        with self._transaction() as tx:  # bucket names are one namespace over all projects
            found = next((one for one in tx.all("gcp", tokens.BUCKET) if one["name"] == name), None)
        if found is None:
            return Bucket("nobody")
        if found.account != self._account:
            return Bucket("somebody else")
        return Bucket("this project", str(found["location"] or "").lower(), _stack_of(found))

    @once
    def holder(self, secret: str) -> Thing | None:
        found = next((one for one in self._all(tokens.SECRET) if one["secretId"] == secret), None)
        return Thing(secret, _stack_of(found)) if found is not None else None

    def is_filled(self, name: str) -> bool:
        raise Unanswered("the stand-in withholds nothing")

    def advice(self, types: tuple[str, ...], zones: tuple[str, ...], count: int) -> Advice | None:
        raise Unanswered("the stand-in has no market to score")


def _stack_of(resource: Resource) -> str:
    """GCP's resources call tags labels."""
    labels: Any = resource["labels"] or {}
    return str(labels.get("spillway-stack", "")) or stack_of(resource)
