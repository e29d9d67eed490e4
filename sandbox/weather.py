"""Weather: what the stand-in cloud is short of, and how its API misbehaves. A YAML file in the sandbox directory.

    soldOut:
      - {cloud: aws, zone: us-east-1*, type: p4d.*, market: spot}
    quotas:
      - {cloud: aws, region: us-east-1, name: L-417A185B, value: 96}
    faults:
      - {operation: create, type: aws:autoscaling/*, kind: throttle, times: 3}

Names are shell patterns (`*` when left out). A fault strikes `times` calls (every call when left out):
throttle (the API refuses and the provider retries, up to 10 attempts), fail (refused with `message`), lose-answer (the
call is carried out and its answer lost), slow (`seconds` before the call is carried out), slow-answer (`seconds`
after).
"""

from __future__ import annotations

import fnmatch
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

Operation = Literal["check", "create", "read", "update", "delete", "invoke", "*"]
FaultKind = Literal["throttle", "fail", "lose-answer", "slow", "slow-answer"]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    cloud: str = "*"


class SoldOut(_Entry):
    """Zone, machine type and market with no capacity."""

    zone: str = "*"
    type: str = "*"
    market: Literal["spot", "on-demand", "*"] = "*"


class Quota(_Entry):
    """A quota of the account that differs from the default."""

    region: str = "*"
    name: str
    value: float = Field(ge=0)


class ApiFault(_Entry):
    """A misbehaviour of the API for some operations on some types."""

    operation: Operation = "*"
    type: str = "*"
    name: str = "*"
    kind: FaultKind
    times: int | None = Field(default=None, ge=1)
    seconds: float = Field(default=1.0, ge=0, le=600)
    message: str = "InternalError: An internal error has occurred."


class Weather(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    sold_out: tuple[SoldOut, ...] = Field(default=(), alias="soldOut")
    quotas: tuple[Quota, ...] = ()
    faults: tuple[ApiFault, ...] = ()

    def is_sold_out(self, cloud: str, zone: str, machine_type: str, market: str) -> bool:
        return any(
            _hit(cloud, s.cloud) and _hit(zone, s.zone) and _hit(machine_type, s.type) and s.market in (market, "*")
            for s in self.sold_out
        )

    def quota(self, cloud: str, region: str, name: str, default: float) -> float:
        """The last entry that fits wins."""
        for entry in reversed(self.quotas):
            if _hit(cloud, entry.cloud) and _hit(region, entry.region) and _hit(name, entry.name):
                return entry.value
        return default

    def faults_for(self, cloud: str, operation: str, token: str, name: str) -> list[tuple[str, ApiFault]]:
        """(key for counting strikes, fault) of every fault that fits a call."""
        return [
            (f"{i}:{f.model_dump_json()}", f)
            for i, f in enumerate(self.faults)
            if _hit(cloud, f.cloud) and f.operation in (operation, "*") and _hit(token, f.type) and _hit(name, f.name)
        ]


def _hit(value: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(value, pattern)


class WeatherError(ValueError):
    """A weather file that says what nobody can mean; one line per fault."""


def parse(text: str, name: str = "weather.yaml") -> Weather:
    """Raises WeatherError with the file, key, value and what is allowed."""
    try:
        data: Any = yaml.safe_load(text) or {}
        return Weather.model_validate(data)
    except yaml.YAMLError as error:
        raise WeatherError(f"{name}: not valid YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        lines = [
            f"{name}: {'.'.join(map(str, e['loc'])) or 'top level'} = {e['input']!r}: {e['msg']}"
            for e in error.errors()
        ]
        raise WeatherError("\n".join(lines)) from None
