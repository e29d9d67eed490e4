"""A real Google Cloud project and region as a preflight asks it; read-only calls. See facts.Account.

Needs the extra `gcp`, and each permission for its own rows only (docs/preflight.md lists them). Compute Engine, Cloud
Storage and Secret Manager are asked through their SDKs, what has none here (Resource Manager, Service Usage, Cloud
Billing) with the same credentials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from infra.gcp import names
from spillway.models.store import ModelStore
from spillway.models.stores import open_store as open_models
from spillway.preflight.gcp_calls import INSTALL, SCOPE, TIMEOUT, RestAsker, answered, retried
from spillway.preflight.gcp_region import answers
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
from spillway.preflight.model import OutOfReach, Unanswered, Unreachable, once, understood
from spillway.preflight.pool_quotas import Limit, Market
from spillway.preflight.stored_checks import StoreReader
from spillway.secrets.store import SecretStore

if TYPE_CHECKING:
    from infra.config import GcpRegion
    from infra.gcp.sections import GcpImage

MANAGER: Final = "https://cloudresourcemanager.googleapis.com/v3"
USAGE: Final = "https://serviceusage.googleapis.com/v1"
BILLING: Final = "https://cloudbilling.googleapis.com/v1"
COMPUTE: Final = "compute.googleapis.com"
STORAGE: Final = "storage.googleapis.com"
SECRETS: Final = "secretmanager.googleapis.com"
BUDGETS: Final = "billing.budgets.create"
MOST_SERVICES: Final = 30
"""Of one question: https://docs.cloud.google.com/service-usage/docs/reference/rest/v1/services/batchGet"""


class RegionProject(RestAsker, StoreReader):
    """One project and region. credentials: google.auth's; session: an AuthorizedSession of theirs."""

    stand_in = False
    secret_right = "secretmanager.versions.access (roles/secretmanager.secretAccessor)"

    def __init__(self, config: GcpRegion, credentials: Any, session: Any) -> None:
        super().__init__(config.account, session)
        self._config, self._credentials, self.region = config, credentials, config.region
        self._clients: dict[str, Any] = {}

    def _compute(self, client: str) -> Any:
        """A client of Compute Engine, made once: RegionsClient, ImagesClient, ..."""
        if client not in self._clients:
            from google.cloud import compute_v1

            self._clients[client] = getattr(compute_v1, client)(credentials=self._credentials)
        return self._clients[client]

    def _ask(self, client: str, operation: str, right: str, request: Mapping[str, Any], *, again: bool = True) -> Any:
        """What an operation answers. again: tried again while the API is busy."""
        with answered(COMPUTE, right, self._project):
            call = getattr(self._compute(client), operation)
            return call(dict(request), retry=retried() if again else None, timeout=TIMEOUT)

    def _list(self, client: str, operation: str, right: str, request: Mapping[str, Any]) -> list[Any]:
        """All items of a listing, over all its pages."""
        with answered(COMPUTE, right, self._project):
            call = getattr(self._compute(client), operation)
            return list(call(dict(request), retry=retried(), timeout=TIMEOUT))

    def _or_none(self, client: str, operation: str, right: str, request: Mapping[str, Any]) -> Any:
        from google.api_core.exceptions import NotFound

        with answered(COMPUTE, right, self._project):
            try:
                call = getattr(self._compute(client), operation)
                return call(dict(request), retry=retried(), timeout=TIMEOUT)
            except NotFound:
                return None

    # Who, and what the project has

    @once
    def project(self) -> Project:
        try:
            found = self._json("GET", f"{MANAGER}/projects/{self._project}", "resourcemanager.projects.get")
        except OutOfReach as error:
            raise Unreachable(f"Google Cloud: {error.reason}; {error.action}") from None
        except Unanswered as error:
            return self._project_by_compute(error)
        if found is None:
            raise Unreachable(f"Google Cloud: there is no project {self._project}; correct `account` in the stack file")
        with understood(MANAGER):
            return Project(self._project, str(found["name"]).rsplit("/", 1)[-1], str(found["state"]))

    def _project_by_compute(self, refusal: Unanswered) -> Project:
        """Resource Manager's API need not be enabled for anything else, and knows no difference between a project that
        is not there and one that may not be seen."""
        try:
            self.limits("project")
        except Unanswered as error:
            raise Unreachable(
                f"Google Cloud: project {self._project} is not seen by these credentials: {refusal.reason}; "
                f"{error.reason}; correct `account` in the stack file, or log in with others"
            ) from None
        return Project(self._project, "", "ACTIVE")

    @once
    def billing(self) -> Billing:
        right = "resourcemanager.projects.get"
        found = self._json("GET", f"{BILLING}/projects/{self._project}/billingInfo", right) or {}
        account = str(found.get("billingAccountName") or "")
        if not found.get("billingEnabled") or not account:
            return Billing("")
        try:
            granted = self._granted(f"{BILLING}/{account}:testIamPermissions", (BUDGETS,))
        except Unanswered:
            return Billing(account.removeprefix("billingAccounts/"))
        return Billing(account.removeprefix("billingAccounts/"), BUDGETS in granted)

    def _granted(self, url: str, permissions: tuple[str, ...]) -> frozenset[str]:
        found = self._json("POST", url, "none", json={"permissions": list(permissions)}) or {}
        with understood(url):
            return frozenset(str(one) for one in found.get("permissions") or ())

    @once
    def granted(self, permissions: tuple[str, ...]) -> frozenset[str]:
        return self._granted(f"{MANAGER}/projects/{self._project}:testIamPermissions", permissions)

    @once
    def enabled(self, services: tuple[str, ...]) -> frozenset[str]:
        found: set[str] = set()
        for start in range(0, len(services), MOST_SERVICES):
            part = services[start : start + MOST_SERVICES]
            asked = "&".join(f"names={quote(f'projects/{self._project}/services/{name}', safe='')}" for name in part)
            url = f"{USAGE}/projects/{self._project}/services:batchGet?{asked}"
            answer = self._json("GET", url, "serviceusage.services.get") or {}
            with understood(USAGE):
                for one in answer.get("services") or ():
                    if one.get("state") == "ENABLED":
                        found.add(str(one["name"]).rsplit("/", 1)[-1])
        return frozenset(found)

    # Places

    @once
    def zones(self) -> Mapping[str, str]:
        found = self._list("ZonesClient", "list", "compute.zones.list", {"project": self._project})
        return {one.name: one.status for one in found if answers.last(one.region) == self.region}

    @once
    def offerings(self, types: tuple[str, ...]) -> Mapping[str, frozenset[str]]:
        wanted = " OR ".join(f"(name = {name})" for name in types)
        request = {"project": self._project, "filter": wanted}
        listed = self._list("MachineTypesClient", "aggregated_list", "compute.machineTypes.list", request)
        found: dict[str, set[str]] = {name: set() for name in types}
        for place, scoped in listed:
            zone = answers.last(place)
            for one in scoped.machine_types:
                if one.name in found and zone.rpartition("-")[0] == self.region:
                    found[one.name].add(zone)
        return {name: frozenset(zones) for name, zones in found.items()}

    def sold_out(self, types: tuple[str, ...], zones: tuple[str, ...]) -> Sequence[tuple[str, str, Market]]:
        raise Unanswered("only a launch tells what is sold out")

    @once
    def limits(self, place: Place) -> Mapping[str, Limit]:
        if place == "project":
            found = self._ask("ProjectsClient", "get", "compute.projects.get", {"project": self._project})
        else:
            request = {"project": self._project, "region": self.region}
            found = self._or_none("RegionsClient", "get", "compute.regions.get", request)
            if found is None:
                raise Unanswered(f"there is no region {self.region}", "correct `region` in the stack file")
        return answers.limits_of(found.quotas)

    @once
    def instances(self, stack: str) -> Sequence[Instance]:
        wanted = f"labels.{answers.STACK_LABEL} = {stack}"
        request = {"project": self._project, "filter": wanted}
        listed = self._list("InstancesClient", "aggregated_list", "compute.instances.list", request)
        return [answers.instance_of(one) for _, scoped in listed for one in scoped.instances]

    @once
    def addresses(self) -> Sequence[Thing]:
        request = {"project": self._project, "region": self.region}
        found = self._list("AddressesClient", "list", "compute.addresses.list", request)
        return [answers.thing_of(one) for one in found if one.address_type != "INTERNAL"]

    @once
    def networks(self) -> Sequence[Thing]:
        found = self._list("NetworksClient", "list", "compute.networks.list", {"project": self._project})
        return [Thing(one.name, "") for one in found]

    def deployed(self, stack: str) -> bool:
        return any(one.stack == stack for one in self.addresses())

    @once
    def image(self, image: GcpImage) -> MachineImage | None:
        project, right = image.project or self._project, "compute.images.get"
        if image.id is not None:
            _, project, _, _, name = image.id.split("/")  # projects/<project>/global/images/<name>
            found = self._or_none("ImagesClient", "get", right, {"project": project, "image": name})
        elif image.newest or image.version is None:
            request = {"project": project, "family": image.family}
            found = self._or_none("ImagesClient", "get_from_family", "compute.images.getFromFamily", request)
        else:
            request = {"project": project, "image": names.image_name(str(image.family), image.version)}
            found = self._or_none("ImagesClient", "get", right, request)
        with understood(COMPUTE):
            return answers.image_of(found, project) if found is not None else None

    @once
    def advice(self, types: tuple[str, ...], zones: tuple[str, ...], count: int) -> Advice | None:
        resource = {
            "distribution_policy": {
                "target_shape": "ANY",
                "zones": [{"zone": f"projects/{self._project}/zones/{zone}"} for zone in zones],
            },
            "instance_flexibility_policy": {"instance_selections": {"spot": {"machine_types": list(types)}}},
            "instance_properties": {"scheduling": {"provisioning_model": "SPOT"}},
            "size": count,
        }
        request = {
            "project": self._project,
            "region": self.region,
            "capacity_advice_request_resource": resource,
        }
        # Asked once: it has a rate of its own, far below that of other calls.
        found = self._ask("AdviceClient", "capacity", "roles/compute.viewer", request, again=False)
        with understood(COMPUTE):
            return answers.advice_of(found)

    # Stores

    @once
    def bucket(self, name: str) -> Bucket:
        from google.api_core.exceptions import Forbidden, NotFound
        from google.cloud.storage import Client

        client = Client(self._project, credentials=self._credentials)
        with answered(STORAGE, "storage.buckets.list", self._project):
            own = {one.name: one for one in client.list_buckets(prefix=name, retry=retried(), timeout=TIMEOUT)}
            if name in own:
                found = own[name]
                return Bucket("this project", str(found.location or "").lower(), answers.stack_of(found.labels))
            try:
                client.get_bucket(name, retry=retried(), timeout=TIMEOUT)
            except NotFound:
                return Bucket("nobody")
            except Forbidden:
                pass  # it is there, and not this project's
        return Bucket("somebody else")

    def _secret_client(self) -> Any:
        if SECRETS not in self._clients:
            from google.cloud.secretmanager import SecretManagerServiceClient

            self._clients[SECRETS] = SecretManagerServiceClient(credentials=self._credentials, transport="rest")
        return self._clients[SECRETS]

    @once
    def holder(self, secret: str) -> Thing | None:
        from google.api_core.exceptions import NotFound

        with answered(SECRETS, "secretmanager.secrets.get", self._project):
            try:
                path = f"projects/{self._project}/secrets/{secret}"
                found = self._secret_client().get_secret(name=path, retry=retried(), timeout=TIMEOUT)
            except NotFound:
                return None
        return Thing(secret, answers.stack_of(found.labels))

    @once
    def is_filled(self, name: str) -> bool:
        from google.api_core.exceptions import NotFound

        with answered(SECRETS, "secretmanager.versions.get", self._project):
            try:
                path = f"projects/{self._project}/secrets/{name}/versions/latest"
                found = self._secret_client().get_secret_version(name=path, retry=retried(), timeout=TIMEOUT)
            except NotFound:
                return False
        return bool(found.state.name == "ENABLED")

    def _secrets(self) -> SecretStore:
        from spillway.secrets.gcp import SecretManager

        return SecretManager(self._secret_client(), self._project)

    def _models(self) -> ModelStore:
        from spillway.models.store import NoBucket

        name = names.bucket_name(self._project, self.region)
        if self.bucket(name).owner != "this project":
            raise NoBucket(name)
        return open_models(self._config, None, None, 1)


def connect(config: GcpRegion) -> RegionProject:
    """The project, with the environment's credentials. Raises Unreachable without the extra or without a login."""
    try:
        import google.auth
        import google.cloud.compute_v1
        import google.cloud.secretmanager
        import google.cloud.storage  # type: ignore[import-untyped, unused-ignore]
        from google.auth.transport.requests import AuthorizedSession
    except ImportError:
        raise Unreachable(f"Google Cloud: its SDK is not installed: {INSTALL}") from None
    with answered("google.auth", "a login", config.account):
        credentials, _ = google.auth.default(scopes=[SCOPE])
    session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
    return RegionProject(config, credentials, session)
