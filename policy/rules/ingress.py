"""Nothing comes in from public addresses besides clients on 443: in firewalls, and at what balancers listen on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Final

from pydantic import Field

from cost.plan.preview import Resource, Unknown
from infra.faults import listed
from infra.sections import Listed
from policy.findings import Finding, Policy, Settings, get, rows, texts, yes

PRIVATE: Final = tuple(
    ip_network(text)
    for text in (
        # RFC 1918, 6598 (carrier's, where Tencent's health checks come from), 3927 and 1122, 4193, 4291
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8"),
        *("fc00::/7", "fe80::/10", "::1/128"),
    )
)
"""Not `is_private` of the standard library: it calls 0.0.0.0/0 private."""
INSIDE: Final = ("VirtualNetwork", "AzureLoadBalancer")
"""Service tags of Azure that stand for no public address but the balancer's own probes
(https://learn.microsoft.com/azure/virtual-network/service-tags-overview)."""
ALL: Final = range(65_536)


class Ingress(Settings):
    """What may come in from where."""

    ports: Listed[int] = Field(default=(443,), description="TCP ports that are open to public addresses")
    sources: Listed[str] = Field(
        default=(), description="public networks (CIDR) that may come in on any port, such as an office's"
    )


@dataclass(frozen=True, slots=True)
class Opening:
    """Something that lets packets in. ports: of TCP; None: all of a protocol, or one without ports."""

    what: str
    source: Any
    protocol: str
    ports: tuple[range, ...] | None


def _each(resource: Resource, settings: Ingress) -> Iterator[Finding]:
    rule = _RULES.get(resource.type)
    for one in rule(resource) if rule is not None else ():
        source = _public(one.source, settings)
        if isinstance(source, Unknown):
            yield Finding(
                resource.urn, f"{one.what}: source or ports are known only after the deployment", judged=False
            )
            continue
        if source is None:
            continue
        if one.ports is None or one.protocol != "tcp":
            shut = f"{one.protocol}, any port" if one.ports is None else f"{one.protocol} {_ports(one.ports)}"
        else:
            bad = [ports for ports in one.ports if any(port not in settings.ports for port in ports)]
            if not bad:
                continue
            shut = f"tcp {_ports(bad)}"
        allowed = listed(settings.ports) if settings.ports else "none"
        yield Finding(resource.urn, f"{one.what}: {shut} open to {source}: allowed is tcp {allowed}")


def _public(source: Any, settings: Ingress) -> str | Unknown | None:
    """The source where it has public addresses that are not let in by name, else None."""
    if isinstance(source, Unknown):
        return source
    if source is None or source in INSIDE:
        return None
    net = _network(str(source))
    if net is None:
        return str(source)  # a service tag, `*`, Internet
    inside: list[IPv4Network | IPv6Network] = [*PRIVATE]
    inside += [one for text in settings.sources if (one := _network(text)) is not None]
    return None if any(_within(net, one) for one in inside) else str(source)


def _within(net: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network) -> bool:
    if isinstance(net, IPv4Network) and isinstance(other, IPv4Network):
        return net.subnet_of(other)
    return isinstance(net, IPv6Network) and isinstance(other, IPv6Network) and net.subnet_of(other)


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _ports(ports: Iterable[range]) -> str:
    return ", ".join(f"{one.start}" if len(one) == 1 else f"{one.start}-{one.stop - 1}" for one in ports)


def _aws_rule(resource: Resource) -> Iterator[Opening]:
    for key in ("cidrIpv4", "cidrIpv6"):
        if (source := get(resource, key)) is not None:
            yield _aws(key, source, get(resource))


def _aws_group(resource: Resource) -> Iterator[Opening]:
    for index, row in enumerate(rows(get(resource, "ingress"))):
        yield from _aws_sources(f"ingress[{index}]", row)


def _aws_old_rule(resource: Resource) -> Iterator[Opening]:
    if get(resource, "type") == "ingress":
        yield from _aws_sources("rule", get(resource))


def _aws_sources(what: str, row: Mapping[str, Any]) -> Iterator[Opening]:
    for key in ("cidrBlocks", "ipv6CidrBlocks"):
        told = row.get(key)
        for source in [told] if isinstance(told, Unknown) else texts(told or []):
            yield _aws(what, source, row)


def _aws(what: str, source: Any, row: Mapping[str, Any]) -> Opening:
    protocol = str(row.get("ipProtocol", row.get("protocol", "-1"))).lower()
    protocol = {"-1": "every protocol", "all": "every protocol", "6": "tcp", "17": "udp"}.get(protocol, protocol)
    first, last = row.get("fromPort"), row.get("toPort")
    if isinstance(first, Unknown) or isinstance(last, Unknown):
        return Opening(what, Unknown(False), protocol, None)
    if protocol not in ("tcp", "udp") or not isinstance(first, int | float):
        return Opening(what, source, protocol, None)
    end = int(last) if isinstance(last, int | float) else int(first)
    return Opening(what, source, protocol, (range(int(first), end + 1),))


def _azure_group(resource: Resource) -> Iterator[Opening]:
    for row in rows(get(resource, "securityRules")):
        yield from _azure(row)


def _azure_rule(resource: Resource) -> Iterator[Opening]:
    yield from _azure(get(resource))


def _azure(row: Mapping[str, Any]) -> Iterator[Opening]:
    if str(row.get("access")) != "Allow" or str(row.get("direction")) != "Inbound":
        return
    name = str(row.get("name") or row.get("securityRuleName") or "rule")
    protocol = str(row.get("protocol", "*")).lower()
    told = [*texts(row.get("destinationPortRange") or []), *texts(row.get("destinationPortRanges") or [])]
    ports = _ranges(told)
    one, more = row.get("sourceAddressPrefix"), row.get("sourceAddressPrefixes")
    sources: list[Any] = [
        *([one] if one is not None else []),
        *([more] if isinstance(more, Unknown) else texts(more or [])),
    ]
    for source in sources:
        yield Opening(name, source, "every protocol" if protocol == "*" else protocol, ports)


def _gcp_firewall(resource: Resource) -> Iterator[Opening]:
    if get(resource, "direction") == "EGRESS" or yes(get(resource, "disabled")):
        return
    told = get(resource, "sourceRanges")
    sources: list[Any] = [told] if isinstance(told, Unknown) else texts(told or [])
    # Without any source a rule is for everybody: https://docs.cloud.google.com/firewall/docs/firewalls#sources_or_destinations_for_the_rule
    if not sources and not get(resource, "sourceTags") and not get(resource, "sourceServiceAccounts"):
        sources = ["0.0.0.0/0"]
    for row in rows(get(resource, "allows")):
        protocol = str(row.get("protocol", "all")).lower()
        ports = _ranges(texts(row.get("ports") or [])) if row.get("ports") else None
        for source in sources:
            yield Opening("allows", source, "every protocol" if protocol == "all" else protocol, ports)


def _tencent(resource: Resource) -> Iterator[Opening]:
    for index, row in enumerate(rows(get(resource, "ingresses"))):
        if str(row.get("action")).upper() != "ACCEPT":
            continue
        protocol = str(row.get("protocol", "ALL")).lower()
        port = str(row.get("port", "ALL"))
        ports = None if port.upper() == "ALL" else _ranges(port.split(","))
        for key in ("cidrBlock", "ipv6CidrBlock"):
            if row.get(key) is not None:
                yield Opening(
                    f"ingresses[{index}]", row[key], "every protocol" if protocol == "all" else protocol, ports
                )


def _ranges(told: Iterable[str]) -> tuple[range, ...] | None:
    """Ports as the clouds write them: `443`, `8000-8080`, `*`."""
    found = []
    for text in told:
        first, _, last = text.strip().partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            return None
        found.append(range(int(first), int(last or first) + 1))
    return tuple(found) or None


def _listening(*path: str, protocol: str = "protocol") -> Callable[[Resource], Iterator[Opening]]:
    """A listener by itself, whose port is at a path."""

    def rule(resource: Resource) -> Iterator[Opening]:
        port = get(resource, *path)
        if isinstance(port, int | float):
            kind = str(get(resource, protocol) or "tcp").lower()
            kind = "udp" if kind == "udp" else "tcp"  # TLS, HTTP and HTTPS are TCP
            yield Opening(".".join(path), "clients", kind, (range(int(port), int(port) + 1),))

    return rule


def _azure_balancer(resource: Resource) -> Iterator[Opening]:
    front = rows(get(resource, "frontendIPConfigurations"))
    if front and not any("publicIPAddress" in row or "publicIPPrefix" in row for row in front):
        return
    for key in ("loadBalancingRules", "inboundNatRules", "inboundNatPools"):
        for row in rows(get(resource, key)):
            name = f"{key} {row.get('name', '')}".strip()
            protocol = str(row.get("protocol", "Tcp")).lower()
            first = row.get("frontendPort", row.get("frontendPortRangeStart"))
            last = row.get("frontendPortRangeEnd", first)
            whole = protocol == "all" or not isinstance(first, int | float)
            ports = None if whole else (range(int(str(int(first or 0))), int(last or 0) + 1),)
            yield Opening(name, "clients", "every protocol" if protocol == "all" else protocol, ports)


def _gcp_forwarding(resource: Resource) -> Iterator[Opening]:
    if str(get(resource, "loadBalancingScheme") or "EXTERNAL").startswith("INTERNAL"):
        return
    protocol = str(get(resource, "ipProtocol") or "TCP").lower()
    told = [*texts(get(resource, "ports") or []), *texts(get(resource, "portRange") or [])]
    yield Opening("ports", "clients", "every protocol" if protocol == "l3_default" else protocol, _ranges(told))


_RULES: Final[Mapping[str, Callable[[Resource], Iterator[Opening]]]] = {
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": _aws_group,
    "aws:ec2/securityGroup:SecurityGroup": _aws_group,
    "aws:ec2/securityGroupRule:SecurityGroupRule": _aws_old_rule,
    "aws:lb/listener:Listener": _listening("port"),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _aws_rule,
    "azure-native:network:LoadBalancer": _azure_balancer,
    "azure-native:network:NetworkSecurityGroup": _azure_group,
    "azure-native:network:SecurityRule": _azure_rule,
    "gcp:compute/firewall:Firewall": _gcp_firewall,
    "gcp:compute/forwardingRule:ForwardingRule": _gcp_forwarding,
    "gcp:compute/globalForwardingRule:GlobalForwardingRule": _gcp_forwarding,
    "tencentcloud:Clb/listener:Listener": _listening("port"),
    "tencentcloud:Security/groupRuleSet:GroupRuleSet": _tencent,
}

POLICY: Final = Policy(
    "open-ingress",
    "No open ingress besides 443",
    "Public addresses reach nothing but TCP 443.",
    Ingress,
    each=_each,
)
