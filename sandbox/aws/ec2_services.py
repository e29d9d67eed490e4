"""The AWS services that have VPC endpoints, by the last part of their endpoint service names."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

_DATA: Final = Path(__file__).with_name("data") / "endpoint_services.txt"

GATEWAY_SERVICES: Final = frozenset(("s3", "s3express", "dynamodb"))
"""https://docs.aws.amazon.com/vpc/latest/privatelink/gateway-endpoints.html"""


@lru_cache(maxsize=1)
def interface_services() -> frozenset[str]:
    """The services with interface endpoints. Read once, on first use."""
    lines = _DATA.read_text(encoding="utf-8").splitlines()
    return frozenset(name for line in lines if not line.startswith("#") for name in line.split())
