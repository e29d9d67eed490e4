"""Traffic Manager profiles and endpoints. https://learn.microsoft.com/rest/api/trafficmanager/"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sandbox.azure_native import arm, tokens
from sandbox.azure_native import traffic_manager_rules as values
from sandbox.azure_native import traffic_manager_state as state
from sandbox.azure_native.places import GLOBAL
from sandbox.azure_native.registry import AZURE_NATIVE
from sandbox.azure_native.traffic_manager_state import Member
from sandbox.kinds import Args, Cloud, CloudError, Fault, Resource
from sandbox.rules import shown
from sandbox.values import UNKNOWN

API_VERSION: Final = "2022-04-01"


def endpoint_outputs(cloud: Cloud, profile_id: str, member: Member, priority: int, profile_on: bool) -> dict[str, Any]:
    """An endpoint as the API returns it. Nothing is probed here: an enabled one stays at its first state."""
    inputs = {key: value for key, value in member.inputs.values.items() if value is not None}
    segment = member.kind[0].lower() + member.kind[1:]
    out = {
        **inputs,
        "id": f"{profile_id}/{segment}/{member.name}",
        "name": member.name,
        "type": f"{values.PROFILE_TYPE}/{segment}",
        "endpointStatus": inputs.get("endpointStatus", "Enabled"),
        "weight": inputs.get("weight", 1),
        "priority": priority,
        "alwaysServe": inputs.get("alwaysServe", "Disabled"),
    }
    out["endpointMonitorStatus"] = monitor_status(out, profile_on)
    if member.kind == "NestedEndpoints":
        out["minChildEndpoints"] = inputs.get("minChildEndpoints", 1)
        child = arm.find_by_id(cloud, tokens.PROFILE, member.target)
        if child is not None:
            out["target"] = child["dnsConfig"]["fqdn"]
    return out


def monitor_status(endpoint: dict[str, Any], profile_on: bool) -> str:
    """https://learn.microsoft.com/azure/traffic-manager/traffic-manager-monitoring#endpoint-monitor-status"""
    if endpoint["endpointStatus"] == "Disabled":
        return "Disabled"
    if not profile_on:
        return "Inactive"
    return "Unmonitored" if endpoint["alwaysServe"] == "Enabled" else "CheckingEndpoint"


def profile_status(on: bool, endpoints: Iterable[dict[str, Any]]) -> str:
    """https://learn.microsoft.com/azure/traffic-manager/traffic-manager-monitoring#profile-monitor-status"""
    if not on:
        return "Disabled"
    active = [e for e in endpoints if e["endpointMonitorStatus"] not in ("Disabled", "Stopped")]
    return "CheckingEndpoints" if active else "Inactive"


@AZURE_NATIVE.kind
class Profile(arm.ArmKind):
    """Endpoints may be written in the profile, or be resources of their own: a profile that is written with endpoints
    loses all others at its next update, one without keeps them (the SDK's note at `endpoints`)."""

    token = tokens.PROFILE
    type_name = "trafficManagerProfiles"
    name_property = "profileName"
    api_version = API_VERSION
    # Path parameters, and `location`, which the API takes at creation only (x-ms-mutability in
    # https://github.com/Azure/azure-rest-api-specs, trafficmanager.json). A changed relativeName is no reason: it
    # reaches the API, which refuses it.
    replace_on = ("resourceGroupName", "profileName", "location")
    autoname = arm.random_name("profileName")

    def check(self, args: Args) -> Iterable[Fault]:
        yield from arm.group_name_faults(args)
        yield from values.profile_faults(args)
        for path, endpoint in args.at("endpoints[*]"):
            yield from _inline_faults(path, endpoint)

    def before_create(self, args: Args, cloud: Cloud) -> None:
        super().before_create(args, cloud)
        limit = cloud.quota("trafficManagerProfiles", state.PROFILES_MAX)
        if len(cloud.all(self.token)) + 1 > limit:
            raise state.bad(f"The subscription has reached its limit of {limit:g} Traffic Manager profiles.")
        name = args["dnsConfig"]["relativeName"]
        if any(arm.same(p["dnsConfig"]["relativeName"], name) for p in cloud.all(self.token)):
            raise CloudError("Conflict", f"The domain name '{name}.{values.DNS_SUFFIX}' is already in use.")
        state.judge(cloud, self.new_id(args, cloud), args, state.inline_members(args["endpoints"]))

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        if not arm.same(old["dnsConfig"]["relativeName"], args["dnsConfig"]["relativeName"]):
            # https://registry.terraform.io/providers/hashicorp/azurerm/latest/docs/resources/traffic_manager_profile
            # (relative_name forces a new resource)
            raise state.bad("The relative DNS name of a Traffic Manager profile cannot be changed.")
        members = state.inline_members(args["endpoints"])
        if args["endpoints"] is None:
            kept = Resource(old.token, old.id, old.region, old.account, {}, {})
            members = state.members_of(cloud, kept)
        state.judge(cloud, old.id, args, members)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        on = args.get("profileStatus", "Enabled") == "Enabled"
        members = state.inline_members(args["endpoints"])
        endpoints = [
            endpoint_outputs(cloud, id, member, member.priority or place, on)
            for place, member in enumerate(members, start=1)
        ]
        dns, monitor = dict(args["dnsConfig"]), dict(args["monitorConfig"])
        interval = monitor.get("intervalInSeconds", 30)
        return {
            **self.common_outputs(args),
            "location": GLOBAL,
            "profileStatus": "Enabled" if on else "Disabled",
            "trafficViewEnrollmentStatus": args.get("trafficViewEnrollmentStatus", "Disabled"),
            "dnsConfig": {**dns, "fqdn": f"{dns['relativeName']}.{values.DNS_SUFFIX}"},
            "monitorConfig": {
                # https://learn.microsoft.com/azure/traffic-manager/traffic-manager-monitoring#configure-endpoint-monitoring
                "intervalInSeconds": interval,
                "timeoutInSeconds": 9 if interval == 10 else 10,
                "toleratedNumberOfFailures": 3,
                **monitor,
                "profileMonitorStatus": profile_status(on, endpoints),
            },
            "endpoints": endpoints,
        }

    def after_create(self, resource: Resource, cloud: Cloud) -> None:
        if resource.inputs.get("endpoints") is None:
            return
        written = {str(endpoint["id"]).lower() for endpoint in resource["endpoints"]}
        for endpoint in state.standing(cloud, resource.id):
            if endpoint.id.lower() not in written:
                cloud.remove(tokens.ENDPOINT, endpoint.id)

    def before_delete_with(self, resource: Resource, cloud: Cloud, container: str) -> None:
        for parent in state.parents_of(cloud, resource.id):
            if not arm.inside(parent.id, container):
                raise state.bad(f"The profile '{resource['name']}' is nested in the profile '{parent['name']}'.")

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        """Its endpoints go with it; an alias record set to it stays, empty
        (https://learn.microsoft.com/azure/dns/dns-alias#prevent-dangling-dns-records)."""
        for endpoint in state.standing(cloud, resource.id):
            cloud.remove(tokens.ENDPOINT, endpoint.id)
        for record in cloud.all(tokens.RECORD_SET):
            if arm.same(state.alias_target(record.inputs), resource.id):
                record.outputs = {**record.outputs, "targetResource": {}, "trafficManagementProfile": {}}
                record.inputs = {
                    key: value
                    for key, value in record.inputs.items()
                    if key not in ("targetResource", "trafficManagementProfile")
                }
                cloud.put(record)


def _inline_faults(path: str, endpoint: object) -> Iterable[Fault]:
    if not isinstance(endpoint, dict):
        return
    for key in ("name", "type"):
        if endpoint.get(key) is None:
            yield Fault(f"{path}.{key}", "is required for an endpoint in a profile")
    given = endpoint.get("type")
    kind = values.endpoint_type(given)
    if kind is None and given is not None and given is not UNKNOWN:
        yield Fault(f"{path}.type", f"expected {values.PROFILE_TYPE}/ and an endpoint type, got {shown(given)}")
    for fault in values.endpoint_faults(Args(endpoint), kind):
        yield Fault(f"{path}.{fault.path}", fault.reason)
    yield from (Fault(f"{path}.name", f.reason) for f in values.endpoint_name_faults(Args(endpoint), "name"))


@AZURE_NATIVE.kind
class Endpoint(arm.ArmKind):
    """An endpoint as a resource of its own."""

    token = tokens.ENDPOINT
    type_name = "endpoints"
    name_property = "endpointName"
    api_version = API_VERSION
    replace_on = ("resourceGroupName", "profileName", "endpointType", "endpointName")
    autoname = arm.random_name("endpointName")
    taggable = False

    def check(self, args: Args) -> Iterable[Fault]:
        yield from arm.group_name_faults(args)
        yield from values.endpoint_name_faults(args, "endpointName")
        for path, given in args.at("endpointType"):
            # A segment of the path: the full type name is not found (https://github.com/Azure/azure-sdk-for-go/issues/5024)
            if values.endpoint_type(given) is None or "/" in given:
                yield Fault(path, f"expected one of {', '.join(values.ENDPOINT_TYPES)}; got {shown(given)}")
        kind = values.endpoint_type(args.get("endpointType"))
        for path, given in args.at("type"):
            if values.endpoint_type(given) is None or (kind and values.endpoint_type(given) != kind):
                yield Fault(path, f"contradicts endpointType: {shown(given)}")
        for path, given in args.at("name"):
            if args.get("endpointName", given) != given:
                yield Fault(path, f"contradicts endpointName: {shown(given)}")
        yield from values.endpoint_faults(args, kind)

    def segments(self, args: Args) -> list[tuple[str, str]]:
        kind = values.endpoint_type(args["endpointType"]) or "ExternalEndpoints"
        return [
            (Profile.type_name, str(args["profileName"])),
            (kind[0].lower() + kind[1:], str(args["endpointName"])),
        ]

    def _profile(self, args: Args, cloud: Cloud) -> Resource:
        found = state.find_profile(cloud, args["resourceGroupName"], args["profileName"])
        if found is None:
            raise arm.parent_missing(f"{values.PROFILE_TYPE}/{args['profileName']}")
        return found

    def _member(self, args: Args) -> Member:
        kind = values.endpoint_type(args["endpointType"]) or "ExternalEndpoints"
        own = ("resourceGroupName", "profileName", "endpointType", "endpointName", "region")
        inputs = {key: value for key, value in args.values.items() if key not in own}
        return Member(kind, str(args["endpointName"]), Args(inputs), {})

    def check_parent(self, args: Args, cloud: Cloud) -> None:
        self._profile(args, cloud)

    def before_create(self, args: Args, cloud: Cloud) -> None:
        super().before_create(args, cloud)
        profile, member = self._profile(args, cloud), self._member(args)
        members = state.members_of(cloud, profile)
        if any(arm.same(m.name, member.name) and m.kind == member.kind for m in members):
            raise arm.already_exists(self.new_id(args, cloud))  # written in the profile
        state.judge(cloud, profile.id, Args(profile.inputs), [*members, self._placed(member, members)])

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        profile, member = self._profile(args, cloud), self._member(args)
        members = state.members_of(cloud, profile, without=old.id)
        state.judge(cloud, profile.id, Args(profile.inputs), [*members, self._placed(member, members)])

    @staticmethod
    def _placed(member: Member, members: list[Member]) -> Member:
        """With the priority that it gets when it brings none."""
        return Member(
            member.kind, member.name, member.inputs, {"priority": member.priority or state.next_priority(members)}
        )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        profile, member = self._profile(args, cloud), self._member(args)
        kept = old["priority"] if old and args["priority"] is None and old.inputs.get("priority") is None else None
        priority = member.priority or kept or state.next_priority(state.members_of(cloud, profile, without=id))
        on = profile["profileStatus"] == "Enabled"
        found = endpoint_outputs(cloud, profile.id, member, int(priority), on)
        found.pop("id")  # the resource's own
        return {**self.common_outputs(args), **found}
