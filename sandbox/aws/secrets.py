"""Secrets Manager: secrets, their versions and policies. A deleted secret keeps its name until its recovery window is
over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

from sandbox.aws import kms, policy_json, zones
from sandbox.aws.formats import arn, decoded_base64
from sandbox.aws.registry import AWS
from sandbox.aws.s3 import is_public
from sandbox.aws.stamps import name_of, new_uuid, now, random_letters, tag_faults
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Kind, Resource
from sandbox.rules import between, conflicting, exactly_one, length, matches, shown

SECRET: Final = "aws:secretsmanager/secret:Secret"
SCHEDULED: Final = "aws:secretsmanager/secret:ScheduledForDeletion"
"""What is left of a secret during its recovery window; not a resource type of the SDK."""

# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
_NAME_CHARS: Final = r"[A-Za-z0-9/_+=.@-]"
_MOST_BYTES: Final = 65_536


def find_secret(value: str, cloud: Cloud) -> Resource | None:
    """The secret of this region that a name, ARN, or ARN without its random ending means."""
    for secret in cloud.all(SECRET, region=cloud.region):
        if value in (secret.id, secret["name"], secret.id.rsplit("-", 1)[0]):
            return secret
    return None


def require_secret(value: str, cloud: Cloud) -> Resource:
    """Raises CloudError ResourceNotFoundException, in the service's words."""
    secret = find_secret(value, cloud)
    if secret is None:
        raise CloudError("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    return secret


@AWS.kind
class Secret(Kind):
    token = SECRET
    replace_on = ("name", "namePrefix", "type")
    sets = ("replicas",)
    json_properties = ("policy",)
    write_only = ("recoveryWindowInDays", "forceOverwriteReplicaSecret", "namePrefix")
    defaults: ClassVar[Mapping[str, Any]] = {"recoveryWindowInDays": 30, "forceOverwriteReplicaSecret": False}
    autoname = AutoName("name", 512)
    unique = ("name",)
    duplicate_code = "ResourceExistsException"
    not_found_code = "ResourceNotFoundException"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from conflicting(args, "name", "namePrefix")
        for key in ("name", "namePrefix"):
            yield from matches(args, key, _NAME_CHARS + "+", "letters, digits and /_+=.@-")
        yield from length(args, "name", 1, 512)
        yield from length(args, "namePrefix", 1, 486)
        yield from length(args, "description", 0, 2048)
        # https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html; 0 deletes at once
        if args.get("recoveryWindowInDays") != 0:
            yield from between(args, "recoveryWindowInDays", 7, 30, "days (or 0 to delete without recovery)")
        seen: set[str] = set()
        for path, region in args.at("replicas[*].region"):
            if not zones.is_region(region):
                yield Fault(path, f"expected the name of an AWS region, got {shown(region)}")
            elif region in seen:
                yield Fault(path, f"{region} is listed twice")
            elif region == args.get("region"):
                yield Fault(path, f"{region} is the secret's own region")
            seen.add(region)
        yield from policy_json.policy_faults(args, "policy", policy_json.SECRET)
        yield from tag_faults(args)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        # https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html: six random characters
        return arn("secretsmanager", cloud.region, cloud.account, f"secret:{name_of(args)}-{random_letters(6)}")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        if args.get("name"):
            _refuse_scheduled(args["name"], cloud)
        self._judge(args, cloud)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._judge(args, cloud)

    def _judge(self, args: Args, cloud: Cloud) -> None:
        kms.require_key(args.get("kmsKeyId", ""), cloud, "InvalidParameterException")
        policy_json.require_principals(args["policy"], cloud, "MalformedPolicyDocumentException")
        if any(region == cloud.region for _, region in args.at("replicas[*].region")):
            raise CloudError("InvalidParameterException", "Invalid replica region.")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            "name": args.get("name") or id.split(":", 6)[6].rsplit("-", 1)[0],
            "arn": id,
            "replicas": [
                {
                    "kmsKeyId": "alias/aws/secretsmanager",
                    **replica,
                    "status": "InSync",
                    "statusMessage": "",
                    "lastAccessedDate": "",
                }
                for replica in args.get("replicas", [])
            ],
        }

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        for token in (VERSION, SECRET_POLICY):
            for other in cloud.all(token, region=cloud.region):
                if other.id.split("|", 1)[0] == resource.id:
                    cloud.remove(token, other.id)
        days = resource["recoveryWindowInDays"]
        if days:
            until = (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="seconds")
            left = {"name": resource["name"], "deletedDate": now(), "until": until}
            cloud.put(Resource(SCHEDULED, resource.id, resource.region, resource.account, {}, left, created_at=now()))


def _refuse_scheduled(name: str, cloud: Cloud) -> None:
    """Refuse a name that a secret in its recovery window still has; forget the windows that are over."""
    for left in cloud.all(SCHEDULED, region=cloud.region):
        if left["name"] != name:
            continue
        if datetime.fromisoformat(left["until"]) <= datetime.now(UTC):
            cloud.remove(SCHEDULED, left.id)
            continue
        raise CloudError(
            "InvalidRequestException",
            "You can't create this secret because a secret with this name is already scheduled for deletion. "
            f"({name} can be used again after {left['until']}, or at once after `aws secretsmanager restore-secret` "
            "or a delete without recovery; recoveryWindowInDays = 0 avoids the wait)",
        )


VERSION: Final = "aws:secretsmanager/secretVersion:SecretVersion"
SECRET_POLICY: Final = "aws:secretsmanager/secretPolicy:SecretPolicy"


@AWS.kind
class SecretVersion(Kind):
    token = VERSION
    replace_on = ("secretId", "secretString", "secretBinary", "secretStringWoVersion")
    sets = ("versionStages",)
    write_only = ("secretStringWo", "secretStringWoVersion")
    secret_outputs = ("secretString", "secretBinary", "secretStringWo")
    taggable = False
    not_found_code = "ResourceNotFoundException"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from exactly_one(args, "secretString", "secretBinary", "secretStringWo")
        for path, text in args.at("secretString"):
            if len(text.encode()) > _MOST_BYTES:
                yield Fault(path, f"expected at most {_MOST_BYTES:,} bytes, got {len(text.encode()):,}")
        for path, text in args.at("secretBinary"):
            if decoded_base64(text) is None:
                yield Fault(path, "expected base64 text")
        # https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
        yield from length(args, "versionStages", 1, 20)
        yield from length(args, "versionStages[*]", 1, 256)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{require_secret(args['secretId'], cloud).id}|{new_uuid()}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        require_secret(args["secretId"], cloud)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        secret_arn, version = id.split("|", 1)
        return {
            "arn": secret_arn,
            "secretArn": secret_arn,
            "versionId": version,
            "versionStages": args.get("versionStages") or ["AWSCURRENT"],
            "hasSecretStringWo": args["secretStringWo"] is not None,
        }

    def after_create(self, resource: Resource, cloud: Cloud) -> None:
        # A label sits on one version only: the new version takes AWSCURRENT, the one before becomes AWSPREVIOUS
        # (https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html#term_version).
        if "AWSCURRENT" not in (resource["versionStages"] or []):
            return
        for other in cloud.all(self.token, region=cloud.region):
            if other.id != resource.id and other["secretArn"] == resource["secretArn"]:
                stages = [s for s in other["versionStages"] or [] if s not in ("AWSCURRENT", "AWSPREVIOUS")]
                was_current = "AWSCURRENT" in (other["versionStages"] or [])
                other.outputs["versionStages"] = [*stages, "AWSPREVIOUS"] if was_current else stages
                cloud.put(other)


@AWS.kind
class SecretPolicy(Kind):
    token = SECRET_POLICY
    replace_on = ("secretArn",)
    json_properties = ("policy",)
    write_only = ("blockPublicPolicy",)
    taggable = False
    not_found_code = "ResourceNotFoundException"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from policy_json.policy_faults(args, "policy", policy_json.SECRET)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return require_secret(args["secretArn"], cloud).id

    def before_create(self, args: Args, cloud: Cloud) -> None:
        require_secret(args["secretArn"], cloud)
        policy_json.require_principals(args["policy"], cloud, "MalformedPolicyDocumentException")
        # https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutResourcePolicy.html
        if args.get("blockPublicPolicy") and is_public(args["policy"]):
            raise CloudError("PublicPolicyException", "You can't attach a public policy while BlockPublicPolicy is on.")

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self.before_create(args, cloud)
