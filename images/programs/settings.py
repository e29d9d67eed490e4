"""Where a program of the node finds its configuration and its neighbours; every place has an environment variable for
tests.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError

from images.node import NodeConfig


class ConfigFault(Exception):
    """node.json cannot be used; the message is one line that says why."""


def node_path() -> Path:
    """/etc/spillway/node.json, or SPILLWAY_NODE."""
    return Path(os.environ.get("SPILLWAY_NODE") or "/etc/spillway/node.json")


def load(path: Path | None = None) -> NodeConfig:
    """The node's configuration. Raises ConfigFault: the file is missing, unreadable, or not what images/node.py
    describes.
    """
    path = path or node_path()
    try:
        return NodeConfig.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigFault(f"{path}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise ConfigFault(f"{path}: {key + ': ' if key else ''}{first['msg']}{more}") from None


def engine_url() -> str:
    """Where vLLM listens: http://127.0.0.1:8000, or SPILLWAY_ENGINE."""
    return (os.environ.get("SPILLWAY_ENGINE") or "http://127.0.0.1:8000").rstrip("/")


def identity() -> str:
    """What tells this node from its siblings: SPILLWAY_INSTANCE_ID, cloud-init's instance id, the machine id, the host
    name.
    """
    if given := os.environ.get("SPILLWAY_INSTANCE_ID"):
        return given
    for place in ("/run/cloud-init/.instance-id", "/var/lib/cloud/data/instance-id", "/etc/machine-id"):
        try:
            found = Path(place).read_text().strip()
        except (OSError, UnicodeDecodeError):
            continue
        if found and found != "uninitialized":
            return found
    return os.uname().nodename


def boot_id() -> str:
    """Differs from boot to boot (https://docs.kernel.org/admin-guide/sysctl/kernel.html#random); empty where it is
    hidden.
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
