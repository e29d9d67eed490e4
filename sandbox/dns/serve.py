"""Answers real DNS queries on loopback from the stand-in's zones: `dig @127.0.0.1 -p 5353 llm.example.com`."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from sandbox.dns.answer import NOERROR, REFUSED, Answer
from sandbox.dns.authority import Authority
from sandbox.dns.running import Running
from spillway.errors import SpillwayError

_TICK = 0.1
"""Seconds between two looks at what has fallen due."""
_PLAIN_UDP = 512
"""https://www.rfc-editor.org/rfc/rfc1035#section-4.2.1"""
_PORTS = "1 to 65535"


def served(authority: Authority, wanted: str | None) -> str:
    """The services that are answered for, by provider, in words. wanted: the only provider that may.

    Raises SpillwayError when there is none, or none of that provider's.
    """
    found: dict[str, list[str]] = {}
    for name in authority.services():
        found.setdefault(authority.provider(name) or "nobody", []).append(name)
    if not found:
        raise SpillwayError("the stand-in clouds hold no service name: bring the stack `global` up first")
    told = "; ".join(f"{provider}: {', '.join(names)}" for provider, names in found.items())
    if wanted is not None and wanted not in found:
        raise SpillwayError(f"--provider = {wanted}: the stand-in holds no service of it; it holds {told}")
    return told


class Responder:
    """Makes replies of queries. Safe to use from several threads."""

    def __init__(self, running: Running, location: str, say: Callable[[str], None] = lambda text: None) -> None:
        """say: takes a line about what goes wrong while it runs, each once."""
        self.running, self._location, self._say = running, location, say
        self._lock = threading.Lock()
        self._said: tuple[str, ...] = ()

    def tick(self) -> None:
        """What has fallen due since: probes, and a look at what was deployed. What cannot be read just now (a store
        that is being replaced, a zone half deployed) is told, and the zones from before go on answering."""
        with self._lock:
            try:
                self.running.refresh()
            except SpillwayError as error:
                self._tell(error)
            self.running.clock.catch_up()

    def _tell(self, error: SpillwayError) -> None:
        if error.lines != self._said:
            self._said = error.lines
            for line in error.lines:
                self._say(line)

    def reply(self, wire: bytes, limit: int | None) -> bytes | None:
        """The reply's bytes; None for what is no query. limit: of plain UDP; a longer reply is truncated."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        if query.flags & dns.flags.QR:
            return None
        reply = self._made(query)
        size = 65535 if limit is None else max(limit, query.payload if query.edns >= 0 else 0)
        try:
            return reply.to_wire(max_size=size)
        except dns.exception.TooBig:
            short = dns.message.make_response(query)
            short.flags |= dns.flags.TC | dns.flags.AA
            return short.to_wire()

    def _made(self, query: dns.message.Message) -> dns.message.Message:
        reply = dns.message.make_response(query)
        if query.opcode() != dns.opcode.QUERY or len(query.question) != 1:
            reply.set_rcode(dns.rcode.NOTIMP)
            return reply
        asked = query.question[0]
        if asked.rdclass != dns.rdataclass.IN:
            reply.set_rcode(dns.rcode.REFUSED)
            return reply
        name, kind = asked.name.to_text(), dns.rdatatype.to_text(asked.rdtype)
        with self._lock:
            try:
                answer = self.running.authority.answer(name, kind, self._location)
                zone = self.running.authority.zone_of(answer.name)
                soa = zone.answer(zone.name, "SOA") if zone and not answer.values else None
            except SpillwayError as error:  # a record that the stand-in's resolver cannot follow
                self._tell(error)
                reply.set_rcode(dns.rcode.SERVFAIL)
                return reply
        if answer.rcode != REFUSED:
            reply.flags |= dns.flags.AA
        reply.set_rcode(dns.rcode.from_text(answer.rcode))
        reply.answer.extend(_sections(asked.name, kind, answer))
        if soa is not None and soa.values:
            reply.authority.append(_rrset(soa.name, soa.ttl, "SOA", soa.values))
        return reply


def _sections(asked: dns.name.Name, kind: str, answer: Answer) -> Iterator[dns.rrset.RRset]:
    owner = asked.to_text()
    for link in answer.links:
        yield _rrset(owner, link.ttl, "CNAME", (f"{link.target}.",))
        owner = f"{link.target}."
    if answer.values and answer.rcode == NOERROR:
        yield _rrset(owner, answer.ttl, kind, answer.values)


def _rrset(owner: str, ttl: int, kind: str, values: tuple[str, ...]) -> dns.rrset.RRset:
    if kind in ("TXT", "SPF"):  # the provider leaves the outer quotes out
        values = tuple(v if v.startswith('"') else f'"{v}"' for v in values)
    name = owner if owner.endswith(".") else f"{owner}."
    return dns.rrset.from_text(name, ttl, "IN", kind, *values)


class _Udp(socketserver.ThreadingUDPServer):
    daemon_threads = True
    allow_reuse_address = False


class _Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def servers(responder: Responder, port: int) -> tuple[socketserver.BaseServer, socketserver.BaseServer, int]:
    """UDP and TCP on 127.0.0.1 and the same port (any free one for 0). Raises SpillwayError when it is taken."""

    class Datagram(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            wire, sock = self.request
            if (reply := responder.reply(wire, _PLAIN_UDP)) is not None:
                sock.sendto(reply, self.client_address)

    class Stream(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            connection: socket.socket = self.request
            connection.settimeout(10)
            with contextlib.suppress(OSError):
                while (head := _exactly(connection, 2)) and (wire := _exactly(connection, int.from_bytes(head, "big"))):
                    reply = responder.reply(wire, None)
                    if reply is None:
                        return
                    connection.sendall(len(reply).to_bytes(2, "big") + reply)

    try:
        udp = _Udp(("127.0.0.1", port), Datagram)
        taken = udp.server_address[1]
        try:
            return udp, _Tcp(("127.0.0.1", taken), Stream), taken
        except OSError:
            udp.server_close()
            raise
    except (OSError, OverflowError) as error:
        told = getattr(error, "strerror", None) or f"has to be {_PORTS}"
        raise SpillwayError(f"--port = {port}: {told}") from None


def _exactly(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        part = connection.recv(count - len(found))
        if not part:
            return b""
        found += part
    return found


@contextlib.contextmanager
def serving(responder: Responder, port: int) -> Iterator[int]:
    """Serves while the block runs; gives the port."""
    udp, tcp, taken = servers(responder, port)
    stop = threading.Event()

    def ticking() -> None:
        while not stop.wait(_TICK):
            responder.tick()

    jobs: list[Callable[[], Any]] = [udp.serve_forever, tcp.serve_forever, ticking]
    threads = [threading.Thread(target=job, daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    try:
        yield taken
    finally:
        stop.set()
        for server in (udp, tcp):
            server.shutdown()
            server.server_close()
        for thread in threads:
            thread.join(2)
