"""What is rehearsed: which weeks of which trace, at whose prices, and what goes wrong. A few lines of YAML.

    scenario = load("region-dark-at-peak")          # one that is shipped
    scenario = load(Path("mine.yaml"))

Strict as a stack file, and refused in the same words: every fault at once, one line each. `python -m
rehearsal.scenario` prints the JSON Schema for editors.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from infra import stackfile
from infra.dns.sections import StackName
from infra.faults import ConfigError, Fault, did_you_mean, listed
from infra.sections import HostName, Listed, MachineName, ReservationId, Section, Word, text
from infra.validation import validate
from rehearsal.scenario_load import ClientsOf, Load

FOLDER: Final = Path(__file__).parent / "scenarios"
SCHEMA: Final = FOLDER / "scenario.schema.json"
DAY: Final = 86_400.0

Duration = Annotated[str, text(r"^[0-9]+[dhm]( [0-9]+[hm])?( [0-9]+m)?$", "a length of time such as 3h, 90m or 1d 12h")]
Moment = Annotated[
    str,
    text(
        r"^day [1-9][0-9]{0,2} ([01][0-9]|2[0-3]):[0-5][0-9]$",
        "a time in UTC such as day 3 14:00; day 1 is the date of the scenario's first second",
    ),
]
Pattern = Annotated[
    str, text(r"^[A-Za-z0-9*?\[\]._-]{1,64}$", "a name, * and ? for any characters, or first for the first choice")
]
Trace = Annotated[str, text(r"^[^\s].{0,255}$", "the name of a recorded trace, or a path")]
Prices = Annotated[
    str,
    text(r"^\S[^\n]{0,255}$", 'snapshot, a snapshot\'s date in quotes such as "2026-11-26", or a list by name or path'),
]
PriceSeries = Annotated[str, text(r"^\S[^\n]{0,250}\.csv$", "the path of a .csv file")]
Sentence = Annotated[str, text(r"^\S.{0,299}$", "one line of text")]
What = Literal[
    "dark", "spot", "on-demand", "throttled", "boot", "price", "checkers-blind", "dns-provider-down", "surge", "quota",
    "flap", "deploy",
]  # fmt: skip
Market = Literal["spot", "on-demand", "both"]


class Synthetic(Section):
    """A trace that nobody recorded: every zone gives many, few or none for times of random length (a Markov chain), and
    regions or all of them are gone at once. Hours are means."""

    up_hours: float = Field(default=6.0, gt=0, le=8760)
    """Of a stretch in which a zone gives one number."""
    down_hours: float = Field(default=2.0, gt=0, le=8760)
    """Of a stretch in which it gives nothing."""
    empty: float = Field(default=0.5, ge=0, le=1)
    """Share of the stretches after which it gives nothing."""
    most: int = Field(default=16, ge=1, le=10_000)
    """Nodes that a zone gives at most."""
    region_up_hours: float | None = Field(default=None, gt=0, le=87_600)
    """Between two times in which a whole region gives nothing; left out: there are none."""
    region_down_hours: float = Field(default=1.0, gt=0, le=8760)
    """Of such a time."""
    fleet_up_hours: float | None = Field(default=None, gt=0, le=87_600)
    """Between two times in which no region gives anything; left out: there are none."""
    fleet_down_hours: float = Field(default=0.5, gt=0, le=8760)
    """Of such a time."""
    step_seconds: int = Field(default=600, ge=10, le=86_400)
    """Between two rounds."""


class MachineScale(Section):
    """How the recorded machine stands for the stacks' own."""

    per_node: int = Field(default=1, ge=1, le=1024)
    """How many of the recorded machines a node takes; 1: counts are taken as they are."""


class Rates(Section):
    """Prices that no list has. Whatever is billed by them is told with the source."""

    source: Sentence = Field(examples=["quote of 2026-06-30"])
    """Where they are from."""
    per_type: dict[MachineName, Annotated[float, Field(gt=0, le=100_000)]] = Field(default_factory=dict, max_length=200)
    """USD per hour by machine type."""


class SpotRates(Rates):
    """Spot prices where the list has none."""

    ratio: float | None = Field(default=None, gt=0, le=1)
    """Of the on-demand price, for types without a price of their own."""


class Boot(Section):
    """How long a node takes from launch to ready, where it is not what its stack counts on."""

    minutes: float | None = Field(default=None, ge=0, le=1440)
    """In every region."""
    per_stack: dict[StackName, Annotated[float, Field(ge=0, le=1440)]] = Field(default_factory=dict, max_length=100)
    """Minutes by region stack."""


class CapacityBlock(Section):
    """What was bought with a capacity block of a stack, which no stack file says."""

    machine: MachineName = Field(examples=["p5.48xlarge"])
    """Its machine type."""
    zone: Pattern
    """Where."""
    count: int = Field(ge=1, le=1000)
    """Nodes."""
    begins: Moment | None = None
    """When they come; left out: they are there when the rehearsal begins."""
    ends: Moment | None = None
    """When the block ends, 45 minutes after its group went to zero; left out: after the rehearsal."""
    usd: float | None = Field(default=None, ge=0, le=100_000_000)
    """Paid in advance for the time within the rehearsal; left out: not in the figures, which is told."""


class KeeperSettings(Section):
    """The keeper, in the variant that has it."""

    look_minutes: int = Field(default=1, ge=1, le=1440)
    """Between two looks."""
    availability: float | None = Field(default=None, gt=0, lt=1)
    """Its objective; left out: its own."""
    region_share: float | None = Field(default=None, gt=0, le=1)
    """Most of the target that may lie in one region; left out: the keeper's own."""
    cloud_share: float | None = Field(default=None, gt=0, le=1)
    """Most of the target that may lie in one cloud; left out: the keeper's own."""


class Event(Section):
    """Something that happens. Events of one kind that overlap: the worst holds, factors multiply. An event holds from
    `at` up to `at` + `for`, its last second not included."""

    at: Moment = Field(examples=["day 3 14:00"])
    """When it begins."""
    lasts: Duration | None = Field(default=None, alias="for", examples=["3h"])
    """How long; left out: to the end."""
    what: What
    """What happens."""
    region: Pattern | None = None
    """Region stacks or regions that it happens to."""
    cloud: Pattern | None = None
    """Clouds."""
    zone: Pattern | None = None
    """Zones."""
    member: Pattern | None = None
    """Members of the global stack: for those that are no region stack."""
    service: HostName | Literal["*"] | None = None
    """Name that clients call."""
    count: int | None = Field(default=None, ge=0, le=10_000)
    """Spot nodes that each zone gives, whatever the trace says."""
    limit: int | None = Field(default=None, ge=0, le=10_000)
    """Nodes that there are at most: in each zone (spot, flap), in each region (on-demand, quota)."""
    minutes: float | None = Field(default=None, ge=0, le=1440)
    """Boot time of what is launched meanwhile."""
    hangs: bool = False
    """What is launched meanwhile never gets ready."""
    factor: float | None = Field(default=None, gt=0, le=1000)
    """By which prices or requests are multiplied."""
    market: Market | None = None
    """Whose price, whose quota."""
    period: Duration | None = None
    """Of a zone that flaps: half of it the trace holds, half of it the limit."""
    silent: bool = False
    """Checkers that are blind report nothing, so that what they said last stays, instead of failing everywhere."""
    blackhole: bool = False
    """A dark place answers nothing at all, instead of refusing connections."""
    why: Sentence | None = None
    """A note for the report."""


PLACES: Final = ("region", "cloud", "zone", "member", "service")
_KEYS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]]] = {
    # what: places it may name, keys of which it needs one or all, keys it may have
    "dark": (("region", "cloud", "zone", "member"), (), ("blackhole",)),
    "spot": (("region", "cloud", "zone"), ("count", "limit"), ()),
    "on-demand": (("region", "cloud"), ("limit",), ()),
    "throttled": (("region", "cloud"), (), ()),
    "boot": (("region", "cloud"), ("minutes", "hangs"), ()),
    "price": (("region", "cloud", "zone"), ("factor",), ("market",)),
    "checkers-blind": ((), (), ("silent",)),
    "dns-provider-down": ((), (), ()),
    "surge": (("service",), ("factor",), ()),
    "quota": (("region", "cloud"), ("limit",), ("market",)),
    "flap": (("region", "cloud", "zone"), ("period",), ("limit",)),
    "deploy": (("region", "cloud"), (), ()),
}
_COMMON: Final = ("at", "lasts", "what", "why")
_FURTHEST: Final = 3650 * DAY
"""Into a trace: what is longer than any, and still a date of the calendar."""
REGION_KINDS: Final = frozenset({"dark", "spot", "on-demand", "throttled", "boot", "price", "quota", "flap", "deploy"})


class Scenario(Section):
    """One rehearsal."""

    name: Word
    """Short, as its file is named."""
    title: Sentence
    """What it is called in reports."""
    shows: Sentence
    """One sentence: what it shows."""
    days: float = Field(gt=0, le=366, examples=[14])
    """How long."""
    trace: Trace | None = Field(default=None, examples=["gcp-h100-2025-10"])
    """Recorded spot capacity: its name, or the path of a file or folder. What is shorter than `days` is repeated."""
    synthetic: Synthetic | None = None
    """Instead of a recorded trace."""
    start: Duration = "0m"
    """How far into the trace it begins."""
    prices: Prices = "snapshot"
    """`snapshot`: the newest of cost/data/prices; or one of them by its date; or a price list's name or path."""
    price_series: PriceSeries | None = Field(default=None, examples=["spot-prices.csv"])
    """Prices of zones as they moved, which go before the list's: a CSV file's path."""
    spot_prices: SpotRates | None = None
    """Where the list has no spot price."""
    on_demand_prices: Rates | None = None
    """Where the list has no on-demand price."""
    mapping: dict[StackName, dict[str, Pattern]] = Field(default_factory=dict, max_length=100)
    """Stack, its zone -> zone or region of the trace that stands for it; stacks left out go by the fixed rule."""
    machine: MachineScale = Field(default_factory=MachineScale.model_construct)
    """How the recorded machine stands for the stacks' own."""
    capacity_blocks: dict[ReservationId, CapacityBlock] = Field(default_factory=dict, max_length=100)
    """By reservation; blocks of a stack that are left out hold nothing, which is told."""
    target: int | None = Field(default=None, ge=1, le=10_000)
    """Replicas that the fleet has to have ready; left out: the regions' targets together."""
    stacks: Listed[StackName] | None = None
    """Region stacks that are played; left out: those that a service of the global stack reaches."""
    boot: Boot = Field(default_factory=Boot.model_construct)
    """Boot times."""
    clients: ClientsOf = Field(default_factory=ClientsOf.model_construct)
    """How clients go by names."""
    load: Load | None = None
    """Requests of clients; left out: none are played."""
    keeper: KeeperSettings = Field(default_factory=KeeperSettings.model_construct)
    """The keeper's settings."""
    repeat: int = Field(default=0, ge=0, le=100_000)
    """Plays from other starts and seeds besides, for the spread of each figure."""
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    """Of everything random."""
    events: Listed[Event] = ()
    """What happens."""

    @property
    def seconds(self) -> float:
        """Length, whole minutes."""
        return max(60.0, round(self.days * 1440) * 60.0)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A scenario, the file's name as messages have it, its text, and the folder in which its paths begin."""

    scenario: Scenario
    file: str
    text: str
    folder: Path


def seconds_of(text: str) -> float:
    """`1d 12h` -> 129,600."""
    units = {"d": DAY, "h": 3600.0, "m": 60.0}
    return sum(float(part[:-1]) * units[part[-1]] for part in text.split())


def second_of(moment: str, begin: datetime) -> float:
    """Seconds from `begin` to `day 3 14:00`; below 0 where that is before."""
    _, day, clock = moment.split()
    hours, minutes = clock.split(":")
    midnight = begin.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    at = midnight + timedelta(days=int(day) - 1, hours=int(hours), minutes=int(minutes))
    return (at - begin).total_seconds()


def shipped() -> tuple[str, ...]:
    """Names of the scenarios that come along: first what nothing goes wrong in."""
    names = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    return tuple(sorted(names, key=lambda name: name != "normal-fortnight"))


def load(which: str | Path) -> Loaded:
    """A shipped scenario by name, or one from a file. Raises ConfigError: one line for each fault."""
    path = Path(which)
    known = shipped()
    if isinstance(which, str) and which in known:
        path = FOLDER / f"{which}.yaml"
    elif not path.exists() or path.is_dir():
        hint = did_you_mean(str(which), known)
        raise ConfigError([f"scenario {which}: neither a file nor shipped{hint}; shipped are {listed(known, 'and')}"])
    name = path.name
    return Loaded(parse(stackfile.document(path, name), name), name, path.read_text("utf-8"), path.parent)


def parse(data: object, file: str) -> Scenario:
    """A scenario from what its YAML holds. Raises ConfigError with every fault, each with `file`."""
    if not isinstance(data, dict):
        raise ConfigError([Fault((), "the file has to be a map with name, title, shows, days and trace").line(file)])
    found, faults = validate(Scenario, data)
    present = found.__dict__.keys()
    if {"trace", "synthetic"} <= present:
        faults += _supply(found)
    if "start" in present and seconds_of(found.start) > _FURTHEST:
        faults.append(Fault(("start",), f"has to be at most {_FURTHEST / DAY:.0f}d", found.start))
    if found.__dict__.get("stacks") == ():
        faults.append(Fault(("stacks",), "names none; leave it out for those that a service reaches"))
    if (load := found.__dict__.get("load")) is not None:
        faults += [fault.below("load") for fault in _load(load)]
    if "events" in present:
        for number, event in enumerate(found.events):
            faults += [fault.below("events", number) for fault in _event(event)]
            if event.what == "surge" and "load" in present and found.load is None:
                why = "multiplies requests, and none are played; `load: {}` plays some"
                faults.append(Fault(("events", number, "what"), why, event.what))
    if faults:
        raise ConfigError(fault.line(file) for fault in faults)
    return found


def _supply(found: Scenario) -> Iterator[Fault]:
    if (found.trace is None) == (found.synthetic is None):
        told = "missing" if found.trace is None else "given beside synthetic"
        yield Fault(("trace",), f"{told}; a scenario has a trace or a synthetic one")


def _load(load: Load) -> Iterator[Fault]:
    """What would be read and do nothing."""
    given = load.model_fields_set
    for key, other in (("utilisation", "per_second"), ("profile", "weights")):
        if {key, other} <= given and getattr(load, other) is not None:
            yield Fault((key,), f"goes without {Load.model_fields[other].alias or other}, which says it already")


def _event(event: Event) -> Iterator[Fault]:
    places, needed, may = _KEYS[event.what]
    given = [name for name in Event.model_fields if name in event.model_fields_set and name not in _COMMON]
    for name in given:
        if name not in (*places, *needed, *may):
            goes = listed((*places, *needed, *may), "and") if (*places, *needed, *may) else "nothing but at and for"
            yield Fault((name,), f"does not go with what: {event.what}; that takes {goes}", getattr(event, name))
    if needed and not any(name in given for name in needed):
        yield Fault(needed[:1], f"missing; what: {event.what} needs {listed(needed)}")
    if event.member is not None and any(getattr(event, name) is not None for name in ("region", "cloud", "zone")):
        yield Fault(("member",), "goes without region, cloud and zone: it is a member that is no region stack")
    if event.what == "deploy" and event.lasts is not None:
        yield Fault(("for",), "does not go with what: deploy; it ends when every node is a new one", event.lasts)
    for key, length in (("for", event.lasts), ("period", event.period)):
        if length is not None and seconds_of(length) <= 0:
            yield Fault((key,), "has to be a length above 0", length)
    if event.period is not None and seconds_of(event.period) % 120:
        yield Fault(("period",), "has to be an even number of minutes: each half is whole ones", event.period)


@cache
def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a scenario's file."""
    from infra.schema import single

    return single(
        Scenario,
        "Spillway scenario",
        "One rehearsal for `spillway rehearse --scenario`. Made by `python -m rehearsal.scenario`.",
    )


def dates(begin: float | None, start: str, first: datetime) -> datetime:
    """UTC time of second 0. begin: unix seconds of the trace's first round; first: taken where it has no dates."""
    base = datetime.fromtimestamp(begin, UTC) if begin is not None else first
    found = base + timedelta(seconds=seconds_of(start))
    return found.replace(second=0, microsecond=0)


if __name__ == "__main__":
    from infra.schema import text as schema_text
    from rehearsal import scenario  # whose classes know their module's name, by which their docstrings are found

    sys.stdout.write(schema_text(scenario.json_schema()))
