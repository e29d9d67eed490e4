"""S3 buckets and what stands on one: policy, public access block, versioning, encryption, ownership, ACL.

What configures a bucket is a Put in S3's API: doing it twice is no error, the last one stands.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

from sandbox.aws import kms, policy_json
from sandbox.aws.formats import arn, dns_suffix
from sandbox.aws.registry import AWS
from sandbox.aws.stamps import tag_faults, unique_suffix
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Kind, Ref, Resource
from sandbox.rules import conflicting, matches, one_of, shown
from sandbox.values import UNKNOWN

BUCKET: Final = "aws:s3/bucket:Bucket"
BUCKETS: Final = (BUCKET, "aws:s3/bucketV2:BucketV2")
OBJECTS: Final = ("aws:s3/bucketObject:BucketObject", "aws:s3/bucketObjectv2:BucketObjectv2")
VERSIONING: Final = ("aws:s3/bucketVersioning:BucketVersioning", "aws:s3/bucketVersioningV2:BucketVersioningV2")
PUBLIC_ACCESS_BLOCK: Final = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
OWNERSHIP: Final = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"

# https://docs.aws.amazon.com/general/latest/gr/s3.html#s3_website_region_endpoints
_HOSTED_ZONES: Final = {
    "us-east-1": "Z3AQBSTGFYJSTF", "us-east-2": "Z2O1EMRO9K5GLX", "us-west-1": "Z2F56UZL2M1ACD",
    "us-west-2": "Z3BJ6K6RIION7M", "ca-central-1": "Z1QDHH18159H29", "eu-west-1": "Z1BKCTXD74EZPE",
    "eu-west-2": "Z3GKZC51ZF0DB4", "eu-west-3": "Z3R1K369G5AVDG", "eu-central-1": "Z21DNDUVLTQW6Q",
    "eu-north-1": "Z3BAZG2TWCNX0D", "ap-south-1": "Z11RGJOFQNVJUP", "ap-southeast-1": "Z3O0J2DXBE1FTB",
    "ap-southeast-2": "Z1WCIGYICN2BYD", "ap-northeast-1": "Z2M4EHUR26P7ZW", "ap-northeast-2": "Z3W03O7B5YMIYP",
    "sa-east-1": "Z7KQH4QJS55SO",
}  # fmt: skip


def bucket_ref(path: str = "bucket") -> Ref:
    """A property that names a bucket. S3 drops a bucket's configuration with the bucket, so nothing blocks its
    deletion."""
    return Ref(path, BUCKETS, by="bucket", code="NoSuchBucket", blocks_delete=False)


def name_fault(name: str) -> str:
    """Why S3 refuses a bucket name, or ""
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html)."""
    if not 3 <= len(name) <= 63:
        return f"expected 3 to 63 characters, {shown(name)} has {len(name)}"
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*[a-z0-9]", name):
        allowed = "lower-case letters, digits, dots and hyphens, beginning and ending with a letter or digit"
        return f"expected {allowed}: {shown(name)}"
    if ".." in name:
        return f"must not have two dots in a row: {shown(name)}"
    if re.fullmatch(r"\d+\.\d+\.\d+\.\d+", name):
        return f"must not look like an IP address: {shown(name)}"
    for prefix in ("xn--", "sthree-", "amzn-s3-demo-"):
        if name.startswith(prefix):
            return f"must not begin with {prefix}: {shown(name)}"
    for suffix in ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"):
        if name.endswith(suffix):
            return f"must not end with {suffix}: {shown(name)}"
    return ""


@AWS.kind
class Bucket(Kind):
    token = BUCKET
    replace_on = (
        "bucket",
        "bucketPrefix",
        "bucketNamespace",
        "objectLockEnabled",
        "objectLockConfiguration.objectLockEnabled",
    )
    sets = ("grants", "replicationConfiguration.rules")
    json_properties = ("policy", "website.routingRules")
    write_only = ("forceDestroy", "bucketPrefix")
    defaults: ClassVar[Mapping[str, Any]] = {"forceDestroy": False}
    autoname = AutoName("bucket", 63, lower=True)
    unique = ("bucket",)
    unique_scope = "global"
    duplicate_code = "BucketAlreadyOwnedByYou"
    not_found_code = "NoSuchBucket"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from conflicting(args, "bucket", "bucketPrefix")
        for path, name in args.at("bucket"):
            reason = name_fault(name)
            if reason:
                yield Fault(path, reason)
        yield from matches(
            args, "bucketPrefix", r"[a-z0-9][a-z0-9.-]{0,36}", "at most 37 lower-case letters, digits, dots, hyphens"
        )
        yield from one_of(args, "bucketNamespace", ("account-regional", "global"))
        yield from one_of(
            args,
            "acl",
            (
                "private",
                "public-read",
                "public-read-write",
                "aws-exec-read",
                "authenticated-read",
                "log-delivery-write",
            ),
        )
        yield from conflicting(args, "acl", "grants")
        yield from one_of(args, "accelerationStatus", ("Enabled", "Suspended"))
        yield from one_of(args, "requestPayer", ("Requester", "BucketOwner"))
        yield from policy_json.policy_faults(args, "policy", policy_json.BUCKET)
        yield from encryption_faults(args, "serverSideEncryptionConfiguration.rule")
        yield from tag_faults(args)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        given = args.get("bucket")
        return given if given else f"{args.get('bucketPrefix') or 'terraform-'}{unique_suffix()}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        # https://docs.aws.amazon.com/general/latest/gr/s3.html#limits_s3
        limit = cloud.quota("L-DC2B2D3D", 10_000)
        if sum(len(cloud.all(token)) for token in BUCKETS) + 1 > limit:
            raise CloudError("TooManyBuckets", "You have attempted to create more buckets than allowed")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        suffix = dns_suffix(cloud.region)
        return {
            "bucket": id,
            "arn": arn("s3", "", "", id, partition_of=cloud.region),
            "bucketDomainName": f"{id}.s3.{suffix}",
            "bucketRegionalDomainName": f"{id}.s3.{cloud.region}.{suffix}",
            "bucketRegion": cloud.region,
            "hostedZoneId": _HOSTED_ZONES.get(cloud.region, ""),
            "requestPayer": args.get("requestPayer", "BucketOwner"),
        }

    def before_delete(self, resource: Resource, cloud: Cloud) -> None:
        if not resource["forceDestroy"] and any(True for _ in objects_in(resource.id, cloud)):
            raise CloudError("BucketNotEmpty", "The bucket you tried to delete is not empty")

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        for other in objects_in(resource.id, cloud):
            cloud.remove(other.token, other.id)
        for token, kind in AWS.kinds.items():
            if isinstance(kind, BucketSetting):
                for setting in cloud.all(token):
                    if setting["bucket"] == resource.id:
                        cloud.remove(token, setting.id)


@AWS.kind
class BucketV2(Bucket):
    token = BUCKETS[1]
    replace_on = (
        "bucket",
        "bucketPrefix",
        "bucketNamespace",
        "objectLockEnabled",
        "objectLockConfiguration.objectLockEnabled",
    )
    sets = ("grants", "replicationConfigurations[*].rules")
    json_properties = ("policy", "websites[*].routingRules")

    def check(self, args: Args) -> Iterable[Fault]:
        yield from super().check(args)
        yield from encryption_faults(
            args, "serverSideEncryptionConfigurations[*].rules[*]", "applyServerSideEncryptionByDefaults[*]"
        )


def objects_in(bucket: str, cloud: Cloud) -> Iterator[Resource]:
    for token in OBJECTS:
        yield from (o for o in cloud.all(token) if o["bucket"] == bucket)


def setting_of(bucket: str, tokens: Iterable[str], cloud: Cloud) -> Resource | None:
    """The bucket's setting of one of the types, None when it has none."""
    return next((s for token in tokens for s in cloud.all(token) if s["bucket"] == bucket), None)


class BucketSetting(Kind):
    """What configures one bucket: known by the bucket's name."""

    replace_on: ClassVar[tuple[str, ...]] = ("bucket", "expectedBucketOwner")
    references: ClassVar[tuple[Ref, ...]] = (bucket_ref(),)
    taggable = False

    def check(self, args: Args) -> Iterable[Fault]:
        yield from matches(args, "expectedBucketOwner", r"\d{12}", "an account id of 12 digits")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        owner = args.get("expectedBucketOwner")
        return f"{args['bucket']},{owner}" if owner else str(args["bucket"])

    def before_create(self, args: Args, cloud: Cloud) -> None:
        owner = args.get("expectedBucketOwner")
        if owner and owner != cloud.account:
            raise CloudError("AccessDenied", "Access Denied")


# Without a block of its own a new bucket blocks everything since April 2023
# (https://docs.aws.amazon.com/AmazonS3/latest/userguide/create-bucket-faq.html).
_BLOCKS: Final = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


@AWS.kind
class BucketPublicAccessBlock(BucketSetting):
    token = PUBLIC_ACCESS_BLOCK
    replace_on = ("bucket",)
    write_only = ("skipDestroy",)
    defaults: ClassVar[Mapping[str, Any]] = dict.fromkeys(_BLOCKS, False)
    not_found_code = "NoSuchPublicAccessBlockConfiguration"

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {}


# Condition keys that make a statement for everybody not public
# (https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status).
_NARROWING: Final = frozenset(
    {
        "aws:sourcearn", "aws:sourcevpc", "aws:sourcevpce", "aws:sourceowner", "aws:sourceaccount", "aws:userid",
        "aws:principalarn", "aws:principalaccount", "aws:principalorgid", "aws:principalorgpaths",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
        "s3:dataaccesspointarn", "s3:dataaccesspointaccount",
    }
)  # fmt: skip


def is_public(policy: object) -> bool:
    """Whether S3 calls a bucket policy public: it allows everybody something, with no condition that narrows them
    down."""
    return any(
        s.get("Effect") == "Allow" and _for_everybody(s.get("Principal")) and not _is_narrowed(s.get("Condition"))
        for s in policy_json.statements(policy)
    )


def _for_everybody(principal: object) -> bool:
    if isinstance(principal, Mapping):
        named = principal.get("AWS")
        return named == "*" or (isinstance(named, list) and "*" in named)
    return principal == "*"


def _is_narrowed(condition: object) -> bool:
    if not isinstance(condition, Mapping):
        return False
    for operator, tests in condition.items():
        if not isinstance(tests, Mapping) or "Not" in operator:
            continue
        for key, value in tests.items():
            values = [str(v) for v in (value if isinstance(value, list) else [value])]
            if key.lower() in _NARROWING and not any("*" in v for v in values):
                return True
            if key.lower() == "aws:sourceip" and all(_narrow_address(v) for v in values):
                return True
    return False


def _narrow_address(value: str) -> bool:
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    return network.prefixlen >= (8 if network.version == 4 else 32)


@AWS.kind
class BucketPolicy(BucketSetting):
    token = "aws:s3/bucketPolicy:BucketPolicy"
    replace_on = ("bucket",)
    json_properties = ("policy",)
    not_found_code = "NoSuchBucketPolicy"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from policy_json.policy_faults(args, "policy", policy_json.BUCKET)
        bucket, policy = args.get("bucket"), args["policy"]
        if bucket and policy is not None and policy is not UNKNOWN:
            for resource in policy_json.out_of_scope(policy, lambda r: _belongs(r, bucket)):
                yield Fault(
                    "policy", f"MalformedPolicy: Policy has invalid resource: {resource} is not of bucket {bucket}"
                )

    def before_create(self, args: Args, cloud: Cloud) -> None:
        self._judge(args, cloud)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._judge(args, cloud)

    def _judge(self, args: Args, cloud: Cloud) -> None:
        policy_json.require_principals(args["policy"], cloud, "MalformedPolicy")
        block = setting_of(args["bucket"], (PUBLIC_ACCESS_BLOCK,), cloud)
        if (block is None or block["blockPublicPolicy"]) and is_public(args["policy"]):
            raise CloudError(
                "AccessDenied",
                f'User is not authorized to perform: s3:PutBucketPolicy on resource: "arn:aws:s3:::{args["bucket"]}" '
                "because public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access.",
            )


def _belongs(resource: str, bucket: str) -> bool:
    rest = resource.split(":", 5)[-1]
    name = rest.split("/", 1)[0]
    pattern = re.escape(name).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(pattern, bucket) is not None or "${" in name or ":accesspoint/" in resource


class _Versioning(BucketSetting):
    def check(self, args: Args) -> Iterable[Fault]:
        yield from super().check(args)
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketVersioning.html; Disabled is the provider's
        # word for never set.
        yield from one_of(args, "versioningConfiguration.status", ("Enabled", "Suspended", "Disabled"))
        yield from one_of(args, "versioningConfiguration.mfaDelete", ("Enabled", "Disabled"))
        yield from matches(args, "mfa", r"\S+ \d{6}", "the serial number of the device, a space and its six digits")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        super().before_create(args, cloud)
        self._respect_lock(args, cloud)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        before = (old["versioningConfiguration"] or {}).get("status")
        after = (args["versioningConfiguration"] or {}).get("status")
        if after == "Disabled" and before in ("Enabled", "Suspended"):
            raise CloudError(
                "IllegalVersioningConfigurationException",
                f"versioning_configuration.status cannot be updated from '{before}' to 'Disabled'",
            )
        self._respect_lock(args, cloud)

    def _respect_lock(self, args: Args, cloud: Cloud) -> None:
        bucket = next((b for token in BUCKETS for b in cloud.find(token, bucket=args["bucket"])), None)
        status = (args["versioningConfiguration"] or {}).get("status")
        if bucket is not None and bucket["objectLockEnabled"] and status != "Enabled":
            raise CloudError(
                "InvalidBucketState",
                "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.",
            )


@AWS.kind
class BucketVersioning(_Versioning):
    token = VERSIONING[0]


@AWS.kind
class BucketVersioningV2(_Versioning):
    token = VERSIONING[1]


def encryption_faults(args: Args, rules: str, default: str = "applyServerSideEncryptionByDefault") -> Iterator[Fault]:
    """One default encryption: algorithm, and a key only where the algorithm takes one
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ServerSideEncryptionByDefault.html)."""
    yield from one_of(args, f"{rules}.{default}.sseAlgorithm", ("AES256", "aws:kms", "aws:kms:dsse"))
    yield from one_of(args, f"{rules}.blockedEncryptionTypes[*]", ("NONE", "SSE-C"))
    for path, chosen in args.at(f"{rules}.{default}"):
        if (
            isinstance(chosen, Mapping)
            and chosen.get("kmsMasterKeyId") is not None
            and chosen.get("sseAlgorithm") == "AES256"
        ):
            yield Fault(f"{path}.kmsMasterKeyId", "a key is only for sseAlgorithm aws:kms or aws:kms:dsse")


class _Encryption(BucketSetting):
    sets = ("rules",)

    def check(self, args: Args) -> Iterable[Fault]:
        yield from super().check(args)
        rules = args.get("rules")
        if isinstance(rules, list) and len(rules) != 1:
            yield Fault("rules", f"expected one rule, got {len(rules)}")
        yield from encryption_faults(args, "rules[*]")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        super().before_create(args, cloud)
        self._require_key(args, cloud)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._require_key(args, cloud)

    def _require_key(self, args: Args, cloud: Cloud) -> None:
        for _, key in args.at("rules[*].applyServerSideEncryptionByDefault.kmsMasterKeyId"):
            kms.require_key(key, cloud, "KMS.NotFoundException")


@AWS.kind
class BucketServerSideEncryptionConfiguration(_Encryption):
    token = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"


@AWS.kind
class BucketServerSideEncryptionConfigurationV2(_Encryption):
    token = "aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2"


@AWS.kind
class BucketOwnershipControls(BucketSetting):
    token = OWNERSHIP
    replace_on = ("bucket",)
    not_found_code = "OwnershipControlsNotFoundError"

    def check(self, args: Args) -> Iterable[Fault]:
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
        yield from one_of(args, "rule.objectOwnership", ("BucketOwnerPreferred", "ObjectWriter", "BucketOwnerEnforced"))
