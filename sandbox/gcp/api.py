"""What all types of Google Cloud share: projects, names, labels, references, deletion policies, and the API's words."""

from __future__ import annotations

import hashlib
import re
import secrets as random_source
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from sandbox.gcp import links, places
from sandbox.gcp.registry import GCP
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Kind, Resource
from sandbox.rules import matches, one_of, shown
from sandbox.values import UNKNOWN, select

NAME: Final = r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?"
"""Names of compute resources: RFC 1035, 1 to 63 characters
(https://docs.cloud.google.com/compute/docs/naming-resources)."""
NAME_WORDS: Final = "1 to 63 lower-case letters, digits and hyphens, a letter first, no hyphen last"
# https://docs.cloud.google.com/compute/docs/labeling-resources#requirements
LABELS_MAX: Final = 64
_LABEL_KEY: Final = re.compile(r"(?!\d)[\w-]{1,63}")
_LABEL_VALUE: Final = re.compile(r"[\w-]{0,63}")
ATTRIBUTION: Final = {"goog-pulumi-provisioned": "true"}
"""What the provider labels everything with when it creates it (`addPulumiAttributionLabel`, on by default):
https://www.pulumi.com/registry/packages/gcp/api-docs/provider/"""
# Services make these accounts themselves, in projects of their own: nobody's stack creates them.
# https://docs.cloud.google.com/iam/docs/service-account-types#service-agents
_AGENT: Final = re.compile(
    r"service-\d+@[a-z0-9-]+\.iam\.gserviceaccount\.com|\d+@cloudservices\.gserviceaccount\.com|"
    r"\d+-compute@developer\.gserviceaccount\.com|[a-z0-9-]+@appspot\.gserviceaccount\.com|"
    r"\d+@cloudbuild\.gserviceaccount\.com|[a-z0-9@.-]+@system\.gserviceaccount\.com"
)


def project_of(args: Args, cloud: Cloud) -> str:
    """The project that a resource names, or the provider's."""
    return str(args.get("project") or cloud.account)


def project_number(project: str) -> str:
    """Twelve digits, always the same ones for a project."""
    return str(10**11 + int(hashlib.sha256(project.encode()).hexdigest(), 16) % (9 * 10**11))


def now() -> str:
    """The time as Compute Engine writes it: `2026-11-21T10:00:00.000-00:00`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000-00:00")


def number() -> str:
    """A numeric id of 19 digits, as the services give them out."""
    return str(random_source.randbelow(9 * 10**18) + 10**18)


def fingerprint() -> str:
    """What the API hands out for optimistic locking: 8 bytes in base64, new with every change."""
    return b64encode(random_source.token_bytes(8)).decode()


def etag() -> str:
    """What a policy carries for optimistic locking."""
    return b64encode(random_source.token_bytes(9)).decode()


def kept(old: Resource | None, key: str, new: Any) -> Any:
    """What an output had before an update, else the new value."""
    value = old[key] if old is not None else None
    return new if value in (None, "") else value


def label_faults(args: Args, pattern: str = "labels", most: int = LABELS_MAX) -> Iterator[Fault]:
    """Labels: at most 64, keys of 1 to 63 characters that begin with a letter, values of up to 63; lower-case letters
    (of any script), digits, `_` and `-`."""
    for path, labels in args.at(pattern):
        if not isinstance(labels, dict):
            continue
        if len(labels) > most:
            yield Fault(path, f"expected at most {most} labels, got {len(labels)}")
        for key, value in labels.items():
            if not _LABEL_KEY.fullmatch(key) or key != key.lower() or not key[0].isalpha():
                yield Fault(
                    path,
                    "expected a label key of 1 to 63 lower-case letters, digits, _ and -, a letter first; "
                    f"got {shown(key)}",
                )
            if isinstance(value, str) and (not _LABEL_VALUE.fullmatch(value) or value != value.lower()):
                yield Fault(
                    path,
                    f"expected a label value of up to 63 lower-case letters, digits, _ and -; {key} is {shown(value)}",
                )


def label_outputs(args: Args, *, attributed: bool = True) -> dict[str, Any]:
    """The three views of labels: as written, with the provider's own, and all that are on the resource."""
    labels = dict(args["labels"] or {}) if isinstance(args["labels"], dict) else {}
    extra = ATTRIBUTION if attributed else {}
    return {"labels": labels, "pulumiLabels": {**extra, **labels}, "effectiveLabels": {**extra, **labels}}


def invalid(field: str, value: object, why: str) -> CloudError:
    """A refusal in Compute Engine's words."""
    return CloudError("invalid", f"Invalid value for field 'resource.{field}': '{value}'. {why}")


def not_found(id: str) -> CloudError:
    return CloudError("notFound", f"The resource '{id}' was not found")


def check_count(cloud: Cloud, metric: str, have: int, default: float, *, region: str | None = None) -> None:
    """Refuse one more when a quota is used up. Raises CloudError quotaExceeded, in the API's words."""
    limit = cloud.quota(metric, default, region=region)
    if have + 1 > limit:
        where = f" in region {region}" if region else " globally"
        raise CloudError("quotaExceeded", f"Quota '{metric}' exceeded.  Limit: {limit:.1f}{where}.")


@dataclass(frozen=True, slots=True)
class Use:
    """A property that names another resource, in any spelling of a reference.

    path: pattern of the property. tokens: the types it may be. collection: what the reference calls the type when that
    is not its own collection (a backend names `instanceGroups`, which its manager made).
    bare: whether a name alone will do. by_name: whether the provider compares by the name alone
    (CompareSelfLinkOrResourceName), else by relative paths.
    holds: deleting the target while it is named is refused.
    """

    path: str
    tokens: tuple[str, ...]
    collection: str = ""
    bare: bool = True
    by_name: bool = True
    holds: bool = True


class GcpKind(Kind):
    """A type of Google Cloud: what it refers to is checked and held, and `deletionPolicy` means what it says."""

    not_found_code: ClassVar[str] = "notFound"
    duplicate_code: ClassVar[str] = "alreadyExists"
    taggable: ClassVar[bool] = False
    regional: ClassVar[bool] = False
    uses: ClassVar[tuple[Use, ...]] = ()
    label: ClassVar[str] = ""
    """What the API calls the type in a refusal: `subnetwork`."""

    def check(self, args: Args) -> Iterable[Fault]:
        yield from one_of(args, "deletionPolicy", ("DELETE", "PREVENT", "ABANDON"))
        yield from matches(args, "project", links.PROJECT, "a project id of 6 to 30 characters")
        if self.regional:
            for path, region in args.at("region"):
                if not places.is_region(region):
                    yield Fault(path, f"expected a region such as us-central1, got {shown(region)}")
        for use in self.uses:
            yield from self._use_faults(args, use)
        yield from self.faults(args)

    def faults(self, args: Args) -> Iterable[Fault]:
        """The type's own value rules."""
        return ()

    @staticmethod
    def _use_faults(args: Args, use: Use) -> Iterator[Fault]:
        for path, value in args.at(use.path):
            link = links.parse(value)
            if link is None or (link.bare and not use.bare):
                yield Fault(path, f"expected the self link of a resource, got {shown(value)}")

    def comparable(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        for use in self.uses:
            inputs = links.rewrite(inputs, use.path, links.name_of if use.by_name else links.relative)
        return inputs

    def before_create(self, args: Args, cloud: Cloud) -> None:
        if self.regional and not places.is_region(cloud.region):
            raise invalid("region", cloud.region, "Unknown region.")
        if cloud.get(self.token, self.new_id(args, cloud)) is not None:
            raise CloudError(self.duplicate_code, f"The resource '{self.new_id(args, cloud)}' already exists")
        self.check_uses(args, cloud)
        self.check_state(args, cloud, None)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self.check_uses(args, cloud)
        self.check_state(args, cloud, old)

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        """State rules of a create (`old` is None) or an update. References exist. Raises CloudError to refuse."""

    def check_uses(self, args: Args, cloud: Cloud) -> None:
        """Raises CloudError for the first reference that names nothing, or something in another region."""
        for use in self.uses:
            for path, value in args.at(use.path):
                if isinstance(value, str) and value and resolve(cloud, use, value, project_of(args, cloud)) is None:
                    self._refuse_use(cloud, use, path, value, project_of(args, cloud))

    @staticmethod
    def _refuse_use(cloud: Cloud, use: Use, path: str, value: str, project: str) -> None:
        link = links.parse(value)
        wanted = " or ".join(token.rsplit(":", 1)[-1] for token in use.tokens)
        if link is not None and link.region is not None and link.region != cloud.region:
            why = f"The referenced {wanted} must be in the same region, {cloud.region}."
            raise invalid(path, value, why)
        collections = [use.collection or collection_of(token) for token in use.tokens]
        if link is not None and link.collection is not None and link.collection not in collections:
            raise invalid(path, value, f"Unexpected resource collection '{link.collection}', expected a {wanted}.")
        raise not_found(canonical(use.tokens[0], value, project, cloud.region) or value)

    def before_delete(self, resource: Resource, cloud: Cloud) -> None:
        policy = resource.inputs.get("deletionPolicy")
        if policy == "PREVENT":
            what = self.token.rsplit(":", 1)[-1]
            raise CloudError(
                "deletionPolicy", f'cannot destroy {what} without setting deletionPolicy="DELETE" and updating it first'
            )
        if policy == "ABANDON":
            return
        for user in users(resource, cloud):
            raise CloudError(
                "resourceInUseByAnotherResource",
                f"The {self.label} resource '{resource.id}' is already being used by '{user.id}'",
            )
        self.check_delete(resource, cloud)

    def check_delete(self, resource: Resource, cloud: Cloud) -> None:
        """More that holds a resource. Raises CloudError to refuse."""

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        if resource.inputs.get("deletionPolicy") == "ABANDON":
            cloud.put(resource)  # the provider forgets it, the cloud keeps it


class ComputeKind(GcpKind):
    """A type of Compute Engine: named, in a project, global or in a region."""

    autoname: ClassVar[AutoName | None] = AutoName("name", 63, lower=True)
    collection: ClassVar[str]
    """The type's part of a self link: `networks`."""

    def check(self, args: Args) -> Iterable[Fault]:
        yield from matches(args, "name", NAME, NAME_WORDS)
        yield from super().check(args)

    def name(self, args: Args) -> str:
        return str(args["name"])

    def scope(self, cloud: Cloud) -> str:
        return f"regions/{cloud.region}" if self.regional else "global"

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"projects/{project_of(args, cloud)}/{self.scope(cloud)}/{self.collection}/{self.name(args)}"

    def common(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        """project, selfLink and creationTimestamp."""
        return {
            "project": project_of(args, cloud),
            "selfLink": links.self_link(id),
            "creationTimestamp": kept(old, "creationTimestamp", now()),
        }


def collection_of(token: str) -> str:
    """The collection of a compute type, "" for others."""
    kind = GCP.kinds.get(token)
    return kind.collection if isinstance(kind, ComputeKind) else ""


def canonical(token: str, value: str, project: str, region: str, collection: str = "") -> str | None:
    """The id that a reference means if it is one of a type, None when it cannot be.

    collection: what the reference may call the type instead of its own collection.
    """
    kind, link = GCP.kinds.get(token), links.parse(value)
    if link is None or not isinstance(kind, ComputeKind):
        return None
    scope = link.scope or (f"regions/{region}" if kind.regional else "global")
    if link.collection not in (None, collection or kind.collection) or (scope == "global") == kind.regional:
        return None
    return f"projects/{link.project or project}/{scope}/{kind.collection}/{link.name}"


def resolve(cloud: Cloud, use: Use, value: object, project: str) -> Resource | None:
    """The resource that a reference means, seen from a project and this call's region; None when there is none, or
    it lies in another region."""
    if not isinstance(value, str):
        return None
    for token in use.tokens:
        id = canonical(token, value, project, cloud.region, use.collection)
        found = next((r for r in cloud.all(token) if r.id == id), None)
        kind = GCP.kinds[token]
        if found is not None and (not kind.regional or found.region == cloud.region):
            return found
    return None


def users(resource: Resource, cloud: Cloud) -> Iterator[Resource]:
    """The resources that refer to this one by a reference that holds it."""
    for token, kind in GCP.kinds.items():
        if not isinstance(kind, GcpKind):
            continue
        for use in kind.uses:
            if not use.holds or resource.token not in use.tokens:
                continue
            for user in cloud.all(token):
                project = str(user["project"] or user.account)
                for _, value in select(user.inputs, use.path):
                    if value is not UNKNOWN and resource.id == canonical(
                        resource.token, str(value), project, user.region, use.collection
                    ):
                        yield user


def check_service_account(cloud: Cloud, email: object, field: str) -> None:
    """Accounts that a stack has to create must exist; those that services make themselves always do.

    Raises CloudError notFound.
    """
    if not isinstance(email, str) or email in ("", "default") or _AGENT.fullmatch(email):
        return
    from sandbox.gcp import tokens

    if not any(account["email"] == email for account in cloud.all(tokens.SERVICE_ACCOUNT)):
        raise CloudError("notFound", f"{field}: the service account '{email}' does not exist")
