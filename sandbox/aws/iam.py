"""IAM roles, their policies and instance profiles.

Names and limits: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from sandbox.aws import policy_json
from sandbox.aws.formats import arn
from sandbox.aws.registry import AWS
from sandbox.aws.stamps import iam_id, name_of, now, tag_faults
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Kind, Ref, Resource
from sandbox.rules import between, conflicting, length, matches

ROLE: Final = "aws:iam/role:Role"
ROLE_POLICY: Final = "aws:iam/rolePolicy:RolePolicy"
ROLE_ATTACHMENT: Final = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
POLICY: Final = "aws:iam/policy:Policy"
PROFILE: Final = "aws:iam/instanceProfile:InstanceProfile"

NAME_CHARS: Final = r"[\w+=,.@-]"
_PATH: Final = r"/|/[\x21-\x7e]+/"
_AWS_MANAGED: Final = re.compile(r"arn:aws(-[a-z]+)*:iam::aws:policy/([\w+=,.@-]+/)*[\w+=,.@-]+")

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: managed policies per role
_ATTACHMENTS_PER_ROLE: Final = 10


def is_aws_managed(policy_arn: str) -> bool:
    """Whether an ARN is that of a policy that AWS itself keeps: these are not looked up."""
    return _AWS_MANAGED.fullmatch(policy_arn) is not None


def name_faults(args: Args, longest: int) -> Iterable[Fault]:
    """A name, or the beginning of one to which the provider adds 26 characters.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
    yield from conflicting(args, "name", "namePrefix")
    for key, most in (("name", longest), ("namePrefix", longest - 26)):
        yield from matches(args, key, f"{NAME_CHARS}{{1,{most}}}", f"1 to {most} letters, digits and _+=,.@-")


def path_faults(args: Args) -> Iterable[Fault]:
    yield from matches(args, "path", _PATH, "a path that begins and ends with a slash")
    yield from length(args, "path", 1, 512)


def policy_arn_ref(path: str) -> Ref:
    """A property that names a managed policy by ARN."""
    return Ref(
        path,
        (POLICY,),
        by="arn",
        same_region=False,
        code="NoSuchEntity",
        delete_code="DeleteConflict",
        accept=is_aws_managed,
    )


def role_ref(path: str, *, by: str = "name") -> Ref:
    """A property that names a role; IAM itself says what blocks a role's deletion (see Role.before_delete)."""
    return Ref(
        path,
        (ROLE,),
        by=by,
        same_region=False,
        code="NoSuchEntity",
        blocks_delete=False,
    )


@AWS.kind
class Role(Kind):
    token = ROLE
    replace_on = ("name", "namePrefix", "path")
    sets = ("managedPolicyArns", "inlinePolicies")
    json_properties = ("assumeRolePolicy", "inlinePolicies[*].policy")
    write_only = ("forceDetachPolicies", "namePrefix")
    defaults: ClassVar[Mapping[str, Any]] = {"path": "/", "maxSessionDuration": 3600, "forceDetachPolicies": False}
    autoname = AutoName("name", 64)
    unique = ("name",)
    unique_scope = "account"
    duplicate_code = "EntityAlreadyExists"
    references = (
        policy_arn_ref("managedPolicyArns[*]"),
        policy_arn_ref("permissionsBoundary"),
    )
    regional = False
    not_found_code = "NoSuchEntity"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from name_faults(args, 64)
        yield from path_faults(args)
        # https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
        yield from matches(
            args,
            "description",
            r"[\t\n\r\x20-\x7e\xa1-\xff]{0,1000}",
            "at most 1,000 Latin-1 characters",
        )
        yield from between(args, "maxSessionDuration", 3600, 43200, "seconds")
        yield from policy_json.policy_faults(args, "assumeRolePolicy", policy_json.TRUST)
        yield from policy_json.policy_faults(args, "inlinePolicies[*].policy", policy_json.INLINE_ROLE)
        yield from matches(
            args,
            "inlinePolicies[*].name",
            NAME_CHARS + "{1,128}",
            "1 to 128 letters, digits and _+=,.@-",
        )
        yield from length(args, "managedPolicyArns", 0, _ATTACHMENTS_PER_ROLE)
        yield from tag_faults(args)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return name_of(args)

    def before_create(self, args: Args, cloud: Cloud) -> None:
        policy_json.require_principals(args["assumeRolePolicy"], cloud)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        policy_json.require_principals(args["assumeRolePolicy"], cloud)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            "name": id,
            "arn": arn(
                "iam",
                "",
                cloud.account,
                f"role{args.get('path', '/')}{id}",
                partition_of=cloud.region,
            ),
            "createDate": old["createDate"] if old else now(),
            "uniqueId": old["uniqueId"] if old else iam_id("AROA"),
        }

    def before_delete(self, resource: Resource, cloud: Cloud) -> None:
        # The provider takes the role out of its instance profiles itself; policies it only detaches when told to
        # (https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/iam_role#force_detach_policies).
        if resource["forceDetachPolicies"]:
            return
        if any(a["role"] == resource.id for a in cloud.all(ROLE_ATTACHMENT)):
            raise CloudError(
                "DeleteConflict",
                "Cannot delete entity, must detach all policies first.",
            )
        if any(p["role"] == resource.id for p in cloud.all(ROLE_POLICY)):
            raise CloudError("DeleteConflict", "Cannot delete entity, must delete policies first.")

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        for token in (ROLE_ATTACHMENT, ROLE_POLICY):
            for other in cloud.all(token):
                if other["role"] == resource.id:
                    cloud.remove(token, other.id)
        for profile in cloud.all(PROFILE):
            if profile["role"] == resource.id:
                profile.outputs["role"] = ""
                cloud.put(profile)


@AWS.kind
class RolePolicy(Kind):
    """An inline policy. PutRolePolicy overwrites, so a repeated create is no error."""

    token = ROLE_POLICY
    replace_on = ("name", "namePrefix", "role")
    json_properties = ("policy",)
    write_only = ("namePrefix",)
    autoname = AutoName("name", 128)
    references = (role_ref("role"),)
    regional = False
    taggable = False
    not_found_code = "NoSuchEntity"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from name_faults(args, 128)
        yield from policy_json.policy_faults(args, "policy", policy_json.INLINE_ROLE)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{args['role']}:{name_of(args)}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        self._require_room(args, cloud, f"{args['role']}:{args['name']}")

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._require_room(args, cloud, old.id)

    def _require_room(self, args: Args, cloud: Cloud, own_id: str) -> None:
        # The 10,240 characters hold for all inline policies of a role together.
        texts = [p["policy"] for p in cloud.all(self.token) if p["role"] == args["role"] and p.id != own_id]
        documents = (policy_json.parse(text)[0] for text in [*texts, args["policy"]])
        if sum(len(policy_json.policy_text(d)) for d in documents if d) > policy_json.INLINE_ROLE.max_chars:
            limit = policy_json.INLINE_ROLE.max_chars
            raise CloudError(
                "LimitExceeded",
                f"Maximum policy size of {limit} bytes exceeded for role {args['role']}",
            )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"name": id.split(":", 1)[1]}


@AWS.kind
class RolePolicyAttachment(Kind):
    """A managed policy on a role. AttachRolePolicy is idempotent."""

    token = ROLE_ATTACHMENT
    replace_on = ("policyArn", "role")
    references = (role_ref("role"), policy_arn_ref("policyArn"))
    regional = False
    taggable = False
    not_found_code = "NoSuchEntity"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from matches(
            args,
            "policyArn",
            r"arn:aws(-[a-z]+)*:iam::(aws|\d{12}):policy/.+",
            "the ARN of a managed policy",
        )

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{args['role']}/{args['policyArn']}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        attached = {a["policyArn"] for a in cloud.all(self.token) if a["role"] == args["role"]} | {args["policyArn"]}
        limit = cloud.quota("iam/AttachedPoliciesPerRole", _ATTACHMENTS_PER_ROLE)
        if len(attached) > limit:
            raise CloudError("LimitExceeded", f"Cannot exceed quota for PoliciesPerRole: {limit:g}")

    def after_create(self, resource: Resource, cloud: Cloud) -> None:
        count_attachments(cloud, resource["policyArn"])

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        count_attachments(cloud, resource["policyArn"])


def count_attachments(cloud: Cloud, policy_arn: str) -> None:
    """Write a managed policy's `attachmentCount` again after a change."""
    policy = cloud.get(POLICY, policy_arn)
    if policy is not None:
        tokens = (ROLE_ATTACHMENT, "aws:iam/userPolicyAttachment:UserPolicyAttachment")
        policy.outputs["attachmentCount"] = sum(a["policyArn"] == policy_arn for t in tokens for a in cloud.all(t))
        cloud.put(policy)


@AWS.kind
class Policy(Kind):
    token = POLICY
    replace_on = ("description", "name", "namePrefix", "path")
    json_properties = ("policy",)
    write_only = ("namePrefix", "delayAfterPolicyCreationInMs")
    defaults: ClassVar[Mapping[str, Any]] = {"path": "/"}
    autoname = AutoName("name", 128)
    unique = ("name",)
    unique_scope = "account"
    duplicate_code = "EntityAlreadyExists"
    regional = False
    not_found_code = "NoSuchEntity"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from name_faults(args, 128)
        yield from path_faults(args)
        yield from length(args, "description", 0, 1000)
        yield from policy_json.policy_faults(args, "policy", policy_json.MANAGED)
        yield from tag_faults(args)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        path = args.get("path", "/")
        return arn(
            "iam",
            "",
            cloud.account,
            f"policy{path}{name_of(args)}",
            partition_of=cloud.region,
        )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            "name": id.rsplit("/", 1)[1],
            "arn": id,
            "policyId": old["policyId"] if old else iam_id("ANPA"),
            "attachmentCount": old["attachmentCount"] if old else 0,
        }


@AWS.kind
class InstanceProfile(Kind):
    token = PROFILE
    replace_on = ("name", "namePrefix", "path")
    write_only = ("namePrefix",)
    defaults: ClassVar[Mapping[str, Any]] = {"path": "/"}
    autoname = AutoName("name", 128)
    unique = ("name",)
    unique_scope = "account"
    duplicate_code = "EntityAlreadyExists"
    references = (role_ref("role"),)
    regional = False
    not_found_code = "NoSuchEntity"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from name_faults(args, 128)
        yield from path_faults(args)
        yield from matches(args, "role", NAME_CHARS + "{1,64}", "the name of a role (not its ARN)")
        yield from tag_faults(args)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return name_of(args)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        path = args.get("path", "/")
        return {
            "name": id,
            "arn": arn(
                "iam",
                "",
                cloud.account,
                f"instance-profile{path}{id}",
                partition_of=cloud.region,
            ),
            "createDate": old["createDate"] if old else now(),
            "uniqueId": old["uniqueId"] if old else iam_id("AIPA"),
        }
