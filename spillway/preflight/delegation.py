"""What a zone's parent says about it, asked of the parent's own name servers.

The answer for `NS example.com` from a server of `com` is a referral: the delegation stands in its authority section
(https://www.rfc-editor.org/rfc/rfc1034#section-4.3.2). A resolver would show the child's own NS records instead, which
are there whether anybody is sent to them or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver

from spillway.preflight.global_context import Account, Delegation, DnsZone, GlobalContext
from spillway.preflight.model import Row, Unanswered

SECONDS = 3.0
SERVERS = 3
"""Servers of the parent that are tried."""


class Wire(Protocol):
    """The two questions that need a network; tests answer them from recorded messages."""

    def lookup(self, name: str, kind: str) -> list[str]:
        """Records of a name by the system's resolver; [] when there are none. Raises dns.exception.DNSException."""
        ...

    def ask(self, server: str, name: str) -> dns.message.Message:
        """The answer for `NS name` of the server with this address."""
        ...


class Network:
    """The real network."""

    def lookup(self, name: str, kind: str) -> list[str]:
        try:
            return [str(record) for record in dns.resolver.resolve(name, kind, lifetime=2 * SECONDS)]
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []

    def ask(self, server: str, name: str) -> dns.message.Message:
        query = dns.message.make_query(name, dns.rdatatype.NS)
        query.flags &= ~dns.flags.RD  # the parent's own word, not what it would find out
        answer, _ = dns.query.udp_with_fallback(query, server, timeout=SECONDS)
        return answer


class ParentServers:
    """See global_context.Parents."""

    def __init__(self, wire: Wire | None = None) -> None:
        self._wire = wire or Network()

    def delegation(self, zone: str) -> Delegation:
        try:
            parent, servers = self._parent(zone)
            for server in servers[:SERVERS]:
                for address in self._wire.lookup(server, "A")[:1]:
                    try:
                        answer = self._wire.ask(address, zone)
                    except (dns.exception.DNSException, OSError):
                        continue
                    if answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                        return Delegation(parent, tuple(sorted(_named(answer, zone))))
        except (dns.exception.DNSException, OSError) as error:
            told = " ".join(str(error).split()) or type(error).__name__
            raise Unanswered(f"DNS is out of reach: {told}", "look from elsewhere: dig +trace NS " + zone) from None
        raise Unanswered(f"no name server of {parent} answers", "look from elsewhere: dig +trace NS " + zone)

    def _parent(self, zone: str) -> tuple[str, list[str]]:
        """The closest zone above: the first name above with NS records, and its servers."""
        name = dns.name.from_text(zone)
        while name != dns.name.root:
            name = name.parent()
            servers = self._wire.lookup(name.to_text(), "NS")
            if servers:
                return name.to_text(omit_final_dot=True) or ".", sorted(servers)
        raise Unanswered("DNS is out of reach: the root has no name servers here")


def _named(answer: dns.message.Message, zone: str) -> set[str]:
    wanted = dns.name.from_text(zone)
    return {
        plain(record.target.to_text())
        for section in (answer.answer, answer.authority)
        for records in section
        if records.name == wanted and records.rdtype == dns.rdatatype.NS
        for record in records
    }


def plain(server: str) -> str:
    """A server's name as it is compared: lower case, no dot at the end."""
    return server.rstrip(".").lower()


def against(
    context: GlobalContext[Account], zone_of: Callable[[GlobalContext[Account]], DnsZone | None]
) -> Iterator[Row]:
    """`rows` for the zone of a global stack, which `zone_of` asks its provider for."""
    name = context.config.zone.name
    if context.parents is None:
        yield Row("delegation", "delegation", "note", "not asked: the stand-in's zones have no parent")
        return
    yield from rows(name, zone_of(context), context.parents.delegation(name))


def rows(zone_name: str, zone: DnsZone | None, found: Delegation) -> Iterator[Row]:
    """The delegation against the zone's own name servers; without a zone, what there is now."""
    there = ", ".join(found.name_servers)
    if zone is None:
        if found.name_servers:
            told = f"{found.parent} sends clients to {there}"
            action = "after `up`, put the new zone's name servers (output nameServers) there, or take that zone by id"
            yield Row("delegation", "delegation", "warning", told, "the new zone's name servers", action)
        else:
            action = f"after `up`, enter the output nameServers at {found.parent}; until then nobody finds the zone"
            yield Row("delegation", "delegation", "note", f"{found.parent} does not know {zone_name} yet", "", action)
        return
    own = {plain(server) for server in zone.name_servers}
    needed = ", ".join(sorted(own))
    if not found.name_servers:
        action = f"enter the zone's name servers at {found.parent} (the registrar, or the parent zone's NS records)"
        yield Row("delegation", "delegation", "warning", f"{found.parent} does not know {zone_name}", needed, action)
    elif own.isdisjoint(found.name_servers):
        action = f"clients never ask this zone: change the name servers at {found.parent}, or take the other zone by id"
        yield Row("delegation", "delegation", "warning", f"{found.parent} names {there}", needed, action)
    elif own != set(found.name_servers):
        action = f"some clients ask servers that do not hold this zone: make {found.parent} name exactly these"
        yield Row("delegation", "delegation", "warning", f"{found.parent} names {there}", needed, action)
    else:
        yield Row("delegation", "delegation", "ok", f"{found.parent} names {there}", needed)
