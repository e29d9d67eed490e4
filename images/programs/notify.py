"""What systemd wants to hear of a Type=notify service: READY, STATUS, WATCHDOG, STOPPING.

The protocol is a datagram of `KEY=value` lines to the socket in NOTIFY_SOCKET; `@` begins an abstract one
(https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html).
"""

from __future__ import annotations

import os
import socket


def notify(**fields: str | int) -> bool:
    """`notify(READY=1, STATUS="ready")`. False where nobody listens or the datagram did not go; never raises or
    waits.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    lines = "\n".join(f"{key}={' '.join(str(value).split())}" for key, value in fields.items())
    target = "\0" + address[1:] if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            sender.sendto(lines.encode(), target)
    except OSError:
        return False
    return True


def watchdog_seconds() -> float | None:
    """How often WATCHDOG=1 should be sent, half of what WatchdogSec= allows; None without a watchdog for this
    process.
    """
    allowed, owner = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID")
    if not allowed.isdecimal() or int(allowed) == 0 or owner not in (None, "", str(os.getpid())):
        return None
    return int(allowed) / 2_000_000
