"""What exists in a real Google Cloud project and region: the inventory of `spillway recover`.

Read-only calls with the extra `gcp`, over google-auth's session; few of these services have an SDK among the
dependencies, and all speak JSON. Needs, in the project, compute.*.list,
storage.buckets.list, iam.serviceAccounts.list, iam.roles.list, secretmanager.secrets.get and .list,
cloudfunctions.functions.list, cloudscheduler.jobs.list, logging.sinks.list, logging.exclusions.list,
monitoring.alertPolicies.list, monitoring.notificationChannels.list (roles/viewer has them all), and
billing.budgets.list on the billing account.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from spillway.errors import SpillwayError
from spillway.preflight.gcp_calls import INSTALL, LOGIN, SCOPE, NotEnabled, RestAsker, one_line
from spillway.preflight.model import Unanswered
from spillway.recovery import gcp
from spillway.recovery import gcp_types as types
from spillway.recovery.gcp import Thing
from spillway.recovery.model import Existing, Inventory, Properties, Scope, strings, text

Json = Mapping[str, Any]

ROOT: Final = "https://{}.googleapis.com"
MAX_PAGES: Final = 100


class Api(RestAsker):
    """Google's services over one authorized session. root: an address with `{}` for the service's name."""

    def __init__(self, project: str, session: Any, root: str = ROOT) -> None:
        super().__init__(project, session)
        self._root = root

    def get(self, service: str, path: str, right: str, **query: str) -> Json | None:
        """The answer's body, None when there is no such thing. Raises Unanswered and Unreachable.

        Where an API was never turned on, nothing of it exists:
        https://docs.cloud.google.com/service-usage/docs/troubleshooting
        """
        try:
            return self._json("GET", f"{self._root.format(service)}/{path}", right, params=query)
        except NotEnabled:
            return None

    def list(self, service: str, path: str, items: str, right: str, **query: str) -> Iterator[Json]:
        """Every item of every page."""
        token = ""
        for _ in range(MAX_PAGES):
            body = self.get(service, path, right, **query, **({"pageToken": token} if token else {})) or {}
            yield from body.get(items) or ()
            token = str(body.get("nextPageToken") or "")
            if not token:
                return
        raise Unanswered(f"{service} lists more than {MAX_PAGES} pages of {path}")


class GcpInventory:
    """One project and region."""

    def __init__(self, project: str, region: str, api: Api) -> None:
        self._project, self._region, self._api = project, region, api

    def existing(self, scope: Scope) -> list[Existing]:
        """See model.Inventory. Raises SpillwayError in Google's words when a call is refused."""
        try:
            return gcp.complete(list(self._things(scope)), scope)
        except Unanswered as error:
            raise SpillwayError(f"listing what exists in the project {self._project}: {error.reason}") from None

    def _things(self, scope: Scope) -> Iterator[Thing]:
        yield from self._compute(scope)
        yield from self._buckets()
        yield from self._accounts()
        yield from self._secrets(scope)
        place = f"projects/{self._project}/locations/{self._region}"
        for item in self._api.list(
            "cloudfunctions", f"v2/{place}/functions", "functions", "cloudfunctions.functions.list"
        ):
            yield self._named(types.FUNCTION, item, labels=item.get("labels") or {})
        for item in self._api.list("cloudscheduler", f"v1/{place}/jobs", "jobs", "cloudscheduler.jobs.list"):
            yield self._named(types.JOB, item, region=self._region)
        yield from self._routing()
        yield from self._monitoring()
        yield from self._budgets(scope)

    # Compute Engine

    def _compute(self, scope: Scope) -> Iterator[Thing]:
        """The filter is a regular expression of whole names:
        https://docs.cloud.google.com/compute/docs/reference/rest/v1/networks/list (filter)"""
        ours = f'name eq "spillway-{scope.stack}-.*"'
        for row in types.COMPUTE:
            place = f"regions/{self._region}" if row.regional else "global"
            path = f"compute/v1/projects/{self._project}/{place}/{row.collection}"
            for item in self._api.list("compute", path, "items", f"compute.{row.collection}.list", filter=ours):
                yield self._computed(row, item)
                if row.token == types.ROUTER:
                    yield from self._gateways(item)

    def _computed(self, row: types.Computed, item: Json) -> Thing:
        # Those of a template are in what it makes: its own block of properties.
        templated = (item.get("properties") or {}).get("labels") or {}
        return Thing(
            row.token,
            row.id(self._project, self._region, str(item["name"])),
            {"name": item["name"]},
            region=self._region if row.regional else "",
            labels=(item.get("labels") or templated) if row.labelled else {},
            says=str(item.get("description") or ""),
            refs=frozenset(strings(item, skip=("selfLink", "id", "name"))),
        )

    def _gateways(self, router: Json) -> Iterator[Thing]:
        path = f"projects/{self._project}/regions/{self._region}/routers/{router['name']}"
        for nat in router.get("nats") or ():
            names = {"router": router["name"], "name": nat["name"]}
            yield Thing(types.ROUTER_NAT, f"{path}/{nat['name']}", names, region=self._region)

    # Others that are known by name

    def _buckets(self) -> Iterator[Thing]:
        """https://docs.cloud.google.com/storage/docs/json_api/v1/buckets/list"""
        query = {"project": self._project, "prefix": "spillway-"}
        for item in self._api.list("storage", "storage/v1/b", "items", "storage.buckets.list", **query):
            yield Thing(types.BUCKET, str(item["name"]), {"name": item["name"]}, labels=item.get("labels") or {})

    def _accounts(self) -> Iterator[Thing]:
        """https://docs.cloud.google.com/iam/docs/reference/rest/v1: projects.serviceAccounts, projects.roles (list)"""
        path = f"v1/projects/{self._project}"
        for item in self._api.list(
            "iam", f"{path}/serviceAccounts", "accounts", "iam.serviceAccounts.list", pageSize="100"
        ):
            account = str(item["email"]).partition("@")[0]
            id = f"projects/{self._project}/serviceAccounts/{item['email']}"
            yield Thing(types.SERVICE_ACCOUNT, id, {"accountId": account}, says=str(item.get("displayName") or ""))
        for item in self._api.list("iam", f"{path}/roles", "roles", "iam.roles.list", pageSize="300"):
            if not item.get("deleted"):
                role = types.leaf(str(item["name"]))
                yield Thing(types.ROLE, str(item["name"]), {"roleId": role}, says=str(item.get("title") or ""))

    def _secrets(self, scope: Scope) -> Iterator[Thing]:
        """By label, and those of the planned names: a project may have thousands.
        https://docs.cloud.google.com/secret-manager/docs/filtering"""
        path, seen = f"v1/projects/{self._project}/secrets", set[str]()
        ours = f"labels.{gcp.STACK_LABEL}={scope.stack}"
        found = list(self._api.list("secretmanager", path, "secrets", "secretmanager.secrets.list", filter=ours))
        seen = {types.leaf(str(item["name"])) for item in found}
        wanted = {name for values in scope.properties(types.SECRET) if (name := text(values, "secretId"))}
        found += [
            item
            for name in sorted(wanted - seen)
            if (item := self._api.get("secretmanager", f"{path}/{name}", "secretmanager.secrets.get"))
        ]
        for item in found:
            name = types.leaf(str(item["name"]))  # the service answers with the project's number
            id = f"projects/{self._project}/secrets/{name}"
            yield Thing(types.SECRET, id, {"secretId": name}, labels=item.get("labels") or {})

    def _routing(self) -> Iterator[Thing]:
        """https://docs.cloud.google.com/logging/docs/reference/v2/rest: projects.sinks, projects.exclusions (list)"""
        for token, collection in ((types.LOG_SINK, "sinks"), (types.LOG_EXCLUSION, "exclusions")):
            path = f"projects/{self._project}/{collection}"
            for item in self._api.list("logging", f"v2/{path}", collection, f"logging.{collection}.list"):
                says = str(item.get("description") or "")
                # The service answers with the bare name, the import takes the path.
                yield Thing(token, f"{path}/{types.leaf(str(item['name']))}", {"name": item["name"]}, says=says)

    def _named(self, token: str, item: Json, region: str = "", labels: Mapping[str, str] | None = None) -> Thing:
        name = str(item["name"])
        says = str(item.get("description") or "")
        return Thing(token, name, {"name": types.leaf(name)}, region=region, labels=labels or {}, says=says)

    # Known by what they are called

    def _monitoring(self) -> Iterator[Thing]:
        """https://docs.cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.alertPolicies/list"""
        path = f"v3/projects/{self._project}"
        for token, collection in ((types.CHANNEL, "notificationChannels"), (types.ALERT_POLICY, "alertPolicies")):
            for item in self._api.list(
                "monitoring", f"{path}/{collection}", collection, f"monitoring.{collection}.list"
            ):
                refs = frozenset(map(str, item.get("notificationChannels") or ()))
                called = {"displayName": item.get("displayName")}
                yield Thing(token, str(item["name"]), called, labels=item.get("userLabels") or {}, refs=refs)

    def _budgets(self, scope: Scope) -> Iterator[Thing]:
        """https://docs.cloud.google.com/billing/docs/reference/budget/rest/v1/billingAccounts.budgets/list"""
        accounts = {a for values in scope.properties(types.BUDGET) if (a := text(values, "billingAccount"))}
        for account in sorted({types.leaf(account) for account in accounts}):
            for item in self._api.list(
                "billingbudgets", f"v1/billingAccounts/{account}/budgets", "budgets", "billing.budgets.list"
            ):
                by = (item.get("budgetFilter") or {}).get("labels") or {}
                labels = {key: str(next(iter(_values(value)), "")) for key, value in by.items()}
                yield Thing(types.BUDGET, str(item["name"]), {"displayName": item.get("displayName")}, labels=labels)


def _values(value: Any) -> Sequence[Any]:
    """A filter has one value in a list, in an object that has nothing else: {"values": ["gcp-us-central1"]}."""
    return (value.get("values") or ()) if isinstance(value, Mapping) else value if isinstance(value, list) else ()


def connect(project: str) -> Api:
    """The session of whoever is logged in; the budgets' API counts calls against a project, which has to be named.

    Raises SpillwayError without the SDK, and without credentials.
    """
    try:
        import google.auth
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.requests import AuthorizedSession
    except ImportError:
        raise SpillwayError(f"Google's libraries are not installed: {INSTALL}") from None
    try:
        credentials, _ = google.auth.default(scopes=[SCOPE], quota_project_id=project)
    except GoogleAuthError as error:
        raise SpillwayError(f"Google Cloud: {one_line(error)}; {LOGIN}") from None
    return Api(project, AuthorizedSession(credentials))  # type: ignore[no-untyped-call]


def inventories(providers: Sequence[Properties]) -> Sequence[Inventory]:
    """One per project and region of the stack's Google Cloud providers."""
    places = sorted({(str(p["project"]), str(p.get("region") or "")) for p in providers if p.get("project")})
    return [GcpInventory(project, region, connect(project)) for project, region in places]
