"""Region stacks as the global stack sees them: states with an `endpoint` output, without the region behind it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.support.engine import EngineSandbox


def endpoint(region: str, addresses: Sequence[str], *, residency: str = "us", **others: Any) -> dict[str, Any]:
    """What a region stack exports."""
    return {
        "hostname": f"spillway-aws-{region}-lb.elb.{region}.amazonaws.com",
        "addresses": list(addresses),
        "port": 443,
        "healthPath": "/readyz",
        "cloud": "aws",
        "region": region,
        "nearestAwsRegion": region,
        "residency": residency,
    } | others


def deploy(sandbox: EngineSandbox, stack: str, output: dict[str, Any]) -> None:
    """A stack whose last `up` exported `endpoint` = `output`; the engine reads it as it reads any other stack's."""
    project = sandbox.project.name()
    urn = f"urn:pulumi:{stack}::{project}::pulumi:pulumi:Stack::{project}-{stack}"
    resource = {"urn": urn, "custom": False, "type": "pulumi:pulumi:Stack", "outputs": {"endpoint": output}}
    manifest = {"time": "2026-11-26T00:00:00Z", "magic": "", "version": ""}
    state = sandbox.directory / f"{stack}.json"
    state.write_text(json.dumps({"version": 3, "deployment": {"manifest": manifest, "resources": [resource]}}))
    sandbox.pulumi("stack", "import", "--force", "--file", str(state), stack=stack).ok()
    state.unlink()
