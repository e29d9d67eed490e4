"""A booted node as a test sees it: units, journal, times; the same for a container and for a machine."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tests.boot.lab import KEY, Lab
from tests.support.node import staged, stores

RESTARTED: Final = (
    "vllm.service", "spillway-gate.service", "nginx.service", "spillway-secrets.service", "spillway-spotwatch.service",
    "spillway-telemetry.service", "spillway-lifecycle.service",
)  # fmt: skip
"""Long-running units: each is killed, and has to come back."""


class Guest(Protocol):
    """What can be done to a node from outside."""

    def run(self, command: str, timeout: float = 60) -> tuple[int, str]:
        """A shell command as root: exit code, and what it printed."""
        ...


def out(guest: Guest, command: str, timeout: float = 60) -> str:
    """What a command prints, which must succeed."""
    code, text = guest.run(command, timeout)
    assert code == 0, f"{command}: exit code {code}: {text[-2000:]}"
    return text


def show(guest: Guest, unit: str, *names: str) -> dict[str, str]:
    """Properties of a unit."""
    text = out(guest, f"systemctl show {unit} --property={','.join(names)}")
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def document(guest: Guest, name: str) -> dict[str, Any]:
    """A state file of /run/spillway; empty when it is not there."""
    code, text = guest.run(f"cat /run/spillway/{name}.json 2>/dev/null")
    found: dict[str, Any] = json.loads(text) if code == 0 and text.strip() else {}
    return found


def failed_units(guest: Guest) -> list[str]:
    """Units that have failed."""
    text = out(guest, "systemctl list-units --failed --plain --no-legend --no-pager")
    return [line.split()[0] for line in text.splitlines() if line.strip()]


def journal(guest: Guest, *arguments: str) -> str:
    """The whole journal of this boot."""
    return out(guest, f"journalctl -b --no-pager -o short-monotonic {' '.join(arguments)}", timeout=120)


def troubles(guest: Guest) -> str:
    """What to read of a node that does not become ready."""
    _, text = guest.run(
        "systemctl list-units --failed --plain --no-legend --no-pager; systemctl list-jobs --no-pager | head -30; "
        "head -c 400 /run/spillway/*.json; journalctl -b --no-pager -o cat -p warning -n 40"
    )
    return text


def secret_words(lab: Lab) -> list[str]:
    """What must not be in any journal: keys, the certificate's key, temporary credentials, prompts."""
    pem = (lab.folder / "tls.pem").read_text()
    private = pem[pem.index("-----BEGIN PRIVATE KEY-----") :].splitlines()[1]
    return [KEY, private, stores.KEY_SECRET, stores.SESSION, "private words of a prompt"]


def faults(text: str, words: Iterable[str]) -> list[str]:
    """Lines of a journal with a Python traceback, an ordering cycle of units or one of these words in them."""
    found = [
        line for line in text.splitlines() if re.search(r"Traceback \(most recent call last\)|Exception in ", line)
    ]
    # systemd drops a job of its own choice from a cycle, on every boot another one.
    found += [line for line in text.splitlines() if "ordering cycle" in line]
    return found + [
        f"secret in the journal: {line[:160]}" for word in words for line in text.splitlines() if word in line
    ]


@dataclass(frozen=True)
class Back:
    """A unit that was killed. seconds: until it ran again, by systemd's word; ready: until /readyz was 200."""

    unit: str
    seconds: float
    ready: float


def kill(guest: Guest, lab: Lab, unit: str, within: float = 240) -> Back:
    """kill -9 of a unit's main process; waits until another one runs and the node is ready again."""
    before = show(guest, unit, "MainPID")["MainPID"]
    assert before != "0", f"{unit} does not run"
    out(guest, f"kill -9 {before}")
    began = time.monotonic()
    while True:
        now = show(guest, unit, "MainPID", "ActiveState", "SubState")
        if now["MainPID"] not in ("0", before) and now["ActiveState"] == "active":
            break
        assert time.monotonic() - began < within, f"{unit} does not come back: {now}"
        time.sleep(0.1)
    running = time.monotonic() - began
    lab.until(200, within)
    return Back(unit, running, time.monotonic() - began)


UNITS: Final = {
    "cloud-init": "cloud-init.service",
    "storage": "spillway-storage.service",
    "weights": "spillway-stage.service",
}


def timeline(guest: Guest) -> list[dict[str, Any]]:
    """What took how long in this boot: [{"step", "begin", "end"}], seconds since the start of systemd, in order.

    Steps overlap: secrets are fetched while weights are copied.
    """
    names = "UserspaceTimestampMonotonic,KernelTimestampMonotonic"
    text = out(guest, f"systemctl show --property={names}")
    start = int(dict(line.split("=", 1) for line in text.splitlines())["UserspaceTimestampMonotonic"]) / 1e6
    found: list[dict[str, Any]] = []
    for step, unit in UNITS.items():
        stamps = show(guest, unit, "ExecMainStartTimestampMonotonic", "ExecMainExitTimestampMonotonic")
        begin, finish = (int(stamps[f"ExecMain{word}TimestampMonotonic"] or 0) / 1e6 for word in ("Start", "Exit"))
        if begin and finish:
            found.append({"step": step, "begin": begin - start, "end": finish - start})
    if found and found[0]["step"] == "cloud-init":
        found.insert(0, {"step": "systemd", "begin": 0.0, "end": found[0]["begin"]})
    lines = out(guest, "journalctl -b --no-pager -o json -u spillway-gate -u spillway-secrets -u vllm", timeout=120)
    told = [json.loads(line) for line in lines.splitlines() if line.startswith("{")]

    def at(unit: str, word: str) -> float | None:
        """When a unit's journal first had this in it."""
        for one in told:
            message = one.get("MESSAGE")
            if one.get("_SYSTEMD_UNIT", "").startswith(unit) and isinstance(message, str) and word in message:
                return int(one["__MONOTONIC_TIMESTAMP"]) / 1e6 - start
        return None

    secrets = show(guest, "spillway-secrets.service", "ExecMainStartTimestampMonotonic")
    if (keys := at("spillway-secrets", "API keys")) is not None:
        begin = int(secrets["ExecMainStartTimestampMonotonic"]) / 1e6 - start
        found.append({"step": "secrets", "begin": begin, "end": keys})
    engine, listens = at("vllm", '"starts"'), at("vllm", "listening on")
    ready = at("spillway-gate", '"ready"')
    if engine is not None and listens is not None:
        found.append({"step": "engine", "begin": engine, "end": listens})
        if ready is not None:
            found.append({"step": "first token", "begin": listens, "end": ready})
    return [
        {"step": one["step"], "begin": round(one["begin"], 2), "end": round(one["end"], 2)}
        for one in sorted(found, key=lambda one: (one["begin"], one["end"]))
    ]


def staged_faults(guest: Guest) -> list[str]:
    """What is wrong with the weights on scratch; each file is hashed inside."""
    import hashlib

    folder = f"/mnt/scratch/models/{staged.NAME}/{staged.REVISION}"
    from tests.boot.cloud import SHARD_BYTES, SHARDS

    wanted = {path: hashlib.sha256(data).hexdigest() for path, data in staged.weights(SHARD_BYTES, SHARDS).items()}
    text = out(guest, f"cd {folder} && sha256sum $(find . -type f ! -name '.*' ! -name manifest.json)", timeout=300)
    found = {line.split("  ./", 1)[1]: line.split()[0] for line in text.splitlines()}
    faulty = [f"{path}: {found.get(path, 'missing')}" for path in wanted if found.get(path) != wanted[path]]
    code, _ = guest.run(f"test -f {folder}/.complete")
    return faulty + ([".complete is missing"] if code else []) + [f"{path}: not ours" for path in found.keys() - wanted]
