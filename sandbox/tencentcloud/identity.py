"""Roles, policies, and which role has which."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Final

from sandbox import rules
from sandbox.kinds import Args, Cloud, Fault, Ref, Resource
from sandbox.rules import shown
from sandbox.tencentcloud import tokens
from sandbox.tencentcloud.api import TencentKind, kept, now, number_id
from sandbox.tencentcloud.registry import TENCENTCLOUD

NAME: Final = r"[A-Za-z0-9+=,.@_-]{1,128}"
# https://www.tencentcloud.com/document/product/598/10606: qcs:project:service:region:account:resource
_RESOURCE: Final = re.compile(r"\*|qcs:[^:]*:[a-z0-9]+:[^:]*:((uin|uid)/[0-9]+)?:.+")


def document_faults(args: Args, *, trust: bool) -> Iterator[Fault]:
    """A policy document: version 2.0, statements with effect and action, resources where it grants rights, principals
    where it says who may take a role (https://www.tencentcloud.com/document/product/598/10604)."""
    for path, text in args.at("document"):
        try:
            document = json.loads(text)
        except (TypeError, ValueError) as error:
            yield Fault(path, f"expected a JSON document: {error}")
            continue
        if not isinstance(document, dict) or document.get("version") != "2.0":
            yield Fault(path, 'expected an object with "version": "2.0"')
            continue
        statements = document.get("statement")
        if not isinstance(statements, list) or not statements:
            yield Fault(path, "expected a list of statements")
            continue
        for number, statement in enumerate(statements):
            yield from _statement(f"{path}.statement[{number}]", statement, trust)


def _statement(path: str, statement: Any, trust: bool) -> Iterator[Fault]:
    if not isinstance(statement, dict):
        yield Fault(path, f"expected an object, got {shown(statement)}")
        return
    if statement.get("effect") not in ("allow", "deny"):
        yield Fault(f"{path}.effect", f"expected allow or deny, got {shown(statement.get('effect'))}")
    if not statement.get("action"):
        yield Fault(f"{path}.action", "is required")
    wanted, other = ("principal", "resource") if trust else ("resource", "principal")
    if not statement.get(wanted):
        yield Fault(f"{path}.{wanted}", "is required")
    if other in statement:
        yield Fault(f"{path}.{other}", f"has no place beside {wanted}")
    unknown = set(statement) - {"effect", "action", "resource", "principal", "condition"}
    for key in sorted(unknown):
        yield Fault(f"{path}.{key}", "unknown element; all of them are in lower case")
    resources = statement.get("resource", [])
    for one in [resources] if isinstance(resources, str) else resources:
        if not isinstance(one, str) or not _RESOURCE.fullmatch(one):
            yield Fault(f"{path}.resource", f"expected * or qcs::service:region:uin/...:resource, got {shown(one)}")


class _Document(TencentKind):
    """What roles and policies share: account-wide, one of a name, a document that is compared by meaning."""

    regional = False
    named = None
    replace_on = ("name",)
    json_properties = ("document",)
    unique = ("name",)
    unique_scope = "account"
    trust: ClassVar[bool]

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from rules.matches(args, "name", NAME, "up to 128 letters, digits and +=,.@_-")
        yield from document_faults(args, trust=self.trust)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return number_id()


@TENCENTCLOUD.kind
class Role(_Document):
    """cam/resource_tc_cam_role.go"""

    token = tokens.ROLE
    duplicate_code = "InvalidParameter.RoleNameInUse"
    trust = True

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from super().faults(args)
        yield from rules.between(args, "sessionDuration", 1, 43_200, "s")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            "createTime": kept(old, "createTime", now()),
            "updateTime": kept(old, "updateTime", now()),
            "roleArn": f"qcs::cam::uin/{cloud.account}:roleName/{args['name']}",
            "sessionDuration": args.get("sessionDuration") or 7200,
        }


@TENCENTCLOUD.kind
class Policy(_Document):
    """cam/resource_tc_cam_policy.go"""

    token = tokens.POLICY
    duplicate_code = "InvalidParameter.PolicyNameInUse"
    trust = False

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            "createTime": kept(old, "createTime", now()),
            "updateTime": kept(old, "updateTime", now()),
            "type": 1,
        }


@TENCENTCLOUD.kind
class RolePolicy(TencentKind):
    """cam/resource_tc_cam_role_policy_attachment.go"""

    token = tokens.ROLE_POLICY
    regional = False
    named = None
    replace_on = ("roleId", "policyId")
    references = (Ref("roleId", (tokens.ROLE,)), Ref("policyId", (tokens.POLICY,)))
    unique = ("roleId", "policyId")
    unique_scope = "account"

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{args['roleId']}#{args['policyId']}"

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        policy = cloud.get(tokens.POLICY, args["policyId"])
        return {
            "createMode": 2,
            "createTime": kept(old, "createTime", now()),
            "policyName": policy["name"] if policy else "",
            "policyType": "User",
        }
