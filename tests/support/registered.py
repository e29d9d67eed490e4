"""What the Pulumi program registers, recorded with Pulumi's mocks: {type, inputs, outputs} in wire form, in order.

The same form as the resources of `pulumi stack export`, so that a test takes either.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi
import pulumi.runtime

from infra.aws.build import build as build_region
from infra.config import AwsRegion, load_stack_file

ROOT = Path(__file__).parents[2]
ACCOUNT = "123456789012"


class Recorder(pulumi.runtime.Mocks):
    """Answers every registration with the inputs and the ids that later inputs are made of."""

    def __init__(self, region: str) -> None:
        self.region = region
        self.resources: list[dict[str, Any]] = []

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        id = f"{args.name}-id"
        service = args.typ.split(":")[1].split("/")[0]
        outputs = {
            "name": args.name,
            **args.inputs,
            "id": id,
            "arn": f"arn:aws:{service}:{self.region}:{ACCOUNT}:{args.name}:{args.typ.rsplit(':', 1)[-1]}",
        }
        if args.typ == "aws:ec2/eip:Eip":
            outputs |= {"publicIp": "198.51.100.7", "allocationId": id}
        if args.typ == "aws:ec2/launchTemplate:LaunchTemplate":
            outputs |= {"latestVersion": 1}
        self.resources.append({"type": args.typ, "inputs": args.inputs, "outputs": outputs})
        return id, outputs

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        if args.token == "aws:ec2/getCapacityBlockReservation:getCapacityBlockReservation":
            block = {"instanceType": "p5.48xlarge", "instanceCount": 1, "availabilityZone": f"{self.region}a"}
            return {**args.args, **block, "endDate": "2026-12-24T11:30:00Z"}, []
        if args.token in ("aws:ec2/getVpc:getVpc", "aws:autoscaling/getGroup:getGroup"):
            return {}, [("", "no matching resource found")]  # nothing stands before the first `up`
        image = {"id": "ami-0123456789abcdef0", "name": "mock", "tags": {}, "rootDeviceName": "/dev/sda1"}
        return {**args.args, **image}, []


def stack_config(stack: str) -> AwsRegion:
    """The shipped stack file of `stack`, checked."""
    config = load_stack_file(ROOT / "stacks" / f"Pulumi.{stack}.yaml", stack)
    assert isinstance(config, AwsRegion)
    return config


def registered(config: AwsRegion) -> list[dict[str, Any]]:
    """Every resource that the program registers for this region."""
    recorder = Recorder(config.region)
    pulumi.runtime.set_mocks(recorder, project="spillway", stack=config.stack_name, preview=False)

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def build() -> None:
        build_region(config)

    build()
    return recorder.resources
