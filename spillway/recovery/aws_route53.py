"""What exists in Route 53 of a real account: the stack's zones, health checks and records.

Route 53 is asked itself. The tagging API knows zones and health checks too, in us-east-1 alone
(https://github.com/openshift/cluster-ingress-operator/pull/455), but some minutes late: a health check whose answer was
lost a moment ago would be missed, made a second time and paid twice.

Needs: route53:ListHostedZones, route53:ListHealthChecks, route53:ListTagsForResources, route53:ListResourceRecordSets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from spillway.errors import SpillwayError
from spillway.recovery import aws_types as types
from spillway.recovery import route53
from spillway.recovery.aws_calls import pages, tags_of, told
from spillway.recovery.model import STACK_TAG, Existing, Scope

Json = Mapping[str, Any]

TAGGED_AT_ONCE: Final = 10
"""https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListTagsForResources.html"""


class Route53Inventory:
    """Route 53 of one account; `client` is boto3's."""

    def __init__(self, client: Any, account: str) -> None:
        self._client, self._account = client, account

    def existing(self, scope: Scope) -> list[Existing]:
        """See model.Inventory; nothing for a stack that has nothing to do with Route 53.

        Raises SpillwayError in AWS's words when a call is refused.
        """
        if not any(token.startswith(types.ROUTE53) for token in scope.tokens()):
            return []
        try:
            names = {types.zone_id(z["Id"]): z["Name"] for z in pages(self._client, "list_hosted_zones", "HostedZones")}
            found = [Existing(types.ZONE, id, tags=tags) for id, tags in self._tagged("hostedzone", list(names), scope)]
            found += self._checks(scope)
            zones = sorted(route53.zone_ids(scope) | {e.id for e in found if e.token == types.ZONE})
            records = [record for zone in zones for record in self._records(zone)]
        except (ClientError, BotoCoreError) as error:
            raise SpillwayError(f"listing what exists in {self._account}, Route 53: {told(error)}") from None
        apex = {id: types.record_name(name) for id, name in names.items()}
        return route53.complete(found, records, apex, scope)

    def _checks(self, scope: Scope) -> Iterator[Existing]:
        configs = {c["Id"]: c["HealthCheckConfig"] for c in pages(self._client, "list_health_checks", "HealthChecks")}
        for id, tags in self._tagged("healthcheck", list(configs), scope):
            children = frozenset(configs[id].get("ChildHealthChecks") or ())
            yield Existing(types.HEALTH_CHECK, id, tags=tags, refs=children)

    def _tagged(self, kind: str, ids: Sequence[str], scope: Scope) -> Iterator[tuple[str, Mapping[str, str]]]:
        """(id, tags) of those that carry the stack's tag, in the order given."""
        for start in range(0, len(ids), TAGGED_AT_ONCE):
            few = list(ids[start : start + TAGGED_AT_ONCE])
            answer = self._client.list_tags_for_resources(ResourceType=kind, ResourceIds=few)
            tags = {one["ResourceId"]: tags_of(one.get("Tags")) for one in answer["ResourceTagSets"]}
            for id in few:
                if tags.get(id, {}).get(STACK_TAG) == scope.stack:
                    yield id, tags[id]

    def _records(self, zone: str) -> Iterator[route53.Record]:
        try:
            for item in pages(self._client, "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=zone):
                yield _record(zone, item)
        except self._client.exceptions.NoSuchHostedZone:
            return  # deleted by somebody else; the state knows it after a refresh


def _record(zone: str, item: Json) -> route53.Record:
    alias = item.get("AliasTarget") or {}
    inside = types.zone_id(str(alias.get("HostedZoneId", ""))) == zone
    return route53.Record(
        zone=zone,
        name=types.record_name(item["Name"]),
        type=item["Type"],
        set=item.get("SetIdentifier") or "",
        check=item.get("HealthCheckId") or "",
        alias=types.record_name(str(alias.get("DNSName", ""))) if inside else "",
    )
