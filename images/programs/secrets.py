"""Keeps the node's certificate and API keys as they are in the cloud's secret store; nginx is told of a new one.

Long-running. Looks every five minutes, sooner while something is missing, and at once on SIGHUP. A certificate or list
that is not good never replaces one that is. An expired certificate stays in use until it is replaced, as every server
does it, and the node says that it is not ready: whoever asks for it in spite of that is answered.
"""

from __future__ import annotations

import grp
import logging
import os
import random
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from images.node import NodeConfig
from images.programs import identity, settings, state
from images.programs.staging.web import backoff
from images.programs.vaults import api_keys, certificate
from images.programs.vaults.vault import Empty, Vault, VaultError, open_vault

EVERY_SECONDS: Final = 300.0
JITTER: Final = 0.1
"""Of the interval, either way, so that a fleet that booted together does not ask together."""
RETRY_FIRST: Final = 5.0
RETRY_MOST: Final = 60.0
RELOAD: Final = "SPILLWAY_RELOAD"
# nginx starts after this program's first success, so waiting for it here could wait for ever; and a reload alone fails
# while it does not run.
RELOAD_COMMAND: Final = "systemctl reload-or-restart --no-block nginx.service"
GROUP: Final = "spillway"
LOG: Final = logging.getLogger("spillway-secrets")


def _now() -> datetime:
    return datetime.now(UTC)


def reload_nginx() -> bool:
    """Whether the command went well; it has a minute."""
    command = shlex.split(os.environ.get(RELOAD) or RELOAD_COMMAND)
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def notify(text: str) -> None:
    """Tells systemd, when it wants to be told.

    https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as one:
        one.sendto(text.encode(), f"\0{address[1:]}" if address.startswith("@") else address)


@dataclass(slots=True)
class Refresher:
    """The node's secrets, refreshed by `once`."""

    node: NodeConfig
    vault: Callable[[], Vault]
    reload: Callable[[], bool] = reload_nginx
    now: Callable[[], datetime] = _now
    _opened: Vault | None = None
    _pair: certificate.Pair | None = None
    _keys: list[dict[str, Any]] | None = None
    _stale: bool = False
    """nginx has not taken the pair that is on the disk."""
    _said: set[str] = field(default_factory=set)
    _ready: bool = False

    def once(self) -> bool:
        """Looks once; True when everything is in place. Raises OSError where the state directory cannot be written."""
        said: list[str] = []
        waiting = self._refresh(said, self.node.secrets.certificate, self._take_pair)
        waiting = self._refresh(said, self.node.secrets.api_keys, self._take_keys) and waiting
        if self._stale:
            self._stale = not self.reload()
            if self._stale:
                said.append("nginx could not be reloaded and has the certificate of before")
        # A list without a key is in use too, since taking the last key away takes it away; but it lets nobody in.
        if self._keys == []:
            said.append(f"{self.node.secrets.api_keys}: no API key in the list, so every request would be refused")
        missing = self._pair is None or not self._keys
        expired = self._pair is not None and self._pair.expired(self.now())
        if expired and self._pair is not None:
            said.insert(
                0, f"{self.node.secrets.certificate}: the certificate in use {certificate.expired_text(self._pair)}"
            )
        name = "waiting" if missing and waiting else "failed" if missing or expired else "ok"
        state.write(
            "secrets",
            state=name,
            reason="; ".join(said),
            notAfter=self._pair.until.timestamp() if self._pair else None,
            keys=len(self._keys) if self._keys is not None else 0,
        )
        for text in said:
            if text not in self._said:
                LOG.warning("%s", text)
        self._said = set(said)
        if not missing and not self._ready:
            self._ready = True
            notify("READY=1\nSTATUS=certificate and API keys are in place")
        return name == "ok" and not self._stale

    def _refresh(self, said: list[str], name: str, take: Callable[[str], str]) -> bool:
        """Reads one secret and hands it on; False when what went wrong is more than that nobody has pushed it yet."""
        try:
            if self._opened is None:
                self._opened = self.vault()
            fault = take(self._opened.read(name))
        except Empty as error:
            said.append(str(error))
            return True
        except VaultError as error:
            self._opened = None  # a client that was made without credentials never gets any
            said.append(str(error))
            return False
        except OSError:
            raise
        except Exception as error:  # of any SDK: its text may repeat an answer
            self._opened = None
            said.append(f"{name}: the store did not answer ({type(error).__name__})")
            return False
        if fault:
            said.append(f"{name}: {fault}")
        return not fault

    def _take_pair(self, text: str) -> str:
        try:
            found = certificate.parse(text)
        except certificate.NotAPair as error:
            return self._kept(str(error))
        now = self.now()
        if fault := certificate.fault(found, self.node.serving.name, now):
            return self._kept(fault)
        if found.expired(now) and self._pair is not None and not self._pair.expired(now):
            return self._kept(certificate.expired_text(found))
        folder = state.directory() / "tls"
        folder.mkdir(mode=0o700, exist_ok=True)
        changed = False
        # The key first: whoever starts nginx between the two gets a refusal and tries again, in either order.
        for path, content in ((folder / "key.pem", found.key), (folder / "certificate.pem", found.certificate)):
            if _content(path) != content:
                state.replace(path, content, mode=0o600)
                changed = True
        if changed:
            self._stale = True
            LOG.info("a certificate until %s", found.until.strftime("%Y-%m-%d"))
        self._pair = found
        return ""

    def _kept(self, fault: str) -> str:
        return f"{fault}; the certificate of before stays in use" if self._pair is not None else fault

    def _take_keys(self, text: str) -> str:
        try:
            found = api_keys.parse(text)
        except api_keys.NotKeys as error:
            kept = "; the keys of before stay valid" if self._keys is not None else ""
            return f"{error}{kept}"
        content = api_keys.text(found)
        path = state.path("keys")
        if _content(path) != content:
            state.replace(path, content, mode=0o640, group=_group())
            LOG.info("%d API keys", len(found))
        self._keys = found
        return ""

    def resume(self) -> None:
        """Takes over what an earlier run of this program has left: it is in use, whatever the store says now."""
        folder = state.directory() / "tls"
        certificates, key, keys = (
            _content(path) for path in (folder / "certificate.pem", folder / "key.pem", state.path("keys"))
        )
        try:
            if certificates and key:
                found = certificate.parse((certificates + key).decode("ascii"))
                self._pair = found if certificate.covers(found.names, self.node.serving.name) else None
        except ValueError:
            LOG.warning("the certificate that was left here is no good")
        try:
            self._keys = api_keys.parse(keys.decode()) if keys else None
        except ValueError:
            LOG.warning("the keys that were left here are no good")


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _group() -> int | None:
    """The group of the gate; None where it is not there, as on a developer's machine."""
    try:
        return grp.getgrnam(GROUP).gr_gid if os.geteuid() == 0 else None
    except KeyError:
        return None


def pause(good: bool, failures: int) -> float:
    """Seconds until the next look."""
    if good:
        return EVERY_SECONDS * random.uniform(1 - JITTER, 1 + JITTER)
    return backoff(failures, RETRY_FIRST, RETRY_MOST)


def main() -> int:
    """Runs until it is stopped; exit code 1 when node.json cannot be read."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    identity.quiet()
    os.umask(0o077)
    try:
        node = settings.load()
    except settings.ConfigFault as error:
        LOG.error("%s", error)
        return 1
    wake = threading.Event()
    signal.signal(signal.SIGHUP, lambda *_: wake.set())
    refresher = Refresher(node, lambda: open_vault(node))
    refresher.resume()
    failures = 0
    while True:
        wake.clear()
        try:
            good = refresher.once()
        except OSError as error:  # systemd starts it again
            LOG.error("%s", error)
            return 1
        failures = 0 if good else failures + 1
        wake.wait(pause(good, failures))


if __name__ == "__main__":
    sys.exit(main())
