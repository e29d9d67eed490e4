"""Pushing, showing and changing the secrets of several regions, with a result for each: one region that fails keeps no
other from getting what it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from spillway.errors import SpillwayError
from spillway.regions import side_by_side
from spillway.secrets import keys, pem
from spillway.secrets.keys import ApiKey
from spillway.secrets.store import KINDS, Denied, Held, Kind, NotThere, SecretStore, one_line

if TYPE_CHECKING:
    from infra.config import RegionConfig

Open = Callable[["RegionConfig"], SecretStore]
PushState = Literal["pushed", "unchanged", "would push", "failed", "skipped"]
ShowState = Literal["failure", "unknown", "warning", "note", "ok"]
SEVERITY: Final[tuple[ShowState, ...]] = ("failure", "unknown", "warning", "note", "ok")


@dataclass(frozen=True, slots=True)
class Value:
    """What a secret is to hold. same: whether a stored text means the same, however it is spelt."""

    text: str = field(repr=False)
    same: Callable[[str], bool] = field(repr=False)
    expires: datetime | None = None


def certificate_value(pair: pem.Pair) -> Value:
    """A certificate as it is stored."""
    text = pair.text()

    def same(stored: str) -> bool:
        try:
            return pem.parse(stored).text() == text
        except pem.NotPem:
            return False

    return Value(text, same, pair.expires)


def keys_value(wanted: Sequence[ApiKey]) -> Value:
    """API keys as they are stored; their order says nothing."""

    def same(stored: str) -> bool:
        try:
            return sorted(map(_sortable, keys.parse(stored))) == sorted(map(_sortable, wanted))
        except keys.NotKeys:
            return False

    return Value(keys.text(wanted), same)


def _sortable(key: ApiKey) -> tuple[str, str, int]:
    return (key.name, key.hash, key.limit or 0)


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of one secret in one region."""

    stack: str
    kind: Kind
    name: str
    where: str
    state: PushState
    detail: str = ""
    version: str = ""
    again: bool = True
    """Of a failure: whether the same command, once the cause is gone, goes on."""

    @property
    def ok(self) -> bool:
        return self.state != "failed"

    @property
    def skipped(self) -> bool:
        """Whether nobody asked for this region, and it is not there yet."""
        return self.state == "skipped"

    def describe(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "stack": self.stack,
            "secret": self.kind,
            "name": self.name,
            "where": self.where,
            "state": self.state,
            "detail": self.detail,
            "version": self.version,
        }


def secret_name(config: RegionConfig, kind: Kind) -> str:
    """The name that the stack file gives."""
    return config.secrets.certificate if kind == "certificate" else config.secrets.api_keys


def absent(regions: Sequence[RegionConfig], kinds: Sequence[Kind], open_store: Open) -> dict[str, str]:
    """Stack -> why, for those that have no secret at all for these kinds: their `up` has never been. What else keeps a
    store from being asked is told when something is done there."""

    def one(config: RegionConfig) -> str:
        why = ""
        try:
            store = open_store(config)
            for kind in kinds:
                try:
                    store.read(secret_name(config, kind))
                except NotThere as error:
                    why = one_line(error)
                else:
                    return ""
        except SpillwayError:
            return ""
        return why

    found = zip(regions, side_by_side(one, regions), strict=True)
    return {config.stack_name: why for config, why in found if why}


def skipped(config: RegionConfig, kind: Kind, why: str) -> Pushed:
    """A region that was left out, as `absent` says."""
    return Pushed(config.stack_name, kind, secret_name(config, kind), "", "skipped", why)


def push(
    regions: Sequence[RegionConfig], values: Mapping[Kind, Value], open_store: Open, dry_run: bool = False
) -> list[Pushed]:
    """Every value into every region; what is there already is left alone."""

    def one_region(config: RegionConfig) -> list[Pushed]:
        try:
            store = open_store(config)
        except SpillwayError as error:
            return [_failed(config, kind, "", error) for kind in values]
        return [_push(config, kind, value, store, dry_run) for kind, value in values.items()]

    return [result for results in side_by_side(one_region, regions) for result in results]


def _failed(config: RegionConfig, kind: Kind, where: str, error: SpillwayError) -> Pushed:
    name = secret_name(config, kind)
    return Pushed(config.stack_name, kind, name, where, "failed", one_line("; ".join(error.lines)))


def _push(config: RegionConfig, kind: Kind, value: Value, store: SecretStore, dry_run: bool) -> Pushed:
    name = secret_name(config, kind)
    base = Pushed(config.stack_name, kind, name, store.where, "pushed")
    size = len(value.text.encode())
    if size > store.most_bytes:
        told = f"{size:,} bytes, {store.where} takes {store.most_bytes:,}"
        return replace(base, state="failed", detail=told, again=False)
    detail = ""
    try:
        try:
            held = store.read(name)
        except Denied as error:
            held, detail = None, f"not compared ({error})"
        if held is not None and held.value is not None and value.same(held.value):
            return replace(base, state="unchanged", version=held.version)
        if dry_run:
            return replace(base, state="would push", detail=detail or _instead(held))
        return replace(base, version=store.write(name, value.text, kind, value.expires), detail=detail)
    except SpillwayError as error:
        return _failed(config, kind, store.where, error)


def _instead(held: Held | None) -> str:
    if held is None or held.value is None:
        return "empty now"
    return f"instead of what was pushed on {held.pushed:%Y-%m-%d}" if held.pushed else "instead of another value"


@dataclass(frozen=True, slots=True)
class Shown:
    """What one region holds of one secret, without a word of it. facts: names and dates, for `--json`."""

    stack: str
    kind: Kind
    name: str
    where: str
    state: ShowState
    detail: str
    version: str = ""
    pushed: datetime | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    identity: str = field(default="", repr=False)
    """Equal where two regions hold the same."""

    def describe(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "stack": self.stack,
            "secret": self.kind,
            "name": self.name,
            "where": self.where,
            "state": self.state,
            "detail": self.detail,
            "version": self.version,
            "pushed": self.pushed.isoformat() if self.pushed else None,
            **self.facts,
        }


def show(
    regions: Sequence[RegionConfig], hosts: Mapping[str, Sequence[str]], open_store: Open, now: datetime
) -> list[Shown]:
    """What every region holds. hosts: stack -> the names that lead to it."""

    def one_region(config: RegionConfig) -> list[Shown]:
        try:
            store = open_store(config)
        except SpillwayError as error:
            told = one_line("; ".join(error.lines))
            return [Shown(config.stack_name, kind, secret_name(config, kind), "", "failure", told) for kind in KINDS]
        return [_show(config, kind, hosts[config.stack_name], store, now) for kind in KINDS]

    return _compared([row for rows in side_by_side(one_region, regions) for row in rows])


def _show(config: RegionConfig, kind: Kind, hosts: Sequence[str], store: SecretStore, now: datetime) -> Shown:
    name = secret_name(config, kind)
    base = Shown(config.stack_name, kind, name, store.where, "ok", "")
    try:
        held = store.read(name)
    except NotThere as error:
        return replace(base, state="note", detail=str(error))
    except Denied as error:
        return replace(base, state="unknown", detail=str(error))
    except SpillwayError as error:
        return replace(base, state="failure", detail=one_line("; ".join(error.lines)))
    base = replace(base, version=held.version, pushed=held.pushed)
    if held.value is None:
        return replace(base, state="warning", detail="empty: nodes stay unready until it is pushed")
    return _certificate(base, held.value, hosts, now) if kind == "certificate" else _keys(base, held.value)


def _certificate(base: Shown, value: str, hosts: Sequence[str], now: datetime) -> Shown:
    try:
        pair = pem.parse(value)
    except pem.NotPem as error:
        return replace(base, state="failure", detail=str(error))
    found = list(pem.faults(pair, hosts, now))
    state: ShowState = "ok"
    if found:
        state = "failure" if any(fault.severity == "failure" for fault in found) else "warning"
    names = ", ".join(pair.names[:3]) + (", ..." if len(pair.names) > 3 else "")
    until = f"{names}, until {pair.expires:%Y-%m-%d} ({pem.in_days(pair.expires, now)})"
    facts = {**certificate_facts(pair, now), "findings": [_finding(fault) for fault in found]}
    detail = "; ".join([fault.text for fault in found] or [until])
    return replace(base, state=state, detail=detail, facts=facts, identity=pair.text())


def _finding(fault: pem.Fault) -> dict[str, str]:
    return {"severity": fault.severity, "text": fault.text}


def certificate_facts(pair: pem.Pair, now: datetime) -> dict[str, Any]:
    """What may be told of a certificate."""
    return {
        "names": pair.names,
        "expires": pair.expires.isoformat(),
        "daysLeft": (pair.expires - now).days,
        "fingerprint": pair.fingerprint,
        "issuer": pair.leaf.issuer.rfc4514_string(),
        "chain": len(pair.chain),
    }


def _keys(base: Shown, value: str) -> Shown:
    try:
        found = keys.parse(value)
    except keys.NotKeys as error:
        return replace(base, state="failure", detail=str(error))
    facts = {"keys": [{"name": key.name, "limit": key.limit} for key in found]}
    base = replace(base, facts=facts, identity=keys.text(sorted(found, key=lambda key: key.name)))
    if not found:
        return replace(base, state="warning", detail="an empty list: nobody gets in")
    told = ", ".join(f"{key.name}{f' ({key.limit}/min)' if key.limit else ''}" for key in found[:8])
    return replace(base, detail=f"{len(found)}: {told}{', ...' if len(found) > 8 else ''}")


def _compared(rows: Sequence[Shown]) -> list[Shown]:
    """Says of each secret that differs from the first region's: a client that is sent there meets another answer."""
    compared = []
    first: dict[str, Shown] = {}
    for row in rows:
        reference = first.setdefault(row.kind, row) if row.identity else row
        if row.identity and row.identity != reference.identity:
            what = "another certificate" if row.kind == "certificate" else "other keys"
            state: ShowState = "warning" if row.state == "ok" else row.state
            row = replace(row, state=state, detail=f"{what} than {reference.stack}; {row.detail}")
        compared.append(row)
    return compared


def read_keys(regions: Sequence[RegionConfig], open_store: Open) -> dict[str, tuple[ApiKey, ...] | SpillwayError]:
    """Stack -> its keys, or why they cannot be read."""

    def one(config: RegionConfig) -> tuple[ApiKey, ...] | SpillwayError:
        name = secret_name(config, "api-keys")
        try:
            held = open_store(config).read(name)
            return keys.parse(held.value) if held.value is not None else ()
        except SpillwayError as error:
            return error
        except keys.NotKeys as error:
            return SpillwayError(f"{name}: {error}; `spillway secrets push --api-keys FILE` replaces it")

    return {config.stack_name: found for config, found in zip(regions, side_by_side(one, regions), strict=True)}


def write_keys(
    regions: Sequence[RegionConfig],
    wanted: Mapping[str, tuple[ApiKey, ...] | SpillwayError],
    open_store: Open,
) -> list[Pushed]:
    """Each region's own list; what could not be read is told again as failed."""

    def one(config: RegionConfig) -> Pushed:
        found = wanted[config.stack_name]
        if isinstance(found, SpillwayError):
            return _failed(config, "api-keys", "", found)
        return push([config], {"api-keys": keys_value(found)}, open_store)[0]

    return side_by_side(one, regions)
