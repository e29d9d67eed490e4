"""Starts vLLM. `python -m images.programs.engine check | serve | argv`.

check: whether it can start at all, into /run/spillway/engine.json and the journal, in one line (root; ExecStartPre).
serve: becomes `vllm serve` with the options of node.json (user vllm; ExecStart). argv: prints the command.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from images.node import NodeConfig
from images.programs import ray, settings, state
from images.programs.gating import judge
from images.programs.journal import Journal
from images.programs.serving import command, gpus, leftovers
from images.programs.serving.command import Refused
from images.programs.together import addresses

DEVICE: Final = "SPILLWAY_ENGINE_DEVICE"
"""`cpu`: there are no GPUs to look for (tests)."""
COMPLETE: Final = ".complete"


def check_weights(config: NodeConfig) -> None:
    """Raises Refused while they are not there as a whole."""
    folder = command.weights(config)
    if config.model.load_format == "stream":
        command.source(config)
        return
    if (folder / COMPLETE).is_file():
        return
    told = state.read("stage") or {}
    reason = str(told.get("reason") or "")
    raise Refused(f"no weights at {folder} yet{': ' + reason if reason else ''}")


def check_peers(config: NodeConfig) -> None:
    """Raises Refused while nodes of the replica are missing: an engine that starts would wait for them, and hang."""
    if config.cluster is None:
        return
    told = state.read("peers") or {}
    if fault := judge.peers_fault(told or None, time.time()):
        raise Refused(f"cluster: {fault}")


def check(config: NodeConfig, environment: Mapping[str, str]) -> None:
    """What can be known before the engine is tried. Raises Refused with one line."""
    words = command.argv(config, environment, settings.engine_url())
    if shutil.which(words[0]) is None:
        raise Refused(f"{words[0]} is not there: the image has no engine")
    check_weights(config)
    check_peers(config)
    if environment.get(DEVICE) != "cpu":
        try:
            nodes = config.cluster.nodes if config.cluster else 1
            found = gpus.fault(config.model, gpus.look(), gpus.versions(), nodes)
        except ValueError as error:
            raise Refused(f"the GPU driver's version cannot be read: {error}") from None
        if found:
            raise Refused(found)


def tell(journal: Journal, name: str, reason: str) -> None:
    """engine.json; the journal has the line too."""
    try:
        state.write("engine", state=name, reason=reason)
    except OSError as error:
        journal.tell("engine.json not written", "error", detail=str(error))


def run_check(journal: Journal) -> int:
    try:
        config = settings.load()
        check(config, os.environ)
    except (Refused, settings.ConfigFault) as fault:
        tell(journal, "failed", str(fault))
        journal.tell("does not start", "error", detail=str(fault))
        return 1
    tell(journal, "starting", "")
    return 0


def run_serve(journal: Journal) -> int:
    """Does not return when all is well: this process becomes the engine."""
    try:
        config = settings.load()
        words = command.argv(config, os.environ, settings.engine_url())
        more = addresses.variables(config.cluster.head_address) if config.cluster else {}
        if config.cluster and config.cluster.executor == "ray":
            # Where it finds none by itself, Ray starts one of this node alone, and vLLM waits in it for half an hour.
            more["RAY_ADDRESS"] = ray.address(config.cluster, os.environ)
    except (Refused, settings.ConfigFault) as fault:
        journal.tell("does not start", "error", detail=str(fault))
        return 1
    if gone := leftovers.clean_shared_memory():
        journal.tell("cleaned", files=len(gone), detail=" ".join(gone))
    if leftovers.seed_caches(Path(config.disks.data) / "cache"):
        journal.tell("caches", detail="those of the image are in place")
    environment = command.variables(config, os.environ) | more
    with contextlib.suppress(OSError):
        os.chdir(environment.get("HOME") or "/")
    journal.tell("starts", "notice", command=shlex.join(words))
    # Journal made this pipe non-blocking; the engine has to be able to wait for it.
    for handle in (1, 2):
        with contextlib.suppress(OSError):
            os.set_blocking(handle, True)
    try:
        os.execvpe(words[0], words, environment)
    except OSError as error:
        journal.tell("does not start", "error", detail=f"{words[0]}: {error.strerror}")
    return 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="engine", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=["check", "serve", "argv"])
    what = parser.parse_args().command
    journal = Journal("engine")
    if what == "argv":
        try:
            print(shlex.join(command.argv(settings.load(), os.environ, settings.engine_url())))  # noqa: T201
        except (Refused, settings.ConfigFault) as fault:
            print(fault, file=sys.stderr)  # noqa: T201
            return 1
        return 0
    return run_check(journal) if what == "check" else run_serve(journal)


if __name__ == "__main__":
    sys.exit(main())
