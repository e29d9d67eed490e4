"""What the parent zone says, from messages as name servers send them."""

from __future__ import annotations

from dataclasses import dataclass, field

import dns.exception
import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spillway.preflight.delegation import ParentServers, rows
from spillway.preflight.global_context import Delegation, DnsZone
from spillway.preflight.model import Unanswered

REFERRAL = """id 1
opcode QUERY
rcode NOERROR
flags QR
;QUESTION
example.com. IN NS
;ANSWER
;AUTHORITY
example.com. 172800 IN NS NS-1.awsdns-00.com.
example.com. 172800 IN NS ns-2.awsdns-00.net.
;ADDITIONAL
ns-1.awsdns-00.com. 172800 IN A 192.0.2.1
"""
OWN_ANSWER = """id 1
opcode QUERY
rcode NOERROR
flags QR AA
;QUESTION
gpu.example.com. IN NS
;ANSWER
gpu.example.com. 300 IN NS ns-9.awsdns-00.org.
"""
NOT_THERE = """id 1
opcode QUERY
rcode NXDOMAIN
flags QR AA
;QUESTION
example.com. IN NS
;ANSWER
;AUTHORITY
com. 900 IN SOA a.gtld-servers.net. nstld.verisign-grs.com. 1 1800 900 604800 900
"""
REFUSED = """id 1
opcode QUERY
rcode REFUSED
flags QR
;QUESTION
example.com. IN NS
"""
ROOT_AND_COM = {
    ("com.", "NS"): ["b.gtld-servers.net.", "a.gtld-servers.net."],
    ("a.gtld-servers.net.", "A"): ["192.5.6.30"],
    ("b.gtld-servers.net.", "A"): ["192.33.14.30"],
    (".", "NS"): ["a.root-servers.net."],
}


@dataclass
class Recorded:
    """See delegation.Wire."""

    records: dict[tuple[str, str], list[str]] = field(default_factory=lambda: dict(ROOT_AND_COM))
    answers: dict[str, str | Exception] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def lookup(self, name: str, kind: str) -> list[str]:
        return self.records.get((name, kind), [])

    def ask(self, server: str, name: str) -> dns.message.Message:
        self.asked.append((server, name))
        answer = self.answers[server]
        if isinstance(answer, Exception):
            raise answer
        return dns.message.from_text(answer)


def test_a_referral_names_the_servers_that_the_parent_names() -> None:
    wire = Recorded(answers={"192.5.6.30": REFERRAL})
    found = ParentServers(wire).delegation("example.com")
    assert found == Delegation("com", ("ns-1.awsdns-00.com", "ns-2.awsdns-00.net"))
    assert wire.asked == [("192.5.6.30", "example.com")]


def test_the_parent_is_the_closest_zone_above_and_may_hold_the_answer_itself() -> None:
    records = {**ROOT_AND_COM, ("example.com.", "NS"): ["ns.example.com."], ("ns.example.com.", "A"): ["192.0.2.53"]}
    found = ParentServers(Recorded(records, {"192.0.2.53": OWN_ANSWER})).delegation("gpu.example.com")
    assert found == Delegation("example.com", ("ns-9.awsdns-00.org",))


def test_a_name_that_the_parent_does_not_know_is_not_delegated() -> None:
    assert ParentServers(Recorded(answers={"192.5.6.30": NOT_THERE})).delegation("example.com").name_servers == ()


def test_a_server_that_is_silent_or_refuses_leaves_it_to_the_next() -> None:
    for first in (
        dns.exception.Timeout(),  # type: ignore[no-untyped-call]
        OSError("unreachable"),
        REFUSED,
    ):
        wire = Recorded(answers={"192.5.6.30": first, "192.33.14.30": REFERRAL})
        assert len(ParentServers(wire).delegation("example.com").name_servers) == 2
    with pytest.raises(Unanswered, match="no name server of com answers") as caught:
        ParentServers(Recorded(answers=dict.fromkeys(["192.5.6.30", "192.33.14.30"], REFUSED))).delegation(
            "example.com"
        )
    assert caught.value.action == "look from elsewhere: dig +trace NS example.com"


def test_a_network_without_dns_is_an_open_question() -> None:
    class Offline(Recorded):
        def lookup(self, name: str, kind: str) -> list[str]:
            raise dns.exception.Timeout

    with pytest.raises(Unanswered, match="DNS is out of reach"):
        ParentServers(Offline()).delegation("example.com")
    with pytest.raises(Unanswered, match="the root has no name servers"):
        ParentServers(Recorded({})).delegation("example.com")


@given(
    own=st.sets(st.sampled_from(["a.net", "b.net", "c.net", "d.net"]), min_size=1),
    named=st.sets(st.sampled_from(["a.net", "b.net", "c.net", "d.net"])),
)
def test_only_exactly_the_zones_own_servers_are_right(own: set[str], named: set[str]) -> None:
    zone = DnsZone("Z1", "example.com", tuple(f"{server.upper()}." for server in sorted(own)))
    (row,) = rows("example.com", zone, Delegation("com", tuple(sorted(named))))
    assert (row.state == "ok") == (own == named)
