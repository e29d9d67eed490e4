"""Load balancers. https://learn.microsoft.com/azure/load-balancer/load-balancer-overview

Limits: https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits#load-balancer
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from sandbox.azure_native import arm, tokens
from sandbox.azure_native.addresses import ADDRESS_TYPE, refuse_taken
from sandbox.azure_native.network import API_VERSION, NAME_RULE
from sandbox.azure_native.places import zone_faults
from sandbox.azure_native.regional import Regional, Use, refuse_one_more, users
from sandbox.azure_native.registry import AZURE_NATIVE
from sandbox.kinds import Args, Cloud, CloudError, Fault, Resource
from sandbox.rules import between, matches, one_of, shown
from sandbox.values import UNKNOWN

BALANCER_TYPE: Final = "Microsoft.Network/loadBalancers"
BALANCERS_MAX: Final = 1000
FRONTENDS_MAX: Final = 600
RULES_MAX: Final = 1500
BACKENDS_MAX: Final = 1000

PARTS: Final = (
    "frontendIPConfigurations", "backendAddressPools", "probes", "loadBalancingRules", "outboundRules",
    "inboundNatRules", "inboundNatPools",
)  # fmt: skip
"""The lists of a balancer whose elements have names and ids of their own."""
_REFERENCES: Final = (
    ("loadBalancingRules[*].frontendIPConfiguration.id", "frontendIPConfigurations"),
    ("loadBalancingRules[*].backendAddressPool.id", "backendAddressPools"),
    ("loadBalancingRules[*].backendAddressPools[*].id", "backendAddressPools"),
    ("loadBalancingRules[*].probe.id", "probes"),
    ("outboundRules[*].frontendIPConfigurations[*].id", "frontendIPConfigurations"),
    ("outboundRules[*].backendAddressPool.id", "backendAddressPools"),
    ("inboundNatRules[*].frontendIPConfiguration.id", "frontendIPConfigurations"),
    ("inboundNatRules[*].backendAddressPool.id", "backendAddressPools"),
    ("inboundNatPools[*].frontendIPConfiguration.id", "frontendIPConfigurations"),
)
"""Where a part names another one, by the id that it will have in the same balancer."""


def _named_faults(args: Args) -> Iterator[Fault]:
    for part in PARTS:
        seen: dict[str, str] = {}
        for path, element in args.at(f"{part}[*]"):
            if not isinstance(element, dict):
                continue
            name = element.get("name")
            if name is None:
                yield Fault(f"{path}.name", "is required")
            elif isinstance(name, str):
                if name.lower() in seen:
                    yield Fault(f"{path}.name", f"is taken by {seen[name.lower()]}")
                seen.setdefault(name.lower(), path)
        yield from matches(args, f"{part}[*].name", *NAME_RULE)


def _probe_faults(args: Args) -> Iterator[Fault]:
    """https://learn.microsoft.com/azure/load-balancer/load-balancer-custom-probe-overview"""
    yield from between(args, "probes[*].port", 1, 65535)
    yield from one_of(args, "probes[*].protocol", ("Tcp", "Http", "Https"))
    # The API reference: 15 seconds when left out, 5 at least.
    yield from between(args, "probes[*].intervalInSeconds", 5, 2_147_483_646, "seconds")
    yield from between(args, "probes[*].numberOfProbes", 1, 2_147_483_646)
    yield from between(args, "probes[*].probeThreshold", 1, 100)
    yield from one_of(args, "probes[*].noHealthyBackendsBehavior", ("AllProbedDown", "AllProbedUp"))
    for path, probe in args.at("probes[*]"):
        if not isinstance(probe, dict):
            continue
        protocol, asked = probe.get("protocol"), probe.get("requestPath")
        if protocol in ("Http", "Https") and asked is None:
            yield Fault(f"{path}.requestPath", f"is required for a probe of protocol {protocol}")
        if protocol == "Tcp" and asked is not None:
            yield Fault(f"{path}.requestPath", "is not for a probe of protocol Tcp")
        if isinstance(asked, str) and not asked.startswith("/"):
            yield Fault(f"{path}.requestPath", f"expected a path that begins with /, got {shown(asked)}")


def _rule_faults(args: Args) -> Iterator[Fault]:
    yield from between(args, "loadBalancingRules[*].frontendPort", 0, 65534)
    yield from between(args, "loadBalancingRules[*].backendPort", 0, 65535)
    yield from one_of(args, "loadBalancingRules[*].protocol", ("Tcp", "Udp", "All"))
    yield from one_of(args, "loadBalancingRules[*].loadDistribution", ("Default", "SourceIP", "SourceIPProtocol"))
    # https://learn.microsoft.com/azure/load-balancer/load-balancer-tcp-idle-timeout
    for part in ("loadBalancingRules", "inboundNatRules", "inboundNatPools", "outboundRules"):
        yield from between(args, f"{part}[*].idleTimeoutInMinutes", 4, 100, "minutes")
    seen: dict[tuple[str, int, str], str] = {}
    for path, rule in args.at("loadBalancingRules[*]"):
        if not isinstance(rule, dict):
            continue
        for key in ("frontendIPConfiguration", "backendPort"):
            if rule.get(key) is None:
                yield Fault(f"{path}.{key}", "is required for a load balancing rule")
        if rule.get("backendAddressPool") is None and rule.get("backendAddressPools") is None:
            yield Fault(f"{path}.backendAddressPool", "is required for a load balancing rule")
        protocol, port = rule.get("protocol"), rule.get("frontendPort")
        if (protocol == "All") != (port == 0) and UNKNOWN not in (protocol, port):
            # https://learn.microsoft.com/azure/load-balancer/load-balancer-ha-ports-overview
            yield Fault(f"{path}.frontendPort", "0 (all ports) goes with protocol All, and only with it")
        frontend = rule.get("frontendIPConfiguration")
        id = frontend.get("id") if isinstance(frontend, dict) else None
        if isinstance(id, str) and isinstance(port, int) and isinstance(protocol, str):
            taken = seen.setdefault((id.lower(), port, protocol), path)
            if taken != path:
                yield Fault(f"{path}.frontendPort", f"frontend, port and protocol are those of {taken}")
    for path, rule in args.at("outboundRules[*]"):
        if isinstance(rule, dict) and isinstance(rule.get("allocatedOutboundPorts"), int):
            ports = rule["allocatedOutboundPorts"]
            if not 0 <= ports <= 64000 or ports % 8:
                # https://learn.microsoft.com/azure/load-balancer/outbound-rules
                yield Fault(f"{path}.allocatedOutboundPorts", f"expected a multiple of 8 up to 64,000, got {ports}")


def _frontend_faults(args: Args) -> Iterator[Fault]:
    for path, frontend in args.at("frontendIPConfigurations[*]"):
        if not isinstance(frontend, dict):
            continue
        given = [key for key in ("publicIPAddress", "publicIPPrefix", "subnet") if frontend.get(key) is not None]
        if len(given) != 1 and UNKNOWN not in (frontend.get(key) for key in given):
            yield Fault(
                path, f"expected one of publicIPAddress, publicIPPrefix, subnet; got {', '.join(given) or 'none'}"
            )
        if "subnet" not in given:
            for key in ("privateIPAddress", "zones"):
                if frontend.get(key) is not None:
                    # Zones of a public frontend are those of its address.
                    yield Fault(f"{path}.{key}", "is only for frontends in a subnet")
        for fault in zone_faults(Args({"zones": frontend.get("zones"), "location": args["location"]})):
            yield Fault(f"{path}.{fault.path}", fault.reason)


@AZURE_NATIVE.kind
class LoadBalancer(Regional):
    """Basic balancers can be made no more since 31 March 2025
    (https://azure.microsoft.com/updates?id=azure-basic-load-balancer-will-be-retired-on-30-september-2025-upgrade-to-standard-load-balancer)."""

    token = tokens.LOAD_BALANCER
    type_name = "loadBalancers"
    name_property = "loadBalancerName"
    name_rule = NAME_RULE
    api_version = API_VERSION
    path = ("resourceGroupName", "loadBalancerName")
    replace_on = path
    autoname = arm.random_name("loadBalancerName")
    changes_on_update = ("etag", *PARTS)
    uses = (
        Use(
            "frontendIPConfigurations[*].publicIPAddress.id",
            tokens.PUBLIC_ADDRESS,
            ADDRESS_TYPE,
            in_use="PublicIPAddressCannotBeDeleted",
        ),
        Use(
            "frontendIPConfigurations[*].subnet.id",
            tokens.SUBNET,
            "Microsoft.Network/virtualNetworks/subnets",
            in_use="InUseSubnetCannotBeDeleted",
        ),
    )

    def rules(self, args: Args) -> Iterable[Fault]:
        sku = args["sku"]
        if sku is None or (isinstance(sku, dict) and sku.get("name") is None):
            yield Fault("sku.name", "is required: Standard (left out, it is Basic, which can be made no more)")
        yield from one_of(args, "sku.name", ("Standard", "Gateway"))
        yield from one_of(args, "sku.tier", ("Regional", "Global"))
        yield from _named_faults(args)
        yield from _frontend_faults(args)
        yield from _probe_faults(args)
        yield from _rule_faults(args)
        for part, most in (("frontendIPConfigurations", FRONTENDS_MAX), ("loadBalancingRules", RULES_MAX)):
            for path, listed in args.at(part):
                if isinstance(listed, list) and len(listed) > most:
                    yield Fault(path, f"expected at most {most}, got {len(listed)}")
        for pattern, part in _REFERENCES:
            for path, value in args.at(pattern):
                found = arm.parse_id(value)
                if found is None or found["type"] != f"{BALANCER_TYPE}/{part}".lower():
                    yield Fault(path, f"expected the id of one of the balancer's {part}, got {shown(value)}")

    def judge(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        own = old.id if old else self.new_id(args, cloud)
        if old is None:
            refuse_one_more(
                cloud, self.token, self.location_of(args, cloud), "LoadBalancers", BALANCERS_MAX,
                "LoadBalancerCountLimitReached", "load balancers",
            )  # fmt: skip
        elif (old["sku"] or {}).get("name") != args["sku"]["name"]:
            # https://learn.microsoft.com/azure/load-balancer/skus: the SKU cannot be changed
            raise CloudError("OperationNotAllowed", f"The SKU of load balancer {own} cannot be changed.")
        self._judge_parts(args, own)
        frontends = args["frontendIPConfigurations"] or ()
        ids = [str(f["publicIPAddress"]["id"]) for f in frontends if (f.get("publicIPAddress") or {}).get("id")]
        refuse_taken(cloud, ids, own)
        for id in {i.lower() for i in ids}:
            if sum(arm.same(id, other) for other in ids) > 1:
                raise CloudError("PublicIPAddressInUse", f"Two frontends of {own} use the public IP address {id}.")
        if old is not None:
            self._refuse_lost(args, cloud, old)

    @staticmethod
    def _judge_parts(args: Args, own: str) -> None:
        """Parts name parts of this balancer that are there."""
        for pattern, part in _REFERENCES:
            there = {f"{own}/{part}/{element['name']}".lower() for element in args[part] or ()}
            for _, value in args.at(pattern):
                if str(value).lower() not in there:
                    raise CloudError(
                        "InvalidResourceReference",
                        f"Resource {value} referenced by resource {own} was not found. Please make sure that the "
                        "referenced resource exists, and that both resources are in the same region.",
                    )

    @staticmethod
    def _refuse_lost(args: Args, cloud: Cloud, old: Resource) -> None:
        """A part that a scale set uses has to stay."""
        for other, use, named in users(cloud, old):
            there = {str(element["name"]).lower() for element in args[use.below] or ()} if use.below else set()
            if use.below and named.rsplit("/", 1)[-1].lower() not in there:
                raise CloudError(
                    "LoadBalancerInUseByVirtualMachineScaleSet",
                    f"Cannot remove {named} since it is used by virtual machine scale set {other.id}.",
                )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            **self.network_outputs(args, cloud, old),
            "sku": {"tier": "Regional", **args["sku"]},
            **{part: [_shown_part(id, part, element, args) for element in args[part] or ()] for part in PARTS},
        }


_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "frontendIPConfigurations": {"privateIPAllocationMethod": "Dynamic"},
    "probes": {"intervalInSeconds": 15, "probeThreshold": 1, "noHealthyBackendsBehavior": "AllProbedDown"},
    "loadBalancingRules": {
        "idleTimeoutInMinutes": 4, "enableFloatingIP": False, "enableTcpReset": False, "disableOutboundSnat": False,
        "loadDistribution": "Default",
    },
}  # fmt: skip


def _shown_part(balancer: str, part: str, element: Mapping[str, Any], args: Args) -> dict[str, Any]:
    """A part as the API returns it, with the parts that use it."""
    id = f"{balancer}/{part}/{element['name']}"
    out = {
        **_DEFAULTS.get(part, {}),
        **element,
        "id": id,
        "type": f"{BALANCER_TYPE}/{part}",
        "etag": f'W/"{uuid.uuid4()}"',
        "provisioningState": "Succeeded",
    }
    for pattern, below in _REFERENCES:
        if below == part:
            used_by = pattern.split("[", 1)[0]
            out.setdefault(used_by, [])
            for rule in args[used_by] or ():
                wanted = [str(value).lower() for _, value in Args({used_by: [rule]}).at(pattern)]
                entry = {"id": f"{balancer}/{used_by}/{rule['name']}"}
                if id.lower() in wanted and entry not in out[used_by]:
                    out[used_by].append(entry)
    return out


def probe_of(cloud: Cloud, id: object) -> Mapping[str, Any] | None:
    """The probe of a balancer that an id names."""
    balancer = arm.find_by_id(cloud, tokens.LOAD_BALANCER, str(id).rsplit("/", 2)[0])
    return next((p for p in balancer["probes"] if arm.same(p["id"], id)), None) if balancer else None
