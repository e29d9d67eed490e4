"""CIDR collections and their locations, for routing by the resolver's network.

https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-creating-ip-based.html
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any, Final

from sandbox import rules
from sandbox.aws import formats, stamps
from sandbox.aws import route53_limits as limits
from sandbox.aws.registry import AWS
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Kind, Ref, Resource
from sandbox.rules import shown

_NAME: Final = r"[0-9A-Za-z_\-]"
MAX_COLLECTION_NAME: Final = 64
MAX_LOCATION_NAME: Final = 16
MAX_BLOCKS: Final = 1000
# https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html
_COLLECTIONS: Final = 5
_NARROWEST: Final = {4: 24, 6: 48}


def block_fault(value: object) -> str:
    """Why a network cannot be part of a location, empty when it can."""
    try:
        network = ipaddress.ip_network(str(value))
    except ValueError as error:
        return f"expected a network such as 198.51.100.0/24 ({error})"
    if network.prefixlen > _NARROWEST[network.version]:
        return "expected a prefix of at most /24 for IPv4 and /48 for IPv6"
    return ""


@AWS.kind
class CidrCollection(Kind):
    """aws_route53_cidr_collection.
    https://docs.aws.amazon.com/Route53/latest/APIReference/API_CreateCidrCollection.html"""

    token = limits.CIDR_COLLECTION
    replace_on = ("name",)
    autoname = AutoName("name", 255)
    unique = ("name",)
    unique_scope = "account"
    duplicate_code = "CidrCollectionAlreadyExistsException"
    regional = False
    taggable = False
    not_found_code = "NoSuchCidrCollectionException"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from rules.matches(
            args, "name", f"{_NAME}{{1,{MAX_COLLECTION_NAME}}}", f"1 to {MAX_COLLECTION_NAME} letters, digits, - and _"
        )

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return stamps.new_uuid()

    def before_create(self, args: Args, cloud: Cloud) -> None:
        if len(cloud.all(self.token)) >= _COLLECTIONS:
            raise CloudError("LimitsExceeded", f"The account has {_COLLECTIONS} CIDR collections.")

    def before_delete(self, resource: Resource, cloud: Cloud) -> None:
        if any(record_uses(r, resource.id) for r in cloud.all(limits.RECORD)):
            raise CloudError("CidrCollectionInUseException", f"The CIDR collection {resource.id} is used by records.")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            "arn": formats.arn("route53", "", "", f"cidrcollection/{id}", partition_of=cloud.region),
            "version": old["version"] if old else 1,
        }


def record_uses(record: Resource, collection: str, location: str | None = None) -> bool:
    """Whether a record routes by a collection, or by one location of it."""
    block = record["cidrRoutingPolicy"]
    if not isinstance(block, dict) or block.get("collectionId") != collection:
        return False
    return location is None or block.get("locationName") == location


@AWS.kind
class CidrLocation(Kind):
    """aws_route53_cidr_location.
    https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeCidrCollection.html"""

    token = limits.CIDR_LOCATION
    replace_on = ("cidrCollectionId", "name")
    sets = ("cidrBlocks",)
    autoname = AutoName("name", 255)
    references = (
        Ref(
            "cidrCollectionId",
            (limits.CIDR_COLLECTION,),
            same_region=False,
            code="NoSuchCidrCollectionException",
            delete_code="CidrCollectionInUseException",
        ),
    )
    regional = False
    taggable = False
    not_found_code = "NoSuchCidrLocationException"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from rules.matches(
            args, "name", f"{_NAME}{{1,{MAX_LOCATION_NAME}}}", f"1 to {MAX_LOCATION_NAME} letters, digits, - and _"
        )
        yield from rules.length(args, "cidrBlocks", 1, MAX_BLOCKS)
        seen: set[str] = set()
        for path, value in args.at("cidrBlocks[*]"):
            reason = block_fault(value) or ("is given twice" if value in seen else "")
            seen.add(value)
            if reason:
                yield Fault(path, f"{reason}, got {shown(value)}")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{args['cidrCollectionId']},{args['name']}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        self._check_blocks(args, cloud, "")

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._check_blocks(args, cloud, old.id)

    def _check_blocks(self, args: Args, cloud: Cloud, own: str) -> None:
        """A network belongs to one location of its collection."""
        for other in cloud.all(self.token):
            if other.id != own and other["cidrCollectionId"] == args["cidrCollectionId"]:
                shared = sorted(set(other["cidrBlocks"]) & set(args["cidrBlocks"]))
                if shared:
                    raise CloudError("CidrBlockInUseException", f"{shared[0]} belongs to the location {other['name']}.")

    def after_create(self, resource: Resource, cloud: Cloud) -> None:
        self._count(resource, cloud)

    def before_delete(self, resource: Resource, cloud: Cloud) -> None:
        collection, name = str(resource["cidrCollectionId"]), str(resource["name"])
        if any(record_uses(r, collection, name) for r in cloud.all(limits.RECORD)):
            raise CloudError("CidrBlockInUseException", f"The CIDR location {name} is used by records.")

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        self._count(resource, cloud)

    @staticmethod
    def _count(resource: Resource, cloud: Cloud) -> None:
        """Every change of a location is a new version of its collection."""
        collection = cloud.get(limits.CIDR_COLLECTION, str(resource["cidrCollectionId"]))
        if collection is not None:
            collection.outputs["version"] = int(collection["version"] or 1) + 1
            cloud.put(collection)
