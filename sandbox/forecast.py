"""Reading and writing the weather file, for the command line and for tests."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Any

import yaml

from sandbox.clouds import WEATHER, claim, write_whole
from sandbox.rules import shown
from sandbox.store import STRIKES
from sandbox.weather import Down, Weather, load, parse
from spillway.errors import SpillwayError


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


def lift(directory: Path, *, cloud: str, region: str, address: str) -> list[Down]:
    """Remove the `down` entries whose cloud, region and address, as they were written, fit these patterns.

    Returns them. Raises SpillwayError when none fits, and says which there are.
    """
    weather = read(directory)
    wanted = {"cloud": cloud, "region": region, "address": address}

    def fits(entry: Down) -> bool:
        return all(fnmatch.fnmatchcase(getattr(entry, key), pattern) for key, pattern in wanted.items())

    gone = [entry for entry in weather.down if fits(entry)]
    if not gone:
        there = "; ".join(describe(entry) for entry in weather.down) or "nothing"
        given = ", ".join(f"--{key} {shown(value)}" for key, value in wanted.items() if value != "*") or "any"
        raise SpillwayError(f"weather: down: no entry fits {given}; down is: {there}")
    data = weather.model_dump(by_alias=True, exclude_defaults=True)
    left = [e.model_dump(by_alias=True, exclude_defaults=True) for e in weather.down if not fits(e)]
    data.pop("down")
    _write(directory, data | ({"down": left} if left else {}))
    return gone


def describe(entry: Down) -> str:
    """One `down` entry in a few words."""
    named = [f"{key} {value}" for key in ("cloud", "region", "address") if (value := getattr(entry, key)) != "*"]
    return f"{', '.join(named) or 'everything'} ({entry.kind})"


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
