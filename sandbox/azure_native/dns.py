"""Azure DNS: zones and record sets. https://learn.microsoft.com/rest/api/dns/"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, Final

from sandbox.azure_native import arm, dns_rules, tokens
from sandbox.azure_native import traffic_manager_state as state
from sandbox.azure_native.dns_rules import ALIASES, APEX, SHAPES
from sandbox.azure_native.places import GLOBAL
from sandbox.azure_native.registry import AZURE_NATIVE
from sandbox.kinds import Args, Cloud, CloudError, Fault, Resource

API_VERSION: Final = "2023-07-01-preview"
# https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits#azure-dns-limits
ZONES_MAX: Final = 250
RECORD_SETS_MAX: Final = 10_000
ALIASES_MAX: Final = 20  # https://learn.microsoft.com/azure/dns/dns-alias: alias record sets per resource


def find_zone(cloud: Cloud, group: object, name: object) -> Resource | None:
    return next(
        (
            zone
            for zone in cloud.all(tokens.ZONE)
            if arm.same(zone.inputs["resourceGroupName"], group) and arm.same(zone["name"], name)
        ),
        None,
    )


def record_sets(cloud: Cloud, zone_id: str) -> list[Resource]:
    return [record for record in cloud.all(tokens.RECORD_SET) if arm.inside(record.id, zone_id)]


@AZURE_NATIVE.kind
class Zone(arm.ArmKind):
    """A zone is made with its NS and SOA record sets, and goes with all that it has."""

    token = tokens.ZONE
    type_name = "dnsZones"
    name_property = "zoneName"
    api_version = API_VERSION
    replace_on = ("resourceGroupName", "zoneName", "location")
    autoname = arm.random_name("zoneName")

    def check(self, args: Args) -> Iterable[Fault]:
        yield from arm.group_name_faults(args)
        yield from dns_rules.zone_faults(args)

    def before_create(self, args: Args, cloud: Cloud) -> None:
        super().before_create(args, cloud)
        limit = cloud.quota("dnsZones", ZONES_MAX)
        if len(cloud.all(self.token)) + 1 > limit:
            raise CloudError("Forbidden", f"The subscription has reached its limit of {limit:g} DNS zones.")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        if old is not None:
            servers = old["nameServers"]
        else:
            # Zones of one name get different servers (https://learn.microsoft.com/azure/dns/dns-zones-records).
            number = cloud.sequence("dns-name-servers") % 9 + 1
            servers = [
                f"ns{place}-{number:02d}.azure-dns.{suffix}."
                for place, suffix in enumerate(("com", "net", "org", "info"), start=1)
            ]
        return {
            **self.common_outputs(args),
            "location": GLOBAL,
            "zoneType": args.get("zoneType", "Public"),
            "nameServers": servers,
            "numberOfRecordSets": 2,
            "maxNumberOfRecordSets": RECORD_SETS_MAX,
            "maxNumberOfRecordsPerRecordSet": dns_rules.RECORDS_MAX,
            "etag": str(uuid.uuid4()),
        }

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        for record in record_sets(cloud, resource.id):
            cloud.remove(tokens.RECORD_SET, record.id)


@AZURE_NATIVE.kind
class RecordSet(arm.ArmKind):
    """All records of one name and type. https://learn.microsoft.com/azure/dns/dns-zones-records"""

    token = tokens.RECORD_SET
    type_name = "recordSets"
    name_property = "relativeRecordSetName"
    api_version = API_VERSION
    replace_on = ("resourceGroupName", "zoneName", "recordType", "relativeRecordSetName")
    sets = tuple(shape.property for shape in SHAPES.values() if not shape.single)
    autoname = arm.copied_name("relativeRecordSetName")
    taggable = False
    changes_on_update = ("etag",)

    def check(self, args: Args) -> Iterable[Fault]:
        return dns_rules.record_set_faults(args)

    def segments(self, args: Args) -> list[tuple[str, str]]:
        kind = str(args["recordType"]).upper()
        return [(Zone.type_name, str(args["zoneName"])), (kind, str(args["relativeRecordSetName"]))]

    def _zone(self, args: Args, cloud: Cloud) -> Resource:
        found = find_zone(cloud, args["resourceGroupName"], args["zoneName"])
        if found is None:
            raise arm.parent_missing(f"Microsoft.Network/dnsZones/{args['zoneName']}")
        return found

    def check_parent(self, args: Args, cloud: Cloud) -> None:
        self._zone(args, cloud)

    def before_create(self, args: Args, cloud: Cloud) -> None:
        super().before_create(args, cloud)
        zone = self._zone(args, cloud)
        (_, _), (kind, name) = self.segments(args)
        if name == APEX and kind in ("NS", "SOA"):
            raise arm.already_exists(self.new_id(args, cloud))  # made with the zone; only an import takes them over
        present = record_sets(cloud, zone.id)
        beside = [r for r in present if arm.same(r["name"], name)]
        if kind == "CNAME" and beside:
            raise CloudError(
                "Conflict",
                "The CNAME record could not be created because another record with the same name already exists in "
                "this zone.",
            )
        if any(str(r.inputs["recordType"]).upper() == "CNAME" for r in beside):
            raise CloudError(
                "Conflict",
                "The record could not be created because a CNAME record with the same name already exists in this "
                "zone.",
            )
        limit = cloud.quota("dnsRecordSets", RECORD_SETS_MAX)
        if len(present) + 2 + 1 > limit:
            raise CloudError("Forbidden", f"The zone has reached its limit of {limit:g} record sets.")
        self._check_alias(args, cloud, "")

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._check_alias(args, cloud, old.id)

    @staticmethod
    def _check_alias(args: Args, cloud: Cloud, own_id: str) -> None:
        """The target has to be there, and to be of a kind that the record type can be answered with."""
        target = state.alias_target(dict(args.values))
        found = arm.parse_id(target)
        if target is None or found is None or found["subscription"] != cloud.account.lower():
            return
        kind = str(args["recordType"]).upper()
        others = [
            r
            for r in cloud.all(tokens.RECORD_SET)
            if not arm.same(r.id, own_id) and arm.same(state.alias_target(r.inputs), target)
        ]
        if len(others) + 1 > ALIASES_MAX:
            raise state.bad(f"A resource can have at most {ALIASES_MAX} alias record sets: '{target}'.")
        profile = arm.find_by_id(cloud, tokens.PROFILE, target)
        if profile is not None:
            state.check_alias(kind, state.members_of(cloud, profile))
        elif found["type"] == "microsoft.network/trafficmanagerprofiles":
            raise state.bad(f"The target resource '{target}' of the alias record set could not be found.")
        elif found["type"].startswith("microsoft.network/dnszones/"):
            record = arm.find_by_id(cloud, tokens.RECORD_SET, target)
            if record is None:
                raise state.bad(f"The target resource '{target}' of the alias record set could not be found.")
            zone = find_zone(cloud, args["resourceGroupName"], args["zoneName"])
            same_type = found["type"].rsplit("/", 1)[-1] == kind.lower()
            if zone is None or not arm.inside(record.id, zone.id) or not same_type:
                raise state.bad("An alias record set points at record sets of its own zone and type only.")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        name = str(args["relativeRecordSetName"])
        zone = str(args["zoneName"])
        return {
            **self.common_outputs(args),
            "type": f"Microsoft.Network/dnszones/{str(args['recordType']).upper()}",
            "fqdn": f"{zone}." if name == APEX else f"{name}.{zone}.",
            "provisioningState": "Succeeded",
            "etag": str(uuid.uuid4()),
            **{key: args[key] or {} for key in ALIASES},
        }
