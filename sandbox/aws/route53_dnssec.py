"""DNSSEC: the keys that sign a zone, and the signing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from sandbox import rules
from sandbox.aws import formats
from sandbox.aws import route53_limits as limits
from sandbox.aws.kms import KEY
from sandbox.aws.registry import AWS
from sandbox.aws.route53_names import clean_zone_id
from sandbox.aws.route53_zones import is_private, require_zone, signing_keys, zone_name
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Kind, Ref, Resource

_PRINCIPAL: Final = "dnssec-route53.amazonaws.com"
_KEYS_PER_ZONE: Final = 2
# ECDSA with curve P-256 and SHA-256, and a digest of SHA-256: RFC 6605 and RFC 4509, which are all that Route 53 uses.
_ALGORITHM, _DIGEST, _FLAG, _PROTOCOL = 13, 2, 257, 3


def _public_zone(args: Args, cloud: Cloud) -> Resource:
    zone = require_zone(cloud, args["hostedZoneId"])
    if is_private(zone):
        raise CloudError("InvalidArgument", "Operation is unsupported for private hosted zones.")
    return zone


def is_signing(cloud: Cloud, zone_id: str) -> bool:
    """Whether a zone's answers are signed."""
    return any(
        clean_zone_id(str(d["hostedZoneId"])) == zone_id and d["signingStatus"] == "SIGNING"
        for d in cloud.all(limits.DNSSEC)
    )


@AWS.kind
class KeySigningKey(Kind):
    """aws_route53_key_signing_key.
    https://docs.aws.amazon.com/Route53/latest/APIReference/API_CreateKeySigningKey.html"""

    token = limits.KEY_SIGNING_KEY
    replace_on = ("hostedZoneId", "name")
    defaults: ClassVar[Mapping[str, Any]] = {"status": "ACTIVE"}
    autoname = AutoName("name", 255)
    references = (
        Ref("keyManagementServiceArn", (KEY,), by="arn", same_region=False, code="InvalidKMSArn", blocks_delete=False),
    )
    regional = False
    taggable = False
    not_found_code = "NoSuchKeySigningKey"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from rules.matches(args, "name", r"[0-9A-Za-z_]{3,128}", "3 to 128 letters, digits and underscores")
        yield from rules.one_of(args, "status", ("ACTIVE", "INACTIVE"))
        yield from formats.arns(args, "keyManagementServiceArn", "kms", "key/")
        # https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-configuring-dnssec-cmk-requirements.html
        for path, value in args.at("keyManagementServiceArn"):
            if formats.is_arn(value, "kms") and value.split(":")[3] != limits.HOME:
                yield Fault(path, f"expected a key in {limits.HOME}, got {value}")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{args['hostedZoneId']},{args['name']}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        zone = _public_zone(args, cloud)
        keys = signing_keys(cloud, zone.id)
        if any(
            args["name"] == k["name"] or args["keyManagementServiceArn"] == k["keyManagementServiceArn"] for k in keys
        ):
            raise CloudError(
                "KeySigningKeyAlreadyExists", f"A key-signing key of this name or KMS key exists in {zone.id}."
            )
        if len(keys) >= _KEYS_PER_ZONE:
            raise CloudError(
                "TooManyKeySigningKeys", f"The hosted zone {zone.id} has {_KEYS_PER_ZONE} key-signing keys."
            )
        self._check_key(args, cloud)

    @staticmethod
    def _check_key(args: Args, cloud: Cloud) -> None:
        key = next((k for k in cloud.all(KEY) if k["arn"] == args["keyManagementServiceArn"]), None)
        if key is None:
            return
        wanted = (("customerMasterKeySpec", "ECC_NIST_P256"), ("keyUsage", "SIGN_VERIFY"))
        for name, value in wanted:
            if key[name] != value:
                raise CloudError("InvalidKMSArn", f"The KMS key {key.id} has {name} {key[name]}; DNSSEC needs {value}.")
        if _PRINCIPAL not in str(key["policy"]):
            raise CloudError("InvalidKMSArn", f"The policy of the KMS key {key.id} does not name {_PRINCIPAL}.")

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        if old["status"] == "ACTIVE" and args["status"] == "INACTIVE":
            self._check_spare(old, cloud)

    def before_delete(self, resource: Resource, cloud: Cloud) -> None:
        if resource["status"] == "ACTIVE":
            self._check_spare(resource, cloud)

    @staticmethod
    def _check_spare(key: Resource, cloud: Cloud) -> None:
        zone_id = clean_zone_id(str(key["hostedZoneId"]))
        others = [k for k in signing_keys(cloud, zone_id) if k.id != key.id and k["status"] == "ACTIVE"]
        if not others and is_signing(cloud, zone_id):
            raise CloudError(
                "KeySigningKeyInUse",
                f"The key-signing key {key['name']} is the only active one of the signed hosted zone {zone_id}.",
            )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        seed = hashlib.sha512(f"{id}/{args['keyManagementServiceArn']}".encode()).digest()
        public = base64.b64encode(seed).decode()
        head = bytes((_FLAG >> 8, _FLAG & 255, _PROTOCOL, _ALGORITHM)) + seed
        tag = _key_tag(head)
        zone = require_zone(cloud, args["hostedZoneId"])
        digest = hashlib.sha256(_wire_name(zone_name(zone)) + head).hexdigest().upper()
        return {
            "digestAlgorithmMnemonic": "SHA-256",
            "digestAlgorithmType": _DIGEST,
            "digestValue": digest,
            "dnskeyRecord": f"{_FLAG} {_PROTOCOL} {_ALGORITHM} {public}",
            "dsRecord": f"{tag} {_ALGORITHM} {_DIGEST} {digest}",
            "flag": _FLAG,
            "keyTag": tag,
            "publicKey": public,
            "signingAlgorithmMnemonic": "ECDSAP256SHA256",
            "signingAlgorithmType": _ALGORITHM,
        }


def _key_tag(data: bytes) -> int:
    """The key tag of DNSKEY data: RFC 4034, appendix B."""
    total = sum(byte << (0 if i & 1 else 8) for i, byte in enumerate(data))
    return (total + (total >> 16 & 0xFFFF)) & 0xFFFF


def _wire_name(name: str) -> bytes:
    """A name as length-prefixed labels (RFC 1035, section 3.1)."""
    return b"".join(bytes((len(label),)) + label.encode() for label in name.split(".")) + b"\0"


@AWS.kind
class HostedZoneDnsSec(Kind):
    """aws_route53_hosted_zone_dnssec.
    https://docs.aws.amazon.com/Route53/latest/APIReference/API_EnableHostedZoneDNSSEC.html"""

    token = limits.DNSSEC
    replace_on = ("hostedZoneId",)
    defaults: ClassVar[Mapping[str, Any]] = {"signingStatus": "SIGNING"}
    regional = False
    taggable = False
    not_found_code = "DNSSECNotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from rules.one_of(args, "signingStatus", ("SIGNING", "NOT_SIGNING"))

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return str(args["hostedZoneId"])

    def before_create(self, args: Args, cloud: Cloud) -> None:
        self._check_active(args, cloud)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._check_active(args, cloud)

    @staticmethod
    def _check_active(args: Args, cloud: Cloud) -> None:
        zone = _public_zone(args, cloud)
        keys = signing_keys(cloud, zone.id)
        if args["signingStatus"] == "SIGNING" and not any(k["status"] == "ACTIVE" for k in keys):
            raise CloudError(
                "KeySigningKeyWithActiveStatusNotFound", f"The hosted zone {zone.id} has no active key-signing key."
            )
