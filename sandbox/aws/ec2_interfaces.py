"""Network interfaces, placement groups and key pairs: what instances are launched with."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from sandbox import rules
from sandbox.aws import formats, stamps, tokens
from sandbox.aws.ec2_security import check_groups_in_vpc
from sandbox.aws.formats import ec2_arn
from sandbox.aws.registry import AWS
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Kind, Ref, Resource


@AWS.kind
class NetworkInterface(Kind):
    """aws_network_interface. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateNetworkInterface.html"""

    token = tokens.NETWORK_INTERFACE
    id_prefix = "eni-"
    replace_on = ("subnetId", "interfaceType")
    sets = ("securityGroups", "privateIps", "ipv6Addresses", "ipv4Prefixes", "ipv6Prefixes", "attachments")
    defaults: ClassVar[Mapping[str, Any]] = {"sourceDestCheck": True, "interfaceType": "interface"}
    references = (
        Ref("subnetId", (tokens.SUBNET,), code="InvalidSubnetID.NotFound"),
        Ref("securityGroups[*]", tokens.SECURITY_GROUPS, code="InvalidGroup.NotFound"),
        Ref("attachments[*].instance", (tokens.INSTANCE,), code="InvalidInstanceID.NotFound", blocks_delete=False),
    )
    not_found_code = "InvalidNetworkInterfaceID.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from formats.ids(args, "subnetId", "subnet")
        yield from formats.ids(args, "securityGroups[*]", "sg")
        yield from formats.addresses(args, "privateIp")
        yield from formats.addresses(args, "privateIps[*]")
        yield from formats.addresses(args, "privateIpLists[*]")
        yield from formats.ids(args, "attachments[*].instance", "i")
        yield from rules.one_of(args, "interfaceType", ("interface", "efa", "efa-only", "branch", "trunk"))
        yield from rules.conflicting(args, "privateIps", "privateIpLists")
        yield from rules.conflicting(args, "ipv4Prefixes", "ipv4PrefixCount")
        yield from rules.conflicting(args, "ipv6Prefixes", "ipv6PrefixCount")
        yield from rules.conflicting(args, "ipv6Addresses", "ipv6AddressCount")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        self._check_placed(args, cloud)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._check_placed(args, cloud)

    @staticmethod
    def _check_placed(args: Args, cloud: Cloud) -> None:
        subnet = cloud.get(tokens.SUBNET, args["subnetId"])
        if subnet is None:
            return
        check_groups_in_vpc(cloud, args.get("securityGroups", []), str(subnet["vpcId"]))
        inside = formats.network(subnet["cidrBlock"])
        wanted = [args.get("privateIp"), *args.get("privateIps", []), *args.get("privateIpLists", [])]
        for address in wanted:
            one = formats.network(address) if address else None
            if one is not None and inside is not None and not one.subnet_of(inside):
                raise CloudError(
                    "InvalidParameterValue", f"Address {address} does not fall within the subnet's address range"
                )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        subnet = cloud.get(tokens.SUBNET, args["subnetId"])
        listed = args.get("privateIpLists") or args.get("privateIps") or (old["privateIps"] if old else None) or []
        first = args.get("privateIp") or (listed[0] if listed else "")
        if not first and subnet is not None:
            first = formats.private_address(cloud, subnet)
        count = args.get("privateIpsCount", 0)
        addresses = list(listed) or [first]
        while old is None and subnet is not None and len(addresses) < count + 1:
            addresses.append(formats.private_address(cloud, subnet))
        vpc = cloud.get(tokens.VPC, str(subnet["vpcId"])) if subnet else None
        digits = hashlib.sha256(id.encode()).hexdigest()
        return {
            "arn": ec2_arn(cloud, f"network-interface/{id}"),
            "ownerId": cloud.account,
            "privateIp": first,
            "privateIps": addresses,
            "privateIpLists": addresses,
            "privateIpsCount": len(addresses) - 1,
            "privateDnsName": formats.private_dns(first, cloud.region),
            # 02: locally administered, as EC2's own are.
            "macAddress": ":".join(["02", *(digits[i : i + 2] for i in range(0, 10, 2))]),
            "securityGroups": args.get("securityGroups") or ([vpc["defaultSecurityGroupId"]] if vpc else []),
        }


@AWS.kind
class PlacementGroup(Kind):
    """aws_placement_group. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/placement-groups.html"""

    token = tokens.PLACEMENT_GROUP
    replace_on = ("name", "partitionCount", "spreadLevel", "strategy")
    autoname = AutoName("name", 255)
    unique = ("name",)
    duplicate_code = "InvalidPlacementGroup.Duplicate"
    not_found_code = "InvalidPlacementGroup.Unknown"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from rules.length(args, "name", 1, 255)
        yield from rules.one_of(args, "strategy", ("cluster", "partition", "spread"))
        yield from rules.between(args, "partitionCount", 1, 7)
        yield from rules.one_of(args, "spreadLevel", ("host", "rack"))
        strategy = args.get("strategy")
        for key, needed in (("partitionCount", "partition"), ("spreadLevel", "spread")):
            if key in args and strategy not in (None, needed):
                yield Fault(key, f"can only be set when strategy is {needed}, this is {strategy}")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return str(args["name"])

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        strategy = args["strategy"]
        return {
            "arn": ec2_arn(cloud, f"placement-group/{id}"),
            "placementGroupId": old["placementGroupId"] if old else formats.hex_id("pg"),
            "partitionCount": args.get("partitionCount", 2 if strategy == "partition" else 0),
            "spreadLevel": args.get("spreadLevel", "rack" if strategy == "spread" else ""),
        }


_KEY_TYPES: Final = {"ssh-rsa": "rsa", "ssh-ed25519": "ed25519"}


def _ssh_fields(blob: bytes) -> list[bytes]:
    """The length-prefixed fields of an OpenSSH public key (RFC 4253, section 6.6). struct.error when it is cut."""
    fields, at = [], 0
    while at < len(blob):
        (size,) = struct.unpack_from(">I", blob, at)
        fields.append(blob[at + 4 : at + 4 + size])
        at += 4 + size
    return fields


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 128:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 128 | len(length))) + length + content


def fingerprint(public_key: str) -> tuple[str, str]:
    """(key type, fingerprint) as EC2 shows them for an imported key: MD5 of the DER form for RSA, SHA-256 for Ed25519.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/verify-keys.html Raises ValueError for anything else."""
    parts = public_key.split()
    try:
        kind = _KEY_TYPES[parts[0]]
        blob = base64.b64decode(parts[1], validate=True)
        fields = _ssh_fields(blob)
        if fields[0].decode() != parts[0]:
            raise ValueError("the key's own type differs")
        if kind == "ed25519":
            return kind, base64.b64encode(hashlib.sha256(blob).digest()).decode()
        numbers = _der(0x30, _der(0x02, fields[2]) + _der(0x02, fields[1]))
        algorithm = bytes.fromhex("300d06092a864886f70d0101010500")
        digest = hashlib.md5(_der(0x30, algorithm + _der(0x03, b"\0" + numbers)), usedforsecurity=False).hexdigest()
    except (KeyError, IndexError, binascii.Error, struct.error, UnicodeDecodeError) as error:
        raise ValueError("not an OpenSSH public key of type ssh-rsa or ssh-ed25519") from error
    return kind, ":".join(digest[i : i + 2] for i in range(0, 32, 2))


@AWS.kind
class KeyPair(Kind):
    """aws_key_pair. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ImportKeyPair.html"""

    token = tokens.KEY_PAIR
    replace_on = ("keyName", "keyNamePrefix", "publicKey")
    write_only = ("keyNamePrefix", "publicKey")
    autoname = AutoName("keyName", 255)
    unique = ("keyName",)
    duplicate_code = "InvalidKeyPair.Duplicate"
    not_found_code = "InvalidKeyPair.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from rules.length(args, "keyName", 1, 255)
        for path, value in args.at("publicKey"):
            try:
                fingerprint(str(value))
            except ValueError:
                yield Fault(path, "expected an OpenSSH public key: ssh-rsa or ssh-ed25519, then base64")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return stamps.name_of(args, "keyName", "keyNamePrefix")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        kind, print_ = fingerprint(args["publicKey"])
        return {
            "arn": ec2_arn(cloud, f"key-pair/{id}"),
            "keyName": id,
            "keyPairId": old["keyPairId"] if old else formats.hex_id("key"),
            "keyType": kind,
            "fingerprint": print_,
        }
