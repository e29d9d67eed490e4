"""Whether the node is ready, and if not, the first thing that keeps it from being so."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeGuard

Reason = Literal[
    "draining", "starting", "scratch", "staging", "secrets", "peers", "engine", "warming", "failing", "overloaded",
    "slow", "errors",
]  # fmt: skip
REASONS: Final[tuple[Reason, ...]] = (
    "draining", "starting", "scratch", "staging", "secrets", "peers", "engine", "warming", "failing", "overloaded",
    "slow", "errors",
)  # fmt: skip
"""In the order in which they are looked at: the first that applies is told."""
LOAD: Final[frozenset[Reason]] = frozenset({"overloaded", "slow", "errors"})
"""Judged by figures, so a whole fleet can meet them at once: the guard bounds them."""


MOST: Final = 1e18
"""No time and no number of bytes is beyond it."""
PEERS_STALE: Final = 10.0
"""Seconds; peers.json is written every second."""


@dataclass(frozen=True)
class Verdict:
    """reason: None when ready. detail: one line for people. kind: what is worth a line in the journal when it changes,
    though the reason stays. extra: what else belongs to the answer."""

    reason: Reason | None
    detail: str = ""
    kind: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        return self.reason is None


READY: Final = Verdict(None, "ready")
Document = Mapping[str, Any] | None


def of_files(
    *, drain: Document, draining: bool, scratch: Document, stage: Document, secrets: Document, peers: Document,
    keys: int | None, keys_fault: str = "", now: float | None = None, several: bool = False,
) -> Verdict:  # fmt: skip
    """What the state files say. draining: there is a drain.json, readable or not. keys: how many are known, None: never
    read. now: unix seconds. several: the replica has other nodes than this one."""
    if draining:
        return _draining(drain or {})
    if scratch is None or scratch["state"] != "ok":
        return _state("scratch", scratch, "the disks for the weights are not there yet")
    if stage is None or stage["state"] != "ok":
        return _staging(stage)
    if found := _secrets(secrets, time.time() if now is None else now):
        return found
    if keys is None:
        return Verdict("secrets", f"keys.json {keys_fault or 'is not there yet'}", "keys")
    if keys == 0:
        return Verdict("secrets", "no API key in the list, so every request would be refused", "empty")
    # A replica that lost a node makes no tokens, and vLLM's own health may say 200 until the next request.
    counted = several or (peers is not None and peers["state"] != "ok")
    if counted and (fault := peers_fault(peers, time.time() if now is None else now)):
        extra = {name: peers[name] for name in ("expected", "alive") if _is_number(peers.get(name))} if peers else {}
        return Verdict("peers", fault, str(peers["state"]) if peers else "unknown", extra)
    return READY


def peers_fault(peers: Document, now: float) -> str:
    """What peers.json has against this node, in one line; empty when all nodes of the replica are there."""
    if peers is None:
        return "nobody has looked for the other nodes of this replica yet"
    if peers["state"] != "ok":
        return _line(peers) or "nodes of this replica are missing"
    looked = unix(peers.get("looked"))
    if looked is not None and now - looked > PEERS_STALE:
        return f"nobody has looked for the other nodes of this replica for {now - looked:.0f} s"
    return ""


def _line(document: Mapping[str, Any]) -> str:
    reason = document.get("reason")
    return " ".join(reason.split()) if isinstance(reason, str) else ""


def _state(reason: Reason, document: Document, missing: str) -> Verdict:
    if document is None:
        return Verdict(reason, missing, "missing")
    return Verdict(reason, _line(document) or f"is {document['state']}", str(document["state"]))


def _draining(drain: Mapping[str, Any]) -> Verdict:
    cause, kind = str(drain.get("cause", "unknown")), str(drain.get("state", "draining"))
    extra: dict[str, Any] = {"cause": cause}
    if _is_number(drain.get("deadline")):
        extra["deadline"] = drain["deadline"]
    return Verdict("draining", _line(drain) or f"the node leaves ({cause})", kind, extra)


def _staging(stage: Document) -> Verdict:
    found = _state("staging", stage, "weights are not on their way yet")
    if stage is None:
        return found
    extra = {name: stage[name] for name in ("bytes", "total", "files") if _is_number(stage.get(name))}
    if isinstance(stage.get("path"), str):
        extra["path"] = stage["path"]
    done, total = stage.get("bytes"), stage.get("total")
    detail = found.detail
    if _is_number(done) and _is_number(total) and total > 0 and not _line(stage):
        detail = f"{done / 1e9:.1f} of {total / 1e9:.1f} GB of the weights are here"
    return Verdict("staging", detail, found.kind, extra)


def _secrets(secrets: Document, now: float) -> Verdict | None:
    if secrets is None:
        return Verdict("secrets", "certificate and API keys are not there yet", "missing")
    ends = unix(secrets.get("notAfter"))
    if ends is not None and ends <= now:
        when = datetime.fromtimestamp(max(0.0, ends), UTC).strftime("%Y-%m-%d %H:%M UTC")
        return Verdict("secrets", f"the certificate ended at {when}", "expired", {"notAfter": secrets["notAfter"]})
    if secrets["state"] == "ok":
        return None
    # A store that cannot be reached takes nobody out who has a certificate and keys from before.
    if secrets["state"] == "failed" and ends is not None and _is_number(secrets.get("keys")) and secrets["keys"] > 0:
        return None
    return _state("secrets", secrets, "")


def unix(value: object) -> float | None:
    """A point in time as unix seconds, from unix seconds or ISO 8601 (UTC where it names no zone); None where it is
    neither.
    """
    if _is_number(value):
        return float(value) if 0 <= value < 253_402_300_800 else None  # 9999-12-31
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() if found else None
    except (ValueError, OverflowError):
        return None


def _is_number(value: object) -> TypeGuard[int | float]:
    """Whether it is one that can be reckoned with: json reads NaN, Infinity and whole numbers beyond every float."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MOST
