"""IAM users, their policies and keys; identity providers; service-linked roles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from sandbox.aws import policy_json
from sandbox.aws.formats import arn
from sandbox.aws.iam import NAME_CHARS, ROLE, count_attachments, name_faults, path_faults, policy_arn_ref
from sandbox.aws.registry import AWS
from sandbox.aws.stamps import iam_id, name_of, now, random_letters, tag_faults
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Kind, Ref, Resource
from sandbox.rules import length, matches, one_of, shown

USER: Final = "aws:iam/user:User"
USER_ATTACHMENT: Final = "aws:iam/userPolicyAttachment:UserPolicyAttachment"
USER_POLICY: Final = "aws:iam/userPolicy:UserPolicy"
ACCESS_KEY: Final = "aws:iam/accessKey:AccessKey"
_USER_REF: Final = Ref("user", (USER,), by="name", same_region=False, code="NoSuchEntity", blocks_delete=False)
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
_KEYS_PER_USER: Final = 2
_POLICIES_PER_USER: Final = 10


@AWS.kind
class User(Kind):
    token = USER
    write_only = ("forceDestroy",)
    defaults: ClassVar[Mapping[str, Any]] = {"path": "/", "forceDestroy": False}
    autoname = AutoName("name", 64)
    unique = ("name",)
    unique_scope = "account"
    duplicate_code = "EntityAlreadyExists"
    references = (policy_arn_ref("permissionsBoundary"),)
    regional = False
    not_found_code = "NoSuchEntity"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from matches(args, "name", NAME_CHARS + "{1,64}", "1 to 64 letters, digits and _+=,.@-")
        yield from path_faults(args)
        yield from tag_faults(args)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return name_of(args)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            "arn": arn(
                "iam", "", cloud.account, f"user{args.get('path', '/')}{args['name']}", partition_of=cloud.region
            ),
            "uniqueId": old["uniqueId"] if old else iam_id("AIDA"),
        }

    def before_delete(self, resource: Resource, cloud: Cloud) -> None:
        for token, text in (
            (USER_ATTACHMENT, "must detach all policies first."),
            (USER_POLICY, "must delete policies first."),
            (ACCESS_KEY, "must delete access keys first."),
        ):
            # forceDestroy takes keys along, policies are detached by their own resources
            # (https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/iam_user#force_destroy).
            if token == ACCESS_KEY and resource["forceDestroy"]:
                continue
            if any(other["user"] == resource["name"] for other in cloud.all(token)):
                raise CloudError("DeleteConflict", f"Cannot delete entity, {text}")

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        for key in cloud.all(ACCESS_KEY):
            if key["user"] == resource["name"]:
                cloud.remove(ACCESS_KEY, key.id)


@AWS.kind
class UserPolicy(Kind):
    """An inline policy of a user. PutUserPolicy overwrites."""

    token = USER_POLICY
    replace_on = ("name", "namePrefix", "user")
    json_properties = ("policy",)
    write_only = ("namePrefix",)
    autoname = AutoName("name", 128)
    references = (_USER_REF,)
    regional = False
    taggable = False
    not_found_code = "NoSuchEntity"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from name_faults(args, 128)
        yield from policy_json.policy_faults(args, "policy", policy_json.INLINE_USER)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{args['user']}:{name_of(args)}"

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"name": id.split(":", 1)[1]}


@AWS.kind
class UserPolicyAttachment(Kind):
    token = USER_ATTACHMENT
    replace_on = ("policyArn", "user")
    references = (_USER_REF, policy_arn_ref("policyArn"))
    regional = False
    taggable = False
    not_found_code = "NoSuchEntity"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from matches(
            args, "policyArn", r"arn:aws(-[a-z]+)*:iam::(aws|\d{12}):policy/.+", "the ARN of a managed policy"
        )

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{args['user']}/{args['policyArn']}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        attached = {a["policyArn"] for a in cloud.all(self.token) if a["user"] == args["user"]} | {args["policyArn"]}
        if len(attached) > _POLICIES_PER_USER:
            raise CloudError("LimitExceeded", f"Cannot exceed quota for PoliciesPerUser: {_POLICIES_PER_USER}")

    def after_create(self, resource: Resource, cloud: Cloud) -> None:
        count_attachments(cloud, resource["policyArn"])

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        count_attachments(cloud, resource["policyArn"])


@AWS.kind
class AccessKey(Kind):
    token = ACCESS_KEY
    replace_on = ("user", "pgpKey")
    defaults: ClassVar[Mapping[str, Any]] = {"status": "Active"}
    references = (_USER_REF,)
    regional = False
    taggable = False
    secret_outputs = ("secret", "sesSmtpPasswordV4")
    not_found_code = "NoSuchEntity"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from one_of(args, "status", ("Active", "Inactive"))

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return iam_id("AKIA")[:20]

    def before_create(self, args: Args, cloud: Cloud) -> None:
        if sum(key["user"] == args["user"] for key in cloud.all(self.token)) + 1 > _KEYS_PER_USER:
            raise CloudError("LimitExceeded", f"Cannot exceed quota for AccessKeysPerUser: {_KEYS_PER_USER}")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            "createDate": old["createDate"] if old else now(),
            "secret": old["secret"] if old else random_letters(40),
            "sesSmtpPasswordV4": old["sesSmtpPasswordV4"] if old else random_letters(44),
        }


@AWS.kind
class OpenIdConnectProvider(Kind):
    token = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
    replace_on = ("url",)
    sets = ("clientIdLists",)
    unique = ("url",)
    unique_scope = "account"
    duplicate_code = "EntityAlreadyExists"
    regional = False
    not_found_code = "NoSuchEntity"

    def check(self, args: Args) -> Iterable[Fault]:
        for path, url in args.at("url"):
            parts = urlsplit(url)
            if parts.scheme != "https" or not parts.hostname or parts.query or parts.port or len(url) > 255:
                yield Fault(
                    path,
                    "expected a URL with https://, without port and query, of at most 255 characters; got "
                    f"{shown(url)}",
                )
        # https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html
        yield from length(args, "clientIdLists", 1, 100)
        yield from length(args, "clientIdLists[*]", 1, 255)
        yield from length(args, "thumbprintLists", 0, 5)
        yield from matches(args, "thumbprintLists[*]", r"[0-9A-Fa-f]{40}", "a SHA-1 thumbprint of 40 hex digits")
        yield from tag_faults(args)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        host = re.sub(r"^https://", "", args["url"]).rstrip("/")
        return arn("iam", "", cloud.account, f"oidc-provider/{host}", partition_of=cloud.region)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            "arn": id,
            "thumbprintLists": args.get("thumbprintLists") or ["2b18947a6a9fc7764fd8b5fb18a863b0c6dac24f"],
        }


# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_aws-services-that-work-with-iam.html
_LINKED: Final = {
    "autoscaling.amazonaws.com": "AWSServiceRoleForAutoScaling",
    "elasticloadbalancing.amazonaws.com": "AWSServiceRoleForElasticLoadBalancing",
    "spot.amazonaws.com": "AWSServiceRoleForEC2Spot",
    "spotfleet.amazonaws.com": "AWSServiceRoleForEC2SpotFleet",
    "ec2fleet.amazonaws.com": "AWSServiceRoleForEC2Fleet",
    "ec2.capacityreservations.amazonaws.com": "AWSServiceRoleForEC2CapacityReservationFleet",
    "ssm.amazonaws.com": "AWSServiceRoleForAmazonSSM",
    "events.amazonaws.com": "AWSServiceRoleForCloudWatchEvents",
    "servicequotas.amazonaws.com": "AWSServiceRoleForServiceQuotas",
    "ecs.amazonaws.com": "AWSServiceRoleForECS",
    "eks.amazonaws.com": "AWSServiceRoleForAmazonEKS",
    "fis.amazonaws.com": "AWSServiceRoleForFIS",
    "rds.amazonaws.com": "AWSServiceRoleForRDS",
}


@AWS.kind
class ServiceLinkedRole(Kind):
    token = "aws:iam/serviceLinkedRole:ServiceLinkedRole"
    replace_on = ("awsServiceName", "customSuffix")
    unique = ("awsServiceName", "customSuffix")
    unique_scope = "account"
    duplicate_code = "InvalidInput"
    regional = False
    not_found_code = "NoSuchEntity"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from matches(
            args, "awsServiceName", r"[\w.-]+\.amazonaws\.com(\.cn)?", "a service principal such as spot.amazonaws.com"
        )
        yield from matches(args, "customSuffix", r"[\w+=,.@-]{1,64}", "1 to 64 letters, digits and _+=,.@-")
        if "customSuffix" in args and args.get("awsServiceName") not in (None, "autoscaling.amazonaws.com"):
            yield Fault("customSuffix", f"the service {args['awsServiceName']} takes no suffix")
        yield from length(args, "description", 0, 1000)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        path = f"role/aws-service-role/{args['awsServiceName']}/{_linked_name(args)}"
        return arn("iam", "", cloud.account, path, partition_of=cloud.region)

    def before_create(self, args: Args, cloud: Cloud) -> None:
        name = _linked_name(args)
        taken = [r for token in (self.token, ROLE) for r in cloud.all(token) if r["name"] == name]
        if taken:
            raise CloudError(
                "InvalidInput",
                f"Service role name {name} has been taken in this account, please try a different suffix.",
            )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            "arn": id,
            "name": _linked_name(args),
            "path": f"/aws-service-role/{args['awsServiceName']}/",
            "createDate": old["createDate"] if old else now(),
            "uniqueId": old["uniqueId"] if old else iam_id("AROA"),
        }


def _linked_name(args: Args) -> str:
    service = str(args["awsServiceName"])
    name = _LINKED.get(service) or "AWSServiceRoleFor" + "".join(
        part.capitalize() for part in service.split(".")[0].split("-")
    )
    suffix = args.get("customSuffix")
    return f"{name}_{suffix}" if suffix else name
