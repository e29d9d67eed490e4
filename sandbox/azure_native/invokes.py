"""Data sources: what exists, under the names that a program gives."""

from __future__ import annotations

from typing import Any

from sandbox.azure_native import arm, dns, tokens
from sandbox.azure_native import traffic_manager as manager
from sandbox.azure_native import traffic_manager_state as state
from sandbox.azure_native.registry import AZURE_NATIVE
from sandbox.azure_native.traffic_manager_rules import endpoint_type
from sandbox.kinds import Args, Cloud, CloudError, Resource


def _missing(kind: str, name: object, group: object) -> CloudError:
    return CloudError(
        "ResourceNotFound",
        f"The Resource 'Microsoft.Network/{kind}/{name}' under resource group '{group}' was not found.",
    )


def _shown(resource: Resource) -> dict[str, Any]:
    return {**resource.outputs, "id": resource.id}


@AZURE_NATIVE.invoke("azure-native:resources:getResourceGroup")
def get_resource_group(args: Args, cloud: Cloud) -> dict[str, Any]:
    """By name, in any case."""
    return _shown(arm.need_group(cloud, args["resourceGroupName"]))


@AZURE_NATIVE.invoke("azure-native:authorization:getClientConfig")
def get_client_config(args: Args, cloud: Cloud) -> dict[str, Any]:
    """Nobody is logged in to the stand-in: the subscription is the provider's, the rest is made up."""
    nobody = "00000000-0000-4000-8000-000000000001"
    return {"subscriptionId": cloud.account, "tenantId": nobody, "clientId": nobody, "objectId": nobody}


@AZURE_NATIVE.invoke("azure-native:trafficmanager:getProfile")
def get_profile(args: Args, cloud: Cloud) -> dict[str, Any]:
    """A profile with all its endpoints, also those that are resources of their own."""
    group, name = args["resourceGroupName"], args["profileName"]
    arm.need_group(cloud, group)
    found = state.find_profile(cloud, group, name)
    if found is None:
        raise _missing("trafficManagerProfiles", name, group)
    endpoints = [*found["endpoints"], *(_shown(e) for e in state.standing(cloud, found.id))]
    status = manager.profile_status(found["profileStatus"] == "Enabled", endpoints)
    monitor = {**found["monitorConfig"], "profileMonitorStatus": status}
    return {**_shown(found), "endpoints": endpoints, "monitorConfig": monitor}


@AZURE_NATIVE.invoke("azure-native:trafficmanager:getEndpoint")
def get_endpoint(args: Args, cloud: Cloud) -> dict[str, Any]:
    """One endpoint, written in its profile or a resource of its own."""
    profile = get_profile(args, cloud)
    for endpoint in profile["endpoints"]:
        kind = endpoint_type(endpoint["type"])
        if kind == endpoint_type(args["endpointType"]) and arm.same(endpoint["name"], args["endpointName"]):
            return dict(endpoint)
    raise _missing(
        f"trafficManagerProfiles/{args['profileName']}/{args['endpointType']}",
        args["endpointName"],
        args["resourceGroupName"],
    )


@AZURE_NATIVE.invoke("azure-native:dns:getZone")
def get_zone(args: Args, cloud: Cloud) -> dict[str, Any]:
    """A zone, with the number of its record sets now."""
    group, name = args["resourceGroupName"], args["zoneName"]
    arm.need_group(cloud, group)
    found = dns.find_zone(cloud, group, name)
    if found is None:
        raise _missing("dnsZones", name, group)
    return {**_shown(found), "numberOfRecordSets": 2 + len(dns.record_sets(cloud, found.id))}


@AZURE_NATIVE.invoke("azure-native:dns:getRecordSet")
def get_record_set(args: Args, cloud: Cloud) -> dict[str, Any]:
    """One record set of a zone."""
    zone = get_zone(args, cloud)
    kind, name = str(args["recordType"]).upper(), args["relativeRecordSetName"]
    found = arm.find_by_id(cloud, tokens.RECORD_SET, f"{zone['id']}/{kind}/{name}")
    if found is None:
        raise _missing(f"dnsZones/{args['zoneName']}/{kind}", name, args["resourceGroupName"])
    return _shown(found)
