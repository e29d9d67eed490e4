"""What a name server answers, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

NOERROR, NXDOMAIN, REFUSED = "NOERROR", "NXDOMAIN", "REFUSED"


class Step(NamedTuple):
    """One choice on the way: the name asked for, the record set chosen there, and the reason."""

    name: str
    chosen: str
    why: str


class Link(NamedTuple):
    """A CNAME that was followed."""

    name: str
    target: str
    ttl: int


@dataclass(frozen=True, slots=True)
class Answer:
    """name, type: the question. ttl: seconds, of the final records (for a resolver, `lifetime`).

    values: addresses for A and AAAA. steps: the way through the tree. links: CNAMEs on the way. origin: for a name
    whose requests go through a proxy, the address that a request would reach now.
    """

    name: str
    type: str
    rcode: str = NOERROR
    values: tuple[str, ...] = ()
    ttl: int = 0
    steps: tuple[Step, ...] = ()
    links: tuple[Link, ...] = ()
    origin: str | None = None

    @property
    def path(self) -> tuple[str, ...]:
        """The record sets chosen, top down."""
        return tuple(step.chosen for step in self.steps)

    @property
    def why(self) -> str:
        return "; ".join(f"{step.chosen}: {step.why}" for step in self.steps)

    @property
    def lifetime(self) -> int:
        """Seconds that a resolver may keep the whole answer: the least TTL in it."""
        return min([self.ttl, *(link.ttl for link in self.links)])

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where requests end up: behind a proxy its origin, otherwise the values."""
        return (self.origin,) if self.origin else self.values

    def describe(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "name": self.name,
            "type": self.type,
            "rcode": self.rcode,
            "values": list(self.values),
            "ttl": self.ttl,
            "cnames": [link._asdict() for link in self.links],
            "path": [step._asdict() for step in self.steps],
            **({"origin": self.origin} if self.origin else {}),
        }
