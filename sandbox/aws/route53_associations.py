"""VPCs of private zones outside of the zone itself, and the logs of queries to public zones."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sandbox import rules
from sandbox.aws import formats, quotas, stamps
from sandbox.aws import route53_limits as limits
from sandbox.aws.logs import GROUP
from sandbox.aws.registry import AWS
from sandbox.aws.route53_names import clean_zone_id
from sandbox.aws.route53_zones import check_vpc_free, is_private, require_vpc, require_zone, zone_name, zone_vpcs
from sandbox.kinds import Args, Cloud, CloudError, Fault, Kind, Resource

_LOG_GROUP_ARN = r"arn:aws[a-z-]*:logs:us-east-1:\d{12}:log-group:[^:*]{1,512}(?::\*)?"
_RESOURCE_POLICY = "aws:cloudwatch/logResourcePolicy:LogResourcePolicy"


def _clean(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    zone = inputs.get("zoneId")
    return {**inputs, "zoneId": clean_zone_id(zone)} if isinstance(zone, str) else inputs


class _OfVpc(Kind):
    """What both types of a zone and a VPC share."""

    replace_on = ("zoneId", "vpcId", "vpcRegion")
    regional = False
    taggable = False
    not_found_code = "VPCAssociationNotFound"

    def comparable(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        return _clean(inputs)

    def check(self, args: Args) -> Iterable[Fault]:
        yield from formats.ids(args, "vpcId", "vpc")
        yield from rules.one_of(args, "vpcRegion", limits.ALL_REGIONS)

    @staticmethod
    def _private_zone(args: Args, cloud: Cloud) -> Resource:
        zone = require_zone(cloud, args["zoneId"])
        if not is_private(zone):
            raise CloudError(
                "PublicZoneVPCAssociation", f"The hosted zone {zone.id} is public; a VPC cannot be associated with it."
            )
        return zone


@AWS.kind
class ZoneAssociation(_OfVpc):
    """aws_route53_zone_association.
    https://docs.aws.amazon.com/Route53/latest/APIReference/API_AssociateVPCWithHostedZone.html"""

    token = limits.ZONE_ASSOCIATION

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{args['zoneId']}:{args['vpcId']}:{args.get('vpcRegion', cloud.region)}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        zone = self._private_zone(args, cloud)
        region = args.get("vpcRegion", cloud.region)
        require_vpc(cloud, args["vpcId"], region)
        if any(v == args["vpcId"] for v, _ in zone_vpcs(cloud, zone)):
            raise CloudError(
                "ConflictingDomainExists",
                f"The VPC {args['vpcId']} is associated with the hosted zone {zone.id} already.",
            )
        check_vpc_free(cloud, zone_name(zone), args["vpcId"], zone.id)
        limits.check_room(
            cloud,
            quotas.VPCS_PER_HOSTED_ZONE,
            len(zone_vpcs(cloud, zone)),
            "LimitsExceeded",
            "The hosted zone has reached its limit of {limit} VPCs.",
        )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"owningAccount": cloud.account, "vpcRegion": args.get("vpcRegion", cloud.region)}


@AWS.kind
class VpcAssociationAuthorization(_OfVpc):
    """aws_route53_vpc_association_authorization: the zone's account lets a VPC of another account in, which the
    stand-in does not look up.
    https://docs.aws.amazon.com/Route53/latest/APIReference/API_CreateVPCAssociationAuthorization.html"""

    token = limits.VPC_AUTHORIZATION
    not_found_code = "VPCAssociationAuthorizationNotFound"

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{args['zoneId']}:{args['vpcId']}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        zone = self._private_zone(args, cloud)
        have = [a for a in cloud.all(self.token) if clean_zone_id(str(a["zoneId"])) == zone.id]
        # https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html
        if len(have) >= 1000:
            raise CloudError(
                "TooManyVPCAssociationAuthorizations", f"The hosted zone {zone.id} has 1,000 authorizations."
            )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"vpcRegion": args.get("vpcRegion", cloud.region)}


@AWS.kind
class QueryLog(Kind):
    """aws_route53_query_log.
    https://docs.aws.amazon.com/Route53/latest/APIReference/API_CreateQueryLoggingConfig.html"""

    token = limits.QUERY_LOG
    replace_on = ("cloudwatchLogGroupArn", "zoneId")
    regional = False
    taggable = False
    not_found_code = "NoSuchQueryLoggingConfig"

    def comparable(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        arn = inputs.get("cloudwatchLogGroupArn")
        out = dict(_clean(inputs))
        if isinstance(arn, str):
            out["cloudwatchLogGroupArn"] = arn.removesuffix(":*")
        return out

    def check(self, args: Args) -> Iterable[Fault]:
        yield from rules.matches(
            args, "cloudwatchLogGroupArn", _LOG_GROUP_ARN, "the ARN of a log group in us-east-1, where query logs go"
        )

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return stamps.new_uuid()

    def before_create(self, args: Args, cloud: Cloud) -> None:
        zone = require_zone(cloud, args["zoneId"])
        arn = str(args["cloudwatchLogGroupArn"]).removesuffix(":*")
        if is_private(zone):
            raise CloudError("InvalidInput", f"The hosted zone {zone.id} is private; query logs are of public zones.")
        if arn.split(":")[4] != cloud.account or not any(
            str(group["arn"]).removesuffix(":*") == arn for group in cloud.all(GROUP, region=limits.HOME)
        ):
            raise CloudError(
                "NoSuchCloudWatchLogsLogGroup", f"The specified CloudWatch Logs log group {arn} doesn't exist."
            )
        if any(clean_zone_id(str(q["zoneId"])) == zone.id for q in cloud.all(self.token)):
            raise CloudError(
                "QueryLoggingConfigAlreadyExists",
                f"A query logging configuration exists for the hosted zone {zone.id}.",
            )
        # Where the account's log policies are known, one of them has to let Route 53 write.
        policies = cloud.all(_RESOURCE_POLICY, region=limits.HOME)
        if policies and not any(_lets_route53_write(str(p["policyDocument"])) for p in policies):
            raise CloudError(
                "InsufficientCloudWatchLogsResourcePolicy",
                f"The CloudWatch Logs resource policy does not let Amazon Route 53 write to {arn}.",
            )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"arn": formats.arn("route53", "", "", f"queryloggingconfig/{id}", partition_of=cloud.region)}


def _lets_route53_write(document: str) -> bool:
    try:
        statements = json.loads(document).get("Statement") or []
    except (ValueError, AttributeError):
        return False
    listed = statements if isinstance(statements, list) else [statements]
    return any("route53.amazonaws.com" in json.dumps(s) and s.get("Effect") == "Allow" for s in listed)
