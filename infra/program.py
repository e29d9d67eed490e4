"""What `pulumi up` runs: read the stack file, refuse it or build the kind of stack that it is, export outputs."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pulumi

from infra import sdks
from infra.checks import not_compared
from infra.config import REGION_KEY, ConfigError, RegionConfig, load_stack_file, parse_region
from infra.faults import NotFound
from infra.machine_checks import advice
from infra.stackfile import CI_KEY, GLOBAL_KEY, is_ci, is_global

STACKS = "stacks"
"""`stackConfigDir` of Pulumi.yaml."""
EXIT_REFUSED = 32
"""The language host's code for 'the error was printed already'; any other adds 'an unhandled error occurred'."""


def refuse(lines: Sequence[str]) -> NoReturn:
    """Print one error per line and end without registering anything, so that an existing stack keeps its resources.

    `os._exit`, because an exception or sys.exit lets the runtime register the root stack and print a traceback.
    """
    for line in lines:
        pulumi.log.error(line)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(EXIT_REFUSED)


def held(stack: str, key: str, about: str) -> object:
    """The object under `key` as the engine holds it. Raises ConfigError when there is none."""
    try:
        return pulumi.Config().require_object(key.split(":")[1])
    except Exception:  # the SDK's own errors (missing, null, not JSON) are of several types and name no file
        raise ConfigError([f"{STACKS}/Pulumi.{stack}.yaml: {key}: missing; it holds {about}"]) from None


def read_region(stack: str, root: Path) -> RegionConfig:
    """The region's settings as the engine holds them, checked; `root` is the folder of Pulumi.yaml.

    The file is checked as well as the engine's values: only it shows a mistyped top-level key, which the engine passes
    over, and its neighbours are what CIDRs may overlap with. Raises ConfigError.
    """
    path = root / STACKS / f"Pulumi.{stack}.yaml"
    named = f"{STACKS}/{path.name}"
    if path.is_file():  # --config-file may point elsewhere
        load_stack_file(path, stack)
    return parse_region(held(stack, REGION_KEY, "the region's settings"), stack, named)


def build_stack() -> None:
    """Build the current stack: a region, the global one, or the roles of pipelines."""
    stack = pulumi.get_stack()
    root = Path(pulumi.get_root_directory())
    try:
        if is_global(stack):
            with no_collection():
                build_global(stack, root)
            return
        if is_ci(stack):
            with no_collection():
                build_ci(stack, root)
            return
        config = read_region(stack, root)
        sdks.require(config.cloud, f"{STACKS}/Pulumi.{stack}.yaml", f"{REGION_KEY}.cloud", config.cloud)
    except ConfigError as error:
        refuse(error.lines)
    path = root / STACKS / f"Pulumi.{stack}.yaml"
    apart = not_compared(path) if path.is_file() else ()
    for line in (*advice(config), *apart):  # works, but not as its author may think
        pulumi.log.warn(f"{STACKS}/Pulumi.{stack}.yaml: {line}")
    with no_collection():
        build_region(config)


@contextmanager
def no_collection() -> Iterator[None]:
    """No garbage collection while SDK modules load: it walks the hundreds of thousands of objects that they leave and
    finds nothing, for a third of the time. They load at the first use of each, so the whole building is meant; freeze
    keeps later collections away from them."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def build_global(stack: str, root: Path) -> None:
    """Build the global stack: names, checks and records over the regions. Raises ConfigError."""
    from infra.dns import program

    config = program.read_global(
        lambda: held(stack, GLOBAL_KEY, "the settings of the global stack"), stack, root, STACKS
    )
    program.build_global(config, stack, f"{STACKS}/Pulumi.{stack}.yaml")


def build_ci(stack: str, root: Path) -> None:
    """Build what lets pipelines into one cloud. Raises ConfigError."""
    from infra.ci import program

    config = program.read_ci(lambda: held(stack, CI_KEY, program.ABOUT), stack, root, STACKS)
    program.build_ci(config, f"{STACKS}/Pulumi.{stack}.yaml")


def build_region(config: RegionConfig) -> None:
    """Build a region and export `endpoint`, `pools`, `image` and `modelStore`.

    Only `infra.<cloud>.build` imports a cloud's SDK: one per process.
    """
    builder = importlib.import_module(f"infra.{config.cloud}.build")
    try:
        region = builder.build(config)
    except NotFound as error:
        refuse([f"{STACKS}/Pulumi.{config.stack_name}.yaml: {error}"])
    pulumi.export("endpoint", region.endpoint)
    pulumi.export("pools", region.pools)
    pulumi.export("image", region.image)
    pulumi.export("modelStore", region.model_store)
