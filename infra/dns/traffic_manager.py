"""Azure Traffic Manager: a tree of profiles that chooses and probes, and the service names as CNAMEs in Azure DNS.

The tree itself is made in `infra/dns/traffic_profiles.py`. A client sees one CNAME and one address: Traffic Manager
walks nested profiles by itself, and answers with the TTL of the profile that was asked
(https://learn.microsoft.com/azure/traffic-manager/traffic-manager-faqs, performance of nested profiles).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pulumi
import pulumi_azure_native as azure
from pulumi import ResourceOptions

from infra.dns import traffic_profiles
from infra.dns.common import ZONE_KEY, ExistingZone, ProviderArgs
from infra.dns.plan import GlobalPlan, ServicePlan
from infra.dns.sections import GlobalStack
from infra.dns.traffic_profiles import Branch, Profile
from infra.faults import NotFound, reason

GLOBAL: Final = "global"
"""Location of profiles and zones: https://learn.microsoft.com/azure/traffic-manager/traffic-manager-faqs"""
APEX: Final = "@"
HEALTHY_STATUS: Final = 200
RECORD_TTL_MIN: Final = 1
"""A profile may say 0, a record set may not: https://learn.microsoft.com/azure/dns/dns-zones-records#time-to-live"""


def provider(stack: str, config: GlobalStack) -> azure.Provider:
    """The only provider of the stack; no subscription but the one that the file names."""
    assert config.traffic_manager is not None
    return azure.Provider(stack, subscription_id=config.traffic_manager.subscription)


def existing_zone(config: GlobalStack, account: azure.Provider) -> ExistingZone | None:
    """The DNS zone that the stack file names by id, if it does. Raises NotFound."""
    wanted, settings = config.zone, config.traffic_manager
    if wanted.id is None or settings is None:
        return None
    _, _, subscription, _, group, *_ = wanted.id.split("/")
    if subscription.lower() != settings.subscription:
        why = f"is in another subscription than {settings.subscription}, and the stack touches no other"
        raise NotFound(f"{ZONE_KEY} = {wanted.id}: {why}")
    try:
        found = azure.dns.get_zone(
            resource_group_name=group, zone_name=wanted.name, opts=pulumi.InvokeOptions(provider=account)
        )
    except Exception as error:  # the SDK raises plain Exception for whatever the provider answers
        raise NotFound(f"{ZONE_KEY} = {wanted.id}: cannot find that DNS zone: {reason(error)}") from None
    if found.zone_type == "Private":
        raise NotFound(f"{ZONE_KEY} = {wanted.id}: is a private zone; clients outside would never see it")
    return ExistingZone(found.id, wanted.name, tuple(found.name_servers))


class TrafficManager(pulumi.ComponentResource):
    """Resource group, zone, profiles and records of the global stack. Needs `opts.provider`; exports nothing."""

    zone: pulumi.Output[dict[str, Any]]
    """{id, name, nameServers}."""
    checks: pulumi.Output[dict[str, Any]]
    """Member -> address (or host name) -> id of the endpoint that probes it."""
    clouds: pulumi.Output[dict[str, Any]]
    """Empty: no check here stands for a whole cloud."""
    answers: pulumi.Output[dict[str, Any]]
    """Service name -> the name of its profile under trafficmanager.net."""

    def __init__(self, name: str, args: ProviderArgs, opts: ResourceOptions | None = None) -> None:
        """The plan is one that `traffic_profiles.faults` has nothing to say about."""
        config = args.config
        assert config.traffic_manager is not None
        super().__init__("spillway:dns:TrafficManager", name, None, opts)
        self._name, self._args, self._settings = name, args, config.traffic_manager
        self._child = ResourceOptions(parent=self)
        self._group = azure.resources.ResourceGroup(
            f"{name}-group",
            resource_group_name=self._settings.resource_group,
            location=self._settings.location,
            tags=self._tags("group"),
            opts=self._child,
        )
        self._zone_group, self._zone_made = self._zone()
        tree = traffic_profiles.profiles(self._settings.name, config.zone.name, args.plan)
        made: dict[str, azure.trafficmanager.Profile] = {}
        probing: dict[str, pulumi.Output[str]] = {}
        self._endpoints: list[pulumi.Resource] = []
        for profile in tree:
            made[profile.name] = self._profile(profile)
            for branch in profile.branches:
                endpoint = self._endpoint(profile, branch, made)
                self._endpoints.append(endpoint)
                if branch.target is not None:
                    probing.setdefault(branch.target, endpoint.id)
        for service in args.plan.services:
            self._record(service, made[traffic_profiles.root(self._settings.name, service)])
        self.checks = pulumi.Output.from_input(_checks(args.plan, probing))
        self.clouds = pulumi.Output.from_input({})
        self.answers = pulumi.Output.from_input({service.name: self._fqdn(service) for service in args.plan.services})
        self.register_outputs({"zone": self.zone, "checks": self.checks, "answers": self.answers})

    def _tags(self, component: str) -> dict[str, str]:
        return traffic_profiles.tags(self._args.stack, component, self._args.config.tags)

    def _fqdn(self, service: ServicePlan) -> str:
        return f"{traffic_profiles.root(self._settings.name, service)}.{traffic_profiles.DNS_SUFFIX}"

    def _zone(self) -> tuple[pulumi.Input[str], list[pulumi.Resource]]:
        """The zone: the name of its resource group, and what has to stand before a record can."""
        wanted = self._args.config.zone
        found = self._args.zone
        if found is not None:
            self.zone = found.output()
            return found.id.split("/")[4], []
        zone = azure.dns.Zone(
            f"{self._name}-zone",
            resource_group_name=self._group.name,
            zone_name=wanted.name,
            location=GLOBAL,
            zone_type="Public",
            tags=self._tags("zone"),
            # A zone made again gets other name servers, and the delegation at the registrar points to the old ones.
            opts=ResourceOptions(parent=self, protect=True),
        )
        self.zone = pulumi.Output.from_input({"id": zone.id, "name": wanted.name, "nameServers": zone.name_servers})
        return self._group.name, [zone]

    def _profile(self, profile: Profile) -> azure.trafficmanager.Profile:
        settings = self._args.settings
        headers = [azure.trafficmanager.MonitorConfigCustomHeadersItemArgs(name="Host", value=profile.host)]
        return azure.trafficmanager.Profile(
            f"{self._name}-{profile.label}".replace(" ", "-"),
            resource_group_name=self._group.name,
            profile_name=profile.name,
            location=GLOBAL,
            profile_status="Enabled",
            traffic_routing_method=profile.method,
            dns_config=azure.trafficmanager.DnsConfigArgs(relative_name=profile.name, ttl=int(settings.ttl_seconds)),
            monitor_config=azure.trafficmanager.MonitorConfigArgs(
                protocol="HTTPS",
                port=profile.port,
                path=profile.health_path,
                interval_in_seconds=int(settings.interval_seconds),
                timeout_in_seconds=int(settings.timeout),
                # Tolerated are those before the one that decides.
                tolerated_number_of_failures=settings.threshold - 1,
                custom_headers=headers if profile.host else None,
                expected_status_code_ranges=[
                    azure.trafficmanager.MonitorConfigExpectedStatusCodeRangesItemArgs(
                        min=HEALTHY_STATUS, max=HEALTHY_STATUS
                    )
                ],
            ),
            tags=self._tags("profile"),
            # What is found out is no setting: after a refresh it would be a change to take back.
            opts=ResourceOptions(parent=self, ignore_changes=["monitorConfig.profileMonitorStatus"]),
        )

    def _endpoint(
        self, profile: Profile, branch: Branch, made: Mapping[str, azure.trafficmanager.Profile]
    ) -> azure.trafficmanager.Endpoint:
        nested = made[branch.child] if branch.child is not None else None
        return azure.trafficmanager.Endpoint(
            f"{self._name}-{profile.label}-{branch.name}".replace(" ", "-"),
            resource_group_name=self._group.name,
            profile_name=profile.name,
            endpoint_type="NestedEndpoints" if nested is not None else "ExternalEndpoints",
            endpoint_name=branch.name,
            target=branch.target,
            target_resource_id=nested.id if nested is not None else None,
            # One healthy address keeps a member, one healthy member a tier.
            min_child_endpoints=1 if nested is not None else None,
            endpoint_status="Enabled" if branch.enabled else "Disabled",
            weight=branch.weight,
            priority=branch.priority,
            endpoint_location=branch.location,
            opts=ResourceOptions(
                parent=self, depends_on=[made[profile.name]], ignore_changes=["endpointMonitorStatus"]
            ),
        )

    def _record(self, service: ServicePlan, profile: azure.trafficmanager.Profile) -> None:
        """The service's name: a CNAME, and at the apex an alias, as there cannot be a CNAME."""
        zone = self._args.config.zone.name
        relative = APEX if service.name == zone else service.name.removesuffix(f".{zone}")
        at_apex = relative == APEX
        azure.dns.RecordSet(
            f"{self._name}-{service.name}",
            resource_group_name=self._zone_group,
            zone_name=zone,
            relative_record_set_name=relative,
            record_type="A" if at_apex else "CNAME",
            ttl=max(int(self._args.settings.ttl_seconds), RECORD_TTL_MIN),
            target_resource=azure.dns.SubResourceArgs(id=profile.id) if at_apex else None,
            cname_record=None if at_apex else azure.dns.CnameRecordArgs(cname=self._fqdn(service)),
            # It comes when somebody can answer, and goes before the profile: whoever gets a freed name under
            # trafficmanager.net gets what points to it.
            # https://learn.microsoft.com/azure/security/fundamentals/subdomain-takeover
            opts=ResourceOptions(parent=self, depends_on=[profile, *self._endpoints, *self._zone_made]),
        )


def _checks(plan: GlobalPlan, probing: Mapping[str, pulumi.Output[str]]) -> dict[str, dict[str, pulumi.Output[str]]]:
    """Member -> address or host name -> id of the endpoint that probes it."""
    found: dict[str, dict[str, pulumi.Output[str]]] = {}
    for probe in plan.probes:
        targets = probe.endpoint.addresses or (str(probe.endpoint.hostname),)
        found[probe.name] = {target: probing[target] for target in targets if target in probing}
    return found
