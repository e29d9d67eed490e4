"""What nginx has to know of this node. `python -m images.programs.front configure | drain`.

configure: writes ports, names and probe paths of node.json to /run/spillway/nginx, and a certificate of its own to
/run/spillway/tls, so that nginx starts before the real one is there. drain: while drain.json is there, no connection
is kept alive.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from images.programs import state
from images.programs.journal import Journal

if TYPE_CHECKING:
    from images.node import Serving

METRICS_PORT: Final = 9443
KEEPALIVE: Final = "65s"
SO_KEEPALIVE: Final = "30s:10s:3"
"""Idle seconds, interval, probes. Below 60 s: balancers forget idle flows after minutes, some networks' NAT after one,
and the pause before a first token is idle time."""
NAME: Final = re.compile(r"[A-Za-z0-9*._-]{1,253}")
PATH: Final = re.compile(r"/[A-Za-z0-9/._~-]{1,200}")
SELF_SIGNED_DAYS: Final = 30


def listen(serving: Serving) -> str:
    """The directives of the public server."""
    return (
        f"listen {serving.port} ssl http2 default_server so_keepalive={SO_KEEPALIVE} backlog=4096;\n"
        f"server_name {serving.name if NAME.fullmatch(serving.name) else '_'};\n"
    )


def probes(serving: Serving) -> str:
    """The probe paths of a server. Raises ValueError for a path that nginx could misread."""
    for path in (serving.ready_path, serving.live_path):
        if not PATH.fullmatch(path) or path.startswith("/v1/"):
            raise ValueError(f"serving: {path!r} is no path for a probe")
    return "".join(
        f"location = {path} {{ proxy_pass http://gate{at}; include /etc/nginx/spillway/probe.conf; }}\n"
        for path, at in ((serving.ready_path, "/readyz"), (serving.live_path, "/livez"))
    )


def probe_server(serving: Serving) -> str:
    """A server in plain HTTP for the probe paths alone; empty without a probe port."""
    if serving.probe_port is None or serving.probe_port == serving.port:
        return ""
    return (
        "server {\n"
        f"listen {serving.probe_port} so_keepalive={SO_KEEPALIVE};\n"
        "access_log off;\n"
        f"{probes(serving)}"
        "location @gate_gone { include /etc/nginx/spillway/gate-gone.conf; }\n"
        "location / { return 404; }\n"
        "}\n"
    )


def keepalive(draining: bool) -> str:
    """How long an idle connection of a client lives."""
    # More requests over one connection than nginx' 1,000: a balancer's and a client's pool live for hours.
    return f"keepalive_timeout {0 if draining else KEEPALIVE};\nkeepalive_requests 100000;\n"


def files(serving: Serving, *, draining: bool = False) -> dict[str, str]:
    """Name in /run/spillway/nginx -> content."""
    return {
        "listen.conf": listen(serving),
        "probes.conf": probes(serving),
        "probe-server.conf": probe_server(serving),
        "keepalive.conf": keepalive(draining),
        "metrics.conf": f"listen {METRICS_PORT} ssl;\nserver_name _;\n",
    }


def write_files(directory: Path, serving: Serving, *, draining: bool = False) -> None:
    """Each file by rename."""
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    for name, content in files(serving, draining=draining).items():
        state.replace(directory / name, content.encode())


def self_signed(directory: Path) -> bool:
    """A certificate that nobody trusts, and that clients see only while the gate says 503 `secrets`. False when there
    is a pair already. Raises OSError.
    """
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    if certificate.exists() and key.exists():
        return False
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory, prefix=".") as folder:
        new_key, new = Path(folder) / "key.pem", Path(folder) / "certificate.pem"
        command = [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", "/CN=not-yet.invalid", "-days", str(SELF_SIGNED_DAYS), "-keyout", str(new_key), "-out", str(new),
        ]  # fmt: skip
        found = subprocess.run(
            command, capture_output=True, text=True, timeout=30, check=False, stdin=subprocess.DEVNULL
        )
        if found.returncode != 0:
            raise OSError(f"openssl: {' '.join(found.stderr.split())[-200:]}")
        new_key.chmod(0o600)
        new_key.replace(key)
        new.replace(certificate)
    return True


def configure(journal: Journal) -> int:
    """Exit code. Without a usable node.json nginx comes up all the same, so that /readyz can say so."""
    from images.node import Serving
    from images.programs import settings

    run = state.directory()
    serving = Serving(name="_")
    try:
        serving = settings.load().serving
        content = files(serving)
    except (settings.ConfigFault, ValueError) as fault:
        journal.tell("defaults", "error", detail=f"{fault}; nginx serves port 443 and says not ready")
        serving = Serving(name="_")
        content = files(serving)
    try:
        write_files(run / "nginx", serving, draining=state.path("drain").exists())
        if self_signed(run / "tls"):
            journal.tell("self-signed", detail="a certificate until the one from the secret store is there")
    except (OSError, subprocess.SubprocessError) as error:
        journal.tell("not configured", "error", detail=str(error))
        return 1
    journal.tell("configured", port=serving.port, probePort=serving.probe_port, files=len(content))
    return 0


def drain(journal: Journal, poll: float = 0.5) -> int:
    """While drain.json is there, keep-alive is off; nginx is reloaded at either end."""
    target = state.directory() / "nginx" / "keepalive.conf"
    if not _switch(target, True, journal):
        return 1
    while state.path("drain").exists():
        time.sleep(poll)
    return 0 if _switch(target, False, journal) else 1


def _switch(target: Path, draining: bool, journal: Journal) -> bool:
    content = keepalive(draining).encode()
    command = os.environ.get("SPILLWAY_SYSTEMCTL", "systemctl")
    with contextlib.suppress(OSError):
        if target.read_bytes() == content:
            return True
    try:
        state.replace(target, content)
        if not command or shutil.which(command) is None:
            return True
        # Not running: it reads the file when it starts.
        done = subprocess.run(
            [command, "reload", "--no-block", "nginx.service"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        journal.tell("keep-alive", "error", detail=str(error))
        return False
    journal.tell("keep-alive", "notice", on=not draining, reloaded=done.returncode == 0)
    return True


def main() -> int:
    parser = argparse.ArgumentParser(prog="front", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=["configure", "drain"])
    command = parser.parse_args().command
    journal = Journal("front")
    return configure(journal) if command == "configure" else drain(journal)


if __name__ == "__main__":
    sys.exit(main())
