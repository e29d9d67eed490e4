"""The clients of a scenario: how they go by names, how many requests come when, how long those are, and by which record
a node answers them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from infra.dns.sections import StackName
from infra.sections import AwsRegionName, HostName, Listed, Section, text

Weight = Annotated[float, Field(ge=0, le=1_000_000)]
Words = Annotated[str, text(r"^\S.{0,199}$", "some words")]


class Keeping(Section):
    """Clients that use an answer for longer than its TTL says."""

    share: float = Field(gt=0, le=1)
    """Of all clients."""
    seconds: float = Field(gt=0, le=31_536_000)
    """For which they keep it at least; of a connection: mean length."""
    connections: bool = False
    """Whether they hold a connection for so long, whatever names mean meanwhile, instead of an answer."""
    source: Words
    """Where both figures are from."""


class ClientsOf(Section):
    """How clients go by names; left out, all of them honour the TTL, as `spillway dns budget` counts them."""

    where: dict[AwsRegionName, Weight] | None = Field(default=None, max_length=100)
    """AWS region nearest to them -> share; left out: evenly where a service's members are."""
    keeping: Listed[Keeping] = ()
    """Those that go by an answer for longer."""
    stale: float = Field(default=0.0, ge=0, le=1)
    """Share whose resolvers go on with an old answer while no name server answers (RFC 8767)."""


class Retries(Section):
    """What clients do when a try is not answered; the defaults are those of OpenAI's Python client."""

    tries: int = Field(default=3, ge=1, le=20)
    """In all; 1: never again."""
    backoff_seconds: float = Field(default=0.5, ge=0.01, le=600)
    """Mean pause before the second try."""
    factor: float = Field(default=2.0, ge=1, le=10)
    """By which each further pause is longer."""
    most_seconds: float = Field(default=8.0, ge=0.01, le=3600)
    """Of a pause."""


class Load(Section):
    """Requests of clients: open loop, with a day and a week."""

    per_second: float | None = Field(default=None, ge=0, le=1_000_000, examples=[4])
    """Requests per second, mean of a working day; left out: by `utilisation`."""
    utilisation: float = Field(default=0.6, gt=0, le=10)
    """Busiest hour's requests, of what the targets of the service's first choice can answer at most. Only where
    `perSecond` is left out."""
    shares: dict[HostName, Weight] = Field(default_factory=dict, max_length=100)
    """Service -> weight of its requests; left out: all call the first service that is bound to no residency."""
    profile: Literal["office", "flat"] = "office"
    """Of the day: most at 15:00, least at 03:00; or the same in every hour."""
    weights: Listed[Weight] | None = Field(default=None, min_length=24, max_length=24)
    """Of the day, by the hour, instead of a profile."""
    weekend: float = Field(default=0.6, ge=0, le=100)
    """Factor on Saturdays and Sundays."""
    utc_offset_hours: float = Field(default=0.0, ge=-14, le=14)
    """Of the clients' time zone."""
    isl: int = Field(default=1024, ge=1, le=10_000_000)
    """Tokens of a prompt, mean."""
    osl: int = Field(default=512, ge=1, le=1_000_000)
    """Tokens of an answer, mean."""
    limit_seconds: float = Field(default=10.0, gt=0, le=3600)
    """Time to first token beyond which an answer is late."""
    retry: Retries = Field(default_factory=Retries.model_construct)
    """What clients do when a try is not answered."""
    record: Words | None = None
    """A throughput record: its path; left out: the newest of cost/data/throughput."""
    model: Words | None = None
    """Words of the record's series; left out: the nearest in size to the region's model."""
    factor: float | None = Field(default=None, gt=0, le=10_000)
    """How much faster a node is than what was measured; left out: by bandwidth and FLOP/s of both machines."""
    why: Words | None = None
    """Why `factor` holds."""
    factors: dict[StackName, Annotated[float, Field(gt=0, le=10_000)]] = Field(default_factory=dict, max_length=100)
    """By region stack, where nodes differ."""
