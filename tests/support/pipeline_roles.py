"""The roles of pipelines on mocks, against strict clouds in memory."""

from __future__ import annotations

import copy
import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import pulumi

from infra import stackfile
from infra.ci.common import export
from infra.ci.config import parse_ci
from infra.ci.sections import AwsCi, AzureCi, CiConfig, GcpCi
from infra.faults import ConfigError
from sandbox.aws import AWS
from sandbox.azure_native import AZURE_NATIVE
from sandbox.gcp import GCP
from tests.support.memory_cloud import MemoryCloud
from tests.support.memory_engine import MemoryEngine

STACKS = Path(__file__).parents[2] / "stacks"
Cloud = Literal["aws", "azure", "gcp"]
CLOUDS: tuple[Cloud, ...] = ("aws", "azure", "gcp")
GITLAB = {"project": "example-group/spillway"}


def data(cloud: str, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The object of a shipped file with changes by dotted key; None takes a key away."""
    found: dict[str, Any] = copy.deepcopy(stackfile.read(STACKS / f"Pulumi.ci-{cloud}.yaml")[stackfile.CI_KEY])
    for key, value in (changes or {}).items():
        *path, last = key.split(".")
        place = found
        for step in path:
            place = place.setdefault(step, {})
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return found


def config(cloud: str, changes: Mapping[str, Any] | None = None) -> CiConfig:
    return parse_ci(data(cloud, changes), f"ci-{cloud}", "stacks/x.yaml")


def aws(changes: Mapping[str, Any] | None = None) -> AwsCi:
    found = config("aws", changes)
    assert isinstance(found, AwsCi)
    return found


def azure(changes: Mapping[str, Any] | None = None) -> AzureCi:
    found = config("azure", changes)
    assert isinstance(found, AzureCi)
    return found


def gcp(changes: Mapping[str, Any] | None = None) -> GcpCi:
    found = config("gcp", changes)
    assert isinstance(found, GcpCi)
    return found


def faults(cloud: str, changes: Mapping[str, Any]) -> list[str]:
    """What is told of a file with these changes, without the file's name."""
    try:
        config(cloud, changes)
    except ConfigError as error:
        return [line.removeprefix("stacks/x.yaml: spillway:ci").lstrip(".: ") for line in error.lines]
    return []


class Deployment(MemoryEngine):
    """One cloud's roles, brought up as often as wanted."""

    delete_first = True

    def __init__(self, cloud: Cloud) -> None:
        self.name = cloud
        account = data(cloud)["account"]
        if cloud == "aws":
            memory = MemoryCloud("us-east-1", account, AWS)
        elif cloud == "azure":
            memory = MemoryCloud("global", account, AZURE_NATIVE)
        else:
            memory = MemoryCloud("us-central1", account, GCP)
        super().__init__(memory)
        self.stack = f"ci-{cloud}"  # type: ignore[misc]  # each deployment is of a stack of its own
        self.exported: dict[str, Any] = {}

    def up(self, changes: Mapping[str, Any] | None = None) -> None:
        """What the cloud refuses is raised, mostly as its own error."""
        wanted = config(self.name, changes)

        def program() -> Any:
            made = importlib.import_module(f"infra.ci.{self.name}").build(wanted)
            told: dict[str, Any] = {}
            with patch.object(pulumi, "export", told.__setitem__):
                export(wanted, made)
            return pulumi.Output.from_input(told).apply(self.exported.update)

        self.run(program)


def document(text: str) -> list[dict[str, Any]]:
    """The statements of a policy."""
    found: list[dict[str, Any]] = json.loads(text)["Statement"]
    return found


def as_list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
