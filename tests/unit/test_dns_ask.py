"""Name servers that lie, stutter or fall silent: what is no answer to the question is never taken for one."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spillway import dns_ask
from spillway.dns_ask import Asker, host_and_port
from spillway.errors import SpillwayError

NAME = "llm.example.com"
Reply = Callable[[dns.message.Message], bytes]


@contextmanager
def name_server(reply: Reply) -> Iterator[int]:
    """A server on loopback that answers every query with `reply`'s bytes; gives its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(0.1)
        stop = threading.Event()

        def serve() -> None:
            while not stop.is_set():
                try:
                    wire, asker = sock.recvfrom(4096)
                except TimeoutError:
                    continue
                sock.sendto(reply(dns.message.from_wire(wire)), asker)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            stop.set()
            thread.join(2)


def answering(*records: tuple[str, str, str, str], rcode: dns.rcode.Rcode = dns.rcode.NOERROR) -> Reply:
    """Records as (owner, class, type, value)."""

    def reply(query: dns.message.Message) -> bytes:
        made = dns.message.make_response(query)
        made.set_rcode(rcode)
        made.answer.extend(dns.rrset.from_text(owner, 10, kind, type, value) for owner, kind, type, value in records)
        return made.to_wire()

    return reply


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_ask, "QUERY_SECONDS", 0.5)


def heard(reply: Reply) -> dns_ask.Heard:
    with name_server(reply) as port:
        return Asker(["127.0.0.1"], port).ask(NAME)[0]


def test_an_address_of_the_name_asked_for_is_the_answer() -> None:
    assert heard(answering((f"{NAME}.", "IN", "A", "192.0.2.1"))).addresses == ("192.0.2.1",)


def test_a_cname_within_the_reply_is_followed_to_its_address() -> None:
    records = (f"{NAME}.", "IN", "CNAME", "pool.example.net."), ("pool.example.net.", "IN", "A", "192.0.2.7")
    assert heard(answering(*records)).addresses == ("192.0.2.7",)


@pytest.mark.parametrize(
    "reply",
    [
        answering(("evil.example.", "IN", "A", "192.0.2.66")),
        answering((f"{NAME}.", "CH", "TXT", "version")),
        answering((f"{NAME}.", "IN", "CNAME", f"{NAME}.")),
        answering((f"{NAME}.", "IN", "A", "192.0.2.66"), rcode=dns.rcode.SERVFAIL),
        answering((f"{NAME}.", "IN", "A", "192.0.2.66"), rcode=dns.rcode.NXDOMAIN),
        lambda query: b"",
        lambda query: query.to_wire(),
    ],
    ids=["another's name", "another class", "a circle", "SERVFAIL", "NXDOMAIN", "nothing", "the question itself"],
)
def test_what_is_no_answer_to_the_question_names_no_address(reply: Reply) -> None:
    assert heard(reply).addresses == ()


def test_noise_is_a_fault_and_never_an_error() -> None:
    chance = random.Random(20261121)
    whole = answering((f"{NAME}.", "IN", "A", "192.0.2.1"))

    def noise(query: dns.message.Message) -> bytes:
        wire = bytearray(whole(query))
        for _ in range(chance.randrange(1, 6)):
            wire[chance.randrange(2, len(wire))] = chance.randrange(256)
        return bytes(wire)

    with name_server(noise) as port:
        asker = Asker(["127.0.0.1"], port)
        found = [asker.ask(NAME)[0] for _ in range(150)]
    assert any(one.fault for one in found)
    assert all(len(one.addresses) <= 1 for one in found)


@pytest.mark.parametrize("name", ["a..b", "x" * 64 + ".com", "a." * 130])
def test_what_is_no_host_name_is_one_line(name: str) -> None:
    with pytest.raises(SpillwayError, match="is no host name") as caught:
        Asker(["127.0.0.1"], 9).ask(name)
    assert len(caught.value.lines) == 1


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("192.0.2.1", ("192.0.2.1", 53)),
        ("192.0.2.1:5353", ("192.0.2.1", 5353)),
        ("ns-1.awsdns-00.com.", ("ns-1.awsdns-00.com.", 53)),
        ("localhost:65535", ("localhost", 65535)),
        ("2001:db8::1", ("2001:db8::1", 53)),
        ("[2001:db8::1]:5353", ("2001:db8::1", 5353)),
        ("192.0.2.1:0", None),
        ("192.0.2.1:65536", None),
        ("192.0.2.1:", None),
        (":53", None),
        ("", None),
        ("[192.0.2.1]:53", None),
        ("[2001:db8::1]", None),
        ("2001:db8::g:53", None),
        ("a b", None),
        ("ns.example.com:53 ", None),
        ("ns:1" + "0" * 5000, None),
    ],
)
def test_a_name_server_is_a_host_with_or_without_a_port(text: str, means: tuple[str, int] | None) -> None:
    assert host_and_port(text) == means


@given(st.text())
def test_any_text_is_a_name_server_or_is_not(text: str) -> None:
    found = host_and_port(text)
    assert found is None or (found[0] and 1 <= found[1] <= 65535)
