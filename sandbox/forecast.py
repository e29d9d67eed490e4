"""Reading and writing the weather file, for the command line and for tests."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Any, get_args

import yaml

from infra.faults import shown
from sandbox.clouds import WEATHER, claim, package_of, write_whole
from sandbox.store import STRIKES
from sandbox.weather import Down, DownKind, Weather, load, parse
from spillway.errors import SpillwayError

_NAMED = 6
"""So many addresses are named in a line."""


def read(directory: Path) -> Weather:
    """The weather of a sandbox; fair when there is no file. Raises WeatherError for a faulty file."""
    return load(directory / WEATHER) or Weather()


def add(directory: Path, section: str, entry: dict[str, Any]) -> None:
    """Append one entry to a section (`soldOut`, `quotas`, `faults`, `down`). Raises WeatherError for a bad one."""
    data = read(directory).model_dump(by_alias=True, exclude_defaults=True)
    entries = [*data.get(section, ()), entry]
    data[section] = entries
    _write(directory, data)


def _write(directory: Path, data: dict[str, Any]) -> None:
    text = yaml.safe_dump({key: [dict(e) for e in value] for key, value in data.items()}, sort_keys=False)
    parse(text, "weather")
    claim(directory)
    write_whole(directory / WEATHER, text)


def take_down(directory: Path, *, cloud: str, region: str, address: str, kind: str) -> str:
    """Append a `down` entry; says in a line what is down, and which addresses of now that hits.

    Raises SpillwayError for patterns that name nothing, and for an unknown kind.
    """
    if kind not in (kinds := get_args(DownKind)):
        raise SpillwayError(f"--kind = {shown(kind)}: allowed are {', '.join(kinds)}")
    add(directory, "down", {"cloud": cloud, "region": region, "address": address, "kind": kind})
    return (
        f"down: {describe(read(directory).down[-1])}: {_hits(directory, cloud=cloud, region=region, address=address)}"
    )


def _hits(directory: Path, *, cloud: str, region: str, address: str) -> str:
    """What a `down` entry hits now, in words: how many of the stand-in's addresses, and which others it names."""
    from sandbox.dns.authority import Authority, Snapshot
    from sandbox.dns.clock import Clock
    from sandbox.dns.health import Scripted

    snapshot = Snapshot.load(directory)
    entry = Weather(down=(Down(cloud=cloud, region=region, address=address),))
    held = [a for a, h in snapshot.holders.items() if entry.serving(a, h.cloud, h.region)]
    try:
        checked = Authority(snapshot, Clock(), Scripted(snapshot.held)).checked()
    except SpillwayError:  # half deployed: nobody checks anything yet
        checked = []
    own = [a for a in checked if a not in snapshot.holders and entry.serving(a, None, None)]
    others = f"{', '.join(own)} outside of the stand-in, which checks look at" if own else ""
    if not held:
        return others or "no address of the stand-in is there now"
    count = f"{len(held)} of the stand-in's addresses" if len(held) > 1 else "1 address of the stand-in"
    names = ", ".join(held[:_NAMED]) + (", ..." if len(held) > _NAMED else "")
    return f"{count} ({names})" + (f", and {others}" if others else "")


def lift(directory: Path, *, cloud: str, region: str, address: str) -> list[Down]:
    """Remove the `down` entries whose cloud, region and address, as they were written, fit these patterns.

    Returns them: none when nothing is down. Raises SpillwayError when others are, and says which.
    """
    weather = read(directory)
    wanted = {"cloud": package_of(cloud), "region": region, "address": address}

    def fits(entry: Down) -> bool:
        return all(fnmatch.fnmatchcase(getattr(entry, key), pattern) for key, pattern in wanted.items())

    gone = [entry for entry in weather.down if fits(entry)]
    if not gone:
        if not weather.down:
            return []
        there = "; ".join(describe(entry) for entry in weather.down)
        given = ", ".join(f"--{key} {shown(value)}" for key, value in wanted.items() if value != "*")
        raise SpillwayError(f"weather: down: no entry fits {given}; down is: {there}")
    data = weather.model_dump(by_alias=True, exclude_defaults=True)
    left = [e.model_dump(by_alias=True, exclude_defaults=True) for e in weather.down if not fits(e)]
    data.pop("down")
    _write(directory, data | ({"down": left} if left else {}))
    return gone


def describe(entry: Down) -> str:
    """One `down` entry in a few words."""
    named = [f"{key} {value}" for key in ("cloud", "region", "address") if (value := getattr(entry, key)) != "*"]
    return f"{', '.join(named) or 'everything of the stand-in clouds'} ({entry.kind})"


def clear(directory: Path) -> None:
    """Remove the weather file, and forget how often its faults struck."""
    (directory / WEATHER).unlink(missing_ok=True)
    for suffix in ("", "-wal", "-shm"):
        (directory / f"{STRIKES}{suffix}").unlink(missing_ok=True)


def text(weather: Weather) -> str:
    """The weather as the YAML a person would write."""
    data = weather.model_dump(by_alias=True, exclude_defaults=True, mode="json")
    return (
        yaml.safe_dump(data, sort_keys=False).rstrip()
        if data
        else "fair: nothing sold out, default quotas, no faults, nothing down"
    )
