"""Cloudflare: one load balancer per service name, its pools, and the monitors that probe them.

Proxied, a request passes through Cloudflare, and one whose member cannot be connected is tried on the next pool at once
(failover across pools): https://developers.cloudflare.com/load-balancing/understand-basics/adaptive-routing/. What has
to be known about it: TLS ends at Cloudflare, which sees prompts and answers in plain text; and a member has to send its
first byte within the proxy's read timeout, so that long answers are to be streamed
(https://developers.cloudflare.com/fundamentals/reference/connection-limits/). Not proxied, Cloudflare answers DNS only.

How a plan becomes pools and steering, and why: infra/dns/cloudflare_pools.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pulumi
import pulumi_cloudflare as cloudflare
from pulumi import ResourceOptions

from infra import naming
from infra.dns import cloudflare_pools
from infra.dns.cloudflare_pools import Balancer, Monitor, Pool, Rendered
from infra.dns.common import ZONE_KEY, ExistingZone, ProviderArgs, same_zone
from infra.dns.sections import Cloudflare as Settings
from infra.dns.sections import GlobalStack
from infra.faults import NotFound, reason

HTTPS_PORT: Final = 443
READ_TIMEOUT_SECONDS: Final = 600
"""For the first byte of an answer that is not streamed; above the default for Enterprise zones only, up to 6,000:
https://developers.cloudflare.com/fundamentals/reference/connection-limits/"""


def provider(stack: str, config: GlobalStack) -> cloudflare.Provider:
    """The only provider of the stack. Its token comes from CLOUDFLARE_API_TOKEN and should reach no other account than
    the one in the file: https://developers.cloudflare.com/fundamentals/api/get-started/create-token/"""
    assert config.cloudflare is not None
    return cloudflare.Provider(stack)


def existing_zone(config: GlobalStack, account: cloudflare.Provider) -> ExistingZone | None:
    """The zone that the stack file names by id, if it does. Raises NotFound.

    Its settings stay its owner's: for a proxied service its SSL mode has to be full or strict, as no member listens
    on port 80.
    """
    wanted, settings = config.zone, config.cloudflare
    if wanted.id is None:
        return None
    assert settings is not None
    try:
        found = cloudflare.get_zone(zone_id=wanted.id, opts=pulumi.InvokeOptions(provider=account))
    except Exception as error:  # the SDK raises plain Exception for whatever the provider answers
        raise NotFound(f"{ZONE_KEY} = {wanted.id}: cannot find that zone: {reason(error)}") from None
    if not same_zone(found.name, wanted.name):
        raise NotFound(f"{ZONE_KEY} = {wanted.id}: is the zone {found.name}, and zone.name is {wanted.name}")
    if found.account.id != settings.account:
        why = f"belongs to the account {found.account.id}, and cloudflare.account is {settings.account}"
        raise NotFound(f"{ZONE_KEY} = {wanted.id}: {why}: pools and zone have to be of one account")
    return ExistingZone(wanted.id, wanted.name, tuple(found.name_servers or ()))


class Cloudflare(pulumi.ComponentResource):
    """Zone, monitors, pools and load balancers of the global stack. Needs `opts.provider`; exports nothing.

    Raises ConfigError for a plan that Cloudflare cannot serve.
    """

    zone: pulumi.Output[dict[str, Any]]
    """{id, name, nameServers}."""
    checks: pulumi.Output[dict[str, Any]]
    """Member -> address -> id of the monitor that probes it."""
    clouds: pulumi.Output[dict[str, Any]]
    """Empty: no check here stands for a whole cloud."""
    answers: pulumi.Output[dict[str, Any]]
    """Service name -> itself: the load balancer has the service's name in the zone."""

    def __init__(self, name: str, args: ProviderArgs, opts: ResourceOptions | None = None) -> None:
        settings = args.config.cloudflare
        assert settings is not None
        super().__init__("spillway:dns:Cloudflare", name, None, opts)
        self._name, self._args, self._settings = name, args, settings
        self._child = ResourceOptions(parent=self)
        made = cloudflare_pools.render(args.plan)
        zone_id = self._zone()
        monitors = {monitor: self._monitor(monitor) for monitor in made.monitors}
        pools = {pool.key: self._pool(pool, monitors[pool.monitor]) for pool in made.pools}
        for balancer in made.balancers:
            self._balancer(balancer, zone_id, pools)
        self.checks = pulumi.Output.from_input(self._probed(made, monitors))
        self.clouds = pulumi.Output.from_input({})
        self.answers = pulumi.Output.from_input({service.name: service.name for service in args.plan.services})
        self.register_outputs({"zone": self.zone, "checks": self.checks, "answers": self.answers})

    def _zone(self) -> pulumi.Input[str]:
        wanted = self._args.config.zone
        found = self._args.zone
        if found is not None:
            self.zone = found.output()
            return found.id
        zone = cloudflare.Zone(
            f"{self._name}-zone",
            name=wanted.name,
            account=cloudflare.ZoneAccountArgs(id=self._settings.account),
            type="full",
            # A zone made again gets other name servers, and the delegation at the registrar points to the old ones.
            opts=ResourceOptions(parent=self, protect=True),
        )
        self.zone = pulumi.Output.from_input({"id": zone.id, "name": wanted.name, "nameServers": zone.name_servers})
        if self._settings.proxied:
            for setting, value in zone_settings(self._settings).items():
                cloudflare.ZoneSetting(
                    f"{self._name}-{setting}", zone_id=zone.id, setting_id=setting, value=value, opts=self._child
                )
        return zone.id  # type: ignore[no-any-return]  # the SDK is not followed

    def _monitor(self, monitor: Monitor) -> cloudflare.LoadBalancerMonitor:
        check = self._args.settings
        return cloudflare.LoadBalancerMonitor(
            f"{self._name}-{monitor.host}:{monitor.port}{monitor.path}",
            account_id=self._settings.account,
            description=f"{monitor.path} of {monitor.host}, stack {self._args.stack} of Spillway",
            type="https",
            method="GET",
            path=monitor.path,
            port=monitor.port if monitor.port != HTTPS_PORT else None,
            header={"Host": [monitor.host]},  # the SNI too; the endpoint's address alone decides where the probe goes
            expected_codes="200",
            expected_body=self._args.config.dns.check.expected_text,
            follow_redirects=False,
            # No provider's checkers look at the certificate, Route 53's and Traffic Manager's cannot: a member is as
            # ready here as there. An expired one shows in `spillway preflight`, and proxied requests do verify it.
            allow_insecure=True,
            interval=int(check.interval_seconds),
            timeout=int(check.timeout),
            retries=check.retries,
            consecutive_down=check.threshold,
            consecutive_up=check.threshold,
            opts=self._child,
        )

    def _pool(self, pool: Pool, monitor: cloudflare.LoadBalancerMonitor) -> cloudflare.LoadBalancerPool:
        return cloudflare.LoadBalancerPool(
            f"{self._name}-{pool.key}",
            account_id=self._settings.account,
            name=f"{naming.PROJECT}-{self._args.stack}-{pool.key}",
            description=f"{', '.join(pool.members)}; stack {self._args.stack} of Spillway",
            monitor=monitor.id,
            check_regions=list(self._settings.check_regions),
            # An address is one zone of a balancer: the member answers as long as one of them does.
            minimum_origins=1,
            latitude=pool.place.latitude if pool.place else None,
            longitude=pool.place.longitude if pool.place else None,
            origins=[
                cloudflare.LoadBalancerPoolOriginArgs(
                    name=origin.name,
                    address=origin.address,
                    port=pool.port,
                    weight=origin.weight,
                    enabled=True,
                )
                for origin in pool.origins
            ],
            origin_steering=cloudflare.LoadBalancerPoolOriginSteeringArgs(policy="random"),
            opts=self._child,
        )

    def _balancer(
        self, balancer: Balancer, zone_id: pulumi.Input[str], pools: Mapping[str, cloudflare.LoadBalancerPool]
    ) -> None:
        proxied = self._settings.proxied
        cloudflare.LoadBalancer(
            f"{self._name}-{balancer.name}",
            zone_id=zone_id,
            name=balancer.name,
            description=f"Stack {self._args.stack} of Spillway",
            enabled=True,
            default_pools=[pools[key].id for key in balancer.pools],
            fallback_pool=pools[balancer.fallback].id,
            steering_policy=balancer.steering,
            random_steering=_random_steering(balancer, pools),
            proxied=proxied,
            ttl=None if proxied else self._args.settings.ttl_seconds,
            adaptive_routing=cloudflare.LoadBalancerAdaptiveRoutingArgs(
                failover_across_pools=proxied and self._settings.failover_across_pools
            ),
            # Any member can serve any request: a session bound to one would outlive its health.
            session_affinity="none",
            opts=self._child,
        )

    def _probed(
        self, made: Rendered, monitors: Mapping[Monitor, cloudflare.LoadBalancerMonitor]
    ) -> dict[str, dict[str, pulumi.Output[str]]]:
        found: dict[str, dict[str, pulumi.Output[str]]] = {}
        for probe in self._args.plan.probes:
            monitor = cloudflare_pools.probe_pool(probe, made)
            if monitor is not None:
                id = monitors[monitor].id
                found[probe.name] = dict.fromkeys(cloudflare_pools.targets_of(probe.endpoint), id)
        return found


def zone_settings(settings: Settings) -> dict[str, Any]:
    """The settings of a zone of our own that a proxied service needs; each by its API name."""
    wanted: dict[str, Any] = {
        # "flexible" would send prompts in plain text to port 80, "full" would take any certificate: as a client that
        # asks the member directly, Cloudflare verifies it.
        # https://developers.cloudflare.com/ssl/origin-configuration/ssl-modes/full-strict/
        "ssl": "strict",
        "min_tls_version": "1.2",
        "always_use_https": "on",
    }
    if settings.plan == cloudflare_pools.ENTERPRISE:
        wanted["proxy_read_timeout"] = READ_TIMEOUT_SECONDS
    return wanted


def _random_steering(
    balancer: Balancer, pools: Mapping[str, cloudflare.LoadBalancerPool]
) -> cloudflare.LoadBalancerRandomSteeringArgs | None:
    """Weights by pool id, which is known only once the pools are there."""
    if not balancer.weights:
        return None
    ids = pulumi.Output.all(*[pools[key].id for key, _ in balancer.weights])
    shares = [weight for _, weight in balancer.weights]
    return cloudflare.LoadBalancerRandomSteeringArgs(
        default_weight=1, pool_weights=ids.apply(lambda found: dict(zip(found, shares, strict=True)))
    )
