"""Data sources that look up what stacks made: networks, buckets, roles, secrets, keys, groups, reservations."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from sandbox.aws import kms, tokens
from sandbox.aws.invokes import filter_pairs, no_match, tagged
from sandbox.aws.registry import AWS
from sandbox.aws.s3 import BUCKETS
from sandbox.aws.secrets import find_secret
from sandbox.kinds import Args, Cloud, CloudError, Resource

_MULTIPLE: Final = "multiple {what}s matched; use additional constraints to reduce matches to a single {what}"
Read = Callable[[Resource], object]


def _output(key: str) -> Read:
    return lambda resource: resource[key]


# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVpcs.html, API_DescribeSubnets.html and so on
_COMMON: Final[Mapping[str, Read]] = {"owner-id": lambda r: r.account, "state": lambda r: r["state"] or "available"}
_VPC: Final[Mapping[str, Read]] = {
    **_COMMON,
    "cidr": _output("cidrBlock"),
    "cidr-block-association.cidr-block": _output("cidrBlock"),
    "dhcp-options-id": _output("dhcpOptionsId"),
    "is-default": lambda r: bool(r["default"]),
    "vpc-id": lambda r: r.id,
}
_SUBNET: Final[Mapping[str, Read]] = {
    **_COMMON,
    "availability-zone": _output("availabilityZone"),
    "availability-zone-id": _output("availabilityZoneId"),
    "cidr-block": _output("cidrBlock"),
    "default-for-az": lambda r: bool(r["defaultForAz"]),
    "map-public-ip-on-launch": lambda r: bool(r["mapPublicIpOnLaunch"]),
    "subnet-id": lambda r: r.id,
    "vpc-id": _output("vpcId"),
}
_SECURITY_GROUP: Final[Mapping[str, Read]] = {
    "description": _output("description"),
    "group-id": lambda r: r.id,
    "group-name": _output("name"),
    "owner-id": lambda r: r.account,
    "vpc-id": _output("vpcId"),
}
_LAUNCH_TEMPLATE: Final[Mapping[str, Read]] = {
    "launch-template-id": lambda r: r.id,
    "launch-template-name": _output("name"),
}
_RESERVATION: Final[Mapping[str, Read]] = {
    "availability-zone": _output("availabilityZone"),
    "instance-type": _output("instanceType"),
    "owner-id": lambda r: r.account,
    "state": lambda r: r["state"] or "active",
    "tenancy": _output("tenancy"),
}


def _narrow(found: Iterable[Resource], args: Args, known: Mapping[str, Read]) -> list[Resource]:
    """The resources that all filters and tags of a look-up let through. Raises CloudError for a filter that EC2 does
    not have."""
    left = list(found)
    for name, values in filter_pairs(args):
        if name.startswith("tag:"):
            key = name.removeprefix("tag:")
            left = [r for r in left if (r["tagsAll"] or r["tags"] or {}).get(key) in values]
        elif name == "tag-key":
            left = [r for r in left if set(r["tagsAll"] or r["tags"] or {}) & set(values)]
        elif name in known:
            left = [r for r in left if _text(known[name](r)) in values]
        else:
            raise CloudError("InvalidParameterValue", f"The filter '{name}' is invalid")
    return [r for r in left if tagged(r.outputs, args.get("tags") or {})]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _single(found: list[Resource], what: str) -> Resource:
    if not found:
        raise no_match(what)
    if len(found) > 1:
        raise CloudError("TooManyResults", _MULTIPLE.format(what=what))
    return found[0]


def _look_up(
    args: Args, cloud: Cloud, kinds: tuple[str, ...], known: Mapping[str, Read], keys: tuple[str, ...], what: str
) -> Resource:
    """The one resource whose id and outputs equal the arguments named in `keys` and that the filters let through."""
    found = [r for token in kinds for r in cloud.all(token, region=cloud.region)]
    if "id" in args:
        found = [r for r in found if r.id == args["id"]]
    for key in keys:
        if key in args:
            found = [r for r in found if r[key] == args[key]]
    return _single(_narrow(found, args, known), what)


def _result(args: Args, resource: Resource, cloud: Cloud, **more: Any) -> dict[str, Any]:
    tags = resource["tagsAll"] or resource["tags"] or {}
    given = {key: value for key, value in args.values.items() if value is not None}
    return {**given, **resource.outputs, "id": resource.id, "tags": tags, "region": cloud.region, **more}


@AWS.invoke("aws:ec2/getVpc:getVpc")
def get_vpc(args: Args, cloud: Cloud) -> dict[str, Any]:
    found = _look_up(args, cloud, (tokens.VPC,), _VPC, ("cidrBlock", "dhcpOptionsId", "default"), "EC2 VPC")
    association = {
        "associationId": f"vpc-cidr-assoc-{found.id[4:]}",
        "cidrBlock": found["cidrBlock"],
        "state": "associated",
    }
    return _result(args, found, cloud, cidrBlockAssociations=[association], ownerId=found.account, state="available")


@AWS.invoke("aws:ec2/getSubnets:getSubnets")
def get_subnets(args: Args, cloud: Cloud) -> dict[str, Any]:
    found = _narrow(cloud.all(tokens.SUBNET, region=cloud.region), args, _SUBNET)
    given = {key: value for key, value in args.values.items() if value is not None}
    return {**given, "id": cloud.region, "ids": [subnet.id for subnet in found], "region": cloud.region}


@AWS.invoke("aws:ec2/getSubnet:getSubnet")
def get_subnet(args: Args, cloud: Cloud) -> dict[str, Any]:
    keys = ("availabilityZone", "availabilityZoneId", "cidrBlock", "vpcId")
    found = _look_up(args, cloud, (tokens.SUBNET,), _SUBNET, keys, "EC2 Subnet")
    return _result(args, found, cloud, ownerId=found.account, state="available")


@AWS.invoke("aws:ec2/getSecurityGroup:getSecurityGroup")
def get_security_group(args: Args, cloud: Cloud) -> dict[str, Any]:
    found = _look_up(args, cloud, tokens.SECURITY_GROUPS, _SECURITY_GROUP, ("name", "vpcId"), "EC2 Security Group")
    return _result(args, found, cloud)


@AWS.invoke("aws:ec2/getLaunchTemplate:getLaunchTemplate")
def get_launch_template(args: Args, cloud: Cloud) -> dict[str, Any]:
    found = _look_up(args, cloud, (tokens.LAUNCH_TEMPLATE,), _LAUNCH_TEMPLATE, ("name",), "EC2 Launch Template")
    # The data source returns single blocks as lists.
    blocks = {
        "capacityReservationSpecifications": "capacityReservationSpecification",
        "creditSpecifications": "creditSpecification",
        "iamInstanceProfiles": "iamInstanceProfile",
        "monitorings": "monitoring",
        "placements": "placement",
    }
    same = (
        "instanceMarketOptions",
        "metadataOptions",
        "enclaveOptions",
        "hibernationOptions",
        "cpuOptions",
        "maintenanceOptions",
    )
    lists = {plural: [found[single]] if found[single] else [] for plural, single in blocks.items()}
    lists |= {key: [found[key]] if found[key] else [] for key in same}
    return _result(args, found, cloud, **lists)


@AWS.invoke("aws:ec2/getCapacityBlockReservation:getCapacityBlockReservation")
def get_capacity_block_reservation(args: Args, cloud: Cloud) -> dict[str, Any]:
    found = _look_up(args, cloud, tokens.CAPACITY_RESERVATIONS, _RESERVATION, (), "EC2 Capacity Block Reservation")
    if found.token != tokens.CAPACITY_BLOCK:
        raise CloudError(
            "InvalidParameterValue", f"{found.id} is an On-Demand Capacity Reservation, not a Capacity Block"
        )
    count = found["instanceCount"] or 0
    return _result(
        args, found, cloud, ownerId=found.account, availableInstanceCount=count, reservationType="capacity-block"
    )


@AWS.invoke("aws:iam/getRole:getRole")
def get_role(args: Args, cloud: Cloud) -> dict[str, Any]:
    name = args["name"]
    for role in cloud.all("aws:iam/role:Role"):
        if role["name"] == name:
            return {**role.outputs, "id": role.id, "roleLastUseds": [], "tags": role["tagsAll"] or role["tags"] or {}}
    raise CloudError("NoSuchEntity", f"The role with name {name} cannot be found.")


@AWS.invoke("aws:secretsmanager/getSecret:getSecret")
def get_secret(args: Args, cloud: Cloud) -> dict[str, Any]:
    wanted = args.get("arn") or args.get("name") or ""
    found = find_secret(wanted, cloud)
    if found is None:
        raise CloudError("ResourceNotFoundException", f"couldn't find resource: no Secrets Manager Secret {wanted!r}")
    if not tagged(found.outputs, args.get("tags") or {}):
        raise no_match("Secrets Manager Secret")
    return _result(args, found, cloud, createdDate=found.created_at, lastChangedDate=found.created_at)


@AWS.invoke("aws:s3/getBucket:getBucket")
def get_bucket(args: Args, cloud: Cloud) -> dict[str, Any]:
    name = args["bucket"]
    found = next((b for token in BUCKETS for b in cloud.all(token) if b["bucket"] == name), None)
    if found is None:
        raise CloudError("NotFound", f"S3 Bucket ({name}): couldn't find resource")
    return {**found.outputs, "id": name, "region": cloud.region, "bucketRegion": found.region}


@AWS.invoke("aws:kms/getAlias:getAlias")
def get_alias(args: Args, cloud: Cloud) -> dict[str, Any]:
    found = next(iter(cloud.find(kms.ALIAS, name=args["name"])), None)
    if found is None:
        raise CloudError("NotFoundException", f"KMS Alias ({args['name']}): couldn't find resource")
    return {**found.outputs, "id": found["arn"], "region": cloud.region}


@AWS.invoke("aws:kms/getKey:getKey")
def get_key(args: Args, cloud: Cloud) -> dict[str, Any]:
    found = kms.find_key(args["keyId"], cloud)
    if found is None:
        raise CloudError("NotFoundException", f"Invalid keyId '{args['keyId']}'")
    return {
        **found.outputs,
        "id": found.id,
        "keyId": args["keyId"],
        "awsAccountId": found.account,
        "creationDate": found.created_at,
        "enabled": found["isEnabled"],
        "keyManager": "CUSTOMER",
        "keySpec": found["customerMasterKeySpec"],
        "keyState": "Enabled" if found["isEnabled"] else "Disabled",
        "origin": "AWS_KMS",
        "region": cloud.region,
    }


@AWS.invoke("aws:sns/getTopic:getTopic")
def get_topic(args: Args, cloud: Cloud) -> dict[str, Any]:
    found = [
        t for t in cloud.find("aws:sns/topic:Topic", name=args["name"]) if tagged(t.outputs, args.get("tags") or {})
    ]
    return _result(args, _single(found, "SNS Topic"), cloud)


@AWS.invoke("aws:lb/getLoadBalancer:getLoadBalancer")
def get_load_balancer(args: Args, cloud: Cloud) -> dict[str, Any]:
    found = _look_up(args, cloud, (tokens.LOAD_BALANCER,), {}, ("arn", "name"), "ELBv2 Load Balancer")
    return _result(args, found, cloud)


@AWS.invoke("aws:autoscaling/getGroup:getGroup")
def get_group(args: Args, cloud: Cloud) -> dict[str, Any]:
    found = cloud.get(tokens.AUTOSCALING_GROUP, args["name"])
    if found is None:
        raise CloudError("NotFound", f"Auto Scaling Group ({args['name']}): couldn't find resource")
    return {
        **found.outputs,
        "id": found.id,
        "launchTemplates": [found["launchTemplate"]] if found["launchTemplate"] else [],
        "mixedInstancesPolicies": [found["mixedInstancesPolicy"]] if found["mixedInstancesPolicy"] else [],
        "newInstancesProtectedFromScaleIn": bool(found["protectFromScaleIn"]),
        "status": "",
        "vpcZoneIdentifier": ",".join(found["vpcZoneIdentifiers"] or []),
        "region": cloud.region,
    }


@AWS.invoke("aws:ssm/getParameter:getParameter")
def get_parameter(args: Args, cloud: Cloud) -> dict[str, Any]:
    found = next(iter(cloud.find("aws:ssm/parameter:Parameter", name=args["name"])), None)
    if found is None:
        raise CloudError("ParameterNotFound", f"SSM Parameter ({args['name']}): couldn't find resource")
    value = found["value"] or found["insecureValue"] or ""
    readable = args.get("withDecryption", True) or found["type"] != "SecureString"
    return {
        **found.outputs,
        "id": found.id,
        "value": value if readable else "",
        "insecureValue": "" if found["type"] == "SecureString" else value,
        "withDecryption": args.get("withDecryption", True),
        "region": cloud.region,
    }


@AWS.invoke("aws:iam/getPolicyDocument:getPolicyDocument")
def get_policy_document(args: Args, cloud: Cloud) -> dict[str, Any]:
    """A policy as JSON, composed from statements and from other documents: sources first, then the own statements,
    then overrides, which replace statements of the same sid
    (https://registry.terraform.io/providers/hashicorp/aws/latest/docs/data-sources/iam_policy_document)."""
    statements: list[dict[str, Any]] = []
    for text in _documents(args, "sourceJson", "sourcePolicyDocuments"):
        _add(statements, text, replace=False)
    for entry in args.get("statements") or []:
        statement = _statement(entry)
        sid = statement.get("Sid")
        if sid and any(s.get("Sid") == sid for s in statements):
            statements = [s for s in statements if s.get("Sid") != sid]
        statements.append(statement)
    for text in _documents(args, "overrideJson", "overridePolicyDocuments"):
        _add(statements, text, replace=True)
    document: dict[str, Any] = {"Version": args.get("version") or "2012-10-17"}
    if args.get("policyId"):
        document["Id"] = args["policyId"]
    document["Statement"] = statements
    given = {key: value for key, value in args.values.items() if value is not None}
    minified = json.dumps(document, separators=(",", ":"))
    return {
        **given,
        "id": str(zlib.crc32(minified.encode())),
        "json": json.dumps(document, indent=2),
        "minifiedJson": minified,
    }


def _documents(args: Args, single: str, several: str) -> list[str]:
    return [text for text in [args.get(single), *(args.get(several) or [])] if text]


def _add(statements: list[dict[str, Any]], text: str, *, replace: bool) -> None:
    found = json.loads(text).get("Statement") or []
    for statement in [found] if isinstance(found, dict) else found:
        sid = statement.get("Sid")
        same = [i for i, s in enumerate(statements) if sid and s.get("Sid") == sid]
        if same and not replace:
            raise CloudError("DuplicateSid", f'duplicate Sid ("{sid}") in source_policy_documents')
        if same:
            statements[same[0]] = statement
        else:
            statements.append(statement)


def _statement(entry: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if entry.get("sid"):
        out["Sid"] = entry["sid"]
    out["Effect"] = entry.get("effect") or "Allow"
    for key, name in (
        ("actions", "Action"),
        ("notActions", "NotAction"),
        ("resources", "Resource"),
        ("notResources", "NotResource"),
    ):
        if entry.get(key):
            out[name] = _one_or_many(sorted(set(entry[key]), reverse=True))
    for key, name in (("principals", "Principal"), ("notPrincipals", "NotPrincipal")):
        if entry.get(key):
            out[name] = _principals(entry[key])
    if entry.get("conditions"):
        tests: dict[str, dict[str, Any]] = {}
        for condition in entry["conditions"]:
            tests.setdefault(condition["test"], {})[condition["variable"]] = _one_or_many(list(condition["values"]))
        out["Condition"] = tests
    return out


def _principals(entries: list[Mapping[str, Any]]) -> Any:
    if any(entry["type"] == "*" for entry in entries):
        return "*"
    merged: dict[str, list[str]] = {}
    for entry in entries:
        merged.setdefault(entry["type"], []).extend(entry["identifiers"])
    return {kind: _one_or_many(names) for kind, names in merged.items()}


def _one_or_many(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values
