"""Managed identities, roles and their assignments. https://learn.microsoft.com/azure/role-based-access-control/overview"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from sandbox.azure_native import arm, tokens
from sandbox.azure_native.regional import TENANT, Regional, now
from sandbox.azure_native.registry import AZURE_NATIVE
from sandbox.kinds import Args, Cloud, CloudError, Fault, Kind, Resource
from sandbox.rules import length, matches, one_of, requires, shown

_DATA: Final = Path(__file__).with_name("data") / "roles.yaml"
_UUID: Final = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_SUBSCRIPTION: Final = re.compile(rf"/subscriptions/{_UUID}", re.IGNORECASE)
_ROLE_ID: Final = re.compile(
    rf"(/subscriptions/{_UUID}(/resourceGroups/[^/]+)?)?/providers/Microsoft\.Authorization/roleDefinitions/({_UUID})",
    re.IGNORECASE,
)
# https://learn.microsoft.com/azure/role-based-access-control/troubleshoot-limits
ASSIGNMENTS_MAX: Final = 4000
CUSTOM_ROLES_MAX: Final = 5000
CALLER: Final = TENANT
"""The object id of whoever deploys, as `getClientConfig` tells it."""


@lru_cache(maxsize=1)
def built_in_roles() -> Mapping[str, str]:
    """Name -> id. Read once, on first use: the plugin must start fast."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with _DATA.open(encoding="utf-8") as file:
        roles: Mapping[str, str] = yaml.load(file, loader)["roles"]
    return roles


def scope_faults(args: Args, pattern: str) -> Iterator[Fault]:
    """A subscription, a resource group, or something in one; without a slash at the end."""
    for path, value in args.at(pattern):
        text = str(value)
        if _SUBSCRIPTION.fullmatch(text) or arm.parse_id(text) is not None:
            continue
        if re.fullmatch(r"/providers/Microsoft\.Management/managementGroups/[^/]+", text, re.IGNORECASE):
            continue
        yield Fault(path, f"expected the id of a subscription, a resource group or a resource, got {shown(value)}")


def refuse_missing_scope(cloud: Cloud, scope: str) -> None:
    """Raises CloudError when the resource that a scope lies in is not there. What lies in it (a secret of a vault)
    may come later."""
    found = arm.parse_id(scope)
    if found is None or found["subscription"] != cloud.account.lower():
        return
    arm.need_group(cloud, found["group"])
    if found["type"] == "microsoft.resources/resourcegroups":
        return
    for kind in AZURE_NATIVE.kinds.values():
        if not isinstance(kind, arm.ArmKind):
            continue
        top = f"/providers/{kind.namespace}/{kind.type_name}/".lower()
        at = scope.lower().find(top)
        if at >= 0:
            name = scope[at + len(top) :].split("/", 1)[0]
            if arm.find_by_id(cloud, kind.token, scope[: at + len(top)] + name) is None:
                raise CloudError(
                    "ResourceNotFound",
                    f"The Resource '{kind.namespace}/{kind.type_name}/{name}' under resource group "
                    f"'{found['group']}' was not "
                    "found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
                )


@AZURE_NATIVE.kind
class UserAssignedIdentity(Regional):
    """https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/overview"""

    token = tokens.IDENTITY
    namespace = "Microsoft.ManagedIdentity"
    type_name = "userAssignedIdentities"
    name_property = "resourceName"
    name_rule = (r"[A-Za-z0-9][\w-]{2,127}", "3 to 128 letters, digits, hyphens and underscores")
    api_version = "2023-01-31"
    path = ("resourceGroupName", "resourceName")
    # A tracked resource's location is for creation only (x-ms-mutability in
    # https://github.com/Azure/azure-rest-api-specs, common-types/resource-management).
    replace_on = (*path, "location")
    autoname = arm.random_name("resourceName")
    changes_on_update = ()

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            **self.common_outputs(args),
            "location": self.location_of(args, cloud),
            "tenantId": TENANT,
            "principalId": old["principalId"] if old else str(uuid.uuid4()),
            "clientId": old["clientId"] if old else str(uuid.uuid4()),
        }


def shown_identity(given: object, cloud: Cloud, old: Resource | None) -> dict[str, Any] | None:
    """The identities of a resource as the API returns them: the assigned ones with their principals, and the resource's
    own principal, which stays the same."""
    if not isinstance(given, dict):
        return None
    out: dict[str, Any] = {"type": given.get("type")}
    if "SystemAssigned" in str(given.get("type")):
        before = old["identity"] if old and isinstance(old["identity"], dict) else {}
        out |= {"principalId": before.get("principalId") or str(uuid.uuid4()), "tenantId": TENANT}
    found = {id: arm.find_by_id(cloud, tokens.IDENTITY, id) for id in given.get("userAssignedIdentities") or ()}
    if found:
        out["userAssignedIdentities"] = {
            id: {key: identity[key] if identity else "" for key in ("clientId", "principalId")}
            for id, identity in found.items()
        }
    return out


def principal_type(cloud: Cloud, principal: object) -> str | None:
    """What a principal is; None when nobody has that id."""
    if arm.same(principal, CALLER):
        return "User"
    for token in AZURE_NATIVE.kinds:
        for resource in cloud.all(token):
            own = (resource["identity"] or {}).get("principalId") if isinstance(resource["identity"], dict) else None
            if arm.same(own, principal) or (token == tokens.IDENTITY and arm.same(resource["principalId"], principal)):
                return "ServicePrincipal"
    return None


class _AtScope(Kind):
    """What lies at a scope, and has a GUID for a name."""

    regional = False
    delete_before_replace = True
    taggable = False
    arm_type: str
    name_property: str

    def new_id(self, args: Args, cloud: Cloud) -> str:
        name = args[self.name_property] or uuid.uuid4()
        return f"{args['scope']}/providers/Microsoft.Authorization/{self.arm_type}/{name}"

    def common_outputs(self, id: str, args: Args, old: Resource | None) -> dict[str, Any]:
        return {
            "scope": args["scope"],
            "name": id.rsplit("/", 1)[-1],
            "type": f"Microsoft.Authorization/{self.arm_type}",
            "createdOn": old["createdOn"] if old else now(),
            "updatedOn": now(),
            "createdBy": CALLER,
            "updatedBy": CALLER,
        }


@AZURE_NATIVE.kind
class RoleAssignment(_AtScope):
    """https://learn.microsoft.com/rest/api/authorization/role-assignments/create"""

    token = tokens.ROLE_ASSIGNMENT
    arm_type = "roleAssignments"
    name_property = "roleAssignmentName"
    # forceNewMap in https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/gen/replacement.go
    replace_on = ("scope", "roleAssignmentName", "principalId")
    changes_on_update = ("updatedOn",)
    not_found_code = "RoleAssignmentNotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from scope_faults(args, "scope")
        yield from matches(args, "roleAssignmentName", _UUID, "a GUID")
        yield from matches(args, "principalId", _UUID, "the object id of a principal, a GUID")
        for path, value in args.at("roleDefinitionId"):
            if not isinstance(value, str) or not _ROLE_ID.fullmatch(value):
                yield Fault(
                    path,
                    "expected /subscriptions/SUBSCRIPTION/providers/Microsoft.Authorization/roleDefinitions/GUID, got "
                    f"{shown(value)}",
                )
        yield from one_of(
            args,
            "principalType",
            ("User", "Group", "ServicePrincipal", "ForeignGroup", "Device", "AgentUser", "AgentServicePrincipal"),
        )
        yield from requires(args, "condition", "conditionVersion")
        yield from one_of(args, "conditionVersion", ("2.0",))
        yield from length(args, "description", 0, 1024)

    def before_create(self, args: Args, cloud: Cloud) -> None:
        scope = str(args["scope"])
        refuse_missing_scope(cloud, scope)
        self._refuse_role(args, cloud, scope)
        found = principal_type(cloud, args["principalId"])
        if found is None:
            raise CloudError(
                "PrincipalNotFound",
                f"Principal {args['principalId']} does not exist in the directory {TENANT}. Check that you have the "
                "correct "
                "principal ID. If you are creating this principal and then immediately assigning a role, this error "
                "might be "
                "related to a replication delay. In this case, set the role assignment principalType property to a "
                "value, such as ServicePrincipal, User, or Group.",
            )
        if args["principalType"] not in (None, found):
            raise CloudError(
                "UnmatchedPrincipalType",
                f"The PrincipalId '{args['principalId']}' has type '{found}' , which is different from specified "
                f"PrinciaplType '{args['principalType']}'.",
            )
        standing = cloud.all(self.token)
        limit = cloud.quota("roleAssignments", ASSIGNMENTS_MAX)
        if len(standing) + 1 > limit:
            raise CloudError("RoleAssignmentLimitExceeded", f"The role assignment limit {limit:g} has been exceeded.")
        for other in standing:
            same_rights = all(arm.same(other[key], args[key]) for key in ("scope", "principalId"))
            if same_rights and role_guid(other["roleDefinitionId"]) == role_guid(args["roleDefinitionId"]):
                raise CloudError(
                    "RoleAssignmentExists",
                    "The role assignment already exists. The ID of the existing role assignment is "
                    f"{str(other['name']).replace('-', '')}.",
                )
            if arm.same(other.id, self.new_id(args, cloud)):
                raise arm.already_exists(other.id)

    @staticmethod
    def _refuse_role(args: Args, cloud: Cloud, scope: str) -> None:
        guid = role_guid(args["roleDefinitionId"])
        if guid in (id.lower() for id in built_in_roles().values()):
            return
        for role in cloud.all(tokens.ROLE_DEFINITION):
            scopes = role["assignableScopes"] or ()
            if arm.same(role["name"], guid) and any(arm.same(s, scope) or arm.inside(scope, s) for s in scopes):
                return
        raise CloudError(
            "RoleDefinitionDoesNotExist",
            f"The specified role definition with ID '{guid.replace('-', '')}' does not exist at the scope {scope}; "
            "the stand-in knows the built-in roles of sandbox/azure_native/data/roles.yaml and the stack's own.",
        )

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        if role_guid(old["roleDefinitionId"]) != role_guid(args["roleDefinitionId"]):
            raise CloudError(
                "RoleAssignmentUpdateNotPermitted",
                "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
            )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            **self.common_outputs(id, args, old),
            "principalId": args["principalId"],
            "principalType": args["principalType"] or principal_type(cloud, args["principalId"]),
            "azureApiVersion": "2022-04-01",
        }


def role_guid(id: object) -> str:
    """The GUID of a role definition's id, which is written at several scopes, in lower case."""
    return str(id).rsplit("/", 1)[-1].lower()


@AZURE_NATIVE.kind
class RoleDefinition(_AtScope):
    """A custom role. https://learn.microsoft.com/azure/role-based-access-control/custom-roles"""

    token = tokens.ROLE_DEFINITION
    arm_type = "roleDefinitions"
    name_property = "roleDefinitionId"
    replace_on = ("scope", "roleDefinitionId")
    changes_on_update = ("updatedOn",)
    sets = ("assignableScopes",)
    not_found_code = "RoleDefinitionDoesNotExist"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from scope_faults(args, "scope")
        yield from matches(args, "roleDefinitionId", _UUID, "a GUID")
        for key in ("roleName", "permissions", "assignableScopes"):
            if args[key] is None or args[key] == []:
                yield Fault(key, "is required for a custom role")
        yield from length(args, "roleName", 1, 512)
        yield from length(args, "description", 0, 2048)
        yield from scope_faults(args, "assignableScopes[*]")
        for path, kind in args.at("roleType"):
            if str(kind).lower() != "customrole":
                yield Fault(path, f"expected CustomRole, got {shown(kind)}")
        for key in ("actions", "notActions", "dataActions", "notDataActions"):
            yield from matches(
                args,
                f"permissions[*].{key}[*]",
                r"\*|\*/(read|write|delete|action|\*)|Microsoft\.[A-Za-z.]+/([A-Za-z0-9]+|\*)(/([A-Za-z0-9]+|\*))*",
                "an operation such as Microsoft.Compute/virtualMachineScaleSets/read",
            )

    def before_create(self, args: Args, cloud: Cloud) -> None:
        refuse_missing_scope(cloud, str(args["scope"]))
        standing = cloud.all(self.token)
        limit = cloud.quota("roleDefinitions", CUSTOM_ROLES_MAX)
        if len(standing) + 1 > limit:
            raise CloudError("RoleDefinitionLimitExceeded", f"Role definition limit {limit:g} exceeded.")
        self._refuse_name(args, cloud, None)
        if any(arm.same(r["name"], args["roleDefinitionId"]) for r in standing):
            raise arm.already_exists(self.new_id(args, cloud))

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._refuse_name(args, cloud, old)

    def _refuse_name(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        for scope in args["assignableScopes"]:
            refuse_missing_scope(cloud, str(scope))
        names = {r["roleName"].lower() for r in cloud.all(self.token) if old is None or r.id != old.id}
        if str(args["roleName"]).lower() in names | {name.lower() for name in built_in_roles()}:
            raise CloudError(
                "RoleDefinitionWithSameNameExists",
                "A custom role with the same name already exists in this directory. Use a different name: "
                f"{args['roleName']}.",
            )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            **self.common_outputs(id, args, old),
            "roleName": args["roleName"],
            "roleType": "CustomRole",
            "assignableScopes": args["assignableScopes"],
            "azureApiVersion": "2022-05-01-preview",
        }

    def before_delete(self, resource: Resource, cloud: Cloud) -> None:
        for other in cloud.all(tokens.ROLE_ASSIGNMENT):
            if role_guid(other["roleDefinitionId"]) == role_guid(resource.id):
                raise CloudError(
                    "RoleDefinitionHasAssignments",
                    f"There are existing role assignments referencing role {resource['name']}: {other.id}",
                )
