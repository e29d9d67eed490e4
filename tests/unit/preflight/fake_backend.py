"""A backend with stacks, behind a shell script that passes for the engine: what is asked of it is what is tested."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from spillway import engine
from tests.support.fake_engine import fake_engine, script

PULUMI = """
if [ "$1" = version ]; then echo v{version}; exit; fi
echo "$*" >> "{folder}/asked"
echo "PULUMI_BACKEND_URL=$PULUMI_BACKEND_URL" >> "{folder}/backends"
while [ "$1" != --stack ]; do shift; done
if [ -f "{folder}/refusal" ]; then cat "{folder}/refusal" >&2; exit 1; fi
if [ -f "{folder}/$2.json" ]; then cat "{folder}/$2.json"; exit; fi
echo "error: no stack named '$2' found" >&2; exit 6
"""


@dataclass(frozen=True)
class FakeBackend:
    """Holds outputs by stack; `sandbox`: the sandbox whose backend has the same stacks."""

    folder: Path
    sandbox: Path

    def deploy(self, stack: str, outputs: Any) -> None:
        """A stack with these outputs."""
        (self.folder / f"{stack}.json").write_text(json.dumps(outputs))
        held = self.sandbox / "backend" / ".pulumi" / "stacks" / "spillway" / f"{stack}.json"
        held.parent.mkdir(parents=True, exist_ok=True)
        held.write_text("{}")
        (self.sandbox / "project").mkdir(exist_ok=True)
        (self.sandbox / "project" / "copied.json").write_text("[]")  # what makes the directory a sandbox

    def refuse(self, line: str) -> None:
        """Every question ends with this line."""
        (self.folder / "refusal").write_text(f"error: {line}\n")

    def asked(self) -> list[str]:
        """The command lines."""
        file = self.folder / "asked"
        return sorted(file.read_text().splitlines()) if file.exists() else []


def backend(folder: Path, sandbox: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBackend:
    """An empty backend, and an engine on PATH that leads to it; the user's own is not seen."""
    programs = folder / "bin"
    fake_engine(programs)
    script(programs / engine.CLI, PULUMI.format(version=engine.VERSION, folder=folder))
    monkeypatch.setattr(engine, "cache_root", lambda: folder / "cache")
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    return FakeBackend(folder, sandbox)


def endpoint(*addresses: str, region: str = "us-east-1", residency: str = "us") -> dict[str, Any]:
    """The outputs of a region stack that answers at these addresses."""
    return {"endpoint": {
        "hostname": None, "addresses": list(addresses), "port": 443, "healthPath": "/readyz", "cloud": "aws",
        "region": region, "nearestAwsRegion": region, "residency": residency,
    }}  # fmt: skip
