"""The global stack's file as frozen pydantic models; keys are camelCase in the file, snake_case here.

The same inputs for every DNS provider: `dns.provider` is the one word that switches. Only what one value can say for
itself is checked here; what values say together is in `infra/dns/checks.py`.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from infra.azure.sections import AzureRegionName, GroupName, SubscriptionId
from infra.sections import AccountId, AwsRegionName, HostName, Listed, Section, TagKey, TagValue, Word, text

ProviderName = Literal["route53", "cloudflare", "traffic-manager"]
Policy = Literal["priority", "weighted", "latency"]
Plan = Literal["free", "pro", "business", "enterprise"]

MAX_WEIGHT: Final = 255
"""https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-values-weighted.html"""

StackName = Annotated[
    str, text(r"^[a-z]+(-[a-z0-9]+)+$", "the name of a region stack, <cloud>-<region>, such as aws-us-east-1")
]
Ipv4 = Annotated[str, text(r"^[0-9]{1,3}(\.[0-9]{1,3}){3}$", "an IPv4 address such as 198.51.100.10")]
UrlPath = Annotated[
    str, text(r"^/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]{0,254}$", "a path that begins with /, such as /readyz")
]
# https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html (SearchString)
CheckText = Annotated[str, text(r"^[!-~]([ -~]{0,253}[!-~])?$", "one line of up to 255 ASCII characters")]
ZoneId = Annotated[str, text(r"^[A-Za-z0-9._()/-]{2,300}$", "the provider's id of an existing zone")]
# https://developers.cloudflare.com/fundamentals/account/find-account-and-zone-ids/
CloudflareId = Annotated[str, text(r"^[0-9a-f]{32}$", "a Cloudflare id of 32 hex digits")]
RelativeName = Annotated[
    str,
    text(
        r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
        "a name for <name>.trafficmanager.net: at most 40 lower-case letters, digits and hyphens",
    ),
]
CheckRegion = Literal[
    "WNAM", "ENAM", "WEU", "EEU", "NSAM", "SSAM", "OC", "ME", "NAF", "SAF", "SAS", "SEAS", "NEAS", "ALL_REGIONS"
]


class Zone(Section):
    """The DNS zone that holds the service names."""

    name: HostName = Field(examples=["example.com"])
    """The zone's name."""
    id: ZoneId | None = None
    """An existing zone by the provider's id; without it the stack creates the zone."""


class Check(Section):
    """How the provider probes a member; left out, each value is the fastest that the provider or its plan allows."""

    interval_seconds: int | None = Field(default=None, ge=5, le=3600)
    """Seconds between probes."""
    threshold: int = Field(default=2, ge=1, le=10)
    """Failures in a row after which a probe's place calls the member unhealthy."""
    timeout_seconds: int | None = Field(default=None, ge=1, le=60)
    """Seconds to wait for an answer; Route 53 has fixed times and takes none."""
    expected_text: CheckText | None = None
    """A text that the answer's body has to hold besides status 200; not with Traffic Manager, which reads none."""


class Dns(Section):
    """Which provider answers, and how fast it has to move clients."""

    provider: ProviderName = "route53"
    """route53, cloudflare or traffic-manager; each reads the section of its name."""
    ttl_seconds: int | None = Field(default=None, ge=0, le=3600)
    """How long clients may keep an answer; left out it is 10, or what the provider's plan allows."""
    objective_seconds: int = Field(default=60, ge=1, le=3600)
    """A silent member has to be out of 95 % of clients' answers within this time; settings that miss it are refused."""
    check: Check = Field(default_factory=Check.model_construct)


class Route53(Section):
    """Amazon Route 53."""

    account: AccountId = Field(examples=["123456789012"])
    """The only AWS account that this stack may touch, in quotes."""


class Cloudflare(Section):
    """Cloudflare's load balancer."""

    account: CloudflareId
    """The account that owns zone and pools."""
    plan: Plan = "enterprise"
    """The plan of the zone, which bounds interval, TTL and check regions."""
    proxied: bool = True
    """Requests pass through Cloudflare, which then fails over per request; false: DNS answers only."""
    failover_across_pools: bool = True
    """A request whose member cannot be connected is tried on the next one; needs proxied."""
    check_regions: Listed[CheckRegion] = Field(default=("WNAM", "ENAM", "WEU"), min_length=1, max_length=13)
    """From where members are probed."""


class TrafficManager(Section):
    """Azure Traffic Manager, with the service names in Azure DNS."""

    subscription: SubscriptionId
    """The only Azure subscription that this stack may touch."""
    resource_group: GroupName = "spillway-global"
    """Made by the stack; holds profiles and zone."""
    location: AzureRegionName = Field(examples=["westeurope"])
    """Where the resource group's own record is kept; profiles and zones are global."""
    name: RelativeName = Field(examples=["spillway-llm"])
    """Beginning of the profiles' names under trafficmanager.net, unique in the world."""


class GlobalService(Section):
    """One name that clients call."""

    name: HostName = Field(examples=["llm.example.com"])
    """Host name in the zone; the certificate on every member has to cover it."""
    policy: Policy
    """How members are chosen; priority: the first that is healthy, weighted: by weight, latency: the nearest."""
    residency: Word | None = None
    """Only members of this residency may ever answer, whatever else fails."""
    members: Listed[Word] | None = Field(default=None, min_length=1, max_length=50)
    """The members by name; null takes all that the residency lets in."""


class StaticEndpoint(Section):
    """An endpoint that no stack here makes: an on-premises site, or any OpenAI-compatible service."""

    addresses: Listed[Ipv4] = Field(default=(), max_length=20, examples=[["198.51.100.10"]])
    """Static public IPv4 addresses."""
    hostname: HostName | None = None
    """A host name instead of addresses, where the provider can route to one."""
    port: int = Field(default=443, ge=1, le=65535)
    """TCP port of HTTPS."""
    health_path: UrlPath = "/readyz"
    """Answers 200 to GET while the endpoint may be sent requests."""
    cloud: Word = "on-premises"
    """Where it runs; checks are counted together by it."""
    nearest_aws_region: AwsRegionName = Field(examples=["eu-central-1"])
    """The AWS region that is nearest, for latency."""
    residency: Word = Field(examples=["eu"])
    """Where the data of its clients is processed."""


class Member(Section):
    """One place that answers: a region stack or a static endpoint."""

    name: Word = Field(examples=["aws-us-east-1"])
    """Its label in records and outputs."""
    stack: StackName | None = None
    """The region stack whose `endpoint` output is read."""
    endpoint: StaticEndpoint | None = None
    """A static endpoint instead of a stack."""
    priority: int | None = Field(default=None, ge=1, le=100)
    """For policy priority: the lowest number is the first choice, members with the same number share a tier."""
    weight: int = Field(default=100, ge=0, le=MAX_WEIGHT)
    """Share among members of the same rank; 0 is standby (by latency only among members that share a region)."""
    degraded: bool = False
    """The last tier of every policy: answers only when all other members are unhealthy."""
    planned: bool = False
    """Left out for now; the region need not be deployed, nor its stack file be there."""
    drain: bool = False
    """No record points to it; its checks stay. Before a region is destroyed, and while a new one proves itself."""


class GlobalStack(Section):
    """The global stack: everything under `spillway:global`."""

    zone: Zone
    dns: Dns = Field(default_factory=Dns.model_construct)
    route53: Route53 | None = None
    cloudflare: Cloudflare | None = None
    traffic_manager: TrafficManager | None = None
    services: Listed[GlobalService] = Field(min_length=1, max_length=20)
    """The names that clients call."""
    members: Listed[Member] = Field(min_length=1, max_length=50)
    """The places that answer, first choice first."""
    tags: dict[TagKey, TagValue] = Field(default_factory=dict, max_length=30)
    """Tags on everything that takes tags, besides the stack's own."""

    def member(self, name: str) -> Member:
        """The member of that name; KeyError when there is none."""
        for member in self.members:
            if member.name == name:
                return member
        raise KeyError(name)
