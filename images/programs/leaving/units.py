"""systemctl, with a time-out. SPILLWAY_SYSTEMCTL names another program; empty: nothing is started or stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import Final

ENGINE: Final = "vllm.service"
TIMEOUT: Final = 5.0


class Refused(Exception):
    """systemctl could not do it; the message is one line."""


def drain_unit(cause: str) -> str:
    return f"spillway-drain@{cause}.service"


async def _systemctl(*arguments: str, failing: bool = False) -> str:
    """What it prints. failing: an exit code other than 0 is an answer too. Raises Refused."""
    command = os.environ.get("SPILLWAY_SYSTEMCTL", "systemctl")
    if not command:
        return ""
    try:
        process = await asyncio.create_subprocess_exec(
            command, *arguments,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:
        raise Refused(f"{command}: {error.strerror}") from None
    try:
        async with asyncio.timeout(TIMEOUT):
            output, errors = await process.communicate()
    except TimeoutError:
        raise Refused(f"systemctl {arguments[0]} does not end within {TIMEOUT:g} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0 and not failing:
        said = " ".join(errors.decode("utf-8", "replace").split())
        raise Refused(f"systemctl {' '.join(arguments)}: {said or f'exit code {process.returncode}'}")
    return output.decode("utf-8", "replace")


async def ask(*arguments: str) -> str:
    """Anything else of systemctl; what it prints. Raises Refused."""
    return await _systemctl(*arguments)


async def start(unit: str) -> None:
    """Asks for it and does not wait; nothing happens when it runs already. Raises Refused."""
    await _systemctl("start", "--no-block", unit)


async def stop(unit: str) -> None:
    """Asks for it and does not wait. Raises Refused."""
    await _systemctl("stop", "--no-block", unit)


async def kill(unit: str) -> None:
    """SIGKILL to every process of it. Raises Refused."""
    await _systemctl("kill", "--signal=SIGKILL", unit)


async def gone(unit: str) -> bool:
    """Whether no process of it is left. Raises Refused."""
    output = await _systemctl("show", unit, "--property=LoadState,ActiveState")
    found = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
    return not found or found.get("LoadState") != "loaded" or found.get("ActiveState") in ("inactive", "failed")


async def stopping() -> bool:
    """Whether the machine shuts down. Raises Refused."""
    return (await _systemctl("is-system-running", failing=True)).strip() == "stopping"
