"""drain.json: that the node leaves, why, and until when. While it is there the gate says 503.

    state     draining   the engine still takes what is sent to it
              stopping   the engine was asked to end, nothing is admitted
              stopped    it has ended and the cloud was told
    cause     the one with the earliest deadline; causes: all of them
    deadline  unix seconds by the node's clock, None: there is none
    begun     unix seconds; since is that of the state
    notices   what spotwatch acted on; told: causes for which the cloud was told

Spot watcher, lifecycle and drain write it, all under one lock. Whoever deletes it takes a drain back, as long as its
state is `draining`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from typing import Any, Final, Literal, TypeGuard, get_args

from images.programs import state

Cause = Literal["spot", "rebalance", "terminate", "manual"]
CAUSES: Final[tuple[Cause, ...]] = get_args(Cause)
NAME: Final = "drain"
LATEST: Final = 253_402_300_799
"""Unix seconds, the end of the year 9999."""
Document = dict[str, Any]


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """One writer at a time; the kernel gives the lock back whatever becomes of its holder."""
    handle = os.open(state.directory() / ".drain.write", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def is_time(found: object) -> TypeGuard[int | float]:
    """Whether it can be unix seconds. json reads NaN, and whole numbers that no float holds."""
    return isinstance(found, int | float) and not isinstance(found, bool) and 0 <= found <= LATEST


def exists() -> bool:
    """Whether the node leaves, whatever is in the file."""
    return state.path(NAME).exists()


def read() -> Document | None:
    """What is in it; None where it is not there or cannot be read. Lists are lists of texts, whoever wrote them."""
    found = state.read(NAME)
    if found is not None:
        found |= {name: _with(found[name], "") for name in ("causes", "notices", "told") if name in found}
    return found


def deadline(document: Document | None) -> float | None:
    """Unix seconds; None where there is none."""
    found = (document or {}).get("deadline")
    return float(found) if is_time(found) else None


def begin(cause: Cause, until: float | None, *, notice: str = "", why: str = "") -> Document:
    """The node leaves, for this cause too, by `until` (unix seconds) at the latest. An earlier deadline stands.

    notice: what it was that spotwatch acted on. why: one line for people. Raises OSError.
    """
    with _locked():
        before = read() or {}
        known = deadline(before)
        sooner = until is not None and (known is None or until < known)
        first = not before or before.get("cause") not in CAUSES
        fields: Document = {
            "cause": cause if sooner or first else before["cause"],
            "deadline": until if sooner else known,
            "begun": before["begun"] if is_time(before.get("begun")) else round(time.time(), 3),
            "causes": _with(before.get("causes"), cause),
            "notices": _with(before.get("notices"), notice),
            "told": _with(before.get("told"), ""),
        }
        now = str(before.get("state") or "draining")
        kept = str(before.get("reason") or "") if not sooner or now != "draining" else ""
        reason = kept or f"the node leaves ({cause}{f': {why}' if why else ''})"
        state.write(NAME, state=now, reason=reason, **fields)
        return {"state": now, "reason": reason, **fields}


def turn(to: Literal["stopping", "stopped"], reason: str, **fields: Any) -> bool:
    """Changes the state, and keeps the rest; False where the drain was taken back. Raises OSError.

    Nonsense in the file is no taking back: the gate says 503 as long as it is there, so the node leaves.
    """
    with _locked():
        before = read()
        if before is None and not exists():
            return False
        kept = {name: value for name, value in (before or {}).items() if name not in ("state", "reason", "since")}
        state.write(NAME, state=to, reason=reason, **(kept | fields))
        return True


def take_back() -> None:
    """The node serves again."""
    with _locked():
        state.remove(NAME)


def _with(found: Any, more: str) -> list[str]:
    names = [name for name in found if isinstance(name, str)] if isinstance(found, list) else []
    return names if not more or more in names else [*names, more]
