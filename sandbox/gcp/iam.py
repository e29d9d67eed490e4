"""Who may do what: service accounts, custom roles, and members of the policies of projects, buckets, secrets, service
accounts, functions and services."""

from __future__ import annotations

import re
import secrets as random_source
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

from sandbox.gcp import links, places, tokens
from sandbox.gcp.api import GcpKind, check_count, check_service_account, etag, kept, project_of
from sandbox.gcp.registry import GCP
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Resource
from sandbox.rules import length, matches, one_of, shown

# https://docs.cloud.google.com/iam/quotas
SERVICE_ACCOUNTS: Final = 100
ROLES: Final = 300
PERMISSIONS_MAX: Final = 3000
# https://docs.cloud.google.com/iam/docs/principal-identifiers
_MEMBER: Final = re.compile(
    r"allUsers|allAuthenticatedUsers|(?:user|group|serviceAccount):[^@\s:]+@[^@\s]+\.[^@\s]+|domain:[^@\s]+\.[a-z]+|"
    r"project(?:Owner|Editor|Viewer):[a-z][a-z0-9:.-]+|"
    r"principal(?:Set)?://(?:iam|goog|cloudresourcemanager)\.?[\w./:@%=-]+|"
    r"serviceAccount:[a-z][a-z0-9-]+\.svc\.id\.goog\[[^/\]]+/[^\]]+\]"
)
_ROLE: Final = r"roles/[A-Za-z][\w.]{0,62}|(?:projects/[a-z][a-z0-9:.-]+|organizations/\d+)/roles/[A-Za-z0-9_.]{3,64}"
_PERMISSION: Final = r"[a-z][a-zA-Z0-9]*(\.[a-zA-Z][a-zA-Z0-9_]*){2}"
_PUBLIC: Final = ("allUsers", "allAuthenticatedUsers")
_BASIC: Final = ("roles/owner", "roles/editor", "roles/viewer")
# https://docs.cloud.google.com/iam/docs/conditions-attribute-reference
_TEXT: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'')
_NAME: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_ATTRIBUTES: Final = re.compile(
    r"(?:resource\.(?:name|type|service)|request\.(?:time|path|host|auth\.access_levels|auth\.claims)|"
    r"destination\.(?:ip|port))"
    r"(?:\.(?:startsWith|endsWith|contains|extract|matches|get(?:FullYear|Month|Date|DayOfMonth|DayOfWeek|DayOfYear|Hours|"
    r"Minutes)|hasOnly))?"
    r"|resource\.(?:matchTag|matchTagId|hasTagKey|hasTagKeyId)|api\.getAttribute|timestamp|duration|true|false|in|"
    r"startsWith|endsWith|hasOnly|contains|extract"
)
OPERATORS_MAX: Final = 12
"""&&, || and ! in one condition: https://docs.cloud.google.com/iam/docs/conditions-overview"""
# Roles that only a bucket's own access lists know (https://docs.cloud.google.com/storage/docs/access-control/iam-roles)
_LEGACY_BUCKET: Final = "roles/storage.legacy"


class _Member(GcpKind, ABC):
    """One member of one role in the policy of something. Additive: doing it twice is no error of the API, but the
    provider then has two resources for one binding; the first that goes takes it from both."""

    label = "iam_member"
    replace_on: ClassVar[tuple[str, ...]] = ("role", "member", "condition", "project")

    def check(self, args: Args) -> Iterable[Fault]:
        yield from matches(args, "role", _ROLE, "a role such as roles/storage.objectViewer or projects/p/roles/id")
        for path, member in args.at("member"):
            if isinstance(member, str) and member.startswith("deleted:"):
                yield Fault(path, "a deleted principal cannot be a member")
            elif not isinstance(member, str) or not _MEMBER.fullmatch(member):
                example = "serviceAccount:name@project.iam.gserviceaccount.com"
                yield Fault(path, f"expected a principal such as {example}, got {shown(member)}")
        yield from length(args, "condition.title", 1, 100)
        yield from length(args, "condition.description", 0, 256)
        yield from length(args, "condition.expression", 1, 12_000)
        yield from self._condition_faults(args)
        yield from self.faults(args)

    @staticmethod
    def _condition_faults(args: Args) -> Iterator[Fault]:
        """https://docs.cloud.google.com/iam/docs/conditions-overview (conditions in allow policies, limitations)"""
        if args["condition"] is None:
            return
        for path, role in args.at("role"):
            if role in _BASIC:
                yield Fault(path, f"{role} is a basic role, which takes no condition")
        for path, member in args.at("member"):
            if member in _PUBLIC:
                yield Fault(path, f"{member} takes no condition")
        for path, text in args.at("condition.expression"):
            if fault := expression_fault(str(text)):
                yield Fault(path, fault)

    def comparable(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Names of users and accounts have no case (iamMemberCaseDiffSuppress); principal:// ones do."""
        return links.rewrite(inputs, "member", lambda member: member if "://" in member else member.lower())

    @abstractmethod
    def target(self, args: Args, cloud: Cloud) -> str:
        """What the policy is of, as the id begins. Raises CloudError when it does not exist."""

    def new_id(self, args: Args, cloud: Cloud) -> str:
        condition = args.get("condition") or {}
        tail = f"/{condition['title']}" if condition.get("title") else ""
        member = str(args["member"])
        return f"{self.target(args, cloud)}/{args['role']}/{member if '://' in member else _lower(member)}{tail}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        self.target(args, cloud)
        kind, _, email = str(args["member"]).partition(":")
        if kind == "serviceAccount" and "[" not in email:
            try:
                check_service_account(cloud, email, "member")
            except CloudError:
                raise CloudError("badRequest", f"Service account {email} does not exist.") from None
        self._check_role(str(args["role"]), cloud)
        self.check_state(args, cloud, None)

    @staticmethod
    def _check_role(role: str, cloud: Cloud) -> None:
        """Custom roles have to exist; a project's cannot be used in another one."""
        if role.startswith("projects/") and cloud.get(tokens.PROJECT_ROLE, role) is None:
            raise CloudError("badRequest", f"Role '{role}' does not exist in the resource's hierarchy.")

    def before_delete(self, resource: Resource, cloud: Cloud) -> None:
        """A member can always be taken away."""

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        """Nothing stays."""

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"etag": kept(old, "etag", etag())}


def expression_fault(text: str) -> str:
    """Why a condition's expression is none, or "": what Common Expression Language would not parse, or an attribute
    that there is not."""
    bare = _TEXT.sub('""', text)
    if '"' in bare.replace('""', "") or "'" in bare:
        return f"expected an expression, got {shown(text)}: a quote is not closed"
    depth = 0
    for sign in bare:
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if depth < 0:
            break
    if depth:
        return f"expected an expression, got {shown(text)}: parentheses do not match"
    for name in _NAME.findall(bare):
        if not _ATTRIBUTES.fullmatch(name):
            return f"undeclared reference to '{name}'"
    if not re.search(r"==|!=|<|>|\(| in |&&|\|\|", bare) and bare.strip() not in ("true", "false"):
        return f"expected an expression that is true or false, got {shown(text)}"
    operators = len(re.findall(r"&&|\|\||!(?!=)", bare))
    if operators > OPERATORS_MAX:
        return f"expected at most {OPERATORS_MAX} logical operators, got {operators}"
    return ""


def _lower(member: str) -> str:
    kind, separator, name = member.partition(":")
    return f"{kind}{separator}{name.lower()}"


@GCP.kind
class ProjectIamMember(_Member):
    """https://docs.cloud.google.com/resource-manager/reference/rest/v3/projects/setIamPolicy"""

    token = tokens.PROJECT_IAM_MEMBER

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from matches(args, "project", rf"(projects/)?{links.PROJECT}", "a project id")
        for path, member in args.at("member"):
            if member in _PUBLIC:
                yield Fault(path, f"{member} cannot be a member of a project's policy")

    def target(self, args: Args, cloud: Cloud) -> str:
        return str(args["project"]).removeprefix("projects/")


@GCP.kind
class BucketIamMember(_Member):
    """https://docs.cloud.google.com/storage/docs/json_api/v1/buckets/setIamPolicy"""

    token = tokens.BUCKET_IAM_MEMBER
    replace_on = ("bucket", "role", "member", "condition")

    def comparable(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        return links.rewrite(super().comparable(inputs), "bucket", lambda name: name.removeprefix("b/"))

    def target(self, args: Args, cloud: Cloud) -> str:
        name = str(args["bucket"]).removeprefix("b/")
        if cloud.get(tokens.BUCKET, name) is None:
            raise CloudError("notFound", f"The specified bucket '{name}' does not exist.")
        return f"b/{name}"

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        bucket = cloud.get(tokens.BUCKET, str(args["bucket"]).removeprefix("b/"))
        assert bucket is not None
        if args["member"] in _PUBLIC and bucket["publicAccessPrevention"] == "enforced":
            raise CloudError(
                "conditionNotMet",
                "The member bindings allUsers and allAuthenticatedUsers are not allowed since public access prevention "
                "is enforced.",
            )
        if args.get("condition") and not bucket["uniformBucketLevelAccess"]:
            raise CloudError("badRequest", "Conditions need uniform bucket-level access.")


@GCP.kind
class SecretIamMember(_Member):
    """https://docs.cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets/setIamPolicy"""

    token = tokens.SECRET_IAM_MEMBER
    replace_on = ("secretId", "role", "member", "condition", "project")

    def comparable(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        return links.rewrite(super().comparable(inputs), "secretId", lambda name: name.rsplit("/", 1)[-1])

    def target(self, args: Args, cloud: Cloud) -> str:
        name = str(args["secretId"])
        id = name if "/" in name else f"projects/{project_of(args, cloud)}/secrets/{name}"
        if cloud.get(tokens.SECRET, id) is None:
            raise CloudError("notFound", f"Secret [{id}] not found.")
        return id

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {**super().outputs(id, args, cloud, old), "project": project_of(args, cloud)}


@GCP.kind
class ServiceAccountIamMember(_Member):
    """https://docs.cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts/setIamPolicy"""

    token = tokens.SERVICE_ACCOUNT_IAM_MEMBER
    replace_on = ("serviceAccountId", "role", "member", "condition")

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from matches(
            args, "serviceAccountId", r"projects/[^/]+/serviceAccounts/[^/]+", "projects/p/serviceAccounts/e-mail"
        )

    def target(self, args: Args, cloud: Cloud) -> str:
        id = str(args["serviceAccountId"])
        check_service_account(cloud, id.rsplit("/", 1)[-1], "serviceAccountId")
        return id


class _ServiceMember(_Member, ABC):
    """The invoker of a function or of the Cloud Run service under it: the service bears the function's name."""

    name_property: ClassVar[str]
    path: ClassVar[str] = "services"

    def comparable(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        return links.rewrite(super().comparable(inputs), self.name_property, lambda name: name.rsplit("/", 1)[-1])

    def faults(self, args: Args) -> Iterable[Fault]:
        for path, location in args.at("location"):
            if not places.is_region(location):
                yield Fault(path, f"expected a region such as us-central1, got {shown(location)}")

    def location(self, args: Args, cloud: Cloud) -> str:
        match = re.match(r"projects/[^/]+/locations/([^/]+)/", str(args[self.name_property]))
        return str(args.get("location") or (match[1] if match else cloud.region))

    def target(self, args: Args, cloud: Cloud) -> str:
        name = str(args[self.name_property]).rsplit("/", 1)[-1]
        where = f"projects/{project_of(args, cloud)}/locations/{self.location(args, cloud)}"
        if cloud.get(tokens.FUNCTION, f"{where}/functions/{name}") is None:
            raise CloudError("notFound", f"Resource '{name}' of kind '{self.path}' in {where} does not exist.")
        return f"{where}/{self.path}/{name}"

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        place = {"project": project_of(args, cloud), "location": self.location(args, cloud)}
        return {**super().outputs(id, args, cloud, old), **place}


@GCP.kind
class FunctionIamMember(_ServiceMember):
    token = tokens.FUNCTION_IAM_MEMBER
    replace_on = ("cloudFunction", "location", "role", "member", "condition", "project")
    name_property = "cloudFunction"
    path = "functions"


@GCP.kind
class RunIamMember(_ServiceMember):
    token = tokens.RUN_IAM_MEMBER
    replace_on = ("service", "location", "role", "member", "condition", "project")
    name_property = "service"


@GCP.kind
class RunV2IamMember(_ServiceMember):
    token = tokens.RUN_V2_IAM_MEMBER
    replace_on = ("name", "location", "role", "member", "condition", "project")
    name_property = "name"


@GCP.kind
class ServiceAccount(GcpKind):
    """https://docs.cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts

    Deleting one in use is not refused: whoever used it loses its rights.
    """

    token = tokens.SERVICE_ACCOUNT
    label = "service_account"
    autoname = AutoName("accountId", 30, lower=True)
    replace_on = ("accountId", "project")
    write_only = ("createIgnoreAlreadyExists", "deletionPolicy")
    defaults: ClassVar[Mapping[str, Any]] = {"disabled": False}

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from matches(
            args,
            "accountId",
            r"[a-z](?:[-a-z0-9]{4,28}[a-z0-9])",
            "6 to 30 lower-case letters, digits and hyphens, a letter first, no hyphen last",
        )
        yield from length(args, "displayName", 0, 100)
        for path, text in args.at("description"):
            if len(str(text).encode()) > 256:
                yield Fault(path, f"expected at most 256 bytes, got {len(str(text).encode())}")

    def email(self, args: Args, cloud: Cloud) -> str:
        project = project_of(args, cloud)
        domain, _, name = project.rpartition(":")
        domain = f".{domain}" if domain else ""
        return f"{args['accountId']}@{name}{domain}.iam.gserviceaccount.com"

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"projects/{project_of(args, cloud)}/serviceAccounts/{self.email(args, cloud)}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        if cloud.get(self.token, self.new_id(args, cloud)) is not None and not args.get("createIgnoreAlreadyExists"):
            message = f"Service account {args['accountId']} already exists within project {project_of(args, cloud)}."
            raise CloudError("alreadyExists", message)
        self.check_state(args, cloud, None)

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        if old is None:
            check_count(cloud, "iam.googleapis.com/service-account-count", len(cloud.all(self.token)), SERVICE_ACCOUNTS)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        email = self.email(args, cloud)
        unique = f"1{random_source.randbelow(10**20):020d}"
        return {
            "project": project_of(args, cloud),
            "email": email,
            "member": f"serviceAccount:{email}",
            "name": id,
            "uniqueId": kept(old, "uniqueId", unique),
        }


@GCP.kind
class ProjectRole(GcpKind):
    """A custom role: https://docs.cloud.google.com/iam/docs/reference/rest/v1/projects.roles

    A deleted role keeps its id for 37 days (https://docs.cloud.google.com/iam/docs/creating-custom-roles#deleting); the
    provider undeletes it when it is created again.
    """

    token = tokens.PROJECT_ROLE
    label = "role"
    autoname = AutoName("roleId", 64, separator="_")
    replace_on = ("roleId", "project")
    sets = ("permissions",)
    write_only = ("deletionPolicy",)
    defaults: ClassVar[Mapping[str, Any]] = {"stage": "GA"}

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from matches(args, "roleId", r"[a-zA-Z0-9_.]{3,64}", "3 to 64 letters, digits, _ and . (no hyphens)")
        yield from one_of(args, "stage", ("ALPHA", "BETA", "GA", "DEPRECATED", "DISABLED", "EAP"))
        yield from length(args, "title", 1, 100)
        yield from length(args, "description", 0, 300)
        yield from length(args, "permissions", 1, PERMISSIONS_MAX)
        yield from matches(args, "permissions[*]", _PERMISSION, "a permission such as compute.instances.get")
        yield from self._permission_faults(args)

    @staticmethod
    def _permission_faults(args: Args) -> Iterator[Fault]:
        """Some permissions work on folders and organizations only
        (https://docs.cloud.google.com/iam/docs/custom-roles-permissions-support)."""
        for path, permission in args.at("permissions[*]"):
            if str(permission).startswith(("resourcemanager.organizations.", "resourcemanager.folders.")):
                yield Fault(path, f"Permission {permission} is not valid in a project's role")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"projects/{project_of(args, cloud)}/roles/{args['roleId']}"

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        if old is None:
            check_count(cloud, "iam.googleapis.com/project-roles", len(cloud.all(self.token)), ROLES)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"project": project_of(args, cloud), "name": id, "deleted": False}
