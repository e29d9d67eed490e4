"""A sandbox whose program is a JSON document that the test writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.engine import EngineSandbox, Result

PROGRAM = Path(__file__).parent / "programs" / "flat"
STACK = "dev"


class Flat(EngineSandbox):
    """`program` says what should exist, `up` makes it so."""

    def program(self, resources: dict[str, Any], **rest: Any) -> None:
        """name -> {"type", "inputs", "options", "wants"}; also region=, exports=, invokes=."""
        path = self.directory / "program.json"
        path.write_text(json.dumps({"resources": resources, **rest}))
        self.environment["FLAT_PROGRAM"] = str(path)

    def deploy(self, *arguments: str) -> Result:
        return self.up(STACK, *arguments)

    def plan(self, *arguments: str) -> Any:
        return self.preview(STACK, *arguments)

    def run(self, *arguments: str) -> Result:
        return self.pulumi(*arguments, stack=STACK)


def vpc(cidr: str = "10.0.0.0/16", **inputs: Any) -> dict[str, Any]:
    return {"type": "aws:ec2/vpc:Vpc", "inputs": {"cidrBlock": cidr, **inputs}, "wants": ["arn"]}


def subnet(cidr: str = "10.0.1.0/24", vpc_id: str = "${v.id}", **inputs: Any) -> dict[str, Any]:
    values = {"vpcId": vpc_id, "cidrBlock": cidr, "availabilityZone": "us-east-1a", **inputs}
    return {"type": "aws:ec2/subnet:Subnet", "inputs": values}
