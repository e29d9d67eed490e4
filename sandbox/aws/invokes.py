"""Data sources about the account, its regions and images. Refusals are in the provider's own words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sandbox.aws import images, quotas, zones
from sandbox.aws.accounts import all_quotas
from sandbox.aws.formats import arn, dns_suffix, partition
from sandbox.aws.registry import AWS
from sandbox.aws.stamps import now
from sandbox.kinds import Args, Cloud, CloudError

NO_RESULTS: Final = "Your query returned no results. Please change your search criteria and try again."
TOO_MANY: Final = (
    "Your query returned more than one result. Please try a more specific search criteria, "
    "or set `most_recent` attribute to true."
)


def no_match(what: str) -> CloudError:
    """The provider's text for a look-up of one thing that finds none."""
    return CloudError("NotFound", f"no matching {what} found")


def filter_pairs(args: Args) -> Iterable[tuple[str, list[str]]]:
    """(name, values) of the `filters` argument."""
    for entry in args.get("filters") or []:
        yield entry["name"], [str(value) for value in entry.get("values") or []]


def _select_images(args: Args, cloud: Cloud) -> list[images.MachineImage]:
    found = images.images(cloud)
    owners = set(args.get("owners") or [])
    if owners:
        wanted = {cloud.account if owner == "self" else owner for owner in owners}
        found = [i for i in found if i.owner_id in wanted or (i.owner_alias and i.owner_alias in wanted)]
    else:
        found = [i for i in found if i.public or i.owner_id == cloud.account]
    for name, values in filter_pairs(args):
        if not values:
            # An empty list is what an unknown value becomes on its way here: it means no restriction that can hold.
            raise CloudError("InvalidParameterValue", f"The filter '{name}' has no values")
        try:
            found = images.matching(found, name, values)
        except KeyError:
            raise CloudError("InvalidParameterValue", f"The filter '{name}' is invalid") from None
    for key, value in (args.get("tags") or {}).items():
        found = images.matching(found, f"tag:{key}", [str(value)])
    regex = args.get("nameRegex")
    if regex:
        try:
            found = [i for i in found if re.search(regex, i.name)]
        except re.error as error:
            raise CloudError("InvalidArgument", f'expected "name_regex" to be a regular expression: {error}') from None
    return sorted(found, key=lambda i: i.created, reverse=True)


@AWS.invoke("aws:ec2/getAmi:getAmi")
def get_ami(args: Args, cloud: Cloud) -> dict[str, Any]:
    """One image. Raises CloudError when none or several match."""
    names = {name for name, _ in filter_pairs(args)}
    narrowed = args.get("owners") or names & {"image-id", "owner-id", "owner-alias"}
    if args.get("mostRecent") and not narrowed and not args.get("allowUnsafeFilter"):
        raise CloudError(
            "MostRecentImageNotFiltered",
            '"most_recent" is set to "true" and results are not filtered by owner or image ID. With this '
            "configuration, a third "
            "party may introduce a new image which will be returned by this data source. Filter by owner or "
            "image ID to avoid "
            "this possibility.",
        )
    found = _select_images(args, cloud)
    if not found:
        raise CloudError("NotFound", NO_RESULTS)
    if len(found) > 1 and not args.get("mostRecent"):
        raise CloudError("TooManyResults", TOO_MANY)
    return {**_echo(args), **images.described(found[0]), "region": cloud.region}


@AWS.invoke("aws:ec2/getAmiIds:getAmiIds")
def get_ami_ids(args: Args, cloud: Cloud) -> dict[str, Any]:
    """Ids of images, newest first unless sortAscending."""
    ids = [image.id for image in _select_images(args, cloud)]
    return {
        **_echo(args),
        "id": cloud.region,
        "ids": ids[::-1] if args.get("sortAscending") else ids,
        "region": cloud.region,
    }


def _echo(args: Args) -> dict[str, Any]:
    return {key: value for key, value in args.values.items() if value is not None}


@AWS.invoke("aws:index/getAvailabilityZones:getAvailabilityZones")
def get_availability_zones(args: Args, cloud: Cloud) -> dict[str, Any]:
    """The region's zones, without those excluded. All zones of the stand-in are `available`, opted-in zones of the
    region."""
    names = list(zones.zone_names(cloud.region))
    state = args.get("state")
    if state is not None and state not in ("available", "information", "impaired", "unavailable", "constrained"):
        raise CloudError(
            "InvalidParameterValue", f'expected state to be one of ["available" "unavailable" ...], got {state}'
        )
    if state not in (None, "available"):
        names = []
    for name, values in filter_pairs(args):
        names = [zone for zone in names if _zone_attribute(name, zone, cloud.region) in values]
    excluded = set(args.get("excludeNames") or [])
    excluded_ids = set(args.get("excludeZoneIds") or [])
    names = [zone for zone in names if zone not in excluded and zones.zone_id(zone) not in excluded_ids]
    return {
        **_echo(args),
        "id": cloud.region,
        "names": names,
        "zoneIds": [zones.zone_id(zone) or "" for zone in names],
        "groupNames": [f"{cloud.region}-zg-1"],
        "region": cloud.region,
    }


def _zone_attribute(name: str, zone: str, region: str) -> str:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeAvailabilityZones.html"""
    known = {
        "zone-name": zone,
        "zone-id": zones.zone_id(zone) or "",
        "region-name": region,
        "group-name": f"{region}-zg-1",
        "opt-in-status": "opt-in-not-required",
        "state": "available",
        "zone-type": "availability-zone",
    }
    if name not in known:
        raise CloudError("InvalidParameterValue", f"The filter '{name}' is invalid")
    return known[name]


@AWS.invoke("aws:index/getAvailabilityZone:getAvailabilityZone")
def get_availability_zone(args: Args, cloud: Cloud) -> dict[str, Any]:
    """One zone by name or id."""
    name = args.get("name") or zones.zone_of_id(args.get("zoneId") or "")
    if name not in zones.zone_names(cloud.region):
        raise no_match("EC2 Availability Zone")
    return {
        **_echo(args),
        "id": name,
        "name": name,
        "zoneId": zones.zone_id(name),
        "nameSuffix": name.removeprefix(cloud.region),
        "groupName": f"{cloud.region}-zg-1",
        "networkBorderGroup": cloud.region,
        "optInStatus": "opt-in-not-required",
        "state": "available",
        "zoneType": "availability-zone",
        "region": cloud.region,
    }


@AWS.invoke("aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings")
def get_instance_type_offerings(args: Args, cloud: Cloud) -> dict[str, Any]:
    """Which types the region, its zones or zone ids offer."""
    location_type = args.get("locationType", "region")
    if location_type not in ("region", "availability-zone", "availability-zone-id"):
        raise CloudError("InvalidParameterValue", f"Value ({location_type}) for parameter locationType is invalid.")
    pairs = []
    for machine_type in quotas.instance_type_names():
        offered = zones.offered_zones(machine_type, cloud.region)
        places = zones.zone_names(cloud.region) if offered is None else offered
        if location_type == "region":
            places = (cloud.region,) if places else ()
        elif location_type == "availability-zone-id":
            places = tuple(zones.zone_id(place) or "" for place in places)
        pairs += [(machine_type, place) for place in places]
    for name, values in filter_pairs(args):
        if name not in ("instance-type", "location"):
            raise CloudError("InvalidParameterValue", f"The filter '{name}' is invalid")
        position = 0 if name == "instance-type" else 1
        patterns = [re.compile(re.escape(v).replace(r"\*", ".*").replace(r"\?", ".")) for v in values]
        pairs = [pair for pair in pairs if any(p.fullmatch(pair[position]) for p in patterns)]
    return {
        **_echo(args),
        "id": cloud.region,
        "instanceTypes": [machine_type for machine_type, _ in pairs],
        "locations": [place for _, place in pairs],
        "locationTypes": [location_type for _ in pairs],
        "region": cloud.region,
    }


@AWS.invoke("aws:index/getCallerIdentity:getCallerIdentity")
def get_caller_identity(args: Args, cloud: Cloud) -> dict[str, Any]:
    """Who calls: an administrator of the stand-in account."""
    return {
        "id": cloud.account,
        "accountId": cloud.account,
        "arn": arn("iam", "", cloud.account, "user/sandbox", partition_of=cloud.region),
        "userId": "AIDASANDBOXSANDBOX01",
    }


@AWS.invoke("aws:index/getRegion:getRegion")
def get_region(args: Args, cloud: Cloud) -> dict[str, Any]:
    """The provider's region, or the one asked for."""
    name = args.get("region") or args.get("name") or cloud.region
    endpoint = args.get("endpoint")
    if endpoint:
        name = endpoint.split(".")[1] if endpoint.count(".") >= 2 else endpoint
    if not zones.is_region(name):
        raise CloudError("NotFound", f"region not found for name {name!r}")
    return {
        "id": name,
        "name": name,
        "region": name,
        "description": name,
        "endpoint": f"ec2.{name}.{dns_suffix(name)}",
    }


@AWS.invoke("aws:index/getRegions:getRegions")
def get_regions(args: Args, cloud: Cloud) -> dict[str, Any]:
    """The regions of the partition."""
    own = partition(cloud.region)
    return {**_echo(args), "id": own, "names": sorted(n for n, r in zones.regions().items() if r.partition == own)}


@AWS.invoke("aws:index/getPartition:getPartition")
def get_partition(args: Args, cloud: Cloud) -> dict[str, Any]:
    """The partition of the provider's region."""
    own, suffix = partition(cloud.region), dns_suffix(cloud.region)
    return {
        "id": own,
        "partition": own,
        "dnsSuffix": suffix,
        "reverseDnsPrefix": ".".join(reversed(suffix.split("."))),
    }


@AWS.invoke("aws:index/getServicePrincipal:getServicePrincipal")
def get_service_principal(args: Args, cloud: Cloud) -> dict[str, Any]:
    """A service's principal, such as `events.amazonaws.com`."""
    service, region = args["serviceName"], args.get("region") or cloud.region
    return {
        "id": f"{service}.{region}.amazonaws.com",
        "name": f"{service}.amazonaws.com",
        "serviceName": service,
        "region": region,
        "suffix": "amazonaws.com",
    }


@AWS.invoke("aws:servicequotas/getServiceQuota:getServiceQuota")
def get_service_quota(args: Args, cloud: Cloud) -> dict[str, Any]:
    """A quota of the account, as the weather has it now."""
    known = all_quotas()
    code, name = args.get("quotaCode"), args.get("quotaName")
    quota = known.get(code) if code else next((q for q in known.values() if q.name == name), None)
    if quota is None:
        what = code or name
        raise CloudError("NoSuchResourceException", f"The quota {what} of {args['serviceCode']} does not exist.")
    identifier = arn("servicequotas", cloud.region, cloud.account, f"{args['serviceCode']}/{quota.code}")
    return {
        "id": identifier,
        "arn": identifier,
        "adjustable": True,
        "defaultValue": quota.default,
        "globalQuota": False,
        "quotaCode": quota.code,
        "quotaName": quota.name,
        "serviceCode": args["serviceCode"],
        "serviceName": args["serviceCode"],
        "usageMetrics": [],
        "value": cloud.quota(quota.code, quota.default),
        "region": cloud.region,
    }


@AWS.invoke("aws:ec2/getSpotPrice:getSpotPrice")
def get_spot_price(args: Args, cloud: Cloud) -> dict[str, Any]:
    """The stand-in has no market and so no price: it says so rather than inventing one."""
    machine_type = args.get("instanceType")
    if machine_type and quotas.instance_type(machine_type) is None:
        raise CloudError("InvalidParameterValue", f"Invalid instance type {machine_type}")
    raise CloudError("NotFound", f"{NO_RESULTS} (the sandbox keeps no spot prices; asked at {now()})")


def tagged(outputs: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    """Whether a resource carries all the tags asked for."""
    tags = outputs.get("tagsAll") or outputs.get("tags") or {}
    return all(tags.get(key) == value for key, value in wanted.items())
