"""What depends on use, told by a file: bytes, requests and logs of a month, which stand in no plan.

    # use.yaml
    all:
      egressGb: 500
    stacks:
      aws-us-east-1: { natGb: 200, modelGib: 140, logsGb: 20 }

What is not told is listed with its price and counts for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from infra import stackfile
from infra.faults import ConfigError, Fault
from infra.sections import Section
from infra.validation import validate

Amount = Annotated[float | None, Field(ge=0, le=1e15, allow_inf_nan=False)]


class Told(Section):
    """Quantities of a month."""

    balancer_gb: Amount = Field(default=None, description="GB through the load balancer")
    dns_queries: Amount = Field(default=None, description="DNS queries")
    egress_gb: Amount = Field(default=None, description="GB of answers to the internet")
    endpoint_gb: Amount = Field(default=None, description="GB through VPC endpoints")
    function_gib_seconds: Amount = Field(default=None, description="GiB-seconds of the fallback function")
    function_runs: Amount = Field(default=None, description="runs of the fallback function")
    function_vcpu_seconds: Amount = Field(default=None, description="vCPU-seconds of the fallback function")
    logs_gb: Amount = Field(default=None, description="GB of logs that are taken in")
    logs_kept_gib: Amount = Field(default=None, description="GiB of logs that are kept")
    messages: Amount = Field(default=None, description="messages to people and queues")
    model_gib: Amount = Field(default=None, description="GiB of weights in the store")
    model_reads: Amount = Field(default=None, description="reads of objects in the store")
    nat_gb: Amount = Field(default=None, description="GB through the NAT gateway")
    nat_node_hours: Amount = Field(default=None, description="node-hours behind the NAT gateway")
    secret_reads: Amount = Field(default=None, description="reads of secrets")

    def amounts(self) -> dict[str, Decimal]:
        """What was told, by key of the file."""
        told: dict[str, float | None] = self.model_dump(by_alias=True)
        return {key: Decimal(str(value)) for key, value in told.items() if value is not None}


class UseFile(Section):
    """A usage file. all: of every stack; stacks: of one, over `all`."""

    all: Told = Field(default_factory=Told)
    stacks: Mapping[str, Told] = Field(default_factory=dict)

    def of(self, stack: str) -> dict[str, Decimal]:
        """What holds for a stack."""
        own = self.stacks.get(stack)
        return self.all.amounts() | (own.amounts() if own else {})


KEYS: Final[Mapping[str, str]] = {
    one.alias or name: one.description or "" for name, one in Told.model_fields.items()
}  # fmt: skip
"""What a file may tell, in words."""


def read(path: Path) -> UseFile:
    """A usage file. Raises ConfigError with one line for each fault: file, key, value, what is allowed."""
    data = stackfile.document(path, str(path))
    if not isinstance(data, dict):
        raise ConfigError([Fault((), "has to be a map with all and stacks").line(str(path))])
    found, faults = validate(UseFile, data)
    if faults:
        raise ConfigError(fault.line(str(path)) for fault in faults)
    return found
