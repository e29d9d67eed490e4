"""Whether systemd still looks after the engine: Restart=always gives up when a unit fails too often in a short time."""

from __future__ import annotations

import asyncio
import contextlib
import os

UNIT = "vllm.service"


async def fault(timeout: float = 5.0) -> str | None:
    """Why the engine will not come back by itself, in one line; None: it is looked after, or that cannot be known.

    SPILLWAY_SYSTEMCTL names another program instead of systemctl; empty, nothing is asked.
    """
    command = os.environ.get("SPILLWAY_SYSTEMCTL", "systemctl")
    if not command:
        return None
    properties = "--property=LoadState,ActiveState,Result"
    try:
        process = await asyncio.create_subprocess_exec(
            command, "show", UNIT, properties,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:
        return None
    try:
        async with asyncio.timeout(timeout):
            output, _ = await process.communicate()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    found = dict(line.split("=", 1) for line in output.decode("utf-8", "replace").splitlines() if "=" in line)
    if process.returncode != 0 or found.get("LoadState") != "loaded" or found.get("ActiveState") != "failed":
        return None
    return f"systemd has given up on {UNIT} ({found.get('Result', 'failed')})"
