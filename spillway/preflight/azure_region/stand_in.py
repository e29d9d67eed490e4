"""The stand-in Azure as a preflight sees it: its store, its weather, its images, sizes and quotas.

It answers before the first `up`, too: a subscription with nothing in it. What only a real one has (scores) is not asked
by the checks, see facts.Account.stand_in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from infra.azure import names
from sandbox.azure_native import addresses, arm, galleries, machines, network, tokens
from sandbox.azure_native.places import normal
from sandbox.kinds import Resource
from spillway.models.store import ModelStore, NoBucket
from spillway.models.stores import open_store as open_models
from spillway.preflight.azure_checks import Availability, Subscription
from spillway.preflight.azure_region.facts import (
    DeletedVault,
    ImageDefinition,
    ImageVersion,
    ScaleSet,
    Score,
    Service,
    Size,
    Thing,
)
from spillway.preflight.model import Unanswered, once
from spillway.preflight.pool_quotas import Limit, Market
from spillway.preflight.stand_in_store import StandInAsker, stack_of
from spillway.preflight.stored_checks import StoreReader
from spillway.secrets.store import SecretStore
from spillway.secrets.stores import open_store as open_secrets

if TYPE_CHECKING:
    from infra.azure.sections import AzureImage
    from infra.config import AzureRegion

_NETWORK: Final = (
    ("StandardSkuPublicIpAddresses", addresses.ADDRESSES_MAX, tokens.PUBLIC_ADDRESS),
    ("VirtualNetworks", network.VIRTUAL_NETWORKS_MAX, tokens.VIRTUAL_NETWORK),
)


class StandInSubscription(StandInAsker, StoreReader):
    """One subscription and region of the sandbox in `directory`. See facts.Account."""

    secret_right = "the stand-in's own"

    def __init__(self, directory: Path, config: AzureRegion) -> None:
        super().__init__(directory, "azure-native", config.region, config.account)
        self._config = config

    def _secrets(self) -> SecretStore:
        return open_secrets(self._config, self.directory, None)

    def _models(self) -> ModelStore:
        account = names.storage_account(self._config.stack_name, self._account)
        if self.storage_account(account) is None:
            raise NoBucket(account)
        return open_models(self._config, self.directory, None, 1)

    def _here(self, token: str) -> list[Resource]:
        return [one for one in self._all(token) if normal(str(one["location"] or "")) in ("", self.region)]

    def _things(self, token: str) -> list[Thing]:
        return [Thing(str(one["name"]), stack_of(one), normal(str(one["location"] or ""))) for one in self._here(token)]

    def _named(self, token: str, name: str) -> Thing | None:
        return next((thing for thing in self._things(token) if thing.name.lower() == name.lower()), None)

    @once
    def subscription(self) -> Subscription:
        return Subscription(self._account, "the stand-in Azure", "Enabled")

    def may(self, action: str) -> bool:
        return True  # its caller is an owner

    def providers(self) -> Mapping[str, str]:
        from spillway.preflight.azure_region.account_checks import PROVIDERS

        return {name.lower(): "Registered" for name in PROVIDERS}

    @once
    def sizes(self, names: tuple[str, ...]) -> Mapping[str, Size]:
        return {
            name: Size(name, frozenset(machines.offered_zones(name, self.region) or ()))
            for name in names
            if (regions := machines.offered_in(name)) is None or self.region in regions
        }

    @once
    def sold_out(self, names: tuple[str, ...], zones: tuple[str, ...]) -> Sequence[tuple[str, str, Market]]:
        markets: tuple[Market, ...] = ("spot", "on-demand")
        with self._cloud() as cloud:
            return [
                (name, zone, market)
                for market in markets
                for name in names
                for zone in zones
                if cloud.sold_out(f"{self.region}-{zone}" if zone else self.region, name, market)
            ]

    @once
    def limits(self, service: Service) -> Sequence[Limit]:
        with self._cloud() as cloud:
            if service == "Microsoft.Network":
                return [
                    Limit(code, code, cloud.quota(code, most, region=self.region), len(self._here(token)))
                    for code, most, token in _NETWORK
                ]
            most = {machines.SPOT: float(machines.SPOT_CORES), machines.REGIONAL: float(machines.REGIONAL_CORES)}
            most |= {size.family: float(machines.FAMILY_CORES) for size in machines._sizes().values()}
            return [
                Limit(
                    code, code, cloud.quota(code, value, region=self.region),
                    machines.cores_used(cloud, self.region, code),
                )
                for code, value in most.items()
            ]  # fmt: skip

    @once
    def scale_sets(self) -> Sequence[ScaleSet]:
        return [
            ScaleSet(
                name=str(one["name"]),
                stack=stack_of(one),
                size=size.name if (size := machines.size((one["sku"] or {}).get("name"))) else "",
                capacity=int((one["sku"] or {}).get("capacity") or 0),
                spot=machines.is_spot(one),
            )
            for one in self._here(tokens.SCALE_SET)
        ]

    @once
    def addresses(self) -> Sequence[Thing]:
        return self._things(tokens.PUBLIC_ADDRESS)

    @once
    def networks(self) -> Sequence[Thing]:
        return self._things(tokens.VIRTUAL_NETWORK)

    @once
    def group(self, name: str) -> Thing | None:
        for one in self._all(tokens.RESOURCE_GROUP):
            if str(one["name"]).lower() == name.lower():
                return Thing(str(one["name"]), stack_of(one), normal(str(one["location"] or "")))
        return None

    def deployed(self, stack: str) -> bool:
        return any(network.stack == stack for network in self.networks())

    @once
    def definition(self, image: AzureImage) -> ImageDefinition | None:
        with self._cloud() as cloud:
            for one in galleries.versions(cloud):
                id = one.id.rsplit("/versions/", 1)[0]
                if arm.same(id, self._image_id(image)):
                    return ImageDefinition(id, one.generation, "x64", one.os_state)
        return None

    def _image_id(self, image: AzureImage) -> str:
        group = names.group_id(self._account, image.resource_group)
        return f"{group}/providers/Microsoft.Compute/galleries/{image.gallery}/images/{image.family}"

    @once
    def versions(self, image: AzureImage) -> Sequence[ImageVersion]:
        with self._cloud() as cloud:
            found = galleries.versions(cloud)
        if image.id is not None:
            found = [one for one in found if arm.same(one.id, image.id)]
        else:
            found = [one for one in found if arm.same(one.id.rsplit("/versions/", 1)[0], self._image_id(image))]
            if image.version is not None and not image.newest:
                found = [one for one in found if one.version == image.version]
        facts = [
            ImageVersion(
                id=one.id,
                version=one.version,
                state="Succeeded",
                regions=one.regions,
                replica="Completed",
                size_gib=one.size_gib,
                published=datetime.fromisoformat(one.published),
            )
            for one in found
        ]
        return sorted(facts, key=lambda one: tuple(map(int, one.version.split("."))), reverse=True)

    @once
    def storage_account(self, name: str) -> Thing | None:
        return self._named(tokens.STORAGE_ACCOUNT, name)

    @once
    def storage_name(self, name: str) -> Availability:
        return self._free(tokens.STORAGE_ACCOUNT, name)

    def flex_regions(self) -> frozenset[str]:
        return frozenset({self.region})  # the stand-in does not say where it is

    @once
    def app(self, name: str) -> Thing | None:
        return self._named(tokens.WEB_APP, name)

    @once
    def app_name(self, name: str) -> Availability:
        return self._free(tokens.WEB_APP, name)

    @once
    def vault(self, name: str) -> Thing | None:
        return self._named(tokens.VAULT, name)

    @once
    def vault_name(self, name: str) -> Availability:
        return self._free(tokens.VAULT, name)

    def _free(self, token: str, name: str) -> Availability:
        with self._transaction() as tx:  # one namespace for all subscriptions
            taken = [one for one in tx.all("azure-native", token) if str(one["name"]).lower() == name.lower()]
        return Availability(False, "taken in another subscription") if taken else Availability(True)

    @once
    def deleted_vault(self, name: str) -> DeletedVault | None:
        with self._cloud() as cloud:  # the name is one for all regions, and the stand-in keeps it under none
            known = cloud.all(tokens.DELETED_VAULT)
        for left in known:
            until = datetime.fromisoformat(left["until"])
            if str(left["name"]).lower() == name.lower() and until > datetime.now(UTC):
                return DeletedVault(normal(str(left["location"])), until)
        return None

    def is_filled(self, name: str) -> bool:
        raise Unanswered("the stand-in withholds nothing")

    def scores(self, sizes: tuple[str, ...], count: int, regions: tuple[str, ...]) -> Sequence[Score]:
        raise Unanswered("the stand-in has no market to score")
