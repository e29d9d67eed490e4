"""Weather: what the stand-in cloud is short of, and how its API misbehaves. A YAML file in the sandbox directory.

    soldOut:
      - {cloud: aws, region: us-east-1, zone: us-east-1*, type: p4d.*, market: spot}
    quotas:
      - {cloud: aws, region: us-east-1, name: L-417A185B, value: 96}
    faults:
      - {operation: create, type: aws:autoscaling/*, kind: throttle, times: 3}
    down:
      - {cloud: aws, region: us-east-1, kind: blackhole}

Names are shell patterns (`*` when left out). A fault strikes `times` calls (every call when left out):
throttle (the API refuses and the provider retries, up to 10 attempts), fail (refused with `message`), lose-answer (the
call is carried out and its answer lost), slow (`seconds` before the call is carried out), slow-answer (`seconds`
after).

`down` is about what serves, not about the API: the addresses that resources of a cloud and region hold refuse
connections (refused), swallow them (blackhole), answer 503 (error) or answer later than anybody waits (slow). An
address that no stand-in resource holds is somebody's own, and down only when an entry names it by `address`.
"""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from sandbox.clouds import DISTRIBUTIONS, known_clouds, package_of
from sandbox.rules import shown
from spillway.errors import SpillwayError

Operation = Literal["create", "read", "update", "delete", "invoke", "*"]
FaultKind = Literal["throttle", "fail", "lose-answer", "slow", "slow-answer"]
DownKind = Literal["refused", "blackhole", "error", "slow"]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    cloud: str = "*"

    @field_validator("cloud")
    @classmethod
    def _fits_a_cloud(cls, pattern: str) -> str:
        """As the stand-ins are called; one that there is not would be weather nowhere, and nobody told."""
        pattern = package_of(pattern)
        if not any(_hit(cloud, pattern) for cloud in DISTRIBUTIONS):
            raise PydanticCustomError("no_cloud", "fits no stand-in cloud; they are " + known_clouds())
        return pattern


class SoldOut(_Entry):
    """Region, zone, machine type and market with no capacity."""

    region: str = "*"
    zone: str = "*"
    type: str = "*"
    market: Literal["spot", "on-demand", "*"] = "*"


class Quota(_Entry):
    """A quota of the account that differs from the default."""

    region: str = "*"
    name: str
    value: float = Field(ge=0, allow_inf_nan=False)


class ApiFault(_Entry):
    """A misbehaviour of the API for some operations on some types."""

    operation: Operation = "*"
    type: str = "*"
    name: str = "*"
    kind: FaultKind
    times: int | None = Field(default=None, ge=1)
    seconds: float = Field(default=1.0, ge=0, le=600, allow_inf_nan=False)
    message: str = Field(default="InternalError: An internal error has occurred.", pattern=r"^[^\r\n]*\S[^\r\n]*$")


class Down(_Entry):
    """Addresses that do not serve."""

    region: str = "*"
    address: str = "*"
    kind: DownKind = "blackhole"


class Weather(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    sold_out: tuple[SoldOut, ...] = Field(default=(), alias="soldOut")
    quotas: tuple[Quota, ...] = ()
    faults: tuple[ApiFault, ...] = ()
    down: tuple[Down, ...] = ()

    def is_sold_out(self, cloud: str, zone: str, machine_type: str, market: str) -> bool:
        return any(
            _hit(cloud, s.cloud)
            and _hit(region_of(cloud, zone), s.region)
            and _hit(zone, s.zone)
            and _hit(machine_type, s.type)
            and s.market in (market, "*")
            for s in self.sold_out
        )

    def quota(self, cloud: str, region: str, name: str, default: float) -> float:
        """The last entry that fits wins."""
        for entry in reversed(self.quotas):
            if _hit(cloud, entry.cloud) and _hit(region, entry.region) and _hit(name, entry.name):
                return entry.value
        return default

    def serving(self, address: str, cloud: str | None, region: str | None) -> DownKind | None:
        """How an address fails, None when it serves; the last entry that fits wins.

        cloud, region: of the resource that holds the address; None when no resource does.
        """
        for entry in reversed(self.down):
            if cloud is None or region is None:
                fits = (entry.cloud, entry.region) == ("*", "*") and entry.address != "*"
            else:
                fits = _hit(cloud, entry.cloud) and _hit(region, entry.region)
            if fits and _hit(address, entry.address):
                return entry.kind
        return None

    def faults_for(self, cloud: str, operation: str, token: str, name: str) -> list[tuple[str, ApiFault]]:
        """(key for counting strikes, fault) of every fault that fits a call."""
        return [
            (f"{i}:{f.model_dump_json()}", f)
            for i, f in enumerate(self.faults)
            if _hit(cloud, f.cloud) and f.operation in (operation, "*") and _hit(token, f.type) and _hit(name, f.name)
        ]


def region_of(cloud: str, zone: str) -> str:
    """The region of a zone as the stand-ins write it: us-east-1a, us-central1-a, ap-guangzhou-3, eastus-1 (or eastus,
    of machines in no zone)."""
    if cloud == "aws":
        return zone.rstrip("abcdefghijklmnopqrstuvwxyz") or zone
    return zone.rpartition("-")[0] or zone


def _hit(value: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(value, pattern)


class WeatherError(SpillwayError):
    """A weather file that says what nobody can mean; one line per fault."""


def load(path: Path) -> Weather | None:
    """The weather of a file, None when there is none. Raises WeatherError."""
    try:
        return parse(path.read_text("utf-8"), str(path))
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise WeatherError(f"{path}: byte {error.start}: not UTF-8 text") from None
    except OSError as error:
        raise WeatherError(f"{path}: cannot be read: {error.strerror or error}") from None


def parse(text: str, name: str = "weather.yaml") -> Weather:
    """Raises WeatherError with the file, key, value and what is allowed."""
    try:
        data: Any = yaml.safe_load(text)
        return Weather.model_validate({} if data is None else data)
    except yaml.YAMLError as error:
        raise WeatherError(f"{name}: not valid YAML: {' '.join(str(error).split())}") from None
    except (ValueError, RecursionError) as error:
        if not isinstance(error, ValidationError):  # a date or a tag that is none
            raise WeatherError(f"{name}: not valid YAML: {' '.join(str(error).split())}") from None
        raise WeatherError(*(f"{name}: {_fault(e)}" for e in error.errors())) from None


_WORDS = {
    "missing": "is required",
    "tuple_type": "has to be a list",
    "string_type": "has to be text",
    "int_type": "has to be a whole number",
    "float_type": "has to be a number",
    "model_type": "has to be a map",
    "string_pattern_mismatch": "has to be one line of text",
    "finite_number": "has to be a number, and not infinite",
}


def _fault(error: Any) -> str:
    """One of pydantic's errors: key, value and what is allowed."""
    where = ".".join(map(str, error["loc"])) or "top level"
    value = "" if error["type"] == "missing" else f" = {shown(error['input'])}"
    section = _SECTIONS.get(str(error["loc"][0])) if len(error["loc"]) > 1 else Weather
    known = [f.alias or name for name, f in section.model_fields.items()] if section else []
    if error["type"] in ("extra_forbidden", "invalid_key"):
        return f"{where}{value}: unknown key; allowed are {', '.join(known)}"
    return f"{where}{value}: {_WORDS.get(error['type'], error['msg'].replace('Input should', 'has to'))}"


_SECTIONS: dict[str, type[BaseModel]] = {"soldOut": SoldOut, "quotas": Quota, "faults": ApiFault, "down": Down}
