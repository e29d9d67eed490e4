"""KMS keys and aliases: keys go into a waiting period, aliases are free at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from sandbox.aws import policy_json
from sandbox.aws.formats import arn
from sandbox.aws.registry import AWS
from sandbox.aws.stamps import new_uuid, tag_faults, unique_suffix
from sandbox.kinds import Args, Cloud, CloudError, Fault, Kind, Ref, Resource
from sandbox.rules import between, conflicting, length, matches, one_of, requires

KEY: Final = "aws:kms/key:Key"
ALIAS: Final = "aws:kms/alias:Alias"

# https://docs.aws.amazon.com/kms/latest/developerguide/symm-asymm-choose-key-spec.html
_ENCRYPTING: Final = frozenset({"SYMMETRIC_DEFAULT", "RSA_2048", "RSA_3072", "RSA_4096", "SM2"})
_SIGNING: Final = frozenset(
    {
        "RSA_2048", "RSA_3072", "RSA_4096", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_SECG_P256K1",
        "ECC_NIST_EDWARDS25519", "ML_DSA_44", "ML_DSA_65", "ML_DSA_87", "SM2",
    }
)  # fmt: skip
_HASHING: Final = frozenset({"HMAC_224", "HMAC_256", "HMAC_384", "HMAC_512"})
_AGREEING: Final = frozenset({"ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "SM2"})
_ENCAPSULATING: Final = frozenset({"ML_KEM_512", "ML_KEM_768", "ML_KEM_1024"})
_SPECS_OF_USAGE: Final = {
    "ENCRYPT_DECRYPT": _ENCRYPTING,
    "SIGN_VERIFY": _SIGNING,
    "GENERATE_VERIFY_MAC": _HASHING,
    "KEY_AGREEMENT": _AGREEING,
    "ENCAPSULATE_DECAPSULATE": _ENCAPSULATING,
}


def find_key(value: str, cloud: Cloud) -> Resource | None:
    """The key that a key id, key ARN, alias name or alias ARN means."""
    if value.startswith("alias/") or ":alias/" in value:
        name = value if value.startswith("alias/") else value.split(":", 5)[5]
        alias = next(iter(cloud.find(ALIAS, name=name)), None)
        return cloud.get(KEY, alias["targetKeyId"].rsplit("/", 1)[-1]) if alias else None
    return cloud.get(KEY, value.rsplit("/", 1)[-1])


def require_key(value: str, cloud: Cloud, code: str = "NotFoundException") -> None:
    """Refuse a key that does not exist, is in another region or is disabled. AWS-managed keys (`alias/aws/...`) and
    keys of other accounts are not looked up. Raises CloudError with the service's code."""
    if not value or "alias/aws/" in value:
        return
    if value.startswith("arn:"):
        fields = value.split(":")
        if len(fields) > 4 and fields[4] != cloud.account:
            return
        if len(fields) > 3 and fields[3] != cloud.region:
            raise CloudError(code, f"Invalid arn {fields[3]}: the key {value} is not in {cloud.region}")
    key = find_key(value, cloud)
    if key is None:
        raise CloudError(code, f"Invalid keyId '{value}'" if ":" not in value else f"Key '{value}' does not exist")
    if key["isEnabled"] is False:
        raise CloudError("KMS.DisabledException", f"{key['arn']} is disabled.")


@AWS.kind
class Key(Kind):
    token = KEY
    replace_on = ("customerMasterKeySpec", "keyUsage", "multiRegion", "customKeyStoreId", "xksKeyId")
    json_properties = ("policy",)
    write_only = ("deletionWindowInDays", "bypassPolicyLockoutSafetyCheck")
    defaults: ClassVar[Mapping[str, Any]] = {
        "customerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "keyUsage": "ENCRYPT_DECRYPT",
        "isEnabled": True,
        "enableKeyRotation": False,
        "multiRegion": False,
        "bypassPolicyLockoutSafetyCheck": False,
    }
    not_found_code = "NotFoundException"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from one_of(args, "keyUsage", tuple(_SPECS_OF_USAGE))
        yield from one_of(args, "customerMasterKeySpec", sorted(frozenset().union(*_SPECS_OF_USAGE.values())))
        usage = args.get("keyUsage", "ENCRYPT_DECRYPT")
        spec = args.get("customerMasterKeySpec", "SYMMETRIC_DEFAULT")
        if (
            usage in _SPECS_OF_USAGE
            and spec not in _SPECS_OF_USAGE[usage]
            and not args.is_unknown("customerMasterKeySpec")
        ):
            yield Fault("keyUsage", f"{usage} is not for {spec}; it takes {', '.join(sorted(_SPECS_OF_USAGE[usage]))}")
        # https://docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html
        yield from between(args, "deletionWindowInDays", 7, 30, "days")
        # https://docs.aws.amazon.com/kms/latest/developerguide/rotate-keys.html
        yield from between(args, "rotationPeriodInDays", 90, 2560, "days")
        if args.get("enableKeyRotation") and spec != "SYMMETRIC_DEFAULT":
            yield Fault("enableKeyRotation", f"only symmetric encryption keys rotate by themselves, not {spec}")
        yield from requires(args, "rotationPeriodInDays", "enableKeyRotation")
        yield from requires(args, "xksKeyId", "customKeyStoreId")
        yield from length(args, "description", 0, 8192)
        yield from policy_json.policy_faults(args, "policy", policy_json.KEY)
        yield from tag_faults(args)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return new_uuid()

    def before_create(self, args: Args, cloud: Cloud) -> None:
        self._judge(args, cloud)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._judge(args, cloud)

    def _judge(self, args: Args, cloud: Cloud) -> None:
        policy_json.require_principals(args["policy"], cloud, "MalformedPolicyDocumentException")
        # https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html: the account must keep its way
        # in
        if (
            args["policy"]
            and not args.get("bypassPolicyLockoutSafetyCheck")
            and not _manageable(args["policy"], cloud.account)
        ):
            raise CloudError(
                "MalformedPolicyDocumentException",
                "The new key policy will not allow you to update the key policy in the future.",
            )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        policy = args.get("policy") or policy_json.policy_text(_default_policy(cloud.account))
        return {"arn": arn("kms", cloud.region, cloud.account, f"key/{id}"), "keyId": id, "policy": policy}


def _default_policy(account: str) -> dict[str, Any]:
    """What CreateKey stores when no policy is given."""
    return {
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [
            {
                "Sid": "Enable IAM User Permissions",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
                "Action": "kms:*",
                "Resource": "*",
            }
        ],
    }


def _manageable(policy: object, account: str) -> bool:
    for statement in policy_json.statements(policy):
        actions = statement.get("Action", [])
        actions = actions if isinstance(actions, list) else [actions]
        wide = any(str(a).lower() in ("*", "kms:*", "kms:put*", "kms:putkeypolicy") for a in actions)
        principal = statement.get("Principal")
        named = principal.get("AWS", []) if isinstance(principal, dict) else principal
        named = named if isinstance(named, list) else [named]
        if statement.get("Effect") == "Allow" and wide and any(n == "*" or account in str(n) for n in named):
            return True
    return False


@AWS.kind
class Alias(Kind):
    token = ALIAS
    replace_on = ("name", "namePrefix")
    write_only = ("namePrefix",)
    unique = ("name",)
    duplicate_code = "AlreadyExistsException"
    taggable = False
    not_found_code = "NotFoundException"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from conflicting(args, "name", "namePrefix")
        # https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateAlias.html
        for key in ("name", "namePrefix"):
            yield from matches(
                args,
                key,
                r"alias/(?!aws/)[a-zA-Z0-9/_-]+",
                "alias/ and letters, digits, /_-; alias/aws/ belongs to AWS",
            )
        yield from length(args, "name", 7, 256)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return str(args.get("name") or f"{args.get('namePrefix') or 'alias/'}{unique_suffix()}")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        self._require_target(args, cloud)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._require_target(args, cloud)

    def _require_target(self, args: Args, cloud: Cloud) -> None:
        if find_key(args["targetKeyId"], cloud) is None:
            raise CloudError("NotFoundException", f"Key '{args['targetKeyId']}' does not exist")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        key = find_key(args["targetKeyId"], cloud)
        return {
            "name": id,
            "arn": arn("kms", cloud.region, cloud.account, id),
            "targetKeyArn": key["arn"] if key else "",
            "targetKeyId": key["keyId"] if key else args["targetKeyId"],
        }


@AWS.kind
class KeyPolicy(Kind):
    """A key's policy on its own."""

    token = "aws:kms/keyPolicy:KeyPolicy"
    replace_on = ("keyId",)
    json_properties = ("policy",)
    write_only = ("bypassPolicyLockoutSafetyCheck",)
    references = (Ref("keyId", (KEY,), code="NotFoundException", blocks_delete=False),)
    taggable = False
    not_found_code = "NotFoundException"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from policy_json.policy_faults(args, "policy", policy_json.KEY)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return str(args["keyId"])

    def before_create(self, args: Args, cloud: Cloud) -> None:
        policy_json.require_principals(args["policy"], cloud, "MalformedPolicyDocumentException")

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        policy_json.require_principals(args["policy"], cloud, "MalformedPolicyDocumentException")
