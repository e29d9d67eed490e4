from __future__ import annotations
from typing import TYPE_CHECKING
from infra.faults import Fault
if TYPE_CHECKING:
    from infra.config import RegionConfig
def region_faults(region: "RegionConfig", stack: str) -> list[Fault]:
    return [] if stack == region.stack_name else [Fault(("region",), f"the stack is {stack}", region.region)]
