"""A real Azure subscription and region as a preflight asks it; read-only calls. See facts.Account.

Compute is asked with the SDK's own operations and models, what it has none for with the same client's pipeline. Needs
the extra `azure`, and each for its own rows only (docs/preflight.md has the roles): Reader on the subscription, Compute
Recommendations Role for scores, and, only for the content of the secrets, Key Vault Secrets User on the stack's vault.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from infra.azure import names
from spillway.models.store import ModelStore, NoBucket
from spillway.models.stores import open_store as open_models
from spillway.preflight.azure_calls import ARM, INSTALL, RETRIES, ArmAsker, Json, answered, hush
from spillway.preflight.azure_checks import Availability, Subscription
from spillway.preflight.azure_region import answers
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
from spillway.preflight.model import OutOfReach, Unanswered, Unreachable, once, understood
from spillway.preflight.pool_quotas import Limit, Market
from spillway.preflight.stored_checks import StoreReader
from spillway.secrets.store import NotThere, SecretStore

if TYPE_CHECKING:
    from infra.azure.sections import AzureImage
    from infra.config import AzureRegion

# https://learn.microsoft.com/rest/api/resources/subscriptions/get, .../providers/list, .../resource-groups/get
_SUBSCRIPTIONS: Final = "2022-12-01"
_RESOURCES: Final = "2021-04-01"
# https://learn.microsoft.com/rest/api/authorization/permissions
_PERMISSIONS: Final = "2022-04-01"
# https://learn.microsoft.com/rest/api/virtualnetwork/usages/list, .../public-ip-addresses/list-all
_NETWORK: Final = "2024-05-01"
# https://learn.microsoft.com/rest/api/storagerp/storage-accounts/check-name-availability
_STORAGE: Final = "2023-05-01"
# https://learn.microsoft.com/rest/api/appservice/check-name-availability
_WEB: Final = "2024-04-01"
# https://learn.microsoft.com/rest/api/keyvault/keyvault/vaults/check-name-availability, .../list-deleted
_VAULTS: Final = "2023-07-01"
# https://learn.microsoft.com/azure/virtual-machine-scale-sets/spot-placement-score
_SCORES: Final = "2025-06-05"
SCORER: Final = "Compute Recommendations Role"


class RegionSubscription(ArmAsker, StoreReader):
    """One subscription and region, asked with a ComputeManagementClient.

    compute: makes the client of a subscription; vault: makes a SecretClient of a vault's URL.
    """

    stand_in = False
    secret_right = "Microsoft.KeyVault/vaults/secrets/getSecret/action (role Key Vault Secrets User)"

    def __init__(self, config: AzureRegion, compute: Callable[[str], Any], vault: Callable[[str], Any]) -> None:
        super().__init__(config.account, compute(config.account))
        self._config, self._compute, self._open_vault = config, compute, vault
        self.region = config.region
        self._path = f"/subscriptions/{config.account}"

    # Who, and what the subscription has

    @once
    def subscription(self) -> Subscription:
        try:
            found = self._get(self._path, _SUBSCRIPTIONS)
        except OutOfReach as error:
            raise Unreachable(f"{error.reason}; {error.action}") from None
        except Unanswered as error:
            raise Unreachable(f"Azure: subscription {self._subscription}: {error.reason}") from None
        if found is None:
            raise Unreachable(
                f"Azure: subscription {self._subscription} is not seen by these credentials; "
                "correct `account` in the stack file, or `az login --tenant ...`"
            )
        return Subscription(self._subscription, str(found.get("displayName", "")), str(found.get("state", "")))

    @once
    def _permissions(self) -> Sequence[Json]:
        with understood("Azure"):
            return list(self._all(f"{self._path}/providers/Microsoft.Authorization/permissions", _PERMISSIONS))

    def may(self, action: str) -> bool:
        with understood("Azure"):
            return any(answers.allows(permission, action) for permission in self._permissions())

    @once
    def providers(self) -> Mapping[str, str]:
        with understood("Azure"):
            return {
                str(one["namespace"]).lower(): str(one["registrationState"])
                for one in self._all(f"{self._path}/providers", _RESOURCES)
            }

    @once
    def sizes(self, names: tuple[str, ...]) -> Mapping[str, Size]:
        wanted = {name.lower(): name for name in names}
        with answered("Microsoft.Compute/skus/read"):
            # Without the filter the answer is that of all regions.
            listed = list(self._client.resource_skus.list(filter=f"location eq '{self.region}'"))
        with understood("Azure"):
            return {
                wanted[str(sku.name).lower()]: answers.size_of(wanted[str(sku.name).lower()], sku, self.region)
                for sku in listed
                if sku.resource_type == "virtualMachines" and str(sku.name).lower() in wanted
            }

    def sold_out(self, names: tuple[str, ...], zones: tuple[str, ...]) -> Sequence[tuple[str, str, Market]]:
        raise Unanswered("only a launch tells what is sold out")

    @once
    def limits(self, service: Service) -> Sequence[Limit]:
        if service == "Microsoft.Compute":
            with answered("Microsoft.Compute/locations/usages/read"):
                usages = list(self._client.usage.list(self.region))
            with understood("Azure"):
                return [
                    Limit(str(one.name.value), str(one.name.localized_value or one.name.value), one.limit,
                          one.current_value)
                    for one in usages
                ]  # fmt: skip
        path = f"{self._path}/providers/{service}/locations/{self.region}/usages"
        with understood("Azure"):
            return [
                Limit(
                    str(one["name"]["value"]),
                    str(one["name"].get("localizedValue") or one["name"]["value"]),
                    float(one["limit"]),
                    float(one["currentValue"]),
                )
                for one in self._all(path, _NETWORK)
            ]

    @once
    def scale_sets(self) -> Sequence[ScaleSet]:
        with answered("Microsoft.Compute/virtualMachineScaleSets/read"):
            listed = list(self._client.virtual_machine_scale_sets.list_all())
        with understood("Azure"):
            return [answers.scale_set_of(one) for one in listed if answers.place(one.location) == self.region]

    def _things(self, kind: str, version: str) -> list[Thing]:
        with understood("Azure"):
            return [answers.thing_of(one) for one in self._all(f"{self._path}/providers/{kind}", version)]

    @once
    def addresses(self) -> Sequence[Thing]:
        found = self._things("Microsoft.Network/publicIPAddresses", _NETWORK)
        return [one for one in found if one.location == self.region]

    @once
    def networks(self) -> Sequence[Thing]:
        found = self._things("Microsoft.Network/virtualNetworks", _NETWORK)
        return [one for one in found if one.location == self.region]

    def deployed(self, stack: str) -> bool:
        return any(network.stack == stack for network in self.networks())

    # Names

    @once
    def group(self, name: str) -> Thing | None:
        found = self._get(f"{self._path}/resourceGroups/{name}", _RESOURCES)
        with understood("Azure"):
            return answers.thing_of(found) if found is not None else None

    @once
    def storage_account(self, name: str) -> Thing | None:
        return _named(self._things("Microsoft.Storage/storageAccounts", _STORAGE), name)

    @once
    def storage_name(self, name: str) -> Availability:
        return self._available("Microsoft.Storage", "storageAccounts", name, _STORAGE)

    @once
    def flex_regions(self) -> frozenset[str]:
        url = f"{ARM}{self._path}/providers/Microsoft.Web/geoRegions?sku=FlexConsumption&api-version={_WEB}"
        with understood("Azure"):
            found = frozenset(answers.place(one["name"]) for one in self._all(url, _WEB))
        if not found:
            raise Unanswered(
                "Azure names no region with Flex Consumption", "az functionapp list-flexconsumption-locations"
            )
        return found

    @once
    def app(self, name: str) -> Thing | None:
        return _named(self._things("Microsoft.Web/sites", _WEB), name)

    @once
    def app_name(self, name: str) -> Availability:
        return self._available("Microsoft.Web", "sites", name, _WEB)

    @once
    def vault(self, name: str) -> Thing | None:
        return _named(self._things("Microsoft.KeyVault/vaults", _VAULTS), name)

    @once
    def vault_name(self, name: str) -> Availability:
        return self._available("Microsoft.KeyVault", "vaults", name, _VAULTS)

    def _available(self, namespace: str, kind: str, name: str, version: str) -> Availability:
        action = f"{namespace}/checkNameAvailability/read"
        body = {"name": name, "type": f"{namespace}/{kind}"}
        found = self._post(f"{self._path}/providers/{namespace}/checkNameAvailability", version, body, action)
        with understood("Azure"):
            told = " ".join(str(found.get("message") or found.get("reason") or "").split())
            return Availability(bool(found["nameAvailable"]), told)

    @once
    def deleted_vault(self, name: str) -> DeletedVault | None:
        with understood("Azure"):
            for one in self._all(f"{self._path}/providers/Microsoft.KeyVault/deletedVaults", _VAULTS):
                if str(one["name"]).lower() == name.lower():
                    properties = one["properties"]
                    until = datetime.fromisoformat(str(properties["scheduledPurgeDate"]))
                    return DeletedVault(answers.place(properties["location"]), until)
        return None

    # The image

    @once
    def definition(self, image: AzureImage) -> ImageDefinition | None:
        found = self._or_none(
            "Microsoft.Compute/galleries/images/read",
            lambda: self._client.gallery_images.get(image.resource_group, image.gallery, image.family),
        )
        with understood("Azure"):
            return answers.definition_of(found) if found is not None else None

    @once
    def versions(self, image: AzureImage) -> Sequence[ImageVersion]:
        group, gallery, family, version = image.resource_group, image.gallery, image.family, image.version
        client = self._client
        if image.id is not None:
            parts = dict(re.findall(r"/(subscriptions|resourceGroups|galleries|images|versions)/([^/]+)", image.id))
            if parts["subscriptions"] != self._subscription:
                client = self._compute(parts["subscriptions"])
            group, gallery = parts["resourceGroups"], parts["galleries"]
            family, version = parts["images"], parts["versions"]
        action = "Microsoft.Compute/galleries/images/versions/read"
        operations = client.gallery_image_versions
        if image.id is None and (image.newest or version is None):
            with answered(action):
                listed = list(operations.list_by_gallery_image(group, gallery, family))
        else:
            one = self._or_none(
                action, lambda: operations.get(group, gallery, family, version, expand="ReplicationStatus")
            )
            listed = [one] if one is not None else []
        with understood("Azure"):
            facts = [answers.version_of(one, self.region) for one in listed]
            return sorted(facts, key=lambda one: [int(part) for part in one.version.split(".")], reverse=True)

    @staticmethod
    def _or_none(action: str, ask: Callable[[], Any]) -> Any:
        from azure.core.exceptions import ResourceNotFoundError

        with answered(action):
            try:
                return ask()
            except ResourceNotFoundError:
                return None

    # The market

    @once
    def scores(self, sizes: tuple[str, ...], count: int, regions: tuple[str, ...]) -> Sequence[Score]:
        path = f"{self._path}/providers/Microsoft.Compute/locations/{self.region}/placementScores/spot/generate"
        body = {
            "desiredLocations": list(regions),
            "desiredSizes": [{"sku": size} for size in sizes],
            "desiredCount": count,
            "availabilityZones": False,
        }
        action = "Microsoft.Compute/locations/placementScores/generate/action"
        # Scores are kept for a while, and who asks too often is told to wait for minutes: not here.
        found = self._post(path, _SCORES, body, action, SCORER, retry_total=0)
        with understood("Azure"):
            return [answers.score_of(one) for one in found["placementScores"]]

    # Stores

    def _vault_client(self) -> Any:
        return self._open_vault(f"https://{self._vault_name}.vault.azure.net")

    @property
    def _vault_name(self) -> str:
        return names.vault(self._config.stack_name, self._subscription)

    def _secrets(self) -> SecretStore:
        from spillway.secrets.azure import KeyVault

        if self.vault(self._vault_name) is None:  # a name that nobody has cannot be resolved either
            raise NotThere(self._vault_name)
        return KeyVault(self._vault_client())

    def _models(self) -> ModelStore:
        account = names.storage_account(self._config.stack_name, self._subscription)
        if self.storage_account(account) is None:
            raise NoBucket(account)
        return open_models(self._config, None, None, 1)

    @once
    def is_filled(self, name: str) -> bool:
        with answered("Microsoft.KeyVault/vaults/secrets/readMetadata/action", "Key Vault Reader"):
            return any(one.enabled for one in self._vault_client().list_properties_of_secret_versions(name))


def _named(found: Iterable[Thing], name: str) -> Thing | None:
    return next((thing for thing in found if thing.name.lower() == name.lower()), None)


def connect(config: AzureRegion) -> RegionSubscription:
    """The subscription, with the environment's credentials. Raises Unreachable without the extra."""
    try:
        from azure.identity import DefaultAzureCredential
        from azure.keyvault.secrets import SecretClient
        from azure.mgmt.compute import ComputeManagementClient
    except ImportError:
        raise Unreachable(f"Azure: its SDK is not installed: {INSTALL}") from None
    hush()
    credential = DefaultAzureCredential()
    return RegionSubscription(
        config,
        lambda subscription: ComputeManagementClient(credential, subscription, **RETRIES),
        lambda url: SecretClient(url, credential, **RETRIES),
    )
