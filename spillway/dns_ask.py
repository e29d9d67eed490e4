"""Asks a real zone: every one of its own name servers, so that no cache is in between; and each member's `/readyz`."""

from __future__ import annotations

import re
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
import httpx

from spillway.dns_members import is_address
from spillway.errors import SpillwayError

QUERY_SECONDS = 2.0
"""A name server that does not answer within is asked again over TCP, and then said to be silent."""
PROBE_SECONDS = 6.0
"""Route 53's own patience: 4 s for the connection and 2 s for the answer."""
_HOPS = 8


@dataclass(frozen=True, slots=True)
class Heard:
    """What one name server said. fault: why it said nothing."""

    server: str
    rcode: str
    addresses: tuple[str, ...] = ()
    ttl: int | None = None
    fault: str | None = None


class Server(NamedTuple):
    """A name server, as it was named, and where it is asked."""

    name: str
    address: str
    port: int


def host_and_port(text: str, port: int = 53) -> tuple[str, int] | None:
    """(host, port) of `host`, `host:port`, an address of either version or `[v6]:port`; None for anything else."""
    if is_address(text):
        return text, port
    host, colon, number = text.rpartition(":")
    if not colon:
        host = text
    elif not re.fullmatch(r"[0-9]{1,5}", number) or not 1 <= int(number) <= 65535:
        return None
    else:
        port = int(number)
    if host.startswith("[") and host.endswith("]"):
        return (host[1:-1], port) if ":" in host and is_address(host[1:-1]) else None
    return (host, port) if re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?", host) else None


class Asker:
    """Asks the name servers that a name is delegated to, or the ones named, each `host` or `host:port`."""

    def __init__(self, servers: Sequence[str] = (), port: int = 53) -> None:
        self._named, self._port = tuple(servers), port
        self._known: dict[str, Server] = {}
        self._addresses: dict[str, tuple[str, ...]] = {}

    def servers(self, name: str) -> list[Server]:
        """The name servers asked for a name. Raises SpillwayError when none is found, and for what is no host name."""
        try:
            dns.name.from_text(name)
        except dns.exception.DNSException as error:
            raise SpillwayError(f"{name}: is no host name: {' '.join(str(error).split()).rstrip('.')}") from None
        named = self._named or self._delegated(name)
        return self._located(name, named)

    def _onward(self, name: str) -> Server:
        """A name server of the zone that a CNAME leads to."""
        if name not in self._known:
            self._known[name] = self._located(name, self._delegated(name))[0]
        return self._known[name]

    def _delegated(self, name: str) -> tuple[str, ...]:
        try:
            zone = dns.resolver.zone_for_name(name)
            return tuple(str(rr.target) for rr in dns.resolver.resolve(zone, "NS"))
        except dns.exception.DNSException as error:
            told = " ".join(str(error).split())
            raise SpillwayError(f"{name}: the name servers of its zone cannot be found: {told}") from None

    def _located(self, name: str, servers: Sequence[str]) -> list[Server]:
        found = []
        for server in servers:
            host, port = host_and_port(server, self._port) or (server, self._port)
            if host not in self._addresses:
                self._addresses[host] = (host,) if is_address(host) else _look_up(host)
            found += [Server(server.rstrip("."), address, port) for address in self._addresses[host][:1]]
        if not found:
            raise SpillwayError(f"{name}: none of its name servers has an address: {', '.join(servers)}")
        return found

    def ask(self, name: str, times: int = 1) -> list[Heard]:
        """Asks every name server `times` times at once; CNAMEs are followed to the zones that they lead to."""
        jobs = [server for server in self.servers(name) for _ in range(times)]
        with ThreadPoolExecutor(min(16, len(jobs))) as threads:
            return list(threads.map(lambda job: self._heard(name, job.name, job, _HOPS), jobs))

    def _heard(self, name: str, server: str, asked: Server, hops: int) -> Heard:
        """server: whose answer it is. asked: who is, for a name that its CNAMEs lead to."""
        address = asked.address
        query = dns.message.make_query(name, dns.rdatatype.A)
        query.flags &= ~dns.flags.RD
        try:
            reply, _ = dns.query.udp_with_fallback(query, address, timeout=QUERY_SECONDS, port=asked.port)
            if not isinstance(reply, dns.message.QueryMessage):
                return Heard(server, "-", fault=f"{address} answers another kind of message")
            rcode = dns.rcode.to_text(reply.rcode())
            # Only records of the name asked for, or of what it is a CNAME to, are an answer.
            chain = reply.resolve_chaining()
        except (dns.exception.DNSException, OSError) as error:
            return Heard(server, "-", fault=f"no answer from {address}: {type(error).__name__}")
        if reply.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            return Heard(server, rcode, fault=f"{address} says {rcode}")
        ttls = [rrset.ttl for rrset in (*chain.cnames, *([chain.answer] if chain.answer else ()))]
        if chain.answer:
            return Heard(server, rcode, tuple(rr.address for rr in chain.answer), min(ttls))
        if not chain.cnames or hops == 0:
            return Heard(server, rcode, ttl=min(ttls, default=None))
        target = chain.canonical_name.to_text()
        try:
            onward = self._onward(target)
        except SpillwayError as error:
            return Heard(server, rcode, fault=error.lines[0])
        further = self._heard(target, server, onward, hops - 1)
        ttls += [further.ttl] if further.ttl is not None else []
        return Heard(server, further.rcode, further.addresses, min(ttls), further.fault)


def _look_up(server: str) -> tuple[str, ...]:
    try:
        return tuple(rr.address for rr in dns.resolver.resolve(server, "A"))
    except dns.exception.DNSException:
        return ()


def ready(address: str, port: int, path: str, host: str) -> str:
    """What a member says at its health path: `ready` (status 200), `answers 503`, `refused`, `silent`, `no TLS` or
    `only TLS 1.3`.

    By address with the service's name as host and SNI, as the providers' checkers ask, and like theirs without
    validating the certificate. Route 53's speak nothing newer than TLS 1.2, so a member that takes 1.3 alone never is
    healthy there, whatever clients see
    (https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html, Type).
    """
    said = _status(address, port, path, host, ssl.TLSVersion.TLSv1_2)
    if said == "no TLS" and _status(address, port, path, host, ssl.TLSVersion.TLSv1_3) != "no TLS":
        return "only TLS 1.3"
    return said


def _status(address: str, port: int, path: str, host: str, newest: ssl.TLSVersion) -> str:
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode, trusting.maximum_version = False, ssl.CERT_NONE, newest
    shown = f"[{address}]" if ":" in address else address
    try:
        with (
            httpx.Client(verify=trusting, timeout=httpx.Timeout(2.0, connect=4.0), trust_env=False) as client,
            # The body is not waited for: nobody's checkers here look at it, and one that never ends would be the end.
            client.stream(
                "GET", f"https://{shown}:{port}{path}", headers={"Host": host}, extensions={"sni_hostname": host}
            ) as reply,
        ):
            return "ready" if reply.status_code == 200 else f"answers {reply.status_code}"
    except httpx.TimeoutException:
        return "silent"
    except httpx.ConnectError as error:
        told = str(error).lower()
        return "no TLS" if "ssl" in told or "tls" in told else "refused" if "refused" in told else "unreachable"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return type(error).__name__


def probe_all(targets: Sequence[tuple[str, int, str]], host: str) -> dict[str, str]:
    """Address -> what it says, of (address, port, path), asked at once."""
    if not targets:
        return {}
    with ThreadPoolExecutor(min(16, len(targets))) as threads:
        said = threads.map(lambda target: ready(target[0], target[1], target[2], host), targets)
        return {target[0]: word for target, word in zip(targets, said, strict=True)}
